//! Sends one signed request and says what came of it.
//!
//! [`HttpSend`] is the seam: [`Sender`] is the real implementation, a simulator has its own.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use paywatch_domain::limits::{ANSWER_BYTES_KEPT, ENDPOINT_SENDS_MAX};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use url::Url;

use crate::egress::{
    Blocked, EgressRules, Guard, GuardedResolver, Lookup, SystemLookup, Transport, UrlRefused,
};
use crate::error::WebhookError;
use crate::schedule::RetryAfter;
use crate::sign::{Signer, signature_header};

/// How long one attempt may take from the first byte sent to the answer's headers, in
/// milliseconds. Standard Webhooks advises 15 to 30 seconds.
pub const SEND_TIMEOUT_MS: u64 = 20_000;
/// How long an unused connection is kept for the next event, in milliseconds.
const IDLE_CONNECTION_MS: u64 = 30_000;
/// Unused connections kept for each host: as many as may be sending to an endpoint, so that none is made anew for
/// every event of a burst.
const IDLE_CONNECTIONS_MAX: u32 = ENDPOINT_SENDS_MAX;
/// What receivers see as the program that calls them.
pub const USER_AGENT: &str = concat!("paywatch/", env!("CARGO_PKG_VERSION"));

/// One attempt: what is sent, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where to.
    pub url: Url,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// The exact bytes of the event.
    pub body: Bytes,
    /// After this time the attempt has failed.
    pub timeout: Duration,
}

/// What identifies one attempt of one event.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The event's id, the same on every attempt: `webhook-id`.
    pub id: &'a str,
    /// The time of this attempt in Unix seconds: `webhook-timestamp`.
    pub timestamp_s: i64,
    /// The request that caused the event, if one did: `x-request-id`.
    pub request_id: Option<&'a str>,
    /// What signs, several while a secret is being rotated.
    pub signers: &'a [Signer],
}

impl Request {
    /// A signed request with every header of Standard Webhooks.
    ///
    /// # Errors
    /// `NotSignable` as in [`signature_header`].
    pub fn signed(
        url: Url,
        envelope: &Envelope<'_>,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Self, WebhookError> {
        let Envelope {
            id,
            timestamp_s,
            request_id,
            signers,
        } = *envelope;
        let signature = signature_header(id, timestamp_s, &body, signers)?;
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", USER_AGENT.to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp_s.to_string()),
            ("webhook-signature", signature),
        ];
        if let Some(request_id) = request_id {
            headers.push(("x-request-id", request_id.to_owned()));
        }
        Ok(Self {
            url,
            headers,
            body,
            timeout,
        })
    }
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// From the start to the answer or the failure, in milliseconds.
    pub duration_ms: u64,
    /// The answer, whatever its status, or why there is none.
    pub result: Result<Answer, Failure>,
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What the receiver asked for by `Retry-After`, if it is readable.
    pub retry_after: Option<RetryAfter>,
    /// The first bytes of the body, at most [`ANSWER_BYTES_KEPT`].
    pub head: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The guard refuses the address.
    #[error("{0}")]
    Blocked(Blocked),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The name does not resolve or nothing accepts the connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The encrypted connection failed, for instance for its certificate.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// A stable word for tables and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Blocked(_) => "blocked",
            Self::Timeout => "timeout",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Other(_) => "other",
        }
    }
}

/// Sends one request. Never fails otherwise than by an [`Outcome`].
pub trait HttpSend: Send + Sync {
    /// Sends `request` once; the future owns everything that it needs.
    fn send(&self, request: Request) -> BoxFuture<'static, Outcome>;
}

/// A clock that never goes back, in milliseconds from an arbitrary origin. Injected by the binary.
pub type MonotonicClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The real sender: HTTP/1.1 with TLS, every address checked, no redirects, no proxy, no cookies.
#[derive(Clone)]
pub struct Sender {
    guard: Arc<Guard>,
    encrypted: reqwest::Client,
    plain: reqwest::Client,
    clock: MonotonicClock,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

impl Sender {
    /// A sender that resolves names by the operating system. The binary must have installed a
    /// rustls cryptography provider before.
    ///
    /// # Errors
    /// `ClientUnavailable` without such a provider or without root certificates.
    pub fn new(rules: EgressRules, clock: MonotonicClock) -> Result<Self, WebhookError> {
        let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
        Self::with_lookup(rules, clock, &lookup)
    }

    /// A sender that resolves names by `lookup`.
    ///
    /// # Errors
    /// As in [`Sender::new`].
    pub fn with_lookup(
        rules: EgressRules,
        clock: MonotonicClock,
        lookup: &Arc<dyn Lookup>,
    ) -> Result<Self, WebhookError> {
        let guard = Arc::new(Guard::new(rules));
        let build = |transport| guarded_client(&guard, transport, lookup);
        // One client for each transport: a resolver does not know for which scheme it is asked.
        let (encrypted, plain) = (build(Transport::Encrypted)?, build(Transport::Plain)?);
        Ok(Self {
            guard,
            encrypted,
            plain,
            clock,
        })
    }

