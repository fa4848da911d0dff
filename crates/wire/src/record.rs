//! What a merchant keeps with an invoice: notes, and what was given for the money.

use paywatch_domain::{Dossier, OperatorFact, Record, RecordKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::rfc3339;

/// A note on an invoice, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// Always `note`.
    pub object: String,
    /// What was written.
    pub text: String,
    /// Who wrote it, for example `key_…`.
    pub actor: String,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
}

/// What was given for the money of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fulfilment {
    /// Always `fulfilment`.
    pub object: String,
    /// What it was.
    pub description: String,
    /// The number of a parcel, a licence or a ticket; `null` where there is none.
    pub reference: Option<String>,
    /// Who recorded it, for example `key_…`.
    pub actor: String,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
}

impl From<&Record> for Note {
    fn from(record: &Record) -> Self {
        Self {
            object: "note".into(),
            text: record.text.to_string(),
            actor: record.actor.to_string(),
            at: rfc3339(record.at),
        }
    }
}

impl From<&Record> for Fulfilment {
    fn from(record: &Record) -> Self {
        Self {
            object: "fulfilment".into(),
            description: record.text.to_string(),
            reference: record.reference.as_deref().map(Into::into),
            actor: record.actor.to_string(),
            at: rfc3339(record.at),
        }
    }
}

/// What of a kind is on an invoice's record, in the order in which it was recorded.
pub(crate) fn all<'a, T: From<&'a Record>>(dossier: &'a Dossier, kind: RecordKind) -> Vec<T> {
    let records = dossier.decisions.iter().filter_map(|fact| match fact {
        OperatorFact::Recorded(record) if record.kind == kind => Some(record.into()),
        _ => None,
    });
    records.collect()
}
