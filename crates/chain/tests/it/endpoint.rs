//! An endpoint that does as it is told.
//!
//! Its chain is a text: the block at a height is the text up to there, so that every block names its
//! parent, and two chains are the same as far as their texts are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paywatch_chain::block::Spenders;
use paywatch_chain::source::BoxFuture;
use paywatch_chain::{Block, Health, Holder, Holding, Pool, Source, SourceError, WatchTable};
use paywatch_domain::{Amount, BlockHash, BlockRef, ChainName, Mark, TxId, UnixMillis};
use tokio::sync::Notify;

/// How an endpoint is at the moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mood {
    /// Its chain.
    pub(crate) blocks: String,
    /// It never answers.
    pub(crate) hangs: bool,
    /// What every poll gets.
    pub(crate) health_error: Option<SourceError>,
    /// What everything else gets.
    pub(crate) error: Option<SourceError>,
    /// It says another chain than that of its tip when it is asked for hashes.
    pub(crate) other_hashes: Option<String>,
    /// Its blocks fail their proof.
    pub(crate) lies: bool,
    /// Its marks, by height.
    pub(crate) marks: BTreeMap<Mark, u64>,
    /// What everybody holds; `None` when it sees every payment.
    pub(crate) held: Option<u64>,
    /// Where its index finds everybody; `None` when it has none.
    pub(crate) indexed: Option<BTreeSet<u64>>,
    /// What it was asked.
    pub(crate) asked: Vec<String>,
}

/// A handle on one endpoint.
#[derive(Clone)]
pub(crate) struct Endpoint {
    name: &'static str,
    mood: Arc<Mutex<Mood>>,
    changed: Arc<Notify>,
}

/// A block of an endpoint.
pub(crate) struct Raw {
    /// Who gave it.
    pub(crate) from: &'static str,
    is_lie: bool,
}

#[derive(Debug)]
struct Nobody;

impl Spenders for Nobody {
    fn spenders(&self, _: &BTreeSet<&str>) -> BTreeMap<String, TxId> {
        BTreeMap::new()
    }
}

pub(crate) fn chain() -> ChainName {
    "chain".parse().unwrap()
}

/// The last block of a text.
pub(crate) fn tip(blocks: &str) -> BlockRef {
    block_at(blocks, u64::try_from(blocks.len() - 1).unwrap()).unwrap()
}

pub(crate) fn block_at(blocks: &str, height: u64) -> Option<BlockRef> {
    let hash = blocks.get(..=usize::try_from(height).unwrap())?;
    let hash = BlockHash::new(hash);
    Some(BlockRef { height, hash })
}

pub(crate) fn unreachable() -> SourceError {
    SourceError::Unreachable {
        chain: chain(),
        detail: "down".to_owned(),
    }
}

impl Endpoint {
    pub(crate) fn new(name: &'static str, blocks: &str) -> Self {
        let mood = Mood {
            blocks: blocks.to_owned(),
            ..Mood::default()
        };
        Self {
            name,
            mood: Arc::new(Mutex::new(mood)),
            changed: Arc::default(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.name.to_owned()
    }

    /// How it is, to be changed.
    pub(crate) fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap()
    }

    /// What it was asked since this was last asked.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.mood().asked)
    }

    pub(crate) fn set_blocks(&self, blocks: &str) {
        blocks.clone_into(&mut self.mood().blocks);
        self.changed.notify_waiters();
    }

    fn answer<T: Send + 'static>(
        &self,
        what: String,
        read: impl FnOnce(&Mood) -> Result<T, SourceError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, SourceError>> {
        let this = self.clone();
        Box::pin(async move {
            let hangs = {
                let mut mood = this.mood();
                mood.asked.push(what);
                mood.hangs
            };
            if hangs {
                std::future::pending::<()>().await;
            }
            read(&this.mood())
        })
    }
}

impl Mood {
    fn checked(&self) -> Result<&Self, SourceError> {
        self.error.clone().map_or(Ok(self), Err)
    }

    fn hashes(&self) -> &str {
        self.other_hashes.as_ref().unwrap_or(&self.blocks)
    }
}

impl Source for Endpoint {
    type Raw = Raw;
    type RawPool = &'static str;

