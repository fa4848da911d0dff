//! What can happen to a payment before it is mined: replaced, bumped, evicted, forgotten, double spent.
//!
//! The payer's transactions have final sequence numbers: none of them asks to be replaceable.

use crate::support::{Database, House, Invoice, PATIENCE, tally};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::bitcoin::consensus::encode::serialize_hex;
use paywatch_testkit::{Payer, WatcherOptions, eventually, sleep};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DUE_SAT: u64 = 80_000;

/// The transfer that is counted, which is the only one.
fn counted(invoice: &Value) -> Result<&Value> {
    let transfers = invoice["transfers"].as_array().context("a list")?;
    let mut counted = transfers.iter().filter(|one| one["counted"] == json!(true));
    let one = counted.next().context("one is counted")?;
    ensure!(counted.next().is_none(), "the same money twice: {invoice}");
    Ok(one)
}

/// Waits until the clock is past an invoice's expiry and this was said or recorded.
async fn until_closed(house: &House, invoice: &Invoice) -> Result<Value> {
    eventually("the end of the window", PATIENCE, async || {
        let events = house.history(invoice).await?;
        let last = events.last().context("events")?;
        if last["data"]["cause"]["kind"] == json!("expiry") {
            return Ok(Some(house.shown(invoice).await?));
        }
        Ok(None)
    })
    .await
}

/// Goal: a payment that is replaced by one that pays somebody else falls back at once, is never paid,
/// and the merchant hears `updated`; whether it is replaced itself or loses its parent, or whether the
/// other transaction is seen in a block first.
#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_pays_us_nothing_takes_the_payment_back() -> Result<()> {
    let house = House::new().await?;
    let [replaced, orphaned, mined] = [
        house.invoice(DUE_SAT).await?,
        house.invoice(DUE_SAT).await?,
        house.invoice(DUE_SAT).await?,
    ];
    let friend = Payer::without_coins(&house.node, 2)?;

    let payment = house.pay(&replaced, DUE_SAT).await?;
    let parent = house
        .payer
        .build(&[(friend.address().as_str(), 2 * DUE_SAT)], 10)?;
    let parent_id = house.payer.broadcast(&parent).await?;
    friend.record(&parent);
    let child = friend.pay(&[(&orphaned.address, DUE_SAT)]).await?;
    let spent = house.pay(&mined, DUE_SAT).await?;
    for invoice in [&replaced, &orphaned, &mined] {
        house.until(invoice, "detected").await?;
    }

    house.payer.double_spend(payment, None).await?;
    house.payer.double_spend(parent_id, None).await?;
    let pool = house.node.mempool().await?;
    ensure!(!pool.contains(&child.to_string()), "the child went too");
    for invoice in [&replaced, &orphaned] {
        let back = house.until(invoice, "created").await?;
        assert_eq!(tally(&back, "seen")?, 0);
        assert_eq!(back["payable"], true, "it can be paid again");
        assert_eq!(back["transfers"][0]["certainty"], "gone");
    }
    // The third goes with the block, and no mempool ever showed why.
    let double_spend = house.payer.build_double_spend(spent, None)?;
    house
        .node
        .mine_with(&[serialize_hex(&double_spend)])
        .await?;
    house.payer.record(&double_spend);
    let back = house.until(&mined, "created").await?;
    assert_eq!(tally(&back, "seen")?, 0);
    let events = house.until_told(&mined).await?;
    let fall = events.last().context("events")?;
    assert_eq!(fall["data"]["cause"]["kind"], "block", "{fall}");
    house.mine(3).await?;
    for invoice in [&replaced, &orphaned, &mined] {
        assert_eq!(house.shown(invoice).await?["status"], "created");
    }
    let told = ["created", "detected", "updated", "exception.opened"];
    for invoice in [&replaced, &mined] {
        house.expect_told(invoice, &told).await?;
        let shown = house.shown(invoice).await?;
        assert_eq!(shown["exceptions"][0]["kind"], "double_spent", "{shown}");
    }
    // Nobody spent what it spends: that is not there any more.
    house.expect_told(&orphaned, &told[..3]).await
}

