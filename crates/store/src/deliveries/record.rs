//! Records what became of attempts: one unit for all that have finished.

use std::collections::BTreeMap;

use paywatch_domain::{EndpointId, MerchantId, Mode, UnixMillis};
use serde::Serialize;

use super::by_endpoint;
use crate::column::{ids, list, mode, optional_time, parsed};
use crate::keys::{DeliveryKey, EndpointKey, MerchantKey};
use crate::sql::statements;
use crate::{StoreError, Tx};

statements! {
    QUEUES = "SELECT id, endpoint, invoice FROM deliveries
        WHERE id IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1)) ORDER BY id";
    /// Whoever appends events to a queue holds the lock of its invoice too, so that a successor is
    /// either seen here, or sees what is recorded here.
    LOCK = "SELECT id FROM invoices
        WHERE id IN (SELECT d.invoice FROM deliveries AS d
            WHERE d.id IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1)))
        ORDER BY id", for_update;
    INSERT_ATTEMPTS = "INSERT INTO attempts (delivery, number, started_at, duration_ms, status_code, error, answer)
        SELECT d.id, d.attempt_count + 1, CAST(j.value->>'started_at' AS BIGINT),
            CAST(j.value->>'duration_ms' AS BIGINT), CAST(j.value->>'status_code' AS BIGINT),
            j.value->>'error', j.value->>'answer'
        FROM json_each($1) AS j CROSS JOIN deliveries AS d
        WHERE d.id = CAST(j.value->>'id' AS BIGINT)";
    /// What was dropped while it was under way stays dropped, unless it has arrived.
    UPDATE = "UPDATE deliveries SET attempt_count = attempt_count + 1, claimed_until = NULL,
            state = CASE WHEN n.state = 'delivered' OR deliveries.state = 'due' THEN n.state ELSE deliveries.state END,
            due_at = CASE WHEN deliveries.state = 'due' THEN n.due_at END,
            finished_at = CASE WHEN n.state = 'delivered' OR (deliveries.state = 'due' AND n.state = 'exhausted')
                THEN n.finished_at ELSE deliveries.finished_at END
        FROM (SELECT CAST(value->>'id' AS BIGINT) AS id, value->>'state' AS state,
            CAST(value->>'due_at' AS BIGINT) AS due_at, CAST(value->>'finished_at' AS BIGINT) AS finished_at
            FROM json_each($1)) AS n
        WHERE deliveries.id = n.id";
    /// The next of each queue in which nothing is waited for any more.
    RELEASE = "UPDATE deliveries SET due_at = $1
        WHERE state = 'due' AND due_at IS NULL AND id IN (SELECT (SELECT MIN(n.id) FROM deliveries AS n
                WHERE n.endpoint = d.endpoint AND n.invoice = d.invoice AND n.state = 'due' AND n.due_at IS NULL)
            FROM deliveries AS d
            WHERE d.id IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($2)) AND d.invoice IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM deliveries AS b WHERE b.endpoint = d.endpoint AND b.invoice = d.invoice
                AND b.state = 'due' AND b.due_at IS NOT NULL AND b.attempt_count < 3))";
    HEALTH = "UPDATE endpoints SET failing_since = CASE WHEN n.reset = 1 THEN n.since
            ELSE COALESCE(endpoints.failing_since, n.since) END
        FROM (SELECT CAST(value->>'id' AS BIGINT) AS id, CAST(value->>'reset' AS BIGINT) AS reset,
            CAST(value->>'since' AS BIGINT) AS since FROM json_each($1)) AS n
        WHERE endpoints.id = n.id";
    HEALTHY = "SELECT e.id, e.public_id, e.merchant, m.public_id AS merchant_id, e.mode, e.url, e.failing_since
        FROM endpoints AS e JOIN merchants AS m ON m.id = e.merchant
        WHERE e.state = 'enabled' AND e.id IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1))
        ORDER BY e.id";
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint has it.
    Delivered,
    /// To be tried again.
    Retry {
        /// When.
        due_at: UnixMillis,
    },
    /// Tried often enough.
    Exhausted,
}

/// A finished attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What was tried.
    pub delivery: DeliveryKey,
    /// When.
    pub started_at: UnixMillis,
    /// How long it took.
    pub duration_ms: i64,
    /// The status code of the answer, if there was one.
    pub status_code: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// First bytes of the answer's body.
    pub answer: String,
    /// What became of it.
    pub outcome: Outcome,
}

impl Recorded {
    fn finished_at(&self) -> UnixMillis {
        self.started_at.plus_ms(self.duration_ms)
    }
}

