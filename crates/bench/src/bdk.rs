//! Catching up with the Bitcoin Development Kit: what a wallet in Rust reads a node with.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bdk_bitcoind_rpc::bitcoincore_rpc::{Auth, Client};
use bdk_bitcoind_rpc::{Emitter, NO_EXPECTED_MEMPOOL_TXS};
use bdk_chain::indexer::keychain_txout::KeychainTxOutIndex;
use bdk_chain::local_chain::LocalChain;
use bdk_chain::miniscript::Descriptor;
use bdk_chain::{ConfirmationBlockTime, IndexedTxGraph};
use bitcoin::constants::genesis_block;
use bitcoin::secp256k1::Secp256k1;
use paywatch_testkit::Bitcoind;

/// Scripts that are revealed.
pub(crate) const REVEALED: u32 = 10_000;
/// What the keychain is called.
const KEYCHAIN: &str = "shop";

type Graph = IndexedTxGraph<ConfirmationBlockTime, KeychainTxOutIndex<&'static str>>;

/// A graph that looks for the scripts of a descriptor.
fn graph(descriptor: &str) -> Result<Graph> {
    let (descriptor, _) = Descriptor::parse_descriptor(&Secp256k1::new(), descriptor)?;
    let mut index = KeychainTxOutIndex::default();
    index.insert_descriptor(KEYCHAIN, descriptor)?;
    let last = REVEALED.saturating_sub(1);
    let _changes = index
        .reveal_to_target(KEYCHAIN, last)
        .context("scripts are revealed")?;
    Ok(IndexedTxGraph::new(index))
}

/// Reads `count` blocks from `height` on into memory; says how long that took. As many of them pay the
/// descriptor as there are blocks.
pub(crate) fn catch_up(
    node: &Bitcoind,
    descriptor: &str,
    height: u64,
    count: u32,
) -> Result<Duration> {
    let mut graph = graph(descriptor)?;
    let login = Auth::UserPass(node.user().to_owned(), node.password().to_owned());
    let client = Client::new(&node.url(), login)?;
    let genesis = genesis_block(bitcoin::Network::Regtest).block_hash();
    let (mut chain, _) = LocalChain::from_genesis_hash(genesis);
    let from = u32::try_from(height)?;
    let mut emitter = Emitter::new(&client, chain.tip(), from, NO_EXPECTED_MEMPOOL_TXS);
    let started = Instant::now();
    for _ in 0..count {
        let event = emitter.next_block()?.context("there is another block")?;
        let _changes = chain.apply_update(event.checkpoint.clone())?;
        let _changes = graph.apply_block_relevant(&event.block, event.block_height());
    }
    let elapsed = started.elapsed();
    let found = graph.index.outpoints().len();
    ensure!(
        found == usize::try_from(count)?,
        "{found} payments found instead of {count}"
    );
    Ok(elapsed)
}