/// Goal: a payment that is sent again with a higher fee is one payment with the time of its first
/// sight: before the expiry, after it, and when the replacement is seen in a block first.
#[tokio::test(flavor = "multi_thread")]
async fn a_fee_bump_is_the_same_payment() -> Result<()> {
    let house = House::new().await?;
    let short = json!({ "expires_in_s": 4 });
    let [early, late, mined] = [
        house.invoice(DUE_SAT).await?,
        house.invoice_with(DUE_SAT, short.clone()).await?,
        house.invoice_with(DUE_SAT, short).await?,
    ];
    let mut payments = Vec::new();
    let mut sighted = Vec::new();
    for invoice in [&early, &late, &mined] {
        payments.push(house.pay(invoice, DUE_SAT).await?);
        let seen = house.until(invoice, "detected").await?;
        sighted.push(counted(&seen)?["sighted_at"].clone());
    }
    let bump = |place: usize, invoice: &Invoice| {
        let to = Some((invoice.address.as_str(), DUE_SAT));
        house.payer.build_double_spend(payments[place], to)
    };
    let higher = bump(0, &early)?;
    house.payer.broadcast(&higher).await?;
    let txid = higher.compute_txid().to_string();
    eventually("the replacement", PATIENCE, async || {
        let shown = house.shown(&early).await?;
        Ok((counted(&shown)?["tx_id"] == json!(txid)).then_some(()))
    })
    .await?;
    until_closed(&house, &late).await?;
    until_closed(&house, &mined).await?;
    let higher = bump(1, &late)?;
    house.payer.broadcast(&higher).await?;
    let txid = higher.compute_txid().to_string();
    eventually("the late replacement", PATIENCE, async || {
        let shown = house.shown(&late).await?;
        Ok((counted(&shown)?["tx_id"] == json!(txid)).then_some(()))
    })
    .await?;
    let other = bump(2, &mined)?;
    house.node.mine_with(&[serialize_hex(&other)]).await?;
    house.payer.record(&other);
    house.until(&mined, "confirming").await?;
    house.mine(2).await?;
    for (invoice, sighted) in [&early, &late, &mined].into_iter().zip(sighted) {
        let paid = house.until(invoice, "paid").await?;
        let transfer = counted(&paid)?;
        assert_eq!(transfer["sighted_at"], sighted, "{paid}");
        assert_eq!(transfer["in_time"], true);
        assert_eq!(tally(&paid, "final")?, DUE_SAT);
        assert_eq!(tally(&paid, "excess")?, 0);
        let events = house.until_told(invoice).await?;
        for event in &events {
            let seen = tally(&event["data"]["invoice"], "seen")?;
            ensure!(seen <= DUE_SAT, "the money was told twice: {event}");
        }
    }
    house
        .expect_told(&early, &["created", "detected", "confirming", "paid"])
        .await
}

/// Goal: what a full mempool pushes out, and what is too old for it, is told as gone; when it is mined
/// after all, it is the payment that was seen in time.
#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_payment_is_gone_until_it_is_mined() -> Result<()> {
    const COINS: usize = 60;
    const OUTPUTS: usize = 2_200;
    const EXPIRY_S: u64 = 3600;
    let (node, payer) = House::node_with(&["-maxmempool=5", "-mempoolexpiry=1"]).await?;
    payer.fan_out(COINS, 20_000_000).await?;
    node.mine(1).await?;
    let house = House::on(node, payer, Database::Sqlite, WatcherOptions::default()).await?;
    let longer = json!({ "expires_in_s": 15 });
    let pushed_out = house.invoice_with(DUE_SAT, longer).await?;
    let outputs = [(pushed_out.address.as_str(), DUE_SAT)];
    let cheap = house.payer.build(&outputs, 1)?;
    house.payer.broadcast(&cheap).await?;
    let seen = house.until(&pushed_out, "detected").await?;
    let sighted = counted(&seen)?["sighted_at"].clone();
    let nobody = house.node.fresh_address()?;
    let many = vec![(nobody.as_str(), 1_000); OUTPUTS];
    let mut floods = 0;
    while house
        .node
        .mempool()
        .await?
        .contains(&cheap.compute_txid().to_string())
    {
        house.payer.pay_with_fee(&many, 50).await?;
        floods += 1;
        ensure!(floods < COINS, "the mempool takes everything");
    }
    house.until(&pushed_out, "created").await?;
    house.node.mine(2).await?;

    // An hour passes for the node; what it holds longer than that goes with the next that comes.
    let short = json!({ "expires_in_s": 6 });
    let aged = house.invoice_with(DUE_SAT, short).await?;
    let outputs = [(aged.address.as_str(), DUE_SAT)];
    let old = house.payer.build(&outputs, 200)?;
    house.payer.broadcast(&old).await?;
    house.until(&aged, "detected").await?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let later = now_s + EXPIRY_S + 60;
    house.node.rpc("setmocktime", json!([later])).await?;
    house.payer.pay_with_fee(&[(&nobody, 1_000)], 200).await?;
    house.until(&aged, "created").await?;
    house.node.rpc("setmocktime", json!([0])).await?;
    for invoice in [&pushed_out, &aged] {
        house.until(invoice, "expired").await?;
        house
            .expect_told(invoice, &["created", "detected", "updated", "expired"])
            .await?;
    }
    let both = [serialize_hex(&cheap), serialize_hex(&old)];
    house.node.mine_with(&both).await?;
    house.node.mine(1).await?;
    for invoice in [&pushed_out, &aged] {
        let paid = house.until(invoice, "paid").await?;
        assert_eq!(counted(&paid)?["in_time"], true);
    }
    let paid = house.shown(&pushed_out).await?;
    assert_eq!(counted(&paid)?["sighted_at"], sighted);
    Ok(())
}