/// An endpoint after its attempts were recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Internal key.
    pub endpoint: EndpointKey,
    /// Public id.
    pub id: EndpointId,
    /// Whose it is.
    pub merchant: MerchantKey,
    /// The same by public id.
    pub merchant_id: MerchantId,
    /// Live or test.
    pub mode: Mode,
    /// Where it is.
    pub url: String,
    /// The first failure since the last success.
    pub failing_since: Option<UnixMillis>,
}

#[derive(Serialize)]
struct Row {
    id: i64,
    state: &'static str,
    due_at: Option<i64>,
    finished_at: i64,
    started_at: i64,
    duration_ms: i64,
    status_code: Option<u16>,
    error: Option<String>,
    answer: String,
}

impl From<&Recorded> for Row {
    fn from(recorded: &Recorded) -> Self {
        let (state, due_at) = match recorded.outcome {
            Outcome::Delivered => ("delivered", None),
            Outcome::Retry { due_at } => ("due", Some(due_at.0)),
            Outcome::Exhausted => ("exhausted", None),
        };
        Self {
            id: recorded.delivery.0,
            state,
            due_at,
            finished_at: recorded.finished_at().0,
            started_at: recorded.started_at.0,
            duration_ms: recorded.duration_ms,
            status_code: recorded.status_code,
            error: recorded.error.as_deref().map(without_nul),
            answer: without_nul(&recorded.answer),
        }
    }
}

/// Postgres keeps no NUL in a text.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Records finished attempts, releases the next of each queue that need not wait any more, and answers
/// the health of every enabled endpoint among them. A delivery may be in the list once.
pub async fn record(
    tx: &mut Tx,
    recorded: &[Recorded],
    now: UnixMillis,
) -> Result<Vec<EndpointHealth>, StoreError> {
    if recorded.is_empty() {
        return Ok(Vec::new());
    }
    let keys = ids(recorded.iter().map(|one| one.delivery));
    tx.fetch::<(i64,)>(LOCK, &[(&keys).into()]).await?;
    let queues = tx
        .fetch::<(i64, i64, Option<i64>)>(QUEUES, &[(&keys).into()])
        .await?;
    let rows = list(recorded.iter().map(Row::from));
    tx.execute(INSERT_ATTEMPTS, &[(&rows).into()]).await?;
    tx.execute(UPDATE, &[(&rows).into()]).await?;
    tx.execute(RELEASE, &[now.into(), (&keys).into()]).await?;
    let of: BTreeMap<i64, i64> = queues.iter().map(|(id, of, _)| (*id, *of)).collect();
    let attempts = recorded
        .iter()
        .filter_map(|one| Some((*of.get(&one.delivery.0)?, one)));
    health(tx, by_endpoint(attempts)).await
}

#[derive(Serialize)]
struct HealthRow {
    id: i64,
    reset: i64,
    since: Option<i64>,
}

async fn health(
    tx: &mut Tx,
    attempts: BTreeMap<i64, Vec<&Recorded>>,
) -> Result<Vec<EndpointHealth>, StoreError> {
    let endpoints = ids(attempts.keys().copied());
    let rows = list(attempts.into_iter().map(|(id, mut attempts)| {
        attempts.sort_by_key(|one| one.finished_at());
        let last_success = attempts
            .iter()
            .rposition(|one| one.outcome == Outcome::Delivered);
        let since = match last_success {
            Some(at) => attempts.get(at.saturating_add(1)),
            None => attempts.first(),
        };
        HealthRow {
            id,
            reset: i64::from(last_success.is_some()),
            since: since.map(|one| one.finished_at().0),
        }
    }));
    tx.execute(HEALTH, &[(&rows).into()]).await?;
    let rows = tx
        .fetch::<HealthyRow>(HEALTHY, &[(&endpoints).into()])
        .await?;
    rows.into_iter().map(HealthyRow::read).collect()
}

#[derive(sqlx::FromRow)]
struct HealthyRow {
    id: i64,
    public_id: String,
    merchant: i64,
    merchant_id: String,
    mode: String,
    url: String,
    failing_since: Option<i64>,
}

impl HealthyRow {
    fn read(self) -> Result<EndpointHealth, StoreError> {
        Ok(EndpointHealth {
            endpoint: EndpointKey(self.id),
            id: parsed("endpoints.public_id", &self.public_id)?,
            merchant: MerchantKey(self.merchant),
            merchant_id: parsed("merchants.public_id", &self.merchant_id)?,
            mode: mode(&self.mode)?,
            url: self.url,
            failing_since: optional_time(self.failing_since),
        })
    }
}
