//! Invoices: made, shown, canceled, refunded, and with what merchants keep beside them.

mod cancel;
mod create;
mod explain;
mod payee;
mod read;
mod record;
mod refund;

pub(super) use refund::{Standing, record_refund, refund_amount};

use paywatch_domain::{Cause, CauseKind, UnixMillis, Violation};
use paywatch_store::{InvoiceKey, Tx};
use paywatch_wire::json_text;

use super::answer::Answer;
use super::{CommandError, CommandParts};
use crate::ids::Ids;
use crate::pass::Pass;
use crate::refold::refold;

/// An invoice whose stored form cannot be trusted is not shown as if it were fine.
pub(super) fn untrusted(violation: &Violation) -> CommandError {
    let detail = format!("no claims are made about this invoice: {violation}");
    CommandError::refused(409, "invoice_quarantined", detail)
}

/// Says what a request changed about invoices, and answers with each as it stands then.
async fn conclude(
    tx: &mut Tx,
    parts: &CommandParts,
    keys: &[InvoiceKey],
    now: UnixMillis,
    seed: [u8; 32],
    status: u16,
) -> Result<Vec<Answer>, CommandError> {
    let cause = Cause {
        kind: CauseKind::Api,
        chain: None,
        height: None,
    };
    tell(tx, parts, keys, &cause, now, seed).await?;
    let shown = read::show(tx, parts, keys, now).await?;
    if shown.len() != keys.len() {
        return Err(lost());
    }
    let answers = shown.into_iter().map(|shown| {
        let body = json_text(&shown?);
        Ok(Answer { status, body })
    });
    answers.collect()
}

fn lost() -> CommandError {
    let detail = "the invoice could not be read back";
    CommandError::refused(500, "invoice_lost", detail)
}

/// Says what changed about invoices.
pub(super) async fn tell(
    tx: &mut Tx,
    parts: &CommandParts,
    keys: &[InvoiceKey],
    cause: &Cause,
    now: UnixMillis,
    seed: [u8; 32],
) -> Result<(), CommandError> {
    let mut pass = Pass {
        master: &parts.master,
        now,
        cause,
        ids: &mut Ids::new(seed),
    };
    refold(tx, keys, &mut pass).await?;
    Ok(())
}
