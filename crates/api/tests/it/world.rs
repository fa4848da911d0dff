//! A merchant with keys, a chain that was read, and the router in front of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use futures_util::future::join;
use http::{HeaderMap, Method, Request, StatusCode};
use paywatch_api::{ApiKeyText, ApiState, Grant, Meter, Rate, Scope, router};
use paywatch_chain::Derivation;
use paywatch_chain_bitcoin::{BitcoinDerivation, Network};
use paywatch_chain_solana::SolanaDerivation;
use paywatch_domain::{
    Amount, Asset, AssetKind, BlockHash, BlockRef, Catalogue, ChainName, ChainSpec, Clock,
    Commitment, Entropy, Family, Finality, MerchantId, Mode, UnixMillis,
};
use paywatch_engine::commands::{CommandParts, Commands};
use paywatch_engine::high_water::HighWaterFolder;
use paywatch_store::api_keys::{self, NewApiKey};
use paywatch_store::chains::{News, Problem};
use paywatch_store::{
    MasterKey, Options, Store, StoreError, Tx, Unit, chain_endpoints, chains, merchants, migrate,
};
use paywatch_testkit::Postgres;
use paywatch_wire::request::NamedPolicies;
use paywatch_wire::{ChainEndpoint, ChainProblem};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tower::ServiceExt;

pub(crate) const NOW: UnixMillis = UnixMillis(1_796_117_400_000);

/// How often a key may ask: much more often than any other test does.
pub(crate) const RATE: Rate = Rate {
    per_second: 10,
    burst: 400,
};

/// The chain that the process under test follows by itself.
pub(crate) const FOLLOWED: &str = "bitcoin-regtest";

fn master() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

/// A clock that stands still until it is moved.
pub(crate) struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }
}

/// Counts, so that every run is the same and no two draws are.
struct Counting(u64);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let mixed = self.0 ^ (self.0 >> 29);
            piece.copy_from_slice(&mixed.to_be_bytes()[..piece.len()]);
        }
    }
}

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) store: Store,
    /// The database, for changes behind the store's back.
    pub(crate) url: String,
    pub(crate) clock: Arc<SetClock>,
    /// Whether `/metrics` panics.
    pub(crate) metrics_panic: Arc<AtomicBool>,
    entropy: Counting,
    /// Test mode, every scope.
    pub(crate) key: String,
    /// Live mode, every scope.
    pub(crate) live_key: String,
    _folder: TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        Self {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).expect("UTF-8"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect(&self.text)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("visible"))
    }

    /// Asserts a problem of this status and code, and what every problem has.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(problem["code"], code, "{}", self.text);
        assert_eq!(problem["status"], status);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        assert!(!problem["detail"].as_str().expect("a sentence").is_empty());
        problem
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json()
    }
}

pub(crate) fn chain(name: &str, network: Network) -> ChainSpec {
    let name: ChainName = name.parse().expect("a name");
    ChainSpec {
        caip2: network.caip2().into(),
        family: Family::Bitcoin,
        mode: if network.is_test() {
            Mode::Test
        } else {
            Mode::Live
        },
        enabled: true,
        finality: Finality::Depth(2),
        reorg_depth_max: 100,
        lag_ms_max: 3_600_000,
        assets: vec![Asset {
            name: format!("btc@{name}").parse().expect("a name"),
            kind: AssetKind::Native,
            decimals: 8,
            dust: Amount::from_atomic(546),
            caip19: format!("{}/slip44:{}", network.caip2(), network.coin_type()).into(),
        }],
        name,
    }
}

/// A chain of another family.
fn solana() -> ChainSpec {
    let bitcoin = chain("bitcoin-regtest", Network::Regtest);
    ChainSpec {
        name: "solana-local".parse().expect("a name"),
        caip2: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".into(),
        family: Family::Solana,
        finality: Finality::Commitment(Commitment::Finalized),
        assets: vec![Asset {
            name: "sol@solana-local".parse().expect("a name"),
            kind: AssetKind::Native,
            decimals: 9,
            dust: Amount::from_atomic(1),
            caip19: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/slip44:501".into(),
        }],
        ..bitcoin
    }
}

