//! What invoices wait for, so that a block costs what it touches and not what is open.

use paywatch_domain::{Await, ChainName, Mark, Marks, UnixMillis};
use serde::Serialize;

use crate::column::{ids, int, list};
use crate::keys::InvoiceKey;
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    DELETE = "DELETE FROM awaited
        WHERE invoice IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1))";
    INSERT = "INSERT INTO awaited (invoice, chain, kind, position)
        SELECT CAST(value->>'invoice' AS BIGINT), value->>'chain', value->>'kind',
            CAST(value->>'position' AS BIGINT)
        FROM json_each($1) WHERE true
        ON CONFLICT (invoice, chain, kind, position) DO NOTHING";
    /// A look at balances is awaited no more once blocks show everything again.
    DUE = "SELECT invoice FROM
            (SELECT invoice FROM awaited WHERE chain = $1 AND kind = 'height' AND position <= $2
            UNION SELECT invoice FROM awaited WHERE chain = $1 AND kind = 'covered' AND position < $3
            UNION SELECT invoice FROM awaited WHERE chain = $1 AND kind = 'looked' AND position <
                (SELECT CASE WHEN c.unseen_asset IS NULL THEN CAST($3 AS BIGINT) ELSE c.looked_until END
                FROM chains AS c WHERE c.chain = $1)
            UNION SELECT invoice FROM awaited WHERE chain = $1 AND kind = 'safe' AND position <= $4
            UNION SELECT invoice FROM awaited WHERE chain = $1 AND kind = 'confirmed' AND position <= $5
            UNION SELECT invoice FROM awaited WHERE chain = $1 AND kind = 'finalized' AND position <= $6) AS due
        ORDER BY invoice LIMIT CAST($7 AS BIGINT)";
    OVERDUE = "SELECT invoice, position FROM (
            SELECT * FROM (SELECT invoice, position FROM awaited
                WHERE chain = $1 AND kind = 'covered' AND position < $2 AND (position, invoice) > ($3, $4)
                ORDER BY position, invoice LIMIT CAST($5 AS BIGINT)) AS unread
            UNION SELECT * FROM (SELECT invoice, position FROM awaited
                WHERE chain = $1 AND kind = 'looked' AND position < $2 AND (position, invoice) > ($3, $4)
                ORDER BY position, invoice LIMIT CAST($5 AS BIGINT)) AS unseen) AS overdue
        ORDER BY position, invoice LIMIT CAST($5 AS BIGINT)";
    NEXT_COVERED = "SELECT MIN(position) FROM awaited WHERE chain = $1 AND kind = 'covered'";
}

/// Invoices that [`due`] answers at most.
pub const DUE_MAX: i64 = 5000;

#[derive(Serialize)]
struct Row<'a> {
    invoice: i64,
    chain: &'a str,
    kind: &'static str,
    position: i64,
}

/// Replaces everything that these invoices wait for.
pub async fn replace(tx: &mut Tx, invoices: &[(InvoiceKey, Vec<Await>)]) -> Result<(), StoreError> {
    if invoices.is_empty() {
        return Ok(());
    }
    let keys = ids(invoices.iter().map(|(key, _)| *key));
    tx.execute(DELETE, &[(&keys).into()]).await?;
    let awaits = invoices
        .iter()
        .flat_map(|(key, awaits)| awaits.iter().map(|one| row(*key, one)));
    let rows = list(awaits);
    tx.execute(INSERT, &[(&rows).into()]).await?;
    Ok(())
}

fn row(invoice: InvoiceKey, one: &Await) -> Row<'_> {
    let (chain, kind, position) = match one {
        Await::Height { chain, height } => (chain, "height", int(*height)),
        Await::Mark {
            chain,
            mark,
            height,
        } => (chain, mark.as_str(), int(*height)),
        Await::Covered { chain, until } => (chain, "covered", until.0),
        Await::Looked { chain, until } => (chain, "looked", until.0),
    };
    Row {
        invoice: invoice.0,
        chain: chain.as_str(),
        kind,
        position,
    }
}

/// The invoices for which a tip at `height`, coverage up to `covered`, or these marks change something: a
/// tip and a mark are awaited up to and including themselves, a time must have passed. At most [`DUE_MAX`] of them, in the
/// order of their keys; fold them, replace what they wait for, and ask again.
pub async fn due(
    conn: &mut Conn,
    chain: &ChainName,
    height: Option<u64>,
    covered: Option<UnixMillis>,
    marks: Marks,
) -> Result<Vec<InvoiceKey>, StoreError> {
    let at = |mark| marks.get(mark).map_or(-1, int);
    let binds = [
        chain.as_str().into(),
        height.map_or(-1, int).into(),
        covered.map_or(i64::MIN, |until| until.0).into(),
        at(Mark::Safe).into(),
        at(Mark::Confirmed).into(),
        at(Mark::Finalized).into(),
        DUE_MAX.into(),
    ];
    let rows = conn.fetch::<(i64,)>(DUE, &binds).await?;
    Ok(rows.into_iter().map(|(key,)| InvoiceKey(key)).collect())
}

/// A place among the invoices that wait for coverage of a chain, in the order of what they wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverdueMark {
    position: i64,
    invoice: i64,
}

impl OverdueMark {
    /// Before the first.
    pub const START: Self = Self {
        position: i64::MIN,
        invoice: i64::MIN,
    };
}

/// Invoices behind a place that have waited for coverage, or a look at balances, past a time before `until`, at most
/// [`DUE_MAX`], and the place behind them.
pub async fn overdue(
    conn: &mut Conn,
    chain: &ChainName,
    until: UnixMillis,
    mark: OverdueMark,
) -> Result<(Vec<InvoiceKey>, OverdueMark), StoreError> {
    let binds = [
        chain.as_str().into(),
        until.into(),
        mark.position.into(),
        mark.invoice.into(),
        DUE_MAX.into(),
    ];
    let rows = conn.fetch::<(i64, i64)>(OVERDUE, &binds).await?;
    let end = rows.last().map_or(mark, |(invoice, position)| OverdueMark {
        position: *position,
        invoice: *invoice,
    });
    let keys = rows.into_iter().map(|(invoice, _)| InvoiceKey(invoice));
    Ok((keys.collect(), end))
}

/// The earliest time that coverage of a chain is awaited past.
pub async fn next_covered(
    conn: &mut Conn,
    chain: &ChainName,
) -> Result<Option<UnixMillis>, StoreError> {
    let binds = [chain.as_str().into()];
    let (next,) = conn
        .fetch_one::<(Option<i64>,)>(NEXT_COVERED, &binds)
        .await?;
    Ok(next.map(UnixMillis))
}
