//! Blocks with every way of paying, from a real node to credits.

use std::collections::BTreeSet;

use anyhow::Result;
use paywatch_chain::Source;
use paywatch_chain_evm::{Config, EvmSource, TraceKind};
use paywatch_testkit::{Anvil, Argument, Deployed};

use super::support::{account, config, credits, read, source, tip, to, watching};

/// A source that may use these traces.
fn tracing_by(node: &Anvil, traces: impl IntoIterator<Item = TraceKind>) -> Result<EvmSource> {
    Ok(EvmSource::new(Config {
        traces: traces.into_iter().collect::<BTreeSet<_>>(),
        ..config(&node.url())
    })?)
}

/// One block with a plain payment, a batch, a payment that is undone, one by the end of a contract, one by
/// a forwarder and one that fails: every kind of trace finds what the payees have, and not more.
#[tokio::test]
async fn every_kind_of_trace_finds_what_was_paid() -> Result<()> {
    let node = Anvil::start().await?;
    let batch = Deployed::new(&node, "BatchPayer", 0).await?;
    let reverting = Deployed::new(&node, "RevertingPayer", 0).await?;
    let ending = Deployed::new(&node, "SelfDestructPayer", 11).await?;
    let factory = Deployed::new(&node, "ForwarderFactory", 0).await?;
    let salted = |payee: &str| [Argument::Word([7; 32]), to(payee)];
    let [plain, first, second, undone, ended, forwarded, failed] =
        ["1", "2", "3", "4", "5", "6", "7"].map(account);
    let place = factory.account(&node, "place", &salted(&forwarded)).await?;
    node.pay(&place, 13).await?;
    node.mine(1).await?;

    node.pay(&plain, 1_000).await?;
    let payees = Argument::Accounts(vec![first.clone(), second.clone(), first.clone()]);
    let amounts = Argument::Numbers(vec![3, 4, 5]);
    batch.call(&node, "pay", &[payees, amounts], 12).await?;
    reverting.call(&node, "pay", &[to(&undone)], 9).await?;
    ending.call(&node, "end", &[to(&ended)], 0).await?;
    factory.call(&node, "make", &salted(&forwarded), 0).await?;
    let payees = Argument::Accounts(vec![failed.clone()]);
    batch
        .call(&node, "pay", &[payees, Argument::Numbers(vec![90])], 1)
        .await?;
    node.mine(1).await?;

    let accounts = [
        &plain, &first, &second, &undone, &ended, &forwarded, &failed,
    ];
    let watched = watching(&accounts);
    let block = tip(&node).await?;
    let mut balances = Vec::new();
    for account in accounts {
        let balance = node.balance(account).await?.to_string();
        if balance != "0" {
            let (key, place) = (account.clone(), format!("native:{account}"));
            balances.push((key, "eth".to_owned(), balance, place));
        }
    }
    assert_eq!(balances.len(), 5);
    for kind in TraceKind::ALL {
        let source = tracing_by(&node, [kind])?;
        let read = read(&source, &block, &watched).await?;
        assert_eq!(source.capabilities().unwrap().trace(), Some(kind));
        assert_eq!(credits(&read), balances, "{kind}");
        assert!(0 < read.bytes);
    }
    let without = read(&tracing_by(&node, [])?, &block, &watched).await?;
    assert_eq!(
        credits(&without),
        balances[..1],
        "contracts pay unseen without a trace"
    );
    Ok(())
}

#[tokio::test]
async fn empty_blocks_and_the_first_one_are_read() -> Result<()> {
    let node = Anvil::start().await?;
    let source = source(&node.url());
    let first = tip(&node).await?;
    assert_eq!(first.height, 0);
    node.mine(1).await?;
    for block in [first, tip(&node).await?] {
        let read = read(&source, &block, &watching(&[])).await?;
        assert_eq!((read.at, read.credits.len()), (block, 0));
    }
    Ok(())
}

/// A contract that fails takes the value of its transaction back.
#[tokio::test]
async fn a_payment_of_a_failed_transaction_is_none() -> Result<()> {
    let node = Anvil::start().await?;
    let batch = Deployed::new(&node, "BatchPayer", 0).await?;
    // No such method: the contract refuses the coin.
    node.pay(&batch.address, 500).await?;
    node.mine(1).await?;
    let block = tip(&node).await?;
    for traces in [vec![], TraceKind::ALL.to_vec()] {
        let source = tracing_by(&node, traces)?;
        let read = read(&source, &block, &watching(&[&batch.address])).await?;
        assert_eq!(credits(&read), []);
    }
    Ok(())
}

/// A block that was fetched is not scanned as another.
#[tokio::test]
async fn only_the_block_that_was_fetched_is_scanned() -> Result<()> {
    let node = Anvil::start().await?;
    let source = source(&node.url());
    let first = tip(&node).await?;
    node.mine(1).await?;
    let raw = source.fetch(first).await?;
    let error = source
        .scan(&tip(&node).await?, raw, &watching(&[]))
        .unwrap_err();
    assert_eq!(error.code(), "block_unproven");
    Ok(())
}
