//! Canceling: a fact, and what follows from it.

use std::sync::Arc;

use paywatch_domain::{Entropy, InvoiceId, OperatorFact, Status, UnixMillis};
use paywatch_store::{Tx, audit, chains, decisions, invoices};
use paywatch_wire::audit::state_text;

use super::super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::super::{Caller, Change, CommandError, CommandParts, Commands};
use super::{conclude, lost, untrusted};
use crate::refold::{claimable, folded};

struct CancelInvoice {
    parts: Arc<CommandParts>,
    caller: Caller,
    id: InvoiceId,
    now: UnixMillis,
    seed: [u8; 32],
}

impl Effect for CancelInvoice {
    const NAME: &'static str = "cancel_invoice";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let (merchant, mode) = (self.caller.merchant, self.caller.mode);
        let unknown = || {
            CommandError::refused(
                404,
                "invoice_unknown",
                format!("there is no invoice {}", self.id),
            )
        };
        let key = invoices::find(tx, merchant, mode, self.id)
            .await?
            .ok_or_else(unknown)?;
        invoices::lock(tx, &[key]).await?;
        let views = chains::views(tx).await?;
        let loaded = invoices::load(tx, &[key])
            .await?
            .pop()
            .ok_or_else(unknown)?;
        let status = claimable(&loaded, &self.parts.master)
            .and_then(|dossier| folded(dossier, &views, self.now))
            .map_err(|violation| untrusted(&violation))?
            .status;
        if !status.is_cancelable() {
            let detail = format!(
                "the invoice is {}; only one that is created, detected or underpaid can be canceled",
                status.as_str()
            );
            return Err(CommandError::refused(409, "invoice_not_cancelable", detail));
        }
        let fact = OperatorFact::Canceled { at: self.now };
        decisions::insert(tx, key, &fact, &self.caller.actor).await?;
        let told = conclude(tx, &self.parts, &[key], self.now, self.seed, 200).await;
        let answer = told?.pop().ok_or_else(lost)?;
        let change = Change {
            before: Some(state_text(status.as_str())),
            after: Some(state_text(Status::Canceled.as_str())),
        };
        let entry = self
            .caller
            .did("invoice.cancel", &self.id, change, self.now);
        audit::append(tx, &self.parts.master, &entry).await?;
        Ok(answer)
    }
}

impl Commands {
    /// Withdraws an invoice that is created, detected or underpaid. Later money does not make it paid.
    pub async fn cancel_invoice(
        &self,
        caller: &Caller,
        id: InvoiceId,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let parts = Arc::clone(&self.parts);
        let effect = CancelInvoice {
            parts,
            caller: caller.clone(),
            id,
            now,
            seed,
        };
        once(&self.parts, caller, idempotent, now, entropy, effect).await
    }
}
