//! Payments and chains at the edge of what is allowed: shared transactions, many outputs, dust, clocks
//! that are wrong, huge blocks, and nodes that do not have what they should.

use crate::support::{Database, House, Invoice, PATIENCE, tally};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::bitcoin::Transaction;
use paywatch_testkit::bitcoin::consensus::encode::serialize_hex;
use paywatch_testkit::{Bitcoind, WatcherOptions, eventually, sleep};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DUE_SAT: u64 = 60_000;

impl House {
    /// Mines a transaction that no mempool has seen.
    async fn mine_unseen(&self, transaction: &Transaction) -> Result<()> {
        self.node.mine_with(&[serialize_hex(transaction)]).await?;
        self.payer.record(transaction);
        self.until_caught_up().await
    }

    /// Waits until `/v1/chains` names what keeps the follower; gives the chain.
    async fn until_problem(&self, code: &str) -> Result<Value> {
        eventually(code, PATIENCE, async || {
            let chain = self.chain().await?;
            Ok((chain["problem"]["code"] == json!(code)).then_some(chain))
        })
        .await
    }
}

fn positions(invoice: &Value) -> Result<BTreeSet<&str>> {
    let transfers = invoice["transfers"].as_array().context("a list")?;
    transfers
        .iter()
        .map(|one| one["position"].as_str().context("a position"))
        .collect()
}

/// Goal: one transaction that pays two invoices pays each with its own output; 300 outputs to one
/// invoice are 300 facts and one payment.
#[tokio::test(flavor = "multi_thread")]
async fn one_transaction_pays_many_times() -> Result<()> {
    const OUTPUTS: usize = 300;
    const PART_SAT: u64 = 1_000;
    let house = House::new().await?;
    let (one, other) = (
        house.invoice(DUE_SAT).await?,
        house.invoice(2 * DUE_SAT).await?,
    );
    let many = house.invoice(PART_SAT * u64::try_from(OUTPUTS)?).await?;
    let outputs = [
        (one.address.as_str(), DUE_SAT),
        (other.address.as_str(), 2 * DUE_SAT),
    ];
    let txid = house.payer.pay(&outputs).await?;
    let parts = vec![(many.address.as_str(), PART_SAT); OUTPUTS];
    house.payer.pay(&parts).await?;
    for invoice in [&one, &other, &many] {
        house.until(invoice, "detected").await?;
    }
    house.node.mine(1).await?;
    for invoice in [&one, &other, &many] {
        house.until(invoice, "confirming").await?;
    }
    house.node.mine(1).await?;
    for (invoice, position) in [(&one, "vout:0"), (&other, "vout:1")] {
        let paid = house.until(invoice, "paid").await?;
        assert_eq!(tally(&paid, "final")?, invoice.due_sat);
        assert_eq!(paid["transfers"][0]["tx_id"], json!(txid.to_string()));
        assert_eq!(positions(&paid)?, BTreeSet::from([position]));
    }
    let paid = house.until(&many, "paid").await?;
    assert_eq!(tally(&paid, "final")?, many.due_sat);
    assert_eq!(tally(&paid, "excess")?, 0);
    assert_eq!(positions(&paid)?.len(), OUTPUTS);
    let told = ["created", "detected", "confirming", "paid"];
    for invoice in [&one, &other, &many] {
        house.expect_told(invoice, &told).await?;
    }
    Ok(())
}

/// Goal: an output of nothing is no transfer, one below the dust limit is counted and told to nobody,
/// and one at the limit is a payment.
#[tokio::test(flavor = "multi_thread")]
async fn dust_is_no_news_and_546_satoshi_are_money() -> Result<()> {
    let house = House::new().await?;
    let (dusty, smallest) = (house.invoice(DUE_SAT).await?, house.invoice(546).await?);
    // Nodes do not relay such outputs; miners may put them into a block.
    let outputs = [
        (dusty.address.as_str(), 0),
        (smallest.address.as_str(), 0),
        (dusty.address.as_str(), 545),
        (smallest.address.as_str(), 546),
    ];
    let transaction = house.payer.build(&outputs, 10)?;
    house.mine_unseen(&transaction).await?;
    house.mine(1).await?;
    let paid = house.until(&smallest, "paid").await?;
    assert_eq!(tally(&paid, "final")?, 546);
    assert_eq!(positions(&paid)?, BTreeSet::from(["vout:3"]));
    let shown = house.shown(&dusty).await?;
    assert_eq!(shown["status"], "created");
    assert_eq!(tally(&shown, "final")?, 545, "it is counted");
    assert_eq!(positions(&shown)?, BTreeSet::from(["vout:2"]));
    house
        .expect_told(&smallest, &["created", "confirming", "paid"])
        .await?;
    house.expect_told(&dusty, &["created"]).await
}

