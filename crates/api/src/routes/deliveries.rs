//! `/v1/deliveries`: what was sent where, and what came back.

use axum::Json;
use axum::extract::{RawQuery, State};
use paywatch_domain::DeliveryId;
use paywatch_store::deliveries::{self, Delivery as Row};
use paywatch_store::{Conn, Listed};
use paywatch_wire::time::rfc3339;
use paywatch_wire::{Attempt, Delivery, Page};

use super::{IdPath, known};
use crate::auth::Auth;
use crate::fault::{Fault, Thing};
use crate::page::page;
use crate::query::Query;
use crate::scope::Scope;
use crate::state::ApiState;

async fn show(conn: &mut Conn, row: Row) -> Result<Delivery, Fault> {
    let attempts = deliveries::attempts(conn, row.key).await?;
    let attempts = attempts.into_iter().map(|attempt| Attempt {
        number: attempt.number,
        started_at: rfc3339(attempt.started_at),
        duration_ms: u64::try_from(attempt.duration_ms).unwrap_or_default(),
        status_code: attempt.status_code,
        error: attempt.error,
        answer: attempt.answer,
    });
    Ok(Delivery {
        id: row.id.to_string(),
        object: "delivery".into(),
        event_id: row.event_id.to_string(),
        event_type: row.event_type.as_str().into(),
        endpoint_id: row.endpoint_id.to_string(),
        state: row.state.as_str().into(),
        attempt_count: row.attempt_count,
        due_at: row.due_at.map(rfc3339),
        created_at: rfc3339(row.created_at),
        finished_at: row.finished_at.map(rfc3339),
        attempts: attempts.collect(),
    })
}

pub(super) async fn one(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<Delivery>, Fault> {
    let caller = auth.may(Scope::EndpointsRead)?;
    let id = known::<DeliveryId>(id, Thing::Delivery)?;
    let mut conn = state.store.snapshot().await?;
    let row = deliveries::get(&mut conn, caller.merchant, caller.mode, id).await?;
    let row = row.ok_or(Fault::NotFound(Thing::Delivery))?;
    Ok(Json(show(&mut conn, row).await?))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Delivery>>, Fault> {
    let caller = auth.may(Scope::EndpointsRead)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window("a delivery");
    query.finish()?;
    let mut conn = state.store.snapshot().await?;
    let (cursor, limit) = (&window.cursor, window.limit);
    let listed = deliveries::page(&mut conn, caller.merchant, caller.mode, cursor, limit).await?;
    let mut rows = Vec::with_capacity(listed.rows.len());
    for row in listed.rows {
        rows.push(show(&mut conn, row).await?);
    }
    let has_more = listed.has_more;
    Ok(Json(page(Listed { rows, has_more }, cursor, |delivery| {
        delivery.id.clone()
    })))
}
