//! Webhook endpoints of merchants.

use paywatch_domain::{EndpointId, EventType, Mode, UnixMillis};
use paywatch_wire::endpoint::Endpoint as Shown;
use paywatch_wire::json_text;

use crate::column::{damaged, mode, optional_time, parsed, word};
use crate::keys::{EndpointKey, MerchantKey};
use crate::page::{Cursor, Listed, Window};
use crate::sql::statements;
use crate::{Conn, EndpointSecret, MasterKey, SecretError, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO endpoints (public_id, merchant, mode, url, types, secret, is_asymmetric, state, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'enabled', $8) RETURNING id";
    GET = "SELECT id, public_id, merchant, mode, url, types, secret, is_asymmetric, state, disabled_reason,
            failing_since, created_at
        FROM endpoints WHERE merchant = $1 AND mode = $2 AND public_id = $3 AND state <> 'deleted'";
    FIND = "SELECT id FROM endpoints WHERE merchant = $1 AND mode = $2 AND public_id = $3";
    OLDER = "SELECT id, public_id, merchant, mode, url, types, secret, is_asymmetric, state, disabled_reason,
            failing_since, created_at
        FROM endpoints WHERE merchant = $1 AND mode = $2 AND id < $3 AND state <> 'deleted' ORDER BY id DESC LIMIT CAST($4 AS BIGINT)";
    NEWER = "SELECT id, public_id, merchant, mode, url, types, secret, is_asymmetric, state, disabled_reason,
            failing_since, created_at
        FROM endpoints WHERE merchant = $1 AND mode = $2 AND id > $3 AND state <> 'deleted' ORDER BY id LIMIT CAST($4 AS BIGINT)";
    DISABLED = "SELECT id, public_id, merchant, mode, url, types, secret, is_asymmetric, state, disabled_reason,
            failing_since, created_at
        FROM endpoints WHERE state = 'disabled' ORDER BY id LIMIT 100";
    COUNT = "SELECT COUNT(*) FROM endpoints WHERE merchant = $1 AND mode = $2 AND state <> 'deleted'";
    UPDATE = "UPDATE endpoints SET url = $2, types = $3, is_asymmetric = $4 WHERE id = $1";
    /// Waits for every unit that makes a delivery for this endpoint, and those that come later wait
    /// for the disabling. Recording its health locks less and holds up neither.
    LOCK = "SELECT id FROM endpoints WHERE id = $1", for_update;
    DISABLE = "UPDATE endpoints SET state = 'disabled', disabled_reason = $2 WHERE id = $1 AND state = 'enabled'";
    /// What an endpoint has not got when it is disabled it does not get later by itself.
    DROP_DUE = "UPDATE deliveries SET state = 'dropped', due_at = NULL, claimed_until = NULL, finished_at = $2
        WHERE endpoint = $1 AND state = 'due'";
    ENABLE = "UPDATE endpoints SET state = 'enabled', disabled_reason = NULL, failing_since = NULL
        WHERE id = $1 AND state = 'disabled'";
    ROTATE = "UPDATE endpoints SET old_secret = secret, old_secret_until = $3, secret = $2
        WHERE id = $1 AND state <> 'deleted'";
    /// The row stays for the deliveries that were made; nothing can be signed with it any more.
    DELETE = "UPDATE endpoints SET state = 'deleted', secret = $2, old_secret = NULL, old_secret_until = NULL
        WHERE id = $1 AND state <> 'deleted'";
}

/// An endpoint to be stored. It is enabled.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Public id.
    pub id: EndpointId,
    /// Whose it is.
    pub merchant: MerchantKey,
    /// Which events it gets.
    pub mode: Mode,
    /// Where to send.
    pub url: String,
    /// Which types it gets; empty for all.
    pub types: Vec<EventType>,
    /// What it is signed with, encrypted.
    pub secret: Vec<u8>,
    /// Whether it gets the signature of a key whose public half is enough to check it, too.
    pub is_asymmetric: bool,
    /// When it is registered.
    pub now: UnixMillis,
}