    /// The guard, which also checks URLs when endpoints are registered.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }
}

/// A client for one transport that connects only to addresses that the guard allows, and follows no redirects,
/// proxies and retries. URLs with a literal address must be checked before, which no resolver sees.
///
/// # Errors
/// `ClientUnavailable` without a rustls cryptography provider or without root certificates.
pub fn guarded_client(
    guard: &Arc<Guard>,
    transport: Transport,
    lookup: &Arc<dyn Lookup>,
) -> Result<reqwest::Client, WebhookError> {
    let resolver = GuardedResolver {
        guard: Arc::clone(guard),
        transport,
        lookup: Arc::clone(lookup),
    };
    reqwest::Client::builder()
        .dns_resolver(Arc::new(resolver))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .pool_idle_timeout(Duration::from_millis(IDLE_CONNECTION_MS))
        .pool_max_idle_per_host(usize::try_from(IDLE_CONNECTIONS_MAX).unwrap_or(usize::MAX))
        .build()
        .map_err(|error| WebhookError::ClientUnavailable(chain_text(&error)))
}

impl HttpSend for Sender {
    fn send(&self, request: Request) -> BoxFuture<'static, Outcome> {
        let sender = self.clone();
        Box::pin(async move {
            let started_ms = (sender.clock)();
            let result = sender.attempt(request).await;
            Outcome {
                duration_ms: (sender.clock)().saturating_sub(started_ms),
                result,
            }
        })
    }
}

impl Sender {
    async fn attempt(&self, request: Request) -> Result<Answer, Failure> {
        let client = match self.guard.check_url(&request.url) {
            Ok(Transport::Encrypted) => &self.encrypted,
            Ok(Transport::Plain) => &self.plain,
            Err(UrlRefused::Blocked(blocked)) => return Err(Failure::Blocked(blocked)),
            Err(
                refused @ (UrlRefused::Malformed(_) | UrlRefused::Scheme | UrlRefused::Credentials),
            ) => return Err(Failure::Other(refused.to_string())),
        };
        let headers = header_map(&request.headers)?;
        let call = client
            .post(request.url)
            .headers(headers)
            .body(request.body)
            .send();
        let mut answer = None;
        let reading = async {
            let response = call.await.map_err(|error| failure(&error))?;
            read(response, &mut answer).await;
            Ok(())
        };
        let finished = tokio::time::timeout(request.timeout, reading).await;
        // A status that arrived stands, even when the rest of the answer did not come in time:
        // the receiver has decided, and only the kept part of its answer is shorter.
        match (answer, finished) {
            (Some(answer), _) => Ok(answer),
            (None, Ok(Err(failure))) => Err(failure),
            (None, Ok(Ok(())) | Err(_)) => Err(Failure::Timeout),
        }
    }
}

fn header_map(headers: &[(&'static str, String)]) -> Result<HeaderMap, Failure> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let parsed = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        );
        let (Ok(key), Ok(value)) = parsed else {
            return Err(Failure::Other(format!("the header {name} cannot be sent")));
        };
        map.insert(key, value);
    }
    Ok(map)
}

/// Notes the status at once, then adds the body up to the cap; the rest is never read.
async fn read(mut response: reqwest::Response, answer: &mut Option<Answer>) {
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| RetryAfter::parse(value.to_str().ok()?));
    let status = response.status().as_u16();
    let answer = answer.insert(Answer {
        status,
        retry_after,
        head: Bytes::new(),
    });
    let mut head = Vec::new();
    while head.len() < ANSWER_BYTES_KEPT {
        // A body that breaks off changes nothing about the status.
        let Ok(Some(chunk)) = response.chunk().await else {
            break;
        };
        let room = ANSWER_BYTES_KEPT
            .saturating_sub(head.len())
            .min(chunk.len());
        head.extend_from_slice(chunk.get(..room).unwrap_or_default());
        answer.head = Bytes::copy_from_slice(&head);
    }
}

/// Sorts an error of the client by the types in its chain of causes.
fn failure(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(link) = cause {
        if let Some(blocked) = link.downcast_ref::<Blocked>() {
            return Failure::Blocked(*blocked);
        }
        if link.is::<rustls::Error>() {
            return Failure::Tls(link.to_string());
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
    if error.is_timeout() {
        Failure::Timeout
    } else if error.is_connect() {
        Failure::Connect(root_text(error))
    } else {
        Failure::Other(root_text(error))
    }
}

/// The innermost cause: the only one that names the reason and not the address.
fn root_text(error: &dyn StdError) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

fn chain_text(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(link) = cause {
        text.push_str(": ");
        text.push_str(&link.to_string());
        cause = link.source();
    }
    text
}
