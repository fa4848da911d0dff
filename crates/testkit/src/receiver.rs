//! A merchant's webhook receiver that keeps what it gets and misbehaves on demand.

use crate::eventually;
use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use bytes::Bytes;
use futures_util::stream;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One body must fit, however large a test makes it.
const BODY_LIMIT_BYTES: usize = 64 << 20;
/// Size of a piece of a large or slow answer.
const PIECE_BYTES: usize = 1024;

/// How the receiver answers.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// 200 with a short text.
    Accept,
    /// This status code with these headers, such as `("retry-after", "30")`.
    Status(u16, Vec<(String, String)>),
    /// No answer at all, until the sender gives up.
    Hang,
    /// 200 after a pause.
    Slow(Duration),
    /// 302 to this address.
    Redirect(String),
    /// 200 with a body of so many bytes.
    BigBody(usize),
    /// 200 at once, then one small piece of the body after each pause, without an end.
    EndlessBody(Duration),
    /// One behaviour per request, in order; [`Behaviour::Accept`] when they are used up.
    Script(Vec<Behaviour>),
}

impl Behaviour {
    /// A status code without further headers.
    pub fn status(code: u16) -> Self {
        Self::Status(code, Vec::new())
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method, in capitals.
    pub method: String,
    /// The path, with the query if there is one.
    pub path: String,
    /// The headers; names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub body: Bytes,
    /// When the whole request had arrived.
    pub at: Instant,
}

impl Received {
    /// A header by its name in small letters; empty when it was not sent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the body of a webhook is JSON")
    }
}

/// The receiver. It ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    requests: Vec<Received>,
    everywhere: VecDeque<Behaviour>,
    by_path: HashMap<String, VecDeque<Behaviour>>,
}

impl Receiver {
    /// Starts a receiver on a free port that accepts everything.
    pub async fn start() -> Result<Self> {
        Self::start_at(0).await
    }

    /// Starts a receiver on a given port: the merchant comes back after a failure.
    pub async fn start_at(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("listen on port {port}"))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Mutex::new(Shared {
            requests: Vec::new(),
            everywhere: VecDeque::new(),
            by_path: HashMap::new(),
        }));
        let router = Router::new()
            .fallback(receive)
            .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            port,
            shared,
            server,
        })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sets the behaviour for every path that has none of its own.
    pub fn set(&self, behaviour: Behaviour) {
        self.lock().everywhere = queue(behaviour);
    }

    /// Sets the behaviour for one path.
    pub fn set_for(&self, path: &str, behaviour: Behaviour) {
        self.lock()
            .by_path
            .insert(path.to_owned(), queue(behaviour));
    }

    /// All requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<Received> {
        self.lock().requests.clone()
    }

    /// The requests to one path.
    pub fn requests_to(&self, path: &str) -> Vec<Received> {
        self.requests()
            .into_iter()
            .filter(|request| request.path == path)
            .collect()
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        self.lock().requests.clear();
    }

    /// Waits until there are `count` requests in all.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> Result<Vec<Received>> {
        self.wait_until(&format!("{count} webhooks"), limit, |requests| {
            requests.len() >= count
        })
        .await
    }

    /// Waits until the requests so far satisfy a condition.
    pub async fn wait_until(
        &self,
        what: &str,
        limit: Duration,
        condition: impl Fn(&[Received]) -> bool,
    ) -> Result<Vec<Received>> {
        let waited = eventually(what, limit, async || {
            let requests = self.requests();
            Ok(condition(&requests).then_some(requests))
        });
        waited
            .await
            .with_context(|| format!("{} webhooks arrived", self.requests().len()))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A script is consumed; any other behaviour stays.
fn queue(behaviour: Behaviour) -> VecDeque<Behaviour> {
    match behaviour {
        Behaviour::Script(steps) => steps.into_iter().chain([Behaviour::Accept]).collect(),
        other => VecDeque::from([other]),
    }
}

/// The next behaviour of a queue; the last one stays.
fn next(queue: &mut VecDeque<Behaviour>) -> Option<Behaviour> {
    if queue.len() > 1 {
        queue.pop_front()
    } else {
        queue.front().cloned()
    }
}

async fn receive(
    State(shared): State<Arc<Mutex<Shared>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    let headers = headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let behaviour = {
        let mut shared = lock(&shared);
        let request = Received {
            method: method.to_string(),
            path,
            headers,
            body,
            at: Instant::now(),
        };
        let own = shared.by_path.get_mut(&request.path).and_then(next);
        let behaviour = own.or_else(|| next(&mut shared.everywhere));
        shared.requests.push(request);
        behaviour.unwrap_or(Behaviour::Accept)
    };
    answer(behaviour).await
}

async fn answer(behaviour: Behaviour) -> Response<Body> {
    let ok = |body: Body| Response::new(body);
    match behaviour {
        // A script inside a script has no meaning of its own.
        Behaviour::Accept | Behaviour::Script(_) => ok(Body::from("thank you")),
        Behaviour::Status(code, headers) => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            headers
                .into_iter()
                .fold(
                    Response::builder().status(status),
                    |builder, (name, value)| builder.header(name, value),
                )
                .body(Body::from("told to answer so"))
                .unwrap_or_else(|error| ok(Body::from(error.to_string())))
        }
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Slow(pause) => {
            tokio::time::sleep(pause).await;
            ok(Body::from("late, but thank you"))
        }
        Behaviour::Redirect(target) => Response::builder()
            .status(StatusCode::FOUND)
            .header(header::LOCATION, target)
            .body(Body::empty())
            .unwrap_or_else(|error| ok(Body::from(error.to_string()))),
        Behaviour::BigBody(size) => ok(Body::from(vec![b'x'; size])),
        Behaviour::EndlessBody(pause) => ok(endless(pause)),
    }
}

/// A body that never ends: one piece after each pause.
fn endless(pause: Duration) -> Body {
    Body::from_stream(stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; PIECE_BYTES])),
            (),
        ))
    }))
}
