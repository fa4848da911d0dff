//! Without a trace: what transactions send themselves, and what EIP-7708 logs.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};

use super::{Inflows, add, add_mints};
use crate::assets::SYSTEM;
use crate::proof::ProvenBlock;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::scan::transfer;

impl Inflows {
    /// What is known without a trace: the value of each transaction that succeeded and, on chains whose
    /// rules say so, the logs of EIP-7708, which tell of contracts' payments too. Where there are logs
    /// to an account they hold the transaction's own value already.
    ///
    /// The sender is the node's word; only "to itself" depends on it.
    pub fn without_trace(rules: Rules, block: &ProvenBlock) -> Self {
        let both = block.transactions.iter().zip(&block.receipts);
        let mut by_transaction: Vec<BTreeMap<Address, U256>> = both
            .map(|(transaction, receipt)| {
                let mut inflows = BTreeMap::new();
                if !receipt.succeeded() {
                    return inflows;
                }
                if rules.native_logs {
                    add_logged(receipt, &mut inflows);
                }
                if let Some(to) = transaction.to
                    && !inflows.contains_key(&to)
                {
                    add(&mut inflows, transaction.from, to, transaction.value);
                }
                inflows
            })
            .collect();
        add_mints(block, &mut by_transaction);
        Self {
            by_transaction,
            is_whole: rules.native_logs || block.transactions.is_empty(),
        }
    }
}

/// <https://eips.ethereum.org/EIPS/eip-7708>
fn add_logged(receipt: &Receipt, inflows: &mut BTreeMap<Address, U256>) {
    let logs = receipt.logs.iter().filter(|log| log.address == SYSTEM);
    for moved in logs.filter_map(transfer) {
        add(inflows, moved.from, moved.to, moved.value);
    }
}