/// A stored endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Internal key.
    pub key: EndpointKey,
    /// Public id.
    pub id: EndpointId,
    /// Whose it is.
    pub merchant: MerchantKey,
    /// Which events it gets.
    pub mode: Mode,
    /// Where to send.
    pub url: String,
    /// Which types it gets; empty for all.
    pub types: Vec<EventType>,
    /// What it is signed with, encrypted.
    pub secret: Vec<u8>,
    /// Whether it gets the signature of a key whose public half is enough to check it, too.
    pub is_asymmetric: bool,
    /// Whether it gets events.
    pub is_enabled: bool,
    /// Why not.
    pub disabled_reason: Option<String>,
    /// The first failure since the last success.
    pub failing_since: Option<UnixMillis>,
    /// When it was registered.
    pub created_at: UnixMillis,
}

#[derive(sqlx::FromRow)]
struct Raw {
    id: i64,
    public_id: String,
    merchant: i64,
    mode: String,
    url: String,
    types: String,
    secret: Vec<u8>,
    is_asymmetric: i64,
    state: String,
    disabled_reason: Option<String>,
    failing_since: Option<i64>,
    created_at: i64,
}

impl Raw {
    fn read(self) -> Result<Endpoint, StoreError> {
        Ok(Endpoint {
            key: EndpointKey(self.id),
            id: parsed("endpoints.public_id", &self.public_id)?,
            merchant: MerchantKey(self.merchant),
            mode: mode(&self.mode)?,
            url: self.url,
            types: types(&self.types)?,
            secret: self.secret,
            is_asymmetric: self.is_asymmetric != 0,
            is_enabled: self.state == "enabled",
            disabled_reason: self.disabled_reason,
            failing_since: optional_time(self.failing_since),
            created_at: UnixMillis(self.created_at),
        })
    }
}

impl Endpoint {
    /// As merchants see it, with the public key where it is asked for, without its secret.
    ///
    /// # Errors
    /// `NotReadable` when another master key encrypted the secret, or the row was changed.
    pub fn show(&self, master: &MasterKey) -> Result<Shown, SecretError> {
        let public_key = if self.is_asymmetric {
            let secret = EndpointSecret::open(master, self.id, &self.secret)?;
            Some(secret.public_key()?)
        } else {
            None
        };
        Ok(Shown {
            public_key,
            ..Shown::render(
                self.id,
                self.mode,
                &self.url,
                &self.types,
                self.disabled_reason.as_deref(),
                self.failing_since,
                self.created_at,
            )
        })
    }
}

/// The event types in a column.
pub(crate) fn types(text: &str) -> Result<Vec<EventType>, StoreError> {
    let names: Vec<String> =
        serde_json::from_str(text).map_err(|error| damaged("endpoints.types", error))?;
    names
        .iter()
        .map(|name| word("endpoints.types", name, EventType::parse))
        .collect()
}

fn types_text(types: &[EventType]) -> String {
    let names: Vec<&str> = types.iter().map(|kind| kind.as_str()).collect();
    json_text(&names)
}

/// Stores an endpoint.
pub async fn insert(tx: &mut Tx, endpoint: &NewEndpoint) -> Result<EndpointKey, StoreError> {
    let (id, types) = (endpoint.id.to_string(), types_text(&endpoint.types));
    let binds = [
        (&id).into(),
        endpoint.merchant.into(),
        endpoint.mode.as_str().into(),
        (&endpoint.url).into(),
        (&types).into(),
        (&endpoint.secret).into(),
        i64::from(endpoint.is_asymmetric).into(),
        endpoint.now.into(),
    ];
    let (key,) = tx.fetch_one::<(i64,)>(INSERT, &binds).await?;
    Ok(EndpointKey(key))
}

