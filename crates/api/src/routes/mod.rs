//! Everything that is served, one file for each resource.

mod administration;
mod audit;
mod chains;
mod deliveries;
mod docs;
mod endpoints;
mod events;
mod exceptions;
mod health;
mod invoices;
mod rates;
mod records;
mod requests;
mod transfers;
mod wallets;

use std::str::FromStr;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::{Router, middleware};
use serde_json::Value;

use crate::describe::{self, Described};
use crate::fault::{Fault, Thing};
use crate::layer;
use crate::state::ApiState;

pub use docs::DOCUMENT;

/// An id in a path, not yet read.
type IdPath = Result<Path<String>, PathRejection>;

/// Reads an id of a path. What cannot be an id is simply not there.
fn known<I: FromStr>(path: IdPath, what: Thing) -> Result<I, Fault> {
    let text = path.map_err(|_| Fault::NotFound(what))?;
    text.parse().map_err(|_| Fault::NotFound(what))
}

async fn route_unknown() -> Fault {
    Fault::RouteUnknown
}

async fn method_not_allowed() -> Fault {
    Fault::MethodNotAllowed
}

/// Everything that is served, with what is said about it.
fn described() -> Described {
    let resources = [
        wallets::add,
        invoices::add,
        transfers::add,
        events::add,
        exceptions::add,
        endpoints::add,
        deliveries::add,
        chains::add,
        rates::add,
        records::add,
        requests::add,
        administration::add,
        audit::add,
        docs::add,
        health::add,
    ];
    resources
        .into_iter()
        .fold(Described::default(), |routes, add| add(routes))
}

/// What the API is, as OpenAPI 3.1, without examples: `docs/openapi.json` has these too.
pub fn document() -> Value {
    let (_, operations) = described().into_parts();
    describe::document(&operations)
}

/// Everything that is served.
pub fn router(state: ApiState) -> Router {
    let (router, _) = described().into_parts();
    router
        .fallback(route_unknown)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), layer::around))
        .with_state(state)
}
