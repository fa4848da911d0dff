//! A thin client for bitcoind's JSON-RPC and REST: keep-alive, time limits, size limits.
//!
//! JSON-RPC: <https://github.com/bitcoin/bitcoin/blob/master/doc/JSON-RPC-interface.md>, REST:
//! <https://github.com/bitcoin/bitcoin/blob/master/doc/REST-interface.md>.

use std::error::Error as _;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use paywatch_domain::limits;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::connections::Connections;
use crate::credentials::Credentials;
use crate::error::SetupError;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Memory that is reserved on an announcement alone.
const RESERVED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Characters of a node's own words in an error.
const WORDS_CHARS_MAX: usize = 200;

/// Why a request brought no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// No answer, or one that says that there is none now.
    Unreachable(String),
    /// The node does not let us.
    Refused(String),
    /// An answer that is not what was asked for.
    Malformed(String),
    /// The node's own error, by its code.
    Node(NodeError),
}

/// An error of the node's own, codes in
/// <https://github.com/bitcoin/bitcoin/blob/master/src/rpc/protocol.h>.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct NodeError {
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl NodeError {
    /// The height, block or transaction that was asked for does not exist.
    pub(crate) const NOT_FOUND: [i64; 2] = [-5, -8];
    const METHOD_NOT_FOUND: i64 = -32601;
    const WARMING_UP: i64 = -28;
}

/// An answer to a REST request.
pub(crate) struct RestAnswer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// One call of a batch: method and parameters.
pub(crate) type Call<'a> = (&'a str, Vec<Value>);

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a [Value],
}

#[derive(Deserialize)]
struct Reply {
    id: Option<u64>,
    result: Option<Box<RawValue>>,
    error: Option<NodeError>,
}

/// Calls to one node.
pub(crate) struct Rpc {
    connections: Connections,
    url: Url,
    credentials: Credentials,
    /// User and password of the cookie file as it was last read.
    cookie: Mutex<Option<(String, String)>>,
    next_id: AtomicU64,
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rpc({})", self.place())
    }
}

impl Rpc {
    /// A client for the node at `url`.
    pub(crate) fn new(url: &str, credentials: Credentials) -> Result<Self, SetupError> {
        let refuse = |detail: &str| SetupError::Url {
            detail: detail.to_owned(),
        };
        let url = Url::parse(url).map_err(|error| refuse(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("it must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("user and password are given apart from it"));
        }
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(SetupError::TlsProvider);
        }
        let connections = Connections::new().map_err(|error| SetupError::Client {
            detail: chain_of(&error.without_url()),
        })?;
        Ok(Self {
            connections,
            url,
            credentials,
            cookie: Mutex::default(),
            next_id: AtomicU64::new(0),
        })
    }

    /// Calls one method.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[Value],
    ) -> Result<T, CallError> {
        self.call_within(method, params, ANSWER).await
    }

