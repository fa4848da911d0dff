//! The canonical state of invoices.

use paywatch_domain::{InvoiceId, UnixMillis};
use paywatch_store::invoices::{self, By, Filter};
use paywatch_store::{Conn, Cursor, InvoiceKey, Listed, chains};
use paywatch_wire::Invoice;

use super::super::{Caller, CommandError, CommandParts, Commands};
use super::untrusted;
use crate::refold::{folded, trusted};

/// Renders invoices as they stand, in the order of `keys`.
pub(super) async fn show(
    conn: &mut Conn,
    parts: &CommandParts,
    keys: &[InvoiceKey],
    now: UnixMillis,
) -> Result<Vec<Invoice>, CommandError> {
    let views = chains::views(conn).await?;
    let loaded = invoices::load(conn, keys).await?;
    let mut shown = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(one) = loaded.iter().find(|one| one.key == *key) else {
            continue;
        };
        let dossier = trusted(one, &parts.master).map_err(|violation| untrusted(&violation))?;
        let invoice = folded(dossier, &views, now)
            .and_then(|folded| Invoice::render(dossier, &folded, dossier.version));
        shown.push(invoice.map_err(|violation| untrusted(&violation))?);
    }
    Ok(shown)
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
        Ok(show(&mut conn, &self.parts, &[key], now).await?.pop())
    }

    /// A page of invoices, newest first.
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
        let rows = show(&mut conn, &self.parts, &page.rows, now).await?;
        Ok(Listed {
            rows,
            has_more: page.has_more,
        })
    }
}
