//! What is done with stored API keys, each with its row in the audit log: for the API and for the command line.

use paywatch_domain::{MerchantId, UnixMillis};
use paywatch_store::api_keys::{self, ApiKey, NewApiKey};
use paywatch_store::audit::{self, Entry};
use paywatch_store::{MasterKey, MerchantKey, StoreError, Tx};
use paywatch_wire::time::rfc3339;
use paywatch_wire::{ApiKeyRecord, json_text};

use super::{ApiKeyText, Grant};

/// Who does something with a key, and when.
#[derive(Clone, Copy, Debug)]
pub struct Hand<'a> {
    /// Seals the key and the row of the audit log.
    pub master: &'a MasterKey,
    /// Who it is, for the record.
    pub actor: &'a str,
    /// The request that caused it.
    pub request_id: &'a str,
    /// The time.
    pub now: UnixMillis,
}

/// What a key may do and for whom it is.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// Scopes by name.
    pub scopes: Vec<String>,
    /// In CIDR form; empty for all.
    pub networks: Vec<String>,
    /// From when on it is refused.
    pub expires_at: Option<UnixMillis>,
    /// For people.
    pub label: String,
}

impl From<&ApiKey> for Bounds {
    fn from(key: &ApiKey) -> Self {
        Self {
            scopes: key.scopes.clone(),
            networks: key.networks.clone(),
            expires_at: key.expires_at,
            label: key.label.clone(),
        }
    }
}

/// What is kept of a key: nothing that changes by itself.
pub fn record(key: &ApiKey) -> ApiKeyRecord {
    ApiKeyRecord {
        id: key.id.to_string(),
        mode: key.mode.as_str().into(),
        label: key.label.clone(),
        scopes: key.scopes.clone(),
        networks: key.networks.clone(),
        expires_at: key.expires_at.map(rfc3339),
        revoked_at: key.revoked_at.map(rfc3339),
    }
}

impl Hand<'_> {
    /// Adds a key of a merchant.
    pub async fn add(
        &self,
        tx: &mut Tx,
        owner: (MerchantKey, MerchantId),
        key: &ApiKeyText,
        bounds: &Bounds,
    ) -> Result<(), StoreError> {
        self.insert(tx, owner, key, bounds).await?;
        let row = api_keys::by_id(tx, key.id()).await?;
        self.note(
            tx,
            owner.1,
            "key.create",
            &key.id().to_string(),
            (None, row.as_ref()),
        )
        .await
    }

    /// Puts another key in the place of one, which goes on until a time.
    pub async fn rotate(
        &self,
        tx: &mut Tx,
        old: &ApiKey,
        new: &ApiKeyText,
        old_until: UnixMillis,
    ) -> Result<(), StoreError> {
        let owner = (old.merchant, old.merchant_id);
        self.insert(tx, owner, new, &old.into()).await?;
        api_keys::revoke(tx, old.id, old_until).await?;
        let row = api_keys::by_id(tx, new.id()).await?;
        let change = (Some(old), row.as_ref());
        self.note(tx, owner.1, "key.rotate", &old.id.to_string(), change)
            .await
    }

    /// Makes a key useless from now on. Answers whether it was not so before.
    pub async fn revoke(&self, tx: &mut Tx, key: &ApiKey) -> Result<bool, StoreError> {
        if !api_keys::revoke(tx, key.id, self.now).await? {
            return Ok(false);
        }
        let row = api_keys::by_id(tx, key.id).await?;
        let change = (Some(key), row.as_ref());
        self.note(
            tx,
            key.merchant_id,
            "key.revoke",
            &key.id.to_string(),
            change,
        )
        .await?;
        Ok(true)
    }

    async fn insert(
        &self,
        tx: &mut Tx,
        (merchant, merchant_id): (MerchantKey, MerchantId),
        key: &ApiKeyText,
        bounds: &Bounds,
    ) -> Result<(), StoreError> {
        let grant = Grant {
            merchant: merchant_id,
            scopes: &bounds.scopes,
            networks: &bounds.networks,
            expires_at: bounds.expires_at,
        };
        let stored = NewApiKey {
            id: key.id(),
            merchant,
            mode: key.mode(),
            seal: key.seal(self.master, &grant),
            scopes: bounds.scopes.clone(),
            networks: bounds.networks.clone(),
            expires_at: bounds.expires_at,
            label: bounds.label.clone(),
            now: self.now,
        };
        api_keys::insert(tx, &stored).await
    }

    async fn note(
        &self,
        tx: &mut Tx,
        merchant: MerchantId,
        action: &'static str,
        subject: &str,
        (before, after): (Option<&ApiKey>, Option<&ApiKey>),
    ) -> Result<(), StoreError> {
        let text = |key: &ApiKey| json_text(&record(key));
        let entry = Entry {
            merchant: Some(merchant),
            actor: self.actor.to_owned(),
            request_id: self.request_id.to_owned(),
            action,
            subject: subject.to_owned(),
            before: before.map(text),
            after: after.map(text),
            now: self.now,
        };
        audit::append(tx, self.master, &entry).await
    }
}
