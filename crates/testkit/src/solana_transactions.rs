//! A second reader of Solana transactions: the npm packages `@solana/kit` and those of the programs.

use crate::javascript;
use anyhow::{Context, Result};
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("../verifiers/solana_transactions.cjs");

/// What signed transactions do (`read`, a list), once each signature was found valid; and the accounts in
/// which wallets hold tokens (`accounts`, a list), each asked for by wallet, program and mint.
pub async fn read_solana_transactions(
    transactions: &[String],
    accounts: &[[&str; 3]],
) -> Result<Value> {
    let work = json!({ "transactions": transactions, "accounts": accounts });
    let said = javascript::ask("@solana/kit", SCRIPT, &work).await?;
    serde_json::from_slice(&said).context("read the answer of @solana/kit")
}
