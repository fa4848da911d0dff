//! The API as the program serves it, on a port of this machine; and a server that does nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use paywatch_api::{ApiKeyText, ApiState, Grant, Meter, Rate, Scope};
use paywatch_domain::{Catalogue, Clock, UnixMillis};
use paywatch_store::api_keys::{self, NewApiKey};
use paywatch_store::{StoreError, Tx, Unit};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::numbers::{Numbers, now};
use crate::shop::{self, Cover, NOWHERE, Opened, Shop};

/// The API, with a merchant who may do everything.
pub(super) struct Served {
    address: SocketAddr,
    key: String,
    opened: Opened,
    server: JoinHandle<()>,
    drawn: AtomicU64,
}

impl Served {
    /// Serves a new database; `folder` keeps what stands outside of it.
    pub(super) async fn start(url: &str, folder: &Path) -> Result<Self> {
        let opened = Opened::open_url(url).await?;
        let spec = shop::chain()?;
        opened.store.write(Cover(spec.name.clone())).await?;
        let shop = Shop::open(&opened.store, &folder.join("marks"), NOWHERE).await?;
        let key = ApiKeyText::generate(spec.mode, &mut Numbers(31));
        opened.store.write(AddKey::of(&shop, &key)).await?;
        let state = ApiState {
            commands: shop.commands(),
            store: opened.store.clone(),
            catalogue: Arc::new(Catalogue::new([spec])),
            followed: Arc::default(),
            master: shop::master(),
            clock: Arc::new(WallClock),
            entropy: Arc::new(Mutex::new(Numbers(32))),
            meter: Arc::new(Meter::new(Rate {
                per_second: 0,
                burst: 0,
            })),
            proxies: Arc::default(),
            render_metrics: Arc::new(String::new),
        };
        let (address, server) = serve(paywatch_api::router(state)).await?;
        Ok(Self {
            address,
            key: key.reveal().to_owned(),
            opened,
            server,
            drawn: AtomicU64::new(0),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// A number that was not drawn before.
    pub(super) fn draw(&self) -> u64 {
        self.drawn.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) async fn close(self) -> Result<()> {
        self.server.abort();
        let _aborted = self.server.await;
        self.opened.close().await
    }
}

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> UnixMillis {
        now()
    }
}

struct AddKey(NewApiKey);

impl AddKey {
    fn of(shop: &Shop, key: &ApiKeyText) -> Self {
        let scopes: Vec<String> = Scope::ALL.iter().map(|it| it.as_str().to_owned()).collect();
        let caller = shop.caller();
        let grant = Grant {
            merchant: caller.merchant_id,
            scopes: &scopes,
            networks: &[],
            expires_at: None,
        };
        Self(NewApiKey {
            id: key.id(),
            merchant: caller.merchant,
            mode: key.mode(),
            seal: key.seal(&shop::master(), &grant),
            scopes: scopes.clone(),
            networks: Vec::new(),
            expires_at: None,
            label: String::new(),
            now: now(),
        })
    }
}

impl Unit for AddKey {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "add_key";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        api_keys::insert(tx, &self.0).await
    }
}

/// A server that reads requests and answers each with the same bytes.
pub(super) struct Bare {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Bare {
    pub(super) async fn start(status: u16, answer: Vec<u8>) -> Result<Self> {
        let (status, answer) = (StatusCode::from_u16(status)?, Bytes::from(answer));
        let answered = move |_request: Bytes| {
            let answer = answer.clone();
            async move { (status, [(header::CONTENT_TYPE, "application/json")], answer) }
        };
        let (address, server) = serve(Router::new().fallback(answered)).await?;
        Ok(Self { address, server })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(router: Router) -> Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move {
        let _ended = axum::serve(listener, service).await;
    });
    Ok((address, server))
}
