//! Merchants: the tenants.

use paywatch_domain::{MerchantId, UnixMillis};

use crate::column::parsed;
use crate::keys::MerchantKey;
use crate::page::{Cursor, Listed, Window};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO merchants (public_id, name, created_at) VALUES ($1, $2, $3)
        ON CONFLICT (public_id) DO NOTHING";
    BY_ID = "SELECT id, public_id, name, created_at FROM merchants WHERE public_id = $1";
    BY_KEY = "SELECT id, public_id, name, created_at FROM merchants WHERE id = $1";
    KEY = "SELECT id FROM merchants WHERE public_id = $1";
    OLDER = "SELECT id, public_id, name, created_at FROM merchants
        WHERE id < $1 ORDER BY id DESC LIMIT CAST($2 AS BIGINT)";
    NEWER = "SELECT id, public_id, name, created_at FROM merchants
        WHERE id > $1 ORDER BY id LIMIT CAST($2 AS BIGINT)";
    FIRST = "SELECT id, public_id, name, created_at FROM merchants ORDER BY id LIMIT 1";
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merchant {
    /// Internal key.
    pub key: MerchantKey,
    /// Public id.
    pub id: MerchantId,
    /// Shown to operators.
    pub name: String,
    /// When it was registered.
    pub created_at: UnixMillis,
}

#[derive(sqlx::FromRow)]
struct Raw {
    id: i64,
    public_id: String,
    name: String,
    created_at: i64,
}

impl Raw {
    fn read(self) -> Result<Merchant, StoreError> {
        Ok(Merchant {
            key: MerchantKey(self.id),
            id: parsed("merchants.public_id", &self.public_id)?,
            name: self.name,
            created_at: UnixMillis(self.created_at),
        })
    }
}

/// Registers a merchant unless it is there already.
pub async fn ensure(
    tx: &mut Tx,
    id: MerchantId,
    name: &str,
    now: UnixMillis,
) -> Result<MerchantKey, StoreError> {
    let id = id.to_string();
    tx.execute(INSERT, &[(&id).into(), name.into(), now.into()])
        .await?;
    let row = tx.fetch_one::<Raw>(BY_ID, &[(&id).into()]).await?;
    Ok(MerchantKey(row.id))
}

/// The merchant that was registered first.
pub async fn default(conn: &mut Conn) -> Result<Option<Merchant>, StoreError> {
    let row = conn.fetch_optional::<Raw>(FIRST, &[]).await?;
    row.map(Raw::read).transpose()
}

/// The merchant with this key.
pub async fn get(conn: &mut Conn, key: MerchantKey) -> Result<Option<Merchant>, StoreError> {
    let row = conn.fetch_optional::<Raw>(BY_KEY, &[key.into()]).await?;
    row.map(Raw::read).transpose()
}

/// The merchant with this public id.
pub async fn find(conn: &mut Conn, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
    let id = id.to_string();
    let row = conn.fetch_optional::<Raw>(BY_ID, &[(&id).into()]).await?;
    row.map(Raw::read).transpose()
}

/// A page of all merchants, newest first.
///
/// # Errors
///
/// [`StoreError::NoSuchCursor`] when the cursor is no merchant.
pub async fn page(
    conn: &mut Conn,
    cursor: &Cursor<MerchantId>,
    limit: u32,
) -> Result<Listed<Merchant>, StoreError> {
    let window = Window::find(conn, cursor, limit, KEY, &[]).await?;
    let rows = window.fetch(conn, (OLDER, NEWER), &[], &[]).await?;
    rows.try_map(Raw::read)
}
