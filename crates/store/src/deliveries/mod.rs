//! Deliveries: one event to one endpoint, claimed by whoever sends it.
//!
//! The deliveries of one invoice to one endpoint are a queue. Only what may be sent carries `due_at`:
//! the head of the queue, and what was overtaken after three failures.

mod again;
mod list;
mod record;

use std::collections::BTreeMap;

use paywatch_domain::{DeliveryId, EndpointId, EventId, EventType, MerchantId, Mode, UnixMillis};

pub use again::{Replay, Replayed, redeliver, replay};
pub use list::{Attempt, Delivery, DeliveryState, attempts, get, page};
pub use record::{EndpointHealth, Outcome, Recorded, record};

use crate::column::{count, ids, mode, optional_time, parsed, word};
use crate::keys::{DeliveryKey, EndpointKey, InvoiceKey, MerchantKey};
use crate::sql::{Sql, statements};
use crate::{Conn, StoreError, Tx};

statements! {
    /// Endpoints to which something is due that nobody is at, those that wait longest first, with how
    /// much more may be under way to them.
    ///
    /// The recursion jumps through the index from one endpoint with something pending to the next, so
    /// that neither idle endpoints nor a long backlog of one cost anything.
    DUE_ENDPOINTS = "WITH RECURSIVE pending (endpoint) AS (SELECT CAST(0 AS BIGINT)
            UNION ALL SELECT (SELECT d.endpoint FROM deliveries AS d
                WHERE d.due_at IS NOT NULL AND d.endpoint > p.endpoint ORDER BY d.endpoint LIMIT 1)
            FROM pending AS p WHERE p.endpoint IS NOT NULL)
        SELECT id, room FROM (SELECT e.id,
            (SELECT d.due_at FROM deliveries AS d WHERE d.endpoint = e.id AND d.due_at <= $1
                AND (d.claimed_until IS NULL OR d.claimed_until <= $1) ORDER BY d.due_at LIMIT 1) AS oldest,
            CASE WHEN e.failing_since IS NULL THEN CAST($2 AS BIGINT) ELSE CAST($3 AS BIGINT) END
                - (SELECT COUNT(*) FROM deliveries AS c WHERE c.endpoint = e.id AND c.claimed_until > $1) AS room
            FROM pending AS p CROSS JOIN endpoints AS e WHERE e.id = p.endpoint AND e.state = 'enabled') AS waiting
        WHERE oldest IS NOT NULL AND room > 0 ORDER BY oldest, id LIMIT CAST($4 AS BIGINT)";
    DUE = "SELECT id FROM deliveries
        WHERE endpoint = $1 AND due_at <= $2 AND (claimed_until IS NULL OR claimed_until <= $2)
        ORDER BY due_at, id LIMIT CAST($3 AS BIGINT)", skip_locked;
    CLAIM = "UPDATE deliveries SET claimed_until = $1
        WHERE id IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($2))";
    CLAIMED = "SELECT d.id, d.public_id, d.attempt_count, d.invoice, d.endpoint, v.public_id AS event_id,
            v.type, v.body, e.public_id AS endpoint_id, e.url, e.secret, e.old_secret, e.old_secret_until, e.is_asymmetric,
            e.failing_since,
            d.merchant, m.public_id AS merchant_id, d.mode
        FROM deliveries AS d JOIN events AS v ON v.seq = d.event JOIN endpoints AS e ON e.id = d.endpoint
        JOIN merchants AS m ON m.id = d.merchant
        WHERE d.id IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1))
        ORDER BY d.due_at, d.id";
    UNCLAIM_ALL = "UPDATE deliveries SET claimed_until = NULL WHERE claimed_until IS NOT NULL";
    /// Most steps of a deliverer find nothing: one statement says so, and when to look again.
    OUTLOOK = "WITH RECURSIVE pending (endpoint) AS (SELECT CAST(0 AS BIGINT)
            UNION ALL SELECT (SELECT d.endpoint FROM deliveries AS d
                WHERE d.due_at IS NOT NULL AND d.endpoint > p.endpoint ORDER BY d.endpoint LIMIT 1)
            FROM pending AS p WHERE p.endpoint IS NOT NULL)
        SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM pending AS p CROSS JOIN endpoints AS e
                WHERE e.id = p.endpoint AND e.state = 'enabled'
                AND EXISTS (SELECT 1 FROM deliveries AS d WHERE d.endpoint = e.id AND d.due_at <= $1
                    AND (d.claimed_until IS NULL OR d.claimed_until <= $1))
                AND (SELECT COUNT(*) FROM deliveries AS c WHERE c.endpoint = e.id AND c.claimed_until > $1)
                    < CASE WHEN e.failing_since IS NULL THEN CAST($2 AS BIGINT) ELSE CAST($3 AS BIGINT) END)
                THEN 1 ELSE 0 END AS BIGINT) AS claimable,
            (SELECT MIN(at) FROM
                (SELECT MIN(due_at) AS at FROM deliveries WHERE due_at > $1 AND claimed_until IS NULL
                UNION ALL SELECT MIN(claimed_until) AS at FROM deliveries WHERE claimed_until > $1) AS next) AS next";
    BACKLOG = "SELECT COUNT(*), MIN(due_at) FROM deliveries WHERE due_at IS NOT NULL";
}

