//! What all tests against a node share.

use std::time::Duration;

use anyhow::Result;
use paywatch_chain::rpc::Budget;
use paywatch_chain::{Block, Derivation, DerivedAddress, Pool, Source, SourceError, WatchTable};
use paywatch_chain_bitcoin::{BitcoinSource, Config, Credentials, Network};
use paywatch_domain::{BlockHash, BlockRef};
use paywatch_testkit::{Bitcoind, NODE_PASSWORD, NODE_USER};

use crate::derivation::{TPUB, chain, derivation};

/// A source for a regtest node at `url`, with the login of the testkit.
pub(crate) fn config(url: &str) -> Config {
    // An error only means that one was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Config {
        chain: chain(Network::Regtest),
        network: Network::Regtest,
        asset: "btc@regtest".parse().unwrap(),
        url: url.to_owned(),
        credentials: Credentials::User {
            user: NODE_USER.to_owned(),
            password: NODE_PASSWORD.to_owned(),
        },
        rest: true,
        budget: Budget::unlimited(),
    }
}

pub(crate) fn by_rest(node: &Bitcoind) -> BitcoinSource {
    BitcoinSource::new(config(&node.url())).unwrap()
}

pub(crate) fn by_rpc(node: &Bitcoind) -> BitcoinSource {
    let config = Config {
        rest: false,
        ..config(&node.url())
    };
    BitcoinSource::new(config).unwrap()
}

/// The address of an invoice.
pub(crate) fn address(index: u32) -> DerivedAddress {
    let derivation = derivation();
    let key = derivation.parse(TPUB, true).unwrap();
    let derived = derivation.derive(&key.canonical, index, &chain(Network::Regtest));
    derived.unwrap()
}

/// A watch table with the addresses of these invoices.
pub(crate) fn watching(indexes: &[u32]) -> WatchTable {
    let mut table = WatchTable::new(0x5eed);
    for index in indexes {
        table.insert(&address(*index).key);
    }
    table
}

pub(crate) async fn block_at(node: &Bitcoind, height: u64) -> Result<BlockRef> {
    Ok(BlockRef {
        height,
        hash: BlockHash::new(&node.hash_at(height).await?),
    })
}

pub(crate) async fn tip(node: &Bitcoind) -> Result<BlockRef> {
    block_at(node, node.height().await?).await
}

/// Fetches and scans one block.
pub(crate) async fn read(
    source: &BitcoinSource,
    block: &BlockRef,
    watched: &WatchTable,
) -> Result<Block, SourceError> {
    let raw = source.fetch(block.clone()).await?;
    source.scan(block, raw, watched)
}

/// Fetches and scans the mempool.
pub(crate) async fn read_pool(
    source: &BitcoinSource,
    watched: &WatchTable,
) -> Result<Pool, SourceError> {
    let raw = source.fetch_pool().await?;
    source.scan_pool(raw.expect("bitcoind has a mempool"), watched)
}

/// How long `future` takes.
pub(crate) async fn timed(future: impl Future<Output = ()>) -> Duration {
    let started = std::time::Instant::now();
    future.await;
    started.elapsed()
}
