//! Whether the master key is the one that this database was made with.
//!
//! With another key every seal would look broken and no webhook could be signed, so a process refuses to
//! start instead. When the key was replaced, the one before must still be known, or the same is true.

use std::sync::Arc;

use paywatch_domain::UnixMillis;
use paywatch_store::audit::{self, Entry};
use paywatch_store::{Conn, MasterKey, StoreError, Tx, Unit, settings};

const SETTING: &str = "master_key_check";
const REPLACED_AT: &str = "master_key_replaced_at";
const PURPOSE: &str = "master-key-check";
/// Who alone can give a process another key.
const OPERATOR: &str = "operator";

/// Compares the key with the one that was last used; remembers it on the first start, and when it took the
/// place of one that is known.
pub struct CheckMasterKey {
    /// The key of this process.
    pub master: Arc<MasterKey>,
    /// When.
    pub now: UnixMillis,
}

/// When the master key was last replaced; `None` when it is the first.
pub async fn replaced_at(conn: &mut Conn) -> Result<Option<UnixMillis>, StoreError> {
    let text = settings::get(conn, REPLACED_AT).await?;
    Ok(text.and_then(|text| text.parse().ok()).map(UnixMillis))
}

impl Unit for CheckMasterKey {
    /// Whether it is the same key.
    type Output = bool;
    type Error = StoreError;
    const NAME: &'static str = "check_master_key";

    async fn run(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let seal = hex::encode(self.master.mac(PURPOSE, &[]));
        let known = settings::get(tx, SETTING).await?;
        match known.map(|known| (known == seal, hex::decode(known).unwrap_or_default())) {
            None => settings::set(tx, SETTING, &seal).await?,
            Some((true, _)) => {}
            Some((false, known)) if self.master.verify(PURPOSE, &[], &known) => {
                settings::set(tx, SETTING, &seal).await?;
                settings::set(tx, REPLACED_AT, &self.now.0.to_string()).await?;
                let entry = Entry {
                    merchant: None,
                    actor: OPERATOR.into(),
                    request_id: String::new(),
                    action: "master_key.replace",
                    subject: "master_key".into(),
                    before: None,
                    after: None,
                    now: self.now,
                };
                audit::append(tx, &self.master, &entry).await?;
            }
            Some(_) => return Ok(false),
        }
        Ok(true)
    }
}
