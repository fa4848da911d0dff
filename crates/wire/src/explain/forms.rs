//! The forms of an explanation.

use paywatch_domain::Status;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::awaited::Awaited;
use crate::forms::{FinalityForm, PriceForm};
use crate::invoice::InvoiceTransfer;
use crate::record::{Fulfilment, Note};

/// Why an invoice says what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// `inv_…`.
    pub invoice_id: String,
    /// Always `explanation`.
    pub object: String,
    /// The status by the table of states.
    #[schemars(extend("enum" = Status::ALL.map(Status::as_str)))]
    pub status: String,
    /// What the merchant does next.
    pub next_action: Reason,
    /// Which rule of the policy holds for each way to pay.
    pub rules: Vec<ExplainedRule>,
    /// What was counted, what was not, and why.
    pub transfers: Vec<ExplainedTransfer>,
    /// What may change something.
    pub awaited: Vec<Awaited>,
    /// What was written to it, in the order in which it was written.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// What was given for the money, in the order in which it was recorded.
    #[serde(default)]
    pub fulfilments: Vec<Fulfilment>,
}

/// A stable word and a sentence that says the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub text: String,
}

/// Which rule of the policy holds for an option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedRule {
    /// The option.
    pub option_id: String,
    /// `symbol@chain`.
    pub asset: String,
    /// The policy's name; `null` when it was given with the request.
    pub policy: Option<String>,
    /// The place of the tier, from 1; `null` when the policy has none and the chain's own rule holds.
    pub tier: Option<usize>,
    /// `price`, `due`, or `nothing` when there is only one tier: what the limits were held against.
    pub basis: String,
    /// The largest amount that the tier is for; `null` in the last one.
    pub up_to: Option<PriceForm>,
    /// What makes a transfer final, as it was fixed at creation.
    pub finality: FinalityForm,
    /// The same in words.
    pub text: String,
}

/// One transfer, where it has stood, and what it counts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedTransfer {
    /// The transfer.
    #[serde(flatten)]
    pub transfer: InvoiceTransfer,
    /// Why it counts, or why it does not.
    pub reason: Reason,
    /// Where it stands and has stood, oldest first.
    pub placements: Vec<PlacementForm>,
}

/// Where a transfer stood, from when to when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlacementForm {
    /// `mempool` or `block`.
    pub place: String,
    /// The height of the block.
    pub block_height: Option<u64>,
    /// The hash of the block.
    pub block_hash: Option<String>,
    /// Since when.
    #[schemars(extend("format" = "date-time"))]
    pub entered_at: String,
    /// Until when; `null` while it stands there.
    #[schemars(extend("format" = "date-time"))]
    pub left_at: Option<String>,
    /// `mined`, `replaced`, `evicted`, `conflicted` or `reorged`.
    pub left_reason: Option<String>,
}
