//! What must hold of an invoice's facts.

use crate::id::TransferId;
use crate::limits;

/// A rule that must hold does not: no further claims about this invoice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A sum does not fit into 256 bits.
    #[error("a sum of transfers does not fit into 256 bits")]
    SumOverflow,
    /// A transfer stands above the last block that was read.
    #[error("transfer {transfer} stands at height {height}, above the last block read")]
    AboveTip {
        /// Which.
        transfer: TransferId,
        /// Where it claims to stand.
        height: u64,
    },
    /// A transfer belongs to no option of the invoice, or is of another asset.
    #[error("transfer {transfer} does not belong to an option of this invoice")]
    Foreign {
        /// Which.
        transfer: TransferId,
    },
    /// A transfer stands twice among the facts.
    #[error("transfer {transfer} is counted twice")]
    Twice {
        /// Which.
        transfer: TransferId,
    },
    /// More transfers that stand or were final than a fold reads.
    #[error(
        "more than {} transfers that stand or were final",
        limits::INVOICE_TRANSFERS_MAX
    )]
    TooMany,
    /// A rule was violated before, and nobody has looked at it yet.
    #[error("it is quarantined: {0}")]
    Quarantined(String),
    /// A stored form cannot be read, or its seal does not fit.
    #[error("stored data of this invoice is damaged: {0}")]
    Damaged(String),
}
