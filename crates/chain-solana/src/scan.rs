//! Keeps what a block brought to watched keys.
//!
//! A watched key is the address of an owner as text, or an address, a slash and a reference: that is paid by a
//! transaction that brings the address something and names the reference
//! (<https://docs.solanapay.com/spec#reference>).

use std::sync::Arc;

use paywatch_chain::{Block, Credit, WatchTable};
use paywatch_domain::{Amount, BlockRef, Position, TxId, UnixMillis};

use crate::assets::Assets;
use crate::reader::{Gain, Payment, ReadBlock};

/// What stands between an address and a reference.
pub(crate) const WITH: char = '/';

/// The credits of a block.
pub fn scan(at: &BlockRef, block: &ReadBlock, assets: &Assets, watched: &WatchTable) -> Block {
    let mut credits = Vec::new();
    let mut key = String::new();
    for payment in block.payments() {
        for gain in &payment.gains {
            if find(&payment, gain, watched, &mut key) {
                credits.extend(credit(&key, payment.id, gain, assets));
            }
        }
    }
    Block {
        at: at.clone(),
        parent: block.header.below(),
        time: block.header.time.unwrap_or(UnixMillis(0)),
        bytes: block.bytes(),
        credits,
        spent: Vec::new(),
        outflows: Vec::new(),
        unseen: None,
    }
}

/// Writes the watched key that a gain belongs to; says whether there is one. With a reference that is watched it
/// is that of the first one: money counts once, whatever its payer names.
fn find(payment: &Payment<'_>, gain: &Gain<&str>, watched: &WatchTable, key: &mut String) -> bool {
    key.clear();
    key.push_str(gain.owner);
    key.push(WITH);
    let start = key.len();
    // Few addresses have references; those of the others need not be tried.
    let has_references = watched.may_contain(key.as_bytes());
    for reference in payment.references.iter().filter(|_| has_references) {
        key.truncate(start);
        key.push_str(reference);
        if watched.may_contain(key.as_bytes()) {
            return true;
        }
    }
    key.truncate(gain.owner.len());
    watched.may_contain(key.as_bytes())
}

fn credit(key: &str, id: &str, gain: &Gain<&str>, assets: &Assets) -> Option<Credit> {
    let (asset, position) = match gain.mint {
        None => (assets.native.clone(), format!("native:{key}")),
        Some(mint) => (assets.token(mint)?, format!("token:{mint}:{key}")),
    };
    Some(Credit {
        key: key.as_bytes().into(),
        asset,
        amount: amount(gain.amount),
        tx_id: TxId::new(id),
        position: Position::new(&position),
        maturity: 0,
        spends: Arc::default(),
    })
}

fn amount(units: u128) -> Amount {
    let mut bytes = [0; 32];
    let (_, low) = bytes.split_at_mut(16);
    low.copy_from_slice(&units.to_be_bytes());
    Amount::from_be_bytes(bytes)
}
