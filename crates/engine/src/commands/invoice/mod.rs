//! Invoices: made, shown and canceled.

mod cancel;
mod create;
mod read;

use paywatch_domain::Violation;

use super::CommandError;

/// An invoice whose stored form cannot be trusted is not shown as if it were fine.
fn untrusted(violation: &Violation) -> CommandError {
    let detail = format!("no claims are made about this invoice: {violation}");
    CommandError::refused(409, "invoice_quarantined", detail)
}
