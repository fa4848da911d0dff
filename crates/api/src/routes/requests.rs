//! What is asked of the workers that follow chains, and how far they are.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use paywatch_domain::{RequestId, WalletId};
use paywatch_wire::{ChainRequest, NoFields, Rescan, ScanWallet};

use super::{IdPath, known};
use crate::auth::Auth;
use crate::fault::{Fault, Thing};
use crate::post::{Post, answer};
use crate::scope::Scope;
use crate::state::ApiState;

pub(super) async fn resume(
    State(state): State<ApiState>,
    auth: Auth,
    chain: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let chain = known::<String>(chain, Thing::Chain)?;
    let (NoFields {}, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .resume_chain(&caller, &chain, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn rescan(
    State(state): State<ApiState>,
    auth: Auth,
    chain: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let chain = known::<String>(chain, Thing::Chain)?;
    let (request, idempotent) = post.decode::<Rescan>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .rescan_chain(&caller, &chain, request, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn scan(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::WalletsWrite)?;
    let id = known::<WalletId>(id, Thing::Wallet)?;
    let (request, idempotent) = post.decode::<ScanWallet>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .scan_wallet(&caller, id, request, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn one(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<ChainRequest>, Fault> {
    let is_operator = auth.has(Scope::Admin);
    let caller = if is_operator {
        auth.may(Scope::Admin)?
    } else {
        auth.may(Scope::WalletsRead)?
    };
    let id = known::<RequestId>(id, Thing::Request)?;
    let request = state.commands.chain_request(&caller, is_operator, id);
    request
        .await?
        .map(Json)
        .ok_or(Fault::NotFound(Thing::Request))
}
