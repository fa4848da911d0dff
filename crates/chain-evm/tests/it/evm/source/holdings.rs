//! What an endpoint without traces tells of accounts: what they hold, and what they paid out.

use std::collections::BTreeSet;

use anyhow::Result;
use paywatch_chain::{Holder, Holding, Source};
use paywatch_chain_evm::address::parse_address;
use paywatch_chain_evm::{Config, EvmSource, Rules};
use paywatch_domain::{Account, Amount, BlockHash, BlockRef, Flows, Mark, Verdict};
use paywatch_testkit::{Anvil, AnvilOptions, Argument, Deployed, Liar};
use serde_json::json;

use super::support::{account, block_at, config, read, source, tip, watching};

fn without_traces(url: &str) -> Result<EvmSource> {
    Ok(EvmSource::new(Config {
        traces: BTreeSet::new(),
        ..config(url)
    })?)
}

fn holder(account: &str, expected: Option<u64>) -> Holder {
    Holder {
        key: parse_address(account).unwrap().as_slice().into(),
        expected: expected.map(Amount::from_atomic),
    }
}

fn holding(balance: u64, nonce: Option<u64>) -> Holding {
    Holding {
        balance: Amount::from_atomic(balance),
        nonce,
    }
}

/// Block 1 holds nothing but a contract, block 2 pays two accounts from it.
async fn paid_by_contract() -> Result<(Anvil, [BlockRef; 2])> {
    let node = Anvil::start().await?;
    let batch = Deployed::new(&node, "BatchPayer", 0).await?;
    let before = tip(&node).await?;
    let payees = Argument::Accounts(vec![account("1"), account("2")]);
    let arguments = [payees, Argument::Numbers(vec![3, 4])];
    batch.call(&node, "pay", &arguments, 7).await?;
    node.mine(1).await?;
    let after = tip(&node).await?;
    node.pay(&account("1"), 100).await?;
    node.mine(1).await?;
    Ok((node, [before, after]))
}

#[tokio::test]
async fn balances_are_those_of_the_block_whatever_the_endpoint_offers() -> Result<()> {
    let (node, [before, after]) = paid_by_contract().await?;
    let liar = Liar::start(&node, |exchange| {
        let has_code = exchange.params.get(2).is_some();
        if exchange.method == "eth_call" && has_code {
            return exchange.with_error(-32602, "too many arguments");
        }
        exchange.reply
    });
    let liar = liar.await?;
    let payers = node.accounts().await?;
    let payer = Holder {
        key: parse_address(&payers[0])?.as_slice().into(),
        expected: None,
    };
    let mut holders = vec![
        holder(&account("1"), Some(0)),
        holder(&account("2"), None),
        holder(&account("3"), Some(0)),
        payer,
    ];
    // More than one call can ask for.
    let nobody = |number: u64| holder(&format!("0x{number:040x}"), Some(0));
    holders.extend((1 << 40..).take(1_000).map(nobody));
    for (url, overrides) in [(node.url(), true), (liar.url(), false)] {
        let source = without_traces(&url)?;
        let at = |block: BlockRef| {
            let (source, holders) = (&source, &holders);
            async move { source.holdings(&block, holders).await }
        };
        let held = at(after.clone()).await?.unwrap();
        let offered = source.capabilities().unwrap();
        assert_eq!(offered.state_overrides, overrides);
        assert_eq!(held.len(), holders.len());
        assert_eq!(held[0], holding(3, Some(0)), "not what was expected");
        assert_eq!(held[1], holding(4, Some(0)));
        assert_eq!(held[2], holding(0, None), "as expected");
        assert_eq!(held[3].nonce, Some(2), "a contract and a call");
        assert!(held[4..].iter().all(|held| *held == holding(0, None)));
        let held = at(before.clone()).await?.unwrap();
        assert_eq!(held[..2], [holding(0, None), holding(0, Some(0))]);
        assert_eq!(held[3].nonce, Some(1));
    }
    Ok(())
}

#[tokio::test]
async fn a_sweep_of_a_thousand_accounts_is_one_request() -> Result<()> {
    let (node, [_, after]) = paid_by_contract().await?;
    let liar = Liar::start(&node, |exchange| exchange.reply).await?;
    let source = without_traces(&liar.url())?;
    source.health().await?;
    liar.take_asked();
    let nobody = |number: u64| holder(&format!("0x{number:040x}"), Some(0));
    let holders: Vec<Holder> = (1 << 40..).take(1_000).map(nobody).collect();
    assert_eq!(
        source
            .holdings(&after, &holders)
            .await?
            .map(|all| all.len()),
        Some(1_000)
    );
    assert_eq!(liar.take_asked(), ["eth_call"]);
    Ok(())
}

#[tokio::test]
async fn nobody_looks_at_balances_where_scans_see_everything() -> Result<()> {
    let (node, [_, after]) = paid_by_contract().await?;
    let holders = [holder(&account("1"), None)];
    assert_eq!(source(&node.url()).holdings(&after, &holders).await?, None);
    let logs = EvmSource::new(Config {
        traces: BTreeSet::new(),
        rules: Rules {
            native_logs: true,
            ..Rules::default()
        },
        ..config(&node.url())
    })?;
    assert_eq!(logs.holdings(&after, &holders).await?, None);
    Ok(())
}

