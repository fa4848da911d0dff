//! `/v1/rates`: what assets are worth at present, and who says so.

use axum::Json;
use axum::extract::{RawQuery, State};
use paywatch_wire::{Page, RateState};

use super::chains::whole;
use crate::auth::Auth;
use crate::describe::{Described, get};
use crate::fault::Fault;
use crate::query::Query;
use crate::scope::Scope;
use crate::state::ApiState;

/// Adds the route.
pub(super) fn add(routes: Described) -> Described {
    routes.with(
        get("/v1/rates", "list_rates", "See what assets are worth at present")
            .text("Each rate with its sources. One that cannot be trusted says why, and refuses invoices.")
            .scope(Scope::ChainsRead)
            .answers::<Page<RateState>>(200, "Every pair that is configured.")
            .refuses(400, "There are no parameters."),
        list,
    )
}

async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<RateState>>, Fault> {
    auth.may(Scope::ChainsRead)?;
    Query::new(query.as_deref()).finish()?;
    Ok(whole(state.commands.rates(state.now()).await?))
}
