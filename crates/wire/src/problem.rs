//! Errors as RFC 9457 says them (<https://www.rfc-editor.org/rfc/rfc9457>).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::field::FieldError;

/// The media type of a problem.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart, and the status gives the title.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// For people.
    pub detail: String,
    /// Stable, for programs.
    pub code: String,
    /// Which request; also in the answer's `x-request-id` and in every log line.
    pub request_id: String,
    /// Field by field, when fields are what is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}
