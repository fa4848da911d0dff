//! Proves that answers are the whole block that was asked for.
//!
//! The asked hash commits to the header, and the header to the roots of transactions, receipts and
//! withdrawals and to the bloom over all logs. All of them are recomputed from what the node gave.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bloom, U64, keccak256};
use alloy_rlp::RlpEncodable;
use alloy_trie::root::{ordered_trie_root, ordered_trie_root_encoded};
use paywatch_domain::{BlockHash, BlockRef, UnixMillis};
use serde::Deserialize;

use crate::fault::Fault;
use crate::header::Header;
use crate::json::read;
use crate::receipt::{Log, Receipt};
use crate::rules::{ReceiptCheck, Rules, TransactionCheck, WithdrawalCheck};
use crate::transaction::Transaction;

/// Milliseconds of a second.
const SECOND_MS: u64 = 1000;

/// A block of which everything was checked that the chain's [`Rules`] tell to check.
#[derive(Debug)]
pub struct ProvenBlock {
    pub(crate) at: BlockRef,
    pub(crate) hash: B256,
    pub(crate) parent: BlockHash,
    pub(crate) time: UnixMillis,
    /// Who gets the fees.
    pub(crate) beneficiary: Address,
    pub(crate) transactions: Vec<Transaction>,
    /// One for each transaction, in the same order.
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) withdrawals: Vec<Withdrawal>,
    /// Bytes of the answers.
    pub(crate) bytes: usize,
}

/// What the consensus layer pays out (EIP-4895).
#[derive(Debug, Deserialize, RlpEncodable)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Withdrawal {
    /// Which one, counted over all blocks.
    pub(crate) index: U64,
    validator_index: U64,
    pub(crate) address: Address,
    /// In thousand millions of wei.
    #[serde(rename = "amount")]
    pub(crate) amount_gwei: U64,
}

/// What stands beside the header in the answer.
#[derive(Deserialize)]
struct Body {
    hash: B256,
    transactions: Vec<Transaction>,
    withdrawals: Option<Vec<Withdrawal>>,
}

/// A block without its receipts.
struct Opened {
    header: Header,
    hash: B256,
    transactions: Vec<Transaction>,
    withdrawals: Vec<Withdrawal>,
}

/// Proves that `block_answer` (`eth_getBlockByHash` with full transactions) and `receipts_answer`
/// (`eth_getBlockReceipts`) are what `block` commits to. Both are the `result` of an answer.
pub fn prove(
    rules: Rules,
    block: &BlockRef,
    block_answer: &[u8],
    receipts_answer: &[u8],
) -> Result<ProvenBlock, Fault> {
    let opened = open(rules, block, block_answer)?;
    let mut receipts: Vec<Receipt> = read("receipts", receipts_answer)?;
    check_places(opened.hash, &opened.transactions, &receipts)?;
    check_logs(&receipts)?;
    leave_out_unsigned(&opened.transactions, &mut receipts);
    check_receipts(rules, &opened.header, &receipts)?;
    let bytes = block_answer.len().saturating_add(receipts_answer.len());
    Ok(opened.with(block, receipts, bytes))
}

/// Proves the same of `logs_answer` (`eth_getLogs` of the block's hash), as far as a bloom can: the logs
/// are numbered without a gap, and theirs is the bloom to which the block's hash commits. Of
/// transactions without logs, `receipts_answer` tells whether they succeeded; a list of receipts, of
/// which those may be missing that could not have paid anything.
pub fn prove_by_logs(
    rules: Rules,
    block: &BlockRef,
    block_answer: &[u8],
    logs_answer: &[u8],
    receipts_answer: &[u8],
) -> Result<ProvenBlock, Fault> {
    let opened = open(rules, block, block_answer)?;
    let logs: Vec<Log> = read("logs", logs_answer)?;
    let ends: Vec<Receipt> = read("receipts", receipts_answer)?;
    let mut receipts = receipts_of_logs(opened.hash, &opened.transactions, logs, &ends)?;
    check_logs(&receipts)?;
    leave_out_unsigned(&opened.transactions, &mut receipts);
    let all = receipts.iter().fold(Bloom::ZERO, |mut all, receipt| {
        all.accrue_bloom(&receipt.logs_bloom);
        all
    });
    same_bloom(&opened.header, all)?;
    let bytes = block_answer.len().saturating_add(logs_answer.len());
    let bytes = bytes.saturating_add(receipts_answer.len());
    Ok(opened.with(block, receipts, bytes))
}

