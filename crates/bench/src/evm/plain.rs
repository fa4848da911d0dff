//! What proofs are compared with: the same answers read into the same types, and nothing recomputed.
#![allow(dead_code, reason = "reading is what is measured")]

use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256};
use anyhow::Result;
use serde::Deserialize;

use super::node::results;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    hash: B256,
    parent_hash: B256,
    miner: Address,
    state_root: B256,
    transactions_root: B256,
    receipts_root: B256,
    logs_bloom: Bloom,
    number: U64,
    gas_used: U64,
    timestamp: U64,
    extra_data: Bytes,
    base_fee_per_gas: Option<U256>,
    transactions: Vec<Transaction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    hash: B256,
    block_hash: Option<B256>,
    #[serde(rename = "transactionIndex")]
    index: Option<U64>,
    from: Address,
    to: Option<Address>,
    value: U256,
    input: Bytes,
    #[serde(rename = "type")]
    kind: U64,
    nonce: U64,
    gas: U64,
    gas_price: Option<U256>,
    max_fee_per_gas: Option<U256>,
    max_priority_fee_per_gas: Option<U256>,
    chain_id: Option<U64>,
    v: Option<U256>,
    y_parity: Option<U64>,
    r: U256,
    s: U256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    transaction_hash: B256,
    transaction_index: U64,
    block_hash: B256,
    #[serde(rename = "type")]
    kind: U64,
    status: Option<U64>,
    cumulative_gas_used: U64,
    logs_bloom: Bloom,
    logs: Vec<Log>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_hash: B256,
    transaction_hash: B256,
    #[serde(rename = "logIndex")]
    index: U64,
    removed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    action: Action,
    block_hash: B256,
    error: Option<String>,
    result: Option<Created>,
    subtraces: usize,
    trace_address: Vec<usize>,
    transaction_hash: Option<B256>,
    transaction_position: Option<usize>,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    call_type: Option<String>,
    from: Option<Address>,
    to: Option<Address>,
    value: Option<U256>,
    input: Option<Bytes>,
}

#[derive(Deserialize)]
struct Created {
    address: Option<Address>,
    output: Option<Bytes>,
}

/// Reads the answers of a block; says how many transactions and logs it has.
pub(super) fn read(answer: &[u8]) -> Result<(usize, usize)> {
    let [block, receipts, traces] = results(answer)?;
    let block: Block = serde_json::from_slice(block)?;
    let receipts: Vec<Receipt> = serde_json::from_slice(receipts)?;
    let traces: Vec<Item> = serde_json::from_slice(traces)?;
    let logs = receipts.iter().map(|receipt| receipt.logs.len()).sum();
    std::hint::black_box((&block, &receipts, &traces));
    Ok((block.transactions.len(), logs))
}
