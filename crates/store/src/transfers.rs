//! Transfers: facts about money that was credited to watched keys.

use std::collections::BTreeMap;

use paywatch_domain::{Amount, AssetName, ChainName, Position, Role, TransferId, TxId, UnixMillis};
use serde::Serialize;

use crate::column::{RoleColumns, count, damaged, ids, list, parsed, sibling, stray};
use crate::keys::{InvoiceKey, OptionKey, TransferKey};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    FIND = "SELECT t.id, t.invoice, t.option, t.tx_id, t.position, t.amount
        FROM json_each($2) AS j CROSS JOIN transfers AS t
        WHERE t.chain = $1 AND t.tx_id = j.value->>'tx' AND t.position = j.value->>'position'
            AND t.option = CAST(j.value->>'option' AS BIGINT)
        ORDER BY t.id";
    /// First which transactions spent the same, itself included, then what they paid: a transaction may have as many inputs
    /// as outputs, and their product is never gone through. `CROSS JOIN` keeps SQLite to this order; any
    /// other one reads every transfer of the chain.
    SIGHTED_BY_SPENDS = "WITH rivals AS MATERIALIZED (SELECT DISTINCT j.value->>'tx' AS replacement, s.tx_id
            FROM json_each($2) AS j CROSS JOIN spends AS s
            WHERE s.chain = $1 AND s.outpoint = j.value->>'outpoint'),
        ranked AS (SELECT r.replacement, t.option, t.sibling_form, t.sibling_address, t.stray_decimals, t.asset,
                t.sighted_at, t.origin,
                ROW_NUMBER() OVER (PARTITION BY r.replacement, t.option, t.sibling_form, t.sibling_address, t.asset
                    ORDER BY t.sighted_at, t.id) AS place
            FROM rivals AS r CROSS JOIN transfers AS t WHERE t.chain = $1 AND t.tx_id = r.tx_id)
        SELECT replacement, option, sibling_form, sibling_address, stray_decimals, asset, sighted_at, origin FROM ranked
        WHERE place = 1 ORDER BY replacement, option";
    INSERT = "INSERT INTO transfers (public_id, invoice, merchant, mode, option, sibling_form, sibling_address, stray_decimals,
            chain, asset, amount, tx_id, position, maturity, origin, sighted_at, created_at)
        SELECT j.value->>'id', i.id, i.merchant, i.mode, CAST(j.value->>'option' AS BIGINT),
            j.value->>'form', j.value->>'address', CAST(j.value->>'decimals' AS BIGINT), j.value->>'chain', j.value->>'asset',
            j.value->>'amount', j.value->>'tx', j.value->>'position', CAST(j.value->>'maturity' AS BIGINT),
            j.value->>'origin', CAST(j.value->>'sighted_at' AS BIGINT), CAST(j.value->>'created_at' AS BIGINT)
        FROM json_each($1) AS j CROSS JOIN invoices AS i WHERE i.id = CAST(j.value->>'invoice' AS BIGINT)
        ON CONFLICT (chain, tx_id, position, option) DO NOTHING";
    STRAYS = "SELECT t.invoice, CAST(CASE WHEN t.asset LIKE 'unlisted:%' THEN 1 ELSE 0 END AS BIGINT) AS is_unlisted,
            COUNT(*) AS number
        FROM transfers AS t
        WHERE t.invoice IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1)) AND t.stray_decimals IS NOT NULL
        GROUP BY t.invoice, is_unlisted ORDER BY t.invoice, is_unlisted";
    MARK_FINAL = "UPDATE transfers SET final_at = $2
        WHERE id IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1)) AND final_at IS NULL";
    INSERT_SPENDS = "INSERT INTO spends (chain, tx_id, outpoint)
        SELECT CAST($1 AS TEXT), value->>'tx', value->>'outpoint' FROM json_each($2) WHERE true
        ON CONFLICT (chain, tx_id, outpoint) DO NOTHING";
}

