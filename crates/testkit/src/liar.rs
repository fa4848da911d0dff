//! A server that answers as an EVM node does, and may change every answer: what real nodes cannot be made
//! to do, and what hosted ones do not offer.

use crate::{Anvil, http_client};
use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use futures_util::stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One call as it came in, and the honest reply to it: `result` or `error` beside `id`.
#[derive(Debug)]
pub struct Exchange {
    /// What was called.
    pub method: String,
    /// With what.
    pub params: Value,
    /// The whole reply.
    pub reply: Value,
    /// Whether it came with others.
    pub in_batch: bool,
}

impl Exchange {
    /// Another result.
    pub fn with_result(mut self, result: Value) -> Value {
        self.reply["result"] = result;
        self.reply
    }

    /// An error.
    pub fn with_error(self, code: i64, message: &str) -> Value {
        error(&self.reply["id"], code, message)
    }
}

/// What is answered.
#[derive(Debug)]
pub enum Told {
    /// The reply to a call, as the node or the lie has it; `null` is left out of a batch.
    Reply(Value),
    /// A whole answer: status, a header, body.
    Whole(u16, Option<(&'static str, &'static str)>, Vec<u8>),
    /// An answer that does not end: a space after each pause.
    Trickle(Duration),
}

impl From<Value> for Told {
    fn from(reply: Value) -> Self {
        Self::Reply(reply)
    }
}

/// What answers without a node: the result of a method; nothing for one that is not there.
type Script = Box<dyn Fn(&str, &Value) -> Option<Value> + Send + Sync>;
type Lie = Box<dyn Fn(Exchange) -> Told + Send + Sync>;

/// Where honest replies come from.
enum Origin {
    Node(reqwest::Client, String),
    Script(Script),
}

struct Inner {
    origin: Origin,
    lie: Lie,
    asked: Mutex<Vec<String>>,
}

/// A server whose replies may be lies; gone when it is dropped.
#[derive(Debug)]
pub struct Liar {
    url: String,
    inner: Arc<Inner>,
    server: JoinHandle<std::io::Result<()>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

impl Liar {
    /// A server before a node, whose replies pass through `lie`.
    pub async fn start<T: Into<Told>>(
        node: &Anvil,
        lie: impl Fn(Exchange) -> T + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::before(&node.url(), lie).await
    }

    /// The same before whatever answers at an address.
    pub async fn before<T: Into<Told>>(
        url: &str,
        lie: impl Fn(Exchange) -> T + Send + Sync + 'static,
    ) -> Result<Self> {
        let origin = Origin::Node(http_client()?, url.to_owned());
        Self::serve(origin, Box::new(move |exchange| lie(exchange).into())).await
    }

    /// A server without a node: the results of a script pass through `lie`.
    pub async fn scripted<T: Into<Told>>(
        script: impl Fn(&str, &Value) -> Option<Value> + Send + Sync + 'static,
        lie: impl Fn(Exchange) -> T + Send + Sync + 'static,
    ) -> Result<Self> {
        let origin = Origin::Script(Box::new(script));
        Self::serve(origin, Box::new(move |exchange| lie(exchange).into())).await
    }

    /// A server before a node that has no method whose name begins with one of these, as most hosted
    /// endpoints have no traces.
    pub async fn without(node: &Anvil, prefixes: &'static [&'static str]) -> Result<Self> {
        let refuse = move |exchange: Exchange| {
            let is_missing = |prefix: &&str| exchange.method.starts_with(prefix);
            if prefixes.iter().any(is_missing) {
                return exchange.with_error(-32601, "the method is not available");
            }
            exchange.reply
        };
        Self::start(node, refuse).await
    }

    async fn serve(origin: Origin, lie: Lie) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let inner = Arc::new(Inner {
            origin,
            lie,
            asked: Mutex::default(),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, inner, server })
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The methods that were asked for since this was last asked.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.inner.asked())
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response<Body> {
    let told = inner.answer(request).await;
    told.unwrap_or_else(|error| whole(502, None, error.to_string().into_bytes()))
}

impl Inner {
    fn asked(&self) -> MutexGuard<'_, Vec<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request) -> Result<Response<Body>> {
        let body = to_bytes(request.into_body(), usize::MAX).await?;
        let request: Value = serde_json::from_slice(&body)?;
        let in_batch = request.is_array();
        let calls = match request {
            Value::Array(calls) => calls,
            call => vec![call],
        };
        let mut replies = Vec::new();
        for call in calls {
            let method = call["method"].as_str().context("a method")?.to_owned();
            self.asked().push(method.clone());
            let exchange = Exchange {
                method,
                params: call["params"].clone(),
                reply: self.origin.reply(&call).await?,
                in_batch,
            };
            match (self.lie)(exchange) {
                Told::Reply(Value::Null) => {}
                Told::Reply(reply) => replies.push(reply),
                Told::Whole(status, header, body) => return Ok(whole(status, header, body)),
                Told::Trickle(pause) => return Ok(trickle(pause)),
            }
        }
        let body = match (in_batch, replies.pop()) {
            (false, Some(reply)) => reply,
            (_, last) => {
                // Batches may be answered in any order.
                let replies = replies.into_iter().chain(last).rev();
                replies.collect()
            }
        };
        Ok(whole(200, None, body.to_string().into_bytes()))
    }
}

impl Origin {
    async fn reply(&self, call: &Value) -> Result<Value> {
        match self {
            Self::Node(client, url) => {
                let asked = client.post(url).header("content-type", "application/json");
                let answer = asked.body(call.to_string()).send().await?;
                serde_json::from_slice(&answer.bytes().await?).context("a node answers JSON")
            }
            Self::Script(script) => {
                let (id, method) = (&call["id"], call["method"].as_str().unwrap_or_default());
                Ok(match script(method, &call["params"]) {
                    Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                    None => error(id, -32601, "the method is not available"),
                })
            }
        }
    }
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    let error = json!({"code": code, "message": message});
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}

fn whole(
    status: u16,
    header: Option<(&'static str, &'static str)>,
    body: Vec<u8>,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    if let Some((name, value)) = header {
        let value = axum::http::HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn trickle(pause: Duration) -> Response<Body> {
    let spaces = stream::unfold((), move |()| async move {
        crate::sleep(pause).await;
        Some((Ok::<_, Infallible>(" "), ()))
    });
    Response::new(Body::from_stream(spaces))
}
