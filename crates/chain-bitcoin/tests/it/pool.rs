//! The mempool of a real bitcoind: seen, mined, replaced, evicted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use paywatch_chain::{Credit, Source, SourceError};
use paywatch_domain::{Amount, TxId};
use paywatch_testkit::{Bitcoind, Crowd, Payer, eventually};
use serde_json::json;

use crate::liar::Liar;
use crate::support::{address, by_rest, config, read, read_pool, tip, watching};
use paywatch_chain_bitcoin::BitcoinSource;

/// How long a node may take to come back.
const RESTART: Duration = Duration::from_mins(1);

fn amounts(credits: &[Credit]) -> Vec<Amount> {
    credits.iter().map(|credit| credit.amount).collect()
}

/// The same credit, by every field, is first in the mempool and then in a block.
#[tokio::test]
async fn a_payment_is_seen_and_then_mined() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    let source = by_rest(&node);
    let watched = watching(&[1, 2]);
    let before = tip(&node).await?;
    assert_eq!(read_pool(&source, &watched).await?.credits, []);
    let one = address(1).address;
    let id = payer.pay(&[(&one, 5_000), (&one, 6_000)]).await?;
    payer.pay(&[(&address(9).address, 7_000)]).await?;
    let seen = read_pool(&source, &watched).await?;
    assert_eq!(seen.tip, before);
    let expected = [5_000, 6_000].map(Amount::from_atomic);
    assert_eq!(amounts(&seen.credits), expected);
    for credit in &seen.credits {
        assert_eq!(credit.tx_id.as_str(), id.to_string());
        assert_eq!(*credit.key, *address(1).key);
        assert_eq!(credit.asset.to_string(), "btc@regtest");
    }
    node.mine(1).await?;
    let after = tip(&node).await?;
    let pool = read_pool(&source, &watched).await?;
    assert_eq!((pool.tip, pool.credits), (after.clone(), vec![]));
    let block = read(&source, &after, &watched).await?;
    assert_eq!(block.credits, seen.credits);
    // Back in the mempool after the block is undone.
    node.invalidate(after.hash.as_str()).await?;
    let again = read_pool(&source, &watched).await?;
    assert_eq!((again.tip, again.credits), (seen.tip, seen.credits));
    Ok(())
}

/// A replacement that pays the same invoice shares an outpoint with what it replaces; one that pays
/// somebody else leaves nothing.
#[tokio::test]
async fn a_double_spend_shows_the_shared_outpoint() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    let source = by_rest(&node);
    let watched = watching(&[1]);
    let one = address(1).address;
    let first = payer.pay(&[(&one, 5_000)]).await?;
    let seen = read_pool(&source, &watched).await?.credits;
    let second = payer.double_spend(first, Some((&one, 4_000))).await?;
    let replaced = read_pool(&source, &watched).await?.credits;
    assert_eq!(amounts(&replaced), [Amount::from_atomic(4_000)]);
    assert_eq!(replaced[0].tx_id.as_str(), second.to_string());
    assert_ne!(replaced[0].tx_id, seen[0].tx_id);
    assert_eq!(replaced[0].spends, seen[0].spends);
    assert!(!seen[0].spends.is_empty());
    let third = payer.double_spend(second, None).await?;
    let gone = read_pool(&source, &watched).await?;
    assert_eq!(gone.credits, []);
    // It pays nobody whom we watch, and is still known as the one that took the place.
    let outpoint = &*seen[0].spends[0];
    let unspent = format!("{}:4000000000", seen[0].tx_id);
    let asked = BTreeSet::from([outpoint, unspent.as_str(), "no outpoint"]);
    let expected = BTreeMap::from([(outpoint.to_owned(), TxId::new(&third.to_string()))]);
    assert_eq!(gone.spenders.spenders(&asked), expected);
    node.mine(1).await?;
    let after = read_pool(&source, &watched).await?;
    assert_eq!(after.spenders.spenders(&asked), BTreeMap::new());
    Ok(())
}