/// The statements of the modules below this one.
pub(crate) const MORE: [&[Sql]; 3] = [again::STATEMENTS, list::STATEMENTS, record::STATEMENTS];

/// A delivery that the caller has to send now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Internal key.
    pub delivery: DeliveryKey,
    /// Public id.
    pub id: DeliveryId,
    /// Tries so far.
    pub attempt_count: u32,
    /// Its queue, together with the endpoint.
    pub invoice: Option<InvoiceKey>,
    /// The event, which is the `webhook-id`.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: EventType,
    /// To be sent byte for byte.
    pub body: String,
    /// The endpoint.
    pub endpoint: EndpointKey,
    /// The endpoint's public id.
    pub endpoint_id: EndpointId,
    /// Where to send.
    pub url: String,
    /// What it is signed with, encrypted.
    pub secret: Vec<u8>,
    /// The one before it, encrypted, and up to when it signs too.
    pub old_secret: Option<(Vec<u8>, UnixMillis)>,
    /// Whether the signature of a key whose public half is enough to check it is sent too.
    pub is_asymmetric: bool,
    /// The endpoint's first failure since its last success.
    pub failing_since: Option<UnixMillis>,
    /// Whose endpoint it is.
    pub merchant: MerchantKey,
    /// The same by public id.
    pub merchant_id: MerchantId,
    /// Live or test.
    pub mode: Mode,
}

#[derive(sqlx::FromRow)]
struct Raw {
    id: i64,
    public_id: String,
    attempt_count: i64,
    invoice: Option<i64>,
    endpoint: i64,
    event_id: String,
    r#type: String,
    body: String,
    endpoint_id: String,
    url: String,
    secret: Vec<u8>,
    old_secret: Option<Vec<u8>>,
    old_secret_until: Option<i64>,
    is_asymmetric: i64,
    failing_since: Option<i64>,
    merchant: i64,
    merchant_id: String,
    mode: String,
}

impl Raw {
    fn read(self) -> Result<Claimed, StoreError> {
        Ok(Claimed {
            delivery: DeliveryKey(self.id),
            id: parsed("deliveries.public_id", &self.public_id)?,
            attempt_count: count("deliveries.attempt_count", self.attempt_count)?,
            invoice: self.invoice.map(InvoiceKey),
            event_id: parsed("events.public_id", &self.event_id)?,
            event_type: word("events.type", &self.r#type, EventType::parse)?,
            body: self.body,
            endpoint: EndpointKey(self.endpoint),
            endpoint_id: parsed("endpoints.public_id", &self.endpoint_id)?,
            url: self.url,
            secret: self.secret,
            old_secret: self.old_secret.zip(optional_time(self.old_secret_until)),
            is_asymmetric: self.is_asymmetric != 0,
            failing_since: optional_time(self.failing_since),
            merchant: MerchantKey(self.merchant),
            merchant_id: parsed("merchants.public_id", &self.merchant_id)?,
            mode: mode(&self.mode)?,
        })
    }
}

/// How much may be under way to one endpoint at a time, whoever sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointMax {
    /// To one whose last attempt succeeded, or that was never tried.
    pub healthy: u32,
    /// To one whose last attempt failed.
    pub failing: u32,
}

