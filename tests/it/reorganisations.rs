//! Reorganisations of one to six blocks under a paid invoice.

use crate::support::{Database, House, Invoice, Relay, statuses, tally};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::WatcherOptions;
use paywatch_testkit::bitcoin::Txid;
use paywatch_testkit::bitcoin::consensus::encode::serialize_hex;
use serde_json::{Value, json};

const DUE_SAT: u64 = 300_000;
const DEPTH_MAX: u32 = 6;

/// An invoice whose payment has `depth` blocks, its own included, and is final with them.
async fn paid_under(house: &House, depth: u32) -> Result<(Invoice, Txid)> {
    let need = depth.min(2);
    let policy = json!({ "tiers": [{ "finality": { "bitcoin-regtest": { "depth": need } } }] });
    let invoice = house
        .invoice_with(DUE_SAT, json!({ "policy": policy }))
        .await?;
    let txid = house.pay(&invoice, DUE_SAT).await?;
    house.until(&invoice, "detected").await?;
    house.mine(depth).await?;
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(tally(&paid, "final")?, DUE_SAT);
    Ok((invoice, txid))
}

/// The only event of a type, and its place in the history.
fn only<'a>(events: &'a [Value], kind: &str) -> Result<(usize, &'a Value)> {
    let mut found = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event["type"] == json!(kind));
    let one = found
        .next()
        .with_context(|| format!("no {kind} in {events:?}"))?;
    ensure!(found.next().is_none(), "more than one {kind} in {events:?}");
    Ok(one)
}

/// The merchant hears once that what was paid is so no more, with the sums of that moment.
fn check_reverted(events: &[Value], depth: u32) -> Result<usize> {
    let (place, reverted) = only(events, "invoice.reverted")?;
    assert_eq!(
        reverted["data"]["previous_status"], "paid",
        "{depth} blocks"
    );
    assert_eq!(reverted["data"]["cause"]["kind"], "reorg", "{depth} blocks");
    let told = &reverted["data"]["invoice"];
    assert_ne!(told["status"], "paid", "{depth} blocks");
    assert_eq!(tally(told, "final")?, 0, "{depth} blocks");
    assert_eq!(events[place - 1]["type"], "invoice.paid", "{depth} blocks");
    Ok(place)
}

/// Goal: after a reorganisation of 1 to 6 blocks the same payment stands in another block; the
/// merchant hears `reverted`, then `paid` again, and the money is counted once.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_mined_again_is_reverted_and_paid() -> Result<()> {
    let house = House::new().await?;
    for depth in 1..=DEPTH_MAX {
        let (invoice, txid) = paid_under(&house, depth).await?;
        let old = house.shown(&invoice).await?["transfers"][0]["block_hash"].clone();
        house.node.invalidate_last(depth).await?;
        house.node.mine_empty(1).await?;
        house.until(&invoice, "detected").await?;
        house.mine(depth + 1).await?;
        let paid = house.until(&invoice, "paid").await?;
        let transfers = paid["transfers"]
            .as_array()
            .context("transfers are a list")?;
        assert_eq!(transfers.len(), 1, "{depth} blocks: {paid}");
        assert_eq!(transfers[0]["tx_id"], json!(txid.to_string()));
        assert_ne!(transfers[0]["block_hash"], old, "{depth} blocks");
        assert_eq!(tally(&paid, "final")?, DUE_SAT, "{depth} blocks");
        let events = house.until_told(&invoice).await?;
        check_reverted(&events, depth)?;
        assert_eq!(statuses(&events).last(), Some(&"paid"), "{depth} blocks");
    }
    Ok(())
}

/// Goal: after a reorganisation of 1 to 6 blocks the payment is gone, because the customer spent
/// the same coins elsewhere in the new branch; the merchant hears `reverted`, and nothing counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_double_spent_is_reverted_for_good() -> Result<()> {
    let house = House::new().await?;
    for depth in 1..=DEPTH_MAX {
        let (invoice, txid) = paid_under(&house, depth).await?;
        house.node.invalidate_last(depth).await?;
        let replacement = house.payer.double_spend(txid, None).await?;
        assert_eq!(house.node.mempool().await?, [replacement.to_string()]);
        house.mine(depth + 1).await?;
        let back = house.until(&invoice, "created").await?;
        for sum in ["seen", "confirming", "final", "late"] {
            assert_eq!(tally(&back, sum)?, 0, "{depth} blocks: {sum}");
        }
        assert_eq!(tally(&back, "remaining")?, DUE_SAT, "{depth} blocks");
        assert_eq!(
            back["payable"], true,
            "{depth} blocks: it can be paid again"
        );
        let transfer = &back["transfers"][0];
        assert_eq!(
            transfer["certainty"], "gone",
            "{depth} blocks: a fact stays as history"
        );
        assert_eq!(transfer["counted"], false, "{depth} blocks");
        let events = house.until_told(&invoice).await?;
        let place = check_reverted(&events, depth)?;
        let after = &statuses(&events)[place..];
        ensure!(!after.contains(&"paid"), "{depth} blocks: {after:?}");
        assert_eq!(after.last(), Some(&"created"), "{depth} blocks");
    }
    Ok(())
}