/// What makes addresses on these networks, and on further chains.
fn derivations(
    networks: [(&str, Network); 2],
    further: &[ChainSpec],
) -> BTreeMap<Family, Arc<dyn Derivation>> {
    let named = networks.map(|(name, network)| (name.parse().expect("a name"), network));
    let bitcoin: Arc<dyn Derivation> = Arc::new(BitcoinDerivation::new(named));
    let mut all = BTreeMap::from([(Family::Bitcoin, bitcoin)]);
    if !further.is_empty() {
        let named = further.iter().map(|chain| chain.name.clone());
        all.insert(Family::Solana, Arc::new(SolanaDerivation::new(named)));
    }
    all
}

struct Setup {
    merchant: MerchantId,
    networks: Vec<String>,
    expires_at: Option<UnixMillis>,
    keys: Vec<(ApiKeyText, Vec<Scope>)>,
}

impl Unit for Setup {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "setup";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let merchant = merchants::ensure(tx, self.merchant, "Shop", NOW).await?;
        for (key, scopes) in &self.keys {
            let scopes: Vec<String> = scopes.iter().map(|scope| scope.as_str().into()).collect();
            let key = NewApiKey {
                id: key.id(),
                merchant,
                mode: key.mode(),
                seal: key.seal(
                    &master(),
                    &Grant {
                        merchant: self.merchant,
                        scopes: &scopes,
                        networks: &self.networks,
                        expires_at: self.expires_at,
                    },
                ),
                scopes,
                networks: self.networks.clone(),
                expires_at: self.expires_at,
                label: "test".into(),
                now: NOW,
            };
            api_keys::insert(tx, &key).await?;
        }
        Ok(())
    }
}

/// Says that a chain is halted and its node is away, in words of the installation.
struct Trouble(ChainName);

impl Unit for Trouble {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "trouble";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let lease = chains::claim(tx, &self.0, "test", NOW, 60_000).await?;
        let fence = lease.expect("nobody else follows").fence;
        let problem = Problem {
            code: "node_unreachable".into(),
            text: "node.internal refused".into(),
        };
        let news = News {
            problem: Some(problem),
            ..News::default()
        };
        chains::report(tx, &self.0, fence, &news, NOW).await?;
        let endpoint = ChainEndpoint {
            endpoint: "node.internal:8332".into(),
            condition: "lost".into(),
            leading: true,
            resting: true,
            version: None,
            offers: None,
            tip_height: Some(812),
            lag_blocks: Some(0),
            errors: 3,
            last_error: Some(ChainProblem {
                code: "node_unreachable".into(),
                detail: "node.internal refused".into(),
            }),
        };
        chain_endpoints::show(tx, &self.0, fence, &[endpoint]).await?;
        chains::halt(tx, &self.0, fence, "/var/cookie is gone").await
    }
}

/// Says that a chain was read up to a block, a moment ago.
struct ReadChain(ChainName);

impl Unit for ReadChain {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "read_chain";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let lease = chains::claim(tx, &self.0, "test", NOW, 60_000).await?;
        let fence = lease.expect("nobody else follows").fence;
        let block = BlockRef {
            height: 812,
            hash: BlockHash::new("00aa"),
        };
        chains::advance(tx, &self.0, fence, None, &block, NOW).await?;
        chains::cover(tx, &self.0, fence, NOW, 812).await
    }
}

struct Revoke(ApiKeyText);

impl Unit for Revoke {
    type Output = bool;
    type Error = StoreError;
    const NAME: &'static str = "revoke";

    async fn run(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        api_keys::revoke(tx, self.0.id(), NOW).await
    }
}

/// Runs a test on a fresh world over SQLite.
pub(crate) async fn run(body: impl AsyncFnOnce(&mut World)) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("paywatch.db").display());
    drive(&url, folder, &[], body).await;
}

