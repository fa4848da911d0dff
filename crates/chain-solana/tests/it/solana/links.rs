//! Every slot is accounted for by links, and by nothing else.

use anyhow::Result;
use paywatch_chain::{Retry, Source};
use paywatch_testkit::SolanaCluster as Cluster;
use serde_json::{Value, json};

use super::support::{block, credits, hashes, payment, read, source, watching};

#[tokio::test]
async fn solana_every_slot_has_a_block_that_stands_on_the_one_below() -> Result<()> {
    let cluster = Cluster::start("ab-cd---e").await?;
    cluster.fill(104, json!([payment("sig", "shop", 7)]));
    let source = source(cluster.url());
    let expected = "a b b+1 c d d+1 d+2 d+3 e";
    assert_eq!(hashes(&source, 100, 108).await?, expected);
    let mut below = "z".to_owned();
    for (slot, hash) in (100..).zip(expected.split(' ')) {
        assert_eq!(hashes(&source, slot, slot).await?, hash, "slot {slot}");
        let block = read(&source, &block(slot, hash), &watching(&["shop"])).await?;
        assert_eq!(block.parent.as_str(), below, "slot {slot}");
        assert_eq!(block.credits.len(), usize::from(slot == 104));
        let is_skipped = hash.contains('+');
        assert_eq!(block.time.0 == 0, is_skipped, "slot {slot}");
        below = block.at.hash.to_string();
    }
    Ok(())
}

