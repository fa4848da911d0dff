//! What is done with API keys, each in one transaction with its row in the audit log.

use std::sync::Arc;

use paywatch_api::{ApiKeyText, Grant};
use paywatch_domain::{KeyId, MerchantId, RequestId, UnixMillis};
use paywatch_store::api_keys::{self, ApiKey, NewApiKey};
use paywatch_store::audit::{self, Entry};
use paywatch_store::{MasterKey, MerchantKey, StoreError, Tx, Unit, merchants};

use super::describe;

/// Who does what this command line does.
const CLI: &str = "cli";

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

/// What a key may do and for whom it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    /// Scopes by name.
    pub(super) scopes: Vec<String>,
    /// In CIDR form; empty for all.
    pub(super) networks: Vec<String>,
    /// From when on it is refused.
    pub(super) expires_at: Option<UnixMillis>,
    /// For people.
    pub(super) label: String,
}

impl Unit for AddKey {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "add_key";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let (merchant, merchant_id) = match merchants::default(tx).await? {
            Some(merchant) => (merchant.key, merchant.id),
            None => {
                let key = merchants::ensure(tx, self.merchant, "default", self.now).await?;
                (key, self.merchant)
            }
        };
        let key = sealed(
            &self.master,
            (merchant, merchant_id),
            &self.key,
            &self.bounds,
            self.now,
        );
        api_keys::insert(tx, &key).await?;
        let row = api_keys::by_id(tx, key.id).await?;
        let entry = Entry {
            merchant: Some(merchant_id),
            actor: CLI.into(),
            request_id: self.request_id.to_string(),
            action: "key.create",
            subject: key.id.to_string(),
            before: None,
            after: row.as_ref().map(audited),
            now: self.now,
        };
        audit::append(tx, &self.master, &entry).await
    }
}

/// A key as it is stored.
fn sealed(
    master: &MasterKey,
    (merchant, merchant_id): (MerchantKey, MerchantId),
    key: &ApiKeyText,
    bounds: &Bounds,
    now: UnixMillis,
) -> NewApiKey {
    let grant = Grant {
        merchant: merchant_id,
        scopes: &bounds.scopes,
        networks: &bounds.networks,
        expires_at: bounds.expires_at,
    };
    NewApiKey {
        id: key.id(),
        merchant,
        mode: key.mode(),
        seal: key.seal(master, &grant),
        scopes: bounds.scopes.clone(),
        networks: bounds.networks.clone(),
        expires_at: bounds.expires_at,
        label: bounds.label.clone(),
        now,
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
        let Some(before) = api_keys::by_id(tx, self.id).await? else {
            return Ok(None);
        };
        let new = self.new.iter().find(|new| new.mode() == before.mode);
        let Some(new) = new.filter(|_| !before.is_over(self.now)) else {
            return Ok(None);
        };
        let bounds = Bounds {
            scopes: before.scopes.clone(),
            networks: before.networks.clone(),
            expires_at: before.expires_at,
            label: before.label.clone(),
        };
        let owner = (before.merchant, before.merchant_id);
        let key = sealed(&self.master, owner, new, &bounds, self.now);
        api_keys::insert(tx, &key).await?;
        api_keys::revoke(tx, self.id, self.old_until).await?;
        let after = api_keys::by_id(tx, key.id).await?;
        let entry = Entry {
            merchant: Some(before.merchant_id),
            actor: CLI.into(),
            request_id: self.request_id.to_string(),
            action: "key.rotate",
            subject: self.id.to_string(),
            before: Some(audited(&before)),
            after: after.as_ref().map(audited),
            now: self.now,
        };
        audit::append(tx, &self.master, &entry).await?;
        Ok(Some((new.clone(), bounds)))
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
        let Some(before) = api_keys::by_id(tx, self.id).await? else {
            return Ok(false);
        };
        if !api_keys::revoke(tx, self.id, self.now).await? {
            return Ok(false);
        }
        let after = api_keys::by_id(tx, self.id).await?;
        let entry = Entry {
            merchant: Some(before.merchant_id),
            actor: CLI.into(),
            request_id: self.request_id.to_string(),
            action: "key.revoke",
            subject: self.id.to_string(),
            before: Some(audited(&before)),
            after: after.as_ref().map(audited),
            now: self.now,
        };
        audit::append(tx, &self.master, &entry).await?;
        Ok(true)
    }
}

/// What the audit log keeps of a key.
fn audited(key: &ApiKey) -> String {
    describe(key).to_string()
}
