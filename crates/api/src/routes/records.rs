//! `/v1/invoices/{id}/notes` and `/fulfilments`: what a merchant keeps with an invoice as evidence.

use axum::extract::State;
use axum::response::Response;
use paywatch_domain::InvoiceId;
use paywatch_wire::request::{AddFulfilment, AddNote};

use super::{IdPath, known};
use crate::auth::Auth;
use crate::fault::{Fault, Thing};
use crate::post::{Post, answer};
use crate::scope::Scope;
use crate::state::ApiState;

pub(super) async fn note(
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

pub(super) async fn fulfilment(
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
