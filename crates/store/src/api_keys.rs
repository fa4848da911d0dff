//! Keys of the API: only their seals.

use paywatch_domain::{KeyId, MerchantId, Mode, UnixMillis};
use paywatch_wire::json_text;

use crate::column::{damaged, mode, optional_time, parsed};
use crate::keys::MerchantKey;
use crate::page::{Cursor, Listed, Window};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO api_keys (public_id, merchant, mode, hash, scopes, networks, expires_at, label, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    BY_ID = "SELECT k.public_id, k.merchant, m.public_id AS merchant_id, k.mode, k.hash, k.scopes,
            k.networks, k.expires_at, k.label, k.created_at, k.revoked_at, k.last_used_at
        FROM api_keys AS k JOIN merchants AS m ON m.id = k.merchant
        WHERE k.public_id = $1";
    ALL = "SELECT k.public_id, k.merchant, m.public_id AS merchant_id, k.mode, k.hash, k.scopes,
            k.networks, k.expires_at, k.label, k.created_at, k.revoked_at, k.last_used_at
        FROM api_keys AS k JOIN merchants AS m ON m.id = k.merchant
        ORDER BY k.id";
    OWN = "SELECT k.public_id, k.merchant, m.public_id AS merchant_id, k.mode, k.hash, k.scopes,
            k.networks, k.expires_at, k.label, k.created_at, k.revoked_at, k.last_used_at
        FROM api_keys AS k JOIN merchants AS m ON m.id = k.merchant
        WHERE k.merchant = $1 AND k.mode = $2 AND k.public_id = $3";
    FIND = "SELECT id FROM api_keys WHERE merchant = $1 AND mode = $2 AND public_id = $3";
    OLDER = "SELECT k.public_id, k.merchant, m.public_id AS merchant_id, k.mode, k.hash, k.scopes,
            k.networks, k.expires_at, k.label, k.created_at, k.revoked_at, k.last_used_at
        FROM api_keys AS k JOIN merchants AS m ON m.id = k.merchant
        WHERE k.merchant = $1 AND k.mode = $2 AND k.id < $3 ORDER BY k.id DESC LIMIT CAST($4 AS BIGINT)";
    NEWER = "SELECT k.public_id, k.merchant, m.public_id AS merchant_id, k.mode, k.hash, k.scopes,
            k.networks, k.expires_at, k.label, k.created_at, k.revoked_at, k.last_used_at
        FROM api_keys AS k JOIN merchants AS m ON m.id = k.merchant
        WHERE k.merchant = $1 AND k.mode = $2 AND k.id > $3 ORDER BY k.id LIMIT CAST($4 AS BIGINT)";
    REVOKE = "UPDATE api_keys SET revoked_at = $2
        WHERE public_id = $1 AND (revoked_at IS NULL OR revoked_at > $2)";
    RESEAL = "UPDATE api_keys SET hash = $2 WHERE public_id = $1 AND hash = $3";
    USED = "UPDATE api_keys SET last_used_at = $2 WHERE public_id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
}

/// A key to be stored.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Public part.
    pub id: KeyId,
    /// Whose it is.
    pub merchant: MerchantKey,
    /// What it sees.
    pub mode: Mode,
    /// MAC over the whole key and what it may do.
    pub seal: [u8; 32],
    /// What it may do.
    pub scopes: Vec<String>,
    /// The networks that it may be used from, in CIDR form; empty for all.
    pub networks: Vec<String>,
    /// From when on it is refused.
    pub expires_at: Option<UnixMillis>,
    /// Given by the operator.
    pub label: String,
    /// When it is made.
    pub now: UnixMillis,
}

/// A stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Public part.
    pub id: KeyId,
    /// Whose it is.
    pub merchant: MerchantKey,
    /// Whose it is, by public id.
    pub merchant_id: MerchantId,
    /// What it sees.
    pub mode: Mode,
    /// MAC over the whole key and what it may do; compare in constant time.
    pub seal: [u8; 32],
    /// What it may do.
    pub scopes: Vec<String>,
    /// The networks that it may be used from, in CIDR form; empty for all.
    pub networks: Vec<String>,
    /// From when on it is refused.
    pub expires_at: Option<UnixMillis>,
    /// Given by the operator.
    pub label: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on somebody wanted it to be refused; may lie ahead.
    pub revoked_at: Option<UnixMillis>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<UnixMillis>,
}

impl ApiKey {
    /// Whether it is refused at a time, whatever it is sealed for.
    pub fn is_over(&self, now: UnixMillis) -> bool {
        let ends = [self.expires_at, self.revoked_at];
        ends.into_iter().flatten().any(|end| end <= now)
    }
}

