//! What is done with API keys from the command line, each in one transaction with its row in the audit log.

use std::sync::Arc;

use paywatch_api::ApiKeyText;
use paywatch_domain::{KeyId, MerchantId, RequestId, UnixMillis};
use paywatch_engine::api_key::{Bounds, Hand};
use paywatch_store::api_keys;
use paywatch_store::{MasterKey, StoreError, Tx, Unit, merchants};

/// Who does what this command line does.
const CLI: &str = "cli";

fn hand<'a>(master: &'a MasterKey, request_id: &'a str, now: UnixMillis) -> Hand<'a> {
    Hand {
        master,
        actor: CLI,
        request_id,
        now,
    }
}

/// Adds a key to the first merchant, who is made when there is none.
pub(super) struct AddKey {
    pub(super) master: Arc<MasterKey>,
    /// What the merchant is called when it has to be made.
    pub(super) merchant: MerchantId,
    pub(super) key: ApiKeyText,
    pub(super) bounds: Bounds,
    pub(super) request_id: RequestId,
    pub(super) now: UnixMillis,
}

impl Unit for AddKey {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "add_key";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let owner = match merchants::default(tx).await? {
            Some(merchant) => (merchant.key, merchant.id),
            None => {
                let key = merchants::ensure(tx, self.merchant, "default", self.now).await?;
                (key, self.merchant)
            }
        };
        let request_id = self.request_id.to_string();
        let hand = hand(&self.master, &request_id, self.now);
        hand.add(tx, owner, &self.key, &self.bounds).await
    }
}

/// Puts another key in the place of one, which goes on for a while.
pub(super) struct RotateKey {
    pub(super) master: Arc<MasterKey>,
    pub(super) id: KeyId,
    /// Makes the new one's text, in the mode of the old one.
    pub(super) new: [ApiKeyText; 2],
    /// From when on the old one is refused.
    pub(super) old_until: UnixMillis,
    pub(super) request_id: RequestId,
    pub(super) now: UnixMillis,
}

impl Unit for RotateKey {
    /// The new key and what it may do; `None` when there is no such key that is good.
    type Output = Option<(ApiKeyText, Bounds)>;
    type Error = StoreError;
    const NAME: &'static str = "rotate_key";

    async fn run(&self, tx: &mut Tx) -> Result<Self::Output, StoreError> {
        let Some(old) = api_keys::by_id(tx, self.id).await? else {
            return Ok(None);
        };
        let new = self.new.iter().find(|new| new.mode() == old.mode);
        let Some(new) = new.filter(|_| !old.is_over(self.now)) else {
            return Ok(None);
        };
        let request_id = self.request_id.to_string();
        let hand = hand(&self.master, &request_id, self.now);
        hand.rotate(tx, &old, new, self.old_until).await?;
        Ok(Some((new.clone(), Bounds::from(&old))))
    }
}

/// Makes a key useless from now on.
pub(super) struct RevokeKey {
    pub(super) master: Arc<MasterKey>,
    pub(super) id: KeyId,
    pub(super) request_id: RequestId,
    pub(super) now: UnixMillis,
}

impl Unit for RevokeKey {
    type Output = bool;
    type Error = StoreError;
    const NAME: &'static str = "revoke_key";

    async fn run(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let Some(key) = api_keys::by_id(tx, self.id).await? else {
            return Ok(false);
        };
        let request_id = self.request_id.to_string();
        let hand = hand(&self.master, &request_id, self.now);
        hand.revoke(tx, &key).await
    }
}