/// Runs a test on a fresh world over SQLite, with a chain of Solana that nobody has read yet.
pub(crate) async fn run_with_solana(body: impl AsyncFnOnce(&mut World)) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("paywatch.db").display());
    drive(&url, folder, &[solana()], body).await;
}

/// Runs a test on a fresh world over SQLite, and then on one over Postgres, where units run at the
/// same time.
pub(crate) async fn run_on_both(body: impl AsyncFn(&mut World)) {
    run(&body).await;
    let server = Postgres::start().await.expect("Postgres");
    let url = server.create_database().await.expect("a database");
    let folder = tempfile::tempdir().expect("a folder");
    drive(&url, folder, &[], &body).await;
}

/// Runs a test with the writer of its store beside it.
async fn drive(
    url: &str,
    folder: TempDir,
    further: &[ChainSpec],
    body: impl AsyncFnOnce(&mut World),
) {
    migrate(url, NOW).await.expect("migrated");
    let (store, writer) = Store::open(url, Options::default()).await.expect("opened");
    let (stop, stopped) = oneshot::channel::<()>();
    let test = async move {
        let mut world = World::new(url, store, folder, further).await;
        body(&mut world).await;
        drop(world);
        drop(stop);
    };
    let shutdown = async move {
        let _ = stopped.await;
    };
    join(test, writer.run(shutdown)).await;
}

impl World {
    async fn new(url: &str, store: Store, folder: TempDir, further: &[ChainSpec]) -> Self {
        let networks = [
            ("bitcoin-regtest", Network::Regtest),
            ("bitcoin", Network::Mainnet),
        ];
        let bitcoin = networks.map(|(name, network)| chain(name, network));
        let chains = bitcoin.into_iter().chain(further.iter().cloned());
        let catalogue = Arc::new(Catalogue::new(chains));
        let master = Arc::new(master());
        let commands = Commands::new(CommandParts {
            store: store.clone(),
            catalogue: Arc::clone(&catalogue),
            derivations: derivations(networks, further),
            policies: NamedPolicies::default(),
            rates: Arc::default(),
            master: Arc::clone(&master),
            high_water: Arc::new(
                HighWaterFolder::open(&folder.path().join("marks")).expect("a folder"),
            ),
            url_check: Arc::new(|url| {
                let local = url.contains("localhost");
                if local {
                    Err("private addresses are not sent to".into())
                } else {
                    Ok(())
                }
            }),
        });
        let clock = Arc::new(SetClock(AtomicI64::new(NOW.0)));
        let metrics_panic = Arc::new(AtomicBool::new(false));
        let panics = Arc::clone(&metrics_panic);
        let state = ApiState {
            commands,
            store: store.clone(),
            catalogue,
            followed: Arc::from([FOLLOWED.parse().expect("a name")]),
            master,
            clock: Arc::<SetClock>::clone(&clock),
            entropy: Arc::new(Mutex::new(Counting(1))),
            meter: Arc::new(Meter::new(RATE)),
            proxies: Arc::from(["10.0.0.0/8".parse().expect("a network")]),
            render_metrics: Arc::new(move || {
                assert!(!panics.load(Ordering::SeqCst), "boom");
                "pw_build_info 1\n".into()
            }),
        };
        for (name, _) in networks {
            let name = name.parse().expect("a name");
            store.write(ReadChain(name)).await.expect("written");
        }
        let mut world = Self {
            router: router(state),
            store,
            url: url.to_owned(),
            clock,
            metrics_panic,
            entropy: Counting(2),
            key: String::new(),
            live_key: String::new(),
            _folder: folder,
        };
        world.key = world.new_key(Mode::Test, &Scope::ALL).await;
        world.live_key = world.new_key(Mode::Live, &Scope::ALL).await;
        world
    }

    /// A key of the merchant with these scopes.
    pub(crate) async fn new_key(&mut self, mode: Mode, scopes: &[Scope]) -> String {
        self.key_of(1, mode, scopes).await
    }

    /// A key of another merchant of the test mode, with every scope.
    pub(crate) async fn foreign_key(&mut self) -> String {
        self.key_of(2, Mode::Test, &Scope::ALL).await
    }

