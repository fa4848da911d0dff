//! Asks one source once, within bounds of time and size.
//!
//! [`Fetch`] is the seam: [`HttpFetch`] is the real implementation.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use paywatch_domain::limits::RATE_ANSWER_BYTES_MAX;
use paywatch_webhook::egress::{Lookup, SystemLookup};
use paywatch_webhook::send::{USER_AGENT, guarded_client};
use paywatch_webhook::{Blocked, EgressRules, Guard, Transport, UrlRefused};
use reqwest::header;

use crate::Source;
use crate::error::{AnswerProblem, RatesError};

/// Asks a source. Never fails otherwise than by an [`AnswerProblem`].
pub trait Fetch: Send + Sync {
    /// The bytes of one answer; the future owns everything that it needs.
    fn fetch(&self, source: Arc<Source>) -> BoxFuture<'static, Result<Bytes, AnswerProblem>>;
}

/// The real one: every address checked, no redirects, no proxy, no cookies, no compression.
#[derive(Clone)]
pub struct HttpFetch {
    guard: Arc<Guard>,
    encrypted: reqwest::Client,
    plain: reqwest::Client,
    timeout: Duration,
}

impl std::fmt::Debug for HttpFetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpFetch").finish_non_exhaustive()
    }
}

impl HttpFetch {
    /// A client that keeps to these rules; `timeout` is for a whole answer. The binary must have installed a
    /// rustls cryptography provider before.
    ///
    /// # Errors
    /// `ClientUnavailable` without such a provider or without root certificates.
    pub fn new(rules: EgressRules, timeout: Duration) -> Result<Self, RatesError> {
        let guard = Arc::new(Guard::new(rules));
        let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
        let build = |transport| {
            guarded_client(&guard, transport, &lookup).map_err(RatesError::ClientUnavailable)
        };
        let (encrypted, plain) = (build(Transport::Encrypted)?, build(Transport::Plain)?);
        Ok(Self {
            guard,
            encrypted,
            plain,
            timeout,
        })
    }

    async fn ask(&self, source: &Source) -> Result<Bytes, AnswerProblem> {
        let client = match self.guard.check_url(&source.url) {
            Ok(Transport::Encrypted) => &self.encrypted,
            Ok(Transport::Plain) => &self.plain,
            Err(UrlRefused::Blocked(_) | UrlRefused::Scheme) => {
                return Err(AnswerProblem::RefusedAddress);
            }
            Err(UrlRefused::Malformed(_) | UrlRefused::Credentials) => {
                return Err(AnswerProblem::Unreachable);
            }
        };
        let call = client
            .get(source.url.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .headers(source.headers.clone())
            .send();
        let whole = async { read(call.await.map_err(|error| problem(&error))?).await };
        let answered = tokio::time::timeout(self.timeout, whole).await;
        answered.unwrap_or(Err(AnswerProblem::Timeout))
    }
}

impl Fetch for HttpFetch {
    fn fetch(&self, source: Arc<Source>) -> BoxFuture<'static, Result<Bytes, AnswerProblem>> {
        let fetch = self.clone();
        Box::pin(async move { fetch.ask(&source).await })
    }
}

/// The body of an answer, up to the cap; nothing beyond it is kept.
async fn read(mut response: reqwest::Response) -> Result<Bytes, AnswerProblem> {
    let status = response.status();
    if status.is_redirection() {
        return Err(AnswerProblem::Redirected);
    }
    if !status.is_success() {
        return Err(AnswerProblem::Status);
    }
    let cap = u64::try_from(RATE_ANSWER_BYTES_MAX).unwrap_or(u64::MAX);
    if response.content_length().is_some_and(|length| cap < length) {
        return Err(AnswerProblem::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| problem(&error))? {
        if RATE_ANSWER_BYTES_MAX < body.len().saturating_add(chunk.len()) {
            return Err(AnswerProblem::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// Sorts an error of the client by the types in its chain of causes.
fn problem(error: &reqwest::Error) -> AnswerProblem {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(link) = cause {
        if link.is::<Blocked>() {
            return AnswerProblem::RefusedAddress;
        }
        // An io::Error hides the error that it wraps from `source`.
        let wrapped = link
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => link.source(),
        };
    }
    AnswerProblem::Unreachable
}
