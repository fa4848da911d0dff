//! `/v1/invoices`: what is to be paid, and what happened to the money.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use paywatch_domain::{InvoiceId, Status, UnixMillis};
use paywatch_store::invoices::By;
use paywatch_wire::{CreateInvoice, ExplainedTransfer, Explanation, Invoice, NoFields, Page};

use super::{IdPath, known};
use crate::auth::Auth;
use crate::describe::{Described, Operation, get, post};
use crate::fault::{Fault, Thing};
use crate::page::{page, within};
use crate::post::{Post, answer};
use crate::query::Query;
use crate::scope::Scope;
use crate::state::ApiState;

/// The list and its filters.
fn listed() -> Operation {
    get("/v1/invoices", "list_invoices", "List invoices")
        .text("One filter at a time is possible; a range of `created_after` and `created_before` is one.")
        .scope(Scope::InvoicesRead)
        .lists::<Invoice>("A page of invoices, newest first.")
        .word("status", "Only those with this status.", Status::ALL.map(Status::as_str))
        .text_query("order_id", "Only those with this reference of the merchant.")
        .text_query("asset", "Only those that can be paid in this asset, `symbol@chain`.")
        .text_query("tx_id", "Only those that this transaction pays.")
        .text_query("address", "Only those with this address.")
        .word("has_exception", "Only those with something to decide.", ["true"])
        .time("created_after", "Only those that were made at or after this time.")
        .time("created_before", "Only those that were made before this time.")
}

/// Adds the routes.
pub(super) fn add(routes: Described) -> Described {
    routes
        .with(listed(), list)
        .with(
            post("/v1/invoices", "create_invoice", "Make an invoice")
                .text("Each option gets an address of its own. The policy's tier is chosen from the price, once.")
                .scope(Scope::InvoicesWrite)
                .takes::<CreateInvoice>()
                .answers::<Invoice>(201, "The invoice.")
                .refuses(409, "A pool has no address left (`address_pool_empty`), or a wallet cannot be used.")
                .refuses(503, "A chain is too far behind (`chain_unavailable`)."),
            create,
        )
        .with(
            get("/v1/invoices/{id}", "get_invoice", "Read an invoice")
                .text("Its state as it is known now: what a backend reads before it fulfils.")
                .scope(Scope::InvoicesRead)
                .answers::<Invoice>(200, "The invoice.")
                .refuses(409, QUARANTINED),
            one,
        )
        .with(
            post("/v1/invoices/{id}/cancel", "cancel_invoice", "Cancel an invoice")
                .scope(Scope::InvoicesWrite)
                .answers::<Invoice>(200, "The invoice, canceled.")
                .refuses(409, "Money is on its way or there (`invoice_not_cancelable`)."),
            cancel,
        )
        .with(
            get("/v1/invoices/{id}/explain", "explain_invoice", "Say why an invoice has its status")
                .scope(Scope::InvoicesRead)
                .answers::<Explanation>(200, "The explanation, in words and as data.")
                .refuses(409, QUARANTINED),
            explain,
        )
        .with(
            get(
                "/v1/invoices/{id}/transfers",
                "list_invoice_transfers",
                "List what was paid to an invoice",
            )
            .text("Where each transfer has stood is told too, and why it counts or does not.")
            .scope(Scope::InvoicesRead)
            .lists::<ExplainedTransfer>("A page of transfers, newest first.")
            .refuses(409, QUARANTINED),
            transfers,
        )
}

/// Why an invoice is not shown.
const QUARANTINED: &str =
    "What is stored about it contradicts itself (`invoice_quarantined`): an operator has to look.";

pub(super) async fn create(
    State(state): State<ApiState>,
    auth: Auth,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::InvoicesWrite)?;
    let (request, idempotent) = post.decode::<CreateInvoice>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .create_invoice(&caller, request, idempotent, now, &mut entropy)
            .await?,
    )
}

pub(super) async fn one(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<Invoice>, Fault> {
    let caller = auth.may(Scope::InvoicesRead)?;
    let id = known::<InvoiceId>(id, Thing::Invoice)?;
    let invoice = state.commands.invoice(&caller, id, state.now()).await?;
    invoice.map(Json).ok_or(Fault::NotFound(Thing::Invoice))
}

pub(super) async fn explain(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
) -> Result<Json<Explanation>, Fault> {
    let caller = auth.may(Scope::InvoicesRead)?;
    let id = known::<InvoiceId>(id, Thing::Invoice)?;
    let explained = state.commands.explain_invoice(&caller, id, state.now());
    explained
        .await?
        .map(Json)
        .ok_or(Fault::NotFound(Thing::Invoice))
}

pub(super) async fn transfers(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ExplainedTransfer>>, Fault> {
    let caller = auth.may(Scope::InvoicesRead)?;
    let id = known::<InvoiceId>(id, Thing::Invoice)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window("a transfer");
    query.finish()?;
    let found = state.commands.invoice_transfers(&caller, id, state.now());
    let mut found = found.await?.ok_or(Fault::NotFound(Thing::Invoice))?;
    found.reverse();
    let (cursor, limit) = (&window.cursor, window.limit);
    let listed = within(found, cursor, limit, |one| one.transfer.id.clone());
    Ok(Json(page(listed, cursor, |one| one.transfer.id.clone())))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Invoice>>, Fault> {
    let caller = auth.may(Scope::InvoicesRead)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window("an invoice");
    let by = filter(&mut query);
    query.finish()?;
    let (commands, cursor, limit) = (&state.commands, &window.cursor, window.limit);
    let listed = commands
        .invoices(&caller, by, cursor, limit, state.now())
        .await?;
    Ok(Json(page(listed, cursor, |invoice| invoice.id.clone())))
}

/// One filter at a time: each has an index of its own.
fn filter(query: &mut Query) -> By {
    let statuses: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let status = query.word("status", &statuses.join(", "), Status::parse);
    let asset = query.word("asset", "the assets, such as btc@bitcoin", |text| {
        text.parse().ok()
    });
    let (from, to) = (query.time("created_after"), query.time("created_before"));
    let created = (from.is_some() || to.is_some()).then(|| {
        let (from, to) = (
            from.unwrap_or(UnixMillis(i64::MIN)),
            to.unwrap_or(UnixMillis(i64::MAX)),
        );
        By::CreatedBetween(from, to)
    });
    let has_exception = query.word("has_exception", "true", |text| {
        (text == "true").then_some(())
    });
    let named = [
        status.map(By::Status),
        query.text("order_id").map(By::OrderId),
        asset.map(By::Asset),
        query.text("tx_id").map(By::TxId),
        query.text("address").map(By::Address),
        has_exception.map(|()| By::HasException),
        created,
    ];
    let mut named = named.into_iter().flatten();
    let by = named.next().unwrap_or(By::All);
    if named.next().is_some() {
        query.refuse(
            "status",
            "filters_combined",
            "one filter at a time is possible",
        );
    }
    by
}

pub(super) async fn cancel(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::InvoicesWrite)?;
    let id = known::<InvoiceId>(id, Thing::Invoice)?;
    let (NoFields {}, idempotent) = post.decode()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .cancel_invoice(&caller, id, idempotent, now, &mut entropy)
            .await?,
    )
}
