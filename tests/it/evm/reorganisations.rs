//! Blocks that leave the chain.

use super::house::{EvmHouse, MILLI};
use crate::support::command_at;
use anyhow::{Result, ensure};
use paywatch_testkit::AnvilOptions;
use serde_json::json;

/// Goal: a branch without the payment takes `paid` back, and a second payment is paid again.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_leaves_the_chain_is_reverted() -> Result<()> {
    let house = EvmHouse::new().await?;
    house.mine(4).await?;
    for depth in [2, 3] {
        let invoice = house.invoice("eth", "0.001").await?;
        house.node.pay(&invoice.address, MILLI).await?;
        house.mine(depth).await?;
        house.until(&invoice, "paid").await?;
        house.node.reorg(depth).await?;
        house.until_reverted(&invoice, MILLI).await?;
        house.node.pay(&invoice.address, MILLI).await?;
        house.mine(2).await?;
        house.until_paid_again(&invoice).await?;
    }
    Ok(())
}

/// Goal: a head that goes backwards takes nothing back; other blocks in its place do.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_goes_backwards_takes_nothing_back() -> Result<()> {
    let house = EvmHouse::new().await?;
    house.mine(3).await?;
    let invoice = house.invoice("eth", "0.001").await?;
    let before = house.node.snapshot().await?;
    house.node.pay(&invoice.address, MILLI).await?;
    house.mine(2).await?;
    house.until(&invoice, "paid").await?;
    house.node.revert(&before).await?;
    // Polls come ten times a second.
    paywatch_testkit::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(house.shown(&invoice).await?["status"], "paid");
    // Block times differ, and so do hashes.
    let later = serde_json::json!([5]);
    house.node.rpc("evm_increaseTime", later).await?;
    house.mine(1).await?;
    house.until(&invoice, "created").await?;
    Ok(())
}

/// Goal: what the chain called finalized is not taken back without a person, who can.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_undoes_finalized_blocks_halts() -> Result<()> {
    let options = AnvilOptions {
        slots_in_epoch: 1,
        ..AnvilOptions::default()
    };
    let house = EvmHouse::final_by(options, r#"{ tag = "finalized" }"#).await?;
    house.mine(4).await?;
    let invoice = house.invoice("eth", "0.001").await?;
    house.node.pay(&invoice.address, MILLI).await?;
    house.mine(5).await?;
    house.until(&invoice, "paid").await?;
    house.node.reorg(5).await?;
    let halted = house.until_halted().await?;
    assert!(halted.contains("final"), "{halted}");
    assert_eq!(house.shown(&invoice).await?["status"], "paid");
    let resume = format!("/v1/chains/{}/resume", super::house::CHAIN);
    house
        .api
        .post(&resume, &serde_json::json!({}))
        .await?
        .value()?;
    house.until(&invoice, "created").await?;
    assert!(house.told(&invoice).await?.contains(&"reverted".to_owned()));
    Ok(())
}

/// Goal: more than a hundred blocks, far beyond what is final, are replaced. The chain halts with a name
/// and says nothing of its invoices; after `chains resume` each of those that lost their money is told
/// so and stands in the list of exceptions, and the one whose money came again is paid as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_of_a_hundred_blocks_halts_until_an_operator_resumes() -> Result<()> {
    const UNDONE: u64 = 112;
    let house = EvmHouse::new().await?;
    house.mine(3).await?;
    let mut paid = Vec::new();
    for _ in 0..3 {
        let invoice = house.invoice("eth", "0.001").await?;
        house.node.pay(&invoice.address, MILLI).await?;
        paid.push(invoice);
    }
    house.node.mine(UNDONE - 1).await?;
    for invoice in &paid {
        house.until(invoice, "paid").await?;
    }
    house.until_read(super::house::CHAIN, &house.node).await?;
    house.node.reorg(UNDONE).await?;
    // In the new branch one of them is paid once more.
    let again = paid.remove(1);
    house.node.pay(&again.address, MILLI).await?;
    house.node.mine(3).await?;

    let why = house.until_halted().await?;
    for words in ["deeper than the limit", "paywatch chains resume"] {
        ensure!(why.contains(words), "{words} is missing in {why}");
    }
    for invoice in paid.iter().chain([&again]) {
        let shown = house.shown(invoice).await?;
        assert_eq!(shown["status"], "paid", "nothing is guessed: {shown}");
    }
    let body = json!({ "options": [{ "asset": "eth@anvil", "amount": "1" }], "expires_in_s": 60 });
    let refused = house.api.post("/v1/invoices", &body).await?;
    assert_eq!(refused.code(), "chain_unavailable");

    let line = "chains resume anvil";
    let (status, _, complaint) = command_at(&house.watcher, &house.api, line).await?;
    ensure!(status == Some(0), "{complaint}");
    for invoice in &paid {
        let back = house.until(invoice, "created").await?;
        assert_eq!(back["transfers"][0]["certainty"], "gone", "{back}");
        let told = ["created", "paid", "reverted", "exception.opened"];
        assert_eq!(house.told(invoice).await?, told);
    }
    house.until_read(super::house::CHAIN, &house.node).await?;
    let shown = house.until(&again, "paid").await?;
    assert_eq!(
        shown["options"][0]["tally"]["final"],
        "0.001000000000000000"
    );
    assert_eq!(house.open_exceptions(&again).await?, []);

    let listed = house.api.get("/v1/exceptions").await?.rows()?;
    let open = listed.iter().filter(|one| one["state"] == "open");
    let mut revoked: Vec<_> = open
        .map(|one| (one["kind"].clone(), one["invoice_id"].clone()))
        .collect();
    revoked.sort_by_key(|(_, invoice)| invoice.to_string());
    let mut expected: Vec<_> = paid
        .iter()
        .map(|invoice| (json!("reverted"), json!(invoice.id)))
        .collect();
    expected.sort_by_key(|(_, invoice)| invoice.to_string());
    assert_eq!(revoked, expected);
    Ok(())
}
