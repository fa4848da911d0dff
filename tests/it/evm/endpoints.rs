//! Several endpoints of one chain.

use super::house::{CHAIN, EvmHouse, MILLI};
use crate::support::Relay;
use anyhow::Result;
use paywatch_testkit::{Anvil, AnvilOptions, FollowedChain};

/// Goal: an endpoint that goes away is replaced by the next one; nothing is missed.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_endpoint_takes_over() -> Result<()> {
    let node = Anvil::start().await?;
    let (mut first, second) = (
        Relay::start(&node.url()).await?,
        Relay::start(&node.url()).await?,
    );
    let chain = FollowedChain::evm(CHAIN, &node)
        .through(&first.url())
        .and(&second.url(), 1);
    let house = EvmHouse::on(node, &[chain]).await?;
    let invoice = house.invoice("eth", "0.001").await?;
    first.cut().await;
    house.node.pay(&invoice.address, MILLI).await?;
    house.mine(2).await?;
    house.until(&invoice, "paid").await?;
    first.mend().await?;
    house.mine(1).await
}

/// Goal: with two endpoints that must agree, nothing becomes final by one of them alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_agreed_on_is_not_read_from_one() -> Result<()> {
    let node = Anvil::start().await?;
    let mut relay = Relay::start(&node.url()).await?;
    let chain = FollowedChain::evm(CHAIN, &node).and(&relay.url(), 2);
    let house = EvmHouse::on(node, &[chain]).await?;
    let invoice = house.invoice("eth", "0.001").await?;
    relay.cut().await;
    house.node.pay(&invoice.address, MILLI).await?;
    house.node.mine(3).await?;
    let said = house.until_problem(CHAIN, "too_few_endpoints").await?;
    assert!(said.contains("1 of 2"), "{said}");
    assert_eq!(house.shown(&invoice).await?["status"], "created");
    relay.mend().await?;
    house.until(&invoice, "paid").await?;
    Ok(())
}

/// Goal: endpoints that contradict each other stop the chain, which says so.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_disagree_stop_the_chain() -> Result<()> {
    let node = Anvil::start().await?;
    let liar = Anvil::start_with(AnvilOptions::default()).await?;
    let chain = FollowedChain::evm(CHAIN, &node).and(&liar.url(), 2);
    // Two nodes that were started in the same second make the same blocks.
    liar.rpc("evm_increaseTime", serde_json::json!([1_000]))
        .await?;
    for one in [&node, &liar] {
        one.mine(12).await?;
    }
    let house = EvmHouse::unready(node, &[chain]).await?;
    let said = house.until_problem(CHAIN, "endpoints_disagree").await?;
    assert!(said.contains("127.0.0.1"), "{said}");
    Ok(())
}
