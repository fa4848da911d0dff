//! Merchants: the tenants of the installation.

use std::sync::Arc;

use paywatch_domain::{Entropy, MerchantId, UnixMillis};
use paywatch_store::merchants::{self, Merchant};
use paywatch_store::{Cursor, Listed, Tx, audit};
use paywatch_wire::request::CreateMerchant;
use paywatch_wire::time::rfc3339;
use paywatch_wire::{MerchantForm, json_text};

use super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::{Caller, Change, CommandError, CommandParts, Commands};

fn form(merchant: &Merchant) -> MerchantForm {
    shown(merchant.id, &merchant.name, merchant.created_at)
}

fn shown(id: MerchantId, name: &str, created_at: UnixMillis) -> MerchantForm {
    MerchantForm {
        id: id.to_string(),
        object: "merchant".into(),
        name: name.to_owned(),
        created_at: rfc3339(created_at),
    }
}

struct AddMerchant {
    parts: Arc<CommandParts>,
    caller: Caller,
    id: MerchantId,
    name: String,
    now: UnixMillis,
}

impl Effect for AddMerchant {
    const NAME: &'static str = "create_merchant";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        merchants::ensure(tx, self.id, &self.name, self.now).await?;
        let body = json_text(&shown(self.id, &self.name, self.now));
        let change = Change {
            before: None,
            after: Some(body.clone()),
        };
        let entry = self
            .caller
            .did("merchant.create", &self.id, change, self.now);
        audit::append(tx, &self.parts.master, &entry).await?;
        Ok(Answer { status: 201, body })
    }
}

impl Commands {
    /// A page of all merchants, newest first: for operators.
    pub async fn merchants(
        &self,
        cursor: &Cursor<MerchantId>,
        limit: u32,
    ) -> Result<Listed<MerchantForm>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let page = merchants::page(&mut conn, cursor, limit).await?;
        Ok(Listed {
            rows: page.rows.iter().map(form).collect(),
            has_more: page.has_more,
        })
    }

    /// Registers a merchant.
    pub async fn create_merchant(
        &self,
        caller: &Caller,
        request: CreateMerchant,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let effect = AddMerchant {
            parts: Arc::clone(&self.parts),
            caller: caller.clone(),
            id: MerchantId::random(entropy),
            name: request.name,
            now,
        };
        once(&self.parts, caller, idempotent, now, entropy, effect).await
    }
}
