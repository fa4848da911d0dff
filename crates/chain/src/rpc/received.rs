//! An answer that was received and is not read yet.

use reqwest::StatusCode;
use serde::Deserialize;

use super::error::{CallError, words};
use super::message::Reply;

/// The answer to one call as the node wrote it. Whoever asked reads it, perhaps on another thread: in one walk
/// from the envelope to what is wanted, which may be parts of the text itself.
#[derive(Clone, Debug)]
pub struct Received {
    text: String,
    status: StatusCode,
    id: u64,
    method: Box<str>,
}

impl Received {
    /// The body of an answer with the status 200 to the call of a method with this id.
    pub fn new(body: Vec<u8>, id: u64, method: &str) -> Result<Self, CallError> {
        Self::with_status(body, StatusCode::OK, id, method)
    }

    pub(super) fn with_status(
        body: Vec<u8>,
        status: StatusCode,
        id: u64,
        method: &str,
    ) -> Result<Self, CallError> {
        let text = String::from_utf8(body).map_err(|error| unreadable(method, status, &error))?;
        let method = method.into();
        Ok(Self {
            text,
            status,
            id,
            method,
        })
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The result, or the error that was given instead of one. Only an `Option` takes `null` for a result.
    pub fn result<'a, T: Deserialize<'a>>(&'a self) -> Result<T, CallError> {
        let reply: Reply<T> = serde_json::from_str(&self.text)
            .map_err(|error| unreadable(&self.method, self.status, &error))?;
        reply.result(self.id, &self.method)
    }
}

/// What a body with this status means that cannot be read as an answer to `asked`.
pub(super) fn unreadable(asked: &str, status: StatusCode, error: &impl ToString) -> CallError {
    let error = words(&error.to_string());
    let detail = format!("{asked}: HTTP {}, {error}", status.as_u16());
    if status.is_server_error() {
        CallError::Unreachable(detail)
    } else if status.is_client_error() {
        CallError::Refused(detail)
    } else {
        CallError::Malformed(detail)
    }
}
