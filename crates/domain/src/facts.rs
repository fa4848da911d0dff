//! Facts about an invoice: what was seen on chain, what people decided, how far chains were read.

use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::asset::AssetName;
use crate::chain::{BlockRef, ChainName, Position, TxId};
use crate::id::{OptionId, TransferId};
use crate::time::UnixMillis;

/// Where a transfer stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the node's mempool.
    Mempool,
    /// In this block of the chain.
    Block(BlockRef),
}

/// A transfer with its sighting and its open placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Public id.
    pub id: TransferId,
    /// The option whose address was paid.
    pub option: OptionId,
    /// What was paid.
    pub asset: AssetName,
    /// How much.
    pub amount: Amount,
    /// The transaction.
    pub tx_id: TxId,
    /// Where in the transaction.
    pub position: Position,
    /// When it was first seen; stored once, survives reorganisations and rescans.
    pub sighted_at: UnixMillis,
    /// Where it stands; `None` when it was evicted, replaced or reorganised away.
    pub place: Option<Place>,
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
}

/// How far each chain was read.
pub type Views = BTreeMap<ChainName, ChainView>;
