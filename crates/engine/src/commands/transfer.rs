//! Transfers of a merchant: facts by filter, with what they count for.

use std::collections::BTreeMap;

use paywatch_domain::{Certainty, TransferId, UnixMillis};
use paywatch_store::transfer_pages::{self, By};
use paywatch_store::{Cursor, InvoiceKey, chains, invoices, placements};
use paywatch_wire::{ListedTransfer, explain};

use super::{Caller, CommandError, Commands};
use crate::refold::{claimable, folded};

/// Which transfers are listed.
#[derive(Clone, Debug)]
pub struct TransferFilter {
    /// By what the rows themselves say.
    pub by: By,
    /// Those with this certainty now; `None` for all.
    pub certainty: Option<Certainty>,
}

/// A page of transfers, newest first.
#[derive(Debug)]
pub struct ListedTransfers {
    /// The transfers; fewer than were asked for where others have another certainty.
    pub rows: Vec<ListedTransfer>,
    /// The transfer to read on from; `None` at the end.
    pub next: Option<TransferId>,
}

impl Commands {
    /// A page of transfers, newest first. Those of invoices about which no claims are made are left out.
    pub async fn transfers(
        &self,
        caller: &Caller,
        filter: &TransferFilter,
        cursor: &Cursor<TransferId>,
        limit: u32,
        now: UnixMillis,
    ) -> Result<ListedTransfers, CommandError> {
        let mut conn = self.parts.store.snapshot().await?;
        let scope = (caller.merchant, caller.mode);
        let page = transfer_pages::page(&mut conn, scope, &filter.by, cursor, limit).await?;
        let edge = match cursor {
            Cursor::Newest | Cursor::After(_) => page.rows.last(),
            Cursor::Before(_) => page.rows.first(),
        };
        let next = edge.filter(|_| page.has_more).map(|(_, id)| *id);
        let mut keys: Vec<InvoiceKey> = page.rows.iter().map(|(invoice, _)| *invoice).collect();
        keys.sort_unstable();
        keys.dedup();
        let views = chains::views(&mut conn).await?;
        let mut known = BTreeMap::new();
        for loaded in invoices::load(&mut conn, &keys).await? {
            let history = placements::history(&mut conn, loaded.key).await?;
            let told = claimable(&loaded, &self.parts.master).and_then(|dossier| {
                let folded = folded(dossier, &views, now)?;
                let transfers = explain::transfers(dossier, &folded, &history)?;
                Ok((dossier.id.to_string(), transfers))
            });
            match told {
                Ok((invoice, transfers)) => known.extend(transfers.into_iter().map(|explained| {
                    let id = explained.transfer.id.clone();
                    (id, ListedTransfer::new(invoice.clone(), explained))
                })),
                Err(reason) => {
                    tracing::error!(invoice = ?loaded.key, %reason, "left out of a list");
                }
            }
        }
        let named = page.rows.iter();
        let rows = named.filter_map(|(_, id)| known.remove(&id.to_string()));
        let wanted = filter.certainty.map(Certainty::as_str);
        let rows = rows.filter(|row| wanted.is_none_or(|word| row.certainty() == word));
        let rows = rows.collect();
        Ok(ListedTransfers { rows, next })
    }
}
