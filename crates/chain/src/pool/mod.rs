//! Several endpoints of one chain, used as one.
//!
//! What is said of the chain is what enough endpoints agree on: the tip that is served, and every hash at
//! a height, is on the chains of `agree` of them. What belongs to a hash, a block with all that its proof
//! needs, comes whole from one endpoint: whoever gave it, its proof leads to that hash. Which endpoint is
//! asked is decided by its standing: failures and lies lower it, time heals.
//!
//! A pool of one endpoint asks it what it is asked itself, and nothing else.

mod hashes;
mod health;
mod holdings;
mod member;
mod reading;
mod report;
mod vote;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paywatch_domain::{BlockHash, BlockHint, BlockRef, ChainName, Mark, TxId};

use crate::block::{Block, Pool};
use crate::error::SourceError;
use crate::source::{BoxFuture, Health, Holder, Holding, Located, Source};
use crate::status::{Condition, MemberStatus};
use crate::watch::WatchTable;
use member::Member;

/// Why a pool cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// There is nobody to ask.
    #[error("a chain needs at least one endpoint")]
    Empty,
    /// As many endpoints as have to agree do not exist.
    #[error("{agree} of {members} endpoints cannot agree; it must be 1 to {members}")]
    Agreement {
        /// How many have to agree.
        agree: usize,
        /// How many there are.
        members: usize,
    },
}

/// Several endpoints of one chain as one [`Source`].
pub struct EndpointPool<S: Source> {
    chain: ChainName,
    members: Vec<Member<S>>,
    /// How many endpoints have to say the same.
    agree: usize,
    state: Mutex<State>,
}

/// What an endpoint gave, and which it was: it has to answer for it when it is scanned.
pub struct PoolRaw<T> {
    member: usize,
    raw: T,
}

/// What the last poll found.
#[derive(Debug, Default)]
struct State {
    /// The endpoint that is asked as long as it is well.
    leader: usize,
    served: Option<Served>,
    /// Whether the endpoints contradicted each other.
    is_split: bool,
    /// What was last said of each endpoint in the log.
    told: Vec<Option<Condition>>,
}

/// What is served as the chain.
#[derive(Clone, Debug)]
struct Served {
    tip: BlockRef,
    /// The endpoints that have this tip on their chain.
    voters: Vec<usize>,
    /// Those that had another block at its height.
    apart: Vec<usize>,
}

impl<S: Source> EndpointPool<S> {
    /// A pool of endpoints with their names, host and port, the preferred one first. `agree` of them have
    /// to say the same before it is believed. Nothing is asked of them yet.
    pub fn new(endpoints: Vec<(String, S)>, agree: usize) -> Result<Self, PoolError> {
        let Some((_, first)) = endpoints.first() else {
            return Err(PoolError::Empty);
        };
        let count = endpoints.len();
        if agree == 0 || count < agree {
            return Err(PoolError::Agreement {
                agree,
                members: count,
            });
        }
        let chain = first.chain().clone();
        let mut names = HashSet::new();
        let mut members = Vec::with_capacity(count);
        for (number, (name, source)) in (1_usize..).zip(endpoints) {
            // Two keys of one provider are two endpoints.
            let is_new = names.insert(name.clone());
            let name = if is_new {
                name
            } else {
                format!("{name}#{number}")
            };
            members.push(Member::new(name, source));
        }
        Ok(Self {
            chain,
            members,
            agree,
            state: Mutex::default(),
        })
    }

    /// The only endpoint, when there is only one.
    fn only(&self) -> Option<&Member<S>> {
        match self.members.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Source> Source for EndpointPool<S> {
    type Raw = PoolRaw<S::Raw>;
    type RawPool = PoolRaw<S::RawPool>;

    fn chain(&self) -> &ChainName {
        &self.chain
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, SourceError>> {
        Box::pin(self.agreed_health())
    }

    fn hash_at(&self, height: u64) -> BoxFuture<'_, Result<Option<BlockHash>, SourceError>> {
        Box::pin(self.agreed_hash(height))
    }

    fn hashes(&self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<BlockHash>, SourceError>> {
        Box::pin(self.agreed_hashes(from, to))
    }

    fn locate(
        &self,
        transaction: TxId,
        hint: Option<BlockHint>,
    ) -> BoxFuture<'_, Result<Located, SourceError>> {
        Box::pin(self.locate_anywhere(transaction, hint))
    }

    fn mentions(
        &self,
        keys: Vec<Box<[u8]>>,
        heights: (u64, u64),
    ) -> BoxFuture<'_, Result<Option<BTreeSet<u64>>, SourceError>> {
        Box::pin(self.mentioned_anywhere(keys, heights))
    }

    fn fetch(&self, block: BlockRef) -> BoxFuture<'_, Result<Self::Raw, SourceError>> {
        Box::pin(async move {
            let order = self.order(block.height);
            let fetched = self.first_of(&order, |source| source.fetch(block.clone()));
            let (member, raw) = fetched.await?;
            Ok(PoolRaw { member, raw })
        })
    }

    fn scan(
        &self,
        block: &BlockRef,
        raw: Self::Raw,
        watched: &WatchTable,
    ) -> Result<Block, SourceError> {
        let PoolRaw { member, raw } = raw;
        let member = self.member(member)?;
        let scanned = member.source.scan(block, raw, watched);
        scanned.inspect_err(|error| self.note_error(member, error))
    }

    fn fetch_pool(&self) -> BoxFuture<'_, Result<Option<Self::RawPool>, SourceError>> {
        Box::pin(async move {
            let (member, raw) = self.first_of(&self.order(0), S::fetch_pool).await?;
            Ok(raw.map(|raw| PoolRaw { member, raw }))
        })
    }

    fn scan_pool(&self, raw: Self::RawPool, watched: &WatchTable) -> Result<Pool, SourceError> {
        let PoolRaw { member, raw } = raw;
        let member = self.member(member)?;
        let scanned = member.source.scan_pool(raw, watched);
        scanned.inspect_err(|error| self.note_error(member, error))
    }

    fn marks(&self) -> BoxFuture<'_, Result<BTreeMap<Mark, BlockRef>, SourceError>> {
        Box::pin(self.agreed_marks())
    }

    fn holdings<'a>(
        &'a self,
        at: &'a BlockRef,
        holders: &'a [Holder],
    ) -> BoxFuture<'a, Result<Option<Vec<Holding>>, SourceError>> {
        Box::pin(self.agreed_holdings(at, holders))
    }

    fn endpoints(&self) -> Vec<MemberStatus> {
        self.members()
    }

    fn wait_for_change<'a>(&'a self, tip: &'a BlockRef, timeout: Duration) -> BoxFuture<'a, ()> {
        Box::pin(self.wait_for_any_change(tip, timeout))
    }
}
