//! The receipts of a block: all in one answer, or as an endpoint without that call gives them.

use alloy_primitives::{B256, U256};
use paywatch_chain::rpc::Call;
use paywatch_domain::BlockRef;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::EvmSource;
use super::fetch::{Gap, given};
use crate::fault::Fault;
use crate::json::read;
use crate::proof::{ProvenBlock, prove, prove_by_logs};
use crate::rules::Rules;

/// Receipts that are asked for one by one. A block with more is proven by its logs.
const RECEIPTS_MAX: usize = 500;

/// What proves what became of a block's transactions.
pub(super) enum Receipts {
    /// `eth_getBlockReceipts`.
    OfBlock(Box<RawValue>),
    /// The receipt of each transaction: the same, in more answers.
    Each(String),
    /// All logs, and the receipts of what paid without leaving any.
    Logs { logs: Box<RawValue>, ends: String },
}

/// What a block says of its transactions, as far as it matters here.
#[derive(Deserialize)]
struct Listed {
    transactions: Vec<Paid>,
}

#[derive(Deserialize)]
struct Paid {
    hash: B256,
    value: U256,
}

/// Whose log it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    transaction_hash: B256,
}

impl Receipts {
    pub(super) fn prove(
        &self,
        rules: Rules,
        at: &BlockRef,
        block: &[u8],
    ) -> Result<ProvenBlock, Fault> {
        match self {
            Self::OfBlock(receipts) => prove(rules, at, block, receipts.get().as_bytes()),
            Self::Each(receipts) => prove(rules, at, block, receipts.as_bytes()),
            Self::Logs { logs, ends } => {
                prove_by_logs(rules, at, block, logs.get().as_bytes(), ends.as_bytes())
            }
        }
    }
}

impl EvmSource {
    /// The receipts of a block at an endpoint that does not give them together.
    pub(super) async fn fetch_receipts(
        &self,
        hash: B256,
        block: &RawValue,
    ) -> Result<Receipts, Gap> {
        let listed: Listed = read("block", block.get().as_bytes())?;
        if listed.transactions.len() <= RECEIPTS_MAX {
            let all = listed.transactions.iter().map(|paid| paid.hash);
            return Ok(Receipts::Each(self.each_receipt(all).await?));
        }
        let call = ("eth_getLogs", vec![json!({ "blockHash": hash })]);
        let answers = self.ask(&[call]).await?;
        let logs = given("logs", answers.into_iter().next())?;
        let owners: Vec<Owner> = read("logs", logs.get().as_bytes())?;
        let owners: std::collections::HashSet<B256> =
            owners.iter().map(|owner| owner.transaction_hash).collect();
        let silent = listed
            .transactions
            .iter()
            .filter(|paid| !paid.value.is_zero() && !owners.contains(&paid.hash));
        let ends = self.each_receipt(silent.map(|paid| paid.hash)).await?;
        Ok(Receipts::Logs { logs, ends })
    }

    /// A list of the receipts of these transactions.
    async fn each_receipt(&self, hashes: impl Iterator<Item = B256>) -> Result<String, Gap> {
        let calls: Vec<Call<'_>> = hashes
            .map(|hash| ("eth_getTransactionReceipt", vec![json!(hash)]))
            .collect();
        let answers = self.ask(&calls).await?;
        let mut receipts = Vec::with_capacity(answers.len());
        for answer in answers {
            receipts.push(given("receipts", Some(answer))?);
        }
        let texts: Vec<&str> = receipts.iter().map(|receipt| receipt.get()).collect();
        Ok(format!("[{}]", texts.join(",")))
    }
}

/// Whether a block has no transactions.
pub(super) fn is_empty(block: &RawValue) -> Result<bool, Fault> {
    let listed: Listed = read("block", block.get().as_bytes())?;
    Ok(listed.transactions.is_empty())
}
