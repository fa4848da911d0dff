//! The receivers of `docs/examples`: what merchants copy fulfils an order once, whatever happens to the webhooks.

use crate::support::{HOOKS, House, Invoice, PATIENCE};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use paywatch_testkit::{Backend, Language, Received, eventually};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const DUE_SAT: u64 = 80_000;
/// What the example says for each order that it ships.
const SHIPPED: &str = "shipped";

/// A shop whose backend is one of the examples.
struct Shop {
    house: House,
    backend: Backend,
    endpoint: String,
    variables: Vec<(&'static str, String)>,
}

impl Shop {
    async fn open(language: Language) -> Result<Self> {
        let house = House::new().await?;
        let backend = Backend::prepare(language).await?;
        let body = json!({ "url": backend.url() });
        let endpoint = house.api.post("/v1/webhook-endpoints", &body).await?;
        let endpoint = endpoint.value()?;
        let field = |name: &str| {
            let text = endpoint[name].as_str().map(str::to_owned);
            text.with_context(|| format!("an endpoint has {name}: {endpoint}"))
        };
        let words = ["--json", "keys", "create", "--mode", "test", "--scopes"];
        let words = [words.as_slice(), &["invoices:read,invoices:write"]].concat();
        let key: Value = serde_json::from_slice(&house.watcher.run(&words).await?.stdout)?;
        let key = key["key"].as_str().context("a key is printed")?.to_owned();
        let variables = vec![
            ("PAYWATCH_URL", house.watcher.url()),
            ("PAYWATCH_KEY", key),
            ("WEBHOOK_SECRET", field("secret")?),
        ];
        let endpoint = field("id")?;
        let mut shop = Self {
            house,
            backend,
            endpoint,
            variables,
        };
        shop.start().await?;
        Ok(shop)
    }

    async fn start(&mut self) -> Result<()> {
        let variables = self.variables.iter();
        let variables: Vec<_> = variables.map(|(name, value)| (*name, &**value)).collect();
        self.backend.launch(&variables).await
    }

    /// Waits until everything that is sent to the backend was taken, and gives these deliveries.
    async fn until_delivered(&self, count: usize) -> Result<Vec<Value>> {
        eventually("everything to be delivered", PATIENCE, async || {
            let mut rows = self
                .house
                .api
                .get("/v1/deliveries?limit=100")
                .await?
                .rows()?;
            rows.retain(|row| row["endpoint_id"] == json!(self.endpoint));
            let done = rows.iter().all(|row| row["state"] == "delivered");
            Ok((done && count <= rows.len()).then_some(rows))
        })
        .await
        .with_context(|| format!("the example says: {}", self.backend.log()))
    }

    /// Sends every event that was sent to the backend to it once more.
    async fn redeliver(&self) -> Result<()> {
        let rows = self.until_delivered(1).await?;
        let mut known = BTreeSet::new();
        for row in &rows {
            if known.insert(row["event_id"].to_string()) {
                let id = row["id"].as_str().context("a delivery has an id")?;
                let path = format!("/v1/deliveries/{id}/redeliver");
                self.house.api.post(&path, &json!({})).await?.value()?;
            }
        }
        let count = rows.len() + known.len();
        self.until_delivered(count).await.map(drop)
    }

    /// The order was shipped once, and that is on the record of the invoice once.
    async fn expect_fulfilled_once(&self, invoice: &Invoice) -> Result<()> {
        let shown = self.house.shown(invoice).await?;
        let kept = shown["fulfilments"].as_array().context("a list")?;
        ensure!(kept.len() == 1, "{shown}");
        let log = self.backend.log();
        ensure!(log.matches(SHIPPED).count() == 1, "{log}");
        ensure!(log.contains("A-7"), "it names the order: {log}");
        Ok(())
    }

    /// What was signed for somebody else, changed on its way or not signed at all is refused.
    async fn expect_forged_refused(&self, invoice: &Invoice) -> Result<()> {
        let told = self.house.webhooks(invoice, HOOKS)?;
        let genuine = told
            .last()
            .context("the other endpoint was told the same")?;
        let mut unsigned = genuine.headers.clone();
        unsigned.remove("webhook-signature");
        let mut garbage = genuine.headers.clone();
        garbage.insert("webhook-signature".into(), "v1,bm9ib2R5".into());
        for headers in [&genuine.headers, &unsigned, &garbage] {
            let status = self.send(headers, genuine).await?;
            ensure!(
                status == 400,
                "{headers:?} was answered {status}: {}",
                self.backend.log()
            );
        }
        Ok(())
    }

    async fn send(&self, headers: &BTreeMap<String, String>, event: &Received) -> Result<u16> {
        let mut headers = headers.clone();
        headers.retain(|name, _| name.starts_with("webhook-") || name == "content-type");
        let body = Bytes::clone(&event.body);
        self.backend.receive(&headers, body).await
    }
}

/// Goal: the order is shipped when the invoice is paid and never again: not when every event is sent twice more,
/// with the backend killed between, and not when another event says that more was paid. Nothing that is not
/// signed with the endpoint's secret is believed.
async fn a_receiver_fulfils_once(language: Language) -> Result<()> {
    let mut shop = Shop::open(language).await?;
    let further = json!({ "order_id": "A-7" });
    let invoice = shop.house.invoice_with(DUE_SAT, further).await?;
    shop.until_delivered(1).await?;
    ensure!(!shop.backend.log().contains(SHIPPED), "nothing is paid yet");
    shop.house.pay(&invoice, DUE_SAT).await?;
    shop.house.mine(2).await?;
    shop.house.until(&invoice, "paid").await?;
    let events = shop.house.until_told(&invoice).await?;
    shop.until_delivered(events.len()).await?;
    shop.expect_fulfilled_once(&invoice).await?;
    shop.expect_forged_refused(&invoice).await?;

    shop.redeliver().await?;
    shop.backend.kill()?;
    shop.start().await?;
    shop.redeliver().await?;
    shop.expect_fulfilled_once(&invoice).await?;

    shop.house.pay(&invoice, DUE_SAT / 2).await?;
    shop.house.mine(2).await?;
    shop.house.until(&invoice, "overpaid").await?;
    let more = shop.house.until_told(&invoice).await?;
    ensure!(events.len() < more.len(), "there is something new to say");
    shop.until_delivered(more.len()).await?;
    shop.expect_fulfilled_once(&invoice).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_receiver_in_rust_fulfils_once() -> Result<()> {
    a_receiver_fulfils_once(Language::Rust).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_receiver_in_typescript_fulfils_once() -> Result<()> {
    a_receiver_fulfils_once(Language::TypeScript).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_receiver_in_python_fulfils_once() -> Result<()> {
    a_receiver_fulfils_once(Language::Python).await
}
