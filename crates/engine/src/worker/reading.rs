//! Blocks that are read for a request beside following: a few at a time, in order, linked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use paywatch_chain::{Block, Source, SourceError, WatchTable};
use paywatch_domain::{BlockHash, BlockRef, UnixMillis, limits};
use paywatch_store::requests::Request as Asked;

use super::ask::{self, Request};
use super::wallet_scan::WalletScan;

/// How long to wait before a block is asked for again, in milliseconds.
const REST_MS: i64 = 1_000;
/// What was read is recorded after this time although more would fit, in milliseconds.
const RECORD_MS: i64 = 1_000;
/// Blocks that are scanned before following has its turn again.
const TURN_BLOCKS: usize = 4;

/// Reads the blocks of one request.
pub(super) struct Reading<S: Source> {
    /// What was asked, and how far it is recorded.
    pub(super) asked: Asked,
    /// The wallet that is looked for; `None` when blocks are read for what is watched.
    pub(super) wallet: Option<WalletScan>,
    /// Blocks that are scanned and not recorded, without gaps.
    pub(super) scanned: Vec<Block>,
    /// The lowest block that is not recorded.
    next: u64,
    /// The highest block to read.
    to: u64,
    /// The hash of the block below `next`, where this process has read it.
    below: Option<BlockHash>,
    round: u64,
    /// Blocks that arrived and wait for their turn; `None` for one that is still on its way.
    arrived: BTreeMap<u64, Option<(BlockRef, S::Raw)>>,
    branch: u64,
    recorded_at: UnixMillis,
    rest_until: UnixMillis,
}

impl<S: Source> Reading<S> {
    /// Goes on from what is recorded.
    pub(super) fn new(
        asked: Asked,
        wallet: Option<WalletScan>,
        (from, to): (u64, u64),
        branch: u64,
        now: UnixMillis,
    ) -> Self {
        Self {
            next: from.saturating_add(asked.progress.blocks_done),
            to,
            asked,
            wallet,
            scanned: Vec::new(),
            below: None,
            round: 0,
            arrived: BTreeMap::new(),
            branch,
            recorded_at: now,
            rest_until: UnixMillis(0),
        }
    }

    /// The height of the next block to scan.
    fn top(&self) -> u64 {
        let scanned = u64::try_from(self.scanned.len()).unwrap_or(u64::MAX);
        self.next.saturating_add(scanned)
    }

    /// Whether nothing is left to be read after what is scanned.
    pub(super) fn is_last(&self) -> bool {
        self.to < self.top()
    }

    /// What to ask now.
    pub(super) fn requests(&mut self, source: &Arc<S>, now: UnixMillis) -> Vec<Request<S>> {
        let mut requests = Vec::new();
        if now < self.rest_until || self.is_full() {
            return requests;
        }
        for height in (self.top()..=self.to).take(limits::REQUEST_PREFETCH_BLOCKS_MAX) {
            if let Entry::Vacant(place) = self.arrived.entry(height) {
                place.insert(None);
                requests.push(ask::reread(source, self.round, height));
            }
        }
        requests
    }

    /// Takes a block that was asked for in a round; above the node's tip there is none yet.
    pub(super) fn take(
        &mut self,
        round: u64,
        height: u64,
        block: Result<Option<(BlockRef, S::Raw)>, SourceError>,
        now: UnixMillis,
    ) -> Result<(), SourceError> {
        if round != self.round {
            return Ok(());
        }
        match block {
            Ok(Some(block)) => drop(self.arrived.insert(height, Some(block))),
            Ok(None) => self.rest(now),
            Err(error) => {
                self.rest(now);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether the block whose turn it is has arrived.
    pub(super) fn has_next(&self) -> bool {
        matches!(self.arrived.get(&self.top()), Some(Some(_)))
    }

    /// Scans the next few blocks that have arrived; answers whether there were any.
    pub(super) fn scan(
        &mut self,
        source: &S,
        watched: &WatchTable,
        now: UnixMillis,
    ) -> Result<bool, SourceError> {
        let mut progress = false;
        for _ in 0..TURN_BLOCKS {
            // One that is still on its way keeps its place, or it would be asked for again.
            if self.is_full() || !self.has_next() {
                break;
            }
            let Some(Some((at, raw))) = self.arrived.remove(&self.top()) else {
                break;
            };
            let table = self.wallet.as_ref().map_or(watched, WalletScan::table);
            let block = source
                .scan(&at, raw, table)
                .inspect_err(|_| self.rest(now))?;
            let below = self.scanned.last().map(|block| &block.at.hash);
            if below
                .or(self.below.as_ref())
                .is_some_and(|below| *below != block.parent)
            {
                self.rest(now);
                return Ok(true);
            }
            if let Some(wallet) = &mut self.wallet {
                wallet.note(&block);
            }
            self.scanned.push(block);
            progress = true;
        }
        // A place that was emptied and not filled is asked for again.
        let top = self.top();
        self.arrived.retain(|height, _| top <= *height);
        Ok(progress)
    }

    /// Whether enough is scanned, or enough time has passed, to record it.
    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        let waited = RECORD_MS <= now.ms_since(self.recorded_at);
        !self.scanned.is_empty() && (self.is_full() || self.is_last() || waited)
    }

    fn is_full(&self) -> bool {
        let bytes: usize = self.scanned.iter().map(|block| block.bytes).sum();
        limits::CHAIN_EVENT_BLOCKS_MAX <= self.scanned.len()
            || limits::CHAIN_EVENT_BYTES_MAX <= bytes
    }

    /// What is scanned was recorded.
    pub(super) fn recorded(&mut self, now: UnixMillis) {
        self.next = self.top();
        self.below = self.scanned.last().map(|block| block.at.hash.clone());
        self.scanned.clear();
        self.recorded_at = now;
    }

    /// Throws away what was read and not recorded, and asks for it again a little later.
    pub(super) fn rest(&mut self, now: UnixMillis) {
        self.round = self.round.saturating_add(1);
        self.arrived.clear();
        self.scanned.clear();
        self.below = None;
        self.rest_until = now.plus_ms(REST_MS);
    }

    /// Throws away what was read from a branch that the chain has left.
    pub(super) fn keep_to(&mut self, branch: u64, now: UnixMillis) {
        if branch != self.branch {
            self.branch = branch;
            self.rest(now);
        }
    }
}
