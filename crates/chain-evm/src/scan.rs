//! Keeps what a proven block paid to watched addresses.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256, b256};
use paywatch_chain::{Block, Credit, Outflow, WatchTable};
use paywatch_domain::{Amount, AssetName, Position, TxId};

use crate::assets::Assets;
use crate::inflows::Inflows;
use crate::proof::{ProvenBlock, Withdrawal};
use crate::receipt::{Log, Receipt};
use crate::transaction::{DEPOSIT, Transaction};

/// `Transfer(address,address,uint256)` of ERC-20 (<https://eips.ethereum.org/EIPS/eip-20>); other
/// standards share it.
const TRANSFER: B256 = b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// Wei of the unit in which withdrawals are counted.
const GWEI: u64 = 1_000_000_000;

/// A move of a token, or of the native coin where that is logged.
pub(crate) struct Transfer {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) value: U256,
}

/// Reads a log that is a transfer to the letter: three topics, addresses with nothing in front of them,
/// one word of data, and more than nothing. Everything else that shares the first topic (ERC-721,
/// unindexed transfers, forgeries) is none.
pub(crate) fn transfer(log: &Log) -> Option<Transfer> {
    let [kind, from, to] = log.topics.as_slice() else {
        return None;
    };
    let value = U256::from_be_bytes(<[u8; 32]>::try_from(log.data.as_ref()).ok()?);
    if *kind != TRANSFER || value.is_zero() {
        return None;
    }
    Some(Transfer {
        from: account(from)?,
        to: account(to)?,
        value,
    })
}

fn account(topic: &B256) -> Option<Address> {
    let account = Address::from_word(*topic);
    (account.into_word() == *topic).then_some(account)
}

/// The credits of a block: native coin as `inflows` tell, tokens by their logs, withdrawals. What an
/// account sends to itself is none.
pub fn scan(
    block: &ProvenBlock,
    assets: &Assets,
    inflows: &Inflows,
    watched: &WatchTable,
) -> Block {
    let is_watched = |account: &Address| watched.may_contain(account.as_slice());
    let mut credits = Vec::new();
    for (number, receipt) in block.receipts.iter().enumerate() {
        let native = inflows.of(number).filter(|(to, _)| is_watched(to));
        let hash = receipt.transaction_hash;
        credits.extend(native.map(|(to, value)| {
            let position = native_position(to);
            credit(to, &assets.native, value, &hash.to_string(), &position)
        }));
        if !receipt.succeeded() {
            continue;
        }
        for (place, log) in receipt.logs.iter().enumerate() {
            let moved = transfer(log).filter(|moved| moved.from != moved.to);
            let Some(moved) = moved.filter(|moved| is_watched(&moved.to)) else {
                continue;
            };
            if let Some(asset) = assets.token(log.address) {
                let (position, hash) = (format!("log:{place}"), hash.to_string());
                credits.push(credit(moved.to, &asset, moved.value, &hash, &position));
            }
        }
    }
    let withdrawals = block.withdrawals.iter();
    let withdrawals =
        withdrawals.filter(|one| is_watched(&one.address) && !one.amount_gwei.is_zero());
    credits.extend(withdrawals.map(|one| withdrawal(one, &assets.native)));
    Block {
        at: block.at.clone(),
        parent: block.parent.clone(),
        time: block.time,
        bytes: block.bytes,
        credits,
        spent: Vec::new(),
        outflows: outflows(block, is_watched),
        unseen: (!inflows.is_whole).then(|| assets.native.clone()),
    }
}

/// What watched accounts paid out with transactions of their own.
fn outflows(block: &ProvenBlock, is_watched: impl Fn(&Address) -> bool) -> Vec<Outflow> {
    let both = block.transactions.iter().zip(&block.receipts);
    // A deposit from the chain below is nobody's transaction here.
    let sent = both.filter(|(sent, _)| sent.kind() != DEPOSIT && is_watched(&sent.from));
    let outflows = sent.filter_map(|(transaction, receipt)| {
        let amount = taken(transaction, receipt);
        Some(Outflow {
            key: transaction.from.as_slice().into(),
            nonce: transaction.nonce?.to(),
            amount: amount.map(|amount| Amount::from_be_bytes(amount.to_be_bytes())),
        })
    });
    outflows.collect()
}

/// What a transaction took from its sender; `None` where nothing tells: of coin that went to code with
/// something to do, some may have come back.
fn taken(transaction: &Transaction, receipt: &Receipt) -> Option<U256> {
    let fee = receipt.fee()?;
    let to = transaction.to;
    if !receipt.end()? || transaction.value.is_zero() || to == Some(transaction.from) {
        return Some(fee);
    }
    if to.is_none() || !transaction.input.is_empty() {
        return None;
    }
    fee.checked_add(transaction.value)
}

/// One for each account: places of calls would differ between kinds of traces.
fn native_position(to: Address) -> String {
    format!("native:{to:#x}")
}

fn withdrawal(one: &Withdrawal, native: &AssetName) -> Credit {
    let value = U256::from(one.amount_gwei).saturating_mul(U256::from(GWEI));
    // No transaction does it; the number is one of the whole chain.
    let id = format!("withdrawal:{}", one.index);
    credit(
        one.address,
        native,
        value,
        &id,
        &native_position(one.address),
    )
}

/// `position` is counted inside of the transaction, so that it is the same in every block that the
/// transaction may get into.
fn credit(to: Address, asset: &AssetName, value: U256, tx_id: &str, position: &str) -> Credit {
    Credit {
        key: to.as_slice().into(),
        asset: asset.clone(),
        amount: Amount::from_be_bytes(value.to_be_bytes()),
        tx_id: TxId::new(tx_id),
        position: Position::new(position),
        maturity: 0,
        spends: Arc::default(),
    }
}
