//! Assets: what can be paid on a chain.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Amount;
use crate::chain::{ChainName, NameError, is_name};
use crate::limits;

/// What the symbol of a token begins with that is not configured. No configured symbol has a colon.
const UNLISTED: &str = "unlisted:";

/// An asset's name in configuration and in the API: `symbol@chain`, for example `btc@bitcoin`. A token that
/// is not configured is named by its contract or mint: `unlisted:…@chain`. Nobody vouches for its
/// decimals, so it is counted in atomic units, and it can never be asked for.
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

    /// A token of a chain that is not configured, by its contract or mint in the chain's text form.
    pub fn unlisted(contract: &str, chain: ChainName) -> Result<Self, NameError> {
        let symbol = format!("{UNLISTED}{contract}");
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'@';
        if (1..=limits::CONTRACT_CHARS_MAX).contains(&contract.len())
            && contract.bytes().all(is_plain)
        {
            let symbol = symbol.into();
            Ok(Self { symbol, chain })
        } else {
            Err(NameError(symbol))
        }
    }

    /// Whether it is a token that is not configured.
    pub fn is_unlisted(&self) -> bool {
        self.symbol.starts_with(UNLISTED)
    }

    /// The part before the `@`.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// Whether a price in this currency is a price in the asset: its symbol in capitals.
    pub fn is_currency(&self, currency: &str) -> bool {
        self.symbol.to_ascii_uppercase() == currency
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
        match symbol.strip_prefix(UNLISTED) {
            Some(contract) => Self::unlisted(contract, chain.parse()?),
            None => Self::new(symbol, chain.parse()?),
        }
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