/// Goal: whatever a miner writes into a header, within the rules of consensus, our clock decides what is
/// in time while the chain is followed: a block dated an hour back is no earlier than the last look at
/// the chain, and one dated two hours ahead no later than now.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_block_is_not_a_clock() -> Result<()> {
    const BACK_S: u64 = 3000;
    const AHEAD_S: u64 = 2 * 3600 - 30;
    let house = House::new().await?;
    let [behind, ahead, after] = [
        house.invoice(DUE_SAT).await?,
        house.invoice(DUE_SAT).await?,
        house.invoice(DUE_SAT).await?,
    ];
    let late = house
        .invoice_with(DUE_SAT, json!({ "expires_in_s": 1 }))
        .await?;
    house.until(&late, "expired").await?;
    let now_s = || -> Result<u64> { Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs()) };
    let pay = |invoices: &[&Invoice]| {
        let outputs: Vec<(&str, u64)> = invoices
            .iter()
            .map(|invoice| (invoice.address.as_str(), DUE_SAT))
            .collect();
        house.payer.build(&outputs, 10)
    };
    let before = now_s()?;
    house
        .node
        .rpc("setmocktime", json!([before - BACK_S]))
        .await?;
    house.mine_unseen(&pay(&[&behind, &late])?).await?;
    house
        .node
        .rpc("setmocktime", json!([before + AHEAD_S]))
        .await?;
    house.mine_unseen(&pay(&[&ahead])?).await?;
    // Back to the truth: the next block is older than the one it stands on.
    house.node.rpc("setmocktime", json!([0])).await?;
    house.mine_unseen(&pay(&[&after])?).await?;
    let times = async |below: u64| -> Result<u64> {
        let hash = house
            .node
            .hash_at(house.node.height().await? - below)
            .await?;
        let header = house.node.rpc("getblockheader", json!([hash])).await?;
        header["time"].as_u64().context("a header has a time")
    };
    let [first, second, third] = [times(2).await?, times(1).await?, times(0).await?];
    ensure!(first < before && before + 3600 < second && third < second);
    house.mine(1).await?;
    for invoice in [&behind, &ahead, &after] {
        let paid = house.until(invoice, "paid").await?;
        let transfer = &paid["transfers"][0];
        assert_eq!(transfer["in_time"], true, "{paid}");
        // RFC 3339 in UTC: texts are in the order of times.
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let sighted = text(&transfer["sighted_at"]);
        ensure!(text(&paid["created_at"]) <= sighted, "{paid}");
        ensure!(sighted < text(&paid["expires_at"]), "{paid}");
    }
    let paid = house.until(&late, "late_paid").await?;
    assert_eq!(paid["transfers"][0]["in_time"], false);
    Ok(())
}

/// Goal: a block with 30,000 outputs of which three pay us pays three invoices.
#[tokio::test(flavor = "multi_thread")]
async fn a_huge_block_is_read_to_its_end() -> Result<()> {
    const OUTPUTS: usize = 30_000;
    let house = House::new().await?;
    let [first, middle, last] = [
        house.invoice(DUE_SAT).await?,
        house.invoice(DUE_SAT).await?,
        house.invoice(DUE_SAT).await?,
    ];
    let nobody = house.node.fresh_address()?;
    let mut outputs = vec![(nobody.as_str(), 1_000); OUTPUTS];
    let places = [(0, &first), (OUTPUTS / 2, &middle), (OUTPUTS - 1, &last)];
    for (place, invoice) in places {
        outputs[place] = (invoice.address.as_str(), DUE_SAT);
    }
    let transaction = house.payer.build(&outputs, 1)?;
    house.mine_unseen(&transaction).await?;
    house.mine(1).await?;
    for (place, invoice) in places {
        let paid = house.until(invoice, "paid").await?;
        let position = format!("vout:{place}");
        assert_eq!(positions(&paid)?, BTreeSet::from([position.as_str()]));
        assert_eq!(tally(&paid, "final")?, DUE_SAT);
    }
    Ok(())
}

