//! The chain worker: one chain, from the node's answers to committed facts.
//!
//! A worker owns its requests in flight. [`ChainWorker::step`] never waits for them: it takes what has
//! arrived, records it, asks for more, and returns. Only [`ChainWorker::ready`] waits.

mod ask;
mod attach;
mod balances;
mod check;
mod endpoints;
mod following;
mod headers;
mod lease;
mod line;
mod piece;
mod poll;
mod reading;
mod report;
mod requests;
mod speed;
mod wallet_scan;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use paywatch_chain::{Derivation, Retry, Source, SourceError};
use paywatch_domain::{BlockRef, ChainSpec, Entropy, UnixMillis};
use paywatch_store::{MasterKey, Store, StoreError};

use crate::error::EngineError;
use crate::high_water::HighWater;
use ask::{Answer, Request};
use following::Following;

/// The longest wait after an error, as a multiple of the first.
const RETRIES_MAX: i64 = 30;
/// The longest wait before the lease is asked for again, in milliseconds.
const CLAIM_MS_MAX: i64 = 2_000;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There may be more to do at once.
    Progress,
    /// Nothing to do before this time, or before something arrives.
    Idle {
        /// When to step again at the latest.
        wake_at: UnixMillis,
    },
}

/// How fast a worker goes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The node is asked at least this often, in milliseconds.
    pub poll_ms: i64,
    /// How long the chain's lease is held without being renewed, in milliseconds.
    pub lease_ms: i64,
    /// The first wait after an error, in milliseconds; doubled up to thirty times.
    pub retry_ms: i64,
}

/// What a worker needs besides its node.
pub struct Parts {
    /// Where facts go.
    pub store: Store,
    /// The chain.
    pub spec: Arc<ChainSpec>,
    /// How fast.
    pub pace: Pace,
    /// Checks seals.
    pub master: Arc<MasterKey>,
    /// Seeds of ids.
    pub entropy: Box<dyn Entropy>,
    /// Who we are to other processes.
    pub holder: String,
    /// Derives the keys of wallets that are scanned for.
    pub derivation: Arc<dyn Derivation>,
    /// Remembers indexes outside the database.
    pub high_water: Arc<dyn HighWater>,
}

impl Parts {
    /// Where the ids of one unit of work come from.
    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.entropy.fill(&mut seed);
        seed
    }
}

/// Follows one chain.
pub struct ChainWorker<S: Source> {
    source: Arc<S>,
    parts: Parts,
    following: Option<Following<S>>,
    in_flight: FuturesUnordered<Request<S>>,
    arrived: VecDeque<Answer<S>>,
    failures: u32,
    /// Nothing is asked before this time.
    rest_until: UnixMillis,
}

impl<S: Source> ChainWorker<S> {
    /// A worker that has not begun.
    pub fn new(source: Arc<S>, parts: Parts) -> Self {
        Self {
            source,
            parts,
            following: None,
            in_flight: FuturesUnordered::new(),
            arrived: VecDeque::new(),
            failures: 0,
            rest_until: UnixMillis(0),
        }
    }

    /// The last block that was recorded; `None` before the first, and while this process does not
    /// follow the chain.
    pub fn cursor(&self) -> Option<&BlockRef> {
        self.following.as_ref()?.follower.cursor()
    }

    /// Waits until a request in flight has been answered; forever when there is none.
    pub async fn ready(&mut self) {
        match self.in_flight.next().await {
            Some(answer) => self.arrived.push_back(answer),
            None => std::future::pending().await,
        }
    }

    /// Takes what has arrived, records it, and asks for more.
    ///
    /// Faults of the node and of the database are reported and waited out here; nothing is skipped.
    pub async fn step(&mut self, now: UnixMillis) -> Step {
        while let Some(Some(answer)) = self.in_flight.next().now_or_never() {
            self.arrived.push_back(answer);
        }
        match self.work(now).await {
            Ok(step) => step,
            Err(error) => self.fail(error, now).await,
        }
    }

    async fn work(&mut self, now: UnixMillis) -> Result<Step, Fault> {
        let Some(following) = &mut self.following else {
            return self.begin(now).await;
        };
        let (source, parts) = (&self.source, &mut self.parts);
        let mut answers = std::mem::take(&mut self.arrived);
        let recording = async {
            following.renew(parts, now).await?;
            let mut progress = false;
            while let Some(answer) = answers.pop_front() {
                progress |= following.take(source, parts, answer, now).await?;
            }
            progress |= following.connect(source, parts, now).await?;
            progress |= following.attend(source, parts, now).await?;
            following.begin_look(parts, now).await?;
            Ok::<bool, Fault>(progress)
        };
        let recorded = meanwhile(&mut self.in_flight, &mut self.arrived, recording).await;
        // What a fault left over comes before what arrived meanwhile.
        answers.append(&mut self.arrived);
        self.arrived = answers;
        let progress = recorded?;
        if std::mem::take(&mut following.has_advanced) {
            self.failures = 0;
        }
        if is_resting(self.rest_until, &self.parts.pace, now) {
            return Ok(Step::Idle {
                wake_at: self.rest_until,
            });
        }
        let requests = following.requests(&self.source, &self.parts.pace, now);
        let asked = !requests.is_empty();
        self.in_flight.extend(requests);
        // What arrived while the database was at work wakes nobody any more.
        if progress || asked || !self.arrived.is_empty() {
            return Ok(Step::Progress);
        }
        Ok(Step::Idle {
            wake_at: following.wake_at(&self.parts.pace, now),
        })
    }

