//! The request that registers a webhook endpoint.

use paywatch_domain::{EventType, limits};
use serde::Serialize;
use serde_json::Value;

use super::fields::{Faults, Fields};
use super::{Body, Request};
use crate::field::Code;

/// Registers a webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateEndpoint {
    /// Where to send.
    pub url: String,
    /// Which events; all of them when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<String>,
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

impl Request for CreateEndpoint {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let url = check_url(&mut fields, "url");
        let url = fields.require("url", url);
        let mut event_types: Vec<String> = Vec::new();
        for (place, item) in fields
            .list("event_types")
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
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
        fields.finish();
        Some(Self {
            url: url?,
            event_types,
        })
    }
}
