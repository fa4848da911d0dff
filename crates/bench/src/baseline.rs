//! What the watcher is compared with: programs that only download blocks.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bitcoin_slices::bsl::{Block, Transaction};
use bitcoin_slices::{Visit, Visitor};
use paywatch_domain::BlockRef;
use reqwest::Client;
use sha2::{Digest, Sha256};

/// Where the merkle root stands in a block's header.
const MERKLE_ROOT: std::ops::Range<usize> = 36..68;

/// A client that is made as the watcher's own.
fn client() -> Result<Client> {
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

/// Whether the ids of all transactions have the merkle root of the header.
///
/// With `bitcoin_slices`, which walks the bytes: reading the block into the types of the crate
/// `bitcoin` takes longer.
pub(crate) fn merkle(bytes: &[u8]) -> Result<()> {
    #[derive(Default)]
    struct Ids(Vec<[u8; 32]>);
    impl Visitor for Ids {
        fn visit_transaction(&mut self, transaction: &Transaction<'_>) -> ControlFlow<()> {
            let (version, body, lock_time) = transaction.txid_preimage();
            self.0.push(hash(&[version, body, lock_time]));
            ControlFlow::Continue(())
        }
    }
    let mut ids = Ids::default();
    if let Err(error) = Block::visit(bytes, &mut ids) {
        bail!("a block cannot be read: {error:?}");
    }
    let mut level = ids.0;
    while 1 < level.len() {
        let pairs = level.chunks(2).map(|pair| match pair {
            [left, right] => hash(&[left, right]),
            [last] => hash(&[last, last]),
            _ => [0; 32],
        });
        level = pairs.collect();
    }
    let root = level.first().map(|root| &root[..]);
    ensure!(
        root == bytes.get(MERKLE_ROOT),
        "a block's transactions do not have its merkle root"
    );
    Ok(())
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Sha256::digest(hasher.finalize()).into()
}
