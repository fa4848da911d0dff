//! `/v1/wallets`: public key material of a merchant.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use paywatch_domain::WalletId;
use paywatch_wire::{CreateWallet, NoFields, Page, Wallet};

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
    let caller = auth.may(Scope::WalletsWrite)?;
    let (request, idempotent) = post.decode::<CreateWallet>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .create_wallet(&caller, request, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn confirm(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let id = known::<WalletId>(id, Thing::Wallet)?;
    let (NoFields {}, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .confirm_wallet(&caller, id, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn one(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<Wallet>, Fault> {
    let caller = auth.may(Scope::WalletsRead)?;
    let id = known::<WalletId>(id, Thing::Wallet)?;
    let wallet = state.commands.wallet(&caller, id).await?;
    wallet.map(Json).ok_or(Fault::NotFound(Thing::Wallet))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Wallet>>, Fault> {
    let caller = auth.may(Scope::WalletsRead)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window("a wallet");
    query.finish()?;
    let (commands, cursor) = (&state.commands, &window.cursor);
    let listed = commands.wallets(&caller, cursor, window.limit).await?;
    Ok(Json(page(listed, cursor, |wallet| wallet.id.clone())))
}