/// One endpoint of a merchant.
pub async fn get(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    id: EndpointId,
) -> Result<Option<Endpoint>, StoreError> {
    let id = id.to_string();
    let binds = [merchant.into(), mode.as_str().into(), (&id).into()];
    let row = conn.fetch_optional::<Raw>(GET, &binds).await?;
    row.map(Raw::read).transpose()
}

/// A page of a merchant's endpoints.
pub async fn list(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    cursor: &Cursor<EndpointId>,
    limit: u32,
) -> Result<Listed<Endpoint>, StoreError> {
    let scope = [merchant.into(), mode.as_str().into()];
    let window = Window::find(conn, cursor, limit, FIND, &scope).await?;
    let rows = window.fetch(conn, (OLDER, NEWER), &scope, &[]).await?;
    rows.try_map(Raw::read)
}

/// Endpoints of all merchants that are switched off, a hundred at the most: for the operator.
pub async fn disabled(conn: &mut Conn) -> Result<Vec<Endpoint>, StoreError> {
    let rows = conn.fetch::<Raw>(DISABLED, &[]).await?;
    rows.into_iter().map(Raw::read).collect()
}

/// How many endpoints a merchant has.
pub async fn count(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
) -> Result<usize, StoreError> {
    let binds = [merchant.into(), mode.as_str().into()];
    let (rows,) = conn.fetch_one::<(i64,)>(COUNT, &binds).await?;
    crate::column::count("endpoints", rows)
}

/// Changes where and what is sent from now on. Answers whether the endpoint is there.
pub async fn update(
    tx: &mut Tx,
    endpoint: EndpointKey,
    url: &str,
    types: &[EventType],
    is_asymmetric: bool,
) -> Result<bool, StoreError> {
    let types = types_text(types);
    let asymmetric = i64::from(is_asymmetric);
    let binds = [
        endpoint.into(),
        url.into(),
        (&types).into(),
        asymmetric.into(),
    ];
    Ok(tx.execute(UPDATE, &binds).await? == 1)
}

/// Switches an endpoint off and drops what it has not got yet; dropped deliveries stay visible and
/// can be sent again. Answers whether it was enabled.
pub async fn disable(
    tx: &mut Tx,
    endpoint: EndpointKey,
    reason: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    tx.fetch::<(i64,)>(LOCK, &[endpoint.into()]).await?;
    let was_enabled = tx
        .execute(DISABLE, &[endpoint.into(), reason.into()])
        .await?
        == 1;
    if was_enabled {
        tx.execute(DROP_DUE, &[endpoint.into(), now.into()]).await?;
    }
    Ok(was_enabled)
}

/// Signs with another secret from now on, and until a time with the one before too. Answers whether the endpoint
/// is there.
pub async fn rotate(
    tx: &mut Tx,
    endpoint: EndpointKey,
    secret: &[u8],
    old_until: UnixMillis,
) -> Result<bool, StoreError> {
    let binds = [endpoint.into(), secret.into(), old_until.into()];
    Ok(tx.execute(ROTATE, &binds).await? == 1)
}

/// Deletes an endpoint with its secrets and drops what it has not got yet; what was sent to it stays visible.
/// Answers whether it was there.
pub async fn delete(
    tx: &mut Tx,
    endpoint: EndpointKey,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    tx.fetch::<(i64,)>(LOCK, &[endpoint.into()]).await?;
    let nothing: &[u8] = &[];
    let was_there = tx
        .execute(DELETE, &[endpoint.into(), nothing.into()])
        .await?
        == 1;
    if was_there {
        tx.execute(DROP_DUE, &[endpoint.into(), now.into()]).await?;
    }
    Ok(was_there)
}

/// Switches an endpoint on again. Answers whether it was disabled.
pub async fn enable(tx: &mut Tx, endpoint: EndpointKey) -> Result<bool, StoreError> {
    Ok(tx.execute(ENABLE, &[endpoint.into()]).await? == 1)
}
