//! `/v1/audit`: who did what, newest first.

use axum::Json;
use axum::extract::{RawQuery, State};
use paywatch_domain::UnixMillis;
use paywatch_store::audit::{self, INSTALLATION, Recorded};
use paywatch_wire::time::rfc3339;
use paywatch_wire::{AuditEntry, Page};

use crate::auth::Auth;
use crate::describe::{Described, get};
use crate::fault::Fault;
use crate::page::page;
use crate::query::Query;
use crate::scope::Scope;
use crate::state::ApiState;

/// Adds the route.
pub(super) fn add(routes: Described) -> Described {
    routes.with(
        get("/v1/audit", "list_audit_entries", "Read who did what")
            .text(
                "Each entry is sealed together with the one before it; `paywatch audit verify` checks the seals. The \
                 installation's own log needs the scope `admin` too.",
            )
            .scope(Scope::ReportsRead)
            .lists::<AuditEntry>("A page of entries, newest first.")
            .word("log", "Whose log; the merchant's own when nothing is said.", ["merchant", "installation"]),
        list,
    )
}

/// Whose log is read.
#[derive(Clone, Copy)]
enum Log {
    Merchant,
    Installation,
}

impl Log {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "merchant" => Some(Self::Merchant),
            "installation" => Some(Self::Installation),
            _ => None,
        }
    }
}

pub(super) async fn list(
    State(state): State<ApiState>,
    auth: Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<AuditEntry>>, Fault> {
    let is_operator = auth.has(Scope::Admin);
    let caller = auth.may(Scope::ReportsRead)?;
    let mut query = Query::new(query.as_deref());
    let log = query.word("log", "merchant, installation", Log::parse);
    let window = query.window::<u64>("a row: its number");
    query.finish()?;
    let log = match log.unwrap_or(Log::Merchant) {
        Log::Merchant => audit::log_name(Some(caller.merchant_id)),
        Log::Installation if is_operator => INSTALLATION.to_owned(),
        Log::Installation => return Err(Fault::ScopeMissing(Scope::Admin)),
    };
    let mut conn = state.store.read().await?;
    let listed = audit::list(&mut conn, &log, &window.cursor, window.limit).await?;
    let shown = page(listed, &window.cursor, |row| row.number.to_string());
    Ok(Json(Page {
        data: shown.data.into_iter().map(show).collect(),
        has_more: shown.has_more,
        next_cursor: shown.next_cursor,
    }))
}

fn show(row: Recorded) -> AuditEntry {
    let value = |text: Option<String>| text.map(|text| AuditEntry::value(&text));
    AuditEntry {
        object: "audit_entry".into(),
        number: u64::try_from(row.number).unwrap_or_default(),
        created_at: rfc3339(UnixMillis(row.created_at)),
        before: value(row.before),
        after: value(row.after),
        seal: audit::seal_text(&row.seal),
        log: row.log,
        actor: row.actor,
        request_id: row.request_id,
        action: row.action,
        subject: row.subject,
    }
}
