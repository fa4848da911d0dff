//! `/v1/webhook-endpoints`: where a merchant's events are sent.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use paywatch_domain::EndpointId;
use paywatch_store::endpoints::{self, Endpoint as Row};
use paywatch_wire::{CreateEndpoint, Endpoint, NoFields, Page};

use super::{IdPath, known};
use crate::auth::Auth;
use crate::fault::{Fault, Thing};
use crate::page::page;
use crate::post::{Post, answer};
use crate::query::Query;
use crate::scope::Scope;
use crate::state::ApiState;

pub(super) async fn create(
    State(state): State<ApiState>,
    auth: Auth,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::EndpointsWrite)?;
    let (request, idempotent) = post.decode::<CreateEndpoint>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .create_endpoint(&caller, request, idempotent, now, &mut entropy)
            .await?,
    )
}

fn show(row: &Row) -> Endpoint {
    Endpoint::render(
        row.id,
        row.mode,
        &row.url,
        &row.types,
        row.disabled_reason.as_deref(),
        row.failing_since,
        row.created_at,
    )
}

pub(super) async fn one(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<Endpoint>, Fault> {
    let caller = auth.may(Scope::EndpointsRead)?;
    let id = known::<EndpointId>(id, Thing::Endpoint)?;
    let mut conn = state.store.read().await?;
    let row = endpoints::get(&mut conn, caller.merchant, caller.mode, id).await?;
    row.map(|row| Json(show(&row)))
        .ok_or(Fault::NotFound(Thing::Endpoint))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Endpoint>>, Fault> {
    let caller = auth.may(Scope::EndpointsRead)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window("a webhook endpoint");
    query.finish()?;
    let (commands, cursor) = (&state.commands, &window.cursor);
    let listed = commands.endpoints(&caller, cursor, window.limit).await?;
    Ok(Json(page(listed, cursor, |endpoint| endpoint.id.clone())))
}

pub(super) async fn update(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::EndpointsWrite)?;
    let id = known::<EndpointId>(id, Thing::Endpoint)?;
    let (request, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .update_endpoint(&caller, id, request, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn rotate(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::EndpointsWrite)?;
    let id = known::<EndpointId>(id, Thing::Endpoint)?;
    let (request, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .rotate_endpoint_secret(&caller, id, request, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn replay(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::EndpointsWrite)?;
    let id = known::<EndpointId>(id, Thing::Endpoint)?;
    let (request, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .replay_events(&caller, id, request, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::EndpointsWrite)?;
    let id = known::<EndpointId>(id, Thing::Endpoint)?;
    let (NoFields {}, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .delete_endpoint(&caller, id, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn test(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::EndpointsWrite)?;
    let id = known::<EndpointId>(id, Thing::Endpoint)?;
    let (NoFields {}, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .test_endpoint(&caller, id, idempotent, now, &mut entropy)
            .await?,
    )
}
