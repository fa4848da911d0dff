//! What is asked of the workers that follow chains, and how far they are.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use paywatch_domain::{InvoiceId, RequestId, WalletId};
use paywatch_engine::commands::{Ask, Caller, Sight};
use paywatch_wire::request::{AttachTransaction, CheckInvoice, Request};
use paywatch_wire::{ChainRequest, NoFields, Rescan, ScanWallet};

use super::{IdPath, known};
use crate::auth::Auth;
use crate::describe::{Described, get, post};
use crate::fault::{Fault, Thing};
use crate::post::{Post, answer};
use crate::scope::Scope;
use crate::state::ApiState;

/// Adds the routes.
pub(super) fn add(routes: Described) -> Described {
    let routes = routes
        .with(
            post(
                "/v1/chains/{chain}/resume",
                "resume_chain",
                "Let a halted chain go on",
            )
            .scope(Scope::Admin)
            .answers::<ChainRequest>(202, TAKEN)
            .refuses(409, "The chain is not halted (`chain_not_halted`)."),
            resume,
        )
        .with(
            post(
                "/v1/chains/{chain}/rescan",
                "rescan_chain",
                "Read blocks of a chain again",
            )
            .scope(Scope::Admin)
            .takes::<Rescan>()
            .answers::<ChainRequest>(202, TAKEN)
            .refuses(409, NOT_NOW),
            rescan,
        )
        .with(
            post(
                "/v1/wallets/{id}/scan",
                "scan_wallet",
                "Look for the used addresses of a wallet",
            )
            .scope(Scope::WalletsWrite)
            .takes::<ScanWallet>()
            .answers::<ChainRequest>(202, TAKEN)
            .refuses(409, NOT_NOW),
            scan,
        );
    add_of_invoices(routes)
}

/// Adds what is asked about invoices, and what shows it.
fn add_of_invoices(routes: Described) -> Described {
    let routes = routes
        .with(
            post(
                "/v1/invoices/{id}/transfers",
                "attach_transaction",
                "Attach a transaction to an invoice by its id",
            )
            .text("The chain's worker looks for it, and takes it when it stands there and pays the invoice.")
            .scope(Scope::InvoicesWrite)
            .takes::<AttachTransaction>()
            .answers::<ChainRequest>(202, TAKEN)
            .refuses(409, NOT_NOW),
            attach,
        )
        .with(
            post("/v1/invoices/{id}/check", "check_invoice", "Read an invoice's addresses now")
                .scope(Scope::InvoicesWrite)
                .may_take::<CheckInvoice>()
                .answers::<ChainRequest>(202, TAKEN)
                .refuses(409, NOT_NOW),
            check,
        );
    routes
        .with(
            get(
                "/v1/requests/{id}",
                "get_request",
                "See how far a request is",
            )
            .scope(Scope::InvoicesRead)
            .scope(Scope::WalletsRead)
            .scope(Scope::Admin)
            .answers::<ChainRequest>(200, "The request."),
            one,
        )
        .with(
            post(
                "/v1/requests/{id}/cancel",
                "cancel_request",
                "Give a request up",
            )
            .scope(Scope::InvoicesWrite)
            .scope(Scope::WalletsWrite)
            .scope(Scope::Admin)
            .answers::<ChainRequest>(200, "The request, canceled.")
            .refuses(409, "It is over (`request_over`)."),
            cancel,
        )
}

/// What a worker will do.
const TAKEN: &str = "The request, waiting for the chain's worker.";
/// Why a worker is not asked.
const NOT_NOW: &str = "The chain was not read yet (`chain_not_read`), or enough is asked of it already (`scan_open`, \
                       `requests_open`).";

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
