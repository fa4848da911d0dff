//! What no real node can be made to show: forks between confirmed and finalized, slots that were skipped, and blocks
//! that are not given. A server speaks as a validator does; everything else is the watcher as it is shipped.

use super::house::{ACCOUNT, CHAIN, CONFIRMED, FINALIZED};
use crate::support::PATIENCE;
use crate::support::shop::{Invoice, Shop};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{
    FollowedChain, SolanaCluster, SolanaTold, Watcher, WatcherOptions, eventually,
};
use serde_json::{Value, json};
use std::ops::Deref;
use std::time::{SystemTime, UNIX_EPOCH};

/// Lamports of a quarter of the coin.
const QUARTER: u64 = 250_000_000;

/// A watcher of a made-up cluster, and a merchant with an extended public key.
struct Forked {
    cluster: SolanaCluster,
    shop: Shop,
}

impl Forked {
    /// A cluster with these slots, see [`SolanaCluster::set`], and a rule by which money is final.
    async fn new(slots: &str, finality: &str) -> Result<Self> {
        let cluster = SolanaCluster::start(slots).await?;
        // Blocks that are made from now on.
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        cluster.state().began_s = now_s - 100;
        cluster.set(slots);
        let chain = FollowedChain::solana_at(CHAIN, cluster.url(), None).final_by(finality);
        let watcher = Watcher::start_on(&[chain], &WatcherOptions::default()).await?;
        let shop = Shop::new(watcher).await?;
        let body = json!({ "chain_family": "solana", "key": ACCOUNT });
        let wallet = shop.api.post("/v1/wallets", &body).await?.value()?;
        shop.confirm(&wallet).await?;
        shop.until_accepting(CHAIN).await?;
        Ok(Self { cluster, shop })
    }

    async fn invoice(&self) -> Result<Invoice> {
        let option = json!({ "asset": format!("sol@{CHAIN}"), "amount": "0.25" });
        self.invoice_with(&option).await
    }

    /// Waits until the chain was looked at again.
    async fn until_polled(&self) -> Result<()> {
        let polled = self.chain(CHAIN).await?["covered_until"].clone();
        eventually("the chain to be looked at again", PATIENCE, async || {
            let chain = self.chain(CHAIN).await?;
            Ok((chain["covered_until"] != polled).then_some(()))
        })
        .await
    }

    /// Waits until the chain is read up to a slot with this hash.
    async fn until_read(&self, slot: u64, hash: &str) -> Result<()> {
        let mut last = Value::Null;
        let waited = eventually("the slot to be read", PATIENCE, async || {
            last = self.chain(CHAIN).await?["cursor"].clone();
            Ok((last["height"] == slot && last["hash"] == hash).then_some(()))
        });
        waited.await.with_context(|| format!("it is {last}"))
    }
}

