//! `/v1/rates`: what assets are worth at present, and who says so.

use axum::Json;
use axum::extract::{RawQuery, State};
use paywatch_wire::{Page, RateState};

use super::chains::whole;
use crate::auth::Auth;
use crate::fault::Fault;
use crate::query::Query;
use crate::scope::Scope;
use crate::state::ApiState;

pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<RateState>>, Fault> {
    auth.may(Scope::ChainsRead)?;
    Query::new(query.as_deref()).finish()?;
    Ok(whole(state.commands.rates(state.now()).await?))
}
