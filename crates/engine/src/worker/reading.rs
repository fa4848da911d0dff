//! Blocks that are read for a request beside following: a few at a time, in order, linked.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paywatch_chain::{Block, Source, SourceError, WatchTable};
use paywatch_domain::{BlockHash, BlockRef, UnixMillis, limits};
use paywatch_store::requests::Request as Asked;

use super::ask::{self, Request};
use super::piece::{Obstacle, Piece};
use super::wallet_scan::WalletScan;
use crate::apply::Aim;

/// How long to wait before a block is asked for again, in milliseconds.
const REST_MS: i64 = 1_000;
/// Blocks that are scanned before following has its turn again.
const TURN_BLOCKS: usize = 4;

/// Reads the blocks of one request.
pub(super) struct Reading<S: Source> {
    /// What was asked, and how far it is recorded.
    pub(super) asked: Asked,
    /// The wallet that is looked for; `None` when blocks are read for what is watched.
    pub(super) wallet: Option<WalletScan>,
    /// Which transfers it is about.
    pub(super) aim: Aim,
    /// What is read now; `None` when that is to be found out.
    pub(super) piece: Option<Piece>,
    /// Blocks of the piece that are scanned, without gaps.
    scanned: Vec<Block>,
    from: u64,
    /// The lowest block that is not recorded.
    pub(super) next: u64,
    /// The highest block to record.
    pub(super) to: u64,
    /// The heights to read, where the others hold nothing of what is looked for; `None` for all of them.
    places: Option<BTreeSet<u64>>,
    /// The hash of the block below `next`, where only the links from block to block bind it to the chain.
    below: Option<BlockHash>,
    /// In which round blocks are asked for; `None` before the first of them.
    round: Option<u64>,
    /// Blocks that arrived and wait for their turn; `None` for one that is still on its way.
    arrived: BTreeMap<u64, Option<(BlockRef, S::Raw)>>,
    branch: u64,
    /// The block in which a transaction was found that is to be attached; `None` for other requests.
    located: Option<BlockRef>,
    /// How often it had to begin anew since something was recorded.
    pub(super) attempts: u32,
    /// Whether something kept it from reading on, ever.
    has_rested: bool,
    pub(super) rest_until: UnixMillis,
}

impl<S: Source> Reading<S> {
    /// Goes on from what is recorded.
    pub(super) fn new(
        asked: Asked,
        wallet: Option<WalletScan>,
        (from, to): (u64, u64),
        branch: u64,
    ) -> Self {
        Self {
            aim: Aim::default(),
            piece: None,
            from,
            next: from.saturating_add(asked.progress.blocks_done),
            to,
            asked,
            wallet,
            places: None,
            scanned: Vec::new(),
            below: None,
            round: None,
            arrived: BTreeMap::new(),
            branch,
            located: None,
            attempts: 0,
            has_rested: false,
            rest_until: UnixMillis(0),
        }
    }

    /// Reads the block in which a transaction was found, and no other one at its height.
    pub(super) fn of_located(asked: Asked, at: BlockRef, branch: u64) -> Self {
        let heights = (at.height, at.height);
        Self {
            located: Some(at),
            ..Self::new(asked, None, heights, branch)
        }
    }

    /// Whether the block in which a transaction was found could not be read: it may be in another one now.
    pub(super) fn is_to_be_located(&self) -> bool {
        self.located.is_some() && self.has_rested
    }

    /// The same, about these transfers.
    pub(super) fn aimed(self, aim: Aim) -> Self {
        Self { aim, ..self }
    }

    /// Reads at these heights alone, and what proves the blocks there.
    pub(super) fn keep_to_places(&mut self, places: BTreeSet<u64>) {
        self.places = Some(places);
        self.next = self.behind();
    }

    /// From where on a piece is wanted, and up to where.
    pub(super) fn wanted(&self) -> (u64, u64) {
        let to = if self.places.is_some() {
            self.next
        } else {
            self.to
        };
        (self.next, to)
    }

    /// The height to go on with behind what is scanned; above `to` when nothing is left.
    fn behind(&self) -> u64 {
        let top = self.top();
        let Some(places) = &self.places else {
            return top;
        };
        let next = places.range(top..).next().copied();
        next.unwrap_or_else(|| self.to.saturating_add(1).max(top))
    }

    /// How many of the blocks that were asked for are dealt with once this piece is recorded.
    pub(super) fn done(&self) -> u64 {
        let end = self.to.saturating_add(1);
        self.behind().min(end).saturating_sub(self.from)
    }

    /// The height of the next block to scan.
    fn top(&self) -> u64 {
        let scanned = u64::try_from(self.scanned.len()).unwrap_or(u64::MAX);
        self.next.saturating_add(scanned)
    }

