//! Exceptions: what a person has or had to decide. Opened and resolved, never deleted.

use paywatch_domain::{Amount, Exception, ExceptionId, Subject, UnixMillis};
use serde::Serialize;

use crate::column::list;
use crate::keys::InvoiceKey;
use crate::sql::statements;
use crate::{StoreError, Tx};

statements! {
    OPEN = "INSERT INTO exceptions (public_id, invoice, kind, option, form, address, amount, opened_at)
        SELECT j.value->>'id', o.invoice, j.value->>'kind', o.id, j.value->>'form', j.value->>'address',
            j.value->>'amount', CAST(j.value->>'opened_at' AS BIGINT)
        FROM json_each($1) AS j CROSS JOIN options AS o
        WHERE o.public_id = j.value->>'option' AND o.invoice = CAST(j.value->>'invoice' AS BIGINT)";
    AMEND = "UPDATE exceptions SET amount = n.amount
        FROM (SELECT value->>'id' AS id, value->>'amount' AS amount FROM json_each($1)) AS n
        WHERE exceptions.public_id = n.id";
    RESOLVE = "UPDATE exceptions SET resolved_at = $2
        WHERE public_id IN (SELECT value->>'id' FROM json_each($1)) AND resolved_at IS NULL";
}

#[derive(Serialize)]
struct OpenRow<'a> {
    id: String,
    invoice: i64,
    kind: &'static str,
    option: String,
    form: Option<&'a str>,
    address: Option<&'a str>,
    amount: String,
    opened_at: i64,
}

/// Opens exceptions. Their invoices must be locked.
///
/// # Errors
///
/// [`StoreError::Conflict`] `exception_open` when there is an open exception of that kind about the
/// same already, or its option is not its invoice's.
pub async fn open(tx: &mut Tx, opened: &[(InvoiceKey, Exception)]) -> Result<(), StoreError> {
    if opened.is_empty() {
        return Ok(());
    }
    let rows = list(opened.iter().map(|(invoice, exception)| {
        let finding = &exception.finding;
        let (form, address) = match &finding.subject {
            Subject::Option(_) => (None, None),
            Subject::Address { form, address, .. } => (Some(&**form), Some(&**address)),
        };
        OpenRow {
            id: exception.id.to_string(),
            invoice: invoice.0,
            kind: finding.kind.as_str(),
            option: finding.subject.option().to_string(),
            form,
            address,
            amount: finding.amount.to_string(),
            opened_at: exception.opened_at.0,
        }
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
struct AmountRow {
    id: String,
    amount: String,
}

/// Notes what is at stake now. Their invoices must be locked.
pub async fn amend(tx: &mut Tx, amended: &[(ExceptionId, Amount)]) -> Result<(), StoreError> {
    if amended.is_empty() {
        return Ok(());
    }
    let rows = list(amended.iter().map(|(id, amount)| AmountRow {
        id: id.to_string(),
        amount: amount.to_string(),
    }));
    tx.execute(AMEND, &[(&rows).into()]).await?;
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
