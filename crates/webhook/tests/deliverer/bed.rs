//! A database of either kind with a merchant, endpoints, invoices and events, and a deliverer over
//! it that sends to a receiver on this machine.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join;
use paywatch_domain::{
    Amount, Dossier, EndpointId, Entropy, EventId, EventType, Family, Finality, InvoiceId,
    MerchantId, Mode, OptionId, OptionTerms, PaymentPlace, Policy, Terms, Tolerance, UnixMillis,
    WalletId,
};
use paywatch_store::deliveries::{self, Attempt, Delivery};
use paywatch_store::endpoints::{self, NewEndpoint};
use paywatch_store::events::{self, NewEvent};
use paywatch_store::invoices::{self, NewInvoice, NewOption};
use paywatch_store::wallets::{self, NewWallet, WalletState};
use paywatch_store::{
    Cursor, EndpointKey, EndpointSecret, InvoiceKey, MasterKey, MerchantKey, Options, Store,
    StoreError, Tx, Unit, WalletKey, merchants, migrate,
};
use paywatch_testkit::{Postgres, Receiver};
use paywatch_webhook::{Deliverer, EgressRules, MonotonicClock, Sender, Settings, Step};
use tempfile::TempDir;

/// Longest wait for something that should happen at once.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
const MODE: Mode = Mode::Test;

/// Keeps the database alive.
enum Guard {
    Lite { _folder: TempDir },
    Pg { _server: Postgres },
}

/// The surroundings of one test.
pub(crate) struct Bed {
    pub(crate) store: Store,
    pub(crate) receiver: Receiver,
    /// The real time, because the verifiers look at it.
    pub(crate) now: UnixMillis,
    merchant: MerchantKey,
    wallet: WalletKey,
}

/// Bytes that never repeat and are the same in each run.
#[derive(Default)]
struct Counting(u64);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 += 1;
            let mixed = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            chunk.copy_from_slice(&mixed[..chunk.len()]);
        }
    }
}

fn master() -> Arc<MasterKey> {
    Arc::new(MasterKey::from_bytes([7; 32]))
}

/// The endpoint that asks for signatures that need no shared secret, too.
pub(crate) const ASYMMETRIC: u128 = 77;

/// The secret of every endpoint here.
pub(crate) fn secret() -> EndpointSecret {
    EndpointSecret::generate(&mut Counting(9))
}

/// Another one.
pub(crate) fn other_secret() -> EndpointSecret {
    EndpointSecret::generate(&mut Counting(8_000))
}

#[allow(
    clippy::disallowed_methods,
    reason = "the verifiers of merchants look at the real time"
)]
fn real_time() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(i64::try_from(since.as_millis()).unwrap())
}

#[allow(clippy::disallowed_methods, reason = "durations of real requests")]
fn monotonic() -> MonotonicClock {
    let start = Instant::now();
    Arc::new(move || u64::try_from(start.elapsed().as_millis()).unwrap())
}

/// Runs a test body on a fresh database with the writer beside it.
pub(crate) async fn run(is_pg: bool, body: impl AsyncFnOnce(&Bed)) {
    let (url, _guard) = if is_pg {
        let server = Postgres::start().await.unwrap();
        (
            server.create_database().await.unwrap(),
            Guard::Pg { _server: server },
        )
    } else {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("paywatch.db");
        (
            format!("sqlite:{}", path.display()),
            Guard::Lite { _folder: folder },
        )
    };
    let now = real_time();
    migrate(&url, now).await.unwrap();
    let (store, writer) = Store::open(&url, Options::default()).await.unwrap();
    let (stop, stopped) = futures_util::future::abortable(std::future::pending::<()>());
    let body = async {
        let merchant = AddMerchant { now };
        let (merchant, wallet) = store.write(merchant).await.unwrap();
        let receiver = Receiver::start().await.unwrap();
        let bed = Bed {
            store: store.clone(),
            receiver,
            now,
            merchant,
            wallet,
        };
        body(&bed).await;
        stopped.abort();
    };
    let shutdown = async move {
        let _ = stop.await;
    };
    join(body, writer.run(shutdown)).await;
}

impl Bed {
    /// A deliverer that may send to this machine.
    pub(crate) fn deliverer(&self, settings: Settings) -> Deliverer<Sender> {
        self.deliverer_to(settings, "127.0.0.0/8")
    }

    /// A deliverer that may send to one private network.
    pub(crate) fn deliverer_to(&self, settings: Settings, network: &str) -> Deliverer<Sender> {
        drop(rustls::crypto::ring::default_provider().install_default());
        let rules = EgressRules {
            networks_allowed: vec![network.parse().unwrap()],
            http_allowed: false,
        };
        let sender = Sender::new(rules, monotonic()).unwrap();
        let entropy = Box::new(Counting::default());
        Deliverer::new(self.store.clone(), master(), sender, settings, entropy)
    }

    /// Registers an endpoint at a path of the receiver.
    pub(crate) async fn endpoint(&self, number: u128, path: &str) -> EndpointKey {
        self.endpoint_sealed_for(number, path, number).await
    }

