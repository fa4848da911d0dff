//! A wallet as merchants and operators see it. The key itself is not shown again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A merchant's public key material for one chain family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wallet {
    /// `wal_…`.
    pub id: String,
    /// Always `wallet`.
    pub object: String,
    /// Whether real money moves.
    pub livemode: bool,
    /// Which chains it is for.
    pub chain_family: String,
    /// What kind of material it is, for example `xpub` or `descriptor`.
    pub kind: String,
    /// Eight hexadecimal digits by which people tell keys apart: the fingerprint of BIP32, and of
    /// several keys the beginning of a hash over all of them.
    pub fingerprint: String,
    /// Given by the merchant; empty when none was.
    pub label: String,
    /// `pending` until an operator confirmed its addresses, then `active`; `archived` at the end.
    pub state: String,
    /// Used where an option names no wallet.
    pub default: bool,
    /// First index that may be handed out.
    pub start_index: u32,
    /// First index that was never handed out, by this wallet or another one on the same key.
    pub next_index: u32,
    /// The highest index whose address any transfer ever paid, seen or confirmed; null when none.
    pub highest_used_index: Option<u32>,
    /// The longest row of handed-out indexes, one after the other, that nobody paid and that stand
    /// before a used one or before `next_index`: so many addresses a wallet that is restored from
    /// its seed has to look past to find every payment and the next one. Indexes below `start_index`
    /// do not count; those that another wallet on the same key handed out do.
    pub unused_gap: u32,
    /// The gap limit to set in the merchant's own wallet: twice `unused_gap`, so that as many
    /// addresses again can be handed out before it is looked at, and never below 20, which is what
    /// most wallets begin with (BIP44).
    pub recommended_gap_limit: u32,
    /// How full the pool is; null for a wallet whose addresses are derived.
    pub pool: Option<PoolLevel>,
    /// The first addresses, to be compared with what the wallet itself shows.
    pub first_addresses: Vec<WalletAddress>,
    /// When it was registered.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When an operator confirmed it.
    #[schemars(extend("format" = "date-time"))]
    pub confirmed_at: Option<String>,
}

/// How many addresses of a pool are left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolLevel {
    /// All that were ever put into it.
    pub size: u32,
    /// How many were not handed out yet.
    pub remaining: u32,
    /// Whether it is time to add more: a tenth or less is left, or ten or fewer.
    pub low: bool,
}

/// One address of a wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WalletAddress {
    /// The index below the wallet's node.
    pub index: u32,
    /// The address.
    pub address: String,
    /// The full derivation path.
    pub derivation_path: String,
}
