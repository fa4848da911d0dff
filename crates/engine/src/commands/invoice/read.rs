//! The canonical state of invoices.

use paywatch_domain::{InvoiceId, UnixMillis, Views};
use paywatch_store::invoices::{self, By, Filter, Loaded};
use paywatch_store::{Conn, Cursor, InvoiceKey, Listed, chains};
use paywatch_wire::Invoice;

use super::super::{Caller, CommandError, CommandParts, Commands};
use super::{lost, untrusted};
use crate::refold::{claimable, folded};

/// Renders invoices as they stand, in the order of `keys`. No claims are made about one that is
/// quarantined or whose stored form cannot be trusted; its place holds the reason.
pub(super) async fn show(
    conn: &mut Conn,
    parts: &CommandParts,
    keys: &[InvoiceKey],
    now: UnixMillis,
) -> Result<Vec<Result<Invoice, CommandError>>, CommandError> {
    let views = chains::views(conn).await?;
    let loaded = invoices::load(conn, keys).await?;
    let mut shown = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(one) = loaded.iter().find(|one| one.key == *key) else {
            continue;
        };
        shown.push(claim(one, parts, &views, now));
    }
    Ok(shown)
}

/// One invoice as it stands, if anything may be claimed about it.
fn claim(
    loaded: &Loaded,
    parts: &CommandParts,
    views: &Views,
    now: UnixMillis,
) -> Result<Invoice, CommandError> {
    let claim = claimable(loaded, &parts.master).and_then(|dossier| {
        let folded = folded(dossier, views, now)?;
        Invoice::render(dossier, &folded, dossier.version)
    });
    claim.map_err(|violation| untrusted(&violation))
}

/// One invoice as it stands, after something was done to it.
pub(super) async fn show_one(
    conn: &mut Conn,
    parts: &CommandParts,
    key: InvoiceKey,
    now: UnixMillis,
) -> Result<Invoice, CommandError> {
    let shown = show(conn, parts, &[key], now).await?.pop();
    shown.unwrap_or_else(|| Err(lost()))
}

impl Commands {
    /// The canonical state of one invoice; `None` when the caller has none of this id.
    pub async fn invoice(
        &self,
        caller: &Caller,
        id: InvoiceId,
        now: UnixMillis,
    ) -> Result<Option<Invoice>, CommandError> {
        let mut conn = self.parts.store.snapshot().await?;
        let found = invoices::find(&mut conn, caller.merchant, caller.mode, id).await?;
        let Some(key) = found else {
            return Ok(None);
        };
        show_one(&mut conn, &self.parts, key, now).await.map(Some)
    }

    /// A page of invoices, newest first. Those about which no claims are made are left out, and stand in
    /// the log; asked for by id, they say why.
    pub async fn invoices(
        &self,
        caller: &Caller,
        by: By,
        cursor: &Cursor<InvoiceId>,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Listed<Invoice>, CommandError> {
        let mut conn = self.parts.store.snapshot().await?;
        let filter = Filter {
            merchant: caller.merchant,
            mode: caller.mode,
            by,
        };
        let page = invoices::page(&mut conn, &filter, cursor, limit).await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for (key, shown) in page
            .rows
            .iter()
            .zip(show(&mut conn, &self.parts, &page.rows, now).await?)
        {
            match shown {
                Ok(invoice) => rows.push(invoice),
                Err(reason) => tracing::error!(invoice = ?key, %reason, "left out of a list"),
            }
        }
        Ok(Listed {
            rows,
            has_more: page.has_more,
        })
    }
}
