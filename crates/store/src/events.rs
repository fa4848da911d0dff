//! Events: what merchants are told, numbered without gaps, readable in the order of commits.

use std::collections::{BTreeMap, BTreeSet};

use paywatch_domain::{DeliveryId, EventId, EventType, Mode, UnixMillis};
use serde::Serialize;

use crate::column::{damaged, ids, int, list, optional_count, parsed, word};
use crate::endpoints;
use crate::keys::{EndpointKey, InvoiceKey, MerchantKey};
use crate::page::{Cursor, Listed, Window};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    /// Whoever disables one of them waits for the lock, and then drops the deliveries that are made here.
    ENDPOINTS = "SELECT id, merchant, mode, types FROM endpoints
        WHERE state = 'enabled' AND merchant IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1))
        ORDER BY id", key_share;
    INSERT = "INSERT INTO events (public_id, merchant, mode, invoice, version, type, body, created_at)
        SELECT value->>'id', CAST(value->>'merchant' AS BIGINT), value->>'mode', CAST(value->>'invoice' AS BIGINT),
            CAST(value->>'version' AS BIGINT), value->>'type', value->>'body', CAST(value->>'created_at' AS BIGINT)
        FROM json_each($1) WHERE true
        RETURNING seq, public_id";
    /// A delivery is due at once when it is the first of this list in its queue, and nothing before
    /// it in the queue still has to be waited for: due, and failed fewer than three times.
    INSERT_DELIVERIES = "INSERT INTO deliveries (public_id, merchant, mode, event, endpoint, invoice, state,
            attempt_count, due_at, created_at)
        SELECT value->>'id', CAST(value->>'merchant' AS BIGINT), value->>'mode', CAST(value->>'event' AS BIGINT),
            CAST(value->>'endpoint' AS BIGINT), CAST(value->>'invoice' AS BIGINT), 'due', 0,
            CASE WHEN CAST(value->>'first' AS BIGINT) = 1 AND NOT EXISTS (SELECT 1 FROM deliveries AS d
                WHERE d.endpoint = CAST(value->>'endpoint' AS BIGINT)
                AND d.invoice = CAST(value->>'invoice' AS BIGINT) AND d.state = 'due' AND d.attempt_count < 3)
            THEN CAST(value->>'created_at' AS BIGINT) END,
            CAST(value->>'created_at' AS BIGINT)
        FROM json_each($1) WHERE true";
    CURSOR = "SELECT commit_order FROM events_visible WHERE seq = $3 AND merchant = $1 AND mode = $2";
    AFTER = "SELECT seq, public_id, invoice, version, type, body, created_at FROM events_visible
        WHERE merchant = $1 AND mode = $2 AND commit_order >= $3 AND (commit_order > $3 OR seq > $4)
        ORDER BY commit_order, seq LIMIT CAST($5 AS BIGINT)";
    LATEST = "SELECT seq FROM events_visible WHERE merchant = $1 AND mode = $2 AND commit_order > $3
        ORDER BY commit_order DESC, seq DESC LIMIT 1";
    FIND_OF_INVOICE = "SELECT version FROM events WHERE invoice = $1 AND public_id = $2";
    OLDER_OF_INVOICE = "SELECT seq, public_id, invoice, version, type, body, created_at FROM events
        WHERE invoice = $1 AND version < $2 ORDER BY version DESC LIMIT CAST($3 AS BIGINT)";
    NEWER_OF_INVOICE = "SELECT seq, public_id, invoice, version, type, body, created_at FROM events
        WHERE invoice = $1 AND version > $2 ORDER BY version LIMIT CAST($3 AS BIGINT)";
}

/// Failed attempts of an event after which the next one of its invoice goes on beside it.
pub const QUEUE_FAILURES_MAX: i64 = 3;

/// An event to be stored and delivered.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Public id, the `webhook-id`.
    pub id: EventId,
    /// Who is told.
    pub merchant: MerchantKey,
    /// Of what it is about.
    pub mode: Mode,
    /// The invoice, with which it has to be locked; `None` for events of endpoints.
    pub invoice: Option<InvoiceKey>,
    /// Its number within the invoice.
    pub version: Option<u64>,
    /// Its type.
    pub kind: EventType,
    /// Sent byte for byte.
    pub body: String,
    /// When it is said.
    pub created_at: UnixMillis,
    /// Sent to this endpoint alone, whatever types it asks for; `None` for all that ask for it.
    pub only: Option<EndpointKey>,
}

#[derive(Serialize)]
struct EventJson<'a> {
    id: String,
    merchant: i64,
    mode: &'static str,
    invoice: Option<i64>,
    version: Option<i64>,
    r#type: &'static str,
    body: &'a str,
    created_at: i64,
}

#[derive(Serialize)]
struct DeliveryJson {
    id: String,
    merchant: i64,
    mode: &'static str,
    event: i64,
    endpoint: i64,
    invoice: Option<i64>,
    first: i64,
    created_at: i64,
}

struct Recipient {
    endpoint: i64,
    merchant: i64,
    mode: String,
    types: Vec<EventType>,
}

impl Recipient {
    fn gets(&self, event: &NewEvent) -> bool {
        let is_asked_for = match event.only {
            Some(only) => only.0 == self.endpoint,
            None => self.types.is_empty() || self.types.contains(&event.kind),
        };
        is_asked_for && self.merchant == event.merchant.0 && self.mode == event.mode.as_str()
    }
}

