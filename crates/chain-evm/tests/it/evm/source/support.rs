//! What all tests against a node share.

use std::collections::BTreeSet;

use anyhow::Result;
use paywatch_chain::rpc::{Budget, Credentials};
use paywatch_chain::{Block, Source, SourceError, WatchTable};
use paywatch_chain_evm::address::parse_address;
use paywatch_chain_evm::{Assets, Config, EvmSource, Rules, TraceKind};
use paywatch_domain::{Amount, Asset, AssetKind, BlockHash, BlockRef, Mark};
use paywatch_testkit::{Anvil, Argument};

/// The coin of 18 decimals, and tokens by symbol, contract and decimals.
pub(crate) fn assets(tokens: &[(&str, &str, u8)]) -> Assets {
    let asset = |symbol: &str, kind, decimals| Asset {
        name: format!("{symbol}@anvil").parse().unwrap(),
        kind,
        decimals,
        dust: Amount::ZERO,
        caip19: "".into(),
    };
    let mut all = vec![asset("eth", AssetKind::Native, 18)];
    all.extend(tokens.iter().map(|(symbol, contract, decimals)| {
        asset(symbol, AssetKind::Token((*contract).into()), *decimals)
    }));
    Assets::new(&all).unwrap()
}

/// What a source of anvil at `url` is configured with.
pub(crate) fn config(url: &str) -> Config {
    // An error only means that one was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Config {
        chain: "anvil".parse().unwrap(),
        chain_id: 31_337,
        genesis: None,
        assets: assets(&[]),
        rules: Rules::default(),
        marks: BTreeSet::from([Mark::Safe, Mark::Finalized]),
        traces: TraceKind::all(),
        url: url.to_owned(),
        websocket: None,
        credentials: Credentials::None,
        budget: Budget::unlimited(),
    }
}

pub(crate) fn source(url: &str) -> EvmSource {
    EvmSource::new(config(url)).unwrap()
}

/// An account that is easy to tell apart.
pub(crate) fn account(digit: &str) -> String {
    format!("0x{}", digit.repeat(40))
}

pub(crate) fn watching(accounts: &[&String]) -> WatchTable {
    let mut table = WatchTable::new(0x5eed);
    for account in accounts {
        table.insert(parse_address(account).unwrap().as_slice());
    }
    table
}

pub(crate) async fn block_at(node: &Anvil, height: u64) -> Result<BlockRef> {
    Ok(BlockRef {
        height,
        hash: BlockHash::new(&node.hash_at(height).await?),
    })
}

pub(crate) async fn tip(node: &Anvil) -> Result<BlockRef> {
    block_at(node, node.height().await?).await
}

/// Fetches and scans one block.
pub(crate) async fn read(
    source: &EvmSource,
    block: &BlockRef,
    watched: &WatchTable,
) -> Result<Block, SourceError> {
    let raw = source.fetch(block.clone()).await?;
    source.scan(block, raw, watched)
}

/// The credits of a block: to whom, of what, how much, where.
pub(crate) fn credits(block: &Block) -> Vec<(String, String, String, String)> {
    let credits = block.credits.iter();
    credits
        .map(|credit| {
            (
                hex::encode_prefixed(&credit.key),
                credit.asset.symbol().to_owned(),
                credit.amount.decimal(0),
                credit.position.to_string(),
            )
        })
        .collect()
}

pub(crate) fn to(account: &str) -> Argument {
    Argument::Account(account.to_owned())
}
