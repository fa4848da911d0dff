//! Each way of not giving a block has its own meaning, and none of them is an empty block.

use anyhow::Result;
use paywatch_chain::{Retry, Source};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::support::{block, read, source, watching};

/// What is answered to the request for a block of the chain, and what comes of it.
#[tokio::test]
async fn solana_every_code_has_a_meaning() -> Result<()> {
    use Retry::{AfterChange, Soon};
    let cases = [
        // Thrown away.
        (Err(-32001), "node_pruned", AfterChange, "connect a node"),
        // Not there, or not yet, or said to be skipped though links name it.
        (Err(-32004), "block_missing", Soon, "does not have"),
        (Err(-32007), "block_missing", Soon, "does not have"),
        (Err(-32009), "block_missing", Soon, "does not have"),
        (Err(-32014), "block_missing", Soon, "does not have"),
        (Ok(Value::Null), "block_missing", Soon, "does not have"),
        // Behind.
        (Err(-32005), "block_missing", Soon, "does not have"),
        (Err(-32016), "block_missing", Soon, "does not have"),
        // A validator without history.
        (Err(-32011), "node_refused", AfterChange, "--enable-rpc"),
        (Err(-32601), "node_refused", AfterChange, "getBlock"),
        // What it asks for old blocks does not answer.
        (Err(-32019), "node_unreachable", Soon, "words"),
        // A version that cannot be asked for.
        (Err(-32015), "node_answer_malformed", Soon, "error -32015"),
        (Err(-32603), "node_answer_malformed", Soon, "error -32603"),
        (Ok(json!(7)), "node_answer_malformed", Soon, "getBlock: "),
        (Ok(json!({})), "node_answer_malformed", Soon, "getBlock: "),
    ];
    let cluster = Cluster::start("abcde").await?;
    let source = source(cluster.url());
    for (told, code, retry, words) in cases {
        let shown = format!("{told:?}");
        cluster.lie(move |method, params| {
            (method == "getBlock" && params[0] == 102).then(|| told.clone())
        });
        let error = read(&source, &block(102, "c"), &watching(&[])).await;
        let error = error.unwrap_err();
        assert_eq!(
            (error.code(), error.retry()),
            (code, retry),
            "{shown}: {error}"
        );
        assert!(error.to_string().contains(words), "{shown}: {error}");
        cluster.be_honest();
        read(&source, &block(102, "c"), &watching(&[])).await?;
    }
    Ok(())
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
