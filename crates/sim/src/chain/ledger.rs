//! The truth about one chain: every block that was ever made, which branch is the best, and what waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywatch_domain::{AssetName, BlockHash, BlockRef, Position, TxId, UnixMillis};

/// A block's place in the ledger.
pub type BlockId = usize;

/// What a transaction pays to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pay {
    /// To whom.
    pub key: Box<[u8]>,
    /// What.
    pub asset: AssetName,
    /// How much, in atomic units.
    pub amount: u64,
    /// Where in the transaction.
    pub position: Position,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tx {
    /// Its id.
    pub id: TxId,
    /// What it spends; nothing on chains with accounts.
    pub spends: Arc<[Box<str>]>,
    /// What it pays.
    pub pays: Vec<Pay>,
    /// When it was sent, by the true time.
    pub sent_at: UnixMillis,
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The transaction.
    pub tx: Arc<Tx>,
    /// Whether it did what it says.
    pub has_succeeded: bool,
}

/// A block.
#[derive(Clone, Debug)]
pub struct BlockData {
    /// Which one.
    pub at: BlockRef,
    /// The hash below.
    pub parent: BlockHash,
    /// The block below; `None` for the first.
    pub below: Option<BlockId>,
    /// The time that it claims.
    pub time: UnixMillis,
    /// In their order.
    pub entries: Vec<Entry>,
}

/// A transaction that waits for a block.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The transaction.
    pub tx: Arc<Tx>,
    /// Since when.
    pub since: UnixMillis,
    /// What it replaced.
    pub replaced: Option<Arc<Tx>>,
}

/// One chain.
#[derive(Debug)]
pub struct Ledger {
    name: &'static str,
    blocks: Vec<Arc<BlockData>>,
    by_hash: BTreeMap<BlockHash, BlockId>,
    best: BlockId,
    /// What waits, oldest first.
    pub waiting: Vec<Waiting>,
    /// What the best branch spends, and by which transaction.
    spent: BTreeMap<Box<str>, TxId>,
    /// Where the best branch has each transaction.
    mined: BTreeMap<TxId, BlockId>,
    /// Transactions that were ever made, by id.
    known: BTreeMap<TxId, Arc<Tx>>,
    /// The latest time that a block with a transaction claims, of whatever branch.
    claimed: BTreeMap<TxId, UnixMillis>,
}

impl Ledger {
    /// A chain of empty blocks up to a height.
    pub fn new(name: &'static str, height: u64, block_ms: i64, now: UnixMillis) -> Self {
        let mut ledger = Self {
            name,
            blocks: Vec::new(),
            by_hash: BTreeMap::new(),
            best: 0,
            waiting: Vec::new(),
            spent: BTreeMap::new(),
            mined: BTreeMap::new(),
            known: BTreeMap::new(),
            claimed: BTreeMap::new(),
        };
        let mut below = None;
        for number in 0..=height {
            let left = i64::try_from(height.saturating_sub(number)).unwrap_or(0);
            let time = now.plus_ms(-left.saturating_add(1).saturating_mul(block_ms));
            below = Some(ledger.add(below, time, Vec::new()));
        }
        ledger.best = below.unwrap_or(0);
        ledger
    }

    /// Makes a block; it is not of the best branch yet.
    pub(super) fn add(
        &mut self,
        below: Option<BlockId>,
        time: UnixMillis,
        entries: Vec<Entry>,
    ) -> BlockId {
        let id = self.blocks.len();
        let parent = below.map(|below| self.block(below).at.clone());
        let height = parent
            .as_ref()
            .map_or(0, |parent| parent.height.saturating_add(1));
        let at = BlockRef {
            height,
            hash: BlockHash::new(&format!("{}-{height}-{id}", self.name)),
        };
        self.by_hash.insert(at.hash.clone(), id);
        for entry in &entries {
            let claimed = self.claimed.entry(entry.tx.id.clone()).or_insert(time);
            *claimed = time.max(*claimed);
        }
        self.blocks.push(Arc::new(BlockData {
            at,
            parent: parent.map_or_else(|| BlockHash::new("none"), |parent| parent.hash),
            below,
            time,
            entries,
        }));
        id
    }

    /// A block.
    pub fn block(&self, id: BlockId) -> &Arc<BlockData> {
        #[expect(clippy::indexing_slicing, reason = "ids are made by this ledger alone")]
        &self.blocks[id]
    }

    /// The block of this hash.
    pub fn find(&self, hash: &BlockHash) -> Option<BlockId> {
        self.by_hash.get(hash).copied()
    }

    /// The last block of the best branch.
    pub fn best(&self) -> BlockId {
        self.best
    }

