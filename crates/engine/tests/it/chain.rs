//! A chain in memory behind the real port: blocks, a mempool, forks, and a node that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paywatch_chain::source::{BoxFuture, Health};
use paywatch_chain::{
    Block, Credit, Holder, Holding, Located, MemberStatus, Pool, Source, SourceError, Spenders,
    Vetting, WatchTable,
};
use paywatch_domain::{
    Amount, AssetName, BlockHash, BlockHint, BlockRef, ChainName, Mark, Position, TxId, UnixMillis,
};
use tokio::sync::{Notify, watch};

/// What a key holds and how many transactions it has sent, from which height on.
type Held = BTreeMap<u64, (u64, u64)>;

/// What the node knows.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its best chain from height 0.
    pub(crate) blocks: Vec<Block>,
    /// Its mempool.
    pub(crate) pool: Vec<Credit>,
    /// What it says of the transactions of its mempool.
    pub(crate) vettings: Vec<Vetting>,
    /// What it has seen to be replaced by them.
    pub(crate) conflicts: Vec<(TxId, String)>,
    /// Up to which blocks it says that its chain will not go back.
    pub(crate) marks: BTreeMap<Mark, BlockRef>,
    /// Heights of blocks that it has lost.
    lost: BTreeSet<u64>,
    /// Heights of blocks that it has deleted and says so, at once.
    pub(crate) pruned: BTreeSet<u64>,
    /// While this holds, it does not answer.
    pub(crate) is_down: bool,
    /// While this holds, no block that it gives can be proven.
    pub(crate) is_lying: bool,
    /// While this holds, it finds no transaction by its id alone.
    pub(crate) is_forgetful: bool,
    /// The lowest block of which its index knows whom it pays; `None` for a node without one.
    pub(crate) indexed_from: Option<u64>,
    /// What keys hold and how many transactions they have sent, from which height on; `None` for a node that
    /// shows every payment in its blocks.
    pub(crate) held: Option<BTreeMap<Vec<u8>, Held>>,
    /// How often it was asked what keys hold, and for how many in all.
    pub(crate) looked: (usize, usize),
    /// How its endpoints are.
    pub(crate) endpoints: Vec<MemberStatus>,
    /// How often each block was asked for, by height.
    pub(crate) fetched: BTreeMap<u64, usize>,
    /// How often it was asked how it is.
    pub(crate) polled: usize,
    /// How long it has been running.
    pub(crate) pool_age: Duration,
    branches: u32,
}

/// The node and its adapter.
#[derive(Clone)]
pub(crate) struct MemoryChain {
    name: ChainName,
    node: Arc<Mutex<Node>>,
    /// While this holds, blocks are on their way.
    is_slow: Arc<watch::Sender<bool>>,
    /// While this holds, its tip is said to change as soon as a mempool is being recorded.
    changes: Arc<AtomicBool>,
    change: Arc<Notify>,
    /// How often somebody waited for a change.
    pub(crate) waited: Arc<AtomicUsize>,
    /// While this holds, a wait for a change ends at once.
    pub(crate) is_restless: Arc<AtomicBool>,
}

pub(crate) fn asset() -> AssetName {
    "btc@bitcoin-regtest".parse().unwrap()
}

/// What is paid on a second chain of the same family.
pub(crate) fn second_asset() -> AssetName {
    "btc@bitcoin-signet".parse().unwrap()
}

/// The coin of a chain.
fn coin(chain: &ChainName) -> AssetName {
    AssetName::new("btc", chain.clone()).unwrap()
}

/// What else can be paid on a chain, with six decimals.
pub(crate) fn token(chain: &ChainName) -> AssetName {
    AssetName::new("usdt", chain.clone()).unwrap()
}

/// Every transaction of the mempool, whomever it pays.
#[derive(Debug)]
struct Everything(Vec<Credit>);

