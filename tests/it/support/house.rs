//! A house: everything that one test runs.

use anyhow::{Context, Result, ensure};
use paywatch_testkit::bitcoin::Txid;
use paywatch_testkit::{
    Api, Bitcoind, Payer, Postgres, Receiver, WalletKey, Watcher, WatcherOptions, eventually,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long something may take that needs no waiting by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The path of the merchant's first webhook endpoint.
pub(crate) const HOOKS: &str = "/hooks";
/// How far in the past the payer's coins were mined, in seconds.
const COINS_AGE_S: u64 = 3600;
/// Lines of the watcher's log that a failed test shows.
const LOG_LINES: usize = 60;

/// Where the watcher keeps its facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// A file in its folder.
    Sqlite,
    /// A private server.
    Postgres,
}

/// A node, a payer, the watcher, and a merchant with a confirmed wallet and a receiver.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) node: Bitcoind,
    pub(crate) payer: Arc<Payer>,
    pub(crate) watcher: Watcher,
    /// Everything that the merchant may do.
    pub(crate) api: Api,
    pub(crate) wallet: WalletKey,
    pub(crate) receiver: Receiver,
    /// The signing secret of the endpoint at [`HOOKS`].
    pub(crate) secret: String,
    /// The server, when the facts are kept there.
    pub(crate) postgres: Option<Postgres>,
}

/// An invoice with one option, as a shop sees it.
#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) due_sat: u64,
}

impl House {
    /// A house on SQLite.
    pub(crate) async fn new() -> Result<Self> {
        Self::with(Database::Sqlite, WatcherOptions::default()).await
    }

    /// A house on a database, with a configuration of the watcher.
    pub(crate) async fn with(database: Database, options: WatcherOptions) -> Result<Self> {
        let (node, payer) = Self::node().await?;
        Self::on(node, payer, database, options).await
    }

    /// A node whose chain lies in the past, and a payer with coins. Blocks that are mined faster
    /// than one a second are dated ahead of the clock; later ones must bear their true time.
    pub(crate) async fn node() -> Result<(Bitcoind, Payer)> {
        Self::node_with(&[]).await
    }

    /// The same with further options of the node.
    pub(crate) async fn node_with(arguments: &[&str]) -> Result<(Bitcoind, Payer)> {
        let node = Bitcoind::start_with(arguments).await?;
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        node.rpc("setmocktime", json!([now_s - COINS_AGE_S]))
            .await?;
        let payer = Payer::new(&node).await?;
        node.rpc("setmocktime", json!([0])).await?;
        Ok((node, payer))
    }

