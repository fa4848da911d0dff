//! How many requests a node is asked in a time.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::CallError;

/// A limit on requests: so many per second in the long run, and so many at once. Also where a node that
/// wants to be left alone is left alone, limit or not.
///
/// A bucket that holds `burst` requests and is refilled steadily; what is taken from it beforehand has to
/// be waited for. Whoever comes first is served first.
#[derive(Clone, Debug)]
pub struct Budget {
    pace: Option<Pace>,
    /// Shared by all clones: they are one budget.
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, Debug)]
struct Pace {
    /// In which time one request is refilled.
    refill: Duration,
    /// In which time an empty bucket is full again.
    full: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// When the bucket will be full; in the past, or nothing, when it is.
    full_at: Option<Instant>,
    /// What part of that is for requests that still wait for their turn.
    waiting: Duration,
    /// Until when the node is left alone.
    paused_until: Option<Instant>,
    /// How often it asked for that.
    pauses: u64,
}

/// The turn of some requests. They are given back when they are not made.
struct Turn<'a> {
    budget: &'a Budget,
    price: Duration,
    at: Instant,
    pauses: u64,
    is_used: bool,
}

impl Budget {
    /// No limit but what the node itself asks for.
    pub fn unlimited() -> Self {
        Self {
            pace: None,
            state: Arc::default(),
        }
    }

    /// At most `per_second` requests a second, and `burst` at once after a time of rest.
    pub fn per_second(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let refill = Duration::from_secs(1)
            .checked_div(per_second.get())
            .unwrap_or_default();
        Self {
            pace: Some(Pace {
                refill,
                full: refill.saturating_mul(burst.get()),
            }),
            state: Arc::default(),
        }
    }

    /// Waits for the turn of `count` requests. Fails at once, and takes nothing, when that would take
    /// longer than `patience`.
    pub async fn take(&self, count: u32, patience: Duration) -> Result<(), CallError> {
        let deadline = Instant::now().checked_add(patience);
        loop {
            let mut turn = self.turn(count);
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline < turn.at) {
                return Err(CallError::Busy {
                    detail: "it is asked as often as it may be".to_owned(),
                    retry_after: Some(turn.at.saturating_duration_since(now)),
                });
            }
            if now < turn.at {
                tokio::time::sleep_until(turn.at).await;
            }
            // Whoever was waiting when the node asked for a pause gets in line again.
            if self.state().pauses == turn.pauses {
                turn.is_used = true;
                return Ok(());
            }
        }
    }

    /// Leaves the node alone for this long.
    pub fn pause(&self, pause: Duration) {
        let until = Instant::now().checked_add(pause);
        let mut state = self.state();
        let made = state
            .full_at
            .and_then(|full_at| full_at.checked_sub(state.waiting));
        state.waiting = Duration::ZERO;
        state.paused_until = state.paused_until.max(until);
        state.full_at = made.max(state.paused_until);
        state.pauses = state.pauses.wrapping_add(1);
    }

    fn turn(&self, count: u32) -> Turn<'_> {
        let now = Instant::now();
        let mut state = self.state();
        let mut at = state.paused_until.map_or(now, |until| until.max(now));
        let mut price = Duration::ZERO;
        if let Some(pace) = self.pace {
            price = pace.refill.saturating_mul(count);
            let full_at = state.full_at.map_or(now, |full_at| full_at.max(now));
            let full_at = full_at.checked_add(price).unwrap_or(full_at);
            at = at.max(full_at.checked_sub(pace.full).unwrap_or(now));
            state.full_at = Some(full_at);
            state.waiting = state.waiting.saturating_add(price);
        }
        Turn {
            budget: self,
            price,
            at,
            pauses: state.pauses,
            is_used: false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        // A pause has emptied the line already.
        if state.pauses != self.pauses {
            return;
        }
        state.waiting = state.waiting.saturating_sub(self.price);
        if !self.is_used {
            state.full_at = state
                .full_at
                .and_then(|full_at| full_at.checked_sub(self.price));
        }
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
