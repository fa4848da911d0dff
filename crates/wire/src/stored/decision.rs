//! The stored form of a decision.

use paywatch_domain::{
    Action, Amount, ExceptionKind, OperatorFact, Record, RecordKind, Refund, Release, Settlement,
    Subject, TxId, UnixMillis,
};
use serde::{Deserialize, Serialize};

use super::{StoredError, VERSION, read};
use crate::json_text;

const FORM: &str = "decision";

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum DecisionForm {
    Canceled {
        v: u32,
        at: i64,
    },
    Accepted {
        v: u32,
        at: i64,
        option: String,
        floor: String,
    },
    Refunded {
        v: u32,
        at: i64,
        actor: String,
        option: String,
        amount: String,
        tx_id: Option<String>,
        note: String,
        is_everything: bool,
    },
    Settled {
        v: u32,
        at: i64,
        actor: String,
        exception: String,
        exception_kind: String,
        subject: SubjectForm,
        amount: String,
        action: String,
        reason: String,
        note: String,
        tx_id: Option<String>,
    },
    Assigned {
        v: u32,
        at: i64,
        exception: String,
        owner: String,
    },
    Released(ReleaseForm),
    Note(RecordForm),
    Fulfilment(RecordForm),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordForm {
    v: u32,
    at: i64,
    actor: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseForm {
    v: u32,
    at: i64,
    actor: String,
    exception: String,
    reason: String,
    note: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectForm {
    option: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<AddressForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asset: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressForm {
    form: String,
    address: String,
}

/// The name of a decision's kind, for the column beside its form.
pub fn operator_fact_kind(fact: &OperatorFact) -> &'static str {
    match fact {
        OperatorFact::Canceled { .. } => "canceled",
        OperatorFact::Accepted { .. } => "accepted",
        OperatorFact::Refunded(_) => "refunded",
        OperatorFact::Settled(_) => "settled",
        OperatorFact::Assigned { .. } => "assigned",
        OperatorFact::Released(_) => "released",
        OperatorFact::Recorded(record) => record.kind.as_str(),
    }
}

/// The stored form of a decision.
pub fn operator_fact_to_json(fact: &OperatorFact) -> String {
    let (v, at) = (VERSION, fact.at().0);
    json_text(&match fact {
        OperatorFact::Canceled { .. } => DecisionForm::Canceled { v, at },
        OperatorFact::Accepted { option, floor, .. } => DecisionForm::Accepted {
            v,
            at,
            option: option.to_string(),
            floor: floor.to_string(),
        },
        OperatorFact::Refunded(refund) => DecisionForm::Refunded {
            v,
            at,
            actor: refund.actor.to_string(),
            option: refund.option.to_string(),
            amount: refund.amount.to_string(),
            tx_id: refund.tx_id.as_ref().map(ToString::to_string),
            note: refund.note.to_string(),
            is_everything: refund.is_everything,
        },
        OperatorFact::Settled(settled) => DecisionForm::Settled {
            v,
            at,
            actor: settled.actor.to_string(),
            exception: settled.exception.to_string(),
            exception_kind: settled.kind.as_str().into(),
            subject: (&settled.subject).into(),
            amount: settled.amount.to_string(),
            action: settled.action.as_str().into(),
            reason: settled.reason.to_string(),
            note: settled.note.to_string(),
            tx_id: settled.tx_id.as_ref().map(ToString::to_string),
        },
        OperatorFact::Assigned {
            exception, owner, ..
        } => DecisionForm::Assigned {
            v,
            at,
            exception: exception.to_string(),
            owner: owner.to_string(),
        },
        OperatorFact::Released(release) => DecisionForm::Released(release.into()),
        OperatorFact::Recorded(record) => match record.kind {
            RecordKind::Note => DecisionForm::Note(record.into()),
            RecordKind::Fulfilment => DecisionForm::Fulfilment(record.into()),
        },
    })
}

/// Reads what [`operator_fact_to_json`] wrote.
///
/// # Errors
/// [`StoredError`] when the text was not written so.
pub fn operator_fact_from_json(text: &str) -> Result<OperatorFact, StoredError> {
    Ok(match read::<DecisionForm>(FORM, text)? {
        DecisionForm::Canceled { at, .. } => OperatorFact::Canceled { at: UnixMillis(at) },
        DecisionForm::Accepted {
            at, option, floor, ..
        } => OperatorFact::Accepted {
            at: UnixMillis(at),
            option: parsed("option", &option)?,
            floor: amount("floor", &floor)?,
        },
        DecisionForm::Refunded {
            at,
            actor,
            option,
            amount: sent,
            tx_id,
            note,
            is_everything,
            ..
        } => OperatorFact::Refunded(Refund {
            at: UnixMillis(at),
            actor: actor.into(),
            option: parsed("option", &option)?,
            amount: amount("amount", &sent)?,
            tx_id: tx_id.map(|id| TxId::new(&id)),
            note: note.into(),
            is_everything,
        }),
        DecisionForm::Settled {
            at,
            actor,
            exception,
            exception_kind,
            subject,
            amount: settled,
            action,
            reason,
            note,
            tx_id,
            ..
        } => OperatorFact::Settled(Settlement {
            at: UnixMillis(at),
            actor: actor.into(),
            exception: parsed("exception", &exception)?,
            kind: known("exception_kind", &exception_kind, ExceptionKind::parse)?,
            subject: subject.into_domain()?,
            amount: amount("amount", &settled)?,
            action: known("action", &action, Action::parse)?,
            reason: reason.into(),
            note: note.into(),
            tx_id: tx_id.map(|id| TxId::new(&id)),
        }),
        DecisionForm::Assigned {
            at,
            exception,
            owner,
            ..
        } => OperatorFact::Assigned {
            at: UnixMillis(at),
            exception: parsed("exception", &exception)?,
            owner: owner.into(),
        },
        DecisionForm::Released(form) => OperatorFact::Released(form.into_domain()?),
        DecisionForm::Note(form) => OperatorFact::Recorded(form.into_domain(RecordKind::Note)),
        DecisionForm::Fulfilment(form) => {
            OperatorFact::Recorded(form.into_domain(RecordKind::Fulfilment))
        }
    })
}

impl From<&Release> for ReleaseForm {
    fn from(release: &Release) -> Self {
        Self {
            v: VERSION,
            at: release.at.0,
            actor: release.actor.to_string(),
            exception: release.exception.to_string(),
            reason: release.reason.to_string(),
            note: release.note.to_string(),
        }
    }
}

impl ReleaseForm {
    fn into_domain(self) -> Result<Release, StoredError> {
        Ok(Release {
            at: UnixMillis(self.at),
            actor: self.actor.into(),
            exception: parsed("exception", &self.exception)?,
            reason: self.reason.into(),
            note: self.note.into(),
        })
    }
}

impl From<&Record> for RecordForm {
    fn from(record: &Record) -> Self {
        Self {
            v: VERSION,
            at: record.at.0,
            actor: record.actor.to_string(),
            text: record.text.to_string(),
            reference: record.reference.as_deref().map(Into::into),
        }
    }
}

impl RecordForm {
    fn into_domain(self, kind: RecordKind) -> Record {
        Record {
            at: UnixMillis(self.at),
            actor: self.actor.into(),
            kind,
            text: self.text.into(),
            reference: self.reference.map(Into::into),
        }
    }
}

impl From<&Subject> for SubjectForm {
    fn from(subject: &Subject) -> Self {
        let (address, asset) = match subject {
            Subject::Option(_) => (None, None),
            Subject::Address { form, address, .. } => {
                let (form, address) = (form.to_string(), address.to_string());
                (Some(AddressForm { form, address }), None)
            }
            Subject::Stray { asset, .. } => (None, Some(asset.to_string())),
        };
        Self {
            option: subject.option().to_string(),
            address,
            asset,
        }
    }
}

impl SubjectForm {
    fn into_domain(self) -> Result<Subject, StoredError> {
        let option = parsed("option", &self.option)?;
        if let Some(asset) = self.asset {
            let asset = parsed("asset", &asset)?;
            return Ok(Subject::Stray { option, asset });
        }
        Ok(match self.address {
            None => Subject::Option(option),
            Some(place) => Subject::Address {
                option,
                form: place.form.into(),
                address: place.address.into(),
            },
        })
    }
}

fn parsed<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, StoredError> {
    known(field, text, |text| text.parse().ok())
}

fn amount(field: &'static str, text: &str) -> Result<Amount, StoredError> {
    known(field, text, |text| Amount::parse_atomic(text).ok())
}

fn known<T>(
    field: &'static str,
    text: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoredError> {
    parse(text).ok_or_else(|| StoredError::Value {
        form: FORM,
        field,
        value: text.into(),
    })
}
