//! Prices: what a merchant names in a currency becomes an exact amount by a rate that sources tell, or nothing.

use crate::support::{Database, House, PATIENCE};
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use paywatch_testkit::{Answer, WatcherOptions, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What a source must be asked with, and what nobody else may ever see.
const KEY: &str = "bourse-key-7f1d0c52";

type Answers = Arc<Mutex<BTreeMap<String, (u16, String)>>>;

/// A server that plays several sources of rates, each at a path of its own.
struct Bourses {
    url: String,
    answers: Answers,
    _serving: JoinSet<()>,
}

async fn told(
    State(answers): State<Answers>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    if headers.get("x-api-key").is_none_or(|key| key != KEY) {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, body) = answers.get(&name).cloned().unwrap_or((404, String::new()));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
    (status, body)
}

impl Bourses {
    async fn start() -> Result<Self> {
        let answers = Answers::default();
        let router = Router::new()
            .route("/{name}", axum::routing::get(told))
            .with_state(Arc::clone(&answers));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url,
            answers,
            _serving: serving,
        })
    }

    /// Lets a source answer so from now on.
    fn says(&self, name: &str, status: u16, body: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(name.to_owned(), (status, body.to_owned()));
    }

    /// Lets sources say what a bitcoin is worth in dollars.
    fn quote(&self, quotes: &[(&str, &str)]) {
        for (name, value) in quotes {
            self.says(name, 200, &format!(r#"{{"data":[{{"btc":{value}}}]}}"#));
        }
    }

    /// A configuration in which what a source said counts for so many seconds.
    fn settings(&self, stale_after_s: u32) -> String {
        let source = |name: &str| {
            format!(
                "[rates.sources.{name}]\nurl = \"{}/{name}\"\npointers = {{ \"btc/USD\" = \"/data/0/btc\" }}\n\
                 headers = {{ x-api-key = \"{KEY}\" }}\n",
                self.url
            )
        };
        format!(
            "[rates]\nrefresh_s = 1\nstale_after_s = {stale_after_s}\nallow_networks = [\"127.0.0.0/8\"]\n\
             [rates.sources.fixed]\ntable = {{ \"btc/JPY\" = \"9999999.5\" }}\n{}{}{}",
            source("one"),
            source("two"),
            source("three"),
        )
    }
}

/// What `/v1/rates` says about bitcoin in dollars.
async fn dollars(house: &House) -> Result<Value> {
    let mut rows = house.api.get("/v1/rates").await?.rows()?.into_iter();
    let found = rows.find(|row| row["asset"] == "btc" && row["currency"] == "USD");
    found.context("bitcoin is valued in dollars")
}

async fn until_rate(house: &House, value: &str) -> Result<()> {
    eventually("the rate to be known", PATIENCE, async || {
        Ok((dollars(house).await?["rate"]["value"] == json!(value)).then_some(()))
    })
    .await
}

async fn until_problem(house: &House, code: &str) -> Result<()> {
    eventually(code, PATIENCE, async || {
        Ok((dollars(house).await?["problem"]["code"] == json!(code)).then_some(()))
    })
    .await
}

fn request(amount: &str, currency: &str) -> Value {
    json!({
        "price": { "amount": amount, "currency": currency },
        "options": [{ "asset": "btc@bitcoin-regtest" }],
        "policy": { "tiers": [
            { "up_to": { "amount": "100.00", "currency": currency }, "finality": { "bitcoin-regtest": { "depth": 1 } } },
            { "finality": { "bitcoin-regtest": { "depth": 3 } } },
        ] },
    })
}

async fn priced(house: &House, amount: &str, currency: &str) -> Result<Answer> {
    house
        .api
        .post("/v1/invoices", &request(amount, currency))
        .await
}

async fn expect_refused(house: &House) -> Result<()> {
    let answer = priced(house, "49.99", "USD").await?;
    let problem = answer.json()?;
    assert_eq!(
        (answer.status, &problem["code"]),
        (503, &json!("rate_untrusted")),
        "{problem}"
    );
    assert_eq!(problem["errors"][0]["pointer"], "/options/0/amount");
    assert!(!answer.header("retry-after").is_empty());
    Ok(())
}

async fn house(bourses: &Bourses, stale_after_s: u32) -> Result<House> {
    let options = WatcherOptions {
        further_settings: bourses.settings(stale_after_s),
        ..WatcherOptions::default()
    };
    House::with(Database::Sqlite, options).await
}

/// What prices in several currencies come to; gives the invoice that was made first.
async fn exact_amounts(house: &House) -> Result<Value> {
    let first = house
        .api
        .post_once("/v1/invoices", &request("49.99", "USD"), "first")
        .await?
        .value()?;
    house.check_address(&first)?;
    let option = &first["options"][0];
    assert_eq!(
        (&option["amount"], &option["finality"]),
        (&json!("0.00076924"), &json!({ "depth": 1 }))
    );
    assert_eq!(
        (&option["rate"]["value"], &option["rate"]["source"]),
        (&json!("64987"), &json!("median"))
    );
    assert_eq!(option["rate"]["sources"].as_array().map(Vec::len), Some(3));
    let large = priced(house, "100.01", "USD").await?.value()?;
    assert_eq!(
        large["options"][0]["finality"],
        json!({ "depth": 3 }),
        "by the price"
    );
    let yen = priced(house, "500000", "JPY").await?.value()?;
    assert_eq!(yen["options"][0]["amount_atomic"], "5000001", "rounded up");
    assert_eq!(yen["options"][0]["rate"]["source"], "fixed");
    let own = priced(house, "0.00150000", "BTC").await?.value()?;
    assert_eq!(
        (
            &own["options"][0]["amount_atomic"],
            &own["options"][0]["rate"]
        ),
        (&json!("150000"), &Value::Null)
    );
    let euro = priced(house, "49.99", "EUR").await?;
    assert_eq!(
        (euro.status, euro.code()),
        (422, "rate_unavailable".to_owned())
    );
    Ok(first)
}

/// One source is dead, and later it lies: the others are enough.
async fn one_of_three_fails(house: &House, bourses: &Bourses) -> Result<()> {
    bourses.says("three", 500, "");
    until_rate(house, "64988.5").await?;
    for lie in ["1e400", "-5", "\"NaN\"", "0", "null", "1"] {
        bourses.quote(&[("three", lie)]);
        let invoice = priced(house, "49.99", "USD").await?.value()?;
        assert_eq!(invoice["options"][0]["amount"], "0.00076922", "{lie}");
    }
    Ok(())
}

/// Goal: a price becomes the exact amount by the median of several sources, which stays with the invoice; whatever
/// sources do, an invoice is made by a rate that can be trusted or not at all.
/// Method: the binary, and a server that plays three sources.
#[tokio::test(flavor = "multi_thread")]
async fn api_prices_become_amounts_by_rates_that_can_be_trusted() -> Result<()> {
    let bourses = Bourses::start().await?;
    bourses.quote(&[
        ("one", "64987.00"),
        ("two", "\"64990\""),
        ("three", "6.4e4"),
    ]);
    let house = house(&bourses, 8).await?;
    until_rate(&house, "64987").await?;
    let first = exact_amounts(&house).await?;
    one_of_three_fails(&house, &bourses).await?;

    // They disagree: nobody is believed, and what needs no rate is made all the same.
    bourses.quote(&[("one", "64987"), ("two", "70000"), ("three", "60000")]);
    until_problem(&house, "disagree").await?;
    expect_refused(&house).await?;
    house.invoice(10_000).await?;
    let replayed = house
        .api
        .post_once("/v1/invoices", &request("49.99", "USD"), "first")
        .await?;
    assert_eq!(replayed.header("idempotency-replayed"), "true");
    assert_eq!(
        replayed.value()?["id"],
        first["id"],
        "what was made is answered again"
    );

    // A jump is believed when it has lasted.
    bourses.quote(&[("one", "64987"), ("two", "64987"), ("three", "64987")]);
    until_rate(&house, "64987").await?;
    bourses.quote(&[("one", "130000"), ("two", "130000"), ("three", "130000")]);
    until_problem(&house, "jumped").await?;
    expect_refused(&house).await?;
    until_rate(&house, "130000").await?;
    let id = first["id"].as_str().context("an invoice has an id")?;
    let shown = house
        .api
        .get(&format!("/v1/invoices/{id}"))
        .await?
        .value()?;
    assert_eq!(
        shown["options"][0]["rate"], first["options"][0]["rate"],
        "what was agreed stays"
    );
    assert!(!house.watcher.log().contains(KEY), "no secret is logged");
    Ok(())
}

/// Goal: a rate survives a restart while it is not stale, and not longer. Method: the binary is killed, its sources
/// fall silent, and it starts again.
#[tokio::test(flavor = "multi_thread")]
async fn api_prices_outlive_a_restart_until_they_are_stale() -> Result<()> {
    let bourses = Bourses::start().await?;
    bourses.quote(&[("one", "50000"), ("two", "50000"), ("three", "50000")]);
    let mut house = house(&bourses, 20).await?;
    until_rate(&house, "50000").await?;
    house.watcher.kill()?;
    for name in ["one", "two", "three"] {
        bourses.says(name, 200, "<html>closed</html>");
    }
    house.watcher.launch().await?;
    let kept = dollars(&house).await?;
    assert_eq!(kept["rate"]["value"], "50000", "{kept}");
    until_problem(&house, "stale").await?;
    expect_refused(&house).await?;
    let sources = dollars(&house).await?;
    assert_eq!(sources["sources"][0]["problem"], "not_json", "{sources}");
    assert_eq!(sources["sources"][0]["stale"], true);
    Ok(())
}
