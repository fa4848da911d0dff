//! The state of a worker that holds its chain's lease.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywatch_chain::{Source, SourceError, WatchTable};
use paywatch_domain::{BlockHash, BlockRef, UnixMillis, limits};
use paywatch_store::chains::Lease;
use paywatch_store::watched::WatchMark;
use tokio::sync::Semaphore;

use super::ask::{self, Answer, Request, What};
use super::attach::Locating;
use super::balances::Balances;
use super::endpoints::Endpoints;
use super::headers::KeptHeaders;
use super::line::Line;
use super::poll::Said;
use super::reading::Reading;
use super::speed::Speed;
use super::{Fault, Pace, Parts};
use crate::apply::ApplyBlocks;
use crate::follower::{Follower, Want};

/// Blocks that the node is asked for at one time. They share the node and the line: with more of them
/// the first one, which is waited for, comes later. The others take their turns by themselves, also
/// while the worker waits for the database.
const BLOCKS_AT_ONCE: usize = 3;

/// The least time from one wait for a change to the next, in milliseconds: a node whose waits end at once is
/// not asked without end.
const WAKE_MS_MIN: i64 = 50;

/// Turns at the node for a round of requests.
pub(super) fn turns() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(BLOCKS_AT_ONCE))
}

/// What was asked and not answered yet, besides blocks.
#[derive(Default)]
pub(super) struct Asked {
    health: bool,
    hash: Option<u64>,
    /// From which height on.
    hashes: Option<u64>,
    pool: bool,
    wake: bool,
}

pub(super) struct Following<S: Source> {
    pub(super) lease: Lease,
    pub(super) lease_until: UnixMillis,
    pub(super) follower: Follower,
    pub(super) watched: WatchTable,
    pub(super) mark: WatchMark,
    pub(super) round: u64,
    /// Blocks that arrived and wait for their turn; `None` for one that is still on its way.
    pub(super) blocks: BTreeMap<u64, Option<(BlockRef, S::Raw)>>,
    /// The node's hashes of blocks that were not asked for yet. What stands on another branch by the
    /// time it is read does not connect, and all of this is forgotten.
    pub(super) hashes: BTreeMap<u64, BlockHash>,
    pub(super) asked: Asked,
    /// Whose turn it is to be read; withdrawn with the round.
    pub(super) turns: Arc<Semaphore>,
    pub(super) poll_at: UnixMillis,
    /// When the next wait for a change may begin.
    pub(super) wake_from: UnixMillis,
    /// When the poll began whose tip the follower has.
    pub(super) polled_at: Option<UnixMillis>,
    /// Up to when coverage was last recorded.
    pub(super) covered_at: UnixMillis,
    /// When the last poll began that found everything read, recorded or not.
    pub(super) seen_at: UnixMillis,
    /// What was last recorded of the mempool and the marks; `None` when it must be compared again.
    pub(super) said: Option<Said>,
    pub(super) waiting_since: Option<UnixMillis>,
    /// Since when the node's chain ends below what was read.
    pub(super) behind_since: Option<UnixMillis>,
    /// Whether something was recorded since this was last asked.
    pub(super) has_advanced: bool,
    pub(super) reported: Option<&'static str>,
    pub(super) reported_tip: u64,
    /// When the state was last shown to people.
    pub(super) reported_at: UnixMillis,
    /// The height of the first block that was ever applied.
    pub(super) first_height: Option<u64>,
    /// How fast blocks are applied.
    pub(super) speed: Speed,
    /// Grows whenever blocks leave the chain.
    pub(super) branch: u64,
    /// The request that blocks are read for beside following.
    pub(super) reading: Option<Reading<S>>,
    /// The request whose transaction is looked for before its block is read.
    pub(super) locating: Option<Locating>,
    /// The requests that let others pass.
    pub(super) line: Line,
    /// The rounds in which blocks were asked for requests; none comes twice.
    pub(super) reading_rounds: u64,
    /// Whether to look for requests.
    pub(super) looks: bool,
    pub(super) balances: Balances,
    pub(super) headers: KeptHeaders,
    pub(super) endpoints: Endpoints,
}

impl<S: Source> Following<S> {
    /// Throws away what was asked and read but not recorded.
    pub(super) fn forget_reading(&mut self) {
        self.round = self.round.saturating_add(1);
        self.blocks.clear();
        self.hashes.clear();
        self.asked = Asked::default();
        self.turns.close();
        self.turns = turns();
    }

    /// Takes one answer; says whether it led anywhere.
    pub(super) async fn take(
        &mut self,
        source: &Arc<S>,
        parts: &mut Parts,
        answer: Answer<S>,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        let Answer { round, what } = answer;
        match what {
            What::Reread(height, block) => self.take_reread(parts, round, height, block, now).await,
            What::Located(asked, located) => self.take_located(parts, asked, located, now).await,
            What::Mentioned(asked, mentioned) => {
                self.take_mentioned(parts, asked, mentioned, now).await
            }
            What::Holdings(at, held) => self.take_holdings(parts, &at, held, now).await,
            What::Health(..)
            | What::Hash(..)
            | What::Hashes(..)
            | What::Block(..)
            | What::Pool(..)
            | What::Woken
            | What::Withdrawn => {
                let is_asked = round == self.round;
                Ok(is_asked && self.take_followed(source, parts, what, now).await?)
            }
        }
    }

