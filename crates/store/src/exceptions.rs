//! Exceptions: what a person has or had to decide. Opened and resolved, never deleted.

use paywatch_domain::{Amount, Exception, ExceptionId, ExceptionKind, Mode, Subject, UnixMillis};
use serde::Serialize;

use crate::column::{list, parsed, word};
use crate::keys::{InvoiceKey, MerchantKey};
use crate::page::{Cursor, Listed, Window};
use crate::sql::statements;
use crate::{Bind, Conn, StoreError, Tx};

/// Two statements for each filter: pages downwards and upwards from a row.
macro_rules! pages {
    ({ $($older:ident $newer:ident $filter:literal;)+ } $($more:tt)+) => {
        statements! {
            $(
                $older = "SELECT e.invoice, e.public_id FROM exceptions AS e
                    WHERE e.merchant = $1 AND e.mode = $2 AND e.id < $3",
                    $filter, " ORDER BY e.id DESC LIMIT CAST($4 AS BIGINT)";
                $newer = "SELECT e.invoice, e.public_id FROM exceptions AS e
                    WHERE e.merchant = $1 AND e.mode = $2 AND e.id > $3",
                    $filter, " ORDER BY e.id LIMIT CAST($4 AS BIGINT)";
            )+
            $($more)+
        }
    };
}

pages! {
    {
        ALL_OLDER ALL_NEWER "";
        OPEN_OLDER OPEN_NEWER " AND e.resolved_at IS NULL";
        RESOLVED_OLDER RESOLVED_NEWER " AND e.resolved_at IS NOT NULL";
        KIND_OLDER KIND_NEWER " AND e.kind = $5";
        KIND_OPEN_OLDER KIND_OPEN_NEWER " AND e.kind = $5 AND e.resolved_at IS NULL";
        KIND_RESOLVED_OLDER KIND_RESOLVED_NEWER " AND e.kind = $5 AND e.resolved_at IS NOT NULL";
    }
    CURSOR = "SELECT id FROM exceptions WHERE merchant = $1 AND mode = $2 AND public_id = $3";
    FIND = "SELECT invoice, kind FROM exceptions WHERE merchant = $1 AND mode = $2 AND public_id = $3";
    OPEN = "INSERT INTO exceptions (public_id, invoice, merchant, mode, kind, option, form, address, asset,
            amount, opened_at)
        SELECT j.value->>'id', o.invoice, o.merchant, o.mode, j.value->>'kind', o.id, j.value->>'form', j.value->>'address',
            j.value->>'asset', j.value->>'amount', CAST(j.value->>'opened_at' AS BIGINT)
        FROM json_each($1) AS j CROSS JOIN options AS o
        WHERE o.public_id = j.value->>'option' AND o.invoice = CAST(j.value->>'invoice' AS BIGINT)";
    AMEND = "UPDATE exceptions SET amount = n.amount
        FROM (SELECT value->>'id' AS id, value->>'amount' AS amount FROM json_each($1)) AS n
        WHERE exceptions.public_id = n.id";
    RESOLVE = "UPDATE exceptions SET resolved_at = $2
        WHERE public_id IN (SELECT value->>'id' FROM json_each($1)) AND resolved_at IS NULL";
}

/// Which exceptions a list holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this kind; `None` for every kind.
    pub kind: Option<ExceptionKind>,
    /// Those that are open, or resolved; `None` for both.
    pub is_open: Option<bool>,
}

/// The invoice of a merchant's exception, and its kind.
pub async fn find(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    id: ExceptionId,
) -> Result<Option<(InvoiceKey, ExceptionKind)>, StoreError> {
    let id = id.to_string();
    let binds = [merchant.into(), mode.as_str().into(), (&id).into()];
    let row = conn.fetch_optional::<(i64, String)>(FIND, &binds).await?;
    row.map(|(invoice, kind)| {
        let kind = word("exceptions.kind", &kind, ExceptionKind::parse)?;
        Ok((InvoiceKey(invoice), kind))
    })
    .transpose()
}

/// A page of exceptions with their invoices, newest first.
///
/// # Errors
///
/// [`StoreError::NoSuchCursor`] when the cursor is no exception of this merchant and mode.
pub async fn page(
    conn: &mut Conn,
    (merchant, mode): (MerchantKey, Mode),
    filter: Filter,
    cursor: &Cursor<ExceptionId>,
    limit: u32,
) -> Result<Listed<(InvoiceKey, ExceptionId)>, StoreError> {
    let scope = [merchant.into(), mode.as_str().into()];
    let window = Window::find(conn, cursor, limit, CURSOR, &scope).await?;
    let kind: Option<Bind<'_>> = filter.kind.map(|kind| kind.as_str().into());
    let statements = match (filter.kind, filter.is_open) {
        (None, None) => (ALL_OLDER, ALL_NEWER),
        (None, Some(true)) => (OPEN_OLDER, OPEN_NEWER),
        (None, Some(false)) => (RESOLVED_OLDER, RESOLVED_NEWER),
        (Some(_), None) => (KIND_OLDER, KIND_NEWER),
        (Some(_), Some(true)) => (KIND_OPEN_OLDER, KIND_OPEN_NEWER),
        (Some(_), Some(false)) => (KIND_RESOLVED_OLDER, KIND_RESOLVED_NEWER),
    };
    let filter: Vec<Bind<'_>> = kind.into_iter().collect();
    let page = window
        .fetch::<(i64, String)>(conn, statements, &scope, &filter)
        .await?;
    page.try_map(|(invoice, id)| Ok((InvoiceKey(invoice), parsed("exceptions.public_id", &id)?)))
}

#[derive(Serialize)]
struct OpenRow<'a> {
    id: String,
    invoice: i64,
    kind: &'static str,
    option: String,
    form: Option<&'a str>,
    address: Option<&'a str>,
    asset: Option<String>,
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
        let (form, address, asset) = match &finding.subject {
            Subject::Option(_) => (None, None, None),
            Subject::Address { form, address, .. } => (Some(&**form), Some(&**address), None),
            Subject::Stray { asset, .. } => (None, None, Some(asset.to_string())),
        };
        OpenRow {
            id: exception.id.to_string(),
            invoice: invoice.0,
            kind: finding.kind.as_str(),
            option: finding.subject.option().to_string(),
            form,
            address,
            asset,
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
