//! A server between a source and its node that may change every answer.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode, header};
use paywatch_testkit::{Bitcoind, http_client};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An answer of the node: status and body.
pub(crate) type Answer = (u16, Vec<u8>);

/// What went through the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Requests; a batch is one.
    pub(crate) requests: usize,
    /// Bytes of all answers.
    pub(crate) bytes: usize,
}

/// A server that asks a real node and may lie about the answer; gone when it is dropped.
pub(crate) struct Liar {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    traffic: Arc<Mutex<Traffic>>,
    server: JoinHandle<()>,
}

impl Liar {
    /// Starts a server whose answers to each request pass through `lie`. A request is named by its
    /// RPC method (that of the first call of a batch) or its REST path.
    pub(crate) async fn start(
        node: &Bitcoind,
        lie: impl Fn(&str, Answer) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (client, target, lie) = (http_client()?, node.url(), Arc::new(lie));
        let (record, traffic) = (Arc::clone(&asked), Arc::<Mutex<Traffic>>::default());
        let counted = Arc::clone(&traffic);
        let router = Router::new().fallback(move |request: Request| {
            let (client, target, lie) = (client.clone(), target.clone(), Arc::clone(&lie));
            let (record, counted) = (Arc::clone(&record), Arc::clone(&counted));
            async move {
                let (names, answer) = forward(&client, &target, request).await.unwrap();
                let first = names[0].clone();
                record.lock().unwrap().extend(names);
                let (status, body) = lie(&first, answer);
                {
                    let mut counted = counted.lock().unwrap();
                    counted.requests += 1;
                    counted.bytes += body.len();
                }
                let mut response = Response::new(Body::from(body));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                response
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Ok(Self {
            url,
            asked,
            traffic,
            server,
        })
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// What went through since this was last asked.
    pub(crate) fn take_traffic(&self) -> Traffic {
        std::mem::take(&mut *self.traffic.lock().unwrap())
    }

    /// Every RPC call and REST path that was asked for, batches in their parts.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Asks the node; the names of what was asked and the answer.
async fn forward(
    client: &reqwest::Client,
    target: &str,
    request: Request,
) -> Result<(Vec<String>, Answer)> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    let names = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Array(calls)) => calls.iter().map(method).collect(),
        Ok(call) => vec![method(&call)],
        Err(_) => vec![head.uri.path().to_owned()],
    };
    let mut forwarded = client.request(head.method, format!("{target}{}", head.uri));
    if let Some(login) = head.headers.get(header::AUTHORIZATION) {
        forwarded = forwarded.header(header::AUTHORIZATION, login);
    }
    let answer = forwarded.body(body).send().await?;
    let status = answer.status().as_u16();
    Ok((names, (status, answer.bytes().await?.to_vec())))
}

fn method(call: &Value) -> String {
    call["method"].as_str().unwrap_or_default().to_owned()
}
