//! The adapter of simulated chains: the real port, over endpoints that fail, lag and lie.
//!
//! What a real adapter proves (that a block is whole and the one that was asked for) is proven here too, so
//! lies about that become errors; lies that no proof can find, such as an old tip, come through.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use paywatch_chain::source::{BoxFuture, Health};
use paywatch_chain::{Block, Credit, Pool, Source, SourceError, Spenders, WatchTable};
use paywatch_domain::{Amount, BlockHash, BlockRef, ChainName, Family, Mark, TxId, UnixMillis};

use super::ledger::{BlockData, Tx};
use super::node::{Fate, Node};
use crate::clock::{Clock, Who};

/// The most hashes of one answer.
const HASHES_MAX: u64 = 16;
/// How long the word of a new block is on its way, in milliseconds.
const HINT_MS: i64 = 50;
/// An endpoint that is so many blocks behind says that it is synchronising.
const BEHIND_MAX: u64 = 3;

/// One chain through its endpoints.
#[derive(Clone, Debug)]
pub struct SimSource {
    name: ChainName,
    who: Who,
    clock: Clock,
    node: Arc<Mutex<Node>>,
}

/// A block as an endpoint gave it.
#[derive(Debug)]
pub struct RawBlock {
    data: Arc<BlockData>,
    /// Whether something is missing.
    is_damaged: bool,
}

/// A mempool as an endpoint gave it.
#[derive(Debug)]
pub struct RawPool {
    tip: BlockRef,
    age: Duration,
    txs: Vec<Arc<Tx>>,
}

/// Everything that waits, whomever it pays.
#[derive(Debug)]
struct Everything(Vec<Arc<Tx>>);

impl Spenders for Everything {
    fn spenders(&self, outpoints: &BTreeSet<&str>) -> BTreeMap<String, TxId> {
        let spends = self.0.iter().flat_map(|tx| {
            let spent = tx.spends.iter();
            spent.map(|outpoint| (outpoint.to_string(), tx.id.clone()))
        });
        spends
            .filter(|(outpoint, _)| outpoints.contains(outpoint.as_str()))
            .collect()
    }
}

impl SimSource {
    /// The adapter of one chain.
    pub fn new(name: ChainName, number: usize, clock: Clock, node: Arc<Mutex<Node>>) -> Self {
        let who = Who::Chain(number);
        Self {
            name,
            who,
            clock,
            node,
        }
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the endpoint, which reads its answer somewhere between the question and its arrival.
    fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Node, bool, UnixMillis) -> Result<T, SourceError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, SourceError>> {
        let this = self.clone();
        let begun_at = self.clock.shown();
        Box::pin(async move {
            let (fate, before_ms, after_ms) = this.node().draw();
            this.clock.wait(this.who, before_ms).await;
            let answer = match fate {
                Fate::Nothing => Err(this.unreachable()),
                Fate::Honest | Fate::Lie => read(&mut this.node(), fate == Fate::Lie, begun_at),
            };
            this.clock.wait(this.who, after_ms).await;
            answer
        })
    }

    fn unreachable(&self) -> SourceError {
        SourceError::Unreachable {
            chain: self.name.clone(),
            detail: "no answer in time".into(),
        }
    }
}

fn health(
    node: &mut Node,
    chain: ChainName,
    is_lie: bool,
    begun_at: UnixMillis,
) -> Result<Health, SourceError> {
    let mut tip = node.ledger.block(node.endpoint().tip).at.clone();
    let best = node.ledger.block(node.ledger.best()).at.height;
    if BEHIND_MAX < best.saturating_sub(tip.height) {
        let (done, total) = (tip.height, best);
        return Err(SourceError::Synchronising { chain, done, total });
    }
    if is_lie {
        tip.height = tip.height.saturating_add(node.random.below(3));
        tip.hash = BlockHash::new(&format!("invented-{}", node.random.draw()));
    }
    node.polls.push(begun_at);
    Ok(Health {
        version: "simulated".into(),
        tip,
        lowest: 0,
    })
}

fn fetch(
    node: &mut Node,
    chain: ChainName,
    block: BlockRef,
    is_lie: bool,
) -> Result<RawBlock, SourceError> {
    let missing = |chain, block| Err(SourceError::Missing { chain, block });
    let Some(id) = node.ledger.find(&block.hash) else {
        return missing(chain, block);
    };
    if !is_lie {
        let data = Arc::clone(node.ledger.block(id));
        return Ok(RawBlock {
            data,
            is_damaged: false,
        });
    }
    match node.random.below(5) {
        0 => missing(chain, block),
        1 => Err(SourceError::Stale { chain, block }),
        2 => Err(SourceError::Malformed {
            chain,
            detail: "it breaks off".into(),
        }),
        3 => Ok(RawBlock {
            data: Arc::clone(node.ledger.block(node.ledger.block(id).below.unwrap_or(id))),
            is_damaged: false,
        }),
        _ => Ok(RawBlock {
            data: Arc::clone(node.ledger.block(id)),
            is_damaged: true,
        }),
    }
}

impl Source for SimSource {
    type Raw = RawBlock;
    type RawPool = RawPool;