    /// A block and all below it, highest first.
    pub fn down_from(&self, tip: BlockId) -> impl Iterator<Item = (BlockId, &Arc<BlockData>)> {
        let mut next = Some(tip);
        std::iter::from_fn(move || {
            let id = next?;
            let block = self.block(id);
            next = block.below;
            Some((id, block))
        })
    }

    /// The block at a height of the branch that ends with `tip`.
    pub fn at_height(&self, tip: BlockId, height: u64) -> Option<&Arc<BlockData>> {
        let mut branch = self.down_from(tip).map(|(_, block)| block);
        branch
            .find(|block| block.at.height <= height)
            .filter(|block| block.at.height == height)
    }

    /// The highest block that two branches share.
    pub fn fork_of(&self, mut one: BlockId, mut other: BlockId) -> BlockId {
        while one != other {
            let heights = (self.block(one).at.height, self.block(other).at.height);
            if heights.1 <= heights.0 {
                one = self.block(one).below.unwrap_or(other);
            } else {
                other = self.block(other).below.unwrap_or(one);
            }
        }
        one
    }

    /// Every transaction that was ever made, by its id.
    pub fn tx(&self, id: &TxId) -> Option<&Arc<Tx>> {
        self.known.get(id)
    }

    /// When the first of the transactions was sent that spend the same as this one.
    pub fn first_sent(&self, tx: &Tx) -> UnixMillis {
        let same = |other: &&Arc<Tx>| other.spends.iter().any(|out| tx.spends.contains(out));
        let others = self.known.values().filter(same).map(|other| other.sent_at);
        others
            .min()
            .map_or(tx.sent_at, |first| first.min(tx.sent_at))
    }

    /// Whether another transaction was sent that spends the same as this one.
    pub fn has_rival(&self, tx: &Tx) -> bool {
        let mut others = self.known.values().filter(|other| other.id != tx.id);
        others.any(|other| other.spends.iter().any(|out| tx.spends.contains(out)))
    }

    /// The latest time that a block with this transaction claims; `None` while none had it.
    pub fn last_claimed(&self, id: &TxId) -> Option<UnixMillis> {
        self.claimed.get(id).copied()
    }

    /// Remembers a transaction that exists.
    pub(super) fn note(&mut self, tx: &Arc<Tx>) {
        // Sent again, it is as old as it was.
        let known = self.known.entry(tx.id.clone());
        known.or_insert_with(|| Arc::clone(tx));
    }

    /// Whether the best branch has this transaction.
    pub fn has_mined(&self, id: &TxId) -> bool {
        self.mined.contains_key(id)
    }

    /// Whether the best branch spends otherwise what this transaction spends.
    pub fn is_spent(&self, tx: &Tx) -> bool {
        let mut spenders = tx.spends.iter().filter_map(|out| self.spent.get(out));
        spenders.any(|spender| *spender != tx.id)
    }

    /// Makes a block on top of the best one the best.
    pub(super) fn extend(&mut self, id: BlockId) {
        let block = Arc::clone(self.block(id));
        self.best = id;
        for entry in &block.entries {
            self.take(id, &entry.tx);
        }
        self.drop_impossible();
    }

    /// Makes another branch the best.
    pub(super) fn turn_to(&mut self, tip: BlockId) {
        self.best = tip;
        self.mined.clear();
        self.spent.clear();
        let branch: Vec<(BlockId, Arc<BlockData>)> = self
            .down_from(tip)
            .map(|(id, block)| (id, Arc::clone(block)))
            .collect();
        for (id, block) in branch {
            for entry in &block.entries {
                self.take(id, &entry.tx);
            }
        }
        self.drop_impossible();
    }

    fn take(&mut self, id: BlockId, tx: &Tx) {
        self.mined.insert(tx.id.clone(), id);
        for out in tx.spends.iter() {
            self.spent.insert(out.clone(), tx.id.clone());
        }
    }

    /// What the best branch has, or spends otherwise, does not wait any more.
    fn drop_impossible(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|one| !self.has_mined(&one.tx.id) && !self.is_spent(&one.tx));
        self.waiting = waiting;
    }

    /// Sends a transaction; it takes the place of those that spend the same. Answers whether it waits now.
    pub fn send(&mut self, tx: &Arc<Tx>, now: UnixMillis) -> bool {
        self.note(tx);
        let waits = self.waiting.iter().any(|one| one.tx.id == tx.id);
        if waits || self.has_mined(&tx.id) || self.is_spent(tx) {
            return waits;
        }
        let conflicts = |one: &Waiting| one.tx.spends.iter().any(|out| tx.spends.contains(out));
        let replaced = self.waiting.iter().find(|one| conflicts(one));
        let replaced = replaced.map(|one| Arc::clone(&one.tx));
        self.waiting.retain(|one| !conflicts(one));
        self.waiting.push(Waiting {
            tx: Arc::clone(tx),
            since: now,
            replaced,
        });
        true
    }
}
