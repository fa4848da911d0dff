//! `/v1/exceptions`: what a person has to decide, and the decisions.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use paywatch_domain::{ExceptionId, ExceptionKind, InvoiceId};
use paywatch_store::exceptions::Filter;
use paywatch_wire::request::{RecordRefund, ResolveException};
use paywatch_wire::{ExceptionForm, Invoice, Page};

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
    let kinds = ExceptionKind::ALL.map(ExceptionKind::as_str);
    routes
        .with(
            get("/v1/exceptions", "list_exceptions", "List what has to be decided")
                .scope(Scope::ExceptionsRead)
                .lists::<ExceptionForm>("A page of exceptions, newest first.")
                .word("kind", "Only those of this kind.", kinds)
                .word("state", "Only those in this state.", ["open", "resolved"]),
            list,
        )
        .with(
            get("/v1/exceptions/{id}", "get_exception", "Read an exception")
                .scope(Scope::ExceptionsRead)
                .answers::<ExceptionForm>(200, "The exception."),
            one,
        )
        .with(
            post("/v1/exceptions/{id}/resolve", "resolve_exception", "Decide about an exception")
                .scope(Scope::ExceptionsWrite)
                .takes::<ResolveException>()
                .answers::<ExceptionForm>(200, "The exception after the decision.")
                .refuses(
                    409,
                    "This cannot be decided about it (`action_not_possible`, `exception_resolved`, `nothing_final`, \
                     `refund_too_large`).",
                ),
            resolve,
        )
        .with(
            post("/v1/invoices/{id}/refunds", "record_refund", "Record money that was sent back")
                .text("paywatch sends nothing: the transaction, or an offset in another way, is written down.")
                .scope(Scope::ExceptionsWrite)
                .takes::<RecordRefund>()
                .answers::<Invoice>(201, "The invoice with the refund.")
                .refuses(409, "More than what is final and not refunded yet (`refund_above_final`)."),
            refund,
        )
}

pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ExceptionForm>>, Fault> {
    let caller = auth.may(Scope::ExceptionsRead)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window("an exception");
    let kinds: Vec<&str> = ExceptionKind::ALL
        .iter()
        .map(|kind| kind.as_str())
        .collect();
    let kind = query.word("kind", &kinds.join(", "), ExceptionKind::parse);
    let is_open = query.word("state", "open, resolved", |text| match text {
        "open" => Some(true),
        "resolved" => Some(false),
        _ => None,
    });
    query.finish()?;
    let (filter, cursor) = (Filter { kind, is_open }, &window.cursor);
    let listed = state
        .commands
        .exceptions(&caller, filter, cursor, window.limit)
        .await?;
    Ok(Json(page(listed, cursor, |exception| exception.id.clone())))
}

pub(super) async fn one(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<ExceptionForm>, Fault> {
    let caller = auth.may(Scope::ExceptionsRead)?;
    let id = known::<ExceptionId>(id, Thing::Exception)?;
    let exception = state.commands.exception(&caller, id).await?;
    exception.map(Json).ok_or(Fault::NotFound(Thing::Exception))
}

pub(super) async fn resolve(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::ExceptionsWrite)?;
    let id = known::<ExceptionId>(id, Thing::Exception)?;
    let (request, idempotent) = post.decode::<ResolveException>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .resolve_exception(&caller, id, request, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn refund(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::ExceptionsWrite)?;
    let id = known::<InvoiceId>(id, Thing::Invoice)?;
    let (request, idempotent) = post.decode::<RecordRefund>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .record_refund(&caller, id, request, idempotent, now, &mut entropy)
            .await?,
    )
}
