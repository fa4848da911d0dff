//! Deliveries as merchants see them: one event to one endpoint, with every attempt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One event to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// `dlv_…`.
    pub id: String,
    /// Always `delivery`.
    pub object: String,
    /// What is sent.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// To whom.
    pub endpoint_id: String,
    /// `due`, `delivered`, `exhausted` or `dropped`.
    pub state: String,
    /// Tries so far.
    pub attempt_count: u32,
    /// When it is tried next; `null` while it waits for earlier events of its invoice.
    #[schemars(extend("format" = "date-time"))]
    pub due_at: Option<String>,
    /// When the event was said.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When it was delivered or given up.
    #[schemars(extend("format" = "date-time"))]
    pub finished_at: Option<String>,
    /// Every try, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One HTTP try of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// HTTP status of the answer; `null` without one.
    pub status_code: Option<u16>,
    /// What went wrong; `null` on success.
    pub error: Option<String>,
    /// First bytes of the answer.
    pub answer: String,
}
