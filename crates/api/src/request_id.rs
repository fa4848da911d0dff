//! The id that follows one request through answer, log, events and attempts.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use paywatch_domain::{Entropy, RequestId};

/// The header that carries it in and out.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters that are taken over from a client.
const CHARS_MAX: usize = 128;

/// The id of the request under way.
#[derive(Clone, Debug)]
pub struct CurrentRequest(pub Arc<str>);

impl CurrentRequest {
    /// The client's id where it is short and visible ASCII, else a new one.
    pub(crate) fn of(headers: &HeaderMap, entropy: &mut dyn Entropy) -> Self {
        let given = headers
            .get(X_REQUEST_ID)
            .and_then(|value| value.to_str().ok());
        let usable = given.filter(|text| {
            let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
            visible && (1..=CHARS_MAX).contains(&text.len())
        });
        Self(match usable {
            Some(text) => text.into(),
            None => RequestId::random(entropy).to_string().into(),
        })
    }

    /// The header of the answer.
    pub(crate) fn header(&self) -> HeaderValue {
        // Both kinds of ids are visible ASCII, so this never falls back.
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("invalid"))
    }
}
