//! `/v1/api-keys` and `/v1/merchants`: what operators do.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use paywatch_domain::{KeyId, MerchantId};
use paywatch_wire::request::{CreateApiKey, CreateMerchant, RotateApiKey};
use paywatch_wire::{ApiKeyForm, MerchantForm, NoFields, Page};

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
    let routes = routes
        .with(
            get("/v1/api-keys", "list_api_keys", "List API keys")
                .text("Those of this key's merchant and mode, without what they are.")
                .scope(Scope::Admin)
                .lists::<ApiKeyForm>("A page of keys, newest first."),
            list_keys,
        )
        .with(
            post("/v1/api-keys", "create_api_key", "Make an API key")
                .text("It sees the mode of the key that asks.")
                .scope(Scope::Admin)
                .takes::<CreateApiKey>()
                .answers::<ApiKeyForm>(201, "The key, which is shown once."),
            create_key,
        )
        .with(
            get("/v1/api-keys/{id}", "get_api_key", "Read an API key")
                .scope(Scope::Admin)
                .answers::<ApiKeyForm>(200, "The key, without what it is."),
            one_key,
        )
        .with(
            post(
                "/v1/api-keys/{id}/rotate",
                "rotate_api_key",
                "Put another API key in the place of one",
            )
            .text("The new one may do what the old one may, which is good until the overlap has passed.")
            .scope(Scope::Admin)
            .may_take::<RotateApiKey>()
            .answers::<ApiKeyForm>(201, "The new key, which is shown once.")
            .refuses(409, "The key is over (`key_over`)."),
            rotate_key,
        )
        .with(
            post("/v1/api-keys/{id}/revoke", "revoke_api_key", "Make an API key useless")
                .scope(Scope::Admin)
                .answers::<ApiKeyForm>(200, "The key, revoked."),
            revoke_key,
        );
    add_merchants(routes)
}

fn add_merchants(routes: Described) -> Described {
    routes
        .with(
            get(
                "/v1/merchants",
                "list_merchants",
                "List the merchants of the installation",
            )
            .scope(Scope::Admin)
            .lists::<MerchantForm>("A page of merchants, newest first."),
            list_merchants,
        )
        .with(
            post("/v1/merchants", "create_merchant", "Register a merchant")
                .text("Then make a key for it, with its `merchant_id`.")
                .scope(Scope::Admin)
                .takes::<CreateMerchant>()
                .answers::<MerchantForm>(201, "The merchant."),
            create_merchant,
        )
}

async fn list_keys(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ApiKeyForm>>, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window("an API key");
    query.finish()?;
    let (commands, cursor) = (&state.commands, &window.cursor);
    let listed = commands
        .api_keys(&caller, cursor, window.limit, state.now())
        .await?;
    Ok(Json(page(listed, cursor, |key| key.record.id.clone())))
}

async fn one_key(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<ApiKeyForm>, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let id = known::<KeyId>(id, Thing::Key)?;
    let key = state.commands.api_key(&caller, id, state.now()).await?;
    key.map(Json).ok_or(Fault::NotFound(Thing::Key))
}

async fn create_key(
    State(state): State<ApiState>,
    auth: Auth,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let (request, idempotent) = post.decode::<CreateApiKey>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .create_api_key(&caller, request, idempotent, now, &mut entropy)
            .await?,
    )
}

async fn rotate_key(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let id = known::<KeyId>(id, Thing::Key)?;
    let (request, idempotent) = post.decode::<RotateApiKey>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .rotate_api_key(&caller, id, request, idempotent, now, &mut entropy)
            .await?,
    )
}

async fn revoke_key(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let id = known::<KeyId>(id, Thing::Key)?;
    let (NoFields {}, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .revoke_api_key(&caller, id, idempotent, now, &mut entropy)
            .await?,
    )
}

async fn list_merchants(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<MerchantForm>>, Fault> {
    auth.may(Scope::Admin)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window::<MerchantId>("a merchant");
    query.finish()?;
    let (commands, cursor) = (&state.commands, &window.cursor);
    let listed = commands.merchants(cursor, window.limit).await?;
    Ok(Json(page(listed, cursor, |merchant| merchant.id.clone())))
}

async fn create_merchant(
    State(state): State<ApiState>,
    auth: Auth,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let (request, idempotent) = post.decode::<CreateMerchant>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .create_merchant(&caller, request, idempotent, now, &mut entropy)
            .await?,
    )
}
