//! The worker that sends what is due: claim, sign, send, record, and again when the time has come.
//!
//! It owns its sends. A step never waits for them: it records those that have finished in one
//! transaction, claims what is due, starts new ones and returns. Only [`Deliverer::ready`] waits.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use metrics::{counter, gauge, histogram};
use paywatch_domain::limits::{DELIVERIES_CLAIMED_MAX, ENDPOINT_SENDS_MAX, FAILING_SENDS_MAX};
use paywatch_domain::{DeliveryId, EndpointId, Entropy, UnixMillis};
use paywatch_store::deliveries::{self, Claimed, EndpointMax, Recorded};
use paywatch_store::{DeliveryKey, EndpointKey, MasterKey, Store};
use url::Url;

use crate::error::WebhookError;
use crate::schedule::Schedule;
use crate::secrets::signers;
use crate::send::{Envelope, Failure, HttpSend, Outcome, Request, SEND_TIMEOUT_MS};
use crate::units::{ClaimDue, RecordAttempts, ReleaseClaims};
use crate::verdict::Verdict;

/// Sends under way at a time, to all endpoints together.
const SENDS_MAX: usize = 1024;
/// Sends under way to one endpoint. Few to one that fails: it may answer nothing for as long as a send takes.
const ENDPOINT_MAX: EndpointMax = EndpointMax {
    healthy: ENDPOINT_SENDS_MAX,
    failing: FAILING_SENDS_MAX,
};
/// A claim outlives the longest send by this, in milliseconds, so that its record comes in time.
const LEASE_SLACK_MS: i64 = 30_000;
/// New events are looked for at least this often, in milliseconds.
const POLL_MS: i64 = 250;
/// The backlog is measured at most this often, in milliseconds.
const BACKLOG_MS: i64 = 10_000;
/// How long [`Deliverer::stop`] waits for sends that are under way, in milliseconds.
const STOP_MS: u64 = 3_000;
/// An endpoint that only failed for this long is disabled, in milliseconds: five days.
pub const DISABLE_AFTER_MS: u64 = 5 * 24 * 3_600_000;

/// How webhooks are sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The waits before each attempt.
    pub schedule: Schedule,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// An endpoint that only failed for this long is disabled, in milliseconds.
    pub disable_after_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            timeout: Duration::from_millis(SEND_TIMEOUT_MS),
            disable_after_ms: DISABLE_AFTER_MS,
        }
    }
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was started; step again.
    Progress,
    /// Nothing to do before this time, unless a send finishes.
    Idle {
        /// When to step again at the latest: other processes may say something at any time.
        wake_at: UnixMillis,
        /// When something that is stored becomes due, if anything does.
        next_due: Option<UnixMillis>,
    },
}

/// Sends what is due.
pub struct Deliverer<S> {
    store: Store,
    master: Arc<MasterKey>,
    sender: S,
    settings: Settings,
    entropy: Box<dyn Entropy>,
    under_way: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// Finished and not yet recorded.
    finished: Vec<Finished>,
    /// Every delivery of the two above.
    held: BTreeSet<DeliveryKey>,
    /// The time of the last step.
    now: UnixMillis,
    backlog_at: Option<UnixMillis>,
}

impl<S> std::fmt::Debug for Deliverer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deliverer")
            .field("settings", &self.settings)
            .field("under_way", &self.under_way.len())
            .field("finished", &self.finished.len())
            .finish_non_exhaustive()
    }
}

/// What is remembered of a delivery while it is being sent.
#[derive(Clone, Debug)]
struct Sent {
    delivery: DeliveryKey,
    id: DeliveryId,
    endpoint: EndpointKey,
    endpoint_id: EndpointId,
    /// This attempt included.
    attempts_made: usize,
    started_at: UnixMillis,
}

#[derive(Debug)]
struct Finished {
    sent: Sent,
    outcome: Outcome,
}

impl<S: HttpSend> Deliverer<S> {
    /// A deliverer with nothing under way. `master` decrypts the endpoints' secrets, `entropy` gives
    /// jitter and the ids of events.
    pub fn new(
        store: Store,
        master: Arc<MasterKey>,
        sender: S,
        settings: Settings,
        entropy: Box<dyn Entropy>,
    ) -> Self {
        Self {
            store,
            master,
            sender,
            settings,
            entropy,
            under_way: FuturesUnordered::new(),
            finished: Vec::new(),
            held: BTreeSet::new(),
            now: UnixMillis(0),
            backlog_at: None,
        }
    }