    /// Takes an answer of the round under way.
    async fn take_followed(
        &mut self,
        source: &Arc<S>,
        parts: &mut Parts,
        what: What<S>,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        match what {
            What::Reread(..)
            | What::Located(..)
            | What::Mentioned(..)
            | What::Holdings(..)
            | What::Withdrawn => Ok(false),
            What::Health(begun_at, health) => {
                self.asked.health = false;
                self.poll_at = now.plus_ms(parts.pace.poll_ms);
                let health = health?;
                self.polled_at = Some(begun_at);
                self.looks = true;
                let behind = self.follower.cursor() != Some(&health.tip);
                self.follower.begin_from(health.lowest);
                self.follower.observe(&health.tip)?;
                let problem = self.problem(parts, &health.tip, now);
                let is_new = behind && self.reported_tip != health.tip.height;
                if self.reported != problem.as_ref().map(SourceError::code) || is_new {
                    self.reported_tip = health.tip.height;
                    self.report(parts, problem.as_ref(), now).await;
                }
                self.show_endpoints(source, parts, now).await;
                Ok(behind)
            }
            What::Hash(height, hash) => {
                self.asked.hash = None;
                self.follower.hash(height, hash?.as_ref())?;
                if self.follower.tip().is_none() {
                    self.poll_at = now;
                }
                Ok(true)
            }
            What::Hashes(from, hashes) => {
                self.asked.hashes = None;
                let hashes = hashes?;
                // The node's chain became shorter: ask for its tip again.
                if hashes.is_empty() {
                    self.forget_reading();
                    self.poll_at = now;
                }
                self.hashes.extend((from..).zip(hashes));
                Ok(true)
            }
            What::Block(at, raw) => {
                self.blocks.insert(at.height, Some((at, raw?)));
                Ok(true)
            }
            What::Pool(begun_at, raw) => {
                self.asked.pool = false;
                self.record_poll(source, parts, begun_at, raw?, now).await
            }
            What::Woken => {
                self.asked.wake = false;
                self.poll_at = now;
                Ok(true)
            }
        }
    }

    /// Scans the blocks whose turn it is, and applies what is ready.
    pub(super) async fn connect(
        &mut self,
        source: &Arc<S>,
        parts: &mut Parts,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        let mut progress = false;
        let mut fresh = false;
        while let Want::Blocks { from, .. } = self.follower.want() {
            if self.is_full() {
                break;
            }
            if !matches!(self.blocks.get(&from), Some(Some(_))) {
                break;
            }
            let Some(Some((at, raw))) = self.blocks.remove(&from) else {
                break;
            };
            if !fresh {
                self.refresh_watched(&parts.store, parts.spec.family)
                    .await?;
                self.refresh_outpoints(&parts.store).await?;
                fresh = true;
            }
            let block = source.scan(&at, raw, &self.watched)?;
            self.follower.block(block)?;
            self.waiting_since.get_or_insert(now);
            progress = true;
        }
        // What was fetched for a branch that is not read any more must not stand in for the new one.
        let has_read = !self.blocks.is_empty() || !self.hashes.is_empty();
        if !matches!(self.follower.want(), Want::Blocks { .. }) && has_read {
            self.forget_reading();
        }
        if self.should_apply(now) {
            self.apply(parts, now).await?;
            progress = true;
        }
        Ok(progress)
    }

    /// Applies at the tip, when enough has come together, or when enough time has passed.
    fn should_apply(&self, now: UnixMillis) -> bool {
        let waited = self
            .waiting_since
            .is_some_and(|since| limits::CHAIN_EVENT_MS_MAX <= now.ms_since(since));
        let at_tip = self.follower.want() == Want::Nothing;
        self.follower.is_ready() && (self.is_full() || waited || at_tip)
    }

    /// Whether enough blocks have come together for one event.
    fn is_full(&self) -> bool {
        let (count, bytes) = self.follower.waiting();
        let many =
            limits::CHAIN_EVENT_BLOCKS_MAX <= count || limits::CHAIN_EVENT_BYTES_MAX <= bytes;
        many && self.follower.is_divisible()
    }

