//! Who asks: the API key of a request, and what it may do.

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use paywatch_domain::{KeyId, UnixMillis};
use paywatch_engine::commands::Caller;
use paywatch_store::api_keys::{self, ApiKey};

use crate::client;
use crate::fault::Fault;
use crate::key::{ApiKeyText, Grant};
use crate::meter::{NoteUse, ResealKey, Turn};
use crate::request_id::CurrentRequest;
use crate::scope::Scope;
use crate::state::ApiState;

/// A request with a valid key. Its caller comes out only through a scope, so that no handler can
/// forget to ask for one.
#[derive(Debug)]
pub(crate) struct Auth {
    caller: Caller,
    scopes: Vec<String>,
}

impl Auth {
    /// Whether the key has this scope, for answers that show more to some.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|has| has == scope.as_str())
    }

    /// The caller, if the key has this scope.
    pub(crate) fn may(self, scope: Scope) -> Result<Caller, Fault> {
        if self.has(scope) {
            Ok(self.caller)
        } else {
            Err(Fault::ScopeMissing(scope))
        }
    }
}

impl FromRequestParts<ApiState> for Auth {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Fault> {
        let header = parts
            .headers
            .get(header::AUTHORIZATION)
            .ok_or(Fault::KeyMissing)?;
        let text = header.to_str().map_err(|_| Fault::KeyInvalid)?;
        let (scheme, given) = text.trim().split_once(' ').ok_or(Fault::KeyMissing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Fault::KeyMissing);
        }
        let given = ApiKeyText::parse(given.trim()).map_err(|_| Fault::KeyInvalid)?;
        let mut conn = state.store.read().await?;
        let stored = api_keys::by_id(&mut conn, given.id())
            .await?
            .ok_or(Fault::KeyInvalid)?;
        let grant = Grant {
            merchant: stored.merchant_id,
            scopes: &stored.scopes,
            networks: &stored.networks,
            expires_at: stored.expires_at,
        };
        let (now, is_sealed) = (state.now(), given.fits(&state.master, &grant, &stored.seal));
        if !is_sealed || stored.is_over(now) || stored.mode != given.mode() {
            return Err(Fault::KeyInvalid);
        }
        if !client::is_in(&stored.networks, client::address(parts, &state.proxies)) {
            return Err(Fault::NetworkNotAllowed);
        }
        match state.meter.take(stored.id, now) {
            Turn::Served { is_noted: false } => {}
            Turn::Served { is_noted: true } => {
                note_use(state, stored.id, now).await;
                if state.master.has_retired() {
                    reseal(state, &stored, given.seal(&state.master, &grant)).await;
                }
            }
            Turn::TooSoon { retry_after_s } => return Err(Fault::TooSoon { retry_after_s }),
        }
        let request_id = parts.extensions.get::<CurrentRequest>();
        Ok(Self {
            caller: Caller {
                merchant: stored.merchant,
                merchant_id: stored.merchant_id,
                mode: stored.mode,
                actor: stored.id.to_string(),
                request_id: request_id.map(|id| id.0.to_string()).unwrap_or_default(),
            },
            scopes: stored.scopes,
        })
    }
}

/// Seals a key again that was sealed with a master key of before: only now is its text known. What fails is done
/// at a later use.
async fn reseal(state: &ApiState, stored: &ApiKey, seal: [u8; 32]) {
    if stored.seal == seal {
        return;
    }
    let reseal = ResealKey {
        key: stored.id,
        before: stored.seal,
        seal,
    };
    if let Err(error) = state.store.write(reseal).await {
        tracing::warn!(%error, "a key was not sealed again");
    }
}

/// For people who look for keys that nobody needs; a request does not fail for it.
async fn note_use(state: &ApiState, key: KeyId, now: UnixMillis) {
    if let Err(error) = state.store.write(NoteUse { key, now }).await {
        tracing::warn!(%error, "the use of a key was not noted");
    }
}
