//! Webhook endpoints: registered with a secret that is shown once, changed, and sent to again.

mod again;
mod change;

use std::sync::Arc;

use paywatch_domain::{EndpointId, Entropy, EventType, UnixMillis, limits};
use paywatch_store::endpoints::{self, NewEndpoint};
use paywatch_store::secrets::NONCE_BYTES;
use paywatch_store::{
    Conn, Cursor, EndpointSecret, Listed, MasterKey, StoreError, Tx, audit,
    endpoints::Endpoint as Row,
};
use paywatch_wire::endpoint::Endpoint;
use paywatch_wire::json_text;
use paywatch_wire::request::CreateEndpoint;

use super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::{Caller, Change, CommandError, CommandParts, Commands};

struct InsertEndpoint {
    master: Arc<MasterKey>,
    caller: Caller,
    endpoint: NewEndpoint,
    secret: String,
}

impl Effect for InsertEndpoint {
    const NAME: &'static str = "create_endpoint";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let new = &self.endpoint;
        if limits::ENDPOINTS_MAX <= endpoints::count(tx, new.merchant, new.mode).await? {
            let detail = format!(
                "at most {} endpoints are possible for one merchant",
                limits::ENDPOINTS_MAX
            );
            return Err(CommandError::refused(409, "endpoints_too_many", detail));
        }
        endpoints::insert(tx, new).await?;
        let row = endpoints::get(tx, new.merchant, new.mode, new.id).await?;
        let row = row.ok_or_else(|| StoreError::Damaged(format!("{} is not there", new.id)))?;
        let mut endpoint = row.show(&self.master)?;
        let change = Change {
            before: None,
            after: Some(json_text(&endpoint)),
        };
        let entry = self.caller.did("endpoint.create", &new.id, change, new.now);
        audit::append(tx, &self.master, &entry).await?;
        endpoint.secret = Some(self.secret.clone());
        Ok(Answer {
            status: 201,
            body: json_text(&endpoint),
        })
    }
}

/// A new signing secret: as it is stored, and as the merchant gets it.
fn new_secret(
    parts: &CommandParts,
    endpoint: EndpointId,
    entropy: &mut dyn Entropy,
) -> Result<(Vec<u8>, String), CommandError> {
    let secret = EndpointSecret::generate(entropy);
    let mut nonce = [0; NONCE_BYTES];
    entropy.fill(&mut nonce);
    let sealed = secret.seal(&parts.master, endpoint, nonce)?;
    Ok((sealed, secret.reveal_shared()))
}

/// An endpoint of the caller.
async fn find(conn: &mut Conn, caller: &Caller, id: EndpointId) -> Result<Row, CommandError> {
    let row = endpoints::get(conn, caller.merchant, caller.mode, id).await?;
    row.ok_or_else(|| {
        let detail = format!("there is no webhook endpoint {id}");
        CommandError::refused(404, "endpoint_unknown", detail)
    })
}

impl Commands {
    /// Registers an endpoint; the answer alone shows its secret.
    pub async fn create_endpoint(
        &self,
        caller: &Caller,
        request: CreateEndpoint,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let parts = &self.parts;
        (parts.url_check)(&request.url)
            .map_err(|detail| CommandError::field("/url", "url_not_allowed", detail))?;
        let id = EndpointId::random(entropy);
        let (sealed, secret) = new_secret(parts, id, entropy)?;
        let types: Vec<EventType> = request.types().collect();
        let endpoint = NewEndpoint {
            id,
            merchant: caller.merchant,
            mode: caller.mode,
            types,
            url: request.url,
            secret: sealed,
            is_asymmetric: request.asymmetric,
            now,
        };
        let effect = InsertEndpoint {
            master: Arc::clone(&parts.master),
            caller: caller.clone(),
            endpoint,
            secret,
        };
        once(parts, caller, idempotent, now, entropy, effect).await
    }

    /// A page of the caller's endpoints, newest first, without their secrets.
    pub async fn endpoints(
        &self,
        caller: &Caller,
        cursor: &Cursor<EndpointId>,
        limit: u32,
    ) -> Result<Listed<Endpoint>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let (merchant, mode) = (caller.merchant, caller.mode);
        let page = endpoints::list(&mut conn, merchant, mode, cursor, limit).await?;
        let shown = page.rows.iter().map(|row| row.show(&self.parts.master));
        Ok(Listed {
            rows: shown.collect::<Result<_, _>>()?,
            has_more: page.has_more,
        })
    }

    /// One of the caller's endpoints, without its secret.
    pub async fn endpoint(
        &self,
        caller: &Caller,
        id: EndpointId,
    ) -> Result<Endpoint, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let row = find(&mut conn, caller, id).await?;
        Ok(row.show(&self.parts.master)?)
    }
}