/// An address that is watched from now on is found in a transaction that was read before; bodies
/// are asked for once, and after a restart of the node again.
#[tokio::test]
async fn bodies_are_read_once_and_looked_at_again() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    payer.fan_out(150, 100_000).await?;
    node.mine(1).await?;
    for index in 0..130 {
        payer.pay(&[(&address(index).address, 5_000)]).await?;
    }
    let liar = Liar::start(&node, |_, answer| answer).await?;
    let source = BitcoinSource::new(config(&liar.url()))?;
    let bodies = || {
        let asked = liar.asked();
        asked
            .iter()
            .filter(|call| *call == "getrawtransaction")
            .count()
    };
    assert_eq!(read_pool(&source, &watching(&[])).await?.credits, []);
    assert_eq!(bodies(), 130);
    let all: Vec<u32> = (0..130).collect();
    let found = read_pool(&source, &watching(&all)).await?;
    assert_eq!(found.credits.len(), 130);
    assert_eq!(bodies(), 130, "nothing is read twice");
    let last = payer.pay(&[(&address(1).address, 6_000)]).await?;
    let found = read_pool(&source, &watching(&[1])).await?;
    assert_eq!(found.credits.len(), 2);
    assert_eq!(bodies(), 131, "only what is new is read");
    assert!(
        found
            .credits
            .iter()
            .any(|credit| credit.tx_id.as_str() == last.to_string())
    );
    node.mine(1).await?;
    let empty = read_pool(&source, &watching(&all)).await?;
    assert_eq!(empty.credits, []);
    assert_eq!(empty.tip, tip(&node).await?);
    assert!(source.hash_at(0).await?.is_some());
    Ok(())
}

