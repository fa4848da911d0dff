//! Requests to a node, and their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use paywatch_chain::source::{BoxFuture, Health};
use paywatch_chain::{Holder, Located, Source, SourceError};
use paywatch_domain::{BlockHash, BlockHint, BlockRef, Mark, TxId, UnixMillis};
use paywatch_store::RequestKey;
use paywatch_store::looks::Due;
use tokio::sync::Semaphore;

use super::balances::look;
use crate::apply::Looked;

/// A wait for a new block takes this long at least, in milliseconds: each asks the node something.
const PATIENCE_MS: i64 = 10_000;

/// A request in flight. It knows in which round it was made: what was asked before the follower turned
/// round is thrown away.
pub(super) type Request<S> = BoxFuture<'static, Answer<S>>;

/// What a node answered.
pub(super) struct Answer<S: Source> {
    /// The round in which it was asked.
    pub(super) round: u64,
    /// What was asked, and the answer.
    pub(super) what: What<S>,
}

/// What is read once all blocks are.
pub(super) struct Polled<S: Source> {
    /// The mempool; `None` for a chain without one.
    pub(super) pool: Option<S::RawPool>,
    /// Up to which blocks the node says that its chain will not go back.
    pub(super) marks: BTreeMap<Mark, BlockRef>,
}

/// The answers by kind.
pub(super) enum What<S: Source> {
    /// A poll begun at this time.
    Health(UnixMillis, Result<Health, SourceError>),
    /// The node's hash at a height.
    Hash(u64, Result<Option<BlockHash>, SourceError>),
    /// The node's hashes from a height on; none above its tip.
    Hashes(u64, Result<Vec<BlockHash>, SourceError>),
    /// A block.
    Block(BlockRef, Result<S::Raw, SourceError>),
    /// A block at a height that is read again for a request; `None` above the node's tip.
    Reread(u64, Result<Option<(BlockRef, S::Raw)>, SourceError>),
    /// Where the transaction of a request is.
    Located(RequestKey, Result<Located, SourceError>),
    /// Where the addresses of a request's invoice are named; `None` when every block has to be read.
    Mentioned(RequestKey, Result<Option<BTreeSet<u64>>, SourceError>),
    /// What stands at addresses after a block; `None` when nobody has to look.
    Holdings(BlockRef, Result<Option<Vec<Looked>>, SourceError>),
    /// The mempool and the marks, for the poll begun at this time.
    Pool(UnixMillis, Result<Polled<S>, SourceError>),
    /// The wait for a new block is over.
    Woken,
    /// A block that was not asked for any more when its turn came.
    Withdrawn,
}

pub(super) fn health<S: Source>(source: &Arc<S>, round: u64, begun_at: UnixMillis) -> Request<S> {
    let source = Arc::clone(source);
    Box::pin(async move {
        Answer {
            round,
            what: What::Health(begun_at, source.health().await),
        }
    })
}

pub(super) fn hash<S: Source>(source: &Arc<S>, round: u64, height: u64) -> Request<S> {
    let source = Arc::clone(source);
    Box::pin(async move {
        Answer {
            round,
            what: What::Hash(height, source.hash_at(height).await),
        }
    })
}

pub(super) fn hashes<S: Source>(source: &Arc<S>, round: u64, from: u64, to: u64) -> Request<S> {
    let source = Arc::clone(source);
    Box::pin(async move {
        Answer {
            round,
            what: What::Hashes(from, source.hashes(from, to).await),
        }
    })
}

/// A block, when its turn at the node has come.
pub(super) fn block<S: Source>(
    source: &Arc<S>,
    round: u64,
    turns: &Arc<Semaphore>,
    at: BlockRef,
) -> Request<S> {
    let (source, turns) = (Arc::clone(source), Arc::clone(turns));
    Box::pin(async move {
        let Ok(_turn) = turns.acquire().await else {
            let what = What::Withdrawn;
            return Answer { round, what };
        };
        let raw = source.fetch(at.clone()).await;
        Answer {
            round,
            what: What::Block(at, raw),
        }
    })
}

pub(super) fn reread<S: Source>(source: &Arc<S>, round: u64, height: u64) -> Request<S> {
    let source = Arc::clone(source);
    Box::pin(async move {
        let read = async {
            let Some(hash) = source.hash_at(height).await? else {
                return Ok(None);
            };
            let at = BlockRef { height, hash };
            let raw = source.fetch(at.clone()).await?;
            Ok(Some((at, raw)))
        };
        Answer {
            round,
            what: What::Reread(height, read.await),
        }
    })
}

pub(super) fn locate<S: Source>(
    source: &Arc<S>,
    asked: RequestKey,
    transaction: TxId,
    hint: Option<BlockHint>,
) -> Request<S> {
    let source = Arc::clone(source);
    Box::pin(async move {
        Answer {
            round: 0,
            what: What::Located(asked, source.locate(transaction, hint).await),
        }
    })
}

pub(super) fn mentions<S: Source>(
    source: &Arc<S>,
    asked: RequestKey,
    keys: Vec<Box<[u8]>>,
    heights: (u64, u64),
) -> Request<S> {
    let source = Arc::clone(source);
    Box::pin(async move {
        Answer {
            round: 0,
            what: What::Mentioned(asked, source.mentions(keys, heights).await),
        }
    })
}

pub(super) fn holdings<S: Source>(
    source: &Arc<S>,
    at: BlockRef,
    page: Vec<(Due, Holder)>,
) -> Request<S> {
    let source = Arc::clone(source);
    Box::pin(async move {
        let held = look(&*source, &at, page).await;
        Answer {
            round: 0,
            what: What::Holdings(at, held),
        }
    })
}

pub(super) fn pool<S: Source>(source: &Arc<S>, round: u64, begun_at: UnixMillis) -> Request<S> {
    let source = Arc::clone(source);
    Box::pin(async move {
        let read = async {
            Ok(Polled {
                marks: source.marks().await?,
                pool: source.fetch_pool().await?,
            })
        };
        Answer {
            round,
            what: What::Pool(begun_at, read.await),
        }
    })
}

/// A wait for another tip. The chain is polled meanwhile as well, so it may take long.
pub(super) fn wake<S: Source>(
    source: &Arc<S>,
    round: u64,
    tip: BlockRef,
    poll_ms: i64,
) -> Request<S> {
    let source = Arc::clone(source);
    let patience = u64::try_from(poll_ms.max(PATIENCE_MS)).unwrap_or_default();
    let patience = Duration::from_millis(patience);
    Box::pin(async move {
        source.wait_for_change(&tip, patience).await;
        Answer {
            round,
            what: What::Woken,
        }
    })
}
