//! What is asked of the workers that follow chains, and how far they are.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use paywatch_domain::{InvoiceId, RequestId, WalletId};
use paywatch_engine::commands::{Ask, Caller, Sight};
use paywatch_wire::request::Request;
use paywatch_wire::{ChainRequest, NoFields};

use super::{IdPath, known};
use crate::auth::Auth;
use crate::fault::{Fault, Thing};
use crate::post::{Post, answer};
use crate::scope::Scope;
use crate::state::ApiState;

/// Asks a worker for what a body says.
async fn ask<R: Request>(
    state: &ApiState,
    caller: &Caller,
    post: Post,
    what: impl FnOnce(R) -> Ask,
) -> Result<Response, Fault> {
    let (request, idempotent) = post.decode::<R>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let asked = what(request);
    let commands = &state.commands;
    answer(
        commands
            .ask_worker(caller, asked, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn resume(
    State(state): State<ApiState>,
    auth: Auth,
    chain: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let chain = known(chain, Thing::Chain)?;
    ask(&state, &caller, post, |NoFields {}| Ask::Resume(chain)).await
}

pub(super) async fn rescan(
    State(state): State<ApiState>,
    auth: Auth,
    chain: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let chain = known(chain, Thing::Chain)?;
    ask(&state, &caller, post, |body| Ask::Rescan(chain, body)).await
}

pub(super) async fn scan(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::WalletsWrite)?;
    let id = known::<WalletId>(id, Thing::Wallet)?;
    ask(&state, &caller, post, |body| Ask::ScanWallet(id, body)).await
}

pub(super) async fn attach(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::InvoicesWrite)?;
    let id = known::<InvoiceId>(id, Thing::Invoice)?;
    ask(&state, &caller, post, |body| Ask::Attach(id, body)).await
}

pub(super) async fn check(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::InvoicesWrite)?;
    let id = known::<InvoiceId>(id, Thing::Invoice)?;
    ask(&state, &caller, post, |body| Ask::Check(id, body)).await
}

/// The caller of a key that has one of these scopes, for wallets and for invoices, and what it may see.
fn sighted(auth: Auth, wallets: Scope, invoices: Scope) -> Result<(Caller, Sight), Fault> {
    let sight = Sight {
        whole_chains: auth.has(Scope::Admin),
        wallets: auth.has(wallets),
        invoices: auth.has(invoices),
    };
    let scope = match sight {
        Sight {
            whole_chains: true, ..
        } => Scope::Admin,
        Sight { wallets: true, .. } => wallets,
        Sight { .. } => invoices,
    };
    Ok((auth.may(scope)?, sight))
}

pub(super) async fn one(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<ChainRequest>, Fault> {
    let (caller, sight) = sighted(auth, Scope::WalletsRead, Scope::InvoicesRead)?;
    let id = known::<RequestId>(id, Thing::Request)?;
    let request = state.commands.chain_request(&caller, sight, id);
    request
        .await?
        .map(Json)
        .ok_or(Fault::NotFound(Thing::Request))
}

pub(super) async fn cancel(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let (caller, sight) = sighted(auth, Scope::WalletsWrite, Scope::InvoicesWrite)?;
    let id = known::<RequestId>(id, Thing::Request)?;
    let (NoFields {}, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .cancel_request(&caller, sight, id, idempotent, now, &mut entropy)
            .await?,
    )
}