/// Ranges that begin or end in a gap, and lists without some or all of the blocks.
#[tokio::test]
async fn solana_hashes_are_told_as_far_as_links_prove_them() -> Result<()> {
    for (slots, unlisted, from, to, expected) in [
        ("ab-cd---e", &[][..], 102, 104, "b+1 c d"),
        ("ab-cd---e", &[], 101, 102, "b b+1"),
        ("ab-cd---e", &[], 105, 106, "d+1 d+2"),
        ("ab-cd---e", &[], 106, 106, "d+2"),
        ("ab-cd---e", &[], 108, 120, "e"),
        // Nothing stands above the gap yet.
        ("ab-c---", &[], 102, 106, "b+1 c"),
        ("ab-c---", &[], 100, 105, "a b b+1 c"),
        ("ab-c---", &[], 104, 106, ""),
        ("abc", &[], 103, 109, ""),
        ("abc", &[], 102, 101, ""),
        // What a list leaves out is named by the block above.
        ("abcd", &[101, 102], 100, 103, "a b c d"),
        ("abcd", &[100, 101, 102], 100, 103, "a b c d"),
        ("abcd", &[100, 101, 102], 101, 102, "b c"),
        ("ab-cd", &[101, 103], 102, 104, "b+1 c d"),
        ("abcd", &[103], 100, 103, "a b c"),
    ] {
        let cluster = Cluster::start(slots).await?;
        cluster.state().unlisted = unlisted.iter().copied().collect();
        let told = hashes(&source(cluster.url()), from, to).await?;
        assert_eq!(
            told, expected,
            "{slots} without {unlisted:?}: {from} to {to}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn solana_long_ranges_are_told_in_parts() -> Result<()> {
    let cluster = Cluster::start(&"abcdefghijklmnopqrstuvwxy-".repeat(6)).await?;
    let source = source(cluster.url());
    let mut next = 100;
    while let told @ 1.. = source.hashes(next, 300).await?.len() {
        assert!(told <= 64);
        next += u64::try_from(told)?;
    }
    assert_eq!(next, 100 + 6 * 26 - 1);
    Ok(())
}

/// Once the last block is known, its links tell what comes next: nothing more is asked.
#[tokio::test]
async fn solana_slots_up_to_the_parent_of_the_last_block_cost_nothing() -> Result<()> {
    let cluster = Cluster::start("ab--c").await?;
    let source = source(cluster.url());
    assert_eq!(source.health().await?.tip, block(104, "c"));
    cluster.take_asked();
    assert_eq!(hashes(&source, 102, 104).await?, "b+1 b+2 c");
    assert_eq!(hashes(&source, 101, 110).await?, "b b+1 b+2 c");
    assert_eq!(cluster.take_asked(), [] as [&str; 0]);
    assert_eq!(hashes(&source, 100, 101).await?, "a b");
    assert!(!cluster.take_asked().is_empty());
    Ok(())
}

/// A slot whose block is missing: what is below it is told, and nothing above. When it is the first, nothing is.
#[tokio::test]
async fn solana_an_unproven_gap_is_never_passed() -> Result<()> {
    for (gone, told) in [
        (Ok(Value::Null), "a b"),
        (Err(-32004), "a b"),
        (Err(-32007), "a b"),
        (Err(-32009), "a b"),
        (Err(-32014), "a b"),
    ] {
        let cluster = Cluster::start("abcde").await?;
        for unlisted in [vec![], vec![102]] {
            cluster.state().unlisted = unlisted.into_iter().collect();
            let gone = gone.clone();
            cluster.lie(move |method, params| {
                (method == "getBlock" && params[0] == 102).then(|| gone.clone())
            });
            let source = source(cluster.url());
            assert_eq!(hashes(&source, 100, 104).await?, told);
            let error = hashes(&source, 102, 104).await.unwrap_err();
            assert_eq!(error.code(), "block_missing", "{error}");
            assert_eq!(error.retry(), Retry::Soon);
            cluster.be_honest();
            assert_eq!(hashes(&source, 100, 104).await?, "a b c d e");
        }
    }
    Ok(())
}

#[tokio::test]
async fn solana_an_empty_list_is_no_proof_that_there_is_nothing() -> Result<()> {
    let cluster = Cluster::start("abcde").await?;
    let lists = ["getBlocks", "getBlocksWithLimit"];
    cluster.lie(move |method, _| lists.contains(&method).then(|| Ok(json!([]))));
    let source = source(cluster.url());
    let error = hashes(&source, 102, 104).await.unwrap_err();
    assert_eq!(error.code(), "block_missing", "{error}");
    assert_eq!(hashes(&source, 105, 110).await?, "");
    Ok(())
}

#[tokio::test]
async fn solana_blocks_that_do_not_link_are_not_told() -> Result<()> {
    for (slot, field, value) in [
        (102, "previousBlockhash", json!("x")),
        (102, "blockhash", json!("x")),
        (103, "parentSlot", json!(101)),
        (103, "parentSlot", json!(100)),
    ] {
        let cluster = Cluster::start("abcde").await?;
        let told = field;
        cluster.lie(move |method, params| {
            let parent = if params[0] == 102 {
                (101, "b")
            } else {
                (102, "c")
            };
            let hash = if params[0] == 102 { "c" } else { "d" };
            let mut block = json!({
                "blockhash": hash, "previousBlockhash": parent.1, "parentSlot": parent.0,
                "blockTime": null, "transactions": [],
            });
            block[field] = value.clone();
            (method == "getBlock" && params[0] == slot).then_some(Ok(block))
        });
        let error = hashes(&source(cluster.url()), 100, 104).await.unwrap_err();
        assert_eq!(error.code(), "node_answer_malformed", "{told} at {slot}");
        assert!(error.to_string().contains("does not stand on"), "{error}");
    }
    Ok(())
}

/// What a node threw away is said to be so, whatever it says of single blocks.
#[tokio::test]
async fn solana_history_that_was_thrown_away_has_a_name() -> Result<()> {
    let cluster = Cluster::start("abcdef").await?;
    cluster.state().first = 103;
    let source = source(cluster.url());
    for code in [-32001, -32004, -32007, -32602] {
        cluster.lie(move |method, params| {
            let is_below = method == "getBlock" && params[0].as_u64().unwrap() < 103;
            is_below.then_some(Err(code))
        });
        for error in [
            hashes(&source, 100, 104).await.unwrap_err(),
            read(&source, &block(101, "b"), &watching(&[]))
                .await
                .unwrap_err(),
        ] {
            assert_eq!(error.code(), "node_pruned", "{code}: {error}");
            assert!(error.to_string().contains("103"), "{error}");
        }
    }
    assert_eq!(hashes(&source, 103, 105).await?, "d e f");
    assert_eq!(source.health().await?.lowest, 103);
    Ok(())
}

/// A confirmed block that is dropped before it is finalized: its slots have other hashes then, the block itself
/// is stale, and what it paid stands nowhere.
#[tokio::test]
async fn solana_a_dropped_fork_has_other_hashes() -> Result<()> {
    let cluster = Cluster::start("abcde").await?;
    cluster.fill(103, json!([payment("sig", "shop", 7)]));
    let source = source(cluster.url());
    let watched = watching(&["shop"]);
    source.health().await?;
    let paid = read(&source, &block(103, "d"), &watched).await?;
    assert_eq!(credits(&paid), [("shop".into(), "sol".into(), "7".into())]);

    // The slots of d and e: one was skipped on the branch that stays, the other has another block.
    for (slots, above, expected) in [("abc-xy", "c", "c+1 x y"), ("abcvwy", "c", "v w y")] {
        cluster.set(slots);
        for (slot, hash) in [(103, "d"), (104, "e")] {
            let error = read(&source, &block(slot, hash), &watched)
                .await
                .unwrap_err();
            assert_eq!(error.code(), "block_stale", "{error}");
        }
        assert_eq!(source.health().await?.tip, block(105, "y"));
        assert_eq!(hashes(&source, 103, 105).await?, expected);
        assert_eq!(hashes(&source, 102, 102).await?, above);
        let mut below = above.to_owned();
        for (slot, hash) in (103..).zip(expected.split(' ')) {
            let block = read(&source, &block(slot, hash), &watched).await?;
            assert_eq!((block.parent.as_str(), block.credits.len()), (&*below, 0));
            below = hash.to_owned();
        }
    }
    Ok(())
}

/// No number of slots lies between the commitments: both may be the same.
#[tokio::test]
async fn solana_commitments_are_what_the_node_says() -> Result<()> {
    use paywatch_domain::Mark::{Confirmed, Finalized};
    let cluster = Cluster::start("ab-cd").await?;
    let source = source(cluster.url());
    for (finalized, hash) in [(100, "a"), (101, "b"), (103, "c"), (104, "d")] {
        cluster.state().finalized = finalized;
        let marks = source.marks().await?;
        let expected = [
            (Confirmed, block(104, "d")),
            (Finalized, block(finalized, hash)),
        ];
        assert!(marks.into_iter().eq(expected), "finalized {finalized}");
    }
    // A young cluster has finalized nothing that it has a block of.
    cluster.state().finalized = 3;
    let marks = source.marks().await?;
    assert!(marks.into_keys().eq([Confirmed]));
    Ok(())
}