/// Stores events, and one delivery for each enabled endpoint that asks for their type, in three
/// statements. `delivery_ids` gives 128 random bits at a time, the same ones when the unit runs again.
///
/// # Errors
///
/// [`StoreError::Conflict`] `event_version` when an invoice has an event with that version already.
pub async fn append(
    tx: &mut Tx,
    events: &[NewEvent],
    delivery_ids: &mut (dyn FnMut() -> u128 + Send),
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let recipients = recipients(tx, events).await?;
    let rows = list(events.iter().map(|event| EventJson {
        id: event.id.to_string(),
        merchant: event.merchant.0,
        mode: event.mode.as_str(),
        invoice: event.invoice.map(|invoice| invoice.0),
        version: event.version.map(int),
        r#type: event.kind.as_str(),
        body: &event.body,
        created_at: event.created_at.0,
    }));
    let inserted = tx.fetch::<(i64, String)>(INSERT, &[(&rows).into()]).await;
    let inserted = inserted.map_err(|error| error.rule("event_version"))?;
    let seqs: BTreeMap<String, i64> = inserted.into_iter().map(|(seq, id)| (id, seq)).collect();
    let mut queues = BTreeSet::new();
    let mut deliveries = Vec::new();
    for event in events {
        let seq = seqs.get(&event.id.to_string());
        let seq = *seq.ok_or_else(|| damaged("events.seq", event.id))?;
        for recipient in recipients.iter().filter(|recipient| recipient.gets(event)) {
            let invoice = event.invoice.map(|invoice| invoice.0);
            let is_first = invoice.is_none() || queues.insert((recipient.endpoint, invoice));
            deliveries.push(DeliveryJson {
                id: DeliveryId::from_bits(delivery_ids()).to_string(),
                merchant: event.merchant.0,
                mode: event.mode.as_str(),
                event: seq,
                endpoint: recipient.endpoint,
                invoice,
                first: i64::from(is_first),
                created_at: event.created_at.0,
            });
        }
    }
    if !deliveries.is_empty() {
        tx.execute(INSERT_DELIVERIES, &[(&list(deliveries)).into()])
            .await?;
        tx.has_deliveries = true;
    }
    Ok(())
}

async fn recipients(tx: &mut Tx, events: &[NewEvent]) -> Result<Vec<Recipient>, StoreError> {
    let merchants: BTreeSet<i64> = events.iter().map(|event| event.merchant.0).collect();
    let rows = tx
        .fetch::<(i64, i64, String, String)>(ENDPOINTS, &[(&ids(merchants)).into()])
        .await?;
    let recipients = rows.into_iter().map(|(endpoint, merchant, mode, types)| {
        Ok(Recipient {
            endpoint,
            merchant,
            mode,
            types: endpoints::types(&types)?,
        })
    });
    recipients.collect()
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Names its place in the order of commits; not itself in that order.
    pub seq: i64,
    /// Public id.
    pub id: EventId,
    /// The invoice, if it is about one.
    pub invoice: Option<InvoiceKey>,
    /// Its number within the invoice.
    pub version: Option<u64>,
    /// Its type.
    pub kind: EventType,
    /// As it is sent.
    pub body: String,
    /// When it was said.
    pub created_at: UnixMillis,
}

#[derive(sqlx::FromRow)]
struct Raw {
    seq: i64,
    public_id: String,
    invoice: Option<i64>,
    version: Option<i64>,
    r#type: String,
    body: String,
    created_at: i64,
}

impl Raw {
    fn read(self) -> Result<EventRow, StoreError> {
        Ok(EventRow {
            seq: self.seq,
            id: parsed("events.public_id", &self.public_id)?,
            invoice: self.invoice.map(InvoiceKey),
            version: optional_count("events.version", self.version)?,
            kind: word("events.type", &self.r#type, EventType::parse)?,
            body: self.body,
            created_at: UnixMillis(self.created_at),
        })
    }
}

/// A merchant's events in the order of commits, after the one with this `seq`; 0 for the beginning.
/// An event is answered only when no event that is still being committed can come before it, so a
/// reader who goes on after the last `seq` misses none.
///
/// # Errors
///
/// [`StoreError::NoSuchCursor`] when `after` is no such event of this merchant and mode.
pub async fn after(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    after: i64,
    limit: u32,
) -> Result<Vec<EventRow>, StoreError> {
    let mode = mode.as_str();
    let commit_order = if after == 0 {
        i64::MIN
    } else {
        let binds = [merchant.into(), mode.into(), after.into()];
        let row = conn.fetch_optional::<(i64,)>(CURSOR, &binds).await?;
        row.ok_or(StoreError::NoSuchCursor)?.0
    };
    let binds = [
        merchant.into(),
        mode.into(),
        commit_order.into(),
        after.into(),
        i64::from(limit).into(),
    ];
    let rows = conn.fetch::<Raw>(AFTER, &binds).await?;
    rows.into_iter().map(Raw::read).collect()
}

/// The `seq` of the last of a merchant's events that [`after`] would answer now; 0 before the first.
pub async fn latest(conn: &mut Conn, merchant: MerchantKey, mode: Mode) -> Result<i64, StoreError> {
    let binds = [merchant.into(), mode.as_str().into(), i64::MIN.into()];
    let row = conn.fetch_optional::<(i64,)>(LATEST, &binds).await?;
    Ok(row.map_or(0, |(seq,)| seq))
}

/// A page of an invoice's history, newest first.
///
/// # Errors
///
/// [`StoreError::NoSuchCursor`] when the cursor is no event of this invoice.
pub async fn of_invoice(
    conn: &mut Conn,
    invoice: InvoiceKey,
    cursor: &Cursor<EventId>,
    limit: u32,
) -> Result<Listed<EventRow>, StoreError> {
    let scope = [invoice.into()];
    let window = Window::find(conn, cursor, limit, FIND_OF_INVOICE, &scope).await?;
    let statements = (OLDER_OF_INVOICE, NEWER_OF_INVOICE);
    let rows = window.fetch(conn, statements, &scope, &[]).await?;
    rows.try_map(Raw::read)
}
