//! The EVM node and the contracts: each does what tests rely on.

use anyhow::Result;
use paywatch_testkit::{Anvil, AnvilOptions, Argument, Contract};
use serde_json::json;

/// The contract, what is called with what, and each log: how many topics, how many bytes of data.
type Case<'a> = (&'a str, &'a str, &'a [Argument], &'a [(usize, usize)]);

fn account(digit: &str) -> String {
    format!("0x{}", digit.repeat(40))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evm_node_mines_reorganises_and_starts_again_with_its_chain() -> Result<()> {
    let options = AnvilOptions {
        chain_id: 4_242,
        slots_in_epoch: 2,
        ..AnvilOptions::default()
    };
    let node = Anvil::start_with(options).await?;
    assert_eq!(node.rpc("eth_chainId", json!([])).await?, json!("0x1092"));
    assert_eq!(node.height().await?, 0);
    let shop = account("1");
    node.pay(&shop, 5).await?;
    node.pay(&shop, 7).await?;
    assert_eq!(node.balance(&shop).await?, 0, "blocks are made on demand");
    node.mine(6).await?;
    assert_eq!((node.height().await?, node.balance(&shop).await?), (6, 12));
    let safe = node.rpc("eth_getBlockByNumber", json!(["safe", false]));
    assert_eq!(safe.await?["number"], json!("0x4"));

    let before = node.hash_at(6).await?;
    node.reorg(2).await?;
    assert_eq!(node.height().await?, 6);
    assert_ne!(node.hash_at(6).await?, before);
    let state = node.snapshot().await?;
    node.mine(1).await?;
    node.revert(&state).await?;
    assert_eq!(node.height().await?, 6);

    let tip = node.hash_at(6).await?;
    node.restart().await?;
    assert_eq!(node.hash_at(6).await?, tip);
    assert_eq!(node.balance(&shop).await?, 12);
    node.kill()?;
    assert!(node.process_id().is_none());
    assert!(node.height().await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn evm_contracts_pay_in_every_way() -> Result<()> {
    let node = Anvil::start().await?;
    let [a, b, c, d] = ["a", "b", "c", "d"].map(account);
    let deploy = async |name: &str, wei| -> Result<(Contract, String)> {
        let contract = Contract::named(name).await?;
        let address = node.deploy(&contract, &[], wei).await?;
        Ok((contract, address))
    };

    let (batch, place) = deploy("BatchPayer", 0).await?;
    let both = Argument::Accounts(vec![a.clone(), b.clone()]);
    let amounts = Argument::Numbers(vec![3, 4]);
    node.call((&batch, &place), "pay", &[both, amounts], 7)
        .await?;
    let (reverting, place) = deploy("RevertingPayer", 0).await?;
    let to = [Argument::Account(c.clone())];
    node.call((&reverting, &place), "pay", &to, 9).await?;
    let (ending, place) = deploy("SelfDestructPayer", 11).await?;
    let to = [Argument::Account(d.clone())];
    node.call((&ending, &place), "end", &to, 0).await?;
    node.mine(1).await?;
    for (account, expected) in [(&a, 3), (&b, 4), (&c, 0), (&d, 11)] {
        assert_eq!(node.balance(account).await?, expected);
    }

    let (factory, place) = deploy("ForwarderFactory", 0).await?;
    let arguments = [Argument::Word([7; 32]), Argument::Account(c.clone())];
    let data = factory.call("place", &arguments)?;
    let call = json!([{"to": place, "data": data}, "latest"]);
    let forwarder = node.rpc("eth_call", call).await?;
    let forwarder = format!("0x{}", &forwarder.as_str().unwrap_or_default()[26..]);
    node.pay(&forwarder, 13).await?;
    node.mine(1).await?;
    node.call((&factory, &place), "make", &arguments, 0).await?;
    node.mine(1).await?;
    assert_eq!(node.balance(&c).await?, 13);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn evm_tokens_log_what_tests_rely_on() -> Result<()> {
    let node = Anvil::start().await?;
    let payer = node.accounts().await?.remove(0);
    let shop = account("5");
    let to = Argument::Account(shop.clone());
    let say = [
        Argument::Account(payer),
        to.clone(),
        Argument::Number(1_000),
    ];
    let raw = [
        Argument::Word([1; 32]),
        Argument::Word([2; 32]),
        Argument::Bytes(vec![3; 40]),
    ];
    let pay = [to, Argument::Number(1_000)];
    let cases: [Case<'_>; 8] = [
        ("Token", "mint", &pay, &[(3, 32)]),
        ("NoReturnToken", "transfer", &pay, &[(3, 32)]),
        ("FalseToken", "transfer", &pay, &[]),
        ("FeeToken", "transfer", &pay, &[(3, 32), (3, 32)]),
        ("FakeTransfer", "say", &say, &[(3, 32)]),
        ("FakeTransfer", "sayRaw", &raw, &[(3, 40)]),
        ("Nft", "transfer", &pay, &[(4, 0)]),
        ("OneTopic", "transfer", &pay, &[(1, 96)]),
    ];
    for (name, method, arguments, expected) in cases {
        let contract = Contract::named(name).await?;
        let place = node.deploy(&contract, &[], 0).await?;
        let sent = node.call((&contract, &place), method, arguments, 0).await?;
        node.mine(1).await?;
        let receipt = node.rpc("eth_getTransactionReceipt", json!([sent])).await?;
        assert_eq!(receipt["status"], json!("0x1"), "{name}");
        let logs = receipt["logs"].as_array().into_iter().flatten();
        let shapes: Vec<(usize, usize)> = logs
            .map(|log| {
                let topics = log["topics"].as_array().map_or(0, Vec::len);
                let digits = log["data"].as_str().map_or(0, str::len);
                (topics, (digits - 2) / 2)
            })
            .collect();
        assert_eq!(shapes, expected, "{name}");
    }
    Ok(())
}
