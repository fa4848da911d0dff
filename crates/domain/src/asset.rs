//! Assets: what can be paid on a chain.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Amount;
use crate::chain::{ChainName, NameError, is_name};

/// An asset's name in configuration and in the API: `symbol@chain`, for example `btc@bitcoin`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetName {
    symbol: Arc<str>,
    chain: ChainName,
}

impl AssetName {
    /// The asset with this symbol on this chain.
    pub fn new(symbol: &str, chain: ChainName) -> Result<Self, NameError> {
        if is_name(symbol) {
            Ok(Self {
                symbol: symbol.into(),
                chain,
            })
        } else {
            Err(NameError(symbol.into()))
        }
    }

    /// The part before the `@`.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// The chain it is paid on.
    pub fn chain(&self) -> &ChainName {
        &self.chain
    }
}

impl FromStr for AssetName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (symbol, chain) = text.split_once('@').ok_or_else(|| NameError(text.into()))?;
        Self::new(symbol, chain.parse()?)
    }
}

impl fmt::Display for AssetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.symbol, self.chain)
    }
}

impl fmt::Debug for AssetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What kind of thing an asset is on its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssetKind {
    /// The chain's own coin.
    Native,
    /// A token, by contract address or mint in the chain's canonical text form.
    Token(Box<str>),
}

/// One payable asset of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// `symbol@chain`.
    pub name: AssetName,
    /// Native coin or token.
    pub kind: AssetKind,
    /// Digits after the point; they belong to the pair of chain and token.
    pub decimals: u8,
    /// A transfer below this is counted, but alone causes no status and no event.
    pub dust: Amount,
    /// The asset's CAIP-19 id, for example `bip122:…/slip44:0`
    /// (<https://chainagnostic.org/CAIPs/caip-19>).
    pub caip19: Box<str>,
}
