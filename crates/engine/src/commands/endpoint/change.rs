//! What merchants change of an endpoint: where and what is sent, whether anything is, its secret.

use std::sync::Arc;

use paywatch_domain::{EndpointId, Entropy, UnixMillis};
use paywatch_store::{MasterKey, Tx, audit, endpoints};
use paywatch_wire::endpoint::{Deleted, Endpoint};
use paywatch_wire::json_text;
use paywatch_wire::request::{RotateSecret, UpdateEndpoint};

use super::super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::super::{Caller, Change, CommandError, Commands};
use super::{find, new_secret};

/// Why an endpoint is disabled that its merchant switched off.
const SWITCHED_OFF: &str = "switched off through the API";

/// What is changed.
enum Edit {
    Update(UpdateEndpoint),
    Rotate {
        /// As it is stored.
        sealed: Vec<u8>,
        /// As the merchant gets it.
        secret: String,
        old_until: UnixMillis,
    },
    Delete,
}

struct EditEndpoint {
    master: Arc<MasterKey>,
    caller: Caller,
    id: EndpointId,
    edit: Edit,
    now: UnixMillis,
}

impl Effect for EditEndpoint {
    const NAME: &'static str = "edit_endpoint";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let before = find(tx, &self.caller, self.id).await?;
        let key = before.key;
        let action = match &self.edit {
            Edit::Update(update) => {
                let types = update.types();
                let url = update.url.as_ref().unwrap_or(&before.url);
                let types = types.as_ref().unwrap_or(&before.types);
                let asymmetric = update.asymmetric.unwrap_or(before.is_asymmetric);
                endpoints::update(tx, key, url, types, asymmetric).await?;
                match update.enabled {
                    Some(true) => drop(endpoints::enable(tx, key).await?),
                    Some(false) => {
                        endpoints::disable(tx, key, SWITCHED_OFF, self.now).await?;
                    }
                    None => {}
                }
                "endpoint.update"
            }
            Edit::Rotate {
                sealed, old_until, ..
            } => {
                endpoints::rotate(tx, key, sealed, *old_until).await?;
                "endpoint.rotate_secret"
            }
            Edit::Delete => {
                endpoints::delete(tx, key, self.now).await?;
                "endpoint.delete"
            }
        };
        let mut after = match self.edit {
            Edit::Delete => None,
            Edit::Update(_) | Edit::Rotate { .. } => {
                let row = find(tx, &self.caller, self.id).await?;
                Some(row.show(&self.master)?)
            }
        };
        let change = Change {
            before: Some(json_text(&before.show(&self.master)?)),
            after: after.as_ref().map(json_text),
        };
        let entry = self.caller.did(action, &self.id, change, self.now);
        audit::append(tx, &self.master, &entry).await?;
        if let (Edit::Rotate { secret, .. }, Some(after)) = (&self.edit, &mut after) {
            after.secret = Some(secret.clone());
        }
        Ok(self.answer(after))
    }
}

impl EditEndpoint {
    fn answer(&self, after: Option<Endpoint>) -> Answer {
        let body = match after {
            Some(endpoint) => json_text(&endpoint),
            None => json_text(&Deleted {
                id: self.id.to_string(),
                object: "webhook_endpoint".into(),
                deleted: true,
            }),
        };
        Answer { status: 200, body }
    }
}

impl Commands {
    async fn edit_endpoint(
        &self,
        (caller, id, edit): (&Caller, EndpointId, Edit),
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let effect = EditEndpoint {
            master: Arc::clone(&self.parts.master),
            caller: caller.clone(),
            id,
            edit,
            now,
        };
        once(&self.parts, caller, idempotent, now, entropy, effect).await
    }

    /// Changes where and what is sent to an endpoint, and whether anything is. What it has not got when it is
    /// switched off is dropped, and can be sent again.
    pub async fn update_endpoint(
        &self,
        caller: &Caller,
        id: EndpointId,
        update: UpdateEndpoint,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        if let Some(url) = &update.url {
            (self.parts.url_check)(url)
                .map_err(|detail| CommandError::field("/url", "url_not_allowed", detail))?;
        }
        let edit = (caller, id, Edit::Update(update));
        self.edit_endpoint(edit, idempotent, now, entropy).await
    }

    /// Gives an endpoint a new secret, which the answer alone shows. Until the overlap has passed every attempt
    /// is signed with both, so that the receiver can change at any time.
    pub async fn rotate_endpoint_secret(
        &self,
        caller: &Caller,
        id: EndpointId,
        rotation: RotateSecret,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let (sealed, secret) = new_secret(&self.parts, id, entropy)?;
        let overlap_ms = i64::try_from(rotation.overlap_s)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000);
        let edit = Edit::Rotate {
            sealed,
            secret,
            old_until: now.plus_ms(overlap_ms),
        };
        let edit = (caller, id, edit);
        self.edit_endpoint(edit, idempotent, now, entropy).await
    }

    /// Deletes an endpoint with its secrets. What was sent to it stays visible, what was not is dropped.
    pub async fn delete_endpoint(
        &self,
        caller: &Caller,
        id: EndpointId,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let edit = (caller, id, Edit::Delete);
        self.edit_endpoint(edit, idempotent, now, entropy).await
    }
}
