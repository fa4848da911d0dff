//! Single values that the program keeps for itself.

use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    GET = "SELECT value FROM settings WHERE key = $1";
    SET = "INSERT INTO settings (key, value) VALUES ($1, $2)
        ON CONFLICT (key) DO UPDATE SET value = $2";
}

/// The value under a name.
pub async fn get(conn: &mut Conn, key: &str) -> Result<Option<String>, StoreError> {
    let row = conn.fetch_optional::<(String,)>(GET, &[key.into()]).await?;
    Ok(row.map(|(value,)| value))
}

/// Sets the value under a name.
pub async fn set(tx: &mut Tx, key: &str, value: &str) -> Result<(), StoreError> {
    tx.execute(SET, &[key.into(), value.into()]).await?;
    Ok(())
}
