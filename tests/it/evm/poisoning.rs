//! Dust and nothing, sent so that a history of payments shows an address that looks right.

use super::house::{CHAIN, EvmHouse, MILLI};
use anyhow::Result;
use paywatch_testkit::{Anvil, Argument, Deployed, FollowedChain};

/// Goal: transfers of nothing, and below the dust limit, leave an invoice as it was and tell nobody
/// anything, however they come; the invoice can still be paid.
#[tokio::test(flavor = "multi_thread")]
async fn dust_and_nothing_change_nothing() -> Result<()> {
    let node = Anvil::start().await?;
    let usdc = Deployed::new(&node, "Token", 0).await?;
    let lying = Deployed::new(&node, "FakeTransfer", 0).await?;
    let unlisted = Deployed::new(&node, "FakeTransfer", 0).await?;
    let batch = Deployed::new(&node, "BatchPayer", 0).await?;
    let chain = FollowedChain::evm(CHAIN, &node)
        .with_token("usdc", 6, &usdc.address)
        .with_token("lying", 6, &lying.address);
    let house = EvmHouse::on(node, &[chain]).await?;
    let node = &house.node;
    let owner = Argument::Account(node.accounts().await?.remove(0));
    let minted = [owner.clone(), Argument::Number(1_000_000_000)];
    usdc.call(node, "mint", &minted, 0).await?;
    let invoices = [
        house.invoice("eth", "0.001").await?,
        house.invoice("usdc", "25.00").await?,
        house.invoice("lying", "25.00").await?,
    ];
    let mut before = Vec::new();
    for invoice in &invoices {
        let shown = house.shown(invoice).await?;
        before.push((shown["expires_at"].clone(), shown["late_until"].clone()));
    }
    for invoice in &invoices {
        let to = Argument::Account(invoice.address.clone());
        // The limits are a thousand million wei and a hundred of a token.
        for wei in [0, 1, 999_999_999] {
            node.pay(&invoice.address, wei).await?;
            let both = [
                Argument::Accounts(vec![invoice.address.clone()]),
                Argument::Numbers(vec![wei]),
            ];
            batch.call(node, "pay", &both, wei).await?;
        }
        for value in [0, 1, 99] {
            usdc.transfer(node, &invoice.address, value).await?;
            let said = [owner.clone(), to.clone(), Argument::Number(value)];
            lying.call(node, "say", &said, 0).await?;
        }
        let said = [owner.clone(), to, Argument::Number(0)];
        unlisted.call(node, "say", &said, 0).await?;
    }
    house.mine(4).await?;
    for (invoice, (expires_at, late_until)) in invoices.iter().zip(before) {
        let shown = house.shown(invoice).await?;
        assert_eq!(shown["status"], "created", "{shown}");
        assert_eq!(shown["customer_status"], "waiting", "{shown}");
        assert_eq!(shown["payable"], true, "{shown}");
        assert_eq!(shown["expires_at"], expires_at, "{shown}");
        assert_eq!(shown["late_until"], late_until, "{shown}");
        assert_eq!(house.open_exceptions(invoice).await?, [], "{shown}");
        assert_eq!(house.told(invoice).await?, ["created"], "{shown}");
    }
    // It is counted, so that nobody is asked to pay it twice.
    let [coin, token, _] = &invoices;
    node.pay(&coin.address, MILLI - 2 * 1_000_000_000).await?;
    usdc.transfer(node, &token.address, 25_000_000 - 100)
        .await?;
    house.mine(2).await?;
    for invoice in [coin, token] {
        house.until(invoice, "paid").await?;
        let told = ["created", "confirming", "paid"];
        assert_eq!(house.told(invoice).await?, told);
    }
    Ok(())
}
