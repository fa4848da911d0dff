//! Vettings: what nodes said of transactions that pay us, before they had a block.

use paywatch_domain::{ChainName, TxId, UnixMillis};
use serde::Serialize;

use crate::column::{int, list};
use crate::keys::InvoiceKey;
use crate::sql::statements;
use crate::{StoreError, Tx};

statements! {
    /// What keeps every rule is not asked about again: the row stays. So does one that says the same.
    RECORD = "INSERT INTO vettings (chain, tx_id, vetted_at, has_parents, fee_rate, fee_rate_next)
        SELECT CAST($1 AS TEXT), value->>'tx', CAST($2 AS BIGINT), CAST(value->>'parents' AS BIGINT),
            CAST(value->>'rate' AS BIGINT), CAST(value->>'next' AS BIGINT)
        FROM json_each($3) WHERE EXISTS (SELECT 1 FROM transfers AS t
            WHERE t.chain = $1 AND t.tx_id = value->>'tx')
        ON CONFLICT (chain, tx_id) DO UPDATE SET vetted_at = excluded.vetted_at,
            has_parents = excluded.has_parents, fee_rate = excluded.fee_rate, fee_rate_next = excluded.fee_rate_next
        WHERE (vettings.has_parents = 1 OR vettings.fee_rate_next IS NULL
                OR vettings.fee_rate < vettings.fee_rate_next)
            AND (vettings.has_parents <> excluded.has_parents OR vettings.fee_rate <> excluded.fee_rate
                OR COALESCE(vettings.fee_rate_next, -1) <> COALESCE(excluded.fee_rate_next, -1))
        RETURNING tx_id";
    MISSING = "UPDATE vettings SET missing_since = $2
        WHERE chain = $1 AND missing_since IS NULL
            AND tx_id IN (SELECT value->>'tx' FROM json_each($3))";
    PAID = "SELECT DISTINCT t.invoice FROM json_each($2) AS j CROSS JOIN transfers AS t
        WHERE t.chain = $1 AND t.tx_id = j.value->>'tx' ORDER BY t.invoice";
}

/// What a node says of one transaction.
#[derive(Clone, Copy, Debug)]
pub struct NewVetting<'a> {
    /// The transaction.
    pub tx_id: &'a TxId,
    /// It spends money that is not confirmed itself.
    pub has_parents: bool,
    /// What it pays, in atomic units for 1,000 units of size.
    pub fee_rate: u64,
    /// What the next block costs, in the same unit.
    pub fee_rate_next: Option<u64>,
}

#[derive(Serialize)]
struct Row<'a> {
    tx: &'a str,
    parents: u8,
    rate: i64,
    next: Option<i64>,
}

#[derive(Serialize)]
struct OfTransaction<'a> {
    tx: &'a str,
}

/// Records what a node says of transactions that pay us; answers the invoices of which that is
/// new. What is said of other transactions is not kept.
pub async fn record(
    tx: &mut Tx,
    chain: &ChainName,
    vettings: &[NewVetting<'_>],
    at: UnixMillis,
) -> Result<Vec<InvoiceKey>, StoreError> {
    if vettings.is_empty() {
        return Ok(Vec::new());
    }
    let rows = list(vettings.iter().map(|new| Row {
        tx: new.tx_id.as_str(),
        parents: u8::from(new.has_parents),
        rate: int(new.fee_rate),
        next: new.fee_rate_next.map(int),
    }));
    let binds = [chain.as_str().into(), at.into(), (&rows).into()];
    let changed = tx.fetch::<(String,)>(RECORD, &binds).await?;
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let rows = list(changed.iter().map(|(tx_id,)| OfTransaction { tx: tx_id }));
    let binds = [chain.as_str().into(), (&rows).into()];
    let paid = tx.fetch::<(i64,)>(PAID, &binds).await?;
    Ok(paid.into_iter().map(|(key,)| InvoiceKey(key)).collect())
}

/// Notes since when a node that began anew does not have these transactions any more.
pub async fn missing(
    tx: &mut Tx,
    chain: &ChainName,
    transactions: &[&TxId],
    since: UnixMillis,
) -> Result<(), StoreError> {
    if transactions.is_empty() {
        return Ok(());
    }
    let rows = transactions
        .iter()
        .map(|tx_id| OfTransaction { tx: tx_id.as_str() });
    let rows = list(rows);
    let binds = [chain.as_str().into(), since.into(), (&rows).into()];
    tx.execute(MISSING, &binds).await?;
    Ok(())
}
