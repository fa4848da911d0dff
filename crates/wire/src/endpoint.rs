//! A webhook endpoint as merchants see it.

use std::fmt;

use paywatch_domain::{EndpointId, EventType, Mode, UnixMillis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::rfc3339;

/// Where a merchant's events are sent.
///
/// Prints without its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// `whe_…`.
    pub id: String,
    /// Always `webhook_endpoint`.
    pub object: String,
    /// Whether real money moves.
    pub livemode: bool,
    /// Where to send.
    pub url: String,
    /// Which events; all of them when empty.
    pub event_types: Vec<String>,
    /// `enabled` or `disabled`.
    pub state: String,
    /// Why it is disabled.
    pub disabled_reason: Option<String>,
    /// Since when every attempt fails; `null` when the last one succeeded.
    #[schemars(extend("format" = "date-time"))]
    pub failing_since: Option<String>,
    /// When it was registered.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// The key that checks `v1a` signatures (`whpk_…`, ed25519); `null` when only `v1` ones are sent. A
    /// rotation changes it.
    pub public_key: Option<String>,
    /// The signing secret (`whsec_…`), in the answers to its creation and to each rotation alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl Endpoint {
    /// Shows an endpoint, without its keys. A reason makes it disabled.
    pub fn render(
        id: EndpointId,
        mode: Mode,
        url: &str,
        types: &[EventType],
        disabled_reason: Option<&str>,
        failing_since: Option<UnixMillis>,
        created_at: UnixMillis,
    ) -> Self {
        let state = match disabled_reason {
            None => "enabled",
            Some(_) => "disabled",
        };
        Self {
            id: id.to_string(),
            object: "webhook_endpoint".into(),
            livemode: mode == Mode::Live,
            url: url.into(),
            event_types: types.iter().map(|kind| kind.as_str().into()).collect(),
            state: state.into(),
            disabled_reason: disabled_reason.map(Into::into),
            failing_since: failing_since.map(rfc3339),
            created_at: rfc3339(created_at),
            public_key: None,
            secret: None,
        }
    }
}

/// What is left of something that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// What it was called.
    pub id: String,
    /// What it was.
    pub object: String,
    /// Always `true`.
    pub deleted: bool,
}

/// What came of sending events again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replay {
    /// Always `replay`.
    pub object: String,
    /// To whom.
    pub endpoint_id: String,
    /// How many events are sent again.
    pub deliveries: usize,
    /// Where the next request goes on, as its `after`; `null` when the whole range was looked at.
    pub next_after: Option<i64>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("url", &self.url)
            .field("event_types", &self.event_types)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