    /// Whether it waits before it asks again.
    pub(super) fn is_resting(&self, now: UnixMillis) -> bool {
        self.rest_until.is_awaited(now, REST_MS)
    }

    /// What to ask now. No other reading of this worker had a round in common with this one, so what was
    /// asked for another one is not taken for this one's.
    pub(super) fn requests(
        &mut self,
        source: &Arc<S>,
        rounds: &mut u64,
        now: UnixMillis,
    ) -> Vec<Request<S>> {
        let mut requests = Vec::new();
        let Some(piece) = self.piece.as_ref().filter(|_| !self.is_resting(now)) else {
            return requests;
        };
        let round = *self.round.get_or_insert_with(|| {
            *rounds = rounds.saturating_add(1);
            *rounds
        });
        for height in (self.top()..=piece.to).take(limits::REQUEST_PREFETCH_BLOCKS_MAX) {
            if let Entry::Vacant(place) = self.arrived.entry(height) {
                place.insert(None);
                requests.push(ask::reread(source, round, height));
            }
        }
        requests
    }

    /// Takes a block that was asked for in a round; above the node's tip there is none.
    pub(super) fn take(
        &mut self,
        round: u64,
        height: u64,
        block: Result<Option<(BlockRef, S::Raw)>, SourceError>,
        now: UnixMillis,
    ) -> Result<(), Obstacle> {
        if Some(round) != self.round {
            return Ok(());
        }
        match block {
            Ok(Some(block)) => drop(self.arrived.insert(height, Some(block))),
            Ok(None) => {
                self.rest(now);
                return Err(Obstacle::shorter(height));
            }
            Err(error) => {
                self.rest(now);
                return Err(error.into());
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
    ) -> Result<bool, Obstacle> {
        let mut progress = false;
        for _ in 0..TURN_BLOCKS {
            // One that is still on its way keeps its place, or it would be asked for again.
            if self.is_complete() || !self.has_next() {
                break;
            }
            let Some(Some((at, raw))) = self.arrived.remove(&self.top()) else {
                break;
            };
            let table = self.wallet.as_ref().map_or(watched, WalletScan::table);
            let block = source
                .scan(&at, raw, table)
                .inspect_err(|_| self.rest(now))?;
            if !self.fits(&block) {
                self.start_over_unproven();
                self.rest(now);
                return Err(Obstacle::foreign(&block.at));
            }
            // Found in what may still be thrown away: that raises a counter for nothing, and no more.
            if let Some(wallet) = &mut self.wallet {
                wallet.note(&block);
            }
            self.scanned.push(block);
            progress = true;
        }
        Ok(progress)
    }

    /// Whether a block links to the one below it and is the one that is followed, where that is known.
    fn fits(&self, block: &Block) -> bool {
        let below = self.scanned.last().map(|below| &below.at.hash);
        let is_linked = below
            .or(self.below.as_ref())
            .is_none_or(|below| *below == block.parent);
        let seal = self.piece.as_ref().and_then(|piece| piece.seal.as_ref());
        let is_followed =
            seal.is_none_or(|seal| seal.height != block.at.height || *seal == block.at);
        let is_located = self
            .located
            .as_ref()
            .is_none_or(|at| at.height != block.at.height || *at == block.at);
        is_linked && is_followed && is_located
    }

    /// What only its links bind to the chain turned out not to belong to it.
    fn start_over_unproven(&mut self) {
        if self.below.take().is_some() {
            self.next = self.from;
            self.asked.progress.blocks_done = 0;
        }
    }

    /// Whether the whole piece is scanned.
    pub(super) fn is_complete(&self) -> bool {
        self.piece
            .as_ref()
            .is_some_and(|piece| piece.to < self.top())
    }

    /// Whether nothing is left to be read after a complete piece.
    pub(super) fn is_last(&self) -> bool {
        self.to < self.behind()
    }

    /// What is scanned of what was asked for; what is above only proves it.
    pub(super) fn found(&self) -> Vec<Block> {
        let asked = self.scanned.iter();
        let asked = asked.filter(|block| block.at.height <= self.to);
        asked.cloned().collect()
    }

    /// The piece was recorded.
    pub(super) fn recorded(&mut self) {
        self.attempts = 0;
        self.next = self.behind();
        let piece = self.piece.take();
        let is_proven = piece.is_some_and(|piece| piece.seal.is_some());
        let last = self.scanned.last().filter(|_| !is_proven);
        self.below = last.map(|block| block.at.hash.clone());
        self.scanned.clear();
        self.arrived.clear();
    }

    /// Throws away what was read and not recorded, and asks for it again a little later.
    pub(super) fn rest(&mut self, now: UnixMillis) {
        self.attempts = self.attempts.saturating_add(1);
        self.has_rested = true;
        self.round = None;
        self.arrived.clear();
        self.scanned.clear();
        self.piece = None;
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