/// Proves everything but receipts.
fn open(rules: Rules, block: &BlockRef, answer: &[u8]) -> Result<Opened, Fault> {
    let header: Header = read("block", answer)?;
    let computed = header.hash();
    if block.hash.as_str() != computed.to_string() {
        return Err(Fault::BlockHash { computed });
    }
    let found = header.number.to();
    if found != block.height {
        return Err(Fault::Height { found });
    }
    let body: Body = read("block", answer)?;
    if body.hash != computed {
        return Err(Fault::BlockHash {
            computed: body.hash,
        });
    }
    check_transactions(rules, &header, computed, &body.transactions)?;
    let withdrawals = check_withdrawals(rules, &header, body.withdrawals)?;
    Ok(Opened {
        header,
        hash: computed,
        transactions: body.transactions,
        withdrawals,
    })
}

impl Opened {
    fn with(self, at: &BlockRef, receipts: Vec<Receipt>, bytes: usize) -> ProvenBlock {
        let time_ms = self.header.timestamp.to::<u64>().saturating_mul(SECOND_MS);
        ProvenBlock {
            at: at.clone(),
            hash: self.hash,
            parent: BlockHash::new(&self.header.parent_hash.to_string()),
            time: UnixMillis(i64::try_from(time_ms).unwrap_or(i64::MAX)),
            beneficiary: self.header.miner,
            transactions: self.transactions,
            receipts,
            withdrawals: self.withdrawals,
            bytes,
        }
    }
}

/// What is known of each transaction's receipt from the logs of the block and from some receipts.
fn receipts_of_logs(
    block: B256,
    transactions: &[Transaction],
    logs: Vec<Log>,
    ends: &[Receipt],
) -> Result<Vec<Receipt>, Fault> {
    let mut by_transaction: HashMap<B256, Vec<Log>> = HashMap::new();
    for (number, log) in logs.into_iter().enumerate() {
        if log.index != place(number) {
            let detail = "not the next one by its number: logs are missing";
            return Err(Fault::Log { number, detail });
        }
        by_transaction
            .entry(log.transaction_hash)
            .or_default()
            .push(log);
    }
    let known = |end: &&Receipt| end.block_hash == block;
    let ends: HashMap<B256, &Receipt> = ends
        .iter()
        .filter(known)
        .map(|end| (end.transaction_hash, end))
        .collect();
    let mut receipts = Vec::with_capacity(transactions.len());
    for (number, transaction) in transactions.iter().enumerate() {
        let logs = by_transaction.remove(&transaction.hash).unwrap_or_default();
        let end = ends.get(&transaction.hash);
        if logs.is_empty() && end.is_none() && !transaction.value.is_zero() {
            return Err(Fault::Absent { what: "receipts" });
        }
        receipts.push(Receipt::of_logs(
            block,
            transaction,
            place(number),
            logs,
            end,
        ));
    }
    match by_transaction.into_values().flatten().next() {
        None => Ok(receipts),
        Some(log) => Err(Fault::Log {
            number: log.index.to(),
            detail: "of no transaction of the block",
        }),
    }
}

fn check_transactions(
    rules: Rules,
    header: &Header,
    hash: B256,
    transactions: &[Transaction],
) -> Result<(), Fault> {
    let mut encoded = Vec::with_capacity(transactions.len());
    for (number, transaction) in transactions.iter().enumerate() {
        let claimed = transaction.hash;
        let placed =
            transaction.block_hash == Some(hash) && transaction.index == Some(place(number));
        if !placed {
            return Err(Fault::Misplaced {
                what: "transaction",
                number,
                detail: format!("{claimed} says another block or number"),
            });
        }
        let Some(bytes) = transaction.encode()? else {
            if rules.transactions == TransactionCheck::Hash {
                continue;
            }
            let kind = transaction.kind();
            return Err(Fault::TransactionType { number, kind });
        };
        let computed = keccak256(&bytes);
        if claimed != computed {
            return Err(Fault::TransactionHash {
                number,
                claimed,
                computed,
            });
        }
        encoded.push(bytes);
    }
    match rules.transactions {
        TransactionCheck::Root => same_root(
            "transactions",
            header.transactions_root,
            ordered_trie_root_encoded(&encoded),
        ),
        TransactionCheck::Hash => Ok(()),
    }
}