impl Deref for Forked {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

/// A transaction that pays an invoice.
fn payment(id: &str, invoice: &Invoice) -> Value {
    let account = |key: &str, signer: bool| json!({"pubkey": key, "signer": signer, "writable": true, "source": "transaction"});
    let before = 4 * QUARTER;
    json!({
        "transaction": {
            "accountKeys": [account("payer", true), account(&invoice.address, false)],
            "signatures": [id],
        },
        "meta": {
            "err": null, "fee": 5000, "status": {"Ok": null},
            "preBalances": [before, 0], "postBalances": [before - 5000 - QUARTER, QUARTER],
            "preTokenBalances": [], "postTokenBalances": [],
        },
        "version": "legacy",
    })
}

/// Goal: a confirmed block that is dropped before it is finalized takes its payment back, and the invoice is folded
/// again; the same transaction in another block pays it, finally once that is finalized.
#[tokio::test(flavor = "multi_thread")]
async fn a_fork_before_finality_takes_a_payment_back() -> Result<()> {
    let house = Forked::new("abcde", FINALIZED).await?;
    let invoice = house.invoice().await?;
    let paid = json!([payment("sig", &invoice)]);
    house.cluster.set_filled("abcdefg", &[(105, paid.clone())]);
    let shown = house.until(&invoice, "confirming").await?;
    assert_eq!(shown["transfers"][0]["block_hash"], "f", "{shown}");
    // A longer branch from `e` on, in which slot 106 was skipped.
    house.cluster.set("abcdex-yz");
    let shown = house.until(&invoice, "created").await?;
    assert_eq!(shown["transfers"][0]["certainty"], "gone", "{shown}");
    house.until_read(108, "z").await?;
    house
        .cluster
        .set_filled("abcdex-yzu", &[(109, paid.clone())]);
    let shown = house.until(&invoice, "confirming").await?;
    assert_eq!(
        shown["transfers"].as_array().map(Vec::len),
        Some(1),
        "{shown}"
    );
    assert_eq!(shown["transfers"][0]["block_height"], 109, "{shown}");
    house
        .cluster
        .set_filled("abcdex-yzuv", &[(109, paid.clone())]);
    house.cluster.state().finalized = 109;
    house.until(&invoice, "paid").await?;
    let told = ["created", "confirming", "updated", "confirming", "paid"];
    assert_eq!(house.told(&invoice).await?, told);
    Ok(())
}

/// Goal: where confirmed is enough for the merchant, a dropped block reverts what was paid, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_fork_reverts_what_was_paid_by_confirmed_blocks() -> Result<()> {
    let house = Forked::new("abcde", CONFIRMED).await?;
    let invoice = house.invoice().await?;
    let paid = json!([payment("sig", &invoice)]);
    house.cluster.set_filled("abcdef", &[(105, paid.clone())]);
    house.until(&invoice, "paid").await?;
    house.cluster.set("abcde-xy");
    house.until_reverted(&invoice, QUARTER.into()).await?;
    house.cluster.set_filled("abcde-xyz", &[(108, paid)]);
    house.until_paid_again(&invoice).await
}

/// Goal: a chain that undoes what it called finalized halts, and takes nothing back before a person has looked.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_undoes_finalized_blocks_halts() -> Result<()> {
    let house = Forked::new("abcde", FINALIZED).await?;
    let invoice = house.invoice().await?;
    let paid = json!([payment("sig", &invoice)]);
    house.cluster.set_filled("abcdefg", &[(105, paid)]);
    house.cluster.state().finalized = 106;
    house.until(&invoice, "paid").await?;
    house.cluster.set("abcdexyz");
    let why = house.until_halted(CHAIN).await?;
    ensure!(why.contains("final"), "{why}");
    assert_eq!(house.shown(&invoice).await?["status"], "paid");
    Ok(())
}

/// Goal: money in a block that is only processed is nobody's yet: nodes give no block at that commitment, such blocks
/// are dropped often, and a policy that asks for it is refused with those that there are.
#[tokio::test(flavor = "multi_thread")]
async fn a_processed_block_says_nothing() -> Result<()> {
    let house = Forked::new("abc", CONFIRMED).await?;
    let invoice = house.invoice().await?;
    house.cluster.lie(|method, params| match method {
        "getSlot" if params[0]["commitment"] != "finalized" => Some(Ok(json!(102))),
        "getBlock" if params[0] == 103 => Some(Err(-32004)),
        "getBlocks" | "getBlocksWithLimit" if params[0] == 103 => Some(Ok(json!([]))),
        _ => None,
    });
    let paid = json!([payment("sig", &invoice)]);
    house.cluster.set_filled("abcd", &[(103, paid.clone())]);
    house.until_polled().await?;
    assert_eq!(house.shown(&invoice).await?["status"], "created");
    // It is dropped, and nobody is told anything.
    house.cluster.set("abc-e");
    house.cluster.be_honest();
    house.until_read(104, "e").await?;
    assert_eq!(house.shown(&invoice).await?["transfers"], json!([]));
    house.cluster.set_filled("abc-ef", &[(105, paid)]);
    house.until(&invoice, "paid").await?;
    let told = house.told(&invoice).await?;
    assert_eq!(told, ["created", "confirming", "paid"]);

    let tiers = json!([{ "finality": { CHAIN: { "commitment": "processed" } } }]);
    let option = json!({ "asset": format!("sol@{CHAIN}"), "amount": "0.25" });
    let body = json!({ "options": [option], "policy": { "tiers": tiers } });
    let refused = house.api.post("/v1/invoices", &body).await?;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let problem = refused.json()?;
    let place = format!("/policy/tiers/0/finality/{CHAIN}");
    assert_eq!(problem["errors"][0]["pointer"], place, "{problem}");
    let detail = problem["errors"][0]["detail"].to_string();
    ensure!(
        detail.contains("confirmed") && detail.contains("finalized"),
        "{detail}"
    );
    Ok(())
}

