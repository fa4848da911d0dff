//! Blocks that leave the chain.

use super::house::{EvmHouse, MILLI};
use anyhow::Result;
use paywatch_testkit::AnvilOptions;

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
        let shown = house.until(&invoice, "created").await?;
        assert_eq!(shown["transfers"][0]["certainty"], "gone", "{shown}");
        let open = house.open_exceptions(&invoice).await?;
        assert_eq!(open, [("reverted".to_owned(), MILLI.to_string())]);
        house.node.pay(&invoice.address, MILLI).await?;
        house.mine(2).await?;
        house.until(&invoice, "paid").await?;
        assert!(house.open_exceptions(&invoice).await?.is_empty());
        let told = [
            "created",
            "confirming",
            "paid",
            "reverted",
            "exception.opened",
            "confirming",
            "paid",
            "exception.resolved",
        ];
        assert_eq!(house.told(&invoice).await?, told);
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
    let halted = paywatch_testkit::eventually("a halt", crate::support::PATIENCE, async || {
        let chain = house.chain(super::house::CHAIN).await?;
        Ok(chain["halted"].as_str().map(str::to_owned))
    });
    let halted = halted.await?;
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