    /// Calls one method that may take its time.
    pub(crate) async fn call_within<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[Value],
        answer: Duration,
    ) -> Result<T, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = request(id, method, params);
        let body = to_json(&request)?;
        let reply: Reply = self.exchange(&body, answer).await?;
        result(reply, id, method)
    }

    /// Calls several methods in one request; an answer for each, in the same order.
    pub(crate) async fn batch(
        &self,
        calls: &[Call<'_>],
    ) -> Result<Vec<Result<Box<RawValue>, NodeError>>, CallError> {
        let count = u64::try_from(calls.len()).unwrap_or(u64::MAX);
        let first = self.next_id.fetch_add(count, Ordering::Relaxed);
        let requests: Vec<_> = (first..)
            .zip(calls)
            .map(|(id, (method, params))| request(id, method, params))
            .collect();
        let replies: Vec<Reply> = self.exchange(&to_json(&requests)?, ANSWER).await?;
        if replies.len() != calls.len() {
            return Err(CallError::Malformed(format!(
                "{} answers to {} calls",
                replies.len(),
                calls.len()
            )));
        }
        (first..)
            .zip(calls)
            .zip(replies)
            .map(
                |((id, (method, _)), reply)| match result(reply, id, method) {
                    Ok(raw) => Ok(Ok(raw)),
                    Err(CallError::Node(error)) => Ok(Err(error)),
                    Err(other) => Err(other),
                },
            )
            .collect()
    }

    /// Reads a REST path, at most `bytes_max` of it. Every status is an answer.
    pub(crate) async fn rest(&self, path: &str, bytes_max: usize) -> Result<RestAnswer, CallError> {
        let mut url = self.url.clone();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        url.set_path(path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let request = self.connections.next().get(url).timeout(ANSWER);
        let response = self.send(request).await?;
        Ok(RestAnswer {
            status: response.status(),
            body: self.read(response, bytes_max).await?,
        })
    }

    /// Sends a JSON body and reads the JSON answer.
    async fn exchange<T: DeserializeOwned>(
        &self,
        body: &str,
        answer: Duration,
    ) -> Result<T, CallError> {
        let mut response = self.post(body, answer).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.forget_cookie() {
            response = self.post(body, answer).await?;
        }
        let status = response.status();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(CallError::Refused(format!("HTTP {}", status.as_u16())));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                return Err(CallError::Unreachable(format!(
                    "HTTP {}: the node is busy",
                    status.as_u16()
                )));
            }
            _ => {}
        }
        let bytes = self.read(response, limits::NODE_ANSWER_BYTES_MAX).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let detail = format!("HTTP {}, {error}", status.as_u16());
            if status.is_server_error() {
                CallError::Unreachable(detail)
            } else if status.is_client_error() {
                CallError::Refused(detail)
            } else {
                CallError::Malformed(detail)
            }
        })
    }

    async fn post(&self, body: &str, answer: Duration) -> Result<Response, CallError> {
        let mut request = self
            .connections
            .next()
            .post(self.url.clone())
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .timeout(answer)
            .body(body.to_owned());
        if let Some((user, password)) = self.login().await? {
            request = request.basic_auth(user, Some(password));
        }
        self.send(request).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, CallError> {
        request.send().await.map_err(|error| self.lost(error))
    }

    /// Reads a body up to a limit.
    async fn read(&self, mut response: Response, bytes_max: usize) -> Result<Vec<u8>, CallError> {
        let announced = response.content_length().unwrap_or_default();
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        let too_large =
            || CallError::Malformed(format!("an answer of more than {bytes_max} bytes"));
        if bytes_max < announced {
            return Err(too_large());
        }
        let mut body = Vec::with_capacity(announced.min(RESERVED_BYTES_MAX));
        while let Some(part) = response.chunk().await.map_err(|error| self.lost(error))? {
            if bytes_max < body.len().saturating_add(part.len()) {
                return Err(too_large());
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    fn lost(&self, error: reqwest::Error) -> CallError {
        let detail = chain_of(&error.without_url());
        CallError::Unreachable(format!("{}: {detail}", self.place()))
    }

    /// Host and port alone: the path of a hosted node holds its key.
    fn place(&self) -> String {
        format!(
            "{}:{}",
            self.url.host_str().unwrap_or_default(),
            self.url.port_or_known_default().unwrap_or_default()
        )
    }

    async fn login(&self) -> Result<Option<(String, String)>, CallError> {
        let file = match &self.credentials {
            Credentials::None => return Ok(None),
            Credentials::User { user, password } => {
                return Ok(Some((user.clone(), password.clone())));
            }
            Credentials::CookieFile(file) => file,
        };
        let known = self.cookie().clone();
        if known.is_some() {
            return Ok(known);
        }
        let unreadable = |detail: String| {
            CallError::Unreachable(format!(
                "{detail}; bitcoind writes its cookie file at each start"
            ))
        };
        let text = tokio::fs::read_to_string(file)
            .await
            .map_err(|error| unreadable(format!("cookie file {}: {error}", file.display())))?;
        let (user, password) = text
            .trim()
            .split_once(':')
            .ok_or_else(|| unreadable(format!("cookie file {}: no colon", file.display())))?;
        let login = (user.to_owned(), password.to_owned());
        *self.cookie() = Some(login.clone());
        Ok(Some(login))
    }

    /// Forgets the cookie, so that it is read again; `false` where there was none to forget.
    fn forget_cookie(&self) -> bool {
        self.cookie().take().is_some()
    }

    fn cookie(&self) -> std::sync::MutexGuard<'_, Option<(String, String)>> {
        self.cookie.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn request<'a>(id: u64, method: &'a str, params: &'a [Value]) -> Request<'a> {
    Request {
        jsonrpc: "1.0",
        id,
        method,
        params,
    }
}

fn to_json(request: &impl Serialize) -> Result<String, CallError> {
    serde_json::to_string(request).map_err(|error| CallError::Malformed(error.to_string()))
}

/// The result of one reply, or what it says instead.
fn result<T: DeserializeOwned>(reply: Reply, id: u64, method: &str) -> Result<T, CallError> {
    if let Some(mut error) = reply.error {
        error.message = words(&error.message);
        let NodeError { code, message } = &error;
        return Err(match *code {
            NodeError::WARMING_UP => CallError::Unreachable(format!("it is starting: {message}")),
            NodeError::METHOD_NOT_FOUND => CallError::Refused(format!("it has no method {method}")),
            _ => CallError::Node(error),
        });
    }
    if reply.id != Some(id) {
        return Err(CallError::Malformed(format!(
            "{method}: an answer to another request"
        )));
    }
    let raw = reply
        .result
        .ok_or_else(|| CallError::Malformed(format!("{method}: neither result nor error")))?;
    read(&raw).map_err(|detail| CallError::Malformed(format!("{method}: {detail}")))
}

/// Reads a raw result.
pub(crate) fn read<T: DeserializeOwned>(raw: &RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|error| words(&error.to_string()))
}

/// A node's words, fit for a log line.
pub(crate) fn words(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(WORDS_CHARS_MAX)
        .collect()
}

/// An error with everything that caused it.
fn chain_of(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    words(&text)
}

#[cfg(test)]
#[path = "rpc_tests.rs"]
mod tests;