    async fn key_of(&mut self, merchant: u128, mode: Mode, scopes: &[Scope]) -> String {
        let key = ApiKeyText::generate(mode, &mut self.entropy);
        let text = key.reveal().to_owned();
        let (merchant, keys) = (
            MerchantId::from_bits(merchant),
            vec![(key, scopes.to_vec())],
        );
        let (networks, expires_at) = (Vec::new(), None);
        let setup = Setup {
            merchant,
            networks,
            expires_at,
            keys,
        };
        self.store.write(setup).await.expect("written");
        text
    }

    /// A key that may be used from some networks alone, and up to a time.
    pub(crate) async fn bound_key(
        &mut self,
        networks: &[&str],
        expires_at: Option<UnixMillis>,
    ) -> String {
        let key = ApiKeyText::generate(Mode::Test, &mut self.entropy);
        let text = key.reveal().to_owned();
        let setup = Setup {
            merchant: MerchantId::from_bits(1),
            networks: networks.iter().map(ToString::to_string).collect(),
            expires_at,
            keys: vec![(key, Scope::ALL.to_vec())],
        };
        self.store.write(setup).await.expect("written");
        text
    }

    /// What is stored of a key.
    pub(crate) async fn stored_key(&self, text: &str) -> api_keys::ApiKey {
        let id = ApiKeyText::parse(text).expect("a key").id();
        let mut conn = self.store.read().await.expect("a connection");
        let key = api_keys::by_id(&mut conn, id).await.expect("read");
        key.expect("it is there")
    }

    pub(crate) async fn revoke(&self, key: &str) {
        let key = ApiKeyText::parse(key).expect("a key");
        assert!(self.store.write(Revoke(key)).await.expect("written"));
    }

    /// Halts a chain whose node is away.
    pub(crate) async fn halt(&self, chain: &str) {
        let chain = chain.parse().expect("a name");
        self.store.write(Trouble(chain)).await.expect("written");
    }

    /// Changes the database as somebody does who can write to it and has nothing else; answers how
    /// many rows that were.
    pub(crate) async fn tamper(&self, sql: &str) -> u64 {
        let file = self.url.strip_prefix("sqlite:").expect("a SQLite file");
        let options = SqliteConnectOptions::new().filename(file);
        let mut conn = SqliteConnection::connect_with(&options)
            .await
            .expect("opened");
        let done = sqlx::query(AssertSqlSafe(sql))
            .execute(&mut conn)
            .await
            .expect("changed");
        done.rows_affected()
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(crate) fn advance_ms(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sends any request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        Answer::read(response).await
    }

    pub(crate) fn request(&self, method: Method, path: &str, body: &str) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .expect("a request")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, "")).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(self.request(Method::POST, path, body)).await
    }

    /// A POST with more headers; a later header replaces an earlier one of its name.
    pub(crate) async fn post_with(
        &self,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.request(Method::POST, path, body);
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().expect("a name");
            request
                .headers_mut()
                .insert(name, value.parse().expect("a value"));
        }
        self.send(request).await
    }

    /// A confirmed wallet of the test mode; its id.
    pub(crate) async fn wallet(&self) -> String {
        let body = format!(r#"{{"chain_family":"bitcoin","key":"{TPUB}"}}"#);
        let wallet = self.post("/v1/wallets", &body).await.is(201);
        let id = wallet["id"].as_str().expect("an id").to_owned();
        self.post(&format!("/v1/wallets/{id}/confirm"), "")
            .await
            .is(200);
        id
    }
}

/// `m/49h/1h/0h` of the phrase `abandon … about` (BIP49).
pub(crate) const TPUB: &str = "tpubDD7tXK8KeQ3YY83yWq755fHY2JW8Ha8Q765tknUM5rSvjPcGWfUppDFMpQ1ScziKfW3ZNtZvAD7M3u7bSs7HofjTD3KP3YxPK7X6hwV8Rk2";
/// `m/84h/0h/0h` of the same phrase (BIP84).
pub(crate) const ZPUB: &str = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";
