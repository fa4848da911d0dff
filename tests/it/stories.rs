//! The stories that the demo shows, with every word that the merchant must hear.

use crate::support::{Database, House, statuses, tally};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Delivery, Verifier, WatcherOptions};
use serde_json::json;

/// A customer pays exactly what is due: two blocks later it is final.
async fn exact(house: &House) -> Result<()> {
    let invoice = house.invoice(150_000).await?;
    let txid = house.pay(&invoice, 150_000).await?.to_string();
    let seen = house.until(&invoice, "detected").await?;
    assert_eq!(tally(&seen, "seen")?, 150_000);
    assert_eq!(
        tally(&seen, "remaining")?,
        0,
        "nobody is asked to pay twice"
    );
    assert_eq!(tally(&seen, "confirming")? + tally(&seen, "final")?, 0);
    assert_eq!(seen["customer_status"], "received");

    let block = house.node.mine(1).await?.remove(0);
    let confirming = house.until(&invoice, "confirming").await?;
    let transfer = &confirming["transfers"][0];
    assert_eq!(transfer["tx_id"], json!(txid));
    assert_eq!(transfer["block_hash"], json!(block));
    assert_eq!(
        transfer["finality"],
        json!({ "kind": "depth", "have": 1, "need": 2 })
    );
    assert_eq!(tally(&confirming, "confirming")?, 150_000);

    house.node.mine(1).await?;
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(tally(&paid, "final")?, 150_000);
    assert_eq!(paid["paid_option"], paid["options"][0]["id"]);
    assert_eq!(paid["transfers"].as_array().map(Vec::len), Some(1));
    house
        .expect_told(&invoice, &["created", "detected", "confirming", "paid"])
        .await
}

/// A customer pays in two parts: the first alone is not enough, and the sum is.
async fn parts(house: &House) -> Result<()> {
    let invoice = house.invoice(200_000).await?;
    house.pay(&invoice, 120_000).await?;
    house.until(&invoice, "detected").await?;
    house.node.mine(1).await?;
    house.until(&invoice, "confirming").await?;
    house.node.mine(1).await?;
    let under = house.until(&invoice, "underpaid").await?;
    assert_eq!(tally(&under, "remaining")?, 80_000);
    assert_eq!(under["payable"], true, "the rest can still be paid");

    house.pay(&invoice, 80_000).await?;
    house.until(&invoice, "detected").await?;
    house.node.mine(1).await?;
    house.until(&invoice, "confirming").await?;
    house.node.mine(1).await?;
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(tally(&paid, "final")?, 200_000);
    assert_eq!(paid["transfers"].as_array().map(Vec::len), Some(2));
    let told = [
        "created",
        "detected",
        "confirming",
        "underpaid",
        "detected",
        "confirming",
        "paid",
    ];
    house.expect_told(&invoice, &told).await
}

/// A customer pays too much: the invoice is paid, and the difference is named.
async fn overpaid(house: &House) -> Result<()> {
    let invoice = house.invoice(100_000).await?;
    house.pay(&invoice, 125_000).await?;
    house.until(&invoice, "detected").await?;
    house.node.mine(1).await?;
    house.until(&invoice, "confirming").await?;
    house.node.mine(1).await?;
    let paid = house.until(&invoice, "overpaid").await?;
    assert_eq!(tally(&paid, "final")?, 125_000);
    assert_eq!(tally(&paid, "excess")?, 25_000);
    house
        .expect_told(
            &invoice,
            &[
                "created",
                "detected",
                "confirming",
                "overpaid",
                "exception.opened",
            ],
        )
        .await
}

/// Nobody pays: once the chain is read up to its end, the invoice is expired.
async fn unpaid(house: &House) -> Result<()> {
    let invoice = house
        .invoice_with(50_000, json!({ "expires_in_s": 3 }))
        .await?;
    let open = house.shown(&invoice).await?;
    assert_eq!(
        (&open["status"], &open["payable"]),
        (&json!("created"), &json!(true))
    );
    let expired = house.until(&invoice, "expired").await?;
    assert_eq!(expired["payable"], false);
    assert_eq!(tally(&expired, "seen")?, 0);
    let events = house.until_told(&invoice).await?;
    let cause = &events.last().context("two events")?["data"]["cause"];
    assert_eq!(cause["kind"], "expiry");
    house.expect_told(&invoice, &["created", "expired"]).await
}