    /// Takes the lease and makes the state from the store.
    async fn begin(&mut self, now: UnixMillis) -> Result<Step, Fault> {
        if is_resting(self.rest_until, &self.parts.pace, now) {
            return Ok(Step::Idle {
                wake_at: self.rest_until,
            });
        }
        self.arrived.clear();
        self.in_flight = FuturesUnordered::new();
        match Following::begin(&mut self.parts, now).await? {
            Some(following) => {
                self.following = Some(following);
                Ok(Step::Progress)
            }
            None => {
                self.rest_until = now.plus_ms(self.parts.pace.lease_ms.min(CLAIM_MS_MAX));
                Ok(Step::Idle {
                    wake_at: self.rest_until,
                })
            }
        }
    }

    /// Reports a fault and decides when to go on.
    async fn fail(&mut self, fault: Fault, now: UnixMillis) -> Step {
        let chain = &self.parts.spec.name;
        self.failures = self.failures.saturating_add(1);
        let retry_ms = self.parts.pace.retry_ms;
        let doubled = retry_ms.saturating_mul(1_i64 << self.failures.min(5).saturating_sub(1));
        let wait_ms = match &fault {
            Fault::Source(error) if error.retry() == Retry::AfterChange => {
                retry_ms.saturating_mul(RETRIES_MAX)
            }
            Fault::Source(_) | Fault::Engine(_) => {
                doubled.min(retry_ms.saturating_mul(RETRIES_MAX))
            }
        };
        self.rest_until = now.plus_ms(wait_ms);
        match fault {
            Fault::Source(error) => {
                tracing::warn!(%chain, code = error.code(), %error, wait_ms, "the node cannot be read");
                if let Some(following) = &mut self.following {
                    following.forget_reading();
                    following.report(&self.parts, Some(&error), now).await;
                    let source = &self.source;
                    following.show_endpoints(source, &self.parts, now).await;
                }
            }
            Fault::Engine(EngineError::Halt(halt)) => {
                tracing::error!(%chain, %halt, "the chain is halted");
                if let Some(following) = self.following.take() {
                    following.halt(&self.parts, &halt, now).await;
                }
            }
            Fault::Engine(EngineError::LeaseLost) => {
                tracing::warn!(%chain, "another process follows this chain now");
                self.following = None;
            }
            Fault::Engine(EngineError::Store(error)) if is_lasting(&error) => {
                tracing::error!(%chain, %error, "the chain is halted: what it says cannot be stored");
                if let Some(following) = self.following.take() {
                    following.halt(&self.parts, &error, now).await;
                }
            }
            Fault::Engine(EngineError::Store(error)) => {
                tracing::error!(%chain, %error, wait_ms, "the database failed; nothing is lost");
                self.following = None;
            }
        }
        Step::Idle {
            wake_at: self.rest_until,
        }
    }

    /// Gives the lease back, so that another process need not wait for it to run out.
    pub async fn stop(&mut self) {
        if let Some(following) = self.following.take() {
            following.release(&self.parts).await;
        }
    }
}

/// Whether doing it again would fail again: damaged data or a mistake of this program.
fn is_lasting(error: &StoreError) -> bool {
    match error {
        StoreError::Conflict(_)
        | StoreError::Damaged(_)
        | StoreError::Refused { .. }
        | StoreError::BindCount { .. }
        | StoreError::FailureIgnored(_) => true,
        StoreError::Unavailable { .. }
        | StoreError::OutcomeUnknown(_)
        | StoreError::LeaseLost
        | StoreError::NoSuchCursor
        | StoreError::Closed
        | StoreError::Url(_)
        | StoreError::Schema(_)
        | StoreError::Secret(_) => false,
    }
}

/// What can go wrong in one step.
enum Fault {
    /// The node.
    Source(SourceError),
    /// Ourselves or the database.
    Engine(EngineError),
}

impl From<SourceError> for Fault {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl<E: Into<EngineError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

/// Does `work` and keeps requests going while it waits for the database: a long commit must not stop what
/// is being fetched. Polled in a fixed order, so that equal histories are equal.
async fn meanwhile<S: Source, T>(
    in_flight: &mut FuturesUnordered<Request<S>>,
    arrived: &mut VecDeque<Answer<S>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        while let Poll::Ready(Some(answer)) = in_flight.poll_next_unpin(context) {
            arrived.push_back(answer);
        }
        Poll::Pending
    })
    .await
}

/// Whether nothing is asked before a time that lies ahead.
fn is_resting(rest_until: UnixMillis, pace: &Pace, now: UnixMillis) -> bool {
    let longest_ms = pace.retry_ms.saturating_mul(RETRIES_MAX);
    rest_until.is_awaited(now, longest_ms.max(CLAIM_MS_MAX))
}
