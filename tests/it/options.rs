//! An invoice that can be paid on two chains, each with a real node of its own.

use crate::support::{Database, House, Invoice, PATIENCE, run, run_json, tally_of};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Bitcoind, FollowedChain, Payer, WatcherOptions, eventually};
use serde_json::{Value, json};

const SECOND: &str = "bitcoin-second";
/// What is due on each chain, in satoshi.
const DUE_SAT: [u64; 2] = [150_000, 200_000];

/// A house with a second chain, its node and somebody who pays there.
async fn with_second(database: Database) -> Result<(House, Bitcoind, Payer)> {
    let (node, payer) = House::node().await?;
    let options = WatcherOptions {
        further_chains: vec![FollowedChain::bitcoin(SECOND, &node)],
        ..WatcherOptions::default()
    };
    let house = House::with(database, options).await?;
    eventually("the second chain to be read", PATIENCE, async || {
        Ok((house.chain_named(SECOND).await?["accepting"] == true).then_some(()))
    })
    .await?;
    Ok((house, node, payer))
}

fn request() -> Value {
    json!({
        "options": [
            { "asset": "btc@bitcoin-regtest", "amount": "0.00150000" },
            { "asset": format!("btc@{SECOND}"), "amount": "0.00200000" },
        ],
        "expires_in_s": 3600,
    })
}

/// Paid on the second chain: the words come from there, and the first one has nothing to do with it.
async fn paid_on_the_second(database: Database) -> Result<()> {
    let (house, second, payer) = with_second(database).await?;
    let shown = house.api.post("/v1/invoices", &request()).await?.value()?;
    house.check_address(&shown)?;
    let invoice = Invoice::read(&shown)?;
    let address = shown["options"][1]["address"]
        .as_str()
        .context("an address")?;
    assert_ne!(
        address, invoice.address,
        "each option has an address of its own"
    );
    assert_eq!(
        (
            &shown["options"][0]["payable"],
            &shown["options"][1]["payable"]
        ),
        (&json!(true), &json!(true))
    );

    payer.pay(&[(address, DUE_SAT[1])]).await?;
    let seen = house.until(&invoice, "detected").await?;
    assert_eq!(seen["options"][0]["status"], "created");
    assert_eq!(
        seen["options"][0]["payable"], false,
        "nobody is asked to pay twice"
    );
    assert_eq!(
        tally_of(&seen, 0, "remaining")?,
        DUE_SAT[0],
        "sums never cross options"
    );
    assert_eq!(tally_of(&seen, 1, "remaining")?, 0);
    house.mine(3).await?;
    assert_eq!(
        house.shown(&invoice).await?["status"],
        "detected",
        "another chain"
    );
    second.mine(1).await?;
    house.until(&invoice, "confirming").await?;
    second.mine(1).await?;
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(paid["paid_option"], shown["options"][1]["id"]);
    assert_eq!(tally_of(&paid, 1, "final")?, DUE_SAT[1]);
    assert_eq!(tally_of(&paid, 0, "seen")?, 0);
    let told = ["created", "detected", "confirming", "paid"];
    house.expect_told(&invoice, &told).await?;
    let events = house.until_told(&invoice).await?;
    for event in events.iter().skip(1) {
        assert_eq!(event["data"]["cause"]["chain"], SECOND, "{event}");
    }
    Ok(())
}

/// Goal: several options are one invoice from the request to the webhook.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_paid_on_the_second_of_two_chains() -> Result<()> {
    paid_on_the_second(Database::Sqlite).await
}

/// Goal: the same word for word on Postgres.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_paid_on_the_second_of_two_chains_on_postgres() -> Result<()> {
    paid_on_the_second(Database::Postgres).await
}

/// Somebody pays on the wrong chain, where the same key has the same address: nothing counts, the merchant is
/// told what came where, and decides about it by commands.
#[tokio::test]
async fn money_on_another_chain_is_told_and_never_credited() -> Result<()> {
    let (house, second, payer) = with_second(Database::Sqlite).await?;
    let invoice = house.invoice(DUE_SAT[0]).await?;
    let txid = payer.pay(&[(&*invoice.address, DUE_SAT[0])]).await?;
    let listed = eventually("an exception", PATIENCE, async || {
        let page = run_json(&house, "exceptions list --kind wrong_chain").await?;
        Ok(page["data"].get(0).cloned())
    })
    .await?;
    let asset = format!("btc@{SECOND}");
    assert_eq!(
        (&listed["asset"], &listed["amount"], &listed["tx_ids"]),
        (
            &json!(asset),
            &json!("0.00150000"),
            &json!([txid.to_string()])
        )
    );
    second.mine(2).await?;
    let id = listed["id"].as_str().context("an id")?;
    let shown = run(&house, &format!("exceptions show {id}")).await?;
    ensure!(
        shown.contains(&format!(
            "on {SECOND}, and btc@bitcoin-regtest is asked for"
        )) && shown.contains(&format!("in {txid}"))
            && shown.contains("possible: refund, ignore"),
        "{shown}"
    );
    let explained = run(&house, &format!("invoice explain {}", invoice.id)).await?;
    ensure!(
        explained.contains("another chain is never credited"),
        "{explained}"
    );
    let line = format!("exceptions resolve {id} --action ignore --reason kept");
    assert_eq!(run_json(&house, &line).await?["state"], "resolved");
    assert_eq!(house.shown(&invoice).await?["status"], "created");
    house
        .expect_told(
            &invoice,
            &["created", "exception.opened", "exception.resolved"],
        )
        .await
}