/// The block with the payment is reorganised away and the payment comes back in another: what was
/// said is taken back, and said again.
async fn reorganised(house: &House) -> Result<()> {
    let one_block = json!({ "tiers": [{ "finality": { "bitcoin-regtest": { "depth": 1 } } }] });
    let quick = house
        .invoice_with(120_000, json!({ "policy": one_block }))
        .await?;
    let careful = house.invoice(120_000).await?;
    house.pay(&quick, 120_000).await?;
    house.pay(&careful, 120_000).await?;
    house.until(&quick, "detected").await?;
    house.until(&careful, "detected").await?;
    let block = house.node.mine(1).await?.remove(0);
    house.until(&quick, "paid").await?;
    house.until(&careful, "confirming").await?;

    // A block that only is not there any more takes nothing back; another branch without the payments does.
    house.node.invalidate(&block).await?;
    house.node.mine_empty(2).await?;
    for invoice in [&quick, &careful] {
        let back = house.until(invoice, "detected").await?;
        assert_eq!(back["transfers"][0]["block_hash"], json!(null));
        assert_eq!(tally(&back, "final")? + tally(&back, "confirming")?, 0);
    }
    house.until_caught_up().await?;
    let other = house.node.mine(1).await?.remove(0);
    ensure!(other != block, "it is another block");
    house.until(&careful, "confirming").await?;
    house.node.mine(1).await?;
    for invoice in [&quick, &careful] {
        let paid = house.until(invoice, "paid").await?;
        assert_eq!(
            paid["transfers"].as_array().map(Vec::len),
            Some(1),
            "one payment, one fact"
        );
        assert_eq!(paid["transfers"][0]["block_hash"], json!(other));
        assert_eq!(tally(&paid, "final")?, 120_000);
    }
    let told = [
        "created",
        "detected",
        "paid",
        "reverted",
        "exception.opened",
        "detected",
        "paid",
        "exception.resolved",
    ];
    house.expect_told(&quick, &told).await?;
    let told = [
        "created",
        "detected",
        "confirming",
        "updated",
        "detected",
        "confirming",
        "paid",
    ];
    house.expect_told(&careful, &told).await?;
    let events = house.until_told(&careful).await?;
    assert_eq!(statuses(&events)[3], "created", "an update that is a fall");
    assert_eq!(events[3]["data"]["cause"]["kind"], "reorg");
    Ok(())
}

/// Goal: an exact payment is told step by step, and every webhook is accepted by the verifiers that
/// merchants use.
#[tokio::test(flavor = "multi_thread")]
async fn an_exact_payment_is_paid() -> Result<()> {
    let house = House::new().await?;
    exact(&house).await?;
    let deliveries: Vec<Delivery> = house
        .receiver
        .requests()
        .iter()
        .map(Delivery::from)
        .collect();
    assert_eq!(deliveries.len(), 4, "nothing was sent twice");
    for verifier in Verifier::ALL {
        assert_eq!(verifier.verify(&deliveries, &house.secret).await?, 4);
        let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        assert!(
            verifier.verify(&deliveries, other).await.is_err(),
            "{verifier:?} does check"
        );
    }
    Ok(())
}

/// Goal: two parts make one paid invoice, and the way there is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_in_two_parts_is_paid() -> Result<()> {
    parts(&House::new().await?).await
}

/// Goal: too much money is named, never hidden.
#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_overpaid() -> Result<()> {
    overpaid(&House::new().await?).await
}

/// Goal: an invoice that nobody pays expires by itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_invoice_expires() -> Result<()> {
    unpaid(&House::new().await?).await
}

/// Goal: a block that goes away takes its claims with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_reorganised_away_and_comes_back() -> Result<()> {
    reorganised(&House::new().await?).await
}

/// Goal: Postgres tells the same stories, word for word.
#[tokio::test(flavor = "multi_thread")]
async fn all_stories_on_postgres() -> Result<()> {
    let house = House::with(Database::Postgres, WatcherOptions::default()).await?;
    exact(&house).await?;
    parts(&house).await?;
    overpaid(&house).await?;
    unpaid(&house).await?;
    reorganised(&house).await
}