    /// Makes due again what a process that ended had claimed. Only before the first step and where
    /// no other process sends, which is so on SQLite; elsewhere claims run out by themselves.
    pub async fn release_claims(&mut self) -> Result<u64, WebhookError> {
        Ok(self.store.write(ReleaseClaims).await?)
    }

    /// Records what has finished, starts what is due, and returns without waiting for any send.
    ///
    /// # Errors
    /// `Store` when the database does not answer. Nothing is lost: what has finished is kept and
    /// recorded by a later step.
    pub async fn step(&mut self, now: UnixMillis) -> Result<Step, WebhookError> {
        self.now = now;
        self.reap();
        self.record(now).await?;
        // What a record made due is started by the same step. Most steps find nothing: those only read.
        let mut conn = self.store.read().await?;
        let outlook = deliveries::outlook(&mut conn, now, ENDPOINT_MAX).await?;
        self.measure(&mut conn, now).await?;
        drop(conn);
        if outlook.is_claimable && self.start_due(now).await? {
            return Ok(Step::Progress);
        }
        let (poll_at, next_due) = (now.plus_ms(POLL_MS), outlook.next);
        Ok(Step::Idle {
            wake_at: next_due.map_or(poll_at, |next| next.min(poll_at)),
            next_due,
        })
    }

    /// How many sends are under way.
    pub fn sends_under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Waits until a send finishes or this process has stored something to send. Dropping it loses
    /// nothing.
    pub async fn ready(&mut self) {
        let finished = async {
            match self.under_way.next().await {
                Some(finished) => finished,
                None => std::future::pending().await,
            }
        };
        let stored = self.store.delivery_stored();
        if let Either::Left((finished, _)) = select(pin!(finished), pin!(stored)).await {
            self.finished.push(finished);
        }
    }

    /// Waits a little for the sends that are under way and records them. What does not finish in
    /// time is sent again after the next start.
    pub async fn stop(&mut self) -> Result<(), WebhookError> {
        let all = async {
            while let Some(finished) = self.under_way.next().await {
                self.finished.push(finished);
            }
        };
        if tokio::time::timeout(Duration::from_millis(STOP_MS), all)
            .await
            .is_err()
        {
            let count = self.under_way.len();
            tracing::info!(
                count,
                "stopped while webhooks were under way; they are sent again"
            );
        }
        self.record(self.now).await
    }

    /// Takes what has finished, without waiting.
    fn reap(&mut self) {
        while let Some(Some(finished)) = self.under_way.next().now_or_never() {
            self.finished.push(finished);
        }
    }

    /// Records all that has finished in one unit.
    async fn record(&mut self, now: UnixMillis) -> Result<(), WebhookError> {
        if self.finished.is_empty() {
            return Ok(());
        }
        self.finished.sort_by_key(|finished| finished.sent.delivery);
        let mut recorded = Vec::with_capacity(self.finished.len());
        let mut gone = BTreeSet::new();
        let mut kinds = Vec::with_capacity(self.finished.len());
        for Finished { sent, outcome } in &self.finished {
            let random = u64::try_from(self.entropy.bits() >> 64).unwrap_or(0);
            let schedule = &self.settings.schedule;
            let verdict = Verdict::of(outcome, sent.attempts_made, schedule, now, random);
            if verdict.gone {
                gone.insert(sent.endpoint);
            }
            kinds.push(verdict.kind);
            recorded.push(row(sent, outcome, verdict));
        }
        let mut seed = [0; 32];
        self.entropy.fill(&mut seed);
        let disable_after_ms = i64::try_from(self.settings.disable_after_ms).unwrap_or(i64::MAX);
        let unit = RecordAttempts {
            master: Arc::clone(&self.master),
            recorded,
            gone,
            now,
            disable_after_ms,
            seed,
        };
        let disabled = self.store.write(unit).await?;
        for (endpoint, reason) in disabled {
            tracing::warn!(%endpoint, reason, "webhook endpoint disabled");
        }
        for (Finished { sent, outcome }, kind) in self.finished.drain(..).zip(kinds) {
            self.held.remove(&sent.delivery);
            note(&sent, &outcome, kind);
        }
        Ok(())
    }

