//! Exceptions: what a person has or had to decide. Opened and resolved, never deleted.

use paywatch_domain::{Exception, ExceptionId, UnixMillis};
use serde::Serialize;

use crate::column::list;
use crate::keys::InvoiceKey;
use crate::sql::statements;
use crate::{StoreError, Tx};

statements! {
    OPEN = "INSERT INTO exceptions (public_id, invoice, kind, transfer, opened_at)
        SELECT j.value->>'id', t.invoice, j.value->>'kind', t.id, CAST(j.value->>'opened_at' AS BIGINT)
        FROM json_each($1) AS j CROSS JOIN transfers AS t
        WHERE t.public_id = j.value->>'transfer' AND t.invoice = CAST(j.value->>'invoice' AS BIGINT)";
    RESOLVE = "UPDATE exceptions SET resolved_at = $2
        WHERE public_id IN (SELECT value->>'id' FROM json_each($1)) AND resolved_at IS NULL";
}

#[derive(Serialize)]
struct OpenRow {
    id: String,
    invoice: i64,
    kind: &'static str,
    transfer: String,
    opened_at: i64,
}

/// Opens exceptions. Their invoices must be locked.
///
/// # Errors
///
/// [`StoreError::Conflict`] `exception_open` when a transfer has an open exception of that kind
/// already, or is not its invoice's.
pub async fn open(tx: &mut Tx, opened: &[(InvoiceKey, Exception)]) -> Result<(), StoreError> {
    if opened.is_empty() {
        return Ok(());
    }
    let rows = list(opened.iter().map(|(invoice, exception)| OpenRow {
        id: exception.id.to_string(),
        invoice: invoice.0,
        kind: exception.finding.kind.as_str(),
        transfer: exception.finding.transfer.to_string(),
        opened_at: exception.opened_at.0,
    }));
    let written = tx
        .execute(OPEN, &[(&rows).into()])
        .await
        .map_err(|error| error.rule("exception_open"))?;
    if usize::try_from(written) != Ok(opened.len()) {
        return Err(StoreError::Conflict("exception_open"));
    }
    Ok(())
}

#[derive(Serialize)]
struct IdRow {
    id: String,
}

/// Resolves exceptions that are open. Their invoices must be locked.
pub async fn resolve(
    tx: &mut Tx,
    resolved: &[ExceptionId],
    now: UnixMillis,
) -> Result<(), StoreError> {
    if resolved.is_empty() {
        return Ok(());
    }
    let rows = list(resolved.iter().map(|id| IdRow { id: id.to_string() }));
    tx.execute(RESOLVE, &[(&rows).into(), now.into()]).await?;
    Ok(())
}
