//! Keeps what a block brought to watched keys.
//!
//! A watched key is the address of an owner as text, or an address, a slash and a reference: that is paid by a
//! transaction that brings the address something and names the reference
//! (<https://docs.solanapay.com/spec#reference>).

use std::sync::Arc;

use paywatch_chain::{Block, Credit, WatchTable};
use paywatch_domain::{Amount, BlockRef, Position, TxId, UnixMillis};

use crate::assets::Assets;
use crate::reader::{Gain, ReadBlock};

/// What stands between an address and a reference.
pub(crate) const WITH: u8 = b'/';

/// The credits of a block.
pub fn scan(at: &BlockRef, block: &ReadBlock, assets: &Assets, watched: &WatchTable) -> Block {
    let owners = block.gains().map(|gain| gain.owner.as_bytes());
    let mut candidates = watched.candidates(owners).into_iter().peekable();
    let mut credits = Vec::new();
    for (number, gain) in block.gains().enumerate() {
        let is_watched = candidates.next_if_eq(&number).is_some();
        let with_reference = with_reference(block, &gain, watched);
        if let Some(key) = with_reference.or_else(|| is_watched.then(|| gain.owner.to_owned())) {
            credits.extend(credit(&key, block.id(&gain), &gain, assets));
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

/// The first watched key of an owner with a reference that the transaction names: money counts once, whatever
/// its payer names.
fn with_reference(block: &ReadBlock, gain: &Gain<&str>, watched: &WatchTable) -> Option<String> {
    // Few addresses have references; those of the others need not be tried.
    if !watched.may_begin(gain.owner.as_bytes()) {
        return None;
    }
    let keys = block.references(gain);
    let mut keys = keys.map(|reference| watched_key(gain.owner, reference));
    keys.find(|key| watched.may_contain(key.as_bytes()))
}

/// The watched key of an address with a reference.
pub(crate) fn watched_key(address: &str, reference: &str) -> String {
    format!("{address}{}{reference}", char::from(WITH))
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
