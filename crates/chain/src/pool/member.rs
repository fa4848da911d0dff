//! One endpoint of a pool: what is known of it, and how far it is to be preferred.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paywatch_domain::BlockRef;
use tokio::time::Instant;

use super::Served;
use crate::error::SourceError;
use crate::source::Health;
use crate::status::Condition;

/// For how long one failed request speaks against an endpoint.
const FAILURE: Duration = Duration::from_secs(10);
/// For how long an answer that fails its proof does.
const LIE: Duration = Duration::from_mins(5);
/// After this time everything is forgiven.
const MEMORY_MAX: Duration = Duration::from_mins(10);
/// For how long an endpoint that gave no usable answer is left out of polls, when enough others are there:
/// all of them wait for it.
const REST: Duration = Duration::from_secs(15);
/// An endpoint that is so many blocks behind is as good as others: blocks need their time to spread.
const LAG_MAX: u64 = 2;

/// One endpoint.
pub(super) struct Member<S> {
    /// Host and port.
    pub(super) name: String,
    /// How to ask it.
    pub(super) source: S,
    known: Mutex<Known>,
}

/// What is known of an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Known {
    condition: Condition,
    /// What it said when it last answered.
    pub(super) health: Option<Health>,
    pub(super) errors: u64,
    pub(super) last_error: Option<SourceError>,
    /// When what failed is forgiven.
    forgiven_at: Option<Instant>,
    /// When its lie is.
    trusted_at: Option<Instant>,
    /// Until when it need not be polled.
    rests_until: Option<Instant>,
}

/// How far an endpoint is to be preferred; the least is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// It does not have the block that is asked for, as far as is known.
    is_without: bool,
    /// For how long its failures are remembered.
    blame: Duration,
    /// It follows another branch.
    is_apart: bool,
    is_follower: bool,
    lag: u64,
}

impl<S> Member<S> {
    pub(super) fn new(name: String, source: S) -> Self {
        let known = Known {
            condition: Condition::Unasked,
            health: None,
            errors: 0,
            last_error: None,
            forgiven_at: None,
            trusted_at: None,
            rests_until: None,
        };
        Self {
            name,
            source,
            known: Mutex::new(known),
        }
    }

    /// What is known of it now.
    pub(super) fn known(&self) -> Known {
        self.lock().clone()
    }

    /// Notes what it said of itself, or that it said nothing usable.
    pub(super) fn note_health(&self, health: &Result<Health, SourceError>) {
        match health {
            Ok(health) => {
                let mut known = self.lock();
                known.condition = Condition::Well;
                known.rests_until = None;
                known.health = Some(health.clone());
            }
            Err(error) => {
                let mut known = self.lock();
                known.rests_until = Instant::now().checked_add(REST);
                known.condition = match error {
                    SourceError::WrongNetwork { .. } => Condition::WrongNetwork,
                    _ => Condition::Lost,
                };
            }
        }
    }

    /// Notes that a request failed, and whether that is a failure at all: what is true of the chain, or of
    /// what the node keeps, is none.
    pub(super) fn note_error(&self, error: &SourceError) -> bool {
        let (wait, is_lie) = match error {
            SourceError::Stale { .. } | SourceError::Pruned { .. } => return false,
            SourceError::Unproven { .. } => (LIE, true),
            SourceError::Busy { retry_after, .. } => (retry_after.unwrap_or(FAILURE), false),
            _ => (FAILURE, false),
        };
        let now = Instant::now();
        let later = |at: Option<Instant>| {
            let at = at.map_or(now, |at| at.max(now)).checked_add(wait);
            at.min(now.checked_add(MEMORY_MAX))
        };
        let mut known = self.lock();
        known.forgiven_at = later(known.forgiven_at);
        if is_lie {
            known.trusted_at = now.checked_add(LIE);
        }
        if matches!(error, SourceError::WrongNetwork { .. }) {
            known.condition = Condition::WrongNetwork;
        }
        known.errors = known.errors.saturating_add(1);
        known.last_error = Some(error.clone());
        true
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    pub(super) fn condition(&self) -> Condition {
        match self.condition {
            Condition::Well if !self.is_trusted() => Condition::Distrusted,
            condition => condition,
        }
    }

    /// Whether everything that it gave of late passed its proof.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted_at.is_none_or(|at| at <= Instant::now())
    }

    /// Whether it gave no usable answer a short time ago.
    pub(super) fn is_resting(&self) -> bool {
        self.rests_until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether a request failed of late.
    pub(super) fn is_blamed(&self) -> bool {
        !self.blame().is_zero()
    }

    pub(super) fn tip(&self) -> Option<&BlockRef> {
        self.health.as_ref().map(|health| &health.tip)
    }

    /// Whether it, as the member of this number, has no failures to answer for and is in step with what
    /// is served.
    pub(super) fn is_well(&self, served: Option<&Served>, number: usize) -> bool {
        let (is_apart, lag) = self.place(served, number);
        self.condition == Condition::Well && self.blame().is_zero() && !is_apart && lag <= LAG_MAX
    }

    /// How far it, as the member of this number, is to be preferred for a block at a height.
    pub(super) fn rank(
        &self,
        height: u64,
        served: Option<&Served>,
        number: usize,
        is_leader: bool,
    ) -> Rank {
        // What is needed of no height in particular is there at every one.
        let is_without = self.health.as_ref().is_some_and(|health| {
            health.tip.height < height || (0 < height && height < health.lowest)
        });
        let (is_apart, lag) = self.place(served, number);
        Rank {
            is_without,
            blame: self.blame(),
            is_apart,
            is_follower: !is_leader,
            lag,
        }
    }

    /// Whether it is on another branch than the one that is served, and how many blocks it is behind.
    fn place(&self, served: Option<&Served>, number: usize) -> (bool, u64) {
        let (Some(served), Some(tip)) = (served, self.tip()) else {
            return (false, 0);
        };
        let lag = served.tip.height.saturating_sub(tip.height);
        (served.apart.contains(&number), lag)
    }

    fn blame(&self) -> Duration {
        self.forgiven_at.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now())
        })
    }
}
