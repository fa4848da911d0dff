//! Sending again what was said before: as new deliveries, outside of the order of an invoice's events.

use paywatch_domain::{DeliveryId, EventType, Mode, UnixMillis};
use serde::Serialize;

use crate::column::{list, word};
use crate::keys::{EndpointKey, MerchantKey};
use crate::sql::statements;
use crate::{StoreError, Tx};

statements! {
    /// Whoever disables the endpoint waits for the lock, and then drops this delivery.
    REDELIVER = "INSERT INTO deliveries (public_id, merchant, mode, event, endpoint, state, attempt_count, due_at,
            created_at)
        SELECT CAST($4 AS TEXT), d.merchant, d.mode, d.event, d.endpoint, 'due', 0, CAST($5 AS BIGINT), CAST($5 AS BIGINT)
        FROM deliveries AS d JOIN endpoints AS e ON e.id = d.endpoint
        WHERE d.merchant = $1 AND d.mode = $2 AND d.public_id = $3 AND e.state = 'enabled'",
        (lite "", pg " FOR KEY SHARE OF e");
    ENABLED = "SELECT id FROM endpoints WHERE id = $1 AND state = 'enabled'", key_share;
    SAID = "SELECT seq, type FROM events WHERE merchant = $1 AND mode = $2 AND seq > $3 AND seq <= $4
        ORDER BY seq LIMIT CAST($5 AS BIGINT)";
    REPLAY = "INSERT INTO deliveries (public_id, merchant, mode, event, endpoint, state, attempt_count, due_at,
            created_at)
        SELECT value->>'id', CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST(value->>'event' AS BIGINT),
            CAST($3 AS BIGINT), 'due', 0, CAST($4 AS BIGINT), CAST($4 AS BIGINT)
        FROM json_each($5) WHERE true";
}

/// Sends the event of a delivery to its endpoint again, as a new delivery outside of the order.
/// Answers whether the delivery was found and its endpoint is enabled.
pub async fn redeliver(
    tx: &mut Tx,
    merchant: MerchantKey,
    mode: Mode,
    id: DeliveryId,
    new_id: DeliveryId,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let (id, new_id) = (id.to_string(), new_id.to_string());
    let binds = [
        merchant.into(),
        mode.as_str().into(),
        (&id).into(),
        (&new_id).into(),
        now.into(),
    ];
    let is_made = tx.execute(REDELIVER, &binds).await? == 1;
    tx.has_deliveries |= is_made;
    Ok(is_made)
}

/// What to send again, and to whom.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    /// Whose events.
    pub merchant: MerchantKey,
    /// Live or test.
    pub mode: Mode,
    /// To whom.
    pub endpoint: EndpointKey,
    /// Which types it gets; empty for all.
    pub types: &'a [EventType],
    /// After the event with this `seq`.
    pub after: i64,
    /// Up to the one with this `seq`, which is included.
    pub until: i64,
    /// At most so many events are looked at.
    pub limit: u32,
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Deliveries that were made.
    pub count: usize,
    /// The `seq` after which to go on; `None` when everything in the range was looked at.
    pub next_after: Option<i64>,
}

#[derive(Serialize)]
struct Row {
    id: String,
    event: i64,
}

/// Sends the events of a range to one endpoint again, in their order, as far as it gets their types. What was
/// only sent to try an endpoint out is left out. Answers `None` when the endpoint is not enabled.
pub async fn replay(
    tx: &mut Tx,
    replay: &Replay<'_>,
    now: UnixMillis,
    delivery_ids: &mut (dyn FnMut() -> u128 + Send),
) -> Result<Option<Replayed>, StoreError> {
    let endpoint = replay.endpoint;
    if tx
        .fetch::<(i64,)>(ENABLED, &[endpoint.into()])
        .await?
        .is_empty()
    {
        return Ok(None);
    }
    let range = [
        replay.merchant.into(),
        replay.mode.as_str().into(),
        replay.after.into(),
        replay.until.into(),
        i64::from(replay.limit).into(),
    ];
    let said = tx.fetch::<(i64, String)>(SAID, &range).await?;
    let is_full = u32::try_from(said.len()).is_ok_and(|count| count == replay.limit);
    let next_after = said.last().map(|(seq, _)| *seq).filter(|_| is_full);
    let mut rows = Vec::with_capacity(said.len());
    for (event, kind) in said {
        let kind = word("events.type", &kind, EventType::parse)?;
        let is_wanted = replay.types.is_empty() || replay.types.contains(&kind);
        if is_wanted && kind != EventType::EndpointTest {
            let id = DeliveryId::from_bits(delivery_ids()).to_string();
            rows.push(Row { id, event });
        }
    }
    let count = rows.len();
    if count != 0 {
        let rows = list(rows);
        let binds = [
            replay.merchant.into(),
            replay.mode.as_str().into(),
            endpoint.into(),
            now.into(),
            (&rows).into(),
        ];
        tx.execute(REPLAY, &binds).await?;
        tx.has_deliveries = true;
    }
    Ok(Some(Replayed { count, next_after }))
}
