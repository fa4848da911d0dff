//! Webhooks to a receiver on this machine, alone and beside an endpoint that never answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use paywatch_store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::latency::{deliverer, send};
use crate::progress::say;
use crate::shop::{self, Cover, Opened, Shop};
use crate::table::{Goal, Row, per_second};

/// Events, each of another invoice.
const EVENTS: u32 = 10_000;
/// All of it takes less.
const LIMIT: Duration = Duration::from_mins(2);

/// A merchant's backend: it takes what it gets, and at another path never answers.
struct Backend {
    address: SocketAddr,
    taken: Arc<AtomicU32>,
    server: JoinHandle<()>,
}

impl Backend {
    async fn start() -> Result<Self> {
        let taken = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&taken);
        let take = move |_body: Bytes| {
            counter.fetch_add(1, Ordering::Relaxed);
            async { "ok" }
        };
        let router = Router::new()
            .route("/take", post(take))
            .route("/hang", post(std::future::pending::<&'static str>));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            taken,
            server,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// How long it takes until it has taken everything.
    async fn all_taken(&self, began: Instant) -> Result<Duration> {
        while self.taken.load(Ordering::Relaxed) < EVENTS {
            let taken = self.taken.load(Ordering::Relaxed);
            ensure!(began.elapsed() < LIMIT, "{taken} of {EVENTS} webhooks came");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(began.elapsed())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Deliveries a second, beside bare requests; and with an endpoint that hangs, beside without.
pub(crate) async fn measure() -> Result<Vec<Row>> {
    let bare = bare().await?;
    let alone = delivered(false).await?;
    let beside = delivered(true).await?;
    let [bare, alone, beside] = [bare, alone, beside].map(|took| per_second(EVENTS, took));
    let (goal, fair) = (Goal::ValueAtLeast(2_000.0), Goal::AtLeast(0.9));
    Ok(vec![
        Row::new("webhooks", "requests/s", alone, bare, goal),
        Row::new("webhooks_beside_dead", "requests/s", beside, alone, fair),
    ])
}

/// How long all deliveries take.
async fn delivered(has_dead_endpoint: bool) -> Result<Duration> {
    let backend = Backend::start().await?;
    let folder = tempfile::Builder::new()
        .prefix("paywatch-bench-")
        .tempdir()?;
    let opened = Opened::open(&folder.path().join("webhooks.sqlite")).await?;
    furnish(&opened.store, folder.path(), &backend, has_dead_endpoint).await?;
    let began = Instant::now();
    let sending = tokio::spawn(send(deliverer(&opened.store)?));
    let took = backend.all_taken(began).await;
    sending.abort();
    let _aborted = sending.await;
    opened.close().await?;
    took
}

async fn furnish(
    store: &Store,
    folder: &std::path::Path,
    backend: &Backend,
    has_dead_endpoint: bool,
) -> Result<()> {
    say(&format!("{EVENTS} invoices whose creation is told"));
    store.write(Cover(shop::chain()?.name)).await?;
    let mut shop = Shop::open(store, &folder.join("marks"), &backend.url("take")).await?;
    if has_dead_endpoint {
        shop.open_endpoint(&backend.url("hang")).await?;
    }
    for _ in 0..EVENTS {
        shop.address_to_pay(100_000).await?;
    }
    Ok(())
}

/// The same number of requests by the same client, a few at a time, with nothing behind them.
async fn bare() -> Result<Duration> {
    const AT_ONCE: u32 = 32;
    let backend = Backend::start().await?;
    let (url, body) = (backend.url("take"), Bytes::from(vec![b' '; 2_000]));
    // Which chooses a TLS provider, as each client wants one; it keeps no connection for the next request.
    drop(paywatch_testkit::http_client()?);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let left = Arc::new(AtomicU32::new(EVENTS));
    let began = Instant::now();
    for _ in 0..AT_ONCE {
        let (client, url, body) = (client.clone(), url.clone(), body.clone());
        let left = Arc::clone(&left);
        tokio::spawn(async move {
            let one =
                || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1));
            while one().is_ok() {
                if client.post(&url).body(body.clone()).send().await.is_err() {
                    return;
                }
            }
        });
    }
    backend.all_taken(began).await
}
