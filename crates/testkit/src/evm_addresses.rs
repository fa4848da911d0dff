//! A second implementation of EVM addresses: the npm package `ethers`.

use crate::javascript;
use anyhow::{Context, Result};
use serde_json::json;

const SCRIPT: &str = include_str!("../verifiers/evm_addresses.cjs");

/// The addresses that the other implementation derives at these indexes below an extended public key.
pub async fn other_evm_addresses(key: &str, indexes: &[u32]) -> Result<Vec<String>> {
    let work = json!({ "key": key, "indexes": indexes });
    let said = javascript::ask("ethers", SCRIPT, &work).await?;
    serde_json::from_slice(&said).context("read the answer of ethers")
}
