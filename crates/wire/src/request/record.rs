//! What merchants put on the record of an invoice.

use paywatch_domain::{Record, RecordKind, UnixMillis, limits};
use schemars::JsonSchema;

use super::fields::{Faults, Fields};
use super::{Body, Request};

/// Adds a note to an invoice.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AddNote {
    /// What is written; line breaks and tabs may be in it.
    #[schemars(length(min = 1, max = limits::NOTE_CHARS_MAX))]
    pub text: String,
}

/// Records what was given for the money of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AddFulfilment {
    /// What it was; line breaks and tabs may be in it.
    #[schemars(length(min = 1, max = limits::NOTE_CHARS_MAX))]
    pub description: String,
    /// The number of a parcel, a licence or a ticket.
    #[schemars(length(max = limits::TEXT_CHARS_MAX))]
    pub reference: Option<String>,
}

impl Request for AddNote {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let text = fields.pasted("text", limits::NOTE_CHARS_MAX);
        let text = fields.require("text", text);
        fields.finish();
        Some(Self { text: text? })
    }
}

impl Request for AddFulfilment {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let description = fields.pasted("description", limits::NOTE_CHARS_MAX);
        let description = fields.require("description", description);
        let reference = fields.text("reference", limits::TEXT_CHARS_MAX);
        fields.finish();
        Some(Self {
            description: description?,
            reference,
        })
    }
}

impl AddNote {
    /// The fact that somebody wrote it at a time.
    pub fn into_record(self, actor: &str, at: UnixMillis) -> Record {
        Record {
            at,
            actor: actor.into(),
            kind: RecordKind::Note,
            text: self.text.into(),
            reference: None,
        }
    }
}

impl AddFulfilment {
    /// The fact that somebody recorded it at a time.
    pub fn into_record(self, actor: &str, at: UnixMillis) -> Record {
        Record {
            at,
            actor: actor.into(),
            kind: RecordKind::Fulfilment,
            text: self.description.into(),
            reference: self.reference.map(Into::into),
        }
    }
}
