//! A node that cannot be reached: clear errors, nothing half-created, and it goes on by itself.

use crate::support::{Database, House, Invoice, PATIENCE, Relay};
use anyhow::{Result, ensure};
use paywatch_testkit::{WatcherOptions, eventually};
use serde_json::json;

/// Goal: while the node is away for longer than the chain may lag, making an invoice answers 503
/// `chain_unavailable`, `/v1/chains` says `node_unreachable`, nothing of the attempts remains, and
/// everything goes on when the node is back.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_node_is_said_and_waited_for() -> Result<()> {
    let (node, payer) = House::node().await?;
    let mut relay = Relay::start(&node.url()).await?;
    let options = WatcherOptions {
        node_url: Some(relay.url()),
        // Coverage is written every five seconds while nothing happens.
        lag_ms_max: 8_000,
        ..WatcherOptions::default()
    };
    let house = House::on(node, payer, Database::Sqlite, options).await?;
    relay.cut().await;
    let problem = eventually("the node's absence to be noticed", PATIENCE, async || {
        let chain = house.chain().await?;
        let stopped = chain["accepting"] == false && !chain["problem"].is_null();
        Ok(stopped.then_some(chain))
    });
    let problem = problem.await?;
    assert_eq!(problem["problem"]["code"], "node_unreachable", "{problem}");
    ensure!(
        problem["cursor"].is_object() && problem["halted"].is_null(),
        "it stays: {problem}"
    );

    let body = Invoice::request(50_000, json!({}));
    for key in ["first", "second"] {
        let answer = house.api.post_once("/v1/invoices", &body, key).await?;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (503, "chain_unavailable")
        );
    }
    assert!(
        house.api.get("/v1/invoices").await?.rows()?.is_empty(),
        "nothing is half-created"
    );
    let wallets = house.api.get("/v1/wallets").await?.rows()?;
    assert_eq!(wallets[0]["next_index"], 0, "no address was used up");
    assert!(
        house.receiver.requests().is_empty(),
        "and nobody was told anything"
    );

    let ready = house.api.get("/readyz").await?;
    assert_eq!(ready.status, 503, "it follows this chain: {ready:?}");

    relay.mend().await?;
    house.until_accepting().await?;
    assert_eq!(house.api.get("/readyz").await?.status, 200);
    assert!(
        house.chain().await?["problem"].is_null(),
        "what is over is not shown"
    );
    // The error was not kept under the key: the same request is carried out now.
    let answer = house.api.post_once("/v1/invoices", &body, "first").await?;
    assert_eq!(
        (answer.status, answer.header("idempotency-replayed")),
        (201, "")
    );
    let invoice = Invoice::read(&answer.value()?)?;
    house.pay(&invoice, 50_000).await?;
    house.mine(2).await?;
    house.until(&invoice, "paid").await?;
    Ok(())
}

/// Goal: a watcher that starts before its node waits for it; what can be read can be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_starts_without_its_node() -> Result<()> {
    let mut house = House::new().await?;
    let invoice = house.invoice(50_000).await?;
    house.watcher.stop().await?;
    house.node.stop().await?;
    house.watcher.launch().await?;
    assert_eq!(house.shown(&invoice).await?["status"], "created");
    let noticed = eventually("the node's absence to be noticed", PATIENCE, async || {
        Ok((house.chain().await?["problem"]["code"] == "node_unreachable").then_some(()))
    });
    noticed.await?;
    house.node.restart().await?;
    house.pay(&invoice, 50_000).await?;
    house.mine(2).await?;
    house.until(&invoice, "paid").await?;
    Ok(())
}
