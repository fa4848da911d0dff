//! Money that counts without a block, by a real node's mempool.

use crate::support::{House, Invoice, PATIENCE, tally};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::bitcoin::consensus::encode::serialize_hex;
use paywatch_testkit::{Payer, eventually};
use serde_json::{Value, json};

const DUE_SAT: u64 = 80_000;
/// The cap, in whole coins and in satoshi.
const CAP: (&str, u64) = ("0.001", 100_000);

fn policy() -> Value {
    let small = json!({ "max": { "amount": CAP.0, "currency": "BTC" }, "seen_s": 2 });
    let finality = json!({ "any": [{ "unconfirmed": small }, { "depth": 2 }] });
    json!({ "policy": { "tiers": [{ "finality": { "bitcoin-regtest": finality } }] } })
}

/// Waits until a payment has been seen for long enough and is refused for this reason alone.
async fn refused(house: &House, invoice: &Invoice, reason: &str) -> Result<()> {
    let what = format!("a payment to be refused as {reason}");
    eventually(&what, PATIENCE, async || {
        let shown = house.shown(invoice).await?;
        let one = &shown["transfers"][0]["finality"]["of"][0];
        let is_old = one["have"].as_u64() >= Some(2);
        Ok((is_old && one["refused"] == json!([reason])).then_some(()))
    })
    .await?;
    let shown = house.shown(invoice).await?;
    assert_eq!(shown["status"], "detected", "{shown}");
    Ok(())
}

/// The explanations of a payment that was accepted and of one that was not, by API and command line.
async fn explained(house: &House, good: &Invoice, large: &Invoice) -> Result<()> {
    let path = format!("/v1/invoices/{}/explain", large.id);
    let shown = house.api.get(&path).await?.value()?;
    assert_eq!(shown["next_action"]["code"], "wait");
    let rule = shown["rules"][0]["text"].as_str().context("words")?;
    ensure!(
        rule.starts_with(
            "The only tier of the invoice's own policy holds: a payment is final without a block"
        ),
        "{rule}"
    );
    let why = shown["transfers"][0]["reason"]["text"]
        .as_str()
        .context("words")?;
    ensure!(why.contains("it is above the cap"), "{why}");
    let place = &shown["transfers"][0]["placements"][0];
    assert_eq!(
        (&place["place"], &place["left_at"]),
        (&json!("mempool"), &Value::Null)
    );
    let path = format!("/v1/invoices/{}/explain", good.id);
    let shown = house.api.get(&path).await?.value()?;
    assert_eq!(shown["next_action"]["code"], "fulfil");
    assert_eq!(shown["transfers"][0]["reason"]["code"], "final");
    Ok(())
}

/// Goal: a small payment is paid without a block when its transaction keeps every rule, and only then;
/// the others wait for their blocks; and a double spend afterwards is told as `reverted`.
#[tokio::test(flavor = "multi_thread")]
async fn small_money_counts_without_a_block_when_it_keeps_every_rule() -> Result<()> {
    let house = House::new().await?;
    let [good, large, child, poor] = [
        house.invoice_with(DUE_SAT, policy()).await?,
        house.invoice_with(DUE_SAT, policy()).await?,
        house.invoice_with(DUE_SAT, policy()).await?,
        house.invoice_with(DUE_SAT, policy()).await?,
    ];
    let payment = house.pay(&good, DUE_SAT).await?;
    house.pay(&large, CAP.1 + 1).await?;

    // Money that its payer has not got in a block either.
    let friend = Payer::without_coins(&house.node, 2)?;
    let parent = [(&*friend.address(), 2 * DUE_SAT)];
    let parent = house.payer.build(&parent, 10)?;
    house.payer.broadcast(&parent).await?;
    friend.record(&parent);
    friend.pay(&[(&child.address, DUE_SAT)]).await?;

    // Less than the node itself takes, but for a word of its operator.
    let cheap = house.payer.build(&[(&poor.address, DUE_SAT)], 0)?;
    let (cheap_id, extra_sat) = (cheap.compute_txid().to_string(), 100_000);
    house
        .node
        .rpc("prioritisetransaction", json!([cheap_id, 0, extra_sat]))
        .await?;
    house
        .node
        .rpc("sendrawtransaction", json!([serialize_hex(&cheap)]))
        .await?;
    house.payer.record(&cheap);

    let paid = house.until(&good, "paid").await?;
    assert_eq!(tally(&paid, "final")?, DUE_SAT);
    let transfer = &paid["transfers"][0];
    assert_eq!(transfer["certainty"], "final");
    ensure!(transfer["block_height"].is_null(), "no block yet: {paid}");
    refused(&house, &large, "above_cap").await?;
    explained(&house, &good, &large).await?;
    refused(&house, &child, "unconfirmed_parents").await?;
    refused(&house, &poor, "low_fee").await?;

    house.payer.double_spend(payment, None).await?;
    let back = house.until(&good, "created").await?;
    assert_eq!(tally(&back, "seen")?, 0);
    let events = house.until_told(&good).await?;
    let said = events.iter().map(|event| event["type"].as_str());
    let said: Option<Vec<&str>> = said.collect();
    let expected = [
        "invoice.created",
        "invoice.detected",
        "invoice.paid",
        "invoice.reverted",
    ];
    assert!(said.context("types")?.starts_with(&expected), "{events:?}");

    let path = format!("/v1/invoices/{}/transfers", good.id);
    let listed = house.api.get(&path).await?.value()?;
    let history = &listed["data"][0]["placements"][0];
    assert_eq!(history["left_reason"], "replaced", "{listed}");
    ensure!(history["left_at"].is_string(), "closed: {listed}");

    house.mine(2).await?;
    for invoice in [&child, &poor] {
        house.until(invoice, "paid").await?;
    }
    house.until(&large, "overpaid").await?;
    Ok(())
}

/// Goal: what replaced another payment is not trusted before its blocks, even when the other one paid
/// somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_replaced_another_one_waits_for_its_blocks() -> Result<()> {
    let house = House::new().await?;
    let invoice = house.invoice_with(DUE_SAT, policy()).await?;
    let earlier = house
        .payer
        .build(&[(&*house.node.fresh_address()?, DUE_SAT)], 10)?;
    let earlier_id = house.payer.broadcast(&earlier).await?;
    // Seen by the watcher: the next poll after it has told of another payment.
    let other = house.invoice_with(DUE_SAT, policy()).await?;
    house.pay(&other, DUE_SAT).await?;
    house.until(&other, "paid").await?;
    let to_us = Some((&*invoice.address, DUE_SAT));
    house.payer.double_spend(earlier_id, to_us).await?;
    house.until(&invoice, "detected").await?;
    refused(&house, &invoice, "conflict").await?;
    house.mine(2).await?;
    house.until(&invoice, "paid").await?;
    Ok(())
}
