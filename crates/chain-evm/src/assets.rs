//! Which assets of a chain are looked for.

use std::collections::HashMap;

use alloy_primitives::{Address, address};
use paywatch_domain::{Asset, AssetKind, AssetName};

use crate::address::{AddressError, address_text, parse_address};

/// Whose logs tell of moves of the native coin (EIP-7708). No token.
pub(crate) const SYSTEM: Address = address!("0xfffffffffffffffffffffffffffffffffffffffe");

/// The assets of one chain: its coin, and tokens by contract.
#[derive(Clone, Debug)]
pub struct Assets {
    pub(crate) native: AssetName,
    pub(crate) tokens: HashMap<Address, Token>,
}

/// A token that is looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token {
    pub(crate) name: AssetName,
    /// As configured; the contract must say the same.
    pub(crate) decimals: u8,
}

/// Why a list of assets cannot be used. Names what to change in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssetsError {
    /// A contract that is not an address.
    #[error("the contract of {asset}: {source}")]
    Contract {
        /// The asset.
        asset: AssetName,
        /// What is wrong with it.
        source: AddressError,
    },
    /// The address that logs moves of the native coin.
    #[error("the contract of {asset} is the chain's system address, which is no token")]
    System {
        /// The asset.
        asset: AssetName,
    },
    /// Two assets of one contract, or two native coins.
    #[error("{asset} and {other} are the same on the chain; keep one of them")]
    Twice {
        /// The asset.
        asset: AssetName,
        /// The one before it.
        other: AssetName,
    },
    /// A chain has a coin.
    #[error("no asset is the chain's native coin; add it, without a contract")]
    NoNative,
}

impl Assets {
    /// Looks for these.
    pub fn new<'a>(assets: impl IntoIterator<Item = &'a Asset>) -> Result<Self, AssetsError> {
        let mut native: Option<AssetName> = None;
        let mut tokens = HashMap::new();
        for asset in assets {
            let name = asset.name.clone();
            let before = match &asset.kind {
                AssetKind::Native => native.replace(name),
                AssetKind::Token(contract) => {
                    let contract = parse_address(contract).map_err(|source| {
                        let asset = name.clone();
                        AssetsError::Contract { asset, source }
                    })?;
                    if contract == SYSTEM {
                        return Err(AssetsError::System { asset: name });
                    }
                    let decimals = asset.decimals;
                    let token = Token { name, decimals };
                    tokens.insert(contract, token).map(|other| other.name)
                }
            };
            if let Some(other) = before {
                let asset = asset.name.clone();
                return Err(AssetsError::Twice { asset, other });
            }
        }
        let native = native.ok_or(AssetsError::NoNative)?;
        Ok(Self { native, tokens })
    }

    /// The token of a contract: by its name where it is configured, else by its contract, so that it can never
    /// be asked for; `None` for what is no token.
    pub(crate) fn token(&self, contract: Address) -> Option<AssetName> {
        if contract == SYSTEM {
            return None;
        }
        let listed = self.tokens.get(&contract).map(|token| token.name.clone());
        listed.or_else(|| {
            let chain = self.native.chain().clone();
            AssetName::unlisted(&address_text(contract), chain).ok()
        })
    }
}
