//! The coin, in every way in which it can move.

use super::house::{EvmHouse, MILLI};
use anyhow::Result;
use paywatch_testkit::{AnvilOptions, Argument, Deployed};

/// Goal: ten invoices that one transaction of a contract pays are ten payments.
#[tokio::test(flavor = "multi_thread")]
async fn a_contract_pays_ten_invoices_in_one_transaction() -> Result<()> {
    let house = EvmHouse::new().await?;
    let payer = Deployed::new(&house.node, "BatchPayer", 0).await?;
    let mut invoices = Vec::new();
    for _ in 0..10 {
        invoices.push(house.invoice("eth", "0.005").await?);
    }
    let to = invoices.iter().map(|invoice| invoice.address.clone());
    let arguments = [
        Argument::Accounts(to.collect()),
        Argument::Numbers(vec![5 * MILLI; 10]),
    ];
    let method = "pay";
    let sent = payer
        .call(&house.node, method, &arguments, 50 * MILLI)
        .await?;
    house.mine(2).await?;
    for invoice in &invoices {
        let paid = house.until(invoice, "paid").await?;
        assert_eq!(paid["transfers"].as_array().map(Vec::len), Some(1));
        assert_eq!(paid["transfers"][0]["tx_id"], sent.as_str());
        assert_eq!(
            house.told(invoice).await?,
            ["created", "confirming", "paid"]
        );
    }
    Ok(())
}

/// Goal: a plain payment, a contract that ends, and one that forwards while it is created, all count.
#[tokio::test(flavor = "multi_thread")]
async fn coin_that_comes_without_a_plain_payment_counts() -> Result<()> {
    let house = EvmHouse::new().await?;
    let node = &house.node;
    let plain = house.invoice("eth", "0.001").await?;
    let ended = house.invoice("eth", "0.002").await?;
    let forwarded = house.invoice("eth", "0.003").await?;
    node.pay(&plain.address, MILLI).await?;
    let payer = Deployed::new(node, "SelfDestructPayer", 2 * MILLI).await?;
    let account = Argument::Account(ended.address.clone());
    payer.call(node, "end", &[account], 0).await?;

    let factory = Deployed::new(node, "ForwarderFactory", 0).await?;
    let named = [
        Argument::Word([1; 32]),
        Argument::Account(forwarded.address.clone()),
    ];
    let place = factory.account(node, "place", &named).await?;
    node.pay(&place, 3 * MILLI).await?;
    node.mine(1).await?;
    factory.call(node, "make", &named, 0).await?;
    house.mine(2).await?;
    for invoice in [&plain, &ended, &forwarded] {
        let paid = house.until(invoice, "paid").await?;
        assert_eq!(
            paid["transfers"].as_array().map(Vec::len),
            Some(1),
            "{paid}"
        );
    }
    Ok(())
}

/// Goal: a transaction that fails, and a call that is undone within one that does not, pay nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_undone_pays_nothing() -> Result<()> {
    let house = EvmHouse::new().await?;
    let node = &house.node;
    let undone = house.invoice("eth", "0.001").await?;
    let starved = house.invoice("eth", "0.001").await?;
    let payer = Deployed::new(node, "RevertingPayer", 0).await?;
    let account = Argument::Account(undone.address.clone());
    payer.call(node, "pay", &[account], MILLI).await?;
    // A contract that spends more gas than it is given: included, failed, nothing moved.
    let batch = Deployed::new(node, "BatchPayer", 0).await?;
    let arguments = [
        Argument::Accounts(vec![starved.address.clone(); 40]),
        Argument::Numbers(vec![MILLI / 40; 40]),
    ];
    let data = batch.data("pay", &arguments)?;
    let value = format!("{MILLI:#x}");
    let transaction = serde_json::json!(
        { "to": batch.address, "data": data, "value": value, "gas": "0x15f90" }
    );
    node.send(transaction).await?;
    house.mine(3).await?;
    assert_eq!(node.balance(&undone.address).await?, 0);
    assert_eq!(node.balance(&starved.address).await?, 0);
    for invoice in [&undone, &starved] {
        let shown = house.shown(invoice).await?;
        assert_eq!(shown["status"], "created", "{shown}");
        assert_eq!(house.told(invoice).await?, ["created"]);
    }
    Ok(())
}

/// Goal: an invoice is paid when the chain calls its block finalized, not before.
#[tokio::test(flavor = "multi_thread")]
async fn money_is_final_when_the_tag_says_so() -> Result<()> {
    let options = AnvilOptions {
        slots_in_epoch: 2,
        ..AnvilOptions::default()
    };
    let house = EvmHouse::final_by(options, r#"{ tag = "finalized" }"#).await?;
    house.mine(6).await?;
    let invoice = house.invoice("eth", "0.001").await?;
    house.node.pay(&invoice.address, MILLI).await?;
    house.mine(4).await?;
    let shown = house.until(&invoice, "confirming").await?;
    assert_eq!(shown["transfers"][0]["finality"]["kind"], "tag", "{shown}");
    house.mine(1).await?;
    house.until(&invoice, "paid").await?;
    Ok(())
}
