//! What all tests share.

use std::collections::{BTreeMap, BTreeSet};

use paywatch_chain::rpc::{Budget, Credentials};
use paywatch_chain::{Block, Derivation, Source, SourceError, WatchTable};
use paywatch_chain_solana::{Assets, Config, Power, SolanaDerivation, SolanaSource};
use paywatch_domain::{Amount, Asset, AssetKind, BlockHash, BlockRef};
use serde_json::{Value, json};

/// The coin, and tokens by symbol, mint, decimals and what their mints may do.
pub(crate) fn assets(tokens: &[(&str, &str, u8, &[Power])]) -> Assets {
    let asset = |symbol: &str, kind, decimals| Asset {
        name: format!("{symbol}@surfpool").parse().unwrap(),
        kind,
        decimals,
        dust: Amount::ZERO,
        caip19: "".into(),
    };
    let mut all = vec![asset("sol", AssetKind::Native, 9)];
    let mut allowed = BTreeMap::new();
    for (symbol, mint, decimals, powers) in tokens {
        let token = asset(symbol, AssetKind::Token((*mint).into()), *decimals);
        let powers: BTreeSet<Power> = powers.iter().copied().collect();
        allowed.insert(token.name.clone(), powers);
        all.push(token);
    }
    Assets::new(&all, allowed).unwrap()
}

/// What a source of the node at `url` is configured with.
pub(crate) fn config(url: &str) -> Config {
    // An error only means that one was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Config {
        chain: "surfpool".parse().unwrap(),
        genesis: None,
        assets: assets(&[]),
        url: url.to_owned(),
        websocket: None,
        credentials: Credentials::None,
        budget: Budget::unlimited(),
    }
}

pub(crate) fn source(url: &str) -> SolanaSource {
    SolanaSource::new(config(url)).unwrap()
}

pub(crate) fn block(height: u64, hash: &str) -> BlockRef {
    let hash = BlockHash::new(hash);
    BlockRef { height, hash }
}

pub(crate) fn watching(keys: &[&str]) -> WatchTable {
    let mut table = WatchTable::new(0x5eed).separated_by(SolanaDerivation::new([]).separator());
    for key in keys {
        table.insert(key.as_bytes());
    }
    table
}

/// Fetches and scans one block.
pub(crate) async fn read(
    source: &SolanaSource,
    block: &BlockRef,
    watched: &WatchTable,
) -> Result<Block, SourceError> {
    let raw = source.fetch(block.clone()).await?;
    source.scan(block, raw, watched)
}

/// The block of a slot on the node's chain.
pub(crate) async fn read_at(
    source: &SolanaSource,
    height: u64,
    watched: &WatchTable,
) -> Result<Block, SourceError> {
    let hash = source.hash_at(height).await?.unwrap();
    read(source, &BlockRef { height, hash }, watched).await
}

/// The hashes from one slot on, in one line.
pub(crate) async fn hashes(
    source: &SolanaSource,
    from: u64,
    to: u64,
) -> Result<String, SourceError> {
    let hashes = source.hashes(from, to).await?;
    let hashes: Vec<&str> = hashes.iter().map(BlockHash::as_str).collect();
    Ok(hashes.join(" "))
}

/// The credits of a block: to whom, of what, how much.
pub(crate) fn credits(block: &Block) -> Vec<(String, String, String)> {
    let credits = block.credits.iter();
    credits
        .map(|credit| {
            (
                String::from_utf8(credit.key.to_vec()).unwrap(),
                credit.asset.symbol().to_owned(),
                credit.amount.decimal(0),
            )
        })
        .collect()
}

/// A transaction that pays lamports from `payer`.
pub(crate) fn payment(id: &str, to: &str, lamports: u64) -> Value {
    let account = |key: &str, signer: bool| json!({"pubkey": key, "signer": signer, "writable": true, "source": "transaction"});
    json!({
        "transaction": {
            "accountKeys": [account("payer", true), account(to, false)],
            "signatures": [id],
        },
        "meta": {
            "err": null, "fee": 5000, "status": {"Ok": null},
            "preBalances": [1_000_000_u64, 5], "postBalances": [1_000_000 - 5000 - lamports, 5 + lamports],
            "preTokenBalances": [], "postTokenBalances": [],
        },
        "version": "legacy",
    })
}
