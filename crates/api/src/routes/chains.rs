//! `/v1/chains` and `/v1/assets`: what can be paid, and how far it was read.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use paywatch_domain::{ChainSpec, Mode, UnixMillis};
use paywatch_store::chain_endpoints;
use paywatch_store::chains::{self, ChainRow};
use paywatch_wire::time::rfc3339;
use paywatch_wire::{AssetForm, CatchUp, Chain, ChainCursor, ChainProblem, Page};

use crate::auth::Auth;
use crate::describe::{Described, get};
use crate::fault::Fault;
use crate::query::Query;
use crate::scope::Scope;
use crate::state::ApiState;

/// Adds the routes.
pub(super) fn add(routes: Described) -> Described {
    routes
        .with(
            get(
                "/v1/chains",
                "list_chains",
                "List chains: height, lag, coverage, health",
            )
            .scope(Scope::ChainsRead)
            .answers::<Page<Chain>>(200, "Every chain of the key's mode.")
            .refuses(400, "There are no parameters."),
            list,
        )
        .with(
            get("/v1/assets", "list_assets", "List what can be paid")
                .scope(Scope::ChainsRead)
                .answers::<Page<AssetForm>>(200, "Every asset of the key's mode.")
                .refuses(400, "There are no parameters."),
            assets,
        )
}

/// A list that is as long as the configuration: one page.
pub(super) fn whole<T>(data: Vec<T>) -> Json<Page<T>> {
    Json(Page {
        data,
        has_more: false,
        next_cursor: None,
    })
}

pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Chain>>, Fault> {
    let operator = auth.has(Scope::Admin);
    let caller = auth.may(Scope::ChainsRead)?;
    Query::new(query.as_deref()).finish()?;
    let mut conn = state.store.read().await?;
    let rows = chains::all(&mut conn).await?;
    let mut endpoints = if operator {
        chain_endpoints::all(&mut conn).await?
    } else {
        BTreeMap::new()
    };
    let own = state
        .catalogue
        .chains()
        .filter(|chain| chain.mode == caller.mode);
    let now = state.now();
    let shown = own.map(|chain| {
        let row = rows.iter().find(|row| row.chain == chain.name);
        let shown = show(chain, row, now);
        if !operator {
            return discreet(shown);
        }
        Chain {
            endpoints: endpoints.remove(&chain.name).unwrap_or_default(),
            ..shown
        }
    });
    Ok(whole(shown.collect()))
}

/// Without the texts that name hosts and files of the installation: merchants learn what holds, and
/// operators why.
fn discreet(chain: Chain) -> Chain {
    Chain {
        halted: chain.halted.map(|_| "halted; ask the operator".into()),
        problem: chain.problem.map(|problem| ChainProblem {
            code: problem.code,
            detail: "shown to keys with the scope admin".into(),
        }),
        ..chain
    }
}

/// A chain as configured, and as far as its follower has written; without its endpoints.
pub(super) fn show(chain: &ChainSpec, row: Option<&ChainRow>, now: UnixMillis) -> Chain {
    let cursor = row.and_then(|row| row.cursor.as_ref());
    let tip_height = row.and_then(|row| row.tip_height);
    let lag = cursor
        .zip(tip_height)
        .map(|(cursor, tip)| tip.saturating_sub(cursor.height));
    let covered_until = row.and_then(|row| row.covered_until);
    let fresh = covered_until
        .is_some_and(|until| until.can_have_been(now) && now.ms_since(until) <= chain.lag_ms_max);
    let halted = row.and_then(|row| row.halted.clone());
    let problem = row.and_then(|row| row.problem.as_ref());
    Chain {
        chain: chain.name.to_string(),
        object: "chain".into(),
        caip2: chain.caip2.to_string(),
        family: chain.family.as_str().into(),
        livemode: chain.mode == Mode::Live,
        finality: (&chain.finality).into(),
        cursor: cursor.map(|block| ChainCursor {
            height: block.height,
            hash: block.hash.to_string(),
        }),
        first_height: row.and_then(|row| row.first_height),
        covered_until: covered_until.map(rfc3339),
        tip_height,
        lag_blocks: lag,
        catching_up: catch_up(row, lag),
        accepting: cursor.is_some() && fresh && halted.is_none(),
        halted,
        problem: problem.map(|problem| ChainProblem {
            code: problem.code.clone(),
            detail: problem.text.clone(),
        }),
        endpoints: Vec::new(),
        updated_at: row.map(|row| rfc3339(row.updated_at)),
    }
}

fn catch_up(row: Option<&ChainRow>, lag: Option<u64>) -> Option<CatchUp> {
    let blocks_per_minute = row.and_then(|row| row.blocks_per_minute)?;
    let blocks_left = lag.filter(|left| 0 < *left)?;
    let read = row.and_then(|row| {
        let to = row.cursor.as_ref()?.height;
        Some(to.saturating_sub(row.first_height?).saturating_add(1))
    });
    Some(CatchUp {
        blocks_done: read.unwrap_or_default(),
        blocks_left,
        blocks_per_minute,
        seconds_left: blocks_left
            .saturating_mul(60)
            .checked_div(blocks_per_minute),
    })
}

pub(super) async fn assets(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<AssetForm>>, Fault> {
    let caller = auth.may(Scope::ChainsRead)?;
    Query::new(query.as_deref()).finish()?;
    let own = state
        .catalogue
        .chains()
        .filter(|chain| chain.mode == caller.mode);
    let shown = own.flat_map(|chain| {
        chain
            .assets
            .iter()
            .map(move |asset| AssetForm::render(chain, asset))
    });
    Ok(whole(shown.collect()))
}
