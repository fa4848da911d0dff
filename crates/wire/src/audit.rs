//! The audit log as operators see it, and what its rows say about states.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json_text;

/// One action of an operator or a merchant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Always `audit_entry`.
    pub object: String,
    /// `mer_…` of the merchant whose log it is, or `installation`.
    pub log: String,
    /// Place in the log, from 1 and without gaps; what `starting_after` and `ending_before` take.
    pub number: u64,
    /// When it was done.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// Who did it: the id of an API key, or `cli`.
    pub actor: String,
    /// The request that asked for it.
    pub request_id: String,
    /// What was done, for example `wallet.confirm`.
    pub action: String,
    /// The id of what it was done to, or a chain's name.
    pub subject: String,
    /// What it was; `null` for something new.
    pub before: Option<Value>,
    /// What it is now; `null` for what is gone.
    pub after: Option<Value>,
    /// Seal over this entry and the one before it, hexadecimal.
    pub seal: String,
}

impl AuditEntry {
    /// A stored text as JSON; one that was damaged is shown as it is.
    pub fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
    }
}

#[derive(Serialize)]
struct Standing<'a> {
    state: &'a str,
}

/// What the log keeps of something of which only the state changes.
pub fn state_text(state: &str) -> String {
    json_text(&Standing { state })
}
