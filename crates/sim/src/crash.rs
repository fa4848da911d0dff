//! The end of the process at any write: which moments are passed, and at which of them it ends.
//!
//! A moment that was seldom passed is more probable to be the last, so that rare statements see as many
//! crashes as frequent ones.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use paywatch_store::{Moment, Probe};

use crate::random::Random;

/// How probable a crash is at each moment, in millionths, and how much more at one that is new; both are
/// multiplied with the scenario's rate.
const EACH: u64 = 20;
const NEW: u64 = 1_500;

/// The statements of which each chain event has one: the cursor moves (blocks, a branch), or
/// the chain is covered (a poll: the mempool, marks, the time up to which everything was read).
const CHAIN_EVENTS: [&str; 2] = ["ADVANCE", "COVER"];

#[derive(Debug)]
struct State {
    random: Random,
    rate: u64,
    is_dead: bool,
    is_off: bool,
    crashes: u64,
    passed: BTreeMap<&'static str, u64>,
    trace: DefaultHasher,
    statements: u64,
    /// Chain events of the transaction under way, and those that were committed.
    pending: u64,
    chain_events: u64,
}

/// Decides at each moment whether the process lives on.
#[derive(Debug)]
pub struct Crashes(Mutex<State>);

impl Crashes {
    /// Crashes by a seed. `rate` is how many more there are than few; 0 for none.
    pub fn new(seed: u64, rate: u32) -> Self {
        Self(Mutex::new(State {
            random: Random::of(seed, "crashes", 0),
            rate: u64::from(rate),
            is_dead: false,
            is_off: false,
            crashes: 0,
            passed: BTreeMap::new(),
            trace: DefaultHasher::new(),
            statements: 0,
            pending: 0,
            chain_events: 0,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a moment of this name; `false` when the process ends there.
    pub fn passes(&self, name: &'static str) -> bool {
        let mut state = self.state();
        if state.is_off {
            return true;
        }
        name.hash(&mut state.trace);
        let hits = state.passed.entry(name).or_default();
        *hits = hits.saturating_add(1);
        let hits = *hits;
        if state.rate == 0 {
            return true;
        }
        let chance = EACH.saturating_add(NEW / hits).saturating_mul(state.rate);
        if state.random.below(1_000_000) < chance {
            state.is_dead = true;
            state.crashes = state.crashes.saturating_add(1);
        }
        !state.is_dead
    }

    /// Whether the process has ended.
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Lets the next process live.
    pub fn revive(&self) {
        let mut state = self.state();
        (state.is_dead, state.pending) = (false, 0);
    }

    /// No crashes from now on.
    pub fn stop(&self) {
        self.state().rate = 0;
    }

    /// While somebody only looks, nothing is counted.
    pub fn look(&self, is_looking: bool) {
        self.state().is_off = is_looking;
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.state().crashes
    }

    /// Statements and committed chain events so far.
    pub fn work(&self) -> (u64, u64) {
        let state = self.state();
        (state.statements, state.chain_events)
    }

    /// How often each moment was passed, most often first.
    pub fn passed(&self) -> Vec<(&'static str, u64)> {
        let state = self.state();
        let mut all: Vec<_> = state
            .passed
            .iter()
            .map(|(name, count)| (*name, *count))
            .collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all
    }

    /// Adds something to the trace, by which two runs are compared.
    pub fn trace(&self, what: &impl Hash) {
        what.hash(&mut self.state().trace);
    }

    /// The trace so far, as one number.
    pub fn traced(&self) -> u64 {
        self.state().trace.finish()
    }
}

impl Probe for Crashes {
    fn lives_on(&self, moment: Moment) -> bool {
        let name = match moment {
            Moment::Statement(name) => {
                let mut state = self.state();
                state.statements = state.statements.saturating_add(1);
                if CHAIN_EVENTS.contains(&name) {
                    state.pending = state.pending.saturating_add(1);
                }
                name
            }
            Moment::Commit => "commit",
            Moment::Committed => {
                let mut state = self.state();
                let pending = std::mem::take(&mut state.pending);
                state.chain_events = state.chain_events.saturating_add(pending);
                "committed"
            }
        };
        self.passes(name)
    }
}
