//! `/livez`, `/readyz` and `/metrics`, for machines that keep the process alive.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use paywatch_domain::ChainName;
use paywatch_store::chains::all;
use schemars::JsonSchema;
use serde::Serialize;

use super::chains;
use crate::describe::{Described, get};
use crate::state::ApiState;

/// Adds the routes.
pub(super) fn add(routes: Described) -> Described {
    routes
        .with(
            get("/livez", "live", "Whether the process answers").answers_text(
                200,
                "It does.",
                &["text/plain"],
            ),
            live,
        )
        .with(
            get("/readyz", "ready", "Whether the process does its work")
                .text("The database answers, and the chains that this process follows are read.")
                .answers::<Ready>(200, "It does.")
                .answers::<Ready>(503, "It does not; what is missing is named."),
            ready,
        )
        .with(
            get("/metrics", "metrics", "All metrics as Prometheus text").answers_text(
                200,
                "The metrics.",
                &["text/plain"],
            ),
            metrics,
        )
}

/// Whether the process answers at all; nothing else is asked.
pub(super) async fn live() -> &'static str {
    "ok"
}

/// Whether a process does its work.
#[derive(Serialize, JsonSchema)]
struct Ready {
    /// `ok` or `unavailable`.
    status: &'static str,
    /// `ok` or `unavailable`.
    database: &'static str,
    /// Every chain of the installation.
    chains: Vec<ReadyChain>,
}

/// Whether invoices on a chain can be made.
#[derive(Serialize, JsonSchema)]
struct ReadyChain {
    /// Its short name.
    chain: String,
    /// Whether new invoices on it are accepted.
    accepting: bool,
    /// Whether it waits for an operator.
    halted: bool,
}

/// Whether this process does its work: the database answers, and the chains that it follows are read.
/// A chain that another process follows is shown, and does not keep this one from serving.
pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let asked = async { all(&mut state.store.read().await?).await };
    let (database, rows) = match asked.await {
        Ok(rows) => (true, rows),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (false, Vec::new())
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
    let chains: Vec<ReadyChain> = shown.collect();
    // A chain that was never covered does not accept either.
    let unread = |name: &ChainName| {
        let shown = chains.iter().find(|chain| chain.chain == name.as_str());
        shown.is_none_or(|chain| !chain.accepting)
    };
    let good = database && !state.followed.iter().any(unread);
    let status = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let ready = Ready {
        status: word(good),
        database: word(database),
        chains,
    };
    (status, Json(ready)).into_response()
}

fn word(good: bool) -> &'static str {
    if good { "ok" } else { "unavailable" }
}

/// All metrics as Prometheus text.
pub(super) async fn metrics(State(state): State<ApiState>) -> Response {
    let media = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (media, (state.render_metrics)()).into_response()
}
