//! A node that is away for a while: nothing is skipped, and nothing is claimed that was not read.

use crate::support::{Database, House, Relay, tally};
use anyhow::{Result, ensure};
use paywatch_testkit::{WatcherOptions, sleep};
use serde_json::json;
use std::time::{Duration, Instant};

const DUE_SAT: u64 = 70_000;

/// Goal: while the node is stopped, an invoice is not said to be expired although its time is over;
/// when the node is back, the blocks that came in one go are all read, and then it is.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_expires_while_the_node_is_stopped() -> Result<()> {
    let house = House::new().await?;
    let unpaid = house
        .invoice_with(DUE_SAT, json!({ "expires_in_s": 4 }))
        .await?;
    let early = house.invoice(DUE_SAT).await?;
    let late = house.invoice(3 * DUE_SAT).await?;
    house.pay(&early, DUE_SAT).await?;
    house.until(&early, "detected").await?;
    house.node.stop().await?;
    sleep(Duration::from_secs(6)).await;
    let shown = house.shown(&unpaid).await?;
    assert_eq!(
        shown["status"], "created",
        "nobody read the chain up to its expiry"
    );
    assert_eq!(shown["payable"], false, "by the clock it is over");
    assert_eq!(house.history(&unpaid).await?.len(), 1);

    house.node.restart().await?;
    // Several blocks at once, each with a payment, before the watcher asks again.
    for _ in 0..3 {
        house.pay(&late, DUE_SAT).await?;
        house.node.mine(1).await?;
    }
    house.node.mine(1).await?;
    house.until_caught_up().await?;
    for (invoice, payments) in [(&early, 1), (&late, 3)] {
        let paid = house.until(invoice, "paid").await?;
        assert_eq!(
            paid["transfers"].as_array().map(Vec::len),
            Some(payments),
            "{paid}"
        );
        assert_eq!(tally(&paid, "final")?, invoice.due_sat);
        house.until_told(invoice).await?;
    }
    house.until(&unpaid, "expired").await?;
    house.expect_told(&unpaid, &["created", "expired"]).await
}

/// Goal: blocks that were mined in time and could only be read after an invoice's expiry count as
/// in time, and what came after it counts as late.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_mined_in_time_is_in_time_although_it_was_read_later() -> Result<()> {
    let (node, payer) = House::node().await?;
    let mut relay = Relay::start(&node.url()).await?;
    let options = WatcherOptions {
        node_url: Some(relay.url()),
        ..WatcherOptions::default()
    };
    let house = House::on(node, payer, Database::Sqlite, options).await?;
    let expiry = json!({ "expires_in_s": 4 });
    let started = Instant::now();
    let in_time = house.invoice_with(DUE_SAT, expiry.clone()).await?;
    let too_late = house.invoice_with(DUE_SAT, expiry.clone()).await?;
    let unpaid = house.invoice_with(DUE_SAT, expiry).await?;
    relay.cut().await;
    house.pay(&in_time, DUE_SAT).await?;
    house.node.mine(1).await?;
    ensure!(
        started.elapsed() < Duration::from_secs(3),
        "the machine is too slow for this test"
    );
    sleep(Duration::from_secs(5)).await;
    for invoice in [&in_time, &too_late, &unpaid] {
        assert_eq!(
            house.shown(invoice).await?["status"],
            "created",
            "nothing was read"
        );
    }
    house.pay(&too_late, DUE_SAT).await?;
    house.node.mine(2).await?;
    relay.mend().await?;

    let paid = house.until(&in_time, "paid").await?;
    let transfer = &paid["transfers"][0];
    assert_eq!(transfer["in_time"], true, "{transfer}");
    let late = house.until(&too_late, "late_paid").await?;
    assert_eq!(late["transfers"][0]["in_time"], false);
    assert_eq!(tally(&late, "late")?, DUE_SAT);
    house.until(&unpaid, "expired").await?;
    house.until_told(&in_time).await?;
    house.until_told(&too_late).await?;
    house.expect_told(&unpaid, &["created", "expired"]).await
}
