//! New blocks are heard of, with announcements and without.

use std::time::Duration;

use anyhow::Result;
use paywatch_chain::Source;
use paywatch_chain_solana::{Config, SolanaSource};
use paywatch_testkit::{SolanaCluster as Cluster, Surfnet};

use super::support::{block, config, source};

/// Far beyond what a busy machine needs; waits end when something happens.
const LIMIT: Duration = Duration::from_mins(1);
/// As long as no test takes.
const LONG: Duration = Duration::from_hours(1);

/// Waits for another tip while slots pass; fails when nobody wakes it.
async fn woken(source: &SolanaSource, node: &Surfnet) -> Result<()> {
    let before = source.health().await?.tip;
    let waiting = source.wait_for_change(&before, LONG);
    let (done, passed) = tokio::join!(tokio::time::timeout(LIMIT, waiting), node.pass(2));
    passed?;
    done?;
    assert_ne!(source.health().await?.tip, before);
    Ok(())
}

#[tokio::test]
async fn solana_a_new_slot_is_heard_of_with_announcements_and_without() -> Result<()> {
    let node = Surfnet::start().await?;
    let nobody = format!("ws://127.0.0.1:{}", paywatch_testkit::free_port()?);
    for websocket in [None, Some(nobody), Some(node.websocket_url())] {
        let source = SolanaSource::new(Config {
            websocket,
            ..config(&node.url())
        })?;
        for _ in 0..3 {
            woken(&source, &node).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn solana_announcements_replace_questions() -> Result<()> {
    let node = Surfnet::start().await?;
    let cluster = Cluster::start("abc").await?;
    let source = SolanaSource::new(Config {
        websocket: Some(node.websocket_url()),
        ..config(cluster.url())
    })?;
    // The beginning of the announcements ends the first wait: what came before is not known.
    let tip = block(102, "c");
    tokio::time::timeout(LIMIT, source.wait_for_change(&tip, LONG)).await?;
    for _ in 0..3 {
        cluster.take_asked();
        let waiting = source.wait_for_change(&tip, LONG);
        let (done, passed) = tokio::join!(tokio::time::timeout(LIMIT, waiting), node.pass(1));
        passed?;
        done?;
        assert_eq!(cluster.take_asked(), [] as [&str; 0]);
    }
    Ok(())
}

#[tokio::test]
async fn solana_a_wait_in_vain_ends_in_time_and_asks_little() -> Result<()> {
    let cluster = Cluster::start("abc").await?;
    let source = source(cluster.url());
    let tip = block(102, "c");
    let waiting = source.wait_for_change(&tip, Duration::from_millis(1_800));
    tokio::time::timeout(LIMIT, waiting).await?;
    let asked = cluster.take_asked();
    assert!((1..=3).contains(&asked.len()), "{asked:?}");
    Ok(())
}
