//! Requests about webhook endpoints: register one, change it, give it another secret, send it events again.

use paywatch_domain::{EventType, limits};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::fields::{Faults, Fields};
use super::{Body, Request};
use crate::field::Code;

/// How requests name a type of event.
#[derive(JsonSchema)]
#[schemars(inline, extend("enum" = EventType::ALL.map(EventType::as_str)))]
#[expect(dead_code, reason = "describes a text; nothing is of this type")]
struct EventTypeName(String);

/// Registers a webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateEndpoint {
    /// Where to send; `https`, or `http` where the installation allows it.
    #[schemars(length(max = limits::URL_CHARS_MAX))]
    pub url: String,
    /// Which events; all of them when empty.
    #[schemars(default, with = "Vec<EventTypeName>")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<String>,
    /// Whether to sign with an ed25519 key too (`v1a`), so that whoever checks it holds no secret.
    #[schemars(default)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asymmetric: bool,
}

impl CreateEndpoint {
    /// The types that were asked for; all of them when empty.
    pub fn types(&self) -> impl Iterator<Item = EventType> {
        self.event_types
            .iter()
            .filter_map(|text| EventType::parse(text))
    }
}

/// Notes a text that is not the beginning of an address that can be sent to.
pub(super) fn check_url(fields: &mut Fields<'_>, name: &'static str) -> Option<String> {
    let url = fields.text(name, limits::URL_CHARS_MAX)?;
    let has_scheme = ["http://", "https://"].iter().any(|scheme| {
        let rest = url.get(scheme.len()..);
        let start = url.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && rest.is_some_and(|rest| !rest.is_empty())
    });
    if !has_scheme || url.contains(char::is_whitespace) {
        let detail = "must be an absolute address that starts with https:// or http://";
        fields.refuse(name, Code::UrlInvalid, detail);
        return None;
    }
    Some(url)
}

/// Reads the list of event types that an endpoint gets; `None` where nothing is said.
fn event_types(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let items = fields.list("event_types")?;
    let mut event_types: Vec<String> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let at = format!("{}/{place}", fields.pointer("event_types"));
        let Value::String(text) = item else {
            fields.faults().wrong_type(&at, "a text", item);
            continue;
        };
        if EventType::parse(text).is_none() {
            let detail = "no such type of event; for example invoice.paid";
            fields.faults().refuse(at, Code::EventTypeUnknown, detail);
        } else if !event_types.contains(text) {
            event_types.push(text.clone());
        }
    }
    Some(event_types)
}

impl Request for CreateEndpoint {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let url = check_url(&mut fields, "url");
        let url = fields.require("url", url);
        let event_types = event_types(&mut fields).unwrap_or_default();
        let asymmetric = fields.flag("asymmetric").unwrap_or_default();
        fields.finish();
        Some(Self {
            url: url?,
            event_types,
            asymmetric,
        })
    }
}

/// Changes a webhook endpoint; what is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UpdateEndpoint {
    /// Where to send from now on, also what is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Which events that are said from now on; all of them when empty.
    #[schemars(with = "Option<Vec<EventTypeName>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<String>>,
    /// Whether it gets events at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether attempts are signed with an ed25519 key too (`v1a`) from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asymmetric: Option<bool>,
}

impl UpdateEndpoint {
    /// The types that were asked for, if any were named.
    pub fn types(&self) -> Option<Vec<EventType>> {
        let names = self.event_types.as_ref()?.iter();
        Some(names.filter_map(|text| EventType::parse(text)).collect())
    }
}

impl Request for UpdateEndpoint {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let url = check_url(&mut fields, "url");
        let event_types = event_types(&mut fields);
        let enabled = fields.flag("enabled");
        let asymmetric = fields.flag("asymmetric");
        fields.finish();
        Some(Self {
            url,
            event_types,
            enabled,
            asymmetric,
        })
    }
}

/// The overlap when the request names none.
fn overlap_s() -> u64 {
    limits::SECRET_OVERLAP_S
}

/// Gives a webhook endpoint a new secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RotateSecret {
    /// How long the secret before it signs too, in seconds.
    #[schemars(default = "overlap_s", range(max = limits::SECRET_OVERLAP_S_MAX))]
    pub overlap_s: u64,
}

impl Request for RotateSecret {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let range = 0..=limits::SECRET_OVERLAP_S_MAX;
        let overlap_s = fields.whole("overlap_s", range, Code::OverlapInvalid);
        fields.finish();
        Some(Self {
            overlap_s: overlap_s.unwrap_or_else(self::overlap_s),
        })
    }
}

/// Sends events of the past to a webhook endpoint again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ReplayEvents {
    /// After the event with this `seq`; 0 for the beginning.
    #[schemars(range(max = i64::MAX))]
    pub after: u64,
    /// Up to the one with this `seq`, which is included; up to the last one when nothing is said.
    #[schemars(range(max = i64::MAX))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

impl Request for ReplayEvents {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        const SEQS: std::ops::RangeInclusive<u64> = 0..=i64::MAX.unsigned_abs();
        let mut fields = Fields::of(&body.value, "", faults)?;
        let after = fields.whole("after", SEQS, Code::RangeInvalid);
        let after = fields.require("after", after);
        let until = fields.whole("until", SEQS, Code::RangeInvalid);
        if until
            .zip(after)
            .is_some_and(|(until, after)| until <= after)
        {
            fields.refuse("until", Code::RangeInvalid, "must be above `after`");
        }
        fields.finish();
        Some(Self {
            after: after?,
            until,
        })
    }
}