/// A transfer to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransfer {
    /// Public id.
    pub id: TransferId,
    /// Of its option.
    pub invoice: InvoiceKey,
    /// Whose key was paid.
    pub option: OptionKey,
    /// Whether it pays the option.
    pub role: Role,
    /// Where it was seen.
    pub chain: ChainName,
    /// What was paid.
    pub asset: AssetName,
    /// How much.
    pub amount: Amount,
    /// The transaction.
    pub tx_id: TxId,
    /// Where in the transaction.
    pub position: Position,
    /// Blocks that the chain demands before it can be spent; 0 for none.
    pub maturity: u32,
    /// The first transaction that was seen to spend the same money, or its own.
    pub origin: TxId,
    /// When it was first seen, or the sighting it inherits from what it replaces.
    pub sighted_at: UnixMillis,
    /// When it is written.
    pub created_at: UnixMillis,
}

/// A transfer that is stored already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Internal key.
    pub transfer: TransferKey,
    /// Of its option.
    pub invoice: InvoiceKey,
    /// Whose address was paid.
    pub option: OptionKey,
    /// The transaction.
    pub tx_id: TxId,
    /// Where in the transaction.
    pub position: Position,
    /// How much.
    pub amount: Amount,
}

/// The earliest sighting of money that a transaction replaces, by what it paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The transaction that replaces.
    pub replacement: TxId,
    /// Whose key was paid.
    pub option: OptionKey,
    /// Whether it paid the option.
    pub role: Role,
    /// What was paid.
    pub asset: AssetName,
    /// When that was first seen.
    pub sighted_at: UnixMillis,
    /// The first transaction that was seen to spend the same money.
    pub origin: TxId,
}

#[derive(Serialize)]
struct Wanted<'a> {
    tx: &'a str,
    position: &'a str,
    option: i64,
}

#[derive(sqlx::FromRow)]
struct FoundRow {
    id: i64,
    invoice: i64,
    option: i64,
    tx_id: String,
    position: String,
    amount: String,
}

/// Those of these transfers that are stored already.
pub async fn find(
    conn: &mut Conn,
    chain: &ChainName,
    wanted: &[(TxId, Position, OptionKey)],
) -> Result<Vec<Found>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = list(wanted.iter().map(|(tx_id, position, option)| Wanted {
        tx: tx_id.as_str(),
        position: position.as_str(),
        option: option.0,
    }));
    let binds = [chain.as_str().into(), (&wanted).into()];
    let rows = conn.fetch::<FoundRow>(FIND, &binds).await?;
    let found = rows.into_iter().map(|row| {
        Ok(Found {
            transfer: TransferKey(row.id),
            invoice: InvoiceKey(row.invoice),
            option: OptionKey(row.option),
            tx_id: TxId::new(&row.tx_id),
            position: Position::new(&row.position),
            amount: Amount::parse_atomic(&row.amount)
                .map_err(|_| damaged("transfers.amount", &row.amount))?,
        })
    });
    found.collect()
}

#[derive(sqlx::FromRow)]
struct SightingRow {
    replacement: String,
    option: i64,
    #[sqlx(flatten)]
    role: RoleColumns,
    asset: String,
    sighted_at: i64,
    origin: String,
}

/// When money that another transaction spent too was first seen, once for each transaction and what was
/// paid: a replacement inherits the sighting. `spends` are transactions with the outpoints that they spend.
pub async fn sighted_by_spends(
    conn: &mut Conn,
    chain: &ChainName,
    spends: &[(&TxId, &str)],
) -> Result<Vec<Sighting>, StoreError> {
    if spends.is_empty() {
        return Ok(Vec::new());
    }
    let spends = list(spends.iter().map(|(tx_id, outpoint)| Spend {
        tx: tx_id.as_str(),
        outpoint,
    }));
    let binds = [chain.as_str().into(), (&spends).into()];
    let rows = conn.fetch::<SightingRow>(SIGHTED_BY_SPENDS, &binds).await?;
    let sightings = rows.into_iter().map(|row| {
        Ok(Sighting {
            replacement: TxId::new(&row.replacement),
            option: OptionKey(row.option),
            role: row.role.role()?,
            asset: parsed("transfers.asset", &row.asset)?,
            sighted_at: UnixMillis(row.sighted_at),
            origin: TxId::new(&row.origin),
        })
    });
    sightings.collect()
}

