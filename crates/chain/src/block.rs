//! What a scan leaves of a block and of the mempool: transfers to watched keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use paywatch_domain::{Amount, AssetName, BlockHash, BlockRef, Position, TxId, UnixMillis};

/// An amount credited to a watched key by one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The key as it stands in the watch table, for example a script.
    pub key: Box<[u8]>,
    /// What was credited.
    pub asset: AssetName,
    /// How much.
    pub amount: Amount,
    /// The transaction.
    pub tx_id: TxId,
    /// Where in the transaction.
    pub position: Position,
    /// Blocks, its own included, that the chain itself demands before the amount can be spent; 0 for
    /// none.
    pub maturity: u32,
    /// What the transaction spends, each in the chain's own text form (`txid:vout`); a transaction
    /// that spends one of them too replaces this one. Empty where the chain has no such thing. The
    /// credits of a transaction share one list: it may have as many inputs as outputs.
    pub spends: Arc<[Box<str>]>,
}

/// What a transaction took from the watched key that sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outflow {
    /// The key as it stands in the watch table.
    pub key: Box<[u8]>,
    /// The transaction's number among those of the key, from 0.
    pub nonce: u64,
    /// How much of the chain's coin, fees included; `None` when the block does not tell all of it.
    pub amount: Option<Amount>,
}

/// A block that was read, proven complete and scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Which block.
    pub at: BlockRef,
    /// The block it stands on.
    pub parent: BlockHash,
    /// The time its header claims. Not a clock.
    pub time: UnixMillis,
    /// Bytes that were read for it.
    pub bytes: usize,
    /// Credits to candidates of the watch table, in the block's order.
    pub credits: Vec<Credit>,
    /// The outpoints of the watch table that its transactions spend, whomever they pay, with the
    /// transaction that does.
    pub spent: Vec<(String, TxId)>,
    /// What candidates of the watch table paid out, on chains whose accounts have balances: what a balance
    /// must be can be told with it.
    pub outflows: Vec<Outflow>,
    /// The asset of which more may have come than the credits tell: nobody said what contracts paid. `None`
    /// where they are all.
    pub unseen: Option<AssetName>,
}

/// Tells which unconfirmed transactions spend given outpoints, whomever they pay: what left the mempool
/// and whose inputs another transaction spends was replaced; otherwise it was dropped.
pub trait Spenders: fmt::Debug + Send + Sync {
    /// By outpoint, in the text form of [`Credit::spends`], the transaction that spends it; an outpoint
    /// that none spends is left out. May look at everything that is unconfirmed: to be asked once for
    /// all outpoints.
    fn spenders(&self, outpoints: &BTreeSet<&str>) -> BTreeMap<String, TxId>;
}

/// What a node says of an unconfirmed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vetting {
    /// Which transaction.
    pub tx_id: TxId,
    /// It spends money that is not confirmed itself.
    pub has_parents: bool,
    /// What it pays itself, in atomic units for 1,000 units of size.
    pub fee_rate: u64,
    /// What a transaction must pay to be in the next block, in the same unit; `None` when the node does
    /// not know.
    pub fee_rate_next: Option<u64>,
}

/// The whole set of unconfirmed credits to watched keys.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The node's tip while the set was read. "Gone" and "mined" can only be told apart when this is
    /// also our cursor.
    pub tip: BlockRef,
    /// How long the node has been collecting what is in it. What it held before that and holds no more
    /// was not dropped: the node began with nothing.
    pub age: Duration,
    /// Every unconfirmed credit to a watched key.
    pub credits: Vec<Credit>,
    /// What the node says of the transactions of these credits; one that is new is missing at first.
    pub vettings: Vec<Vetting>,
    /// Other transactions that were seen to spend what the transactions of these credits spend, each with
    /// the outpoint in the text form of [`Credit::spends`].
    pub conflicts: Vec<(TxId, String)>,
    /// What every unconfirmed transaction spends.
    pub spenders: Arc<dyn Spenders>,
}
