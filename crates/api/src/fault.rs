//! What an answer says instead of a result: the table of codes, statuses and sentences.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use paywatch_store::StoreError;
use paywatch_wire::{DecodeError, FieldError, PROBLEM_MEDIA_TYPE, Problem, json_text};

use crate::scope::Scope;

/// What an id in a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// `inv_…`.
    Invoice,
    /// `wal_…`.
    Wallet,
    /// `whe_…`.
    Endpoint,
    /// `dlv_…`.
    Delivery,
    /// `exc_…`.
    Exception,
    /// A chain by its name.
    Chain,
    /// `req_…`.
    Request,
    /// `key_…`.
    Key,
}

impl Thing {
    fn noun(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::Wallet => "wallet",
            Self::Endpoint => "webhook endpoint",
            Self::Delivery => "delivery",
            Self::Exception => "exception",
            Self::Chain => "chain",
            Self::Request => "request",
            Self::Key => "API key",
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Invoice => "invoice_unknown",
            Self::Wallet => "wallet_unknown",
            Self::Endpoint => "endpoint_unknown",
            Self::Delivery => "delivery_unknown",
            Self::Exception => "exception_unknown",
            Self::Chain => "chain_unknown",
            Self::Request => "request_unknown",
            Self::Key => "key_unknown",
        }
    }
}

/// Why a request has no result. Each variant has one stable code, but those that carry their own.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// No key was sent.
    #[error("send the API key as `Authorization: Bearer pw_…`")]
    KeyMissing,
    /// What was sent is not a key, unknown, over or revoked: one answer, so that nobody learns which.
    #[error("this API key is not valid: mistyped, unknown, expired or revoked")]
    KeyInvalid,
    /// The key may not be used from there.
    #[error("this API key may not be used from this address; see its networks")]
    NetworkNotAllowed,
    /// The key asks more often than it may.
    #[error("this API key asks too often; wait {retry_after_s} s")]
    TooSoon {
        /// When to ask again, in seconds.
        retry_after_s: u64,
    },
    /// The key may not do this.
    #[error("this API key lacks the scope `{}`", .0.as_str())]
    ScopeMissing(Scope),
    /// No such path.
    #[error("there is nothing at this path")]
    RouteUnknown,
    /// The path exists, with other methods.
    #[error("this path does not take this method; see the Allow header")]
    MethodNotAllowed,
    /// No such thing for this merchant and mode.
    #[error("no {} with this id exists for this key", .0.noun())]
    NotFound(Thing),
    /// More bytes than are read.
    #[error("the body is larger than {max} bytes")]
    BodyTooLarge {
        /// How many are read.
        max: usize,
    },
    /// The body did not arrive in time or broke off.
    #[error("the body did not arrive whole in time")]
    BodyIncomplete,
    /// The body is said to be something else than JSON.
    #[error("send the body as JSON, with `Content-Type: application/json`")]
    MediaTypeUnsupported,
    /// The body is not JSON.
    #[error("{0}")]
    BodyNotJson(DecodeError),
    /// Fields of the body cannot stand.
    #[error("{}", fields_sentence(.0))]
    Fields(Vec<FieldError>),
    /// What fields of the body name cannot be had at present.
    #[error("{}", fields_sentence(.0))]
    Unavailable(Vec<FieldError>),
    /// Parameters of the query cannot stand.
    #[error("{}", fields_sentence(.0))]
    Query(Vec<FieldError>),
    /// The header `Idempotency-Key` is empty, too long or not visible ASCII.
    #[error("Idempotency-Key must be 1 to 255 visible ASCII characters, bare or in quotes")]
    IdempotencyKeyInvalid,
    /// The same key came with another body.
    #[error("this Idempotency-Key was used with another body; use a new key for a new request")]
    IdempotencyReused,
    /// The first request with this key is still running.
    #[error("the first request with this Idempotency-Key is still running; try again soon")]
    IdempotencyInUse,
    /// A rule of the house.
    #[error("{detail}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// Stable, for programs.
        code: &'static str,
        /// For people.
        detail: String,
    },
    /// The database is away or busy; nothing happened.
    #[error("the database is unavailable; nothing happened, try again")]
    DatabaseUnavailable,
    /// The commit broke off: nobody knows whether it happened.
    #[error("the answer of the database was lost; repeat with the same Idempotency-Key")]
    OutcomeUnknown,
    /// A mistake in this program, or damaged data. The log has the details.
    #[error("something went wrong here; the log has the details under this request id")]
    Internal,
}

fn fields_sentence(errors: &[FieldError]) -> String {
    match errors {
        [one] => format!("{}: {}", one.pointer, one.detail),
        several => format!("{} fields cannot stand; see errors", several.len()),
    }
}

