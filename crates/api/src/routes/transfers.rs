//! `/v1/transfers`: everything that was seen on chain for a merchant.

use axum::Json;
use axum::extract::{RawQuery, State};
use paywatch_domain::{Certainty, TransferId};
use paywatch_engine::commands::TransferFilter;
use paywatch_store::transfer_pages::By;
use paywatch_wire::{ListedTransfer, Page};

use crate::auth::Auth;
use crate::describe::{Described, get};
use crate::fault::Fault;
use crate::query::Query;
use crate::scope::Scope;
use crate::state::ApiState;

/// Adds the route.
pub(super) fn add(routes: Described) -> Described {
    routes.with(
        get("/v1/transfers", "list_transfers", "List what was seen on chain")
            .text(
                "One filter at a time is possible, and `certainty` with it. A page with `certainty` may hold \
                 fewer rows than `limit`; read on for as long as `has_more` is true.",
            )
            .scope(Scope::InvoicesRead)
            .lists::<ListedTransfer>("A page of transfers, newest first.")
            .text_query("invoice", "Only those of this invoice.")
            .text_query("asset", "Only those of this asset, `symbol@chain`.")
            .text_query("chain", "Only those on this chain.")
            .text_query("address", "Only those to this address.")
            .text_query("tx_id", "Only those of this transaction.")
            .word(
                "certainty",
                "Only those that are so certain now.",
                Certainty::ALL.map(Certainty::as_str),
            ),
        list,
    )
}

async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ListedTransfer>>, Fault> {
    let caller = auth.may(Scope::InvoicesRead)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window::<TransferId>("a transfer");
    let filter = filter(&mut query);
    query.finish()?;
    let (commands, cursor) = (&state.commands, &window.cursor);
    let listed = commands
        .transfers(&caller, &filter, cursor, window.limit, state.now())
        .await?;
    Ok(Json(Page {
        data: listed.rows,
        has_more: listed.next.is_some(),
        next_cursor: listed.next.map(|id| id.to_string()),
    }))
}

fn filter(query: &mut Query) -> TransferFilter {
    let words = Certainty::ALL.map(Certainty::as_str).join(", ");
    let certainty = query.word("certainty", &words, Certainty::parse);
    let asset = query.word("asset", "the assets, such as btc@bitcoin", |text| {
        text.parse().ok()
    });
    let chain = query.word("chain", "the chains, such as bitcoin", |text| {
        text.parse().ok()
    });
    let named = [
        query.id("invoice", "an invoice").map(By::Invoice),
        asset.map(By::Asset),
        chain.map(By::Chain),
        query.text("address").map(By::Address),
        query.text("tx_id").map(By::TxId),
    ];
    let mut named = named.into_iter().flatten();
    let by = named.next().unwrap_or(By::All);
    if named.next().is_some() {
        let detail = "one filter at a time is possible, and `certainty` with it";
        query.refuse("invoice", "filters_combined", detail);
    }
    TransferFilter { by, certainty }
}
