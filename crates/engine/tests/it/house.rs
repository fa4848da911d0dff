//! A house for tests: a real database, the real worker and commands, a chain in memory, and a clock that
//! the test moves.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::{BoxFuture, join};
use paywatch_chain::{
    ADDRESS_POOL, AddressPool, Derivation, DerivedAddress, KeyError, Sibling, WalletKey,
};
use paywatch_domain::{
    Amount, Asset, AssetKind, AssetName, Catalogue, ChainName, ChainSpec, Entropy, Family,
    Finality, InvoiceId, MerchantId, Mode, UnixMillis, WalletId,
};
use paywatch_engine::commands::{
    Answered, Ask, Caller, CommandError, CommandParts, Commands, Idempotent, Sight,
};
use paywatch_engine::high_water::HighWater;
use paywatch_engine::housekeeping::Housekeeper;
use paywatch_engine::worker::{ChainWorker, Pace, Parts, Step};
use paywatch_store::chains::{self, ChainRow};
use paywatch_store::{
    MasterKey, Options, Store, StoreError, Tx, Unit, events, invoices, merchants, wallets,
};
use paywatch_testkit::Postgres;
use paywatch_wire::request::{
    AttachTransaction, CheckInvoice, CreateEndpoint, NamedPolicies, Rescan, ScanWallet, decode,
};
use paywatch_wire::{ChainRequest, Invoice};
use serde_json::{Value, json};

use crate::chain::{MemoryChain, Node, asset, second_asset, token};

/// The time at which tests begin.
pub(crate) const START: i64 = 1_700_000_000_000;
/// Blocks that make a payment final here.
pub(crate) const DEPTH: u32 = 2;
/// The deepest reorganisation that is followed here.
pub(crate) const REORG_DEPTH_MAX: u64 = 70;
const POLL_MS: i64 = 1_000;

/// Counts up: no two numbers are the same, and each run makes the same ones.
struct Counting(u64);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 += 1;
            let number = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            let length = chunk.len();
            chunk.copy_from_slice(&number[..length]);
        }
    }
}

/// Somebody who sees everything.
const OPERATOR: Sight = Sight {
    whole_chains: true,
    wallets: true,
    invoices: true,
};

/// Workers so far: no two draw the same numbers.
static WORKERS: AtomicU64 = AtomicU64::new(1);

/// Addresses that say their index. Counts how many.
#[derive(Default)]
struct PlainDerivation(Arc<AtomicU64>);

impl Derivation for PlainDerivation {
    fn family(&self) -> Family {
        Family::Bitcoin
    }

    fn parse(&self, text: &str, _: bool) -> Result<WalletKey, KeyError> {
        Ok(WalletKey {
            kind: "plain",
            canonical: text.into(),
            node: format!("{:x}", text.len()),
            fingerprint: "00000000".into(),
        })
    }

    fn derive(&self, key: &str, index: u32, _: &ChainName) -> Result<DerivedAddress, KeyError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let address = format!("{key}-{index}");
        Ok(DerivedAddress {
            key: address.clone().into(),
            address,
            path: format!("m/{index}"),
        })
    }

    fn siblings(&self, key: &str, index: u32, _: &ChainName) -> Result<Vec<Sibling>, KeyError> {
        let address = format!("sibling-{key}-{index}");
        Ok(vec![Sibling {
            form: "p2tr",
            key: address.clone().into(),
            address,
        }])
    }

    /// The lines of the file, as they are.
    fn pool(&self, text: &str) -> Result<AddressPool, KeyError> {
        let addresses: Vec<String> = text.lines().map(str::to_owned).collect();
        Ok(AddressPool {
            key: WalletKey {
                kind: ADDRESS_POOL,
                canonical: format!("pool:{}", addresses[0]),
                node: format!("pool-{}", addresses[0]),
                fingerprint: "00000000".into(),
            },
            addresses,
        })
    }

    fn pooled(
        &self,
        address: &str,
        position: u32,
        _: &ChainName,
    ) -> Result<DerivedAddress, KeyError> {
        Ok(DerivedAddress {
            address: address.into(),
            key: address.into(),
            path: format!("pool/{position}"),
        })
    }

    fn payment_uri(&self, asset: &Asset, address: &str, amount: Amount) -> String {
        format!("plain:{address}?amount={}", amount.decimal(asset.decimals))
    }
}

