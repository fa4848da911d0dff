//! `debug_traceBlockByHash` with `prestateTracer` and `diffMode`: balances before and after.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{Address, B256, U256};
use serde::Deserialize;

use super::{Inflows, check_count, fault};
use crate::fault::Fault;
use crate::json::{quantity, read};
use crate::proof::ProvenBlock;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    tx_hash: Option<B256>,
    result: Option<Change>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Change {
    pre: HashMap<Address, Account>,
    post: HashMap<Address, Account>,
}

/// A missing balance is an empty account's before, and an unchanged one after.
#[derive(Deserialize)]
struct Account {
    #[serde(default, deserialize_with = "quantity")]
    balance: Option<U256>,
}

impl Inflows {
    /// From what each transaction changed. Whatever a call was undone for, this shows what remained; of
    /// an account that also paid, the difference. Fees are no payment: whoever gets those of the block
    /// is credited with plain values alone.
    pub fn from_balances(block: &ProvenBlock, answer: &[u8]) -> Result<Self, Fault> {
        let traces: Vec<Trace> = read("balance changes", answer)?;
        check_count(block, traces.len())?;
        let by_transaction = traces
            .into_iter()
            .enumerate()
            .map(|(number, trace)| gains(block, number, trace))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            by_transaction,
            is_whole: true,
        })
    }
}

fn gains(
    block: &ProvenBlock,
    number: usize,
    trace: Trace,
) -> Result<BTreeMap<Address, U256>, Fault> {
    let change = match (trace.result, trace.error) {
        (Some(change), None) => change,
        (_, Some(error)) => return Err(fault(number, format!("it was not traced: {error}"))),
        (None, None) => return Err(fault(number, "it has no result")),
    };
    let pair = block
        .transactions
        .get(number)
        .zip(block.receipts.get(number));
    let (transaction, receipt) = pair.ok_or_else(|| fault(number, "the block has none"))?;
    if trace.tx_hash.is_some_and(|hash| hash != transaction.hash) {
        return Err(fault(number, "it is of another transaction"));
    }
    let before = |account: &Address| {
        let account = change.pre.get(account);
        account
            .and_then(|account| account.balance)
            .unwrap_or_default()
    };
    let mut gains: BTreeMap<Address, U256> = change
        .post
        .iter()
        .filter_map(|(account, after)| {
            let gain = after.balance?.checked_sub(before(account))?;
            let counts = !gain.is_zero() && *account != block.beneficiary;
            counts.then_some((*account, gain))
        })
        .collect();
    let plain = !transaction.value.is_zero() && transaction.from != block.beneficiary;
    if plain && receipt.succeeded() && transaction.to == Some(block.beneficiary) {
        gains.insert(block.beneficiary, transaction.value);
    }
    Ok(gains)
}
