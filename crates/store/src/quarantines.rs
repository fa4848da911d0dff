//! Quarantines: invoices about which no claims are made, because a rule that must hold of them does not.
//!
//! Terms and facts of such an invoice may be unreadable, so nothing here reads them.

use paywatch_domain::{ExceptionId, ExceptionKind, Mode, OperatorFact, Quarantine, UnixMillis};
use paywatch_wire::stored::operator_fact_from_json;
use serde::Serialize;

use crate::column::{count, ids, int, list, mode, optional_time, parsed};
use crate::keys::{InvoiceKey, MerchantKey};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    /// The first violation stays; what is quarantined already is not answered.
    BEGIN = "UPDATE invoices SET quarantined = n.violation
        FROM (SELECT CAST(value->>'invoice' AS BIGINT) AS invoice, value->>'violation' AS violation
            FROM json_each($1)) AS n
        WHERE invoices.id = n.invoice AND invoices.quarantined IS NULL RETURNING id";
    OPEN = "INSERT INTO exceptions (public_id, invoice, merchant, mode, kind, violation, opened_at)
        SELECT j.value->>'id', i.id, i.merchant, i.mode, j.value->>'kind', i.quarantined, $2
        FROM json_each($1) AS j CROSS JOIN invoices AS i WHERE i.id = CAST(j.value->>'invoice' AS BIGINT)";
    END = "UPDATE invoices SET quarantined = NULL WHERE id = $1";
    RESOLVE = "UPDATE exceptions SET resolved_at = $2
        WHERE public_id = $1 AND kind = 'quarantined' AND resolved_at IS NULL";
    LIST = "SELECT e.public_id, i.public_id AS invoice_id, e.invoice, e.violation, e.opened_at, e.resolved_at
        FROM exceptions AS e JOIN invoices AS i ON i.id = e.invoice
        WHERE e.kind = 'quarantined' AND e.public_id IN (SELECT value->>'id' FROM json_each($1)) ORDER BY e.id";
    NOTES = "SELECT body FROM operator_facts
        WHERE kind IN ('assigned', 'released')
        AND invoice IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1)) ORDER BY id";
    LAST = "SELECT i.merchant, i.mode, e.version, e.body FROM invoices AS i
        LEFT JOIN events AS e ON e.invoice = i.id
            AND e.version = (SELECT MAX(l.version) FROM events AS l WHERE l.invoice = i.id)
        WHERE i.id = $1";
    /// The status and what was said stay as they are.
    COUNT = "UPDATE invoices SET version = $2 WHERE id = $1";
}

#[derive(Serialize)]
struct BeginRow<'a> {
    invoice: i64,
    violation: &'a str,
}

/// Stops all further claims about locked invoices; answers those about which claims were made until now.
pub async fn begin(
    tx: &mut Tx,
    violations: &[(InvoiceKey, String)],
) -> Result<Vec<InvoiceKey>, StoreError> {
    if violations.is_empty() {
        return Ok(Vec::new());
    }
    let rows = list(violations.iter().map(|(invoice, violation)| BeginRow {
        invoice: invoice.0,
        violation,
    }));
    let begun = tx.fetch::<(i64,)>(BEGIN, &[(&rows).into()]).await?;
    let mut begun: Vec<_> = begun.into_iter().map(|(key,)| InvoiceKey(key)).collect();
    begun.sort_unstable();
    Ok(begun)
}

#[derive(Serialize)]
struct OpenRow {
    id: String,
    invoice: i64,
    kind: &'static str,
}

/// Opens the exceptions of invoices whose quarantine has begun.
///
/// # Errors
///
/// [`StoreError::Conflict`] `exception_open` when one of them has an open one already.
pub async fn open(
    tx: &mut Tx,
    opened: &[(InvoiceKey, ExceptionId)],
    now: UnixMillis,
) -> Result<(), StoreError> {
    let rows = list(opened.iter().map(|(invoice, id)| OpenRow {
        id: id.to_string(),
        invoice: invoice.0,
        kind: ExceptionKind::Quarantined.as_str(),
    }));
    let written = tx.execute(OPEN, &[(&rows).into(), now.into()]).await;
    let written = written.map_err(|error| error.rule("exception_open"))?;
    if usize::try_from(written) != Ok(opened.len()) {
        return Err(StoreError::Conflict("exception_open"));
    }
    Ok(())
}