    /// Registers an endpoint whose secret was encrypted for the endpoint `sealed_for`.
    pub(crate) async fn endpoint_sealed_for(
        &self,
        number: u128,
        path: &str,
        sealed_for: u128,
    ) -> EndpointKey {
        let sealed_for = EndpointId::from_bits(sealed_for);
        let sealed = secret().seal(&master(), sealed_for, [3; 24]).unwrap();
        let endpoint = NewEndpoint {
            id: EndpointId::from_bits(number),
            merchant: self.merchant,
            mode: MODE,
            url: self.receiver.url(path),
            types: Vec::new(),
            secret: sealed,
            is_asymmetric: number == ASYMMETRIC,
            now: self.now,
        };
        self.store.write(AddEndpoint(endpoint)).await.unwrap()
    }

    /// Gives an endpoint another secret; the one before signs too until a time.
    pub(crate) async fn rotate(
        &self,
        number: u128,
        endpoint: EndpointKey,
        secret: &EndpointSecret,
        old_until: UnixMillis,
    ) {
        let id = EndpointId::from_bits(number);
        let sealed = secret.seal(&master(), id, [4; 24]).unwrap();
        let rotate = Rotate {
            endpoint,
            sealed,
            old_until,
        };
        assert!(self.store.write(rotate).await.unwrap());
    }

    /// What is stored of an endpoint.
    pub(crate) async fn stored_endpoint(&self, number: u128) -> endpoints::Endpoint {
        let mut conn = self.store.read().await.unwrap();
        let id = EndpointId::from_bits(number);
        endpoints::get(&mut conn, self.merchant, MODE, id)
            .await
            .unwrap()
            .unwrap()
    }

    /// Creates an invoice.
    pub(crate) async fn invoice(&self, number: u128) -> InvoiceKey {
        let (wallet, merchant, now) = (self.wallet, self.merchant, self.now);
        self.store
            .write(AddInvoice {
                number,
                wallet,
                merchant,
                now,
            })
            .await
            .unwrap()
    }

    /// Says an event, for all endpoints or for one. Events of an invoice are numbered from 1.
    pub(crate) async fn say(
        &self,
        number: u128,
        invoice: Option<(InvoiceKey, u64)>,
        only: Option<EndpointKey>,
        now: UnixMillis,
    ) {
        let id = EventId::from_bits(number);
        let event = NewEvent {
            id,
            merchant: self.merchant,
            mode: MODE,
            invoice: invoice.map(|(invoice, _)| invoice),
            version: invoice.map(|(_, version)| version),
            kind: if invoice.is_some() {
                EventType::Updated
            } else {
                EventType::EndpointTest
            },
            body: format!(r#"{{"id":"{id}","text":"é ✓ \" {number}"}}"#),
            created_at: now,
            only,
        };
        self.store.write(Say { event, number }).await.unwrap();
    }

    /// All deliveries, oldest first.
    pub(crate) async fn deliveries(&self) -> Vec<Delivery> {
        let mut conn = self.store.read().await.unwrap();
        let page = deliveries::page(&mut conn, self.merchant, MODE, &Cursor::Newest, 100);
        let mut rows = page.await.unwrap().rows;
        rows.reverse();
        rows
    }

    /// The deliveries of one event.
    pub(crate) async fn deliveries_of(&self, event: u128) -> Vec<Delivery> {
        let mut all = self.deliveries().await;
        all.retain(|delivery| delivery.event_id == EventId::from_bits(event));
        all
    }

    /// The attempts of a delivery.
    pub(crate) async fn attempts(&self, delivery: &Delivery) -> Vec<Attempt> {
        let mut conn = self.store.read().await.unwrap();
        deliveries::attempts(&mut conn, delivery.key).await.unwrap()
    }

    /// Which events arrived at a path, in the order of their arrival.
    pub(crate) fn arrived(&self, path: &str) -> Vec<String> {
        let requests = self.receiver.requests_to(path);
        requests
            .iter()
            .map(|request| request.header("webhook-id").to_owned())
            .collect()
    }
}

/// The ids of events as they arrive.
pub(crate) fn ids(numbers: &[u128]) -> Vec<String> {
    numbers
        .iter()
        .map(|number| EventId::from_bits(*number).to_string())
        .collect()
}

/// Steps until nothing is left to start; sends may be under way then.
pub(crate) async fn start_all(deliverer: &mut Deliverer<Sender>, now: UnixMillis) -> UnixMillis {
    loop {
        if let Step::Idle { wake_at, .. } = deliverer.step(now).await.unwrap() {
            return wake_at;
        }
    }
}

/// Steps until nothing is left to start and nothing is under way.
pub(crate) async fn settle(deliverer: &mut Deliverer<Sender>, now: UnixMillis) -> UnixMillis {
    settle_to(deliverer, now, 0).await
}

/// Steps until nothing is left to start and so many sends are under way.
pub(crate) async fn settle_to(
    deliverer: &mut Deliverer<Sender>,
    now: UnixMillis,
    under_way: usize,
) -> UnixMillis {
    let all = async {
        loop {
            let wake_at = start_all(deliverer, now).await;
            if deliverer.sends_under_way() == under_way {
                return wake_at;
            }
            deliverer.ready().await;
        }
    };
    tokio::time::timeout(LIMIT, all)
        .await
        .expect("the sends end")
}

/// Steps and waits for sends until a condition holds.
pub(crate) async fn settle_until(
    deliverer: &mut Deliverer<Sender>,
    now: UnixMillis,
    condition: impl Fn() -> bool,
) {
    let all = async {
        loop {
            start_all(deliverer, now).await;
            if condition() {
                return;
            }
            // The receiver learns of a request before the sender learns of the answer.
            let _ = tokio::time::timeout(Duration::from_millis(20), deliverer.ready()).await;
        }
    };
    tokio::time::timeout(LIMIT, all)
        .await
        .expect("the condition holds in time");
}

struct AddMerchant {
    now: UnixMillis,
}

impl Unit for AddMerchant {
    type Output = (MerchantKey, WalletKey);
    type Error = StoreError;
    const NAME: &'static str = "add_merchant";