    /// Claims what is due and starts sending it; answers whether there was anything.
    async fn start_due(&mut self, now: UnixMillis) -> Result<bool, WebhookError> {
        let room = SENDS_MAX.saturating_sub(self.under_way.len());
        let limit = DELIVERIES_CLAIMED_MAX.min(u32::try_from(room).unwrap_or(u32::MAX));
        if limit == 0 {
            return Ok(false);
        }
        let timeout_ms = i64::try_from(self.settings.timeout.as_millis()).unwrap_or(i64::MAX);
        let unit = ClaimDue {
            now,
            limit,
            endpoint_max: ENDPOINT_MAX,
            lease_until: now.plus_ms(timeout_ms).plus_ms(LEASE_SLACK_MS),
        };
        let mut started = false;
        for claimed in self.store.write(unit).await? {
            // A claim that ran out while its send is still here must not start a second one.
            if self.held.insert(claimed.delivery) {
                self.start(claimed, now);
                started = true;
            }
        }
        Ok(started)
    }

    fn start(&mut self, claimed: Claimed, now: UnixMillis) {
        let sent = Sent {
            delivery: claimed.delivery,
            id: claimed.id,
            endpoint: claimed.endpoint,
            endpoint_id: claimed.endpoint_id,
            attempts_made: usize::try_from(claimed.attempt_count)
                .unwrap_or(usize::MAX)
                .saturating_add(1),
            started_at: now,
        };
        match self.request(claimed, now) {
            Ok(request) => {
                let sending = self.sender.send(request);
                self.under_way.push(Box::pin(async move {
                    Finished {
                        outcome: sending.await,
                        sent,
                    }
                }));
            }
            // Counted as an attempt: it shows where the merchant and the operator look.
            Err(error) => {
                tracing::error!(endpoint = %sent.endpoint_id, %error, "webhook cannot be sent");
                let result = Err(Failure::Other(error.to_string()));
                self.finished.push(Finished {
                    sent,
                    outcome: Outcome {
                        duration_ms: 0,
                        result,
                    },
                });
            }
        }
    }

    fn request(&self, claimed: Claimed, now: UnixMillis) -> Result<Request, WebhookError> {
        let signers = signers(&self.master, &claimed, now)?;
        let url = Url::parse(&claimed.url).map_err(crate::egress::UrlRefused::from)?;
        let id = claimed.event_id.to_string();
        let envelope = Envelope {
            id: &id,
            timestamp_s: now.0.div_euclid(1000),
            request_id: None,
            signers: &signers,
        };
        Request::signed(
            url,
            &envelope,
            Bytes::from(claimed.body),
            self.settings.timeout,
        )
    }

    async fn measure(
        &mut self,
        conn: &mut paywatch_store::Conn,
        now: UnixMillis,
    ) -> Result<(), WebhookError> {
        if self
            .backlog_at
            .is_some_and(|at| now.ms_since(at) < BACKLOG_MS)
        {
            return Ok(());
        }
        self.backlog_at = Some(now);
        let backlog = deliveries::backlog(conn).await?;
        let oldest_ms = backlog
            .oldest_due_at
            .map_or(0, |oldest| now.ms_since(oldest).max(0));
        let oldest_s = oldest_ms.checked_div(1000).unwrap_or(0);
        gauge!("pw_webhook_queue_depth").set(u32::try_from(backlog.count).unwrap_or(u32::MAX));
        gauge!("pw_webhook_oldest_pending_seconds")
            .set(u32::try_from(oldest_s).unwrap_or(u32::MAX));
        Ok(())
    }
}

fn row(sent: &Sent, outcome: &Outcome, verdict: Verdict) -> Recorded {
    Recorded {
        delivery: sent.delivery,
        started_at: sent.started_at,
        duration_ms: i64::try_from(outcome.duration_ms).unwrap_or(i64::MAX),
        status_code: verdict.status,
        error: verdict.error,
        answer: verdict.answer,
        outcome: verdict.fate,
    }
}

/// Counts and logs one attempt. URLs stay out of logs: they may hold a merchant's token.
fn note(sent: &Sent, outcome: &Outcome, kind: &'static str) {
    let Sent {
        id: delivery,
        endpoint_id: endpoint,
        attempts_made: attempt,
        ..
    } = sent;
    let duration_ms = outcome.duration_ms;
    tracing::info!(%delivery, %endpoint, attempt, kind, duration_ms, "webhook attempt");
    counter!("pw_webhook_attempts_total", "outcome" => kind).increment(1);
    histogram!("pw_webhook_attempt_duration_seconds")
        .record(Duration::from_millis(duration_ms).as_secs_f64());
}