fn check_withdrawals(
    rules: Rules,
    header: &Header,
    withdrawals: Option<Vec<Withdrawal>>,
) -> Result<Vec<Withdrawal>, Fault> {
    match (rules.withdrawals, header.withdrawals_root, withdrawals) {
        (WithdrawalCheck::Root, Some(root), Some(withdrawals)) => {
            same_root("withdrawals", root, ordered_trie_root(&withdrawals))?;
            Ok(withdrawals)
        }
        (WithdrawalCheck::Root, None, None) | (WithdrawalCheck::None, _, None) => Ok(Vec::new()),
        (WithdrawalCheck::None, _, Some(withdrawals)) if withdrawals.is_empty() => Ok(withdrawals),
        _ => Err(Fault::Withdrawals),
    }
}

/// Every receipt is of this block and of the transaction at its place.
fn check_places(
    hash: B256,
    transactions: &[Transaction],
    receipts: &[Receipt],
) -> Result<(), Fault> {
    if receipts.len() != transactions.len() {
        return Err(Fault::Count {
            what: "receipts",
            found: receipts.len(),
            expected: transactions.len(),
        });
    }
    for (number, (receipt, transaction)) in receipts.iter().zip(transactions).enumerate() {
        let detail = if receipt.block_hash != hash {
            format!("it says block {}", receipt.block_hash)
        } else if receipt.transaction_hash != transaction.hash {
            format!("it says transaction {}", receipt.transaction_hash)
        } else if receipt.transaction_index != place(number) {
            format!("it says number {}", receipt.transaction_index)
        } else if receipt.kind() != transaction.kind() {
            format!("it says type {:#x}", receipt.kind())
        } else {
            continue;
        };
        return Err(Fault::Misplaced {
            what: "receipt",
            number,
            detail,
        });
    }
    Ok(())
}

/// Logs are of the receipt in which they stand, and numbered upwards through the block.
fn check_logs(receipts: &[Receipt]) -> Result<(), Fault> {
    let logs = receipts
        .iter()
        .flat_map(|receipt| receipt.logs.iter().map(move |log| (receipt, log)));
    let mut next = 0_u64;
    for (number, (receipt, log)) in logs.enumerate() {
        let index = log.index.to::<u64>();
        let detail = if log.removed {
            "marked as removed"
        } else if log.block_hash != receipt.block_hash {
            "of another block"
        } else if log.transaction_hash != receipt.transaction_hash {
            "of another transaction"
        } else if index < next {
            "not numbered upwards"
        } else {
            next = index.saturating_add(1);
            continue;
        };
        return Err(Fault::Log { number, detail });
    }
    Ok(())
}

/// What nobody signed stands under no root and in no bloom: whatever it logs, nothing proves it.
fn leave_out_unsigned(transactions: &[Transaction], receipts: &mut [Receipt]) {
    for (transaction, receipt) in transactions.iter().zip(receipts) {
        if transaction.is_unsigned() {
            receipt.logs.clear();
            receipt.logs_bloom = Bloom::ZERO;
        }
    }
}

fn check_receipts(rules: Rules, header: &Header, receipts: &[Receipt]) -> Result<(), Fault> {
    let mut all = Bloom::ZERO;
    let mut encoded = Vec::with_capacity(receipts.len());
    for (number, receipt) in receipts.iter().enumerate() {
        let bloom = receipt.bloom();
        if bloom != receipt.logs_bloom {
            return Err(Fault::ReceiptBloom { number });
        }
        all.accrue_bloom(&bloom);
        if rules.receipts == ReceiptCheck::Root {
            encoded.push(receipt.encode(&bloom)?);
        }
    }
    same_bloom(header, all)?;
    match rules.receipts {
        ReceiptCheck::Root => same_root(
            "receipts",
            header.receipts_root,
            ordered_trie_root_encoded(&encoded),
        ),
        ReceiptCheck::Bloom => Ok(()),
    }
}

fn same_bloom(header: &Header, computed: Bloom) -> Result<(), Fault> {
    if header.logs_bloom == computed {
        return Ok(());
    }
    Err(Fault::Bloom {
        computed: Box::new(computed),
    })
}

fn same_root(what: &'static str, header: B256, computed: B256) -> Result<(), Fault> {
    if header == computed {
        Ok(())
    } else {
        Err(Fault::Root {
            what,
            header,
            computed,
        })
    }
}

fn place(number: usize) -> U64 {
    U64::from(number)
}
