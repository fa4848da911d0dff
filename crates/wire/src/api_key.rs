//! API keys as operators see them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is kept of an API key, and does not change by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyRecord {
    /// `key_…`: its public part.
    pub id: String,
    /// `live` or `test`: which chains it sees.
    pub mode: String,
    /// Given by whoever made it; may be empty.
    pub label: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The networks that it may be used from, in CIDR form; empty for all.
    pub networks: Vec<String>,
    /// From when on it is refused; `null` for never.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// From when on somebody wanted it to be refused; may lie ahead.
    #[schemars(extend("format" = "date-time"))]
    pub revoked_at: Option<String>,
}

/// An API key.
///
/// Prints without its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyForm {
    /// What is kept of it.
    #[serde(flatten)]
    pub record: ApiKeyRecord,
    /// Always `api_key`.
    pub object: String,
    /// `mer_…`: whose key it is.
    pub merchant_id: String,
    /// `active`, `expired` or `revoked`.
    pub state: String,
    /// When it was made.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When it was last used, to the minute; `null` before that.
    #[schemars(extend("format" = "date-time"))]
    pub last_used_at: Option<String>,
    /// The key itself, in the answers to its creation and to a rotation alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl fmt::Debug for ApiKeyForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyForm")
            .field("record", &self.record)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
