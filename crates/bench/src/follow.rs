//! Drives the real chain worker over a real node and a real database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use paywatch_chain_bitcoin::{BitcoinDerivation, BitcoinSource, Config, Credentials, Network};
use paywatch_domain::UnixMillis;
use paywatch_engine::high_water::HighWaterFolder;
use paywatch_engine::worker::{ChainWorker, Pace, Parts, Step};
use paywatch_store::Store;
use paywatch_store::chains::{self, ChainRow};
use paywatch_testkit::Bitcoind;

use crate::numbers::{Numbers, now};
use crate::shop;

/// How fast the worker goes, as configured by default.
const PACE: Pace = Pace {
    poll_ms: 500,
    lease_ms: 15_000,
    retry_ms: 500,
};

/// The node as the watcher reads it.
pub(crate) fn source(node: &Bitcoind) -> Result<BitcoinSource> {
    let asset = shop::asset()?;
    Ok(BitcoinSource::new(Config {
        chain: asset.chain().clone(),
        network: Network::Regtest,
        asset,
        url: node.url(),
        credentials: Credentials::User {
            user: node.user().to_owned(),
            password: node.password().to_owned(),
        },
        rest: true,
    })?)
}

/// Follows the node until what is stored of the chain is as wanted; says how long that took.
///
/// The worker is a new one with a new connection, as after a start of the program.
pub(crate) async fn follow(
    node: &Bitcoind,
    store: &Store,
    is_done: impl Fn(&ChainRow) -> bool + Send + Sync + 'static,
) -> Result<Duration> {
    let source = Arc::new(source(node)?);
    let networks = [(shop::asset()?.chain().clone(), Network::Regtest)];
    let parts = Parts {
        store: store.clone(),
        spec: shop::chain()?,
        pace: PACE,
        master: shop::master(),
        entropy: Box::new(Numbers(3)),
        holder: "bench".into(),
        derivation: Arc::new(BitcoinDerivation::new(networks)),
        // No wallet is scanned for here, so nothing is ever marked.
        high_water: Arc::new(HighWaterFolder::open(&std::env::temp_dir())?),
    };
    let store = store.clone();
    let drive = async move {
        let started = Instant::now();
        let mut worker = ChainWorker::new(source, parts);
        loop {
            let Step::Idle { wake_at } = worker.step(now()).await else {
                tokio::task::yield_now().await;
                continue;
            };
            if reached(&store, &is_done).await? {
                break;
            }
            tokio::select! {
                () = worker.ready() => {}
                () = sleep_until(wake_at) => {}
            }
        }
        let elapsed = started.elapsed();
        worker.stop().await;
        Ok(elapsed)
    };
    tokio::spawn(drive).await.context("the worker broke off")?
}

async fn reached(store: &Store, is_done: impl Fn(&ChainRow) -> bool) -> Result<bool> {
    let rows = chains::all(&mut store.read().await?).await?;
    let Some(row) = rows.first() else {
        return Ok(false);
    };
    if let Some(problem) = &row.problem {
        bail!("the worker reports: {}", problem.text);
    }
    if let Some(reason) = &row.halted {
        bail!("the worker halted: {reason}");
    }
    Ok(is_done(row))
}

async fn sleep_until(wake_at: UnixMillis) {
    let wait_ms = u64::try_from(wake_at.ms_since(now())).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
}