/// The code of the fields where they agree on one, so that a program needs to look in one place.
fn fields_code(errors: &[FieldError], otherwise: &'static str) -> Cow<'static, str> {
    match errors {
        [first, rest @ ..] if rest.iter().all(|error| error.code == first.code) => {
            Cow::Owned(first.code.clone())
        }
        [] | [..] => Cow::Borrowed(otherwise),
    }
}

impl Fault {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::KeyMissing | Self::KeyInvalid => StatusCode::UNAUTHORIZED,
            Self::ScopeMissing(_) | Self::NetworkNotAllowed => StatusCode::FORBIDDEN,
            Self::TooSoon { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::RouteUnknown | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyIncomplete => StatusCode::REQUEST_TIMEOUT,
            Self::MediaTypeUnsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyNotJson(_) | Self::Query(_) | Self::IdempotencyKeyInvalid => {
                StatusCode::BAD_REQUEST
            }
            Self::Fields(_) | Self::IdempotencyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::IdempotencyInUse => StatusCode::CONFLICT,
            Self::Refused { status, .. } => *status,
            Self::Unavailable(_) | Self::DatabaseUnavailable | Self::OutcomeUnknown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code.
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::KeyMissing => "key_missing",
            Self::KeyInvalid => "key_invalid",
            Self::NetworkNotAllowed => "network_not_allowed",
            Self::TooSoon { .. } => "rate_limited",
            Self::ScopeMissing(_) => "scope_missing",
            Self::RouteUnknown => "route_unknown",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotFound(thing) => thing.code(),
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyIncomplete => "body_incomplete",
            Self::MediaTypeUnsupported => "media_type_unsupported",
            Self::BodyNotJson(_) => "body_not_json",
            Self::Fields(errors) => return fields_code(errors, "fields_invalid"),
            Self::Unavailable(errors) => return fields_code(errors, "unavailable"),
            Self::Query(errors) => return fields_code(errors, "query_invalid"),
            Self::IdempotencyKeyInvalid => "idempotency_key_invalid",
            Self::IdempotencyReused => "idempotency_key_reused",
            Self::IdempotencyInUse => "idempotency_key_in_use",
            Self::Refused { code, .. } => code,
            Self::DatabaseUnavailable => "database_unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Internal => "internal",
        })
    }

    fn errors(&self) -> Vec<FieldError> {
        match self {
            Self::Fields(errors) | Self::Unavailable(errors) | Self::Query(errors) => {
                errors.clone()
            }
            Self::KeyMissing
            | Self::KeyInvalid
            | Self::NetworkNotAllowed
            | Self::TooSoon { .. }
            | Self::ScopeMissing(_)
            | Self::RouteUnknown
            | Self::MethodNotAllowed
            | Self::NotFound(_)
            | Self::BodyTooLarge { .. }
            | Self::BodyIncomplete
            | Self::MediaTypeUnsupported
            | Self::BodyNotJson(_)
            | Self::IdempotencyKeyInvalid
            | Self::IdempotencyReused
            | Self::IdempotencyInUse
            | Self::Refused { .. }
            | Self::DatabaseUnavailable
            | Self::OutcomeUnknown
            | Self::Internal => Vec::new(),
        }
    }

    /// The problem as it is sent, with headers that belong to it.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let status = self.status();
        let problem = Problem {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: self.to_string(),
            code: self.code().into_owned(),
            request_id: request_id.into(),
            errors: self.errors(),
        };
        let media = [(header::CONTENT_TYPE, PROBLEM_MEDIA_TYPE)];
        let mut response = (status, media, json_text(&problem)).into_response();
        let headers = response.headers_mut();
        match self {
            Self::KeyMissing | Self::KeyInvalid => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::IdempotencyInUse | Self::DatabaseUnavailable | Self::OutcomeUnknown => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::TooSoon { retry_after_s } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
            }
            // A chain comes back when its node does.
            Self::Unavailable(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
            }
            // What was not read would be taken for the next request.
            Self::BodyTooLarge { .. } | Self::BodyIncomplete => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Self::NetworkNotAllowed
            | Self::ScopeMissing(_)
            | Self::RouteUnknown
            | Self::MethodNotAllowed
            | Self::NotFound(_)
            | Self::MediaTypeUnsupported
            | Self::BodyNotJson(_)
            | Self::Fields(_)
            | Self::Query(_)
            | Self::IdempotencyKeyInvalid
            | Self::IdempotencyReused
            | Self::Refused { .. }
            | Self::Internal => {}
        }
        response
    }
}

/// The outermost layer knows the request id and turns this into a problem.
impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Fields(errors) => Self::Fields(errors),
            DecodeError::NotJson { .. } => Self::BodyNotJson(error),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { .. } | StoreError::Closed => {
                tracing::warn!(%error, "the database is unavailable");
                Self::DatabaseUnavailable
            }
            StoreError::OutcomeUnknown(_) => {
                tracing::error!(%error, "the outcome of a commit is unknown");
                Self::OutcomeUnknown
            }
            StoreError::NoSuchCursor => {
                let detail = "the row that the page should begin at is not in this list";
                Self::Query(vec![FieldError::new("?", "cursor_unknown", detail)])
            }
            StoreError::Conflict(_)
            | StoreError::Damaged(_)
            | StoreError::LeaseLost
            | StoreError::Refused { .. }
            | StoreError::BindCount { .. }
            | StoreError::FailureIgnored(_)
            | StoreError::Url(_)
            | StoreError::Schema(_)
            | StoreError::Secret(_) => {
                tracing::error!(%error, "the store failed");
                Self::Internal
            }
        }
    }
}