    fn chain(&self) -> &ChainName {
        &self.name
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, SourceError>> {
        let chain = self.name.clone();
        self.ask(move |node, is_lie, begun_at| health(node, chain, is_lie, begun_at))
    }

    fn hash_at(&self, height: u64) -> BoxFuture<'_, Result<Option<BlockHash>, SourceError>> {
        self.ask(move |node, is_lie, _| {
            let tip = if is_lie {
                node.ledger.best()
            } else {
                node.endpoint().tip
            };
            let found = node.ledger.at_height(tip, height);
            Ok(found.map(|block| block.at.hash.clone()))
        })
    }

    fn hashes(&self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<BlockHash>, SourceError>> {
        self.ask(move |node, is_lie, _| {
            if is_lie && node.random.is(500_000) {
                return Ok(Vec::new());
            }
            let tip = node.endpoint().tip;
            let to = to.min(from.saturating_add(HASHES_MAX));
            let blocks = (from..=to).map_while(|height| node.ledger.at_height(tip, height));
            Ok(blocks.map(|block| block.at.hash.clone()).collect())
        })
    }

    fn fetch(&self, block: BlockRef) -> BoxFuture<'_, Result<RawBlock, SourceError>> {
        let chain = self.name.clone();
        self.ask(move |node, is_lie, _| fetch(node, chain, block, is_lie))
    }

    fn scan(
        &self,
        block: &BlockRef,
        raw: RawBlock,
        watched: &WatchTable,
    ) -> Result<Block, SourceError> {
        if raw.is_damaged || raw.data.at != *block {
            return Err(SourceError::Unproven {
                chain: self.name.clone(),
                block: block.clone(),
                detail: "its transactions are not those of its header".into(),
            });
        }
        let succeeded = raw.data.entries.iter().filter(|entry| entry.has_succeeded);
        let credits = succeeded.flat_map(|entry| credits(&entry.tx, watched));
        let outpoints = watched.outpoints();
        let spends = raw.data.entries.iter().flat_map(|entry| {
            let spent = entry.tx.spends.iter();
            spent.map(|out| (out.to_string(), entry.tx.id.clone()))
        });
        Ok(Block {
            at: raw.data.at.clone(),
            parent: raw.data.parent.clone(),
            time: raw.data.time,
            bytes: 1_000,
            credits: credits.collect(),
            spent: spends.filter(|(out, _)| outpoints.contains(out)).collect(),
            outflows: Vec::new(),
            unseen: None,
        })
    }

    fn fetch_pool(&self) -> BoxFuture<'_, Result<Option<RawPool>, SourceError>> {
        if self.node().plan.family != Family::Bitcoin {
            return Box::pin(async { Ok(None) });
        }
        let clock = self.clock.clone();
        self.ask(move |node, _, _| {
            let endpoint = node.endpoint();
            let age_ms = clock.now().ms_since(endpoint.since);
            Ok(Some(RawPool {
                tip: node.ledger.block(endpoint.tip).at.clone(),
                age: Duration::from_millis(u64::try_from(age_ms).unwrap_or(0)),
                txs: node.pool(),
            }))
        })
    }

    fn scan_pool(&self, raw: RawPool, watched: &WatchTable) -> Result<Pool, SourceError> {
        Ok(Pool {
            tip: raw.tip,
            age: raw.age,
            credits: raw.txs.iter().flat_map(|tx| credits(tx, watched)).collect(),
            // Nothing is accepted without a block in these worlds yet.
            vettings: Vec::new(),
            conflicts: Vec::new(),
            spenders: Arc::new(Everything(raw.txs)),
        })
    }

    fn marks(&self) -> BoxFuture<'_, Result<BTreeMap<Mark, BlockRef>, SourceError>> {
        if self.node().plan.marks.is_empty() {
            return Box::pin(async { Ok(BTreeMap::new()) });
        }
        self.ask(|node, is_lie, _| Ok(node.marks(is_lie)))
    }

    fn wait_for_change<'a>(&'a self, tip: &'a BlockRef, patience: Duration) -> BoxFuture<'a, ()> {
        let patience_ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        let mut timeout = Box::pin(self.clock.wait(self.who, patience_ms));
        let change = poll_fn(move |context| {
            let mut node = self.node();
            if node.plan.has_hints {
                if node.ledger.block(node.endpoint().tip).at != *tip {
                    return Poll::Ready(());
                }
                node.watchers.push(context.waker().clone());
            }
            drop(node);
            timeout.as_mut().poll(context)
        });
        Box::pin(async move {
            change.await;
            self.clock.wait(self.who, HINT_MS).await;
        })
    }
}

fn credits<'a>(tx: &'a Tx, watched: &'a WatchTable) -> impl Iterator<Item = Credit> + 'a {
    let watched = tx.pays.iter().filter(|pay| watched.may_contain(&pay.key));
    watched.map(|pay| Credit {
        key: pay.key.clone(),
        asset: pay.asset.clone(),
        amount: Amount::from_atomic(pay.amount),
        tx_id: tx.id.clone(),
        position: pay.position.clone(),
        maturity: 0,
        spends: tx.spends.clone(),
    })
}
