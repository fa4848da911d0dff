//! Finding the block of a transaction on a real bitcoind.

use anyhow::Result;
use paywatch_chain::{Located, Source};
use paywatch_chain_bitcoin::BitcoinSource;
use paywatch_domain::{BlockHash, BlockHint, TxId};
use paywatch_testkit::{Bitcoind, Payer, eventually};

use crate::support::{address, block_at, by_rest, tip};

/// Where a transaction is: what the payer has sent, in its block, spent or not.
struct Paid {
    /// Pays an address that nobody spends from.
    unspent: TxId,
    /// All that it paid is spent.
    spent: TxId,
    /// Waits in the mempool.
    waiting: TxId,
    height: u64,
}

/// A payment whose outputs stay, and one of which everything was spent in the next block.
async fn pay(node: &Bitcoind) -> Result<Paid> {
    let payer = Payer::new(node).await?;
    let own = address(1).address;
    let unspent = payer.pay(&[(&own, 50_000)]).await?;
    // Both outputs, what is paid and the change, go to somebody who spends them together.
    let second = Payer::without_coins(node, 2)?;
    let spent = payer.pay(&[(&second.address(), 4_000_000)]).await?;
    node.mine(1).await?;
    let height = node.height().await?;
    second.refresh().await?;
    second.pay(&[(&own, 3_900_000)]).await?;
    payer.refresh().await?;
    let all = payer.balance().saturating_sub(1_000_000);
    payer.pay(&[(&own, all)]).await?;
    node.mine(1).await?;
    let waiting = payer.pay(&[(&own, 10_000)]).await?;
    Ok(Paid {
        unspent: TxId::new(&unspent.to_string()),
        spent: TxId::new(&spent.to_string()),
        waiting: TxId::new(&waiting.to_string()),
        height,
    })
}

async fn locate(source: &BitcoinSource, tx: &TxId, hint: Option<BlockHint>) -> Result<Located> {
    Ok(source.locate(tx.clone(), hint).await?)
}

/// A node as most people run it: no index of transactions.
#[tokio::test]
async fn a_node_without_an_index_finds_what_is_unspent_and_what_is_named() -> Result<()> {
    let node = Bitcoind::start().await?;
    let paid = pay(&node).await?;
    let source = by_rest(&node);
    let block = block_at(&node, paid.height).await?;
    let here = Located::Block(block.clone());
    assert_eq!(locate(&source, &paid.unspent, None).await?, here);
    assert_eq!(
        locate(&source, &paid.waiting, None).await?,
        Located::Mempool
    );
    assert_eq!(locate(&source, &paid.spent, None).await?, Located::Unknown);
    let nobody = TxId::new(&"ab".repeat(32));
    assert_eq!(locate(&source, &nobody, None).await?, Located::Unknown);

    let by_height = |height| Some(BlockHint::Height(height));
    let by_hash = |hash: &BlockHash| Some(BlockHint::Hash(hash.clone()));
    for hint in [by_height(paid.height), by_hash(&block.hash)] {
        for tx in [&paid.spent, &paid.unspent] {
            assert_eq!(locate(&source, tx, hint.clone()).await?, here);
        }
    }
    let other = tip(&node).await?.hash;
    for hint in [
        by_height(paid.height - 1),
        by_height(paid.height + 1_000),
        by_height(u64::MAX),
        by_hash(&other),
        by_hash(&BlockHash::new(&"cd".repeat(32))),
        by_hash(&BlockHash::new("no hash")),
    ] {
        let found = locate(&source, &paid.spent, hint.clone()).await?;
        assert_eq!(found, Located::Nowhere, "{hint:?}");
    }
    let no_id = TxId::new("no id");
    assert_eq!(locate(&source, &no_id, None).await?, Located::Nowhere);

    // A block that left the chain holds it still, and counts for nothing.
    node.invalidate(block.hash.as_str()).await?;
    let found = locate(&source, &paid.spent, by_hash(&block.hash)).await?;
    assert_eq!(found, Located::Nowhere);
    Ok(())
}

#[tokio::test]
async fn a_node_with_an_index_finds_everything_that_exists() -> Result<()> {
    let node = Bitcoind::start_with(&["-txindex=1"]).await?;
    let paid = pay(&node).await?;
    let source = by_rest(&node);
    let here = Located::Block(block_at(&node, paid.height).await?);
    let synced = eventually(
        "the index to be complete",
        std::time::Duration::from_secs(30),
        async || {
            let found = locate(&source, &paid.spent, None).await?;
            Ok((found == here).then_some(()))
        },
    );
    synced.await?;
    assert_eq!(locate(&source, &paid.unspent, None).await?, here);
    let nobody = TxId::new(&"ab".repeat(32));
    assert_eq!(locate(&source, &nobody, None).await?, Located::Nowhere);
    Ok(())
}