    /// A house around a node.
    pub(crate) async fn on(
        node: Bitcoind,
        payer: Payer,
        database: Database,
        mut options: WatcherOptions,
    ) -> Result<Self> {
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => {
                let server = Postgres::start().await?;
                options.database_url = Some(server.create_database().await?);
                Some(server)
            }
        };
        let watcher = Watcher::start(&node, &options).await?;
        let api = watcher.api(&watcher.create_key("test").await?)?;
        let mut house = Self {
            node,
            payer: Arc::new(payer),
            watcher,
            api,
            wallet: WalletKey::new(1)?,
            receiver: Receiver::start().await?,
            secret: String::new(),
            postgres,
        };
        house.register_wallet().await?;
        (_, house.secret) = house.endpoint(HOOKS).await?;
        house.until_accepting().await?;
        Ok(house)
    }

    async fn register_wallet(&self) -> Result<()> {
        let body = json!({ "chain_family": "bitcoin", "key": self.wallet.vpub() });
        let shown = self.api.post("/v1/wallets", &body).await?.value()?;
        ensure!(
            shown["state"] == "pending",
            "nobody confirmed it yet: {shown}"
        );
        for index in 0..3 {
            let own = self.wallet.address(index)?;
            let place = usize::try_from(index)?;
            ensure!(
                shown["first_addresses"][place]["address"] == json!(own),
                "{shown}"
            );
        }
        let id = shown["id"].as_str().context("a wallet has an id")?;
        let path = format!("/v1/wallets/{id}/confirm");
        let confirmed = self.api.post(&path, &json!({})).await?.value()?;
        ensure!(
            confirmed["state"] == "active" && confirmed["default"] == true,
            "{confirmed}"
        );
        Ok(())
    }

    /// Registers a path of the receiver as webhook endpoint; gives its id and its secret.
    pub(crate) async fn endpoint(&self, path: &str) -> Result<(String, String)> {
        let body = json!({ "url": self.receiver.url(path) });
        let endpoint = self
            .api
            .post("/v1/webhook-endpoints", &body)
            .await?
            .value()?;
        let field = |name: &str| {
            let text = endpoint[name].as_str().map(str::to_owned);
            text.with_context(|| format!("an endpoint has {name}: {endpoint}"))
        };
        Ok((field("id")?, field("secret")?))
    }

    /// What `/v1/chains` says about the chain of the node.
    pub(crate) async fn chain(&self) -> Result<Value> {
        self.chain_named("bitcoin-regtest").await
    }

    /// What `/v1/chains` says about one chain.
    pub(crate) async fn chain_named(&self, name: &str) -> Result<Value> {
        let mut chains = self.api.get("/v1/chains").await?.rows()?.into_iter();
        let found = chains.find(|chain| chain["chain"] == json!(name));
        found.with_context(|| format!("{name} is not configured"))
    }

    /// Waits until invoices can be made.
    pub(crate) async fn until_accepting(&self) -> Result<()> {
        eventually("the chain to be read", PATIENCE, async || {
            Ok((self.chain().await?["accepting"] == true).then_some(()))
        })
        .await
    }

    /// Waits until the watcher has read up to the node's tip.
    pub(crate) async fn until_caught_up(&self) -> Result<()> {
        eventually("the node's tip to be read", PATIENCE, async || {
            let tip = self.node.best_hash().await?;
            Ok((self.chain().await?["cursor"]["hash"] == json!(tip)).then_some(()))
        })
        .await
    }

    /// Makes an invoice that expires in an hour.
    pub(crate) async fn invoice(&self, due_sat: u64) -> Result<Invoice> {
        self.invoice_with(due_sat, json!({})).await
    }

    /// Makes an invoice with further fields of the request.
    pub(crate) async fn invoice_with(&self, due_sat: u64, further: Value) -> Result<Invoice> {
        let body = Invoice::request(due_sat, further);
        let shown = self.api.post("/v1/invoices", &body).await?.value()?;
        let invoice = Invoice::read(&shown)?;
        ensure!(invoice.due_sat == due_sat, "{shown}");
        self.check_address(&shown)?;
        Ok(invoice)
    }

    /// Each address must be the one that the owner's wallet shows at the same place.
    pub(crate) fn check_address(&self, shown: &Value) -> Result<()> {
        let options = shown["options"].as_array();
        let options = options.context("an invoice has options")?;
        options
            .iter()
            .try_for_each(|option| self.check_option(option))
    }

    fn check_option(&self, option: &Value) -> Result<()> {
        let path = option["derivation_path"]
            .as_str()
            .context("an option has a path")?;
        let index = path
            .rsplit('/')
            .next()
            .context("a path has steps")?
            .parse()?;
        let own = self.wallet.address(index)?;
        ensure!(
            option["address"] == json!(own),
            "{path} is {own} in the wallet: {option}"
        );
        Ok(())
    }

    /// Pays an amount in satoshi to an invoice.
    pub(crate) async fn pay(&self, invoice: &Invoice, amount_sat: u64) -> Result<Txid> {
        self.payer.pay(&[(&invoice.address, amount_sat)]).await
    }

    /// How many invoices there are.
    pub(crate) async fn count_invoices(&self) -> Result<usize> {
        let mut count = 0;
        let mut path = "/v1/invoices?limit=100".to_owned();
        loop {
            let page = self.api.get(&path).await?.value()?;
            count += page["data"]
                .as_array()
                .context("a page holds a list")?
                .len();
            match page["next_cursor"].as_str() {
                Some(cursor) if page["has_more"] == json!(true) => {
                    path = format!("/v1/invoices?limit=100&starting_after={cursor}");
                }
                _ => return Ok(count),
            }
        }
    }

    /// The invoice as the API shows it now.
    pub(crate) async fn shown(&self, invoice: &Invoice) -> Result<Value> {
        self.api
            .get(&format!("/v1/invoices/{}", invoice.id))
            .await?
            .value()
    }

    /// Waits until an invoice has a status, and gives the invoice.
    pub(crate) async fn until(&self, invoice: &Invoice, status: &str) -> Result<Value> {
        let mut last = Value::Null;
        let waited = eventually(status, PATIENCE, async || {
            last = self.shown(invoice).await?;
            Ok((last["status"] == json!(status)).then_some(()))
        });
        waited
            .await
            .with_context(|| format!("the invoice is: {last}"))?;
        Ok(last)
    }

    /// Mines blocks one by one, each read by the watcher before the next.
    pub(crate) async fn mine(&self, count: u32) -> Result<()> {
        for _ in 0..count {
            self.node.mine(1).await?;
            self.until_caught_up().await?;
        }
        Ok(())
    }
}

/// A failed test shows what the watcher said; the output of the others is not shown at all.
impl Drop for House {
    fn drop(&mut self) {
        let log = self.watcher.log();
        let lines: Vec<&str> = log.lines().collect();
        println!("the end of the watcher's log:");
        println!(
            "{}",
            lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
        );
    }
}

impl Invoice {
    /// The request for an invoice of an amount; fields of `further` come on top.
    pub(crate) fn request(due_sat: u64, further: Value) -> Value {
        let amount = format!("{}.{:08}", due_sat / 100_000_000, due_sat % 100_000_000);
        let mut body = json!({
            "options": [{ "asset": "btc@bitcoin-regtest", "amount": amount }],
            "expires_in_s": 3600,
        });
        if let (Value::Object(body), Value::Object(further)) = (&mut body, further) {
            body.extend(further);
        }
        body
    }

    /// What a shop keeps of the answer.
    pub(crate) fn read(shown: &Value) -> Result<Self> {
        let field = |pointer: &str| {
            let text = shown.pointer(pointer).and_then(Value::as_str);
            text.with_context(|| format!("an invoice has {pointer}: {shown}"))
        };
        Ok(Self {
            id: field("/id")?.to_owned(),
            address: field("/options/0/address")?.to_owned(),
            due_sat: field("/options/0/amount_atomic")?.parse()?,
        })
    }
}