    async fn run(&self, tx: &mut Tx) -> Result<Self::Output, StoreError> {
        let id = MerchantId::from_bits(1);
        let merchant = merchants::ensure(tx, id, "shop", self.now).await?;
        let wallet = NewWallet {
            id: WalletId::from_bits(1),
            merchant,
            mode: MODE,
            family: Family::Bitcoin,
            kind: "xpub".to_owned(),
            canonical: "tpub".to_owned(),
            node: "00".to_owned(),
            fingerprint: "00000000".to_owned(),
            label: String::new(),
            state: WalletState::Active,
            start_index: 0,
            seal: vec![1],
            now: self.now,
        };
        Ok((merchant, wallets::insert(tx, &wallet).await?))
    }
}

struct AddEndpoint(NewEndpoint);

impl Unit for AddEndpoint {
    type Output = EndpointKey;
    type Error = StoreError;
    const NAME: &'static str = "add_endpoint";

    async fn run(&self, tx: &mut Tx) -> Result<EndpointKey, StoreError> {
        endpoints::insert(tx, &self.0).await
    }
}

struct Rotate {
    endpoint: EndpointKey,
    sealed: Vec<u8>,
    old_until: UnixMillis,
}

impl Unit for Rotate {
    type Output = bool;
    type Error = StoreError;
    const NAME: &'static str = "rotate";

    async fn run(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        endpoints::rotate(tx, self.endpoint, &self.sealed, self.old_until).await
    }
}

struct AddInvoice {
    number: u128,
    wallet: WalletKey,
    merchant: MerchantKey,
    now: UnixMillis,
}

impl Unit for AddInvoice {
    type Output = InvoiceKey;
    type Error = StoreError;
    const NAME: &'static str = "add_invoice";

    async fn run(&self, tx: &mut Tx) -> Result<InvoiceKey, StoreError> {
        let dossier = dossier(self.number, self.now);
        let options = vec![NewOption {
            family: Family::Bitcoin,
            wallet: self.wallet,
            seal: vec![2],
            siblings: Vec::new(),
        }];
        let invoice = NewInvoice {
            dossier: &dossier,
            merchant: self.merchant,
            seal: &[3],
            options,
        };
        invoices::insert(tx, &invoice).await
    }
}

fn dossier(number: u128, now: UnixMillis) -> Dossier {
    let option = OptionId::from_bits(number);
    let due = Amount::from_atomic(1000_u64);
    Dossier {
        id: InvoiceId::from_bits(number),
        merchant: MerchantId::from_bits(1),
        mode: MODE,
        order_id: None,
        metadata: "{}".into(),
        terms: Terms {
            price: None,
            created_at: now,
            expires_at: now.plus_s(900),
            late_until: now.plus_s(1800),
            policy: Policy {
                name: None,
                tiers: Vec::new(),
            },
            success_url: None,
            cancel_url: None,
            options: vec![OptionTerms {
                id: option,
                asset: "btc@bitcoin-regtest".parse().unwrap(),
                decimals: 8,
                rate: None,
                due,
                minimum: due,
                maximum: due,
                tolerance: Tolerance::default(),
                dust: Amount::from_atomic(546_u64),
                finality: Finality::Depth(1),
                created_height: 0,
            }],
        },
        places: vec![PaymentPlace {
            option,
            wallet: WalletId::from_bits(1),
            address: format!("bcrt1q{number}").into(),
            key: number.to_be_bytes().into(),
            index: u32::try_from(number).unwrap(),
            path: "m/0".into(),
            caip19: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1".into(),
            payment_uri: "bitcoin:bcrt1q".into(),
        }],
        transfers: Vec::new(),
        exceptions: Vec::new(),
        decisions: Vec::new(),
        version: 0,
        said: None,
        quarantined: None,
    }
}

struct Say {
    event: NewEvent,
    number: u128,
}

impl Unit for Say {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "say";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        if let Some(invoice) = self.event.invoice {
            invoices::lock(tx, &[invoice]).await?;
        }
        let mut id = self.number << 64;
        let mut delivery_ids = move || {
            id += 1;
            id
        };
        events::append(tx, std::slice::from_ref(&self.event), &mut delivery_ids).await
    }
}
