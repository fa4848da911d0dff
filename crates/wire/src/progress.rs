//! How far a transfer is from final, as merchants see it.

use paywatch_domain::{Progress, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::forms::{CommitmentForm, TagForm};

/// How far a transfer is from final, by the kind of its option's finality.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProgressForm {
    /// Blocks, its own included.
    Depth {
        /// Blocks it has.
        have: u64,
        /// Blocks it needs.
        need: u32,
    },
    /// A block tag of an EVM node.
    Tag {
        /// Which.
        tag: TagForm,
        /// The height of the tag; `null` before there was one.
        have: Option<u64>,
        /// The height of the transfer's block; `null` while it stands in none.
        need: Option<u64>,
    },
    /// A commitment of Solana.
    Commitment {
        /// Which.
        commitment: CommitmentForm,
        /// The height of the commitment; `null` before there was one.
        have: Option<u64>,
        /// The height of the transfer's block; `null` while it stands in none.
        need: Option<u64>,
    },
    /// Acceptance without a block.
    Unconfirmed {
        /// Seconds for which it has been seen.
        have: u64,
        /// Seconds that it needs.
        need: u32,
        /// Rules that it does not keep: it is accepted only when there is none.
        refused: Vec<RefusalForm>,
    },
    /// Alternatives, of which one is enough.
    Any {
        /// Each of them.
        of: Vec<Self>,
    },
}

/// Why a transfer is not accepted without a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalForm {
    /// It is more than the cap, alone or together with what was accepted so before.
    AboveCap,
    /// Another transaction that spends the same was seen.
    Conflict,
    /// It spends money that is not confirmed itself.
    UnconfirmedParents,
    /// It pays less than the next block costs.
    LowFee,
    /// The node does not know what the next block costs.
    FeeUnknown,
    /// The node has not said anything about the transaction, or did not see it before its block.
    NotVetted,
    /// The node has forgotten the transaction before it was seen for long enough.
    Forgotten,
}

impl From<Refusal> for RefusalForm {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::AboveCap => Self::AboveCap,
            Refusal::Conflict => Self::Conflict,
            Refusal::UnconfirmedParents => Self::UnconfirmedParents,
            Refusal::LowFee { .. } => Self::LowFee,
            Refusal::FeeUnknown => Self::FeeUnknown,
            Refusal::NotVetted => Self::NotVetted,
            Refusal::Forgotten => Self::Forgotten,
        }
    }
}

impl From<&Progress> for ProgressForm {
    fn from(progress: &Progress) -> Self {
        match progress {
            Progress::Depth { have, need } => Self::Depth {
                have: *have,
                need: *need,
            },
            Progress::Tag { tag, have, need } => Self::Tag {
                tag: (*tag).into(),
                have: *have,
                need: *need,
            },
            Progress::Commitment {
                commitment,
                have,
                need,
            } => Self::Commitment {
                commitment: (*commitment).into(),
                have: *have,
                need: *need,
            },
            Progress::Unconfirmed {
                have_s,
                need_s,
                refusals,
            } => Self::Unconfirmed {
                have: *have_s,
                need: *need_s,
                refused: refusals.iter().map(|refusal| (*refusal).into()).collect(),
            },
            Progress::Any(alternatives) => Self::Any {
                of: alternatives.iter().map(Into::into).collect(),
            },
        }
    }
}
