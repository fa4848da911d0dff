//! What is to be swept, as somebody with a network wrote it down.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A plan. Numbers are atomic units: lamports, and the smallest units of tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// How the addresses were made.
    pub(crate) way: Way,
    /// Of a block that is younger than about a minute when the transactions are sent.
    pub(crate) blockhash: String,
    /// The wallet to which everything goes.
    pub(crate) destination: String,
    /// An address of the same root that pays the fees, and the rent of accounts that the destination
    /// lacks; without one each address pays for itself and the destination must have its accounts.
    pub(crate) fee_payer: Option<Place>,
    /// Fee of each signature.
    #[serde(default = "lamports_per_signature")]
    pub(crate) lamports_per_signature: u64,
    /// Whether token accounts are closed when they are empty, which gives back their rent.
    #[serde(default)]
    pub(crate) close_emptied: bool,
    /// What is swept.
    pub(crate) from: Vec<Holding>,
}

/// <https://solana.com/docs/core/fees#base-fee>
fn lamports_per_signature() -> u64 {
    5000
}

/// The two ways whose addresses have keys of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// `paywatch-offline xpub`.
    Xpub,
    /// `paywatch-offline pool`.
    Pool,
}

/// Where an address is below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// The account of an extended public key; a pool has none.
    #[serde(default)]
    pub(crate) account: u32,
    /// The index that the watcher shows.
    pub(crate) index: u32,
}

/// An address with what stands there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Holding {
    /// As in [`Place`].
    #[serde(default)]
    pub(crate) account: u32,
    /// As in [`Place`].
    pub(crate) index: u32,
    /// As the watcher shows it. Nothing is signed when the root has another one there.
    pub(crate) address: String,
    /// What stands there.
    #[serde(default)]
    pub(crate) lamports: u64,
    /// Tokens of the address.
    #[serde(default)]
    pub(crate) tokens: Vec<Token>,
}

impl Holding {
    pub(crate) fn place(&self) -> Place {
        Place {
            account: self.account,
            index: self.index,
        }
    }
}

/// A token that an address holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) mint: String,
    /// Digits after the point, which the network compares with the mint's.
    pub(crate) decimals: u8,
    /// Smallest units, as text.
    pub(crate) amount: String,
    /// Which program keeps it.
    #[serde(default)]
    pub(crate) program: TokenProgram,
    /// The account that holds it, where it is not the usual one of the address.
    pub(crate) account: Option<String>,
}

/// The programs that keep tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TokenProgram {
    /// The first one.
    #[default]
    Token,
    /// The one with extensions.
    #[serde(rename = "token-2022")]
    Token2022,
}

/// Reads a plan.
pub(crate) fn read(path: &Path) -> Result<Plan> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no plan", path.display()))
}
