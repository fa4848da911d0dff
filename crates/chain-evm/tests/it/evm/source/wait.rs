//! New blocks are heard of, with announcements and without.

use std::time::Duration;

use anyhow::Result;
use paywatch_chain::Source;
use paywatch_chain_evm::{Config, EvmSource};
use paywatch_testkit::Anvil;

use super::liar::Liar;
use super::support::{config, source, tip};

/// Far beyond what a busy machine needs; waits end when something happens.
const LIMIT: Duration = Duration::from_mins(1);
/// As long as no test takes.
const LONG: Duration = Duration::from_hours(1);

/// Waits for another tip while a block is made; fails when nobody wakes it.
async fn woken(source: &EvmSource, node: &Anvil) -> Result<()> {
    let before = tip(node).await?;
    let waiting = source.wait_for_change(&before, LONG);
    let (done, mined) = tokio::join!(tokio::time::timeout(LIMIT, waiting), node.mine(1));
    mined?;
    done?;
    assert_ne!(source.health().await?.tip, before);
    Ok(())
}

#[tokio::test]
async fn a_new_block_is_heard_of_by_asking() -> Result<()> {
    let node = Anvil::start().await?;
    let source = source(&node.url());
    for _ in 0..2 {
        woken(&source, &node).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_wait_in_vain_ends_in_time_and_asks_little() -> Result<()> {
    let node = Anvil::start().await?;
    let liar = Liar::start(&node, |exchange| exchange.reply).await?;
    let source = source(&liar.url());
    let before = tip(&node).await?;
    for target in [Some(&node), None] {
        if target.is_none() {
            node.kill()?;
            drop(liar.take_asked());
        }
        let waiting = source.wait_for_change(&before, Duration::from_millis(2_500));
        tokio::time::timeout(LIMIT, waiting).await?;
        let asked = liar.take_asked().len();
        assert!(asked <= 2, "{asked} questions in three seconds");
        if target.is_none() {
            assert!(
                asked <= 1,
                "an endpoint that fails is left to the next poll"
            );
        }
    }
    Ok(())
}

/// Once the announcements are there, nothing is asked while waiting; a connection that breaks is renewed.
#[tokio::test]
async fn a_new_block_is_announced() -> Result<()> {
    let node = Anvil::start().await?;
    let liar = Liar::start(&node, |exchange| exchange.reply).await?;
    let source = EvmSource::new(Config {
        websocket: Some(node.websocket_url()),
        ..config(&liar.url())
    })?;
    // The beginning of the announcements ends the first wait: what came before is not known.
    let before = tip(&node).await?;
    let waiting = source.wait_for_change(&before, LONG);
    tokio::time::timeout(LIMIT, waiting).await?;
    for _ in 0..3 {
        liar.take_asked();
        let before = tip(&node).await?;
        let waiting = source.wait_for_change(&before, LONG);
        let (done, mined) = tokio::join!(tokio::time::timeout(LIMIT, waiting), node.mine(1));
        mined?;
        done?;
        assert_eq!(liar.take_asked(), [] as [&str; 0]);
    }
    // Several blocks at once, or one that nobody waited for, are one piece of news.
    node.mine(4).await?;
    let last = tip(&node).await?;
    let waiting = source.wait_for_change(&last, Duration::from_millis(1_500));
    tokio::time::timeout(LIMIT, waiting).await?;

    node.restart().await?;
    woken(&source, &node).await?;
    woken(&source, &node).await?;
    Ok(())
}

#[tokio::test]
async fn without_its_announcements_an_endpoint_is_polled() -> Result<()> {
    let node = Anvil::start().await?;
    let nobody = format!("ws://127.0.0.1:{}", paywatch_testkit::free_port()?);
    let deaf = Liar::start(&node, |exchange| exchange.reply).await?;
    for websocket in [nobody, deaf.url().replace("http", "ws")] {
        let source = EvmSource::new(Config {
            websocket: Some(websocket),
            ..config(&node.url())
        })?;
        woken(&source, &node).await?;
    }
    Ok(())
}