/// Goal: a node that comes back with an empty mempool has dropped nothing, and nothing is said; a
/// payment that is sent again or mined later is in time, and one whose coins a block spends is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_forgot_its_mempool_takes_no_payment_back() -> Result<()> {
    let (node, payer) = House::node_with(&["-persistmempool=0"]).await?;
    let mut house = House::on(node, payer, Database::Sqlite, WatcherOptions::default()).await?;
    let short = json!({ "expires_in_s": 10 });
    let [again, mined, spent] = [
        house.invoice_with(DUE_SAT, short.clone()).await?,
        house.invoice_with(DUE_SAT, short).await?,
        house.invoice(DUE_SAT).await?,
    ];
    let mut payments = Vec::new();
    let mut sighted = Vec::new();
    for invoice in [&again, &mined, &spent] {
        let outputs = [(invoice.address.as_str(), DUE_SAT)];
        let payment = house.payer.build(&outputs, 10)?;
        house.payer.broadcast(&payment).await?;
        payments.push(payment);
        let seen = house.until(invoice, "detected").await?;
        sighted.push(counted(&seen)?["sighted_at"].clone());
    }
    // It is killed after it wrote its blocks, since an orderly stop takes long.
    house.node.rpc("gettxoutsetinfo", json!(["none"])).await?;
    house.node.kill()?;
    // It counts the time since its start in whole seconds.
    sleep(Duration::from_millis(1_500)).await;
    house.node.restart().await?;
    ensure!(house.node.mempool().await?.is_empty(), "it forgot them");
    house.mine(1).await?;
    for invoice in [&again, &mined] {
        until_closed(&house, invoice).await?;
    }
    house.watcher.kill()?;
    house.watcher.launch().await?;
    house.mine(1).await?;
    for invoice in [&again, &mined, &spent] {
        let shown = house.shown(invoice).await?;
        assert_eq!(shown["status"], "detected", "{shown}");
        assert_eq!(
            tally(&shown, "remaining")?,
            0,
            "nobody is asked to pay twice"
        );
    }
    let double_spend = house
        .payer
        .build_double_spend(payments[2].compute_txid(), None)?;
    house
        .node
        .mine_with(&[serialize_hex(&double_spend)])
        .await?;
    house.until(&spent, "created").await?;
    house.payer.broadcast(&payments[0]).await?;
    house.until_caught_up().await?;
    let whole = [serialize_hex(&payments[0]), serialize_hex(&payments[1])];
    house.node.mine_with(&whole).await?;
    house.node.mine(1).await?;
    for (invoice, sighted) in [&again, &mined].into_iter().zip(sighted) {
        let paid = house.until(invoice, "paid").await?;
        let transfer = counted(&paid)?;
        assert_eq!(transfer["sighted_at"], sighted);
        assert_eq!(transfer["in_time"], true);
        assert_eq!(paid["transfers"].as_array().map(Vec::len), Some(1));
        let events = house.until_told(invoice).await?;
        let fell = events
            .iter()
            .any(|event| event["data"]["invoice"]["status"] == json!("expired"));
        ensure!(!fell, "{events:?}");
    }
    let told = ["created", "detected", "updated", "exception.opened"];
    house.expect_told(&spent, &told).await
}
