//! Deliveries for people: what was sent, and what came back.

use paywatch_domain::{DeliveryId, EndpointId, EventId, EventType, Mode, UnixMillis};

use crate::column::{count, optional_count, optional_time, parsed, word};
use crate::keys::{DeliveryKey, MerchantKey};
use crate::page::{Cursor, Listed, Window};
use crate::sql::statements;
use crate::{Conn, StoreError};

statements! {
    FIND = "SELECT id FROM deliveries WHERE merchant = $1 AND mode = $2 AND public_id = $3";
    GET = "SELECT d.id, d.public_id, v.public_id AS event_id, v.type, e.public_id AS endpoint_id, d.state,
            d.attempt_count, d.due_at, d.created_at, d.finished_at
        FROM deliveries AS d JOIN events AS v ON v.seq = d.event JOIN endpoints AS e ON e.id = d.endpoint
        WHERE d.merchant = $1 AND d.mode = $2 AND d.public_id = $3";
    OLDER = "SELECT d.id, d.public_id, v.public_id AS event_id, v.type, e.public_id AS endpoint_id, d.state,
            d.attempt_count, d.due_at, d.created_at, d.finished_at
        FROM deliveries AS d JOIN events AS v ON v.seq = d.event JOIN endpoints AS e ON e.id = d.endpoint
        WHERE d.merchant = $1 AND d.mode = $2 AND d.id < $3 ORDER BY d.id DESC LIMIT CAST($4 AS BIGINT)";
    NEWER = "SELECT d.id, d.public_id, v.public_id AS event_id, v.type, e.public_id AS endpoint_id, d.state,
            d.attempt_count, d.due_at, d.created_at, d.finished_at
        FROM deliveries AS d JOIN events AS v ON v.seq = d.event JOIN endpoints AS e ON e.id = d.endpoint
        WHERE d.merchant = $1 AND d.mode = $2 AND d.id > $3 ORDER BY d.id LIMIT CAST($4 AS BIGINT)";
    ATTEMPTS = "SELECT number, started_at, duration_ms, status_code, error, answer FROM attempts
        WHERE delivery = $1 ORDER BY number";
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be sent.
    Due,
    /// The endpoint has it.
    Delivered,
    /// Tried often enough.
    Exhausted,
    /// Not sent, because the endpoint was disabled.
    Dropped,
}

impl DeliveryState {
    /// The name in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Delivered => "delivered",
            Self::Exhausted => "exhausted",
            Self::Dropped => "dropped",
        }
    }

    /// The state with this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Due, Self::Delivered, Self::Exhausted, Self::Dropped]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Internal key.
    pub key: DeliveryKey,
    /// Public id.
    pub id: DeliveryId,
    /// What is sent.
    pub event_id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// To whom.
    pub endpoint_id: EndpointId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Tries so far.
    pub attempt_count: u32,
    /// When it is tried next; `None` while it waits for an earlier event, and when it is done.
    pub due_at: Option<UnixMillis>,
    /// When the event was said, or sending it again was asked for.
    pub created_at: UnixMillis,
    /// When it was delivered or given up.
    pub finished_at: Option<UnixMillis>,
}

#[derive(sqlx::FromRow)]
struct Raw {
    id: i64,
    public_id: String,
    event_id: String,
    r#type: String,
    endpoint_id: String,
    state: String,
    attempt_count: i64,
    due_at: Option<i64>,
    created_at: i64,
    finished_at: Option<i64>,
}

impl Raw {
    fn read(self) -> Result<Delivery, StoreError> {
        Ok(Delivery {
            key: DeliveryKey(self.id),
            id: parsed("deliveries.public_id", &self.public_id)?,
            event_id: parsed("events.public_id", &self.event_id)?,
            event_type: word("events.type", &self.r#type, EventType::parse)?,
            endpoint_id: parsed("endpoints.public_id", &self.endpoint_id)?,
            state: word("deliveries.state", &self.state, DeliveryState::parse)?,
            attempt_count: count("deliveries.attempt_count", self.attempt_count)?,
            due_at: optional_time(self.due_at),
            created_at: UnixMillis(self.created_at),
            finished_at: optional_time(self.finished_at),
        })
    }
}

/// One delivery of a merchant.
pub async fn get(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    id: DeliveryId,
) -> Result<Option<Delivery>, StoreError> {
    let id = id.to_string();
    let binds = [merchant.into(), mode.as_str().into(), (&id).into()];
    let row = conn.fetch_optional::<Raw>(GET, &binds).await?;
    row.map(Raw::read).transpose()
}

/// A page of a merchant's deliveries.
pub async fn page(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    cursor: &Cursor<DeliveryId>,
    limit: u32,
) -> Result<Listed<Delivery>, StoreError> {
    let scope = [merchant.into(), mode.as_str().into()];
    let window = Window::find(conn, cursor, limit, FIND, &scope).await?;
    let rows = window.fetch(conn, (OLDER, NEWER), &scope, &[]).await?;
    rows.try_map(Raw::read)
}

/// One try of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
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
}

#[derive(sqlx::FromRow)]
struct AttemptRow {
    number: i64,
    started_at: i64,
    duration_ms: i64,
    status_code: Option<i64>,
    error: Option<String>,
    answer: String,
}

/// Every try of a delivery, oldest first.
pub async fn attempts(conn: &mut Conn, delivery: DeliveryKey) -> Result<Vec<Attempt>, StoreError> {
    let rows = conn
        .fetch::<AttemptRow>(ATTEMPTS, &[delivery.into()])
        .await?;
    let attempts = rows.into_iter().map(|row| {
        Ok(Attempt {
            number: count("attempts.number", row.number)?,
            started_at: UnixMillis(row.started_at),
            duration_ms: row.duration_ms,
            status_code: optional_count("attempts.status_code", row.status_code)?,
            error: row.error,
            answer: row.answer,
        })
    });
    attempts.collect()
}
