//! Which path takes which method.

mod audit;
mod chains;
mod deliveries;
mod endpoints;
mod events;
mod exceptions;
mod health;
mod invoices;
mod rates;
mod records;
mod requests;
mod wallets;

use std::str::FromStr;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::routing::{get, post};
use axum::{Router, middleware};

use crate::fault::{Fault, Thing};
use crate::layer;
use crate::state::ApiState;

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

/// Everything that is served.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/wallets", get(wallets::list).post(wallets::create))
        .route("/v1/wallets/{id}", get(wallets::one))
        .route("/v1/wallets/{id}/export", get(wallets::export))
        .route("/v1/wallets/{id}/confirm", post(wallets::confirm))
        .route("/v1/wallets/{id}/addresses", post(wallets::top_up))
        .route("/v1/wallets/{id}/scan", post(requests::scan))
        .route("/v1/invoices", get(invoices::list).post(invoices::create))
        .route("/v1/invoices/{id}", get(invoices::one))
        .route("/v1/invoices/{id}/cancel", post(invoices::cancel))
        .route("/v1/invoices/{id}/explain", get(invoices::explain))
        .route(
            "/v1/invoices/{id}/transfers",
            get(invoices::transfers).post(requests::attach),
        )
        .route("/v1/invoices/{id}/check", post(requests::check))
        .route("/v1/invoices/{id}/refunds", post(exceptions::refund))
        .route("/v1/invoices/{id}/notes", post(records::note))
        .route("/v1/invoices/{id}/fulfilments", post(records::fulfilment))
        .route("/v1/exceptions", get(exceptions::list))
        .route("/v1/exceptions/{id}", get(exceptions::one))
        .route("/v1/exceptions/{id}/resolve", post(exceptions::resolve))
        .route("/v1/invoices/{id}/events", get(events::of_invoice))
        .route(
            "/v1/webhook-endpoints",
            get(endpoints::list).post(endpoints::create),
        )
        .route(
            "/v1/webhook-endpoints/{id}",
            get(endpoints::one)
                .patch(endpoints::update)
                .delete(endpoints::delete),
        )
        .route(
            "/v1/webhook-endpoints/{id}/rotate-secret",
            post(endpoints::rotate),
        )
        .route("/v1/webhook-endpoints/{id}/test", post(endpoints::test))
        .route("/v1/webhook-endpoints/{id}/replay", post(endpoints::replay))
        .route("/v1/events", get(events::list))
        .route("/v1/deliveries", get(deliveries::list))
        .route("/v1/deliveries/{id}", get(deliveries::one))
        .route("/v1/deliveries/{id}/redeliver", post(deliveries::redeliver))
        .route("/v1/chains", get(chains::list))
        .route("/v1/chains/{chain}/resume", post(requests::resume))
        .route("/v1/chains/{chain}/rescan", post(requests::rescan))
        .route("/v1/requests/{id}", get(requests::one))
        .route("/v1/requests/{id}/cancel", post(requests::cancel))
        .route("/v1/assets", get(chains::assets))
        .route("/v1/rates", get(rates::list))
        .route("/v1/audit", get(audit::list))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(route_unknown)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), layer::around))
        .with_state(state)
}