impl Spenders for Everything {
    fn spenders(&self, outpoints: &BTreeSet<&str>) -> BTreeMap<String, TxId> {
        let spends = self.0.iter().flat_map(|credit| {
            let spent = credit.spends.iter();
            spent.map(|outpoint| (outpoint.to_string(), credit.tx_id.clone()))
        });
        spends
            .filter(|(outpoint, _)| outpoints.contains(outpoint.as_str()))
            .collect()
    }
}

/// A payment of `sat` to the address with this watch key. Payments of one `spends` exclude each other.
pub(crate) fn payment(tx: &str, key: &[u8], sat: u64, spends: &str) -> Credit {
    payment_of(asset(), tx, key, sat, spends)
}

/// The same in another asset.
pub(crate) fn payment_of(asset: AssetName, tx: &str, key: &[u8], sat: u64, spends: &str) -> Credit {
    Credit {
        key: key.into(),
        asset,
        amount: Amount::from_atomic(sat),
        tx_id: TxId::new(tx),
        position: Position::new("vout:0"),
        maturity: 0,
        spends: [spends.into()].into(),
    }
}

impl Node {
    /// Mines a block with these credits, which leave the mempool.
    pub(crate) fn mine(&mut self, credits: Vec<Credit>, time: UnixMillis) -> BlockRef {
        let height = u64::try_from(self.blocks.len()).unwrap();
        let hash = BlockHash::new(&format!("block-{height}-{}", self.branches));
        let at = BlockRef { height, hash };
        let parent = self.blocks.last().map(|below| below.at.hash.clone());
        let parent = parent.unwrap_or_else(|| BlockHash::new("none"));
        self.pool.retain(|waiting| {
            !credits
                .iter()
                .any(|mined| mined.tx_id == waiting.tx_id || mined.spends == waiting.spends)
        });
        self.blocks.push(Block {
            at: at.clone(),
            parent,
            time,
            bytes: 1,
            credits,
            spent: Vec::new(),
            outflows: Vec::new(),
            unseen: None,
        });
        at
    }

    /// Puts invented blocks with these credits in the place of some, linked to what is below and not to what
    /// is above; answers the chain as it was.
    pub(crate) fn lie(&mut self, heights: RangeInclusive<usize>, credits: &[Credit]) -> Vec<Block> {
        let truth = self.blocks.clone();
        for height in heights {
            let parent = self.blocks[height - 1].at.hash.clone();
            let block = &mut self.blocks[height];
            block.at.hash = BlockHash::new(&format!("lie-{height}"));
            block.parent = parent;
            block.credits = credits.to_vec();
        }
        truth
    }

    /// From a block on, a key holds so much and has sent so many transactions.
    pub(crate) fn hold(&mut self, key: &[u8], height: u64, balance: u64, nonce: u64) {
        let held = self.held.get_or_insert_default();
        let held = held.entry(key.to_vec()).or_default();
        held.insert(height, (balance, nonce));
    }

    fn holding(&self, height: u64, holder: &Holder) -> Option<Holding> {
        let held = self.held.as_ref()?.get(&*holder.key);
        let last = held.and_then(|held| held.range(..=height).next_back());
        let (balance, nonce) = last.map_or((0, 0), |(_, held)| *held);
        let balance = Amount::from_atomic(balance);
        let nonce = (holder.expected != Some(balance)).then_some(nonce);
        Some(Holding { balance, nonce })
    }

    /// Loses a block, though not its hash.
    pub(crate) fn hide(&mut self, height: u64) -> u64 {
        self.lost.insert(height);
        height
    }

    /// Has it again.
    pub(crate) fn show(&mut self, height: u64) {
        self.lost.remove(&height);
    }

    /// Drops the highest blocks; what comes next is another branch.
    pub(crate) fn drop_blocks(&mut self, count: usize) -> Vec<Block> {
        self.branches += 1;
        self.blocks.split_off(self.blocks.len() - count)
    }
}