/// A node that comes back loads the mempool that it saved, and answers meanwhile: no answer of that
/// time is taken for the mempool.
#[tokio::test]
async fn a_restart_of_the_node_loses_nothing() -> Result<()> {
    const PAYMENTS: u32 = 150;
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    payer.fan_out(160, 100_000).await?;
    node.mine(1).await?;
    for index in 0..PAYMENTS {
        payer.pay(&[(&address(index).address, 5_000)]).await?;
    }
    let source = by_rest(&node);
    let watched = watching(&(0..PAYMENTS).collect::<Vec<_>>());
    let before = read_pool(&source, &watched).await?;
    assert_eq!(before.credits.len(), PAYMENTS as usize);
    // It is killed after it wrote everything, since an orderly stop takes long.
    node.rpc("gettxoutsetinfo", json!(["none"])).await?;
    node.rpc("savemempool", json!([])).await?;
    node.kill()?;
    let reading = eventually(
        "the mempool to be read again",
        RESTART,
        async || match read_pool(&source, &watched).await {
            Ok(pool) => Ok(Some(pool)),
            Err(SourceError::Unreachable { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        },
    );
    let (restarted, after) = tokio::join!(node.restart(), reading);
    restarted?;
    let after = after?;
    assert_eq!(after.tip, before.tip);
    let ids = |credits: &[Credit]| -> BTreeSet<String> {
        credits.iter().map(|one| one.tx_id.to_string()).collect()
    };
    assert_eq!(ids(&after.credits), ids(&before.credits));
    Ok(())
}

/// Two reads at a time, as when one goes on after an error that began the next, take turns: what the one
/// forgets cannot be what the other has just asked for.
#[tokio::test]
async fn two_reads_at_a_time_take_turns() -> Result<()> {
    const PAYMENTS: u32 = 20;
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    payer.fan_out(30, 100_000).await?;
    node.mine(1).await?;
    for index in 0..PAYMENTS {
        payer.pay(&[(&address(index).address, 5_000)]).await?;
    }
    let liar = Liar::start(&node, |_, answer| answer).await?;
    let source = BitcoinSource::new(config(&liar.url()))?;
    let watched = watching(&(0..PAYMENTS).collect::<Vec<_>>());
    let (one, other) = tokio::join!(read_pool(&source, &watched), read_pool(&source, &watched));
    let (one, other) = (one?, other?);
    assert_eq!(one.credits.len(), PAYMENTS as usize);
    assert_eq!(other.credits, one.credits);
    // The second found every body in memory, so it began after the first had ended.
    let asked = liar.asked();
    let bodies = asked.iter().filter(|call| *call == "getrawtransaction");
    assert_eq!(bodies.count(), PAYMENTS as usize);
    Ok(())
}

/// A poll costs what is new, whatever waits in the mempool: one request for the list, with 67 bytes for
/// each transaction that waits, and one for each hundred new bodies. Nothing is asked for twice.
#[tokio::test]
async fn a_poll_of_a_full_mempool_asks_for_what_is_new() -> Result<()> {
    const NEW: usize = 10;
    const LIST_BYTES_EACH: usize = 67;
    const REST_BYTES_MAX: usize = 16 * 1024;
    let full = std::env::var_os("PAYWATCH_TEST_FULL").is_some_and(|value| !value.is_empty());
    let waiting = if full { 50_000 } else { 5_000 };
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    let mut crowd = Crowd::gather(&node, &payer, waiting + NEW).await?;
    crowd.send(waiting).await?;
    let liar = Liar::start(&node, |_, answer| answer).await?;
    let source = BitcoinSource::new(config(&liar.url()))?;
    let watched = watching(&[1]);
    let count = |name: &str| liar.asked().iter().filter(|call| *call == name).count();
    assert_eq!(read_pool(&source, &watched).await?.credits, []);
    assert_eq!(count("getrawtransaction"), waiting);
    let first = liar.take_traffic();
    assert_eq!(first.requests, 1 + waiting.div_ceil(100));

    let started = std::time::Instant::now();
    assert_eq!(read_pool(&source, &watched).await?.credits, []);
    println!(
        "a poll of {waiting} with nothing new: {:?}",
        started.elapsed()
    );
    let idle = liar.take_traffic();
    assert_eq!(idle.requests, 1, "the list alone");
    assert!(idle.bytes < LIST_BYTES_EACH * waiting + REST_BYTES_MAX);

    crowd.send(NEW).await?;
    payer.pay(&[(&address(1).address, 5_000)]).await?;
    let started = std::time::Instant::now();
    let found = read_pool(&source, &watched).await?;
    println!(
        "a poll of {waiting} with {NEW} new: {:?}",
        started.elapsed()
    );
    assert_eq!(amounts(&found.credits), [Amount::from_atomic(5_000)]);
    assert_eq!(count("getrawtransaction"), waiting + NEW + 1, "what is new");
    let busy = liar.take_traffic();
    assert_eq!(busy.requests, 2, "the list and one batch");
    assert!(
        busy.bytes < idle.bytes + REST_BYTES_MAX,
        "{busy:?}, {idle:?}"
    );
    println!("first: {first:?}, idle: {idle:?}, {NEW} new: {busy:?}");
    Ok(())
}

/// A mempool says for how long the node has been collecting it: since its start.
#[tokio::test]
async fn a_mempool_is_as_old_as_its_node() -> Result<()> {
    let node = Bitcoind::start_with(&["-persistmempool=0"]).await?;
    let payer = Payer::new(&node).await?;
    let source = by_rest(&node);
    let watched = watching(&[1]);
    payer.pay(&[(&address(1).address, 5_000)]).await?;
    let old = eventually("the node to be three seconds old", RESTART, async || {
        let pool = read_pool(&source, &watched).await?;
        Ok((Duration::from_secs(3) <= pool.age).then_some(pool))
    })
    .await?;
    assert_eq!(old.credits.len(), 1);
    node.rpc("gettxoutsetinfo", json!(["none"])).await?;
    node.kill()?;
    node.restart().await?;
    let young = read_pool(&source, &watched).await?;
    assert_eq!((young.tip, young.credits), (old.tip, Vec::new()));
    assert!(young.age < old.age, "{:?}", young.age);
    Ok(())
}

/// A block says which of the outpoints that are watched it spends, whomever it pays.
#[tokio::test]
async fn a_block_says_what_it_spends() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    let source = by_rest(&node);
    let mut watched = watching(&[1]);
    let first = payer.pay(&[(&address(1).address, 5_000)]).await?;
    let seen = read_pool(&source, &watched).await?.credits;
    let outpoint = seen[0].spends[0].to_string();
    let second = payer.double_spend(first, None).await?;
    payer.pay(&[(&address(2).address, 6_000)]).await?;
    node.mine(1).await?;
    let at = tip(&node).await?;
    assert_eq!(read(&source, &at, &watched).await?.spent, []);
    let unspent = format!("{first}:0");
    watched.set_outpoints([outpoint.clone(), unspent, "no outpoint".to_owned()]);
    let block = read(&source, &at, &watched).await?;
    assert_eq!(block.spent, [(outpoint, TxId::new(&second.to_string()))]);
    assert_eq!(block.credits, []);
    Ok(())
}
