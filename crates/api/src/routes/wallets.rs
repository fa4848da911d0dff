//! `/v1/wallets`: public key material of a merchant.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use http::header;
use paywatch_domain::WalletId;
use paywatch_engine::commands::{Caller, CommandError, Commands, WalletExport};
use paywatch_wire::{CreateWallet, ExportForm, ExtendPool, NoFields, Page, Wallet};

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
    const ONE: &str = "/v1/wallets/{id}";
    let routes = routes
        .with(
            get("/v1/wallets", "list_wallets", "List wallets")
                .scope(Scope::WalletsRead)
                .lists::<Wallet>("A page of wallets, newest first."),
            list,
        )
        .with(
            post("/v1/wallets", "create_wallet", "Register public key material")
                .text(
                    "Answers with the fingerprint and the first addresses: compare them with what the wallet itself \
                     shows. The wallet is `pending` until somebody with the scope `admin` has confirmed it. Private \
                     keys are refused.",
                )
                .scope(Scope::WalletsWrite)
                .takes::<CreateWallet>()
                .answers::<Wallet>(201, "The wallet, pending.")
                .refuses(409, "The key is in use already (`wallet_exists`, `key_in_use`)."),
            create,
        )
        .with(
            get(ONE, "get_wallet", "Read a wallet")
                .scope(Scope::WalletsRead)
                .answers::<Wallet>(200, "The wallet."),
            one,
        )
        .with(
            get("/v1/wallets/{id}/export", "export_wallet", "Export a wallet for other programs")
                .scope(Scope::WalletsRead)
                .word("form", "The form; `descriptor` when nothing is said.", ExportForm::ALL.map(ExportForm::as_str))
                .answers_text(200, "The export.", &["text/plain", "text/csv", "application/x-ndjson"])
                .refuses(409, "The wallet has no descriptor (`descriptor_none`), or nobody serves its family."),
            export,
        );
    add_actions(routes)
}

fn add_actions(routes: Described) -> Described {
    routes
        .with(
            post("/v1/wallets/{id}/confirm", "confirm_wallet", "Take a wallet into use")
                .text("For an operator who has compared its first addresses with what the wallet itself shows.")
                .scope(Scope::Admin)
                .answers::<Wallet>(200, "The wallet, active.")
                .refuses(409, "The wallet is archived (`wallet_archived`), or another one became the default meanwhile."),
            confirm,
        )
        .with(
            post("/v1/wallets/{id}/addresses", "extend_pool", "Add addresses to a pool")
                .scope(Scope::Admin)
                .takes::<ExtendPool>()
                .answers::<Wallet>(200, "The wallet with its level.")
                .refuses(409, "The wallet is no pool (`wallet_not_pool`) or archived (`wallet_archived`)."),
            top_up,
        )
        .with(
            post("/v1/wallets/{id}/default", "make_wallet_default", "Make a wallet the default of its family")
                .text("It is used where an option names no wallet.")
                .scope(Scope::Admin)
                .answers::<Wallet>(200, "The wallet, the default now.")
                .refuses(409, "The wallet is not in use (`wallet_not_active`)."),
            make_default,
        )
        .with(
            post("/v1/wallets/{id}/archive", "archive_wallet", "Use a wallet no more for new invoices")
                .text("What it handed out is watched as before.")
                .scope(Scope::Admin)
                .answers::<Wallet>(200, "The wallet, archived."),
            archive,
        )
}

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

pub(super) async fn make_default(
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
            .make_default_wallet(&caller, id, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn archive(
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
            .archive_wallet(&caller, id, idempotent, now, &mut entropy)
            .await?,
    )
}

/// More addresses for a pool. The same scope as to confirm a wallet: whose addresses they are, nobody
/// checks any more.
pub(super) async fn top_up(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::Admin)?;
    let id = known::<WalletId>(id, Thing::Wallet)?;
    let (request, idempotent) = post.decode::<ExtendPool>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .extend_pool(&caller, id, &request, idempotent, now, &mut entropy)
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

/// The wallet for other programs. Addresses are sent page by page as they are read; when one cannot be
/// read the answer breaks off.
pub(super) async fn export(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::WalletsRead)?;
    let id = known::<WalletId>(id, Thing::Wallet)?;
    let mut query = Query::new(query.as_deref());
    let form = query.word("form", "descriptor, csv, bip329", ExportForm::parse);
    query.finish()?;
    let form = form.unwrap_or(ExportForm::Descriptor);
    let found = state.commands.wallet_export(&caller, id).await?;
    let export = found.ok_or(Fault::NotFound(Thing::Wallet))?;
    let body = match form {
        ExportForm::Descriptor => Body::from(export.descriptor()?),
        ExportForm::Csv | ExportForm::Bip329 => {
            Body::from_stream(addresses(state.commands, caller, export, form))
        }
    };
    Ok(([(header::CONTENT_TYPE, form.media_type())], body).into_response())
}

/// The head of an export, then one piece of text for each page.
fn addresses(
    commands: Commands,
    caller: Caller,
    export: WalletExport,
    form: ExportForm,
) -> impl Stream<Item = Result<String, CommandError>> {
    let begin = (commands, caller, export, 0, form.head().to_owned());
    stream::try_unfold(
        begin,
        move |(commands, caller, export, from, mut text)| async move {
            let rows = commands
                .exported(&caller, &export, from)
                .await
                .inspect_err(|error| tracing::error!(%error, "an export broke off"))?;
            text.extend(rows.iter().map(|row| form.row(row)));
            let next = rows.last().map_or(from, |row| row.index.saturating_add(1));
            // Without addresses the head is still to be sent, and then nothing more.
            let more = !text.is_empty();
            Ok(more.then(|| (text, (commands, caller, export, next, String::new()))))
        },
    )
}
