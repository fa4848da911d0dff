//! `/v1/webhook-endpoints`: where a merchant's events are sent.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use paywatch_domain::EndpointId;
use paywatch_wire::request::{ReplayEvents, RotateSecret, UpdateEndpoint};
use paywatch_wire::{CreateEndpoint, Deleted, Delivery, Endpoint, NoFields, Page, Replay};

use super::{IdPath, known};
use crate::auth::Auth;
use crate::describe::{Described, delete, get, patch, post};
use crate::fault::{Fault, Thing};
use crate::page::page;
use crate::post::{Post, answer};
use crate::query::Query;
use crate::scope::Scope;
use crate::state::ApiState;

/// Adds the routes.
pub(super) fn add(routes: Described) -> Described {
    const LIST: &str = "/v1/webhook-endpoints";
    const ONE: &str = "/v1/webhook-endpoints/{id}";
    let routes = routes
        .with(
            get(LIST, "list_webhook_endpoints", "List webhook endpoints")
                .scope(Scope::WebhooksRead)
                .lists::<Endpoint>("A page of endpoints, newest first."),
            list,
        )
        .with(
            post(
                LIST,
                "create_webhook_endpoint",
                "Register a webhook endpoint",
            )
            .scope(Scope::WebhooksWrite)
            .takes::<CreateEndpoint>()
            .answers::<Endpoint>(
                201,
                "The endpoint with its signing secret, which is shown once.",
            )
            .refuses(409, "There are too many (`endpoints_too_many`)."),
            create,
        )
        .with(
            get(ONE, "get_webhook_endpoint", "Read a webhook endpoint")
                .scope(Scope::WebhooksRead)
                .answers::<Endpoint>(200, "The endpoint, without its secret."),
            one,
        )
        .with(
            patch(ONE, "update_webhook_endpoint", "Change a webhook endpoint")
                .scope(Scope::WebhooksWrite)
                .may_take::<UpdateEndpoint>()
                .answers::<Endpoint>(200, "The endpoint after the change."),
            update,
        )
        .with(
            delete(ONE, "delete_webhook_endpoint", "Delete a webhook endpoint")
                .scope(Scope::WebhooksWrite)
                .answers::<Deleted>(200, "What it was called."),
            delete_one,
        );
    add_actions(routes)
}

fn add_actions(routes: Described) -> Described {
    routes
        .with(
            post(
                "/v1/webhook-endpoints/{id}/rotate-secret",
                "rotate_webhook_secret",
                "Give a webhook endpoint a new secret",
            )
            .text("Both secrets sign until the overlap has passed.")
            .scope(Scope::WebhooksWrite)
            .may_take::<RotateSecret>()
            .answers::<Endpoint>(
                200,
                "The endpoint with its new secret, which is shown once.",
            ),
            rotate,
        )
        .with(
            post(
                "/v1/webhook-endpoints/{id}/test",
                "test_webhook_endpoint",
                "Send a signed event for a test",
            )
            .scope(Scope::WebhooksWrite)
            .answers::<Delivery>(202, "The delivery of an `endpoint.test`.")
            .refuses(409, "The endpoint is disabled (`endpoint_disabled`)."),
            test,
        )
        .with(
            post(
                "/v1/webhook-endpoints/{id}/replay",
                "replay_events",
                "Send a range of events again",
            )
            .scope(Scope::WebhooksWrite)
            .takes::<ReplayEvents>()
            .answers::<Replay>(202, "How many are sent again.")
            .refuses(409, "The endpoint is disabled (`endpoint_disabled`)."),
            replay,
        )
}

pub(super) async fn create(
    State(state): State<ApiState>,
    auth: Auth,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::WebhooksWrite)?;
    let (request, idempotent) = post.decode::<CreateEndpoint>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .create_endpoint(&caller, request, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn one(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<Endpoint>, Fault> {
    let caller = auth.may(Scope::WebhooksRead)?;
    let id = known::<EndpointId>(id, Thing::Endpoint)?;
    Ok(Json(state.commands.endpoint(&caller, id).await?))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Endpoint>>, Fault> {
    let caller = auth.may(Scope::WebhooksRead)?;
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
    let caller = auth.may(Scope::WebhooksWrite)?;
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
    let caller = auth.may(Scope::WebhooksWrite)?;
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
    let caller = auth.may(Scope::WebhooksWrite)?;
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

pub(super) async fn delete_one(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::WebhooksWrite)?;
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
    let caller = auth.may(Scope::WebhooksWrite)?;
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
