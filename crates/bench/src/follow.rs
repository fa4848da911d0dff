//! Drives the real chain worker over a real node and a real database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use paywatch_chain::rpc::Budget;
use paywatch_chain::{Compute, Source};
use paywatch_chain_bitcoin::{BitcoinSource, Config, Credentials, Network};
use paywatch_domain::{BlockHash, BlockRef, UnixMillis};
use paywatch_engine::high_water::HighWaterFolder;
use paywatch_engine::worker::{ChainWorker, Pace, Parts, Step};
use paywatch_store::Store;
use paywatch_store::chains;
use paywatch_testkit::Bitcoind;

use crate::numbers::{Numbers, now};
use crate::shop::{self, Trade};

/// How fast the worker goes, as configured by default.
const PACE: Pace = Pace {
    poll_ms: 500,
    lease_ms: 15_000,
    retry_ms: 500,
};

/// The node as the watcher reads it.
pub(crate) fn source(node: &Bitcoind) -> Result<BitcoinSource> {
    let asset = shop::asset()?;
    let source = BitcoinSource::new(Config {
        chain: asset.chain().clone(),
        network: Network::Regtest,
        asset,
        url: node.url(),
        credentials: Credentials::User {
            user: node.user().to_owned(),
            password: node.password().to_owned(),
        },
        rest: true,
        budget: Budget::unlimited(),
    })?;
    Ok(source.with_compute(compute()))
}

/// Proves blocks where the program proves them: on threads that may be blocked.
pub(crate) fn compute() -> Compute {
    Compute::new(|work| {
        drop(tokio::task::spawn_blocking(work));
    })
}

/// What a worker needs besides its node.
pub(crate) fn parts(store: &Store, trade: Trade) -> Result<Parts> {
    Ok(Parts {
        store: store.clone(),
        spec: Arc::new(trade.spec),
        pace: PACE,
        master: shop::master(),
        entropy: Box::new(Numbers(3)),
        holder: "bench".into(),
        derivation: trade.derivation,
        // No wallet is scanned for here, so nothing is ever marked.
        high_water: Arc::new(HighWaterFolder::open(&std::env::temp_dir())?),
    })
}

/// The last block of a node.
pub(crate) async fn tip(node: &Bitcoind) -> Result<BlockRef> {
    let height = node.height().await?;
    let hash = BlockHash::new(&node.hash_at(height).await?);
    Ok(BlockRef { height, hash })
}

/// Follows a Bitcoin node, see [`drive`].
pub(crate) async fn follow(
    node: &Bitcoind,
    store: &Store,
    to: BlockRef,
    covered: bool,
) -> Result<Duration> {
    let parts = parts(store, Trade::bitcoin()?)?;
    drive(source(node)?, parts, to, covered).await
}

/// Follows a node until a block is recorded, and if `covered` until the chain is said to be covered;
/// says how long that took.
///
/// The worker is a new one with a new connection, as after a start of the program.
pub(crate) async fn drive<S: Source>(
    source: S,
    parts: Parts,
    to: BlockRef,
    covered: bool,
) -> Result<Duration> {
    let source = Arc::new(source);
    let store = parts.store.clone();
    let driven = async move {
        let started = Instant::now();
        let mut worker = ChainWorker::new(source, parts);
        loop {
            let step = worker.step(now()).await;
            if worker.cursor() == Some(&to) && (!covered || is_covered(&store).await?) {
                break;
            }
            let Step::Idle { wake_at } = step else {
                tokio::task::yield_now().await;
                continue;
            };
            tokio::select! {
                () = worker.ready() => {}
                () = sleep_until(wake_at) => refuse_problems(&store).await?,
            }
        }
        let elapsed = started.elapsed();
        worker.stop().await;
        Ok(elapsed)
    };
    tokio::spawn(driven).await.context("the worker broke off")?
}

async fn is_covered(store: &Store) -> Result<bool> {
    Ok(covered_until(store).await?.is_some())
}

/// Until when the chain is said to be covered.
pub(crate) async fn covered_until(store: &Store) -> Result<Option<UnixMillis>> {
    let rows = chains::all(&mut store.read().await?).await?;
    Ok(rows.iter().find_map(|row| row.covered_until))
}

/// What keeps the worker from reading on would keep it for ever.
async fn refuse_problems(store: &Store) -> Result<()> {
    for row in chains::all(&mut store.read().await?).await? {
        if let Some(problem) = &row.problem {
            bail!("the worker reports: {}", problem.text);
        }
        if let Some(reason) = &row.halted {
            bail!("the worker halted: {reason}");
        }
    }
    Ok(())
}

pub(crate) async fn sleep_until(wake_at: UnixMillis) {
    let wait_ms = u64::try_from(wake_at.ms_since(now())).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
}
