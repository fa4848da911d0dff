//! `/v1/events` and the history of an invoice: the same bytes that webhooks carry.

use axum::Json;
use axum::extract::{RawQuery, State};
use paywatch_domain::{EventId, InvoiceId};
use paywatch_store::{Listed, events, invoices};
use paywatch_wire::{Event, EventData, Page};
use serde_json::json;
use serde_json::value::RawValue;

use super::{IdPath, known};
use crate::auth::Auth;
use crate::describe::{Described, get};
use crate::fault::{Fault, Thing};
use crate::page::page;
use crate::query::{Place, Query};
use crate::scope::Scope;
use crate::state::ApiState;

/// Adds the routes.
pub(super) fn add(routes: Described) -> Described {
    routes
        .with(
            get("/v1/events", "list_events", "Pull everything that was said")
                .text(
                    "In the order of commits, oldest first, with the bytes that webhooks carry. `next_cursor` is never \
                     null once there was an event: whoever polls with it as `after` misses nothing.",
                )
                .scope(Scope::EventsRead)
                .limited()
                .query(
                    "after",
                    "After the event with this number; 0 for the beginning, `latest` for the end.",
                    json!({ "type": "string", "pattern": "^(latest|[0-9]{1,18})$" }),
                )
                .answers::<Page<Event<EventData>>>(200, "A page of events, oldest first."),
            list,
        )
        .with(
            get("/v1/invoices/{id}/events", "list_invoice_events", "List the history of an invoice")
                .scope(Scope::InvoicesRead)
                .lists::<Event<EventData>>("A page of events, newest first."),
            of_invoice,
        )
}

/// The stored bytes of an event. They were JSON when they were written.
fn bytes(body: String) -> Result<Box<RawValue>, Fault> {
    RawValue::from_string(body).map_err(|error| {
        tracing::error!(%error, "a stored event is damaged");
        Fault::Internal
    })
}

/// Everything that was said, in the order of commits. `next_cursor` is never `null` once there was an
/// event: whoever polls with it as `after` misses nothing. `after=latest` answers no event, and where the
/// stream ends now.
pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Box<RawValue>>>, Fault> {
    let caller = auth.may(Scope::EventsRead)?;
    let mut query = Query::new(query.as_deref());
    let limit = query.limit();
    let after = query.place("after");
    query.finish()?;
    let mut conn = state.store.read().await?;
    let after = match after {
        Place::After(seq) => seq,
        Place::Latest => events::latest(&mut conn, caller.merchant, caller.mode).await?,
    };
    let asked = limit.saturating_add(1);
    let mut rows = events::after(&mut conn, caller.merchant, caller.mode, after, asked).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = limit < rows.len();
    rows.truncate(limit);
    let last = rows.last().map_or(after, |row| row.seq);
    Ok(Json(Page {
        data: rows
            .into_iter()
            .map(|row| bytes(row.body))
            .collect::<Result<_, _>>()?,
        has_more,
        next_cursor: (last != 0).then(|| last.to_string()),
    }))
}

/// The numbered history of one invoice, newest first.
pub(super) async fn of_invoice(
    State(state): State<ApiState>,
    auth: Auth,
    id: IdPath,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Box<RawValue>>>, Fault> {
    let caller = auth.may(Scope::InvoicesRead)?;
    let id = known::<InvoiceId>(id, Thing::Invoice)?;
    let mut query = Query::new(query.as_deref());
    let window = query.window::<EventId>("an event of this invoice");
    query.finish()?;
    let mut conn = state.store.read().await?;
    let invoice = invoices::find(&mut conn, caller.merchant, caller.mode, id).await?;
    let invoice = invoice.ok_or(Fault::NotFound(Thing::Invoice))?;
    let listed = events::of_invoice(&mut conn, invoice, &window.cursor, window.limit).await?;
    let has_more = listed.has_more;
    let named = listed
        .rows
        .into_iter()
        .map(|row| Ok((row.id, bytes(row.body)?)));
    let rows = named.collect::<Result<Vec<_>, Fault>>()?;
    let shown = page(Listed { rows, has_more }, &window.cursor, |(id, _)| {
        id.to_string()
    });
    Ok(Json(Page {
        data: shown.data.into_iter().map(|(_, body)| body).collect(),
        has_more: shown.has_more,
        next_cursor: shown.next_cursor,
    }))
}
