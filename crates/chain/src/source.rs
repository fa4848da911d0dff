//! The port itself: what the engine asks of a chain.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use paywatch_domain::{Amount, BlockHash, BlockHint, BlockRef, ChainName, Mark, TxId};

use crate::block::{Block, Pool};
use crate::error::SourceError;
use crate::status::MemberStatus;
use crate::watch::WatchTable;

/// A future that an adapter returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The node's software and version.
    pub version: String,
    /// The last block of its chain.
    pub tip: BlockRef,
    /// The lowest block it can still give; 0 for a node that keeps everything.
    pub lowest: u64,
}

/// Where a node finds a transaction. A hint: the block is read and proven before anything is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// In this block of its chain.
    Block(BlockRef),
    /// In its mempool.
    Mempool,
    /// Not in the block that was named, or nowhere.
    Nowhere,
    /// It cannot tell without being told the block.
    Unknown,
}

/// A key whose balance is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The key as it stands in the watch table.
    pub key: Box<[u8]>,
    /// What its balance should be; where it is that, nothing more is asked.
    pub expected: Option<Amount>,
}

/// What a key held at the end of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// How much of the chain's coin.
    pub balance: Amount,
    /// How many transactions it has sent; `None` where the balance is what was expected.
    pub nonce: Option<u64>,
}

/// One chain, through one node or several.
///
/// Every answer is either complete and proven, or an error; "empty" and "I do not have it" are never
/// confused. Dropping a future cancels the request and leaves no trace.
pub trait Source: Send + Sync + 'static {
    /// What `fetch` brings and `scan` reads: bytes, not yet looked at.
    type Raw: Send + 'static;
    /// What `fetch_pool` brings and `scan_pool` reads.
    type RawPool: Send + 'static;

    /// Which chain this is.
    fn chain(&self) -> &ChainName;

    /// Asks the node who it is: right network, not synchronising. Asked once per poll, so it is
    /// cheap; returns the node's tip with it.
    fn health(&self) -> BoxFuture<'_, Result<Health, SourceError>>;

    /// The hash of the node's chain at `height`; `None` above its tip.
    fn hash_at(&self, height: u64) -> BoxFuture<'_, Result<Option<BlockHash>, SourceError>>;

    /// The hashes of the node's chain from one height on, up to another: as many as one request
    /// brings, at least one. Empty when the lower height is above the node's tip.
    fn hashes(&self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<BlockHash>, SourceError>> {
        Box::pin(async move {
            if to < from {
                return Ok(Vec::new());
            }
            Ok(self.hash_at(from).await?.into_iter().collect())
        })
    }

    /// Finds the block of a transaction, in the block of the hint where there is one. Asked by people
    /// only, so it may cost a few requests, but no search through the chain.
    fn locate(
        &self,
        _transaction: TxId,
        hint: Option<BlockHint>,
    ) -> BoxFuture<'_, Result<Located, SourceError>> {
        Box::pin(async move {
            let Some(BlockHint::Height(height)) = hint else {
                return Ok(Located::Unknown);
            };
            let hash = self.hash_at(height).await?;
            Ok(hash.map_or(Located::Nowhere, |hash| {
                Located::Block(BlockRef { height, hash })
            }))
        })
    }

    /// At which heights, of those from one up to another, transactions stand that name these keys, by an index
    /// of the node; `None` where there is none, or it says too much, so that every block has to be read. Keys of
    /// other families are passed over. A hint: blocks are read and proven before anything is believed.
    /// Asked by people only.
    fn mentions(
        &self,
        _keys: Vec<Box<[u8]>>,
        _heights: (u64, u64),
    ) -> BoxFuture<'_, Result<Option<BTreeSet<u64>>, SourceError>> {
        Box::pin(async { Ok(None) })
    }

    /// Reads a block and what its proof needs.
    fn fetch(&self, block: BlockRef) -> BoxFuture<'_, Result<Self::Raw, SourceError>>;

    /// Proves that `raw` is the whole block `block`, keeps the credits to watched keys, and says which
    /// watched outpoints it spends. Pure.
    fn scan(
        &self,
        block: &BlockRef,
        raw: Self::Raw,
        watched: &WatchTable,
    ) -> Result<Block, SourceError>;

    /// Reads what is new in the mempool; `None` for a chain without one that can be read.
    fn fetch_pool(&self) -> BoxFuture<'_, Result<Option<Self::RawPool>, SourceError>>;

    /// Keeps the credits to watched keys of everything that is in the mempool now. May remember what
    /// it has decoded, so that only new transactions cost anything.
    fn scan_pool(&self, raw: Self::RawPool, watched: &WatchTable) -> Result<Pool, SourceError>;

    /// Up to which blocks the node says that its chain will not go back: the tags of an EVM node, the
    /// commitments of Solana. Asked once per poll that has read everything; nothing for a chain without
    /// marks.
    fn marks(&self) -> BoxFuture<'_, Result<BTreeMap<Mark, BlockRef>, SourceError>> {
        Box::pin(async { Ok(BTreeMap::new()) })
    }

    /// What keys held of the chain's coin at the end of a block, in their order; `None` where scans see all
    /// that comes to a key, so that nobody has to look. The word of the node: nothing proves it.
    fn holdings<'a>(
        &'a self,
        _at: &'a BlockRef,
        _holders: &'a [Holder],
    ) -> BoxFuture<'a, Result<Option<Vec<Holding>>, SourceError>> {
        Box::pin(async { Ok(None) })
    }

    /// What the endpoint gives besides what all of its family do, in words, as far as that was found out.
    fn offers(&self) -> Option<String> {
        None
    }

    /// How each endpoint behind this source is, as it was last heard; nothing where nobody keeps account.
    fn endpoints(&self) -> Vec<MemberStatus> {
        Vec::new()
    }

    /// Waits until the node's tip is not `tip` any more, `timeout` at the longest. A hint: the caller
    /// polls afterwards whatever this returned, errors included.
    fn wait_for_change<'a>(&'a self, tip: &'a BlockRef, timeout: Duration) -> BoxFuture<'a, ()>;
}