/// Goal: a reorganisation that is read in one go says one result. Where the payment only changed
/// its block there is no news; where it was double spent, one event says so, and
/// one what there is to decide.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_that_is_read_in_one_go_says_one_result() -> Result<()> {
    let (node, payer) = House::node().await?;
    let mut relay = Relay::start(&node.url()).await?;
    let options = WatcherOptions {
        node_url: Some(relay.url()),
        ..WatcherOptions::default()
    };
    let house = House::on(node, payer, Database::Sqlite, options).await?;
    for depth in [1, 3, DEPTH_MAX] {
        let (moved, _) = paid_under(&house, depth).await?;
        let before = house.until_told(&moved).await?;
        relay.cut().await;
        house.node.invalidate_last(depth).await?;
        let other = house.node.mine(depth + 1).await?;
        relay.mend().await?;
        house.until_caught_up().await?;
        let shown = house.shown(&moved).await?;
        assert_eq!(shown["status"], "paid", "{depth} blocks");
        assert_eq!(
            shown["transfers"][0]["block_hash"],
            json!(other[0]),
            "{depth} blocks"
        );
        assert_eq!(
            house.history(&moved).await?,
            before,
            "{depth} blocks: it is paid as before"
        );

        let (spent, txid) = paid_under(&house, depth).await?;
        let before = house.until_told(&spent).await?.len();
        relay.cut().await;
        house.node.invalidate_last(depth).await?;
        house.payer.double_spend(txid, None).await?;
        house.node.mine(depth + 1).await?;
        relay.mend().await?;
        let back = house.until(&spent, "created").await?;
        assert_eq!(tally(&back, "seen")?, 0, "{depth} blocks");
        let events = house.until_told(&spent).await?;
        assert_eq!(events.len(), before + 2, "{depth} blocks: {events:?}");
        assert_eq!(events[before + 1]["type"], "exception.opened");
        assert_eq!(check_reverted(&events, depth)?, before, "{depth} blocks");
    }
    Ok(())
}

/// Goal: a payment that was never final loses its block to a branch in which its coins are spent otherwise,
/// and no mempool ever showed that: the merchant hears of a double spend, and of its end when the first
/// branch wins after all.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_not_final_is_double_spent_by_the_new_branch() -> Result<()> {
    let (node, payer) = House::node().await?;
    let mut relay = Relay::start(&node.url()).await?;
    let options = WatcherOptions {
        node_url: Some(relay.url()),
        ..WatcherOptions::default()
    };
    let house = House::on(node, payer, Database::Sqlite, options).await?;
    let policy = json!({ "tiers": [{ "finality": { "bitcoin-regtest": { "depth": 3 } } }] });
    let invoice = house
        .invoice_with(DUE_SAT, json!({ "policy": policy }))
        .await?;
    let txid = house.pay(&invoice, DUE_SAT).await?;
    house.until(&invoice, "detected").await?;
    house.mine(1).await?;
    house.until(&invoice, "confirming").await?;
    relay.cut().await;
    let old = house.node.invalidate_last(1).await?;
    let other = house.payer.build_double_spend(txid, None)?;
    let other = serialize_hex(&other);
    let branch = house.node.mine_with(&[other]).await?;
    house.node.mine_empty(1).await?;
    relay.mend().await?;
    let back = house.until(&invoice, "created").await?;
    let transfer = &back["transfers"][0];
    assert_eq!(transfer["certainty"], "gone", "{back}");
    assert_eq!(back["exceptions"][0]["kind"], "double_spent", "{back}");
    let stake = DUE_SAT.to_string();
    assert_eq!(back["exceptions"][0]["amount_atomic"], json!(stake));
    let told = [
        "created",
        "detected",
        "confirming",
        "updated",
        "exception.opened",
    ];
    house.expect_told(&invoice, &told).await?;
    let events = house.until_told(&invoice).await?;
    assert_eq!(events[3]["data"]["cause"]["kind"], "reorg");

    house.node.invalidate(&branch).await?;
    house.node.reconsider(&old).await?;
    house.mine(3).await?;
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(tally(&paid, "final")?, DUE_SAT);
    assert_eq!(paid["exceptions"][0]["state"], "resolved", "{paid}");
    Ok(())
}