impl MemoryChain {
    pub(crate) fn new(name: &ChainName) -> Self {
        let node = Node {
            blocks: Vec::new(),
            pool: Vec::new(),
            vettings: Vec::new(),
            conflicts: Vec::new(),
            marks: BTreeMap::new(),
            lost: BTreeSet::new(),
            pruned: BTreeSet::new(),
            is_down: false,
            is_lying: false,
            is_forgetful: false,
            indexed_from: None,
            held: None,
            looked: (0, 0),
            endpoints: Vec::new(),
            fetched: BTreeMap::new(),
            polled: 0,
            pool_age: Duration::from_secs(1_000_000),
            branches: 0,
        };
        Self {
            name: name.clone(),
            node: Arc::new(Mutex::new(node)),
            is_slow: Arc::new(watch::Sender::new(false)),
            changes: Arc::default(),
            change: Arc::default(),
            waited: Arc::default(),
            is_restless: Arc::default(),
        }
    }

    /// The tip changes while the next mempool is being recorded.
    pub(crate) fn change_meanwhile(&self) {
        self.changes.store(true, Ordering::Relaxed);
    }

    /// Keeps the blocks that are asked for back, or lets them go.
    pub(crate) fn hold_back(&self, is_slow: bool) {
        self.is_slow.send_replace(is_slow);
    }

    pub(crate) fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<T>(&self, read: impl FnOnce(&Node) -> T) -> Result<T, SourceError> {
        let node = self.node();
        if node.is_down {
            let (chain, detail) = (self.name.clone(), "switched off".to_owned());
            return Err(SourceError::Unreachable { chain, detail });
        }
        Ok(read(&node))
    }
}

fn tip(node: &Node) -> BlockRef {
    node.blocks.last().unwrap().at.clone()
}

fn at(node: &Node, height: u64) -> Option<Block> {
    node.blocks.get(usize::try_from(height).unwrap()).cloned()
}

impl Source for MemoryChain {
    type Raw = Block;
    type RawPool = Pool;

    fn chain(&self) -> &ChainName {
        &self.name
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, SourceError>> {
        self.node().polled += 1;
        let health = self.answer(|node| Health {
            version: "memory".into(),
            tip: tip(node),
            lowest: 0,
        });
        Box::pin(async { health })
    }

    fn hash_at(&self, height: u64) -> BoxFuture<'_, Result<Option<BlockHash>, SourceError>> {
        let hash = self.answer(|node| at(node, height).map(|block| block.at.hash));
        Box::pin(async { hash })
    }

