//! What the watcher is compared with: programs that only download blocks.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bitcoin::consensus::deserialize;
use paywatch_domain::BlockRef;
use reqwest::Client;

/// A client that is made as the watcher's own.
pub(crate) fn client() -> Result<Client> {
    Ok(Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .build()?)
}

/// Downloads the blocks by REST, one after the other, and does `check` with each; says how long that
/// took.
pub(crate) async fn download(
    url: String,
    blocks: Vec<BlockRef>,
    check: fn(&[u8]) -> Result<()>,
) -> Result<Duration> {
    let client = client()?;
    let work = async move {
        let started = Instant::now();
        for block in blocks {
            let url = format!("{url}/rest/block/{}.bin", block.hash);
            let answer = client.get(url).send().await?.error_for_status()?;
            check(&answer.bytes().await?)?;
        }
        Ok(started.elapsed())
    };
    tokio::spawn(work).await.context("the download broke off")?
}

/// Nothing but that there is something.
pub(crate) fn is_there(bytes: &[u8]) -> Result<()> {
    ensure!(!bytes.is_empty(), "an empty block");
    Ok(())
}

/// Whether the ids of all transactions have the merkle root of the header, as whoever uses the crate
/// `bitcoin` writes that.
pub(crate) fn merkle(bytes: &[u8]) -> Result<()> {
    let block: bitcoin::Block = deserialize(bytes).context("read a block")?;
    ensure!(
        block.check_merkle_root(),
        "a block's transactions do not have its merkle root"
    );
    Ok(())
}