    fn chain(&self) -> &ChainName {
        static NAME: std::sync::LazyLock<ChainName> = std::sync::LazyLock::new(chain);
        &NAME
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, SourceError>> {
        let version = self.name();
        self.answer("health".to_owned(), |mood| {
            mood.health_error.clone().map_or(Ok(()), Err)?;
            Ok(Health {
                version,
                tip: tip(&mood.blocks),
                lowest: 0,
            })
        })
    }

    fn hash_at(&self, height: u64) -> BoxFuture<'_, Result<Option<BlockHash>, SourceError>> {
        self.answer(format!("hash {height}"), move |mood| {
            let block = block_at(mood.checked()?.hashes(), height);
            Ok(block.map(|block| block.hash))
        })
    }

    fn hashes(&self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<BlockHash>, SourceError>> {
        self.answer(format!("hashes {from} {to}"), move |mood| {
            let blocks = mood.checked()?.hashes();
            let hashes = (from..=to).map_while(|height| block_at(blocks, height));
            Ok(hashes.map(|block| block.hash).collect())
        })
    }

    fn mentions(
        &self,
        keys: Vec<Box<[u8]>>,
        (from, to): (u64, u64),
    ) -> BoxFuture<'_, Result<Option<BTreeSet<u64>>, SourceError>> {
        let asked = format!("mentions of {} from {from} to {to}", keys.len());
        self.answer(asked, |mood| Ok(mood.checked()?.indexed.clone()))
    }

    fn fetch(&self, block: BlockRef) -> BoxFuture<'_, Result<Raw, SourceError>> {
        let from = self.name;
        self.answer(format!("fetch {}", block.height), move |mood| {
            let is_there = block_at(&mood.checked()?.blocks, block.height).as_ref() == Some(&block);
            if is_there {
                let is_lie = mood.lies;
                return Ok(Raw { from, is_lie });
            }
            let chain = chain();
            Err(SourceError::Missing { chain, block })
        })
    }

    fn scan(&self, block: &BlockRef, raw: Raw, _: &WatchTable) -> Result<Block, SourceError> {
        assert_eq!(raw.from, self.name, "scanned by whom it did not come from");
        if raw.is_lie {
            return Err(SourceError::Unproven {
                chain: chain(),
                block: block.clone(),
                detail: "its root is another".to_owned(),
            });
        }
        Ok(Block {
            at: block.clone(),
            parent: block.hash.clone(),
            time: UnixMillis(0),
            bytes: self.name.len(),
            credits: Vec::new(),
            spent: Vec::new(),
            outflows: Vec::new(),
            unseen: None,
        })
    }

    fn fetch_pool(&self) -> BoxFuture<'_, Result<Option<&'static str>, SourceError>> {
        let name = self.name;
        self.answer("pool".to_owned(), move |mood| {
            mood.checked()?;
            Ok(Some(name))
        })
    }

    fn scan_pool(&self, raw: &'static str, _: &WatchTable) -> Result<Pool, SourceError> {
        assert_eq!(raw, self.name, "scanned by whom it did not come from");
        let blocks = self.mood().blocks.clone();
        Ok(Pool {
            tip: tip(&blocks),
            age: Duration::ZERO,
            credits: Vec::new(),
            vettings: Vec::new(),
            conflicts: Vec::new(),
            spenders: Arc::new(Nobody),
        })
    }

    fn marks(&self) -> BoxFuture<'_, Result<BTreeMap<Mark, BlockRef>, SourceError>> {
        self.answer("marks".to_owned(), |mood| {
            let mood = mood.checked()?;
            let marks = mood.marks.iter();
            Ok(marks
                .filter_map(|(mark, height)| Some((*mark, block_at(&mood.blocks, *height)?)))
                .collect())
        })
    }

    fn holdings<'a>(
        &'a self,
        at: &'a BlockRef,
        holders: &'a [Holder],
    ) -> BoxFuture<'a, Result<Option<Vec<Holding>>, SourceError>> {
        let count = holders.len();
        self.answer(format!("holdings {}", at.height), move |mood| {
            let held = mood.checked()?.held.map(|balance| Holding {
                balance: Amount::from_atomic(balance),
                nonce: None,
            });
            Ok(held.map(|held| vec![held; count]))
        })
    }

    fn wait_for_change<'a>(&'a self, from: &'a BlockRef, timeout: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let changed = async {
                loop {
                    let notified = self.changed.notified();
                    if tip(&self.mood().blocks) != *from {
                        break;
                    }
                    notified.await;
                }
            };
            self.mood().asked.push(format!("wait {}", from.height));
            let _elapsed = tokio::time::timeout(timeout, changed).await;
        })
    }
}
