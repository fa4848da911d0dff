//! The envelope of an event: rendered once, stored, and sent byte for byte on every attempt.
//!
//! Shape: Standard Webhooks (<https://github.com/standard-webhooks/standard-webhooks>) with the
//! additions of `api_version`, `livemode` and the typed `data`.

use paywatch_domain::{
    Amount, Cause, EventId, EventType, ExceptionId, Mode, Said, Status, Terms, UnixMillis,
    Violation,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::exception::ExceptionForm;
use crate::invoice::Invoice;
use crate::json_text;
use crate::time::rfc3339;

/// The version of the shapes inside an event.
pub const API_VERSION: &str = "2026-12-01";

/// What every event says first.
#[derive(Clone, Copy, Debug)]
pub struct EventHead {
    /// The event's id, which is also the `webhook-id`.
    pub id: EventId,
    /// What happened.
    pub kind: EventType,
    /// When it was said.
    pub at: UnixMillis,
    /// Live or test.
    pub mode: Mode,
}

/// An event as a receiver reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct Event<D> {
    /// `evt_…`; the same on every attempt.
    pub id: String,
    /// For example `invoice.paid`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was said.
    #[schemars(extend("format" = "date-time"))]
    pub timestamp: String,
    /// The version of the shapes inside.
    pub api_version: String,
    /// Whether real money moves.
    pub livemode: bool,
    /// What it is about.
    pub data: D,
}

/// The data of an event about an invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InvoiceData")]
pub struct InvoiceData<I = Invoice> {
    /// The invoice after the change.
    pub invoice: I,
    /// What it was called before; `null` in its first event.
    pub previous_status: Option<String>,
    /// In `invoice.reverted` only: what was final when it was last told, and what is now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reverted: Vec<RevertedOption>,
    /// What set the event off.
    pub cause: CauseForm,
}

/// How much of an option's money was final and is, in the asset's own unit, late money included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevertedOption {
    /// The option.
    pub option_id: String,
    /// What was final when it was last told.
    pub was_final: String,
    /// What is final now.
    pub is_final: String,
}

impl RevertedOption {
    /// The options of which less is final in one fold than was told before, in the order of the terms.
    ///
    /// # Errors
    /// A [`Violation`] when a sum is too large.
    pub fn between(terms: &Terms, before: &Said, now: &Said) -> Result<Vec<Self>, Violation> {
        let mut lost = Vec::new();
        for option in &terms.options {
            let all = |said: &Said| {
                let mut sums = said.options.iter();
                let own = sums.find(|(id, _)| *id == option.id);
                own.map_or(Ok(Amount::ZERO), |(_, sums)| sums.all_finalized())
            };
            let (was, is) = (all(before)?, all(now)?);
            if is < was {
                lost.push(Self {
                    option_id: option.id.to_string(),
                    was_final: was.decimal(option.decimals),
                    is_final: is.decimal(option.decimals),
                });
            }
        }
        Ok(lost)
    }
}

/// The data of an event about an exception.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ExceptionData")]
pub struct ExceptionData<E = ExceptionForm, I = Invoice> {
    /// The exception after the change.
    pub exception: E,
    /// Its invoice, with the version that this event takes.
    pub invoice: I,
    /// What set the event off.
    pub cause: CauseForm,
}

/// What set an event off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CauseForm {
    /// `block`, `mempool`, `reorg`, `expiry`, `api`, `operator` or `rescan`.
    pub kind: String,
    /// The chain, for what a chain caused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// The height of the last block that was read, for what blocks caused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
}

impl From<&Cause> for CauseForm {
    fn from(cause: &Cause) -> Self {
        Self {
            kind: cause.kind.as_str().into(),
            chain: cause.chain.as_ref().map(ToString::to_string),
            height: cause.height,
        }
    }
}

/// What an event can be about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EventData {
    /// An exception, with its invoice; `null` for one that cannot be read.
    Exception(Box<ExceptionData<ExceptionForm, Option<Invoice>>>),
    /// An invoice.
    Invoice(Box<InvoiceData>),
    /// A webhook endpoint.
    Endpoint(Box<EndpointData<Endpoint>>),
}

/// The data of an event about a webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EndpointData")]
pub struct EndpointData<E> {
    /// The endpoint after the change, without its secret.
    pub endpoint: E,
}

fn body<D: Serialize>(head: &EventHead, data: D) -> String {
    json_text(&Event {
        id: head.id.to_string(),
        kind: head.kind.as_str().into(),
        timestamp: rfc3339(head.at),
        api_version: API_VERSION.into(),
        livemode: head.mode == Mode::Live,
        data,
    })
}

/// The bytes of an event about an invoice. The invoice must carry the event's own version; `reverted` is
/// for a fall from a paid status alone.
pub fn invoice_event(
    head: &EventHead,
    invoice: &Invoice,
    previous: Option<Status>,
    reverted: Vec<RevertedOption>,
    cause: &Cause,
) -> String {
    let data = InvoiceData {
        invoice,
        previous_status: previous.map(|status| status.as_str().into()),
        reverted,
        cause: cause.into(),
    };
    body(head, data)
}

/// The bytes of an event about one of an invoice's exceptions. The invoice must carry the event's own
/// version.
///
/// # Errors
/// A [`Violation`] when the invoice has no such exception.
pub fn exception_event(
    head: &EventHead,
    invoice: &Invoice,
    id: ExceptionId,
    cause: &Cause,
) -> Result<String, Violation> {
    let id = id.to_string();
    let mut exceptions = invoice.exceptions.iter();
    let exception = exceptions
        .find(|exception| exception.id == id)
        .ok_or_else(|| Violation::Damaged(format!("it has no exception {id}")))?;
    let data = ExceptionData {
        exception,
        invoice,
        cause: cause.into(),
    };
    Ok(body(head, data))
}

/// The invoice as an event about it, or about one of its exceptions, has told it; `None` when that text
/// cannot be read.
pub fn told_invoice(body: &str) -> Option<Invoice> {
    #[derive(Deserialize)]
    struct Told {
        invoice: Invoice,
    }
    let event: Event<Told> = serde_json::from_str(body).ok()?;
    Some(event.data.invoice)
}

/// The bytes of an event about a quarantine. `told` is the invoice as it was last told, with the event's
/// own version and the exception; `None` when that cannot be read.
pub fn quarantine_event(
    head: &EventHead,
    exception: &ExceptionForm,
    told: Option<&Invoice>,
    cause: &Cause,
) -> String {
    let data = ExceptionData {
        exception,
        invoice: told,
        cause: cause.into(),
    };
    body(head, data)
}

/// The bytes of an event about a webhook endpoint.
pub fn endpoint_event<E: Serialize>(head: &EventHead, endpoint: &E) -> String {
    body(head, EndpointData { endpoint })
}