    fn locate(
        &self,
        transaction: TxId,
        hint: Option<BlockHint>,
    ) -> BoxFuture<'_, Result<Located, SourceError>> {
        let located = self.answer(|node| {
            let holds = |block: &&Block| {
                let meant = match &hint {
                    Some(BlockHint::Height(height)) => block.at.height == *height,
                    Some(BlockHint::Hash(hash)) => block.at.hash == *hash,
                    None => !node.is_forgetful,
                };
                let mut credits = block.credits.iter();
                meant && credits.any(|credit| credit.tx_id == transaction)
            };
            let waits = node.pool.iter().any(|credit| credit.tx_id == transaction);
            match node.blocks.iter().find(holds) {
                Some(block) => Located::Block(block.at.clone()),
                None if waits => Located::Mempool,
                None if hint.is_none() && node.is_forgetful => Located::Unknown,
                None => Located::Nowhere,
            }
        });
        Box::pin(async { located })
    }

    fn mentions(
        &self,
        keys: Vec<Box<[u8]>>,
        (from, to): (u64, u64),
    ) -> BoxFuture<'_, Result<Option<BTreeSet<u64>>, SourceError>> {
        let mentioned = self.answer(|node| {
            let pays = |block: &&Block| {
                let mut credits = block.credits.iter();
                credits.any(|credit| keys.contains(&credit.key))
            };
            let blocks = node.blocks.iter().filter(pays);
            let heights = blocks.map(|block| block.at.height);
            let heights = heights.filter(|height| (from..=to).contains(height));
            node.indexed_from
                .map(|lowest| heights.filter(|height| lowest <= *height).collect())
        });
        Box::pin(async { mentioned })
    }

    fn fetch(&self, block: BlockRef) -> BoxFuture<'_, Result<Block, SourceError>> {
        *self.node().fetched.entry(block.height).or_default() += 1;
        if self.node().pruned.contains(&block.height) {
            let (chain, wanted) = (self.name.clone(), block.height);
            let pruned_height = wanted + 1;
            return Box::pin(async move {
                Err(SourceError::Pruned {
                    chain,
                    pruned_height,
                    wanted,
                })
            });
        }
        let found = self.answer(|node| {
            at(node, block.height)
                .filter(|found| found.at == block && !node.lost.contains(&block.height))
        });
        let missing = SourceError::Missing {
            chain: self.name.clone(),
            block,
        };
        let mut is_slow = self.is_slow.subscribe();
        Box::pin(async move {
            let _arrived = is_slow.wait_for(|is_slow| !is_slow).await;
            found?.ok_or(missing)
        })
    }

    fn scan(
        &self,
        block: &BlockRef,
        mut raw: Block,
        watched: &WatchTable,
    ) -> Result<Block, SourceError> {
        if self.node().is_lying {
            return Err(SourceError::Unproven {
                chain: self.name.clone(),
                block: block.clone(),
                detail: "its transactions are not those of its merkle root".to_owned(),
            });
        }
        let spends = raw.credits.iter().flat_map(|credit| {
            let spent = credit.spends.iter();
            spent.map(|outpoint| (outpoint.to_string(), credit.tx_id.clone()))
        });
        raw.spent = spends
            .filter(|(outpoint, _)| watched.outpoints().contains(outpoint))
            .collect();
        raw.credits
            .retain(|credit| watched.may_contain(&credit.key));
        let is_blind = self.node().held.is_some();
        raw.unseen = is_blind.then(|| coin(&self.name));
        Ok(raw)
    }

    fn fetch_pool(&self) -> BoxFuture<'_, Result<Option<Pool>, SourceError>> {
        let pool = self.answer(|node| {
            Some(Pool {
                tip: tip(node),
                age: node.pool_age,
                credits: node.pool.clone(),
                vettings: node.vettings.clone(),
                conflicts: node.conflicts.clone(),
                spenders: Arc::new(Everything(node.pool.clone())),
            })
        });
        Box::pin(async { pool })
    }

    fn scan_pool(&self, mut raw: Pool, watched: &WatchTable) -> Result<Pool, SourceError> {
        if self.changes.swap(false, Ordering::Relaxed) {
            self.change.notify_one();
        }
        raw.credits
            .retain(|credit| watched.may_contain(&credit.key));
        Ok(raw)
    }

    fn marks(&self) -> BoxFuture<'_, Result<BTreeMap<Mark, BlockRef>, SourceError>> {
        let marks = self.answer(|node| node.marks.clone());
        Box::pin(async { marks })
    }

    fn holdings<'a>(
        &'a self,
        block: &'a BlockRef,
        holders: &'a [Holder],
    ) -> BoxFuture<'a, Result<Option<Vec<Holding>>, SourceError>> {
        let held = {
            let mut node = self.node();
            node.looked.0 += 1;
            node.looked.1 += holders.len();
            let is_kept = at(&node, block.height).is_some_and(|found| found.at == *block);
            if is_kept && !node.pruned.contains(&block.height) {
                let held = holders.iter().map(|one| node.holding(block.height, one));
                Ok(node.held.as_ref().and_then(|_| held.collect()))
            } else {
                Err(SourceError::Missing {
                    chain: self.name.clone(),
                    block: block.clone(),
                })
            }
        };
        Box::pin(async { held })
    }

    fn endpoints(&self) -> Vec<MemberStatus> {
        self.node().endpoints.clone()
    }

    fn wait_for_change<'a>(&'a self, _: &'a BlockRef, _: Duration) -> BoxFuture<'a, ()> {
        self.waited.fetch_add(1, Ordering::Relaxed);
        if self.is_restless.load(Ordering::Relaxed) {
            return Box::pin(std::future::ready(()));
        }
        Box::pin(self.change.notified())
    }
}
