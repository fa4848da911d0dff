//! Which assets of a chain are looked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use paywatch_domain::{Asset, AssetKind, AssetName};

use crate::mint::Power;

/// The assets of one chain: its coin, and tokens by mint.
#[derive(Clone, Debug)]
pub struct Assets {
    pub(crate) native: AssetName,
    pub(crate) tokens: HashMap<Box<str>, Token>,
}

/// A token that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) name: AssetName,
    /// As configured; the mint must say the same.
    pub(crate) decimals: u8,
    /// What its mint may be able to do.
    pub(crate) allowed: BTreeSet<Power>,
}

/// Why a list of assets cannot be used. Names what to change in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssetsError {
    /// A mint that is not an account.
    #[error("the contract of {asset} must be its mint, 32 bytes in base58; {mint:?} is not")]
    Mint {
        /// The asset.
        asset: AssetName,
        /// What is given as its mint.
        mint: Box<str>,
    },
    /// Two assets of one mint, or two native coins.
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
    /// Powers of something that has no mint here.
    #[error("{asset} has no mint that may be able to do something")]
    Powers {
        /// The asset.
        asset: AssetName,
    },
}

impl Assets {
    /// Looks for these; `allowed` says what mints may be able to do that are refused otherwise.
    pub fn new<'a>(
        assets: impl IntoIterator<Item = &'a Asset>,
        mut allowed: BTreeMap<AssetName, BTreeSet<Power>>,
    ) -> Result<Self, AssetsError> {
        let mut native: Option<AssetName> = None;
        let mut tokens = HashMap::new();
        for asset in assets {
            let name = asset.name.clone();
            let before = match &asset.kind {
                AssetKind::Native => native.replace(name),
                AssetKind::Token(mint) => {
                    if !is_account(mint) {
                        let (asset, mint) = (name, mint.clone());
                        return Err(AssetsError::Mint { asset, mint });
                    }
                    let token = Token {
                        decimals: asset.decimals,
                        allowed: allowed.remove(&name).unwrap_or_default(),
                        name,
                    };
                    tokens.insert(mint.clone(), token).map(|other| other.name)
                }
            };
            if let Some(other) = before {
                let asset = asset.name.clone();
                return Err(AssetsError::Twice { asset, other });
            }
        }
        if let Some((asset, _)) = allowed.pop_first() {
            return Err(AssetsError::Powers { asset });
        }
        let native = native.ok_or(AssetsError::NoNative)?;
        Ok(Self { native, tokens })
    }

    /// The token of a mint: by its name where it is configured, else by its mint, so that it can never be
    /// asked for; `None` for what cannot be a mint.
    pub(crate) fn token(&self, mint: &str) -> Option<AssetName> {
        let listed = self.tokens.get(mint).map(|token| token.name.clone());
        listed.or_else(|| AssetName::unlisted(mint, self.native.chain().clone()).ok())
    }
}

/// Whether a text is that of 32 bytes in base58, to the length and the letters: whether there is such a mint,
/// the chain tells.
fn is_account(text: &str) -> bool {
    let is_letter =
        |byte: u8| byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'O' | b'I' | b'l');
    (32..=44).contains(&text.len()) && text.bytes().all(is_letter)
}