/// Claims deliveries that are due, until `lease_until`: at most `limit`, and for each endpoint no more
/// than `endpoint_max` under way at a time. Endpoints that wait longest come first, so a
/// slow one does not hold up the others.
pub async fn claim(
    tx: &mut Tx,
    now: UnixMillis,
    limit: u32,
    endpoint_max: EndpointMax,
    lease_until: UnixMillis,
) -> Result<Vec<Claimed>, StoreError> {
    let binds = [
        now.into(),
        i64::from(endpoint_max.healthy).into(),
        i64::from(endpoint_max.failing).into(),
        i64::from(limit).into(),
    ];
    let endpoints = tx.fetch::<(i64, i64)>(DUE_ENDPOINTS, &binds).await?;
    // A fair share each, and then what the others have left.
    let mut room = i64::from(limit);
    let mut left = i64::try_from(endpoints.len()).unwrap_or(i64::MAX);
    let mut chosen = Vec::new();
    for (endpoint, endpoint_room) in endpoints {
        let share = (room / left.max(1)).max(1).min(room);
        left = left.saturating_sub(1);
        let free = endpoint_room.min(share);
        if free <= 0 {
            continue;
        }
        let binds = [endpoint.into(), now.into(), free.into()];
        let due = tx.fetch::<(i64,)>(DUE, &binds).await?;
        room = room.saturating_sub(i64::try_from(due.len()).unwrap_or(i64::MAX));
        chosen.extend(due.into_iter().map(|(id,)| id));
    }
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let chosen = ids(chosen);
    tx.execute(CLAIM, &[lease_until.into(), (&chosen).into()])
        .await?;
    let rows = tx.fetch::<Raw>(CLAIMED, &[(&chosen).into()]).await?;
    rows.into_iter().map(Raw::read).collect()
}

/// What there is to send, now and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Whether [`claim`] would find anything now.
    pub is_claimable: bool,
    /// The next time at which something becomes due, or a claim runs out. What is due now and cannot be claimed
    /// waits for an endpoint that has enough under way.
    pub next: Option<UnixMillis>,
}

/// What there is to send. It only reads, so asking costs no transaction that writes.
pub async fn outlook(
    conn: &mut Conn,
    now: UnixMillis,
    endpoint_max: EndpointMax,
) -> Result<Outlook, StoreError> {
    let binds = [
        now.into(),
        i64::from(endpoint_max.healthy).into(),
        i64::from(endpoint_max.failing).into(),
    ];
    let (claimable, next) = conn
        .fetch_one::<(i64, Option<i64>)>(OUTLOOK, &binds)
        .await?;
    Ok(Outlook {
        is_claimable: claimable != 0,
        next: next.map(UnixMillis),
    })
}

/// Gives back every claim. Only where no other process can be sending: at the start on SQLite.
pub async fn unclaim_all(tx: &mut Tx) -> Result<u64, StoreError> {
    tx.execute(UNCLAIM_ALL, &[]).await
}

/// How much waits to be sent or sent again, and since when the oldest of it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that are due, now or later.
    pub count: u64,
    /// The earliest time at which one of them is due.
    pub oldest_due_at: Option<UnixMillis>,
}

/// The backlog of all merchants, for metrics.
pub async fn backlog(conn: &mut Conn) -> Result<Backlog, StoreError> {
    let (rows, oldest) = conn.fetch_one::<(i64, Option<i64>)>(BACKLOG, &[]).await?;
    Ok(Backlog {
        count: count("deliveries", rows)?,
        oldest_due_at: oldest.map(UnixMillis),
    })
}

/// Groups rows by endpoint, in the order of endpoints.
fn by_endpoint<T>(rows: impl IntoIterator<Item = (i64, T)>) -> BTreeMap<i64, Vec<T>> {
    let mut groups: BTreeMap<i64, Vec<T>> = BTreeMap::new();
    for (endpoint, row) in rows {
        groups.entry(endpoint).or_default().push(row);
    }
    groups
}
