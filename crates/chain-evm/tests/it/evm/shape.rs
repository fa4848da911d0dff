//! Puts transactions and receipts of any chain into a block, in the form in which nodes answer.

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Bloom, Log};
use alloy_trie::root::ordered_trie_root_encoded;
use paywatch_chain_evm::{Fault, ProvenBlock, Rules, prove};
use paywatch_domain::{BlockHash, BlockRef};
use serde_json::{Value, json};

use super::built::text;

/// A transaction with its receipt.
#[derive(Clone)]
pub(crate) struct Entry {
    /// The transaction as nodes answer it, apart from its place.
    pub(crate) transaction: Value,
    /// What the root of transactions is over; nothing of one that stands outside of the roots.
    pub(crate) bytes: Option<Vec<u8>>,
    /// The receipt as nodes answer it, apart from its place, its transaction and its logs.
    pub(crate) receipt: Value,
    /// What the root of receipts is over.
    pub(crate) receipt_bytes: Option<Vec<u8>>,
    pub(crate) logs: Vec<Log>,
}

/// A block with its receipts, as answers.
#[derive(Clone)]
pub(crate) struct Built {
    pub(crate) at: BlockRef,
    pub(crate) block: Value,
    pub(crate) receipts: Value,
}

impl Built {
    pub(crate) fn prove(&self) -> Result<ProvenBlock, Fault> {
        self.prove_by(Rules::default())
    }

    pub(crate) fn prove_by(&self, rules: Rules) -> Result<ProvenBlock, Fault> {
        let [block, receipts] = [&self.block, &self.receipts].map(Value::to_string);
        prove(rules, &self.at, block.as_bytes(), receipts.as_bytes())
    }

    /// The hash of the transaction at this place.
    pub(crate) fn hash(&self, number: usize) -> String {
        text(&self.block["transactions"][number]["hash"])
    }
}

/// A block with these, under the roots of what has bytes. Of the header everything else is taken, the
/// root of withdrawals too.
pub(crate) fn assemble(
    header: Header,
    entries: &[Entry],
    withdrawals: Option<&[Withdrawal]>,
) -> Built {
    let bytes: Vec<_> = entries.iter().filter_map(|one| one.bytes.clone()).collect();
    let inside = entries.iter().filter(|one| one.receipt_bytes.is_some());
    let receipts: Vec<_> = inside
        .clone()
        .filter_map(|one| one.receipt_bytes.clone())
        .collect();
    let header = Header {
        transactions_root: ordered_trie_root_encoded(&bytes),
        receipts_root: ordered_trie_root_encoded(&receipts),
        logs_bloom: inside.flat_map(|one| &one.logs).collect(),
        ..header
    };
    let hash = header.hash_slow();
    let place = |value: &mut Value, number: usize| {
        value["blockHash"] = json!(hash);
        value["blockNumber"] = json!(format!("{:#x}", header.number));
        value["transactionIndex"] = json!(format!("{number:#x}"));
    };
    let mut block = serde_json::to_value(&header).unwrap();
    block["hash"] = json!(hash);
    block["uncles"] = json!([]);
    if let Some(withdrawals) = withdrawals {
        block["withdrawals"] = serde_json::to_value(withdrawals).unwrap();
    }
    let (mut transactions, mut receipts) = (Vec::new(), Vec::new());
    let mut log_index = 0;
    for (number, entry) in entries.iter().enumerate() {
        let mut transaction = entry.transaction.clone();
        place(&mut transaction, number);
        let transaction_hash = transaction["hash"].clone();
        transactions.push(transaction);
        let logs = entry.logs.iter().map(|log| {
            let mut value = json!({
                "address": log.address,
                "topics": log.topics(),
                "data": log.data.data,
                "transactionHash": transaction_hash,
                "logIndex": format!("{log_index:#x}"),
                "removed": false,
            });
            log_index += 1;
            place(&mut value, number);
            value
        });
        let logs: Vec<Value> = logs.collect();
        let mut receipt = entry.receipt.clone();
        receipt["logsBloom"] = json!(entry.logs.iter().collect::<Bloom>());
        receipt["logs"] = json!(logs);
        receipt["transactionHash"] = transaction_hash;
        place(&mut receipt, number);
        receipts.push(receipt);
    }
    block["transactions"] = json!(transactions);
    Built {
        at: BlockRef {
            height: header.number,
            hash: BlockHash::new(&hash.to_string()),
        },
        block,
        receipts: json!(receipts),
    }
}
