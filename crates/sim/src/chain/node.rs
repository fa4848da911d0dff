//! Endpoints: what each knows of its chain, and in which mood it is.

use std::sync::Arc;
use std::task::Waker;

use paywatch_domain::UnixMillis;

use super::ledger::{BlockId, Ledger, Tx};
use super::marks::Marking;
use crate::random::Random;
use crate::scenario::ChainPlan;

/// In which mood an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It answers.
    Well,
    /// It does not.
    Down,
    /// It hears of no new blocks.
    Deaf,
}

/// One endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The last block that it knows.
    pub tip: BlockId,
    /// Its mood.
    pub mood: Mood,
    /// When it was started; its mempool began with nothing.
    pub since: UnixMillis,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// An honest answer.
    Honest,
    /// A wrong one.
    Lie,
    /// None.
    Nothing,
}

/// A chain with its endpoints, as the adapter reaches it.
#[derive(Debug)]
pub struct Node {
    /// The truth.
    pub ledger: Ledger,
    /// Up to where it will not go back.
    pub marking: Marking,
    /// Those who tell of it.
    pub endpoints: Vec<Endpoint>,
    /// The one that is asked.
    pub current: usize,
    /// How probable what is.
    pub plan: ChainPlan,
    /// Troubles are over.
    pub is_calm: bool,
    /// Requests that went wrong.
    pub faults: u64,
    /// When polls began whose tip was answered, by the watcher's clock.
    pub polls: Vec<UnixMillis>,
    pub(super) random: Random,
    pub(super) watchers: Vec<Waker>,
}

impl Node {
    /// A chain that everybody agrees on.
    pub fn new(plan: &ChainPlan, seed: u64, number: usize, now: UnixMillis) -> Self {
        let height = plan.reorg_depth_max.saturating_mul(3).saturating_add(5);
        let ledger = Ledger::new(plan.name, height, plan.block_ms, now);
        let endpoint = Endpoint {
            tip: ledger.best(),
            mood: Mood::Well,
            since: now.plus_ms(-86_400_000),
        };
        let number = u64::try_from(number).unwrap_or(0);
        Self {
            endpoints: vec![endpoint; plan.endpoints.max(1)],
            marking: Marking::new(plan, &ledger),
            ledger,
            current: 0,
            plan: plan.clone(),
            is_calm: false,
            faults: 0,
            polls: Vec::new(),
            random: Random::of(seed, "endpoints", number),
            watchers: Vec::new(),
        }
    }

    /// The endpoint that is asked now.
    pub fn endpoint(&self) -> &Endpoint {
        #[expect(
            clippy::indexing_slicing,
            reason = "there is always one endpoint at least"
        )]
        &self.endpoints[self.current.min(self.endpoints.len().saturating_sub(1))]
    }

    /// An endpoint learns of a block, and whoever waits for that hears of it.
    pub fn learn(&mut self, endpoint: usize, tip: BlockId) {
        let is_calm = self.is_calm;
        if let Some(one) = self.endpoints.get_mut(endpoint)
            && (one.mood != Mood::Deaf || is_calm)
        {
            one.tip = tip;
        }
        std::mem::take(&mut self.watchers)
            .into_iter()
            .for_each(Waker::wake);
    }

    /// Gives an endpoint another mood, or starts it anew.
    pub fn change_mood(&mut self, now: UnixMillis) {
        let count = u64::try_from(self.endpoints.len()).unwrap_or(1);
        let which = usize::try_from(self.random.below(count)).unwrap_or(0);
        let mood = [Mood::Well, Mood::Well, Mood::Down, Mood::Deaf, Mood::Well];
        let draw = self.random.pick(&mood).copied().unwrap_or(Mood::Well);
        let is_restarted = self.random.is(200_000);
        if let Some(one) = self.endpoints.get_mut(which) {
            one.mood = draw;
            if is_restarted {
                one.since = now;
            }
        }
    }

    /// Ends all troubles: every endpoint is well and knows the best chain.
    pub fn calm(&mut self) {
        self.is_calm = true;
        let best = self.ledger.best();
        for endpoint in 0..self.endpoints.len() {
            if let Some(one) = self.endpoints.get_mut(endpoint) {
                one.mood = Mood::Well;
            }
            self.learn(endpoint, best);
        }
    }

    /// What becomes of the next request, and how long that takes before and after the endpoint has read
    /// what it says, in milliseconds.
    pub(super) fn draw(&mut self) -> (Fate, i64, i64) {
        if self.is_calm {
            return (Fate::Honest, 0, 20);
        }
        if 1 < self.endpoints.len() && self.random.is(self.plan.failover) {
            self.fail_over();
        }
        let wait_ms = self.random.wait_ms(self.plan.latency_ms);
        let (before_ms, after_ms) = if self.random.is(500_000) {
            (wait_ms, 0)
        } else {
            (0, wait_ms)
        };
        let is_down = self.endpoint().mood == Mood::Down;
        if is_down || self.random.is(self.plan.timeout) {
            self.faults = self.faults.saturating_add(1);
            if self.random.is(300_000) {
                self.fail_over();
            }
            let patience_ms = if is_down { wait_ms } else { 30_000 };
            return (Fate::Nothing, patience_ms, 0);
        }
        if self.random.is(self.plan.lie) {
            self.faults = self.faults.saturating_add(1);
            return (Fate::Lie, before_ms, after_ms);
        }
        (Fate::Honest, before_ms, after_ms)
    }

    fn fail_over(&mut self) {
        let next = self.current.saturating_add(1);
        self.current = if next < self.endpoints.len() { next } else { 0 };
    }

    /// The mempool of the endpoint that is asked: what waits, and what blocks have that it does not know.
    pub(super) fn pool(&self) -> Vec<Arc<Tx>> {
        let Endpoint { tip, since, .. } = *self.endpoint();
        let ledger = &self.ledger;
        let fork = ledger.fork_of(ledger.best(), tip);
        let above = |from: BlockId| {
            let above = ledger
                .down_from(from)
                .take_while(move |(id, _)| *id != fork);
            above.flat_map(|(_, block)| block.entries.iter().map(|entry| &entry.tx))
        };
        let own: Vec<&Arc<Tx>> = above(tip).collect();
        let waiting = ledger.waiting.iter().filter(|one| since <= one.since);
        let not_yet = above(ledger.best()).filter(|tx| since <= tx.sent_at);
        let all = waiting.map(|one| &one.tx).chain(not_yet);
        let possible = all.filter(|tx| {
            !own.iter().any(|known| {
                known.id == tx.id || known.spends.iter().any(|out| tx.spends.contains(out))
            })
        });
        possible.cloned().collect()
    }

    /// Whether everything in the best branch is final by any rule: nothing is in its last blocks.
    pub fn is_deep(&self) -> bool {
        let young = u64::from(self.plan.depth).saturating_sub(1);
        let young = young.max(self.unfinalized().unwrap_or(0));
        let young = usize::try_from(young).unwrap_or(usize::MAX);
        let mut last = self.ledger.down_from(self.ledger.best()).take(young);
        last.all(|(_, block)| block.entries.is_empty())
    }
}
