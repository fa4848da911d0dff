//! A server between a source and its node that may change every answer.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use paywatch_testkit::{Anvil, http_client};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One call as it came in, and the reply of the node to it: `result` or `error` beside `id`.
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) params: Value,
    pub(crate) reply: Value,
    /// Whether it came with others.
    pub(crate) in_batch: bool,
}

impl Exchange {
    pub(crate) fn with_result(mut self, result: Value) -> Value {
        self.reply["result"] = result;
        self.reply
    }

    pub(crate) fn with_error(self, code: i64, message: &str) -> Value {
        let error = json!({"code": code, "message": message});
        json!({"jsonrpc": "2.0", "id": self.reply["id"], "error": error})
    }
}

/// What is answered.
pub(crate) enum Told {
    /// The reply to a call, as the node or the lie has it; `null` is left out of a batch.
    Reply(Value),
    /// A whole answer: status, a header, body.
    Whole(u16, Option<(&'static str, &'static str)>, Vec<u8>),
}

impl From<Value> for Told {
    fn from(reply: Value) -> Self {
        Self::Reply(reply)
    }
}

/// A server that asks a real node and may lie about each reply; gone when it is dropped.
pub(crate) struct Liar {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Liar {
    /// Starts a server whose replies pass through `lie`.
    pub(crate) async fn start<T: Into<Told>>(
        node: &Anvil,
        lie: impl Fn(Exchange) -> T + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (client, target, lie) = (http_client()?, node.url(), Arc::new(lie));
        let record = Arc::clone(&asked);
        let router = Router::new().fallback(move |request: Request| {
            let (client, target, lie) = (client.clone(), target.clone(), Arc::clone(&lie));
            let record = Arc::clone(&record);
            async move {
                let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
                let request: Value = serde_json::from_slice(&body).unwrap();
                let in_batch = request.is_array();
                let calls = match request {
                    Value::Array(calls) => calls,
                    call => vec![call],
                };
                let mut replies = Vec::new();
                for call in calls {
                    let method = call["method"].as_str().unwrap().to_owned();
                    record.lock().unwrap().push(method.clone());
                    let asked = client
                        .post(&target)
                        .header("content-type", "application/json");
                    let answer = asked.body(call.to_string()).send().await.unwrap();
                    let exchange = Exchange {
                        method,
                        params: call["params"].clone(),
                        reply: serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap(),
                        in_batch,
                    };
                    match lie(exchange).into() {
                        Told::Reply(Value::Null) => {}
                        Told::Reply(reply) => replies.push(reply),
                        Told::Whole(status, header, body) => return whole(status, header, body),
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
                whole(200, None, body.to_string().into_bytes())
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Ok(Self { url, asked, server })
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The methods that were asked for since this was last asked.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn whole(
    status: u16,
    header: Option<(&'static str, &'static str)>,
    body: Vec<u8>,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