/// Gives a node every block of another that it does not have.
async fn hand_over(from: &Bitcoind, to: &Bitcoind) -> Result<()> {
    for height in to.height().await? + 1..=from.height().await? {
        let hash = from.hash_at(height).await?;
        let block = from.rpc("getblock", json!([hash, 0])).await?;
        to.rpc("submitblock", json!([block])).await?;
    }
    ensure!(from.best_hash().await? == to.best_hash().await?);
    Ok(())
}

/// Goal: while the node knows of blocks that it does not have yet, the chain waits, says so, and nothing
/// expires; the blocks that another node mined meanwhile are then read one by one.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_expires_while_the_node_synchronises() -> Result<()> {
    let house = House::new().await?;
    let other = Bitcoind::start().await?;
    hand_over(&house.node, &other).await?;
    let short = json!({ "expires_in_s": 4 });
    let [paid, unpaid] = [
        house.invoice_with(DUE_SAT, short.clone()).await?,
        house.invoice_with(DUE_SAT, short).await?,
    ];
    let payment = house.payer.build(&[(&paid.address, DUE_SAT)], 10)?;
    other.mine_with(&[serialize_hex(&payment)]).await?;
    other.mine(3).await?;
    let height = house.node.height().await?;
    for above in 1..=4 {
        let hash = other.hash_at(height + above).await?;
        let header = other.rpc("getblockheader", json!([hash, false])).await?;
        house.node.rpc("submitheader", json!([header])).await?;
    }
    house.until_problem("node_synchronising").await?;
    // The first poll may have come between two headers.
    let words = format!("{height} of {} blocks", height + 4);
    eventually("all headers to be named", PATIENCE, async || {
        let chain = house.chain().await?;
        let detail = chain["problem"]["detail"].as_str();
        Ok(detail
            .is_some_and(|detail| detail.contains(&words))
            .then_some(()))
    })
    .await?;
    sleep(Duration::from_secs(5)).await;
    for invoice in [&paid, &unpaid] {
        assert_eq!(house.shown(invoice).await?["status"], "created");
    }
    hand_over(&other, &house.node).await?;
    house.until_caught_up().await?;
    let shown = house.until(&paid, "paid").await?;
    assert_eq!(
        shown["transfers"][0]["in_time"], true,
        "its block came in time"
    );
    house.until(&unpaid, "expired").await?;
    let chain = house.chain().await?;
    assert_eq!(chain["problem"], Value::Null);
    assert_eq!(chain["lag_blocks"], 0);
    house.expect_told(&unpaid, &["created", "expired"]).await
}

/// Goal: when the node has thrown away blocks that the watcher needs, the chain waits and names them; it
/// never goes on behind the gap, and no invoice expires.
#[tokio::test(flavor = "multi_thread")]
async fn a_pruned_node_is_waited_for() -> Result<()> {
    const MISSED: u32 = 600;
    let (node, payer) = House::node_with(&["-prune=1", "-fastprune=1"]).await?;
    let mut house = House::on(node, payer, Database::Sqlite, WatcherOptions::default()).await?;
    let unpaid = house
        .invoice_with(DUE_SAT, json!({ "expires_in_s": 1 }))
        .await?;
    let cursor = house.chain().await?["cursor"].clone();
    house.watcher.kill()?;
    house.node.mine(MISSED).await?;
    let height = house.node.height().await?;
    house
        .node
        .rpc("pruneblockchain", json!([height - 300]))
        .await?;
    let info = house.node.rpc("getblockchaininfo", json!([])).await?;
    let lowest = info["pruneheight"].as_u64().context("it prunes")?;
    ensure!(cursor["height"].as_u64() < Some(lowest - 1), "{info}");
    house.watcher.launch().await?;
    let chain = house.until_problem("node_pruned").await?;
    let detail = chain["problem"]["detail"].as_str().context("words")?;
    ensure!(detail.contains(&lowest.to_string()), "{detail}");
    assert_eq!(chain["cursor"], cursor, "nothing is skipped");
    assert_eq!(chain["tip_height"], json!(height));
    assert_eq!(chain["lag_blocks"], json!(u64::from(MISSED)));
    assert_eq!(house.shown(&unpaid).await?["status"], "created");
    house.expect_told(&unpaid, &["created"]).await
}
