//! Why an invoice says what it says, with where its transfers have stood.

use paywatch_domain::{Dossier, Folded, InvoiceId, Placement, UnixMillis, Violation};
use paywatch_store::{chains, invoices, placements};
use paywatch_wire::{ExplainedTransfer, Explanation, explain};

use super::super::{Caller, CommandError, Commands};
use super::untrusted;
use crate::refold::{claimable, folded};

impl Commands {
    /// Why one invoice says what it says; `None` when the caller has none of this id.
    pub async fn explain_invoice(
        &self,
        caller: &Caller,
        id: InvoiceId,
        now: UnixMillis,
    ) -> Result<Option<Explanation>, CommandError> {
        self.explained(caller, id, now, Explanation::render).await
    }

    /// What was seen on chain for one invoice and where it has stood, in the order of the facts; `None` when
    /// the caller has none of this id.
    pub async fn invoice_transfers(
        &self,
        caller: &Caller,
        id: InvoiceId,
        now: UnixMillis,
    ) -> Result<Option<Vec<ExplainedTransfer>>, CommandError> {
        self.explained(caller, id, now, explain::transfers).await
    }

    async fn explained<T>(
        &self,
        caller: &Caller,
        id: InvoiceId,
        now: UnixMillis,
        render: impl FnOnce(&Dossier, &Folded, &[Placement]) -> Result<T, Violation>,
    ) -> Result<Option<T>, CommandError> {
        let mut conn = self.parts.store.snapshot().await?;
        let found = invoices::find(&mut conn, caller.merchant, caller.mode, id).await?;
        let Some(key) = found else {
            return Ok(None);
        };
        let views = chains::views(&mut conn).await?;
        let history = placements::history(&mut conn, key).await?;
        let Some(loaded) = invoices::load(&mut conn, &[key]).await?.pop() else {
            return Ok(None);
        };
        let rendered = claimable(&loaded, &self.parts.master).and_then(|dossier| {
            let folded = folded(dossier, &views, now)?;
            render(dossier, &folded, &history)
        });
        rendered
            .map(Some)
            .map_err(|violation| untrusted(&violation))
    }
}
