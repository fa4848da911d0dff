//! Each way of not giving a block has its own meaning, and none of them is an empty block.

use anyhow::Result;
use paywatch_chain::{Retry, Source};
use paywatch_testkit::{SolanaCluster as Cluster, SolanaTold as Told};
use serde_json::{Value, json};

use super::support::{block, read, source, watching};

/// What comes of an answer to the request for a block of the chain: the block is neither empty nor skipped, and it
/// can be read once it is given.
async fn means(told: Told, code: &str, retry: Retry, words: &str) -> Result<()> {
    let cluster = Cluster::start("abcde").await?;
    let source = source(cluster.url());
    cluster.lie(move |method, params| {
        (method == "getBlock" && params[0] == 102).then(|| told.clone())
    });
    let error = read(&source, &block(102, "c"), &watching(&[])).await;
    let error = error.unwrap_err();
    assert_eq!((error.code(), error.retry()), (code, retry), "{error}");
    assert!(error.to_string().contains(words), "{error}");
    cluster.be_honest();
    read(&source, &block(102, "c"), &watching(&[])).await?;
    Ok(())
}

/// A test for each way of not giving a block.
macro_rules! meanings {
    ($($(#[$doc:meta])+ $name:ident: $told:expr => $code:literal, $retry:ident, $words:literal;)+) => {$(
        $(#[$doc])+
        #[tokio::test]
        async fn $name() -> Result<()> {
            means($told, $code, Retry::$retry, $words).await
        }
    )+};
}

meanings! {
    /// Thrown away.
    solana_32001_is_pruned: Err(-32001) => "node_pruned", AfterChange, "connect a node";
    /// Not there, or not yet.
    solana_32004_is_missing: Err(-32004) => "block_missing", Soon, "does not have";
    /// Said to be skipped, though links name it.
    solana_32007_is_missing: Err(-32007) => "block_missing", Soon, "does not have";
    /// Said to be skipped in what is kept for long, though links name it.
    solana_32009_is_missing: Err(-32009) => "block_missing", Soon, "does not have";
    /// Not voted for yet.
    solana_32014_is_missing: Err(-32014) => "block_missing", Soon, "does not have";
    /// Not there, as some software says it.
    solana_null_is_missing: Ok(Value::Null) => "block_missing", Soon, "does not have";
    /// Behind the others.
    solana_32005_is_missing: Err(-32005) => "block_missing", Soon, "does not have";
    /// Behind what was asked for.
    solana_32016_is_missing: Err(-32016) => "block_missing", Soon, "does not have";
    /// A validator without history.
    solana_32011_is_refused: Err(-32011) => "node_refused", AfterChange, "--enable-rpc";
    /// An endpoint that does not give blocks.
    solana_32601_is_refused: Err(-32601) => "node_refused", AfterChange, "getBlock";
    /// What it asks for old blocks does not answer.
    solana_32019_is_unreachable: Err(-32019) => "node_unreachable", Soon, "words";
    /// A version of transactions that cannot be asked for.
    solana_32015_with_the_highest_version_is_malformed:
        Err(-32015) => "node_answer_malformed", Soon, "error -32015";
    /// Something else.
    solana_32603_is_malformed: Err(-32603) => "node_answer_malformed", Soon, "error -32603";
    /// No block at all.
    solana_a_number_is_malformed: Ok(json!(7)) => "node_answer_malformed", Soon, "getBlock: ";
    /// A block without anything in it.
    solana_an_empty_object_is_malformed:
        Ok(json!({})) => "node_answer_malformed", Soon, "getBlock: ";
}

/// A block that is not given because it left the chain is stale, whatever the node says of its slot.
#[tokio::test]
async fn solana_links_tell_whether_a_block_left_the_chain() -> Result<()> {
    let cluster = Cluster::start("ab-cd").await?;
    let source = source(cluster.url());
    for (told, code) in [
        (Err(-32004), "block_stale"),
        (Err(-32007), "block_stale"),
        (Err(-32009), "block_stale"),
        (Err(-32014), "block_stale"),
        (Ok(Value::Null), "block_stale"),
        (Err(-32016), "block_missing"),
    ] {
        // The slot was skipped on this chain, and the node had a block there before.
        cluster.lie(move |method, params| {
            (method == "getBlock" && params[0] == 102).then(|| told.clone())
        });
        let error = read(&source, &block(102, "x"), &watching(&[])).await;
        assert_eq!(error.unwrap_err().code(), code);
    }
    Ok(())
}

/// A block with a transaction of a higher version is asked for again with the highest, and from then on so.
#[tokio::test]
async fn solana_a_higher_version_of_transactions_is_asked_for() -> Result<()> {
    let cluster = Cluster::start("abcde").await?;
    let source = source(cluster.url());
    cluster.lie(|method, params| {
        let version = params[1]["maxSupportedTransactionVersion"].as_u64();
        (method == "getBlock" && version.is_none_or(|version| version < 200)).then_some(Err(-32015))
    });
    let blocks = |asked: Vec<String>| {
        asked
            .into_iter()
            .filter(|it| it.starts_with("getBlock "))
            .count()
    };
    source.fetch(block(102, "c")).await?;
    assert_eq!(blocks(cluster.take_asked()), 2);
    source.fetch(block(103, "d")).await?;
    assert_eq!(blocks(cluster.take_asked()), 1);
    Ok(())
}

/// A node tells of a slot before it can give its block: then the one below is its last.
#[tokio::test]
async fn solana_the_last_block_is_one_that_the_node_gives() -> Result<()> {
    let cluster = Cluster::start("abc-e").await?;
    let source = source(cluster.url());
    for (told, height, hash) in [(Err(-32004), 102, "c"), (Ok(Value::Null), 102, "c")] {
        cluster.lie(move |method, params| {
            (method == "getBlock" && params[0] == 104).then(|| told.clone())
        });
        assert_eq!(source.health().await?.tip, block(height, hash));
    }
    cluster.lie(|method, _| (method == "getBlock").then_some(Err(-32004)));
    let error = source.health().await.unwrap_err();
    assert_eq!(error.code(), "block_missing", "{error}");
    cluster.be_honest();
    assert_eq!(source.health().await?.tip, block(104, "e"));
    Ok(())
}
