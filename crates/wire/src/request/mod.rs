//! What merchants send: decoding that names every fault, and the check that makes plain domain data.

mod administration;
mod create_invoice;
mod draft;
mod endpoint;
mod exception;
mod fields;
mod options;
mod policy;
mod price;
mod record;
mod task;
mod tolerance;
mod wallet;

use schemars::JsonSchema;
use serde_json::Value;

pub use administration::{CreateApiKey, CreateMerchant, RotateApiKey};
pub use create_invoice::{CreateInvoice, CreateOption};
pub use draft::{
    Draft, DraftOption, EXPIRES_IN_S_DEFAULT, LATE_WINDOW_S_DEFAULT, NamedPolicies, POLICY_DEFAULT,
};
pub use endpoint::{CreateEndpoint, ReplayEvents, RotateSecret, UpdateEndpoint};
pub use exception::{RecordRefund, ResolveException};
pub use policy::{PolicyRequest, TierRequest};
pub use record::{AddFulfilment, AddNote};
pub use task::{AttachTransaction, CheckInvoice, Rescan, ScanWallet};
pub use tolerance::ToleranceRequest;
pub use wallet::{CreateWallet, ExtendPool, Material};

use crate::field::FieldError;
pub use fields::Faults;
use fields::Fields;

/// Why a body is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON at all.
    #[error("the body is not JSON: {detail}")]
    NotJson {
        /// What is wrong and where; never the body itself.
        detail: String,
    },
    /// JSON whose fields cannot stand.
    #[error("{} of the request cannot stand", count(.0.len()))]
    Fields(Vec<FieldError>),
}

fn count(fields: usize) -> String {
    match fields {
        1 => "one field".into(),
        many => format!("{many} fields"),
    }
}

/// A request body that can be decoded.
pub trait Request: Sized {
    /// Reads the body's object; notes what is wrong. `None` only after an error was noted.
    #[doc(hidden)]
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self>;
}

/// A body as JSON and as the text it was.
#[derive(Debug)]
pub struct Body<'a> {
    value: Value,
    text: &'a str,
}

/// Decodes a body.
///
/// # Errors
/// [`DecodeError::NotJson`] for anything that is not JSON (too deep nesting included), else
/// [`DecodeError::Fields`] with every fault that was found.
pub fn decode<R: Request>(body: &[u8]) -> Result<R, DecodeError> {
    let not_json = |detail: String| DecodeError::NotJson { detail };
    let text = std::str::from_utf8(body).map_err(|_| not_json("it is not UTF-8".into()))?;
    let value = serde_json::from_str(text).map_err(|error| not_json(place(&error)))?;
    let body = Body { value, text };
    let mut faults = Faults::default();
    let request = R::read(&body, &mut faults);
    match (faults.into_result(), request) {
        (Ok(()), Some(request)) => Ok(request),
        (result, _) => Err(DecodeError::Fields(result.err().unwrap_or_default())),
    }
}

/// Where the JSON breaks, without repeating anything of it.
fn place(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        format!("it ends too early, in line {line}, column {column}")
    } else {
        format!("line {line}, column {column} cannot be read")
    }
}

/// The body of a request without fields, such as cancel and confirm: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NoFields {}

impl Request for NoFields {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        Fields::of(&body.value, "", faults)?.finish();
        Some(Self {})
    }
}
