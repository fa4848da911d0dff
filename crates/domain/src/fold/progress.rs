//! How far a transfer is from final, and why it is not accepted without a block.

use std::fmt;

use crate::finality::{Commitment, Tag};

/// How far a transfer is from final, by the kind of its finality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Blocks, its own included.
    Depth {
        /// Blocks it has.
        have: u64,
        /// Blocks it needs, by the policy and by the chain.
        need: u32,
    },
    /// A block tag.
    Tag {
        /// Which.
        tag: Tag,
        /// The height of the tag, as last recorded.
        have: Option<u64>,
        /// The height of the transfer's block; `None` while it stands in none.
        need: Option<u64>,
    },
    /// A commitment.
    Commitment {
        /// Which.
        commitment: Commitment,
        /// The height of the commitment, as last recorded.
        have: Option<u64>,
        /// The height of the transfer's block; `None` while it stands in none.
        need: Option<u64>,
    },
    /// Acceptance without a block.
    Unconfirmed {
        /// Whole seconds for which it has been seen.
        have_s: u64,
        /// Seconds that it needs.
        need_s: u32,
        /// Rules that it does not keep; it counts only when there is none.
        refusals: Vec<Refusal>,
    },
    /// Each of the alternatives.
    Any(Vec<Self>),
}

/// Why a transfer is not accepted without a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is more than the cap, alone or together with what was accepted so before.
    AboveCap,
    /// Another transaction that spends the same was seen.
    Conflict,
    /// It spends money that is not confirmed itself.
    UnconfirmedParents,
    /// It pays less than the next block costs.
    LowFee {
        /// What it pays, in atomic units for 1,000 units of size.
        rate: u64,
        /// What the next block costs.
        next: u64,
    },
    /// The node does not know what the next block costs.
    FeeUnknown,
    /// The node has not said anything about the transaction, or did not see it before its block.
    NotVetted,
    /// The node has forgotten the transaction before it was seen for long enough.
    Forgotten,
}

impl Refusal {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AboveCap => "above_cap",
            Self::Conflict => "conflict",
            Self::UnconfirmedParents => "unconfirmed_parents",
            Self::LowFee { .. } => "low_fee",
            Self::FeeUnknown => "fee_unknown",
            Self::NotVetted => "not_vetted",
            Self::Forgotten => "forgotten",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AboveCap => {
                f.write_str("it is above the cap, alone or with what was accepted before it")
            }
            Self::Conflict => f.write_str("another transaction that spends the same was seen"),
            Self::UnconfirmedParents => f.write_str("it spends money that is not confirmed itself"),
            Self::LowFee { rate, next } => write!(
                f,
                "it pays {rate} atomic units for 1,000 units of size, and the next block costs {next}"
            ),
            Self::FeeUnknown => f.write_str("the node does not know what the next block costs"),
            Self::NotVetted => f.write_str("the node has not said anything about it yet"),
            Self::Forgotten => f.write_str("the node has forgotten it"),
        }
    }
}

impl Progress {
    /// Whether this is enough.
    pub fn is_met(&self) -> bool {
        match self {
            Self::Depth { have, need } => u64::from(*need) <= *have,
            Self::Tag { have, need, .. } | Self::Commitment { have, need, .. } => {
                need.is_some_and(|need| have.is_some_and(|have| need <= have))
            }
            Self::Unconfirmed {
                have_s,
                need_s,
                refusals,
            } => refusals.is_empty() && u64::from(*need_s) <= *have_s,
            Self::Any(alternatives) => alternatives.iter().any(Self::is_met),
        }
    }
}
