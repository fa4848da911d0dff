//! Facts about an invoice: what was seen on chain, what people decided, how far chains were read.

use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::asset::AssetName;
use crate::chain::{BlockRef, ChainName, Position, TxId};
use crate::id::{OptionId, TransferId};
use crate::mark::Marks;
use crate::time::UnixMillis;

/// Where a transfer stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the node's mempool.
    Mempool,
    /// In this block of the chain.
    Block(BlockRef),
}

/// What a transfer is to the option that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A payment to the option's own address.
    Payment,
    /// Money that went to another form of the same key's address. It is never credited; whoever has
    /// the key can spend it.
    Sibling {
        /// The form, for example `p2tr`.
        form: Box<str>,
        /// The address that was paid.
        address: Box<str>,
    },
}

/// A transfer with its sighting and its open placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Public id.
    pub id: TransferId,
    /// The option whose key was paid.
    pub option: OptionId,
    /// Whether it pays the option, or what it is instead.
    pub role: Role,
    /// What was paid.
    pub asset: AssetName,
    /// How much.
    pub amount: Amount,
    /// The transaction.
    pub tx_id: TxId,
    /// Where in the transaction.
    pub position: Position,
    /// Blocks, its own included, that the chain itself demands before the amount can be spent; 0 for
    /// none. A Bitcoin block's own reward needs 100.
    pub maturity: u32,
    /// When it was first seen; stored once, survives reorganisations and rescans.
    pub sighted_at: UnixMillis,
    /// Where it stands; `None` when it was evicted, replaced or reorganised away.
    pub place: Option<Place>,
    /// What the node said of its transaction before it had a block; `None` where it said nothing.
    pub vetting: Option<Vetting>,
}

/// What a node says of an unconfirmed transaction that pays us. Once it keeps every rule it is not asked
/// again: what it costs to be in the next block changes, and what was said of the payment must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vetting {
    /// When the node said so.
    pub vetted_at: UnixMillis,
    /// It spends money that is not confirmed itself.
    pub has_parents: bool,
    /// What it pays, in atomic units for 1,000 units of size.
    pub fee_rate: u64,
    /// What a transaction must pay to be in the next block, in the same unit; `None` when the node did not
    /// know.
    pub fee_rate_next: Option<u64>,
    /// Another transaction that spends the same was seen, before or after.
    pub has_conflict: bool,
    /// Since when a node that began anew does not have it any more.
    pub missing_since: Option<UnixMillis>,
}

/// A decision of a person, kept as a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorFact {
    /// The merchant canceled the invoice.
    Canceled {
        /// When.
        at: UnixMillis,
    },
}

/// How far one chain was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainView {
    /// Height of the last block that was read and verified; `None` before the first.
    pub tip: Option<u64>,
    /// A poll begun at this time found everything read up to the node's tip.
    pub covered_until: Option<UnixMillis>,
    /// Up to which blocks the chain says that it will not go back.
    pub marks: Marks,
}

/// How far each chain was read.
pub type Views = BTreeMap<ChainName, ChainView>;