#[derive(sqlx::FromRow)]
struct Raw {
    public_id: String,
    merchant: i64,
    merchant_id: String,
    mode: String,
    hash: Vec<u8>,
    scopes: String,
    networks: String,
    expires_at: Option<i64>,
    label: String,
    created_at: i64,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl Raw {
    fn read(self) -> Result<ApiKey, StoreError> {
        let seal = self.hash.try_into();
        Ok(ApiKey {
            id: parsed("api_keys.public_id", &self.public_id)?,
            merchant: MerchantKey(self.merchant),
            merchant_id: parsed("merchants.public_id", &self.merchant_id)?,
            mode: mode(&self.mode)?,
            seal: seal.map_err(|_| damaged("api_keys.hash", &self.public_id))?,
            scopes: serde_json::from_str(&self.scopes)
                .map_err(|error| damaged("api_keys.scopes", error))?,
            networks: serde_json::from_str(&self.networks)
                .map_err(|error| damaged("api_keys.networks", error))?,
            expires_at: optional_time(self.expires_at),
            label: self.label,
            created_at: UnixMillis(self.created_at),
            revoked_at: optional_time(self.revoked_at),
            last_used_at: optional_time(self.last_used_at),
        })
    }
}

/// Stores a key.
pub async fn insert(tx: &mut Tx, key: &NewApiKey) -> Result<(), StoreError> {
    let (id, scopes) = (key.id.to_string(), json_text(&key.scopes));
    let networks = json_text(&key.networks);
    let binds = [
        (&id).into(),
        key.merchant.into(),
        key.mode.as_str().into(),
        key.seal.as_slice().into(),
        (&scopes).into(),
        (&networks).into(),
        key.expires_at.map(|at| at.0).into(),
        (&key.label).into(),
        key.now.into(),
    ];
    tx.execute(INSERT, &binds).await?;
    Ok(())
}

/// The key with this public part, revoked or not.
pub async fn by_id(conn: &mut Conn, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    let id = id.to_string();
    let row = conn.fetch_optional::<Raw>(BY_ID, &[(&id).into()]).await?;
    row.map(Raw::read).transpose()
}

/// One key of a merchant and mode, revoked or not.
pub async fn get(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    id: KeyId,
) -> Result<Option<ApiKey>, StoreError> {
    let id = id.to_string();
    let binds = [merchant.into(), mode.as_str().into(), (&id).into()];
    let row = conn.fetch_optional::<Raw>(OWN, &binds).await?;
    row.map(Raw::read).transpose()
}

/// A page of the keys of a merchant and mode, newest first.
///
/// # Errors
///
/// [`StoreError::NoSuchCursor`] when the cursor is no key of this merchant and mode.
pub async fn page(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    cursor: &Cursor<KeyId>,
    limit: u32,
) -> Result<Listed<ApiKey>, StoreError> {
    let scope = [merchant.into(), mode.as_str().into()];
    let window = Window::find(conn, cursor, limit, FIND, &scope).await?;
    let rows = window.fetch(conn, (OLDER, NEWER), &scope, &[]).await?;
    rows.try_map(Raw::read)
}

/// Every key of every merchant, oldest first.
pub async fn list(conn: &mut Conn) -> Result<Vec<ApiKey>, StoreError> {
    let rows = conn.fetch::<Raw>(ALL, &[]).await?;
    rows.into_iter().map(Raw::read).collect()
}

/// Refuses a key from a time on. Answers whether there was such a key, not revoked from an earlier time on.
pub async fn revoke(tx: &mut Tx, id: KeyId, at: UnixMillis) -> Result<bool, StoreError> {
    let id = id.to_string();
    Ok(tx.execute(REVOKE, &[(&id).into(), at.into()]).await? == 1)
}

/// Notes that a key was used.
pub async fn used(tx: &mut Tx, id: KeyId, now: UnixMillis) -> Result<(), StoreError> {
    let id = id.to_string();
    tx.execute(USED, &[(&id).into(), now.into()]).await?;
    Ok(())
}

/// Writes another seal of a key, unless it was changed meanwhile.
pub async fn reseal(
    tx: &mut Tx,
    id: KeyId,
    before: &[u8; 32],
    seal: &[u8; 32],
) -> Result<(), StoreError> {
    let id = id.to_string();
    let binds = [
        (&id).into(),
        seal.as_slice().into(),
        before.as_slice().into(),
    ];
    tx.execute(RESEAL, &binds).await?;
    Ok(())
}
