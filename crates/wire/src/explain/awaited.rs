//! What may change something about an invoice, and which block or time that is.

use paywatch_domain::Await;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::rfc3339;

/// What may change something about an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Awaited {
    /// Which chain.
    pub chain: String,
    /// `height`, `covered`, `looked`, `safe`, `confirmed` or `finalized`.
    pub kind: String,
    /// The height of the tip or of the mark.
    pub height: Option<u64>,
    /// The time up to which the chain must have been read, or balances looked at.
    #[schemars(extend("format" = "date-time"))]
    pub until: Option<String>,
    /// The same in words.
    pub text: String,
}

impl From<&Await> for Awaited {
    fn from(one: &Await) -> Self {
        let (chain, kind, height, until) = match one {
            Await::Height { chain, height } => (chain, "height", Some(*height), None),
            Await::Mark {
                chain,
                mark,
                height,
            } => (chain, mark.as_str(), Some(*height), None),
            Await::Covered { chain, until } => (chain, "covered", None, Some(rfc3339(*until))),
            Await::Looked { chain, until } => (chain, "looked", None, Some(rfc3339(*until))),
        };
        let text = match (kind, height, &until) {
            ("height", Some(height), _) => format!("Block {height} of {chain}."),
            (mark, Some(height), _) => format!("The mark {mark} of {chain} at height {height}."),
            ("looked", None, until) => format!(
                "A look at the balances on {chain} after a final block later than {}.",
                until.as_deref().unwrap_or_default()
            ),
            (_, None, until) => format!(
                "A complete reading of {chain} after {}.",
                until.as_deref().unwrap_or_default()
            ),
        };
        Self {
            chain: chain.to_string(),
            kind: kind.into(),
            height,
            until,
            text,
        }
    }
}
