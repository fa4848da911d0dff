//! What each transaction of a block paid in the native coin, and to whom.
//!
//! One sum for each transaction and account, whichever way it was found out: so a payment has the same
//! place and amount when another endpoint, which offers another kind of trace, reads it again. What an
//! account sends to itself is nothing.

mod balances;
mod calls;
mod flat;
mod plain;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};

use crate::fault::Fault;
use crate::proof::ProvenBlock;
use crate::transaction::DEPOSIT;

/// What the transactions of a block paid, one sum for each transaction and account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inflows {
    pub(crate) by_transaction: Vec<BTreeMap<Address, U256>>,
    /// Whether somebody told what contracts paid.
    pub(crate) is_whole: bool,
}

impl Inflows {
    /// What the accounts got in the transaction at this place of the block.
    pub fn of(&self, transaction: usize) -> impl Iterator<Item = (Address, U256)> {
        let inflows = self.by_transaction.get(transaction);
        inflows
            .into_iter()
            .flatten()
            .map(|(to, value)| (*to, *value))
    }
}

/// Adds what `from` sent to `to`.
fn add(inflows: &mut BTreeMap<Address, U256>, from: Address, to: Address, value: U256) {
    if from != to && !value.is_zero() {
        let sum = inflows.entry(to).or_default();
        // All coins of a chain together are far below the largest number.
        *sum = sum.saturating_add(value);
    }
}

/// Adds what is created for the sender of each deposit from the chain below, which stays created when
/// the deposit fails (<https://specs.optimism.io/protocol/deposits.html>) and is in no trace of calls.
fn add_mints(block: &ProvenBlock, inflows: &mut [BTreeMap<Address, U256>]) {
    for (transaction, inflows) in block.transactions.iter().zip(inflows) {
        if let (DEPOSIT, Some(mint)) = (transaction.kind(), transaction.mint)
            && !mint.is_zero()
        {
            let sum = inflows.entry(transaction.from).or_default();
            *sum = sum.saturating_add(mint);
        }
    }
}

/// The outermost call of a transaction, as a trace tells it.
struct Outermost {
    hash: Option<B256>,
    /// `None` where a contract is created.
    to: Option<Address>,
    value: U256,
    failed: bool,
}

/// A trace must be of the transaction at its place and end as its receipt says.
fn check_outermost(block: &ProvenBlock, number: usize, outermost: &Outermost) -> Result<(), Fault> {
    let pair = block
        .transactions
        .get(number)
        .zip(block.receipts.get(number));
    let contradiction = match pair {
        None => Some("the block has no such transaction"),
        Some((transaction, receipt)) => {
            // What a transaction of an unknown type says of itself need not be what is called.
            let is_known = transaction.has_known_type();
            if outermost.hash.is_some_and(|hash| hash != transaction.hash) {
                Some("it is of another transaction")
            } else if is_known && outermost.to != transaction.to {
                Some("it calls another account")
            } else if is_known && outermost.value != transaction.value {
                Some("it sends another value")
            } else if receipt.end() == Some(outermost.failed) {
                Some("it ends otherwise than the receipt says")
            } else {
                None
            }
        }
    };
    contradiction.map_or(Ok(()), |detail| Err(fault(number, detail)))
}

/// There is one trace for each transaction. Those that nobody signed stand last, and may have none.
fn check_count(block: &ProvenBlock, found: usize) -> Result<(), Fault> {
    let expected = block.transactions.len();
    let unsigned = block.transactions.iter().filter(|one| one.is_unsigned());
    let least = expected.saturating_sub(unsigned.count());
    if (least..=expected).contains(&found) {
        Ok(())
    } else {
        Err(Fault::Count {
            what: "traces",
            found,
            expected,
        })
    }
}

fn fault(number: usize, detail: impl Into<String>) -> Fault {
    let detail = detail.into();
    Fault::Trace { number, detail }
}
