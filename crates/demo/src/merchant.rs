//! The merchant's backend: it takes webhooks, verifies each of them, and keeps what it learned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::signature::Signed;

/// What the backend knows of one invoice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Requests about it, attempts of the same event counted each time.
    pub(crate) received: usize,
    /// The type of each verified event, by the invoice's version.
    pub(crate) types: BTreeMap<u64, String>,
}

/// Everything that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// By invoice.
    pub(crate) invoices: BTreeMap<String, Told>,
    /// The ids of all verified events.
    pub(crate) verified: BTreeSet<String>,
    /// Why requests were not believed.
    pub(crate) refused: Vec<String>,
}

#[derive(Default)]
struct Shared {
    secret: String,
    ledger: Ledger,
}

/// The running backend.
#[derive(Clone)]
pub(crate) struct Merchant {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

impl Merchant {
    /// Starts it on a free port. It believes nobody until it knows the secret.
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("listen for webhooks")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let router = Router::new()
            .route("/webhooks", post(receive))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { port, shared })
    }

    /// Where webhooks are sent to.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhooks", self.port)
    }

    /// Takes the secret that was shown when the endpoint was registered.
    pub(crate) fn trust(&self, secret: &str) {
        secret.clone_into(&mut lock(&self.shared).secret);
    }

    /// What it knows now.
    pub(crate) fn ledger(&self) -> Ledger {
        lock(&self.shared).ledger.clone()
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(
    State(shared): State<Arc<Mutex<Shared>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    };
    let signed = Signed {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signatures: header("webhook-signature"),
        body: &body,
    };
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut shared = lock(&shared);
    let verdict = signed.verify(&shared.secret, now_s);
    match verdict.and_then(|()| note(&mut shared.ledger, signed.id, &body)) {
        Ok(()) => (StatusCode::NO_CONTENT, ""),
        Err(reason) => {
            shared
                .ledger
                .refused
                .push(format!("{}: {reason}", signed.id));
            (StatusCode::BAD_REQUEST, reason)
        }
    }
}

/// Keeps a verified event. The same event may come twice: its id tells.
fn note(ledger: &mut Ledger, id: &str, body: &[u8]) -> Result<(), &'static str> {
    let event: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
    let kind = event["type"].as_str().ok_or("the event has no type")?;
    if event["id"].as_str() != Some(id) {
        return Err("header and body name two events");
    }
    ledger.verified.insert(id.to_owned());
    let invoice = &event["data"]["invoice"];
    if let (Some(invoice), Some(version)) = (invoice["id"].as_str(), invoice["version"].as_u64()) {
        let told = ledger.invoices.entry(invoice.to_owned()).or_default();
        told.received += 1;
        told.types.insert(version, kind.to_owned());
    }
    Ok(())
}