/// How many transfers of other assets than its options' an invoice has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// Of configured assets.
    pub listed: usize,
    /// Of tokens that are not configured.
    pub unlisted: usize,
}

/// How many strays these invoices have; an invoice without any is left out.
pub async fn strays(
    conn: &mut Conn,
    invoices: &[InvoiceKey],
) -> Result<BTreeMap<InvoiceKey, Strays>, StoreError> {
    if invoices.is_empty() {
        return Ok(BTreeMap::new());
    }
    let invoices = ids(invoices.iter().copied());
    let rows = conn
        .fetch::<(i64, i64, i64)>(STRAYS, &[(&invoices).into()])
        .await?;
    let mut strays: BTreeMap<InvoiceKey, Strays> = BTreeMap::new();
    for (invoice, is_unlisted, number) in rows {
        let one = strays.entry(InvoiceKey(invoice)).or_default();
        let number = count("transfers", number)?;
        match is_unlisted {
            0 => one.listed = number,
            _ => one.unlisted = number,
        }
    }
    Ok(strays)
}

#[derive(Serialize)]
struct NewRow<'a> {
    id: String,
    invoice: i64,
    option: i64,
    form: Option<&'a str>,
    address: Option<&'a str>,
    decimals: Option<u8>,
    chain: &'a str,
    asset: String,
    amount: String,
    tx: &'a str,
    position: &'a str,
    maturity: u32,
    origin: &'a str,
    sighted_at: i64,
    created_at: i64,
}

/// Stores those of these transfers that are not stored yet, and answers how many.
pub async fn insert(tx: &mut Tx, transfers: &[NewTransfer]) -> Result<u64, StoreError> {
    if transfers.is_empty() {
        return Ok(0);
    }
    let rows = list(transfers.iter().map(|new| NewRow {
        id: new.id.to_string(),
        invoice: new.invoice.0,
        option: new.option.0,
        form: sibling(&new.role).0,
        address: sibling(&new.role).1,
        decimals: stray(&new.role),
        chain: new.chain.as_str(),
        asset: new.asset.to_string(),
        amount: new.amount.to_string(),
        tx: new.tx_id.as_str(),
        position: new.position.as_str(),
        maturity: new.maturity,
        origin: new.origin.as_str(),
        sighted_at: new.sighted_at.0,
        created_at: new.created_at.0,
    }));
    tx.execute(INSERT, &[(&rows).into()]).await
}

/// Notes that these transfers were said to be final, where that is new. Their invoices must be locked.
pub async fn mark_final(
    tx: &mut Tx,
    transfers: &[TransferKey],
    now: UnixMillis,
) -> Result<(), StoreError> {
    if transfers.is_empty() {
        return Ok(());
    }
    let rows = ids(transfers.iter().copied());
    tx.execute(MARK_FINAL, &[(&rows).into(), now.into()])
        .await?;
    Ok(())
}

#[derive(Serialize)]
struct Spend<'a> {
    tx: &'a str,
    outpoint: &'a str,
}

/// Stores what transactions that pay us spend.
pub async fn spends_insert(
    tx: &mut Tx,
    chain: &ChainName,
    spends: &[(TxId, String)],
) -> Result<(), StoreError> {
    if spends.is_empty() {
        return Ok(());
    }
    let rows = list(spends.iter().map(|(tx_id, outpoint)| Spend {
        tx: tx_id.as_str(),
        outpoint,
    }));
    let binds = [chain.as_str().into(), (&rows).into()];
    tx.execute(INSERT_SPENDS, &binds).await?;
    Ok(())
}
