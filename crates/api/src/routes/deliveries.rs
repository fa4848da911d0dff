//! `/v1/deliveries`: what was sent where, what came back, and sending it again.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use paywatch_domain::DeliveryId;
use paywatch_engine::commands::delivery_form;
use paywatch_store::deliveries::{self, Delivery as Row};
use paywatch_store::{Conn, Listed};
use paywatch_wire::{Delivery, NoFields, Page};

use super::{IdPath, known};
use crate::auth::Auth;
use crate::describe::{Described, get, post};
use crate::fault::{Fault, Thing};
use crate::page::page;
use crate::post::{Post, answer};
use crate::query::Query;
use crate::scope::Scope;
use crate::state::ApiState;

/// Adds the routes.
pub(super) fn add(routes: Described) -> Described {
    routes
        .with(
            get("/v1/deliveries", "list_deliveries", "List deliveries")
                .scope(Scope::WebhooksRead)
                .lists::<Delivery>("A page of deliveries, newest first."),
            list,
        )
        .with(
            get(
                "/v1/deliveries/{id}",
                "get_delivery",
                "Read a delivery with its attempts",
            )
            .scope(Scope::WebhooksRead)
            .answers::<Delivery>(200, "The delivery."),
            one,
        )
        .with(
            post(
                "/v1/deliveries/{id}/redeliver",
                "redeliver",
                "Send a delivery again",
            )
            .scope(Scope::WebhooksWrite)
            .answers::<Delivery>(202, "The delivery, due.")
            .refuses(409, "The endpoint is disabled (`endpoint_disabled`)."),
            redeliver,
        )
}

async fn show(conn: &mut Conn, row: &Row) -> Result<Delivery, Fault> {
    let attempts = deliveries::attempts(conn, row.key).await?;
    Ok(delivery_form(row, attempts))
}

pub(super) async fn one(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<Delivery>, Fault> {
    let caller = auth.may(Scope::WebhooksRead)?;
    let id = known::<DeliveryId>(id, Thing::Delivery)?;
    let mut conn = state.store.snapshot().await?;
    let row = deliveries::get(&mut conn, caller.merchant, caller.mode, id).await?;
    let row = row.ok_or(Fault::NotFound(Thing::Delivery))?;
    Ok(Json(show(&mut conn, &row).await?))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Delivery>>, Fault> {
    let caller = auth.may(Scope::WebhooksRead)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window("a delivery");
    query.finish()?;
    let mut conn = state.store.snapshot().await?;
    let (cursor, limit) = (&window.cursor, window.limit);
    let listed = deliveries::page(&mut conn, caller.merchant, caller.mode, cursor, limit).await?;
    let mut rows = Vec::with_capacity(listed.rows.len());
    for row in listed.rows {
        rows.push(show(&mut conn, &row).await?);
    }
    let has_more = listed.has_more;
    Ok(Json(page(Listed { rows, has_more }, cursor, |delivery| {
        delivery.id.clone()
    })))
}

pub(super) async fn redeliver(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::WebhooksWrite)?;
    let id = known::<DeliveryId>(id, Thing::Delivery)?;
    let (NoFields {}, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .redeliver(&caller, id, idempotent, now, &mut entropy)
            .await?,
    )
}
