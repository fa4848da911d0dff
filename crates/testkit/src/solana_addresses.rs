//! A second implementation of BIP32-Ed25519: the npm package `@stricahq/bip32ed25519`.

use crate::javascript;
use anyhow::{Context, Result};
use serde_json::json;

const SCRIPT: &str = include_str!("../verifiers/solana_addresses.cjs");

/// The addresses that the other implementation derives at `/0/index` below an account's key (`acct_xvk`).
pub async fn other_solana_addresses(key: &str, indexes: &[u32]) -> Result<Vec<String>> {
    let work = json!({ "key": key, "indexes": indexes });
    let said = javascript::ask("bip32ed25519", SCRIPT, &work).await?;
    serde_json::from_slice(&said).context("read the answer of bip32ed25519")
}