/// Goal: slots between two linked blocks were skipped, and nothing else makes them so: a slot above which a block
/// names another one as its parent is waited for, whatever the node says of it, and what that block paid counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_was_skipped_when_links_say_so_and_not_when_the_node_does() -> Result<()> {
    let house = Forked::new("abc", CONFIRMED).await?;
    // Skipped by the link from `f` to `c`.
    let first = house.invoice().await?;
    let paid = json!([payment("first", &first)]);
    house.cluster.set_filled("abc--f", &[(105, paid)]);
    house.until(&first, "paid").await?;
    let told: [(SolanaTold, &str); 7] = [
        (Err(-32004), "block_missing"),
        (Err(-32007), "block_missing"),
        (Err(-32009), "block_missing"),
        (Err(-32014), "block_missing"),
        (Err(-32016), "block_missing"),
        (Err(-32015), "node_answer_malformed"),
        (Ok(Value::Null), "block_missing"),
    ];
    let (mut slots, mut hidden) = ("abc--f".to_owned(), 106);
    for ((told, code), letters) in told
        .into_iter()
        .zip(["gh", "ij", "kl", "mn", "op", "qr", "st"])
    {
        let invoice = house.invoice().await?;
        slots.push_str(letters);
        let shown = format!("{told:?}");
        house.cluster.lie(move |method, params| {
            let is_hidden = method == "getBlock" && params[0] == hidden;
            is_hidden.then(|| told.clone())
        });
        house.cluster.state().unlisted = [hidden].into();
        let paid = json!([payment(letters, &invoice)]);
        house.cluster.set_filled(&slots, &[(hidden, paid)]);
        house
            .until_problem(CHAIN, code)
            .await
            .context(shown.clone())?;
        let cursor = house.chain(CHAIN).await?["cursor"]["height"].clone();
        assert_eq!(cursor, hidden - 1, "{shown}: nothing is passed");
        assert_eq!(house.shown(&invoice).await?["status"], "created", "{shown}");
        house.cluster.be_honest();
        house.until(&invoice, "paid").await.context(shown)?;
        hidden += 2;
    }
    Ok(())
}

/// Goal: money counts in transactions of versions that came after this was written: of one that is asked for
/// from the start, and of one for which the node refuses the whole block at first.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_of_newer_versions_pay() -> Result<()> {
    let house = Forked::new("abc", CONFIRMED).await?;
    let mut slots = "abc".to_owned();
    for (slot, letter, version) in [(103, 'd', 1), (104, 'e', 200)] {
        let invoice = house.invoice().await?;
        let mut paid = payment(&format!("version{version}"), &invoice);
        paid["version"] = json!(version);
        slots.push(letter);
        house.cluster.set_filled(&slots, &[(slot, json!([paid]))]);
        house.until(&invoice, "paid").await?;
        let told = house.told(&invoice).await?;
        assert_eq!(told, ["created", "confirming", "paid"]);
    }
    Ok(())
}

/// Goal: a block that the node has thrown away is named, with what to do, and is not passed either.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_the_node_threw_away_is_named() -> Result<()> {
    let house = Forked::new("abc", CONFIRMED).await?;
    house
        .cluster
        .lie(|method, params| (method == "getBlock" && params[0] == 103).then_some(Err(-32001)));
    house.cluster.set("abcde");
    let said = house.until_problem(CHAIN, "node_pruned").await?;
    ensure!(said.contains("connect a node"), "{said}");
    assert_eq!(house.chain(CHAIN).await?["cursor"]["height"], 102);
    Ok(())
}

/// Goal: the slots behind the last block wait for a block above them: a node that is ahead in slots alone moves
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn slots_behind_the_last_block_are_not_read_yet() -> Result<()> {
    let house = Forked::new("abc", CONFIRMED).await?;
    house.cluster.state().confirmed = 110;
    house.until_polled().await?;
    assert_eq!(house.chain(CHAIN).await?["cursor"]["height"], 102);
    house.cluster.set("abc--------l");
    house.until_read(111, "l").await
}
