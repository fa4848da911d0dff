//! Payers that are contracts, as most wallets of companies and many of people are, and payees that are.

use super::house::{EvmHouse, MAX_FEE_WEI, MILLI};
use anyhow::{Result, ensure};
use paywatch_testkit::{Argument, Deployed, EvmWallet};
use serde_json::json;

/// Goal: a wallet of several owners pays, by a call of code that its proxy borrows, once enough of them
/// agree; before that nothing is paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_of_several_owners_pays() -> Result<()> {
    let house = EvmHouse::new().await?;
    let node = &house.node;
    let code = Deployed::new(node, "SharedWallet", 0).await?;
    let code = [Argument::Account(code.address)];
    let proxy = Deployed::with(node, "SharedWalletProxy", &code, 20 * MILLI).await?;
    let wallet = Deployed::at("SharedWallet", &proxy.address).await?;
    let owners = node.accounts().await?;
    let [first, second] = [&owners[1], &owners[2]];
    let people = Argument::Accounts(vec![first.clone(), second.clone()]);
    let people = [people, Argument::Number(2)];
    wallet.call(node, "setup", &people, 0).await?;

    let invoice = house.invoice("eth", "0.005").await?;
    let payment = [
        Argument::Account(invoice.address.clone()),
        Argument::Number(5 * MILLI),
    ];
    wallet.call_from(node, first, "agree", &payment).await?;
    wallet.call(node, "execTransaction", &payment, 0).await?;
    house.mine(3).await?;
    assert_eq!(house.shown(&invoice).await?["status"], "created");

    wallet.call_from(node, second, "agree", &payment).await?;
    let sent = wallet.call(node, "execTransaction", &payment, 0).await?;
    house.mine(2).await?;
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(
        paid["transfers"].as_array().map(Vec::len),
        Some(1),
        "{paid}"
    );
    assert_eq!(paid["transfers"][0]["tx_id"], sent.as_str(), "{paid}");
    assert_eq!(paid["options"][0]["tally"]["final"], "0.005000000000000000");
    Ok(())
}

/// Goal: of three operations that one bundle executes, the middle one pays and is undone: its invoice
/// hears of nothing, the others are paid.
#[tokio::test(flavor = "multi_thread")]
async fn operations_of_accounts_that_are_contracts_pay_one_by_one() -> Result<()> {
    let house = EvmHouse::new().await?;
    let node = &house.node;
    let entry = Deployed::new(node, "EntryPoint", 0).await?;
    let mut accounts = Vec::new();
    // The second one must not be emptied, and is.
    for leftover in [0, 1, 0] {
        let arguments = [
            Argument::Account(entry.address.clone()),
            Argument::Number(leftover),
        ];
        let account = Deployed::with(node, "SmartAccount", &arguments, 4 * MILLI).await?;
        accounts.push(account.address);
    }
    let mut invoices = Vec::new();
    for _ in 0..3 {
        invoices.push(house.invoice("eth", "0.004").await?);
    }
    let to = invoices.iter().map(|invoice| invoice.address.clone());
    let operations = [
        Argument::Accounts(accounts),
        Argument::Accounts(to.collect()),
        Argument::Numbers(vec![4 * MILLI; 3]),
    ];
    let bundle = entry.call(node, "handleOps", &operations, 0).await?;
    house.mine(2).await?;
    let [first, undone, last] = [&invoices[0], &invoices[1], &invoices[2]];
    for invoice in [first, last] {
        let paid = house.until(invoice, "paid").await?;
        assert_eq!(
            paid["transfers"].as_array().map(Vec::len),
            Some(1),
            "{paid}"
        );
        assert_eq!(paid["transfers"][0]["tx_id"], bundle.as_str(), "{paid}");
    }
    assert_eq!(node.balance(&undone.address).await?, 0);
    let shown = house.shown(undone).await?;
    assert_eq!(shown["status"], "created", "{shown}");
    assert_eq!(house.told(undone).await?, ["created"]);
    Ok(())
}

/// Goal: an address that its owner lets be a contract (EIP-7702) is paid like any other, by a plain
/// payment and by a contract. Method: the owner signs, somebody else sends that.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_also_a_contract_is_paid() -> Result<()> {
    let house = EvmHouse::new().await?;
    let node = &house.node;
    let code = Deployed::new(node, "SharedWallet", 0).await?;
    let batch = Deployed::new(node, "BatchPayer", 0).await?;
    let sponsor = EvmWallet::new(8)?;
    let [sponsor_address] = &sponsor.addresses(&[0]).await?[..] else {
        anyhow::bail!("one address was asked for");
    };
    node.pay(sponsor_address, 1_000 * MILLI).await?;
    node.mine(1).await?;
    let invoice = house.invoice("eth", "0.005").await?;
    let chain_id = node.chain_id();
    let delegation = json!({ "address": code.address, "nonce": 0, "chainId": chain_id });
    let delegation = house.wallet.delegate(invoice.index, &delegation).await?;
    let transaction = json!({
        "type": 4,
        "chainId": chain_id,
        "nonce": 0,
        "to": sponsor_address,
        "value": 0,
        "gasLimit": 200_000,
        "maxFeePerGas": MAX_FEE_WEI,
        "maxPriorityFeePerGas": 1,
        "authorizationList": [delegation],
    });
    let raw = sponsor.sign(0, &transaction).await?;
    node.rpc("eth_sendRawTransaction", json!([raw])).await?;
    house.mine(1).await?;
    let stands = node.rpc("eth_getCode", json!([invoice.address, "latest"]));
    let stands = stands.await?.to_string().to_lowercase();
    let code = code.address.to_lowercase();
    let code = code.trim_start_matches("0x");
    ensure!(stands.contains(&format!("0xef0100{code}")), "{stands}");

    node.pay(&invoice.address, 2 * MILLI).await?;
    let rest = [
        Argument::Accounts(vec![invoice.address.clone()]),
        Argument::Numbers(vec![3 * MILLI]),
    ];
    batch.call(node, "pay", &rest, 3 * MILLI).await?;
    house.mine(2).await?;
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(
        paid["transfers"].as_array().map(Vec::len),
        Some(2),
        "{paid}"
    );
    assert_eq!(paid["options"][0]["tally"]["final"], "0.005000000000000000");
    Ok(())
}