/// Marks in memory.
#[derive(Default)]
pub(crate) struct Marks(Mutex<BTreeMap<String, u32>>);

impl HighWater for Marks {
    fn read(&self, node: &str) -> io::Result<u32> {
        Ok(self.0.lock().unwrap().get(node).copied().unwrap_or(0))
    }

    fn raise<'a>(&'a self, node: &'a str, next: u32) -> BoxFuture<'a, io::Result<()>> {
        let mut marks = self.0.lock().unwrap();
        let mark = marks.entry(node.into()).or_insert(0);
        *mark = next.max(*mark);
        Box::pin(ready(Ok(())))
    }
}

struct AddMerchant(MerchantId);

impl Unit for AddMerchant {
    type Output = paywatch_store::MerchantKey;
    type Error = StoreError;
    const NAME: &'static str = "add_merchant";

    async fn run(&self, tx: &mut Tx) -> Result<paywatch_store::MerchantKey, StoreError> {
        merchants::ensure(tx, self.0, "shop", UnixMillis(START)).await
    }
}

/// A second chain and its worker.
pub(crate) struct Second {
    pub(crate) chain: MemoryChain,
    worker: ChainWorker<MemoryChain>,
    /// Whether its worker comes before the other one.
    pub(crate) goes_first: bool,
}

pub(crate) struct House {
    pub(crate) chain: MemoryChain,
    pub(crate) store: Store,
    pub(crate) commands: Commands,
    pub(crate) caller: Caller,
    pub(crate) now: UnixMillis,
    pub(crate) url: String,
    worker: ChainWorker<MemoryChain>,
    pub(crate) second: Option<Second>,
    pub(crate) marks: Arc<Marks>,
    pub(crate) wallet: WalletId,
    /// Addresses that workers have derived.
    pub(crate) derived: Arc<AtomicU64>,
    master: Arc<MasterKey>,
    spec: ChainSpec,
    entropy: Counting,
}

/// The first chain, a second one of its family, and one of a family for which nobody has a wallet.
fn specs() -> [ChainSpec; 3] {
    let foreign = ChainSpec {
        family: Family::Evm,
        ..spec("eth@sepolia".parse().unwrap())
    };
    [spec(asset()), spec(second_asset()), foreign]
}

fn spec(asset: AssetName) -> ChainSpec {
    let token = Asset {
        name: token(asset.chain()),
        kind: AssetKind::Token("token".into()),
        decimals: 6,
        dust: paywatch_domain::Amount::from_atomic(1_000),
        caip19: "test/token:1".into(),
    };
    let asset = Asset {
        name: asset,
        kind: AssetKind::Native,
        decimals: 8,
        dust: paywatch_domain::Amount::from_atomic(546),
        caip19: "test/slip44:1".into(),
    };
    ChainSpec {
        name: asset.name.chain().clone(),
        caip2: "test".into(),
        family: Family::Bitcoin,
        mode: Mode::Test,
        enabled: true,
        finality: Finality::Depth(DEPTH),
        reorg_depth_max: REORG_DEPTH_MAX,
        lag_ms_max: 60_000,
        assets: vec![asset, token],
    }
}

/// Runs a test on a fresh SQLite file.
pub(crate) async fn on_sqlite(test: impl AsyncFnOnce(House)) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("test.sqlite").display());
    run(&url, test).await;
}

/// Runs a test on a fresh Postgres.
pub(crate) async fn on_postgres(test: impl AsyncFnOnce(House)) {
    let server = Postgres::start().await.unwrap();
    let url = server.create_database().await.unwrap();
    run(&url, test).await;
}

