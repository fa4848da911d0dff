//! Two real bitcoinds as one chain: what they do not agree on is not read, and one may go.

use std::time::Duration;

use anyhow::Result;
use paywatch_chain::{Condition, EndpointPool, Source, SourceError};
use paywatch_chain_bitcoin::BitcoinSource;
use paywatch_testkit::{Bitcoind, Payer};
use serde_json::{Value, json};

use crate::support::{address, block_at, by_rest, timed, tip, watching};

/// A wait that must be shorter than this ended because something happened.
const LONG: Duration = Duration::from_secs(30);

fn pool(nodes: [&Bitcoind; 2], agree: usize) -> EndpointPool<BitcoinSource> {
    let endpoints = nodes.map(|node| (node.url().replace("http://", ""), by_rest(node)));
    EndpointPool::new(endpoints.into(), agree).unwrap()
}

/// Gives one node the blocks of another from a height on.
async fn share(from: &Bitcoind, to: &Bitcoind, lowest: u64) -> Result<()> {
    for height in lowest..=from.height().await? {
        let hash = from.hash_at(height).await?;
        let block: Value = from.rpc("getblock", json!([hash, 0])).await?;
        to.rpc("submitblock", json!([block])).await?;
    }
    Ok(())
}

/// Two nodes that are cut off from each other agree up to the fork and no further; once they have found
/// together they agree on the branch that won, and its blocks can be read from either.
#[tokio::test]
async fn a_pool_of_partitioned_nodes_stops_at_the_fork() -> Result<()> {
    let (one, two) = (Bitcoind::start().await?, Bitcoind::start().await?);
    one.mine(5).await?;
    share(&one, &two, 1).await?;
    let fork = tip(&one).await?;
    let both = pool([&one, &two], 2);
    let any = pool([&two, &one], 1);
    assert_eq!(both.health().await?.tip, fork);

    one.mine(3).await?;
    two.mine(2).await?;
    let (left, right) = (tip(&one).await?, tip(&two).await?);
    assert_ne!(block_at(&one, 6).await?, block_at(&two, 6).await?);
    assert_eq!(both.health().await?.tip, fork);
    assert_eq!(both.hashes(4, 9).await?.len(), 2);
    let error = both.hash_at(6).await.unwrap_err();
    assert!(matches!(error, SourceError::Disagreement { .. }), "{error}");
    // Whoever trusts each of them follows the longest.
    assert_eq!(any.health().await?.tip, left);
    assert_eq!(any.hash_at(7).await?, Some(block_at(&one, 7).await?.hash));

    let waiting = timed(both.wait_for_change(&fork, LONG));
    let (waited, shared) = tokio::join!(waiting, share(&one, &two, 6));
    shared?;
    assert!(waited < LONG, "{waited:?}");
    assert_eq!(tip(&two).await?, left);
    assert_eq!(both.health().await?.tip, left);
    assert_eq!(both.hashes(6, 9).await?.len(), 3);
    let raw = both.fetch(left.clone()).await?;
    assert_eq!(both.scan(&left, raw, &watching(&[]))?.at, left);
    // What lost is given as long as a node keeps it, and its proof is what counts.
    let raw = any.fetch(right.clone()).await?;
    assert_eq!(any.scan(&right, raw, &watching(&[]))?.at, right);
    Ok(())
}

/// When a node goes, the other one is asked: blocks and mempool are still read. Where both have to agree,
/// nothing is read until it is back.
#[tokio::test]
async fn a_pool_goes_on_when_a_node_goes() -> Result<()> {
    let (one, two) = (Bitcoind::start().await?, Bitcoind::start().await?);
    let payer = Payer::new(&one).await?;
    share(&one, &two, 1).await?;
    let (any, both) = (pool([&one, &two], 1), pool([&one, &two], 2));
    let at = tip(&one).await?;
    assert_eq!(any.health().await?.tip, at);
    assert_eq!(both.health().await?.tip, at);

    let paid = payer.pay(&[(&address(1).address, 50_000)]).await?;
    let body = one
        .rpc("getrawtransaction", json!([paid.to_string()]))
        .await?;
    two.rpc("sendrawtransaction", json!([body])).await?;
    one.kill()?;
    // Even before anybody has noticed.
    let raw = any.fetch(at.clone()).await?;
    assert_eq!(any.scan(&at, raw, &watching(&[]))?.at, at);
    let raw = any.fetch_pool().await?.expect("bitcoind has a mempool");
    assert_eq!(any.scan_pool(raw, &watching(&[1]))?.credits.len(), 1);

    two.mine(1).await?;
    let mined = tip(&two).await?;
    assert_eq!(any.health().await?.tip, mined);
    let conditions = any.members().into_iter().map(|one| one.condition);
    assert_eq!(
        conditions.collect::<Vec<_>>(),
        [Condition::Lost, Condition::Well]
    );
    let error = both.health().await.unwrap_err();
    assert_eq!(error.code(), "too_few_endpoints", "{error}");

    // It may have lost what it had not yet written to the disk.
    one.restart().await?;
    assert!(both.health().await?.tip.height <= at.height);
    share(&two, &one, 1).await?;
    assert_eq!(both.health().await?.tip, mined);
    Ok(())
}
