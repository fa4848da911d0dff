//! Money at the right address, and yet astray: on another chain, or in another asset.

use super::house::{CHAIN, EvmHouse, MILLI};
use crate::support::PATIENCE;
use anyhow::Result;
use paywatch_testkit::{Anvil, AnvilOptions, Argument, Deployed, FollowedChain, eventually};

const OTHER: &str = "other";

/// Goal: a payment on another chain, and one in another asset, are exceptions with their amounts; the
/// invoice can still be paid as it asks.
#[tokio::test(flavor = "multi_thread")]
async fn money_astray_is_an_exception() -> Result<()> {
    let node = Anvil::start().await?;
    let options = AnvilOptions {
        chain_id: 31_338,
        ..AnvilOptions::default()
    };
    let other = Anvil::start_with(options).await?;
    let usdc = Deployed::new(&node, "Token", 0).await?;
    let chains = [
        FollowedChain::evm(CHAIN, &node).with_token("usdc", 6, &usdc.address),
        FollowedChain::evm(OTHER, &other),
    ];
    let house = EvmHouse::on(node, &chains).await?;
    let node = &house.node;
    let mint = [
        Argument::Account(node.accounts().await?.remove(0)),
        Argument::Number(1_000_000_000),
    ];
    usdc.call(node, "mint", &mint, 0).await?;
    let invoice = house.invoice("eth", "0.002").await?;
    other.pay(&invoice.address, 2 * MILLI).await?;
    other.mine(1).await?;
    usdc.transfer(node, &invoice.address, 5_000_000).await?;
    // Nobody's token, which no configuration names.
    let unknown = Deployed::new(node, "NoReturnToken", 0).await?;
    unknown.transfer(node, &invoice.address, 42).await?;
    house.mine(1).await?;
    let expected = [
        ("wrong_asset", "42"),
        ("wrong_asset", "5000000"),
        ("wrong_chain", "2000000000000000"),
    ];
    let expected = expected.map(|(kind, amount)| (kind.to_owned(), amount.to_owned()));
    let mut open = Vec::new();
    let waited = eventually("three exceptions", PATIENCE, async || {
        open = house.open_exceptions(&invoice).await?;
        Ok((open == expected).then_some(()))
    });
    waited
        .await
        .map_err(|error| error.context(format!("{open:?}")))?;
    let shown = house.shown(&invoice).await?;
    assert_eq!(shown["status"], "created", "none of it counts: {shown}");

    node.pay(&invoice.address, 2 * MILLI).await?;
    house.mine(2).await?;
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(paid["options"][0]["tally"]["final"], "0.002000000000000000");
    Ok(())
}