/// Lets claims be made about a locked invoice again, and resolves the exception about it.
pub async fn end(
    tx: &mut Tx,
    invoice: InvoiceKey,
    id: ExceptionId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let id = id.to_string();
    tx.execute(END, &[invoice.into()]).await?;
    tx.execute(RESOLVE, &[(&id).into(), now.into()]).await?;
    Ok(())
}

/// A quarantine, and what people said to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The quarantine.
    pub quarantine: Quarantine,
    /// Who takes care of it, and who lifted it, as far as that can be read; in order.
    pub notes: Vec<OperatorFact>,
}

#[derive(sqlx::FromRow)]
struct Raw {
    public_id: String,
    invoice_id: String,
    invoice: i64,
    violation: String,
    opened_at: i64,
    resolved_at: Option<i64>,
}

#[derive(Serialize)]
struct IdRow {
    id: String,
}

/// Those of some exceptions that are quarantines, whatever the state of their invoices.
pub async fn list_of(
    conn: &mut Conn,
    exceptions: impl IntoIterator<Item = ExceptionId>,
) -> Result<Vec<Noted>, StoreError> {
    let exceptions = list(
        exceptions
            .into_iter()
            .map(|id| IdRow { id: id.to_string() }),
    );
    let rows = conn.fetch::<Raw>(LIST, &[(&exceptions).into()]).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let invoices = ids(rows.iter().map(|row| row.invoice));
    let notes = conn
        .fetch::<(String,)>(NOTES, &[(&invoices).into()])
        .await?;
    let notes = notes
        .iter()
        .filter_map(|(body,)| operator_fact_from_json(body).ok());
    let notes: Vec<OperatorFact> = notes.collect();
    let quarantines = rows.into_iter().map(|row| {
        let id: ExceptionId = parsed("exceptions.public_id", &row.public_id)?;
        let is_own = |fact: &&OperatorFact| match fact {
            OperatorFact::Assigned { exception, .. } => *exception == id,
            OperatorFact::Released(release) => release.exception == id,
            OperatorFact::Canceled { .. }
            | OperatorFact::Accepted { .. }
            | OperatorFact::Refunded(_)
            | OperatorFact::Settled(_)
            | OperatorFact::Recorded(_) => false,
        };
        Ok(Noted {
            notes: notes.iter().filter(is_own).cloned().collect(),
            quarantine: Quarantine {
                id,
                invoice_id: row.invoice_id.into(),
                violation: row.violation.into(),
                opened_at: UnixMillis(row.opened_at),
                resolved_at: optional_time(row.resolved_at),
            },
        })
    });
    quarantines.collect()
}

/// What was last told about an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTold {
    /// Whose it is.
    pub merchant: MerchantKey,
    /// Live or test.
    pub mode: Mode,
    /// The number of its last event; 0 before the first.
    pub version: u64,
    /// That event's body.
    pub body: Option<String>,
}

/// What was last told about an invoice, by its events alone.
pub async fn last_told(conn: &mut Conn, invoice: InvoiceKey) -> Result<LastTold, StoreError> {
    let row = conn
        .fetch_one::<(i64, String, Option<i64>, Option<String>)>(LAST, &[invoice.into()])
        .await?;
    let (merchant, word, version, body) = row;
    Ok(LastTold {
        merchant: MerchantKey(merchant),
        mode: mode(&word)?,
        version: count("events.version", version.unwrap_or_default())?,
        body,
    })
}

/// Notes that a locked invoice has an event of this number, which said nothing new about it.
pub async fn number(tx: &mut Tx, invoice: InvoiceKey, version: u64) -> Result<(), StoreError> {
    tx.execute(COUNT, &[invoice.into(), int(version).into()])
        .await?;
    Ok(())
}
