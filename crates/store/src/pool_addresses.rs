//! Pools: addresses that merchants' own wallets made, in the order in which they are handed out.

use paywatch_domain::Family;
use serde::Serialize;

use crate::column::{count, list};
use crate::keys::WalletKey;
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO pool_addresses (wallet, position, family, address, seal)
        SELECT CAST($1 AS BIGINT), CAST(value->>'position' AS BIGINT), CAST($2 AS TEXT), value->>'address',
            unhex(value->>'seal')
        FROM json_each($3) WHERE true";
    GET = "SELECT address, seal FROM pool_addresses WHERE wallet = $1 AND position = $2";
    SIZE = "SELECT COALESCE(MAX(position) + 1, 0) FROM pool_addresses WHERE wallet = $1";
    /// Each pool and each invoice.
    GIVEN = "SELECT address FROM pool_addresses WHERE family = $1 AND address = $2
        UNION SELECT address FROM options WHERE family = $1 AND address = $2
        ORDER BY address LIMIT 1";
    /// Each pool, each invoice, and each wallet that is paid with references.
    KNOWN = "SELECT p.address FROM json_each($2) AS j CROSS JOIN pool_addresses AS p
            WHERE p.family = $1 AND p.address = j.value->>'address'
        UNION SELECT o.address FROM json_each($2) AS j CROSS JOIN options AS o
            WHERE o.family = $1 AND o.address = j.value->>'address'
        UNION SELECT j.value->>'address' FROM wallets AS w CROSS JOIN json_each($2) AS j
            WHERE w.family = $1 AND w.kind = 'solana_pay'
                AND substr(w.key, 1, length(j.value->>'address') + 1) = (j.value->>'address') || '?'
        ORDER BY address LIMIT 1";
}

/// An address of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolAddress {
    /// Its place in the pool, from 0.
    pub position: u32,
    /// As the merchant gave it.
    pub address: String,
    /// MAC over wallet, position and address.
    pub seal: Vec<u8>,
}

#[derive(Serialize)]
struct Row<'a> {
    position: u32,
    address: &'a str,
    seal: String,
}

#[derive(Serialize)]
struct AddressRow<'a> {
    address: &'a str,
}

/// Appends addresses to the pool of a wallet.
///
/// # Errors
///
/// [`StoreError::Conflict`] `pool_changed` when a place is taken or an address is in a pool already.
pub async fn insert(
    tx: &mut Tx,
    wallet: WalletKey,
    family: Family,
    addresses: &[PoolAddress],
) -> Result<(), StoreError> {
    let rows = list(addresses.iter().map(|row| Row {
        position: row.position,
        address: &row.address,
        seal: hex::encode(&row.seal),
    }));
    let binds = [wallet.into(), family.as_str().into(), (&rows).into()];
    let inserted = tx.execute(INSERT, &binds).await;
    inserted.map_err(|error| error.rule("pool_changed"))?;
    Ok(())
}

/// The address at a place of a wallet's pool; `None` behind its end.
pub async fn get(
    conn: &mut Conn,
    wallet: WalletKey,
    position: u32,
) -> Result<Option<PoolAddress>, StoreError> {
    let binds = [wallet.into(), i64::from(position).into()];
    let row = conn
        .fetch_optional::<(String, Vec<u8>)>(GET, &binds)
        .await?;
    Ok(row.map(|(address, seal)| PoolAddress {
        position,
        address,
        seal,
    }))
}

/// How many addresses a wallet's pool has, those that were handed out included.
pub async fn size(conn: &mut Conn, wallet: WalletKey) -> Result<u32, StoreError> {
    let (size,) = conn.fetch_one::<(i64,)>(SIZE, &[wallet.into()]).await?;
    count("pool_addresses.position", size)
}

/// One of these addresses that is in use already, by whomever; `None` when none is.
pub async fn known(
    conn: &mut Conn,
    family: Family,
    addresses: &[String],
) -> Result<Option<String>, StoreError> {
    let rows = list(addresses.iter().map(|address| AddressRow { address }));
    let binds = [family.as_str().into(), (&rows).into()];
    let found = conn.fetch_optional::<(String,)>(KNOWN, &binds).await?;
    Ok(found.map(|(address,)| address))
}

/// Whether an address stands in a pool or belongs to an invoice, of whomever.
pub async fn is_given(conn: &mut Conn, family: Family, address: &str) -> Result<bool, StoreError> {
    let binds = [family.as_str().into(), address.into()];
    let found = conn.fetch_optional::<(String,)>(GIVEN, &binds).await?;
    Ok(found.is_some())
}
