//! What a payer's wallet reads in a payment URI: the npm package `@solana/pay`.

use crate::javascript;
use anyhow::{Context, Result};
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("../verifiers/solana_pay.cjs");

/// What each URI asks for: `recipient`, `amount`, `splToken`, `reference` (a list) as far as they stand in
/// it. An error when one of them is not valid.
pub async fn read_solana_pay(uris: &[String]) -> Result<Vec<Value>> {
    let said = javascript::ask("@solana/pay", SCRIPT, &json!({ "uris": uris })).await?;
    serde_json::from_slice(&said).context("read the answer of @solana/pay")
}
