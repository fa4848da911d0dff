//! Sends requests to one node and reads what it answers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paywatch_domain::limits;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::budget::Budget;
use super::connections::Connections;
use super::credentials::Credentials;
use super::error::{CallError, NodeError, SetupError, chain_of};
use super::message::{BatchReply, Call, Request, Version, read};
use super::pause;
use super::received::{Received, unreadable};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Memory that is reserved on an announcement alone.
const RESERVED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How to reach a node.
#[derive(Debug)]
pub struct Config {
    /// Its address, without user and password.
    pub url: String,
    /// Which version of JSON-RPC it speaks.
    pub version: Version,
    /// How it knows us.
    pub credentials: Credentials,
    /// How often it may be asked.
    pub budget: Budget,
}

/// An answer to a plain HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// What came with it.
    pub body: Vec<u8>,
}

/// Requests to one node.
pub struct Client {
    connections: Connections,
    url: Url,
    version: Version,
    credentials: Credentials,
    budget: Budget,
    /// User and password of the cookie file as it was last read.
    cookie: Mutex<Option<(String, String)>>,
    next_id: AtomicU64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.place())
    }
}

impl Client {
    /// A client for the node that `config` names. No connection is made yet.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        let refuse = |detail: &str| SetupError::Url {
            detail: detail.to_owned(),
        };
        let url = Url::parse(&config.url).map_err(|error| refuse(&error.to_string()))?;
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
            detail: chain_of(error),
        })?;
        Ok(Self {
            connections,
            url,
            version: config.version,
            credentials: config.credentials,
            budget: config.budget,
            cookie: Mutex::default(),
            next_id: AtomicU64::new(0),
        })
    }

    /// Host and port: all of the node's address that may be shown.
    pub fn place(&self) -> String {
        place_of(&self.url)
    }

    /// Calls one method.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[Value],
    ) -> Result<T, CallError> {
        self.call_within(method, params, ANSWER).await
    }

    /// Calls one method that may take its time, that of waiting for its turn included.
    pub async fn call_within<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[Value],
        answer: Duration,
    ) -> Result<T, CallError> {
        let raw = self.call_raw(method, params, answer).await?;
        read(&raw).map_err(|detail| CallError::Malformed(format!("{method}: {detail}")))
    }

    /// Calls one method; the result as the node wrote it, `null` included.
    pub async fn call_raw(
        &self,
        method: &str,
        params: &[Value],
        answer: Duration,
    ) -> Result<Box<RawValue>, CallError> {
        self.receive(method, params, answer).await?.result()
    }

    /// Calls one method, and leaves it to the caller to read the answer.
    pub async fn receive(
        &self,
        method: &str,
        params: &[Value],
        answer: Duration,
    ) -> Result<Received, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = Request::new(self.version, id, method, params);
        let (status, body) = self.exchange(&to_json(&request)?, 1, answer).await?;
        Received::with_status(body, status, id, method)
    }

    /// Calls several methods in one request; an answer for each, in the same order.
    pub async fn batch(
        &self,
        calls: &[Call<'_>],
    ) -> Result<Vec<Result<Box<RawValue>, NodeError>>, CallError> {
        let count = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        let first = self.next_id.fetch_add(u64::from(count), Ordering::Relaxed);
        let requests: Vec<_> = (first..)
            .zip(calls)
            .map(|(id, (method, params))| Request::new(self.version, id, method, params))
            .collect();
        let (status, body) = self.exchange(&to_json(&requests)?, count, ANSWER).await?;
        let replies: BatchReply =
            serde_json::from_slice(&body).map_err(|error| unreadable("a batch", status, &error))?;
        replies.results(first, calls)
    }

    /// Reads another path of the same server, at most `bytes_max` of it. Every status is an answer.
    pub async fn get(&self, path: &str, bytes_max: usize) -> Result<Answer, CallError> {
        let mut url = self.url.clone();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        url.set_path(path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let left = self.wait(1, ANSWER).await?;
        let request = self.connections.next().get(url).timeout(left);
        let response = self.send(request).await?;
        Ok(Answer {
            status: response.status(),
            body: self.read(response, bytes_max).await?,
        })
    }

    /// Sends a JSON body that holds `count` requests; the status and the body of the answer.
    async fn exchange(
        &self,
        body: &str,
        count: u32,
        answer: Duration,
    ) -> Result<(StatusCode, Vec<u8>), CallError> {
        let left = self.wait(count, answer).await?;
        let mut response = self.post(body, left).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.forget_cookie() {
            response = self.post(body, left).await?;
        }
        let status = response.status();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(CallError::Refused(format!("HTTP {}", status.as_u16())));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                return Err(self.busy(&response));
            }
            _ => {}
        }
        let body = self.read(response, limits::NODE_ANSWER_BYTES_MAX).await?;
        Ok((status, body))
    }

    /// Waits for the turn of `count` requests; what is left of the time for an answer then.
    async fn wait(&self, count: u32, answer: Duration) -> Result<Duration, CallError> {
        let began_at = Instant::now();
        self.budget.take(count, answer).await?;
        Ok(answer.saturating_sub(began_at.elapsed()))
    }

    /// Leaves the node alone for as long as it asks for.
    fn busy(&self, response: &Response) -> CallError {
        let retry_after = pause::asked(response.headers());
        if let Some(pause) = retry_after {
            self.budget.pause(pause);
        }
        CallError::Busy {
            detail: format!("HTTP {}: the node is busy", response.status().as_u16()),
            retry_after,
        }
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
        CallError::Unreachable(format!("{}: {}", self.place(), chain_of(error)))
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

    fn cookie(&self) -> MutexGuard<'_, Option<(String, String)>> {
        self.cookie.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_json(request: &impl Serialize) -> Result<String, CallError> {
    serde_json::to_string(request).map_err(|error| CallError::Malformed(error.to_string()))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;

/// Host and port of an address, which are all of it that may be shown; something that is none has no place.
pub fn place(url: &str) -> String {
    Url::parse(url).map_or_else(
        |_| "an address that cannot be read".to_owned(),
        |url| place_of(&url),
    )
}

fn place_of(url: &Url) -> String {
    format!(
        "{}:{}",
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default()
    )
}