async fn run(url: &str, test: impl AsyncFnOnce(House)) {
    paywatch_store::migrate(url, UnixMillis(START))
        .await
        .unwrap();
    let (store, writer) = Store::open(url, Options::default()).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let body = async move {
        test(Box::pin(House::furnish(url, store)).await).await;
        drop(stop);
    };
    let stopped = async move { drop(stopped.await) };
    join(Box::pin(body), writer.run(stopped)).await;
}

impl House {
    async fn furnish(url: &str, store: Store) -> Self {
        let spec = spec(asset());
        let master = Arc::new(MasterKey::from_bytes([7; 32]));
        let marks = Arc::new(Marks::default());
        let commands = office(&store, &spec, &master, &marks);
        let merchant_id = MerchantId::from_bits(1);
        let merchant = store.write(AddMerchant(merchant_id)).await.unwrap();
        let caller = Caller {
            merchant,
            merchant_id,
            mode: Mode::Test,
            actor: "test".into(),
            request_id: "req".into(),
        };
        let chain = young_chain(&spec.name);
        let derived = Arc::new(AtomicU64::new(0));
        let worker = worker(&chain, &store, &spec, &master, (&marks, &derived), "first");
        let entropy = Counting(0);
        let now = UnixMillis(START);
        let url = url.to_owned();
        let mut house = Self {
            chain,
            store,
            commands,
            caller,
            now,
            url,
            worker,
            second: None,
            marks,
            wallet: WalletId::from_bits(0),
            derived,
            master,
            spec,
            entropy,
        };
        house.open_wallet().await;
        house.settle().await;
        house
    }

    /// Makes this what the chain itself asks for from now on.
    pub(crate) fn adopt(&mut self, finality: Finality) {
        self.spec.finality = finality;
        self.commands = office(&self.store, &self.spec, &self.master, &self.marks);
    }

    /// Goes on with another master key, as after a start with another configuration.
    pub(crate) fn replace_master(&mut self, master: MasterKey) {
        self.master = Arc::new(master);
        self.commands = office(&self.store, &self.spec, &self.master, &self.marks);
        self.worker = self.process("first");
    }

    /// Registers a webhook endpoint.
    pub(crate) async fn create_endpoint(
        &mut self,
        request: CreateEndpoint,
    ) -> Result<Answered, CommandError> {
        let (commands, caller) = (&self.commands, &self.caller);
        commands
            .create_endpoint(caller, request, None, self.now, &mut self.entropy)
            .await
    }

    async fn open_wallet(&mut self) {
        let body = json!({ "chain_family": "bitcoin", "key": "shop" }).to_string();
        let request = decode(body.as_bytes()).unwrap();
        let (commands, caller) = (&self.commands, &self.caller);
        let answer = commands
            .create_wallet(caller, request, None, self.now, &mut self.entropy)
            .await;
        let id = answer_json(answer.unwrap())["id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        self.wallet = id;
        commands
            .confirm_wallet(caller, id, None, self.now, &mut self.entropy)
            .await
            .unwrap();
    }

    /// Registers a wallet and confirms it.
    pub(crate) async fn register(&mut self, body: &Value) -> Result<Value, CommandError> {
        let request = decode(body.to_string().as_bytes()).unwrap();
        let (commands, caller) = (&self.commands, &self.caller);
        let created = commands
            .create_wallet(caller, request, None, self.now, &mut self.entropy)
            .await?;
        let id = answer_json(created)["id"].as_str().unwrap().parse();
        let confirmed = commands
            .confirm_wallet(caller, id.unwrap(), None, self.now, &mut self.entropy)
            .await?;
        Ok(answer_json(confirmed))
    }

    /// Adds the addresses of a file to a wallet's pool.
    pub(crate) async fn top_up(&mut self, wallet: &str, pool: &str) -> Result<Value, CommandError> {
        let body = json!({ "pool": pool }).to_string();
        let request = decode(body.as_bytes()).unwrap();
        let (commands, caller) = (&self.commands, &self.caller);
        let id = wallet.parse().unwrap();
        let answered = commands
            .extend_pool(caller, id, &request, None, self.now, &mut self.entropy)
            .await?;
        Ok(answer_json(answered))
    }

    /// A second chain, followed by a worker of its own from now on.
    pub(crate) async fn follow_second(&mut self) {
        let spec = spec(second_asset());
        let chain = young_chain(&spec.name);
        let memory = (&self.marks, &self.derived);
        let worker = worker(&chain, &self.store, &spec, &self.master, memory, "second");
        self.second = Some(Second {
            chain,
            worker,
            goes_first: false,
        });
        self.settle().await;
    }

    /// The node of the second chain.
    pub(crate) fn second_node(&self) -> MutexGuard<'_, Node> {
        self.second.as_ref().unwrap().chain.node()
    }