#[tokio::test]
async fn balances_at_a_block_that_is_not_there_are_an_error() -> Result<()> {
    let (node, [_, after]) = paid_by_contract().await?;
    let pruned = Liar::start(&node, |exchange| {
        if exchange.method == "eth_call" && exchange.params[1] != "latest" {
            return exchange.with_error(-32000, "missing trie node 1234 (path )");
        }
        exchange.reply
    });
    let pruned = pruned.await?;
    let short = Liar::start(&node, |exchange| {
        if exchange.method == "eth_call" && exchange.params[1] != "latest" {
            return exchange.with_result(json!("0x"));
        }
        exchange.reply
    });
    let short = short.await?;
    let stale = BlockRef {
        hash: BlockHash::new(&format!("0x{}", "77".repeat(32))),
        ..after.clone()
    };
    let above = BlockRef {
        height: 1_000,
        ..stale.clone()
    };
    let holders = [holder(&account("1"), None)];
    for (url, block, code) in [
        (node.url(), &stale, "block_stale"),
        (node.url(), &above, "block_missing"),
        (pruned.url(), &after, "node_pruned"),
        (short.url(), &after, "node_answer_malformed"),
    ] {
        let source = without_traces(&url)?;
        let error = source.holdings(block, &holders).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    Ok(())
}

/// What an account has less after its transactions is what the blocks say that it paid out.
#[tokio::test]
async fn outflows_are_what_balances_lose() -> Result<()> {
    let node = Anvil::start().await?;
    let token = Deployed::new(&node, "Token", 0).await?;
    let reverting = Deployed::new(&node, "RevertingPayer", 0).await?;
    let us = node.accounts().await?[1].clone();
    let sends = [
        (json!({"to": account("9"), "value": "0x5"}), true),
        (json!({"to": us, "value": "0x6"}), true),
        (
            json!({"to": token.address, "value": "0x0", "data": "0x06fdde03"}),
            true,
        ),
        // Reverts: only its gas is paid.
        (
            json!({"to": reverting.address, "value": "0x7", "data": "0xffffffff"}),
            true,
        ),
        (
            json!({"to": account("9"), "value": "0x8", "gasPrice": "0x77359400"}),
            true,
        ),
        // Some of it might have come back.
        (
            json!({"to": account("9"), "value": "0x9", "data": "0x01"}),
            false,
        ),
        (json!({"data": "0x00", "value": "0xa"}), false),
    ];
    let watched = watching(&[&us]);
    let source = without_traces(&node.url())?;
    for (nonce, (mut send, is_known)) in (0_u64..).zip(sends) {
        let before = node.balance(&us).await?;
        send["from"] = json!(us);
        let name = send.to_string();
        node.send(send).await?;
        node.pay(&account("8"), 5).await?;
        node.mine(1).await?;
        let lost = before - node.balance(&us).await?;
        let at = block_at(&node, node.height().await?).await?;
        let block = read(&source, &at, &watched).await?;
        let [outflow] = block.outflows.as_slice() else {
            panic!("{name}: {:?}", block.outflows);
        };
        assert_eq!(*outflow.key, *parse_address(&us)?.as_slice());
        assert_eq!(outflow.nonce, nonce);
        let lost = is_known.then(|| Amount::parse_atomic(&lost.to_string()).unwrap());
        assert_eq!(outflow.amount, lost, "{name}");
        assert_eq!(block.credits, []);
    }
    Ok(())
}

/// What an address got from contracts by a final block is what an endpoint with traces shows, though its
/// owner takes money out meanwhile, and blocks tell of other payments.
#[tokio::test]
async fn payments_by_contracts_are_found_when_they_are_final() -> Result<()> {
    let node = Anvil::start_with(AnvilOptions {
        slots_in_epoch: 1,
        ..AnvilOptions::default()
    });
    let node = node.await?;
    let batch = Deployed::new(&node, "BatchPayer", 0).await?;
    let us = node.accounts().await?[1].clone();
    let watched = watching(&[&us]);
    let (blind, seeing) = (without_traces(&node.url())?, source(&node.url()));
    let unknown = Holder {
        key: parse_address(&us)?.as_slice().into(),
        expected: None,
    };
    let since = tip(&node).await?;
    let held = blind
        .holdings(&since, std::slice::from_ref(&unknown))
        .await?;
    let held = held.unwrap()[0];
    let before = Account {
        balance: held.balance,
        nonce: held.nonce.unwrap(),
    };
    let by_contract = async |wei: u128| {
        let payees = Argument::Accounts(vec![us.clone()]);
        let arguments = [payees, Argument::Numbers(vec![wei])];
        batch.call(&node, "pay", &arguments, wei).await
    };
    by_contract(7).await?;
    node.pay(&us, 11).await?;
    node.mine(1).await?;
    node.send(json!({"from": us, "to": account("9"), "value": "0xde0b6b3a7640000"}))
        .await?;
    node.mine(1).await?;
    by_contract(20).await?;
    node.mine(3).await?;
    // Not final yet, so nobody is told of it.
    by_contract(4_000).await?;
    node.mine(1).await?;
    let at = blind.marks().await?.remove(&Mark::Finalized).unwrap();
    let (mut flows, mut shown) = (Flows::default(), Flows::default());
    for height in since.height + 1..=at.height {
        let block = block_at(&node, height).await?;
        let told = read(&blind, &block, &watched).await?;
        for credit in &told.credits {
            flows = flows.credit(credit.amount);
        }
        for outflow in &told.outflows {
            flows = flows.outflow(outflow.amount);
        }
        for credit in read(&seeing, &block, &watched).await?.credits {
            shown = shown.credit(credit.amount);
        }
    }
    assert_eq!(flows.credited, Amount::from_atomic(11));
    assert_eq!(flows.sent, 1);
    assert_eq!(
        flows.expected(before),
        None,
        "only its nonce tells that all was seen"
    );
    let held = blind.holdings(&at, &[unknown]).await?.unwrap()[0];
    let verdict = flows.judge(before, held.balance, held.nonce);
    assert_eq!(verdict, Verdict::Came(Amount::from_atomic(27)));
    assert_eq!(shown.credited, Amount::from_atomic(38));
    Ok(())
}