    async fn apply(&mut self, parts: &mut Parts, now: UnixMillis) -> Result<(), Fault> {
        let Some(event) = self.follower.take() else {
            return Ok(());
        };
        self.waiting_since = None;
        let chain = parts.spec.name.clone();
        let to = event.to().map_or(0, |to| to.height);
        let fork = event.fork.as_ref().map_or(0, |fork| fork.height);
        let (count, undoes) = (event.blocks.len(), event.undoes());
        let unit = ApplyBlocks {
            chain: chain.clone(),
            spec: Arc::clone(&parts.spec),
            fence: self.lease.fence,
            event: event.clone(),
            all_seen_at: self.seen_at,
            thinned: self.headers.thin(fork, to, parts.spec.reorg_depth_max),
            now,
            seed: parts.seed(),
            master: Arc::clone(&parts.master),
        };
        let applied = parts.store.write(unit).await?;
        self.follower.applied(&event)?;
        self.has_advanced = true;
        self.said = None;
        let lowest = event.blocks.first().map(|block| block.at.height);
        self.first_height = self.first_height.or(lowest);
        let label = chain.as_str().to_owned();
        metrics::counter!("pw_chain_blocks_total", "chain" => label.clone())
            .increment(u64::try_from(count).unwrap_or(0));
        if undoes && event.from.is_some() {
            self.branch = self.branch.saturating_add(1);
            metrics::counter!("pw_reorgs_total", "chain" => label.clone()).increment(1);
            tracing::warn!(%chain, fork = ?event.fork, to, "the chain was reorganised");
        }
        let behind = self.show_advance(parts, to, now).await;
        tracing::info!(%chain, height = to, blocks = count, behind, events = applied.events, "blocks applied");
        Ok(())
    }

    /// What to ask now.
    pub(super) fn requests(
        &mut self,
        source: &Arc<S>,
        pace: &Pace,
        now: UnixMillis,
    ) -> Vec<Request<S>> {
        let mut requests = Vec::new();
        if !self.asked.health && !self.poll_at.is_awaited(now, pace.poll_ms) {
            self.asked.health = true;
            requests.push(ask::health(source, self.round, now));
        }
        match self.follower.want() {
            Want::Hash(height) => {
                if self.asked.hash != Some(height) {
                    self.asked.hash = Some(height);
                    requests.push(ask::hash(source, self.round, height));
                }
            }
            Want::Blocks { from, to } => self.want_blocks(source, from, to, &mut requests),
            Want::Nothing => {}
        }
        if self.follower.is_at_tip() {
            if let Some(begun_at) = self.polled_at.take_if(|_| !self.asked.pool) {
                self.asked.pool = true;
                requests.push(ask::pool(source, self.round, begun_at));
            }
            let is_due = !self.asked.wake && !self.wake_from.is_awaited(now, WAKE_MS_MIN);
            if let Some(tip) = self.follower.tip().filter(|_| is_due) {
                self.asked.wake = true;
                self.wake_from = now.plus_ms(WAKE_MS_MIN);
                requests.push(ask::wake(source, self.round, tip.clone(), pace.poll_ms));
            }
        }
        // Of a node that may be on another chain, or gives no answers, nothing is asked besides.
        let is_well = self.is_well();
        if let Some(reading) = self.reading.as_mut().filter(|_| is_well) {
            requests.extend(reading.requests(source, &mut self.reading_rounds, now));
        }
        if let Some(locating) = self.locating.as_mut().filter(|_| is_well) {
            requests.extend(locating.request(source, now));
        }
        if is_well {
            requests.extend(self.balances.request(source));
        }
        requests
    }

    /// Asks for the next blocks by their hashes, which are asked for many at a time; that of the tip is
    /// known.
    fn want_blocks(&mut self, source: &Arc<S>, from: u64, to: u64, requests: &mut Vec<Request<S>>) {
        let tip = self.follower.tip().filter(|tip| tip.height == from);
        let tip_hash = tip.map(|tip| tip.hash.clone());
        for height in (from..=to).take(limits::PREFETCH_BLOCKS_MAX) {
            if self.blocks.contains_key(&height) {
                continue;
            }
            let known = self.hashes.remove(&height);
            let Some(hash) = known.or_else(|| tip_hash.clone()) else {
                if self.asked.hashes.is_none() {
                    self.asked.hashes = Some(height);
                    requests.push(ask::hashes(source, self.round, height, to));
                }
                break;
            };
            self.blocks.insert(height, None);
            let at = BlockRef { height, hash };
            requests.push(ask::block(source, self.round, &self.turns, at));
        }
    }

    /// When to step again although nothing arrives.
    pub(super) fn wake_at(&self, pace: &Pace, now: UnixMillis) -> UnixMillis {
        let renew = self.lease_until.plus_ms(-pace.lease_ms / 2);
        // After the clock was put back, what was set by it lies further ahead than anybody waits.
        let poll = if self.asked.health {
            renew
        } else {
            self.poll_at.min(now.plus_ms(pace.poll_ms))
        };
        let waiting = self.waiting_since.filter(|_| self.follower.is_ready());
        let apply = waiting.map(|since| since.plus_ms(limits::CHAIN_EVENT_MS_MAX));
        let wake = Some(self.wake_from).filter(|_| !self.asked.wake && self.follower.is_at_tip());
        let wake = wake.filter(|from| from.is_awaited(now, WAKE_MS_MIN));
        let first = [apply, wake].into_iter().flatten().min().unwrap_or(renew);
        let first = first.min(poll).min(renew);
        first.max(now.plus_ms(1))
    }
}
