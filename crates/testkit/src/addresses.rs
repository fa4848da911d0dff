//! A second implementation of addresses: the npm packages `bitcoinjs-lib` and `bip32`.

use crate::javascript;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("../verifiers/addresses.cjs");

/// Which addresses are wanted: those at `/0/index` below each key.
#[derive(Clone, Debug)]
pub struct AddressQuestion<'a> {
    /// `pkh`, `wpkh`, `sh(wpkh)`, `tr` or `wsh(sortedmulti)`.
    pub form: &'a str,
    /// Account keys, `xpub` or `tpub`; one, or those of all signers.
    pub keys: &'a [&'a str],
    /// How many keys must sign.
    pub threshold: usize,
    /// `bitcoin`, `testnet` or `regtest`.
    pub network: &'a str,
    /// Which ones.
    pub indexes: &'a [u32],
}

/// The addresses that the other implementation derives, one list for each question.
pub async fn other_addresses(questions: &[AddressQuestion<'_>]) -> Result<Vec<Vec<String>>> {
    let work: Vec<Value> = questions
        .iter()
        .map(|question| {
            json!({
                "form": question.form,
                "keys": question.keys,
                "threshold": question.threshold,
                "network": question.network,
                "indexes": question.indexes,
            })
        })
        .collect();
    let said = javascript::ask("bitcoinjs-lib", SCRIPT, &Value::Array(work)).await?;
    let answers: Vec<Vec<String>> =
        serde_json::from_slice(&said).context("read the answer of bitcoinjs-lib")?;
    ensure!(
        answers.len() == questions.len(),
        "bitcoinjs-lib answered {} of {} questions",
        answers.len(),
        questions.len()
    );
    Ok(answers)
}
