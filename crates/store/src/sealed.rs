//! The rows that the master key protects, to seal them again with another one.

use serde::Serialize;

use crate::column::list;
use crate::keys::InvoiceKey;
use crate::sql::statements;
use crate::{StoreError, Tx};

statements! {
    /// Locked, as a confirmation or a rotation may be under way.
    WALLETS = "SELECT w.id, m.public_id AS merchant, w.public_id, w.mode, w.family, w.key, w.node, w.start_index, w.state, w.seal
        FROM wallets AS w JOIN merchants AS m ON m.id = w.merchant
        WHERE w.id > $1 ORDER BY w.id LIMIT CAST($2 AS BIGINT)", (lite "", pg " FOR UPDATE OF w");
    ADDRESSES = "SELECT p.wallet, p.position, m.public_id AS merchant, w.public_id, p.address, p.seal
        FROM pool_addresses AS p JOIN wallets AS w ON w.id = p.wallet JOIN merchants AS m ON m.id = w.merchant
        WHERE p.wallet > $1 OR (p.wallet = $1 AND p.position > $2)
        ORDER BY p.wallet, p.position LIMIT CAST($3 AS BIGINT)";
    INVOICES = "SELECT id FROM invoices WHERE id > $1 ORDER BY id LIMIT CAST($2 AS BIGINT)";
    ENDPOINTS = "SELECT id, public_id, secret, old_secret FROM endpoints
        WHERE id > $1 AND state <> 'deleted' ORDER BY id LIMIT CAST($2 AS BIGINT)", for_update;
    SEAL_WALLETS = "UPDATE wallets SET seal = unhex(j.value->>'seal') FROM json_each($1) AS j
        WHERE wallets.id = CAST(j.value->>'key' AS BIGINT)";
    SEAL_ADDRESSES = "UPDATE pool_addresses SET seal = unhex(j.value->>'seal') FROM json_each($1) AS j
        WHERE pool_addresses.wallet = CAST(j.value->>'key' AS BIGINT)
            AND pool_addresses.position = CAST(j.value->>'position' AS BIGINT)";
    SEAL_INVOICES = "UPDATE invoices SET seal = unhex(j.value->>'seal') FROM json_each($1) AS j
        WHERE invoices.id = CAST(j.value->>'key' AS BIGINT)";
    SEAL_OPTIONS = "UPDATE options SET seal = unhex(j.value->>'seal') FROM json_each($1) AS j
        WHERE options.invoice = CAST(j.value->>'key' AS BIGINT) AND options.position = CAST(j.value->>'position' AS BIGINT)";
    SEAL_ENDPOINT = "UPDATE endpoints SET secret = $2, old_secret = $3 WHERE id = $1";
}

/// A wallet's seal, and what it covers.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SealedWallet {
    /// Internal key.
    pub id: i64,
    /// Public id of its merchant.
    pub merchant: String,
    /// Public id.
    pub public_id: String,
    /// Which chains it is for.
    pub mode: String,
    /// Chain family.
    pub family: String,
    /// Public key or descriptor in canonical form.
    pub key: String,
    /// Hex of a hash over the parent node.
    pub node: String,
    /// First index that may be handed out.
    pub start_index: i64,
    /// Whether it may be used.
    pub state: String,
    /// MAC over all of that.
    pub seal: Vec<u8>,
}

/// The seal of an address in a pool, and what it covers.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SealedAddress {
    /// Internal key of its wallet.
    pub wallet: i64,
    /// Its place in the pool, from 0.
    pub position: i64,
    /// Public id of its merchant.
    pub merchant: String,
    /// Public id of its wallet.
    pub public_id: String,
    /// As the merchant gave it.
    pub address: String,
    /// MAC over all of that.
    pub seal: Vec<u8>,
}

/// The encrypted secrets of an endpoint.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SealedEndpoint {
    /// Internal key.
    pub id: i64,
    /// Public id.
    pub public_id: String,
    /// The secret that signs.
    pub secret: Vec<u8>,
    /// The one before it, which may sign for a while.
    pub old_secret: Option<Vec<u8>>,
}

/// A new seal of a row.
#[derive(Clone, Debug, Serialize)]
pub struct NewSeal {
    /// Internal key of the row, or of that to which it belongs.
    pub key: i64,
    /// Its place there, from 0; 0 for a row of its own.
    pub position: i64,
    /// Hexadecimal.
    pub seal: String,
}

/// Which seals are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// Those of wallets.
    Wallets,
    /// Those of addresses in pools.
    Addresses,
    /// Those of invoices.
    Invoices,
    /// Those of options; `key` is the invoice's.
    Options,
}

/// The wallets after one, at most `limit`, locked until the unit ends.
pub async fn wallets(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<SealedWallet>, StoreError> {
    tx.fetch(WALLETS, &[after.into(), i64::from(limit).into()])
        .await
}

/// The addresses in pools after the one at a place of a wallet, at most `limit`.
pub async fn addresses(
    tx: &mut Tx,
    (wallet, position): (i64, i64),
    limit: u32,
) -> Result<Vec<SealedAddress>, StoreError> {
    let binds = [wallet.into(), position.into(), i64::from(limit).into()];
    tx.fetch(ADDRESSES, &binds).await
}

/// The invoices after one, at most `limit`. What their seals cover never changes.
pub async fn invoices(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<InvoiceKey>, StoreError> {
    let rows = tx
        .fetch::<(i64,)>(INVOICES, &[after.into(), i64::from(limit).into()])
        .await?;
    Ok(rows.into_iter().map(|(key,)| InvoiceKey(key)).collect())
}

/// The endpoints after one, at most `limit`, locked until the unit ends.
pub async fn endpoints(
    tx: &mut Tx,
    after: i64,
    limit: u32,
) -> Result<Vec<SealedEndpoint>, StoreError> {
    tx.fetch(ENDPOINTS, &[after.into(), i64::from(limit).into()])
        .await
}

/// Writes new seals.
pub async fn seal(tx: &mut Tx, which: Sealed, seals: &[NewSeal]) -> Result<(), StoreError> {
    if seals.is_empty() {
        return Ok(());
    }
    let statement = match which {
        Sealed::Wallets => SEAL_WALLETS,
        Sealed::Addresses => SEAL_ADDRESSES,
        Sealed::Invoices => SEAL_INVOICES,
        Sealed::Options => SEAL_OPTIONS,
    };
    let rows = list(seals);
    tx.execute(statement, &[(&rows).into()]).await?;
    Ok(())
}

/// Writes the secrets of an endpoint.
pub async fn seal_endpoint(tx: &mut Tx, row: &SealedEndpoint) -> Result<(), StoreError> {
    let old = row.old_secret.as_deref();
    let binds = [row.id.into(), row.secret.as_slice().into(), old.into()];
    tx.execute(SEAL_ENDPOINT, &binds).await?;
    Ok(())
}
