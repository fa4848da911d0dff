//! A second implementation of BIP32-Ed25519: the npm package `@stricahq/bip32ed25519`; and files of addresses, as
//! anybody's program writes them.

use crate::javascript;
use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

const SCRIPT: &str = include_str!("../verifiers/solana_addresses.cjs");

/// The addresses that the other implementation derives at `/0/index` below an account's key (`acct_xvk`).
pub async fn other_solana_addresses(key: &str, indexes: &[u32]) -> Result<Vec<String>> {
    let work = json!({ "key": key, "indexes": indexes });
    let said = javascript::ask("bip32ed25519", SCRIPT, &work).await?;
    serde_json::from_slice(&said).context("read the answer of bip32ed25519")
}

/// A file of addresses for a pool: one a line, and the hash over these lines in the last.
pub fn solana_pool(addresses: &[String]) -> String {
    let mut file = String::new();
    for address in addresses {
        file.push_str(address);
        file.push('\n');
    }
    let hash: [u8; 32] = Sha256::digest(file.as_bytes()).into();
    file.push_str("# sha256:");
    for byte in hash {
        // Writing to a text cannot fail.
        let _ = write!(file, "{byte:02x}");
    }
    file.push('\n');
    file
}
