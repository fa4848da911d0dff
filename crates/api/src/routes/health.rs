//! `/livez`, `/readyz` and `/metrics`, for machines that keep the process alive.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use paywatch_store::chains;
use serde::Serialize;

use crate::state::ApiState;

/// Whether the process answers at all; nothing else is asked.
pub(super) async fn live() -> &'static str {
    "ok"
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    database: &'static str,
}

/// Whether requests can be served: the database answers. A chain that lags is shown at `/v1/chains`
/// and does not keep merchants from reading.
pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let asked = async { chains::views(&mut state.store.read().await?).await };
    let (status, word) = match asked.await {
        Ok(_) => (StatusCode::OK, "ok"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        }
    };
    let ready = Ready {
        status: word,
        database: word,
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
