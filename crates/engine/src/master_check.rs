//! Whether the master key is the one that this database was made with.
//!
//! With another key every seal would look broken and no webhook could be signed, so a process refuses to
//! start instead.

use std::sync::Arc;

use paywatch_store::{MasterKey, StoreError, Tx, Unit, settings};

const SETTING: &str = "master_key_check";
const PURPOSE: &str = "master-key-check";

/// Compares the key with the one of the first start; remembers it on the first.
pub struct CheckMasterKey {
    /// The key of this process.
    pub master: Arc<MasterKey>,
}

impl Unit for CheckMasterKey {
    /// Whether it is the same key.
    type Output = bool;
    type Error = StoreError;
    const NAME: &'static str = "check_master_key";

    async fn run(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let seal = self.master.mac(PURPOSE, &[]);
        let seal = hex::encode(seal);
        match settings::get(tx, SETTING).await? {
            Some(known) => Ok(known == seal),
            None => {
                settings::set(tx, SETTING, &seal).await?;
                Ok(true)
            }
        }
    }
}
