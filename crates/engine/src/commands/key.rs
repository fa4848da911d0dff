//! API keys of a merchant: made, listed, put in the place of each other, revoked.

use std::sync::Arc;

use paywatch_domain::{Entropy, KeyId, MerchantId, UnixMillis};
use paywatch_store::api_keys::{self, ApiKey};
use paywatch_store::{Cursor, Listed, MerchantKey, Tx, merchants};
use paywatch_wire::request::{CreateApiKey, RotateApiKey};
use paywatch_wire::time::rfc3339;
use paywatch_wire::{ApiKeyForm, json_text};

use super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::{Caller, CommandError, CommandParts, Commands};
use crate::api_key::{ApiKeyText, Bounds, Hand, record};

/// A key as operators see it, with itself where it is shown for the only time.
fn form(key: &ApiKey, text: Option<&ApiKeyText>, now: UnixMillis) -> ApiKeyForm {
    let state = match key.revoked_at {
        Some(at) if at <= now => "revoked",
        Some(_) | None if key.is_over(now) => "expired",
        Some(_) | None => "active",
    };
    ApiKeyForm {
        record: record(key),
        object: "api_key".into(),
        merchant_id: key.merchant_id.to_string(),
        state: state.into(),
        created_at: rfc3339(key.created_at),
        last_used_at: key.last_used_at.map(rfc3339),
        key: text.map(|text| text.reveal().to_owned()),
    }
}

/// What is done with a key.
enum Deed {
    Create {
        key: ApiKeyText,
        bounds: Bounds,
        merchant: Option<MerchantId>,
    },
    Rotate {
        id: KeyId,
        new: ApiKeyText,
        old_until: UnixMillis,
    },
    Revoke(KeyId),
}

struct ChangeKeys {
    parts: Arc<CommandParts>,
    caller: Caller,
    deed: Deed,
    now: UnixMillis,
}

impl Effect for ChangeKeys {
    const NAME: &'static str = "change_api_keys";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let hand = Hand {
            master: &self.parts.master,
            actor: &self.caller.actor,
            request_id: &self.caller.request_id,
            now: self.now,
        };
        let (id, text, status) = match &self.deed {
            Deed::Create {
                key,
                bounds,
                merchant,
            } => {
                let owner = self.owner(tx, *merchant).await?;
                hand.add(tx, owner, key, bounds).await?;
                (key.id(), Some(key), 201)
            }
            Deed::Rotate { id, new, old_until } => {
                let old = self.own(tx, *id).await?;
                if old.is_over(self.now) {
                    let detail = "this API key is over; make a new one";
                    return Err(CommandError::refused(409, "key_over", detail));
                }
                hand.rotate(tx, &old, new, *old_until).await?;
                (new.id(), Some(new), 201)
            }
            Deed::Revoke(id) => {
                let key = self.own(tx, *id).await?;
                hand.revoke(tx, &key).await?;
                (*id, None, 200)
            }
        };
        let row = api_keys::by_id(tx, id).await?.ok_or_else(unknown)?;
        let body = json_text(&form(&row, text, self.now));
        Ok(Answer { status, body })
    }
}

fn unknown() -> CommandError {
    CommandError::refused(404, "key_unknown", "there is no such API key")
}

impl ChangeKeys {
    async fn own(&self, tx: &mut Tx, id: KeyId) -> Result<ApiKey, CommandError> {
        let Caller { merchant, mode, .. } = self.caller;
        let row = api_keys::get(tx, merchant, mode, id).await?;
        row.ok_or_else(unknown)
    }

    /// Whose a new key is.
    async fn owner(
        &self,
        tx: &mut Tx,
        named: Option<MerchantId>,
    ) -> Result<(MerchantKey, MerchantId), CommandError> {
        let Some(id) = named else {
            return Ok((self.caller.merchant, self.caller.merchant_id));
        };
        let found = merchants::find(tx, id).await?;
        let found = found.map(|merchant| (merchant.key, merchant.id));
        found.ok_or_else(|| {
            let detail = format!("there is no merchant {id}");
            CommandError::field("/merchant_id", "merchant_unknown", detail)
        })
    }
}

impl Commands {
    /// A page of the API keys of the caller's merchant and mode, newest first; without what they are.
    pub async fn api_keys(
        &self,
        caller: &Caller,
        cursor: &Cursor<KeyId>,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Listed<ApiKeyForm>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let Caller { merchant, mode, .. } = *caller;
        let page = api_keys::page(&mut conn, merchant, mode, cursor, limit).await?;
        Ok(Listed {
            rows: page.rows.iter().map(|key| form(key, None, now)).collect(),
            has_more: page.has_more,
        })
    }

    /// One API key; `None` when the caller has none of this id.
    pub async fn api_key(
        &self,
        caller: &Caller,
        id: KeyId,
        now: UnixMillis,
    ) -> Result<Option<ApiKeyForm>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let row = api_keys::get(&mut conn, caller.merchant, caller.mode, id).await?;
        Ok(row.map(|key| form(&key, None, now)))
    }

    /// Makes an API key of the caller's mode.
    pub async fn create_api_key(
        &self,
        caller: &Caller,
        request: CreateApiKey,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let bounds = Bounds {
            scopes: request
                .scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            networks: request.networks,
            expires_at: request.expires_at,
            label: request.label.unwrap_or_default(),
        };
        let deed = Deed::Create {
            key: ApiKeyText::generate(caller.mode, entropy),
            bounds,
            merchant: request.merchant_id,
        };
        self.change_keys(caller, deed, idempotent, now, entropy)
            .await
    }

    /// Makes an API key that may do what another one may, which goes on for a while.
    pub async fn rotate_api_key(
        &self,
        caller: &Caller,
        id: KeyId,
        request: RotateApiKey,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let overlap_s = i64::try_from(request.overlap_s).unwrap_or(i64::MAX);
        let deed = Deed::Rotate {
            id,
            new: ApiKeyText::generate(caller.mode, entropy),
            old_until: now.plus_ms(overlap_s.saturating_mul(1_000)),
        };
        self.change_keys(caller, deed, idempotent, now, entropy)
            .await
    }

    /// Makes an API key useless from now on.
    pub async fn revoke_api_key(
        &self,
        caller: &Caller,
        id: KeyId,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        self.change_keys(caller, Deed::Revoke(id), idempotent, now, entropy)
            .await
    }

    async fn change_keys(
        &self,
        caller: &Caller,
        deed: Deed,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let effect = ChangeKeys {
            parts: Arc::clone(&self.parts),
            caller: caller.clone(),
            deed,
            now,
        };
        once(&self.parts, caller, idempotent, now, entropy, effect).await
    }
}
