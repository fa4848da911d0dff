//! Chains, blocks and transactions, as far as all chain families share them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The short name of a chain in configuration and in the API, for example `bitcoin-regtest`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainName(Arc<str>);

/// A text that cannot be the name of a chain or the symbol of an asset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name: lower-case letters, digits and hyphens, 1 to 32 of them")]
pub struct NameError(pub String);

pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(allowed)
}

impl FromStr for ChainName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(NameError(text.into()))
        }
    }
}

impl ChainName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the chain's own text form.
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// The chain's own text form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

word!(/// A block's hash in the chain's own text form.
    BlockHash);
word!(/// A transaction's id in the chain's own text form.
    TxId);
word!(/// Where in a transaction a transfer stands, for example `vout:0`.
    Position);

macro_rules! shown {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

shown!(ChainName, BlockHash, TxId, Position);

/// A block by height and hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    /// Blocks below it.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
}

/// A family of chains that share keys, addresses and an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Bitcoin and its test networks.
    Bitcoin,
    /// Ethereum and every chain that speaks its JSON-RPC.
    Evm,
    /// Solana.
    Solana,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 3] = [Self::Bitcoin, Self::Evm, Self::Solana];

    /// The name in configuration, API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::Evm => "evm",
            Self::Solana => "solana",
        }
    }

    /// The family with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.as_str() == text)
    }
}

/// Whether real money moves: chains and API keys are of one mode, and see only what is of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Real money.
    Live,
    /// Test networks.
    Test,
}

impl Mode {
    /// The name in keys, configuration and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// The mode with this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Test]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}
