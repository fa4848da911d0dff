//! `/livez`, `/readyz` and `/metrics`, for machines that keep the process alive.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use paywatch_store::chains::all;
use serde::Serialize;

use super::chains;
use crate::state::ApiState;

/// Whether the process answers at all; nothing else is asked.
pub(super) async fn live() -> &'static str {
    "ok"
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    database: &'static str,
    chains: Vec<ReadyChain>,
}

/// Whether invoices on a chain can be made.
#[derive(Serialize)]
struct ReadyChain {
    chain: String,
    accepting: bool,
    halted: bool,
}

/// Whether requests can be served: the database answers. A chain that lags is shown, and does not
/// keep merchants from reading.
pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let asked = async { all(&mut state.store.read().await?).await };
    let (status, word, rows) = match asked.await {
        Ok(rows) => (StatusCode::OK, "ok", rows),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", Vec::new())
        }
    };
    let now = state.now();
    let shown = state.catalogue.chains().map(|chain| {
        let row = rows.iter().find(|row| row.chain == chain.name);
        let shown = chains::show(chain, row, now);
        ReadyChain {
            chain: shown.chain,
            accepting: shown.accepting,
            halted: shown.halted.is_some(),
        }
    });
    let ready = Ready {
        status: word,
        database: word,
        chains: shown.collect(),
    };
    (status, Json(ready)).into_response()
}

/// All metrics as Prometheus text.
pub(super) async fn metrics(State(state): State<ApiState>) -> Response {
    let media = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (media, (state.render_metrics)()).into_response()
}