    /// Asks for an invoice; answers it, and whether it was made before.
    pub(crate) async fn create(
        &mut self,
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<(Value, bool), CommandError> {
        let text = body.to_string();
        let idempotent = idempotency_key.map(|key| Idempotent {
            path: "/v1/invoices".into(),
            key: key.into(),
            body_hash: [u8::try_from(text.len() % 256).unwrap(); 32],
        });
        let request = decode(text.as_bytes()).unwrap();
        let (commands, caller) = (&self.commands, &self.caller);
        let answered = commands
            .create_invoice(caller, request, idempotent, self.now, &mut self.entropy)
            .await?;
        let is_replayed = matches!(answered, Answered::Replayed(_));
        Ok((answer_json(answered), is_replayed))
    }

    /// The least and the most that count as exactly paid at an option, as they are stored.
    pub(crate) async fn bounds(&self, id: InvoiceId, place: usize) -> (u64, u64) {
        let mut conn = self.store.read().await.unwrap();
        let (merchant, mode) = (self.caller.merchant, self.caller.mode);
        let found = invoices::find(&mut conn, merchant, mode, id).await;
        let loaded = invoices::load(&mut conn, &[found.unwrap().unwrap()]).await;
        let dossier = loaded.unwrap().remove(0).dossier.unwrap();
        let option = &dossier.terms.options[place];
        let sat = |amount: paywatch_domain::Amount| amount.to_string().parse().unwrap();
        (sat(option.minimum), sat(option.maximum))
    }

    /// The next index of the only wallet.
    pub(crate) async fn next_index(&self) -> u32 {
        let mut conn = self.store.read().await.unwrap();
        let (merchant, mode) = (self.caller.merchant, self.caller.mode);
        let wallet = wallets::get(&mut conn, merchant, mode, self.wallet).await;
        wallet.unwrap().unwrap().next_index
    }

    /// Makes an invoice of `sat`; answers its id and its watch key.
    pub(crate) async fn invoice(&mut self, sat: u64, expires_in_s: u64) -> (InvoiceId, Vec<u8>) {
        let amount = paywatch_domain::Amount::from_atomic(sat).decimal(8);
        let body = json!({
            "options": [{ "asset": asset().to_string(), "amount": amount }],
            "expires_in_s": expires_in_s,
        });
        let request = decode(body.to_string().as_bytes()).unwrap();
        let (commands, caller) = (&self.commands, &self.caller);
        let answer = commands
            .create_invoice(caller, request, None, self.now, &mut self.entropy)
            .await;
        let invoice = answer_json(answer.unwrap());
        let id = invoice["id"].as_str().unwrap().parse().unwrap();
        let address = invoice["options"][0]["address"].as_str().unwrap();
        (id, address.as_bytes().to_vec())
    }

    pub(crate) async fn cancel(
        &mut self,
        id: InvoiceId,
    ) -> Result<Value, paywatch_engine::commands::CommandError> {
        let (commands, caller) = (&self.commands, &self.caller);
        let answer = commands
            .cancel_invoice(caller, id, None, self.now, &mut self.entropy)
            .await;
        answer.map(answer_json)
    }

    /// Decides about an exception.
    pub(crate) async fn resolve(&mut self, id: &str, body: &Value) -> Result<Value, CommandError> {
        let request = decode(body.to_string().as_bytes()).unwrap();
        let (commands, caller) = (&self.commands, &self.caller);
        let (id, now) = (id.parse().unwrap(), self.now);
        let answer = commands
            .resolve_exception(caller, id, request, None, now, &mut self.entropy)
            .await;
        answer.map(answer_json)
    }

    /// Records a refund.
    pub(crate) async fn refund(
        &mut self,
        id: InvoiceId,
        body: &Value,
    ) -> Result<Value, CommandError> {
        let request = decode(body.to_string().as_bytes()).unwrap();
        let (commands, caller) = (&self.commands, &self.caller);
        let answer = commands
            .record_refund(caller, id, request, None, self.now, &mut self.entropy)
            .await;
        answer.map(answer_json)
    }

    /// Lets the worker do everything that it can do at this time.
    pub(crate) async fn settle(&mut self) {
        let (first, now) = (&mut self.worker, self.now);
        match &mut self.second {
            None => rest(first, now).await,
            Some(second) if second.goes_first => {
                rest(&mut second.worker, now).await;
                rest(first, now).await;
            }
            Some(second) => {
                rest(first, now).await;
                rest(&mut second.worker, now).await;
            }
        }
    }

    /// The same with both workers at the same time.
    pub(crate) async fn settle_together(&mut self) {
        let second = &mut self.second.as_mut().unwrap().worker;
        let first = Box::pin(rest(&mut self.worker, self.now));
        join(first, Box::pin(rest(second, self.now))).await;
    }

    /// One step of the worker, and one answer of the node if there is any.
    pub(crate) async fn step(&mut self) {
        if let Step::Idle { .. } = self.worker.step(self.now).await {
            let wait = Duration::from_millis(20);
            let _answered = tokio::time::timeout(wait, self.worker.ready()).await;
        }
    }

    /// Moves the clock, and lets the worker poll.
    pub(crate) async fn pass(&mut self, milliseconds: i64) {
        self.now = self.now.plus_ms(milliseconds);
        self.settle().await;
    }

    /// One poll later.
    pub(crate) async fn poll(&mut self) {
        self.pass(POLL_MS + 1).await;
    }

    /// Mines a block with these credits and lets the worker read it.
    pub(crate) async fn mine(&mut self, credits: Vec<paywatch_chain::Credit>) {
        self.chain.node().mine(credits, self.now);
        self.poll().await;
    }

    /// A process that ends without a word, and the next one.
    pub(crate) async fn restart(&mut self) {
        self.worker = self.process("first");
        self.settle().await;
    }

    /// Somebody who looks at what time alone brings about.
    pub(crate) fn housekeeper(&self) -> Housekeeper {
        let number = WORKERS.fetch_add(1, Ordering::Relaxed);
        let entropy = Box::new(Counting(number << 32));
        Housekeeper::new(self.store.clone(), Arc::clone(&self.master), entropy)
    }

    /// Another process that would like to follow the same chain.
    pub(crate) fn rival(&self) -> ChainWorker<MemoryChain> {
        self.process("second")
    }

    fn process(&self, holder: &str) -> ChainWorker<MemoryChain> {
        let (chain, store, spec) = (&self.chain, &self.store, &self.spec);
        let memory = (&self.marks, &self.derived);
        worker(chain, store, spec, &self.master, memory, holder)
    }

    /// Steps the worker a few times; it may be in the middle of something then.
    pub(crate) async fn steps(&mut self, count: usize) {
        for _ in 0..count {
            if self.worker.step(self.now).await != Step::Progress {
                let wait = Duration::from_millis(20);
                let _ = tokio::time::timeout(wait, self.worker.ready()).await;
            }
        }
    }

    pub(crate) async fn ask(&mut self, ask: Ask) -> Result<ChainRequest, CommandError> {
        let (commands, caller) = (&self.commands, &self.caller);
        let answer = commands
            .ask_worker(caller, ask, None, self.now, &mut self.entropy)
            .await;
        answer.map(read)
    }

    pub(crate) async fn resume(&mut self) -> Result<ChainRequest, CommandError> {
        self.ask(Ask::Resume(asset().chain().to_string())).await
    }

    /// Asks for a transaction to be put on an invoice's record.
    pub(crate) async fn attach(
        &mut self,
        id: InvoiceId,
        tx_id: &str,
        block_height: Option<u64>,
    ) -> ChainRequest {
        let attach = AttachTransaction {
            tx_id: tx_id.into(),
            option_id: None,
            chain: None,
            block_height,
            block_hash: None,
        };
        self.ask(Ask::Attach(id, attach)).await.unwrap()
    }

    pub(crate) async fn check(&mut self, id: InvoiceId) -> ChainRequest {
        let check = Ask::Check(id, CheckInvoice::default());
        self.ask(check).await.unwrap()
    }

    /// Withdraws a request.
    pub(crate) async fn withdraw(&mut self, asked: &ChainRequest) -> Result<Value, CommandError> {
        let (commands, caller) = (&self.commands, &self.caller);
        let id = asked.id.parse().unwrap();
        let answer = commands
            .cancel_request(caller, OPERATOR, id, None, self.now, &mut self.entropy)
            .await;
        answer.map(answer_json)
    }

    pub(crate) async fn rescan(
        &mut self,
        from_height: u64,
        to_height: Option<u64>,
    ) -> Result<ChainRequest, CommandError> {
        let request = Rescan {
            from_height,
            to_height,
        };
        let chain = asset().chain().to_string();
        self.ask(Ask::Rescan(chain, request)).await
    }

    pub(crate) async fn scan_wallet(&mut self, from_height: u64) -> ChainRequest {
        let request = ScanWallet {
            from_height,
            chain: None,
        };
        let ask = Ask::ScanWallet(self.wallet, request);
        self.ask(ask).await.unwrap()
    }

    /// A request as it is now.
    pub(crate) async fn request(&self, asked: &ChainRequest) -> ChainRequest {
        let id = asked.id.parse().unwrap();
        let found = self
            .commands
            .chain_request(&self.caller, OPERATOR, id)
            .await;
        found.unwrap().unwrap()
    }

    /// What caused the last event of an invoice.
    pub(crate) async fn last_cause(&self, id: InvoiceId) -> String {
        let data = self.last_told(id).await;
        data["cause"]["kind"].as_str().unwrap().into()
    }

    /// What the last event of an invoice says was seen at its first option.
    pub(crate) async fn last_seen(&self, id: InvoiceId) -> String {
        let data = self.last_told(id).await;
        let tally = &data["invoice"]["options"][0]["tally"];
        tally["seen"].as_str().unwrap().into()
    }

    /// What all events of a type say.
    pub(crate) async fn data_of(&self, kind: &str) -> Vec<Value> {
        let mut conn = self.store.read().await.unwrap();
        let (merchant, mode) = (self.caller.merchant, self.caller.mode);
        let rows = events::after(&mut conn, merchant, mode, 0, 100).await;
        let rows = rows.unwrap().into_iter();
        rows.filter(|row| row.kind.as_str() == kind)
            .map(|row| serde_json::from_str::<Value>(&row.body).unwrap()["data"].take())
            .collect()
    }

    /// What the last event of an invoice says.
    pub(crate) async fn last_told(&self, id: InvoiceId) -> Value {
        let mut conn = self.store.read().await.unwrap();
        let (merchant, mode) = (self.caller.merchant, self.caller.mode);
        let rows = events::after(&mut conn, merchant, mode, 0, 100).await;
        let mut bodies = rows.unwrap().into_iter().filter_map(|row| {
            let mut body: Value = serde_json::from_str(&row.body).unwrap();
            let is_own = body["data"]["invoice"]["id"] == json!(id.to_string());
            is_own.then(|| body["data"].take())
        });
        bodies.next_back().unwrap()
    }

    /// The chain as it is stored.
    pub(crate) async fn row(&self) -> ChainRow {
        let mut conn = self.store.read().await.unwrap();
        chains::all(&mut conn).await.unwrap().remove(0)
    }

    pub(crate) async fn show(&self, id: InvoiceId) -> Invoice {
        let invoice = self.commands.invoice(&self.caller, id, self.now).await;
        invoice.unwrap().unwrap()
    }

    /// The types of all events of an invoice, whose versions must be gapless.
    pub(crate) async fn said(&self, id: InvoiceId) -> Vec<String> {
        let mut conn = self.store.read().await.unwrap();
        let (merchant, mode) = (self.caller.merchant, self.caller.mode);
        let key = invoices::find(&mut conn, merchant, mode, id)
            .await
            .unwrap()
            .unwrap();
        let cursor = paywatch_store::Cursor::Newest;
        let page = events::of_invoice(&mut conn, key, &cursor, 100)
            .await
            .unwrap();
        let mut rows = page.rows;
        rows.reverse();
        let versions: BTreeSet<u64> = rows.iter().filter_map(|row| row.version).collect();
        let expected: BTreeSet<u64> = (1..).take(rows.len()).collect();
        assert_eq!(versions, expected, "versions have no gaps and no doubles");
        let name = |row: &events::EventRow| row.kind.as_str().replace("invoice.", "");
        rows.iter().map(name).collect()
    }
}

/// Three blocks, mined before the tests begin.
fn young_chain(name: &ChainName) -> MemoryChain {
    let chain = MemoryChain::new(name);
    for height in 0..3 {
        let time = UnixMillis(START - 3_000 + height);
        chain.node().mine(Vec::new(), time);
    }
    chain
}

/// Lets a worker do everything that it can do at this time.
async fn rest(worker: &mut ChainWorker<MemoryChain>, now: UnixMillis) {
    for _ in 0..10_000 {
        match worker.step(now).await {
            Step::Progress => {}
            Step::Idle { .. } => {
                let wait = Duration::from_millis(20);
                if tokio::time::timeout(wait, worker.ready()).await.is_err() {
                    return;
                }
            }
        }
    }
    panic!("the worker does not come to rest");
}

fn office(
    store: &Store,
    spec: &ChainSpec,
    master: &Arc<MasterKey>,
    marks: &Arc<Marks>,
) -> Commands {
    let derivation: Arc<dyn Derivation> = Arc::new(PlainDerivation::default());
    Commands::new(CommandParts {
        store: store.clone(),
        catalogue: Arc::new(Catalogue::new(specs().into_iter().chain([spec.clone()]))),
        derivations: BTreeMap::from([(Family::Bitcoin, derivation)]),
        policies: NamedPolicies::default(),
        rates: Arc::default(),
        master: Arc::clone(master),
        high_water: Arc::clone(marks) as Arc<dyn HighWater>,
        url_check: Arc::new(|_| Ok(())),
    })
}

fn worker(
    chain: &MemoryChain,
    store: &Store,
    spec: &ChainSpec,
    master: &Arc<MasterKey>,
    (marks, derived): (&Arc<Marks>, &Arc<AtomicU64>),
    holder: &str,
) -> ChainWorker<MemoryChain> {
    let parts = Parts {
        store: store.clone(),
        spec: Arc::new(spec.clone()),
        pace: Pace {
            poll_ms: POLL_MS,
            lease_ms: 15_000,
            retry_ms: 500,
        },
        master: Arc::clone(master),
        entropy: Box::new(Counting(WORKERS.fetch_add(1, Ordering::Relaxed) << 40)),
        holder: holder.into(),
        derivation: Arc::new(PlainDerivation(Arc::clone(derived))),
        high_water: Arc::clone(marks) as Arc<dyn HighWater>,
    };
    ChainWorker::new(Arc::new(chain.clone()), parts)
}

fn read(answered: Answered) -> ChainRequest {
    let (Answered::Fresh(answer) | Answered::Replayed(answer)) = answered;
    assert_eq!(answer.status, 202);
    serde_json::from_str(&answer.body).unwrap()
}

pub(crate) fn answer_json(answered: Answered) -> Value {
    let (Answered::Fresh(answer) | Answered::Replayed(answer)) = answered;
    serde_json::from_str(&answer.body).unwrap()
}
