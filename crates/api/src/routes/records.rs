//! `/v1/invoices/{id}/notes` and `/fulfilments`: what a merchant keeps with an invoice as evidence.

use axum::extract::State;
use axum::response::Response;
use paywatch_domain::InvoiceId;
use paywatch_wire::request::{AddFulfilment, AddNote};
use paywatch_wire::{Fulfilment, Note};

use super::{IdPath, known};
use crate::auth::Auth;
use crate::describe::{Described, post};
use crate::fault::{Fault, Thing};
use crate::post::{Post, answer};
use crate::scope::Scope;
use crate::state::ApiState;

/// Adds the routes.
pub(super) fn add(routes: Described) -> Described {
    let full = "There are as many as can be kept (`records_too_many`).";
    routes
        .with(
            post("/v1/invoices/{id}/notes", "add_note", "Write a note on an invoice")
                .text("Kept with actor and time, shown in its explanation, and never changed.")
                .scope(Scope::InvoicesWrite)
                .takes::<AddNote>()
                .answers::<Note>(201, "The note.")
                .refuses(409, full),
            note,
        )
        .with(
            post("/v1/invoices/{id}/fulfilments", "add_fulfilment", "Record what was given for the money")
                .text("Kept with actor and time as evidence: it stands in the invoice and in its exports.")
                .scope(Scope::InvoicesWrite)
                .takes::<AddFulfilment>()
                .answers::<Fulfilment>(201, "What was recorded.")
                .refuses(409, full),
            fulfilment,
        )
}

async fn note(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::InvoicesWrite)?;
    let id = known::<InvoiceId>(id, Thing::Invoice)?;
    let (request, idempotent) = post.decode::<AddNote>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .add_note(&caller, id, request, idempotent, now, &mut entropy)
            .await?,
    )
}

async fn fulfilment(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    post: Post,
) -> Result<Response, Fault> {
    let caller = auth.may(Scope::InvoicesWrite)?;
    let id = known::<InvoiceId>(id, Thing::Invoice)?;
    let (request, idempotent) = post.decode::<AddFulfilment>()?;
    let (now, mut entropy) = (state.now(), state.request_entropy());
    let commands = &state.commands;
    answer(
        commands
            .add_fulfilment(&caller, id, request, idempotent, now, &mut entropy)
            .await?,
    )
}
