//! Wallets: public key material of merchants.

use paywatch_domain::{Family, Mode, UnixMillis, WalletId};

use crate::column::{count, mode, optional_count, optional_time, parsed, word};
use crate::keys::{MerchantKey, WalletKey};
use crate::page::{Cursor, Listed, Window};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO wallets (public_id, merchant, mode, family, kind, key, node, fingerprint,
            label, state, is_default, start_index, seal, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, $13) RETURNING id";
    GET = "SELECT w.id, w.public_id, w.merchant, w.mode, w.family, w.kind, w.key, w.node, w.fingerprint,
            w.label, w.state, w.is_default, w.start_index, w.seal, w.created_at, w.confirmed_at,
            w.scanned_index, c.next_index
        FROM wallets AS w LEFT JOIN key_counters AS c ON c.node = w.node
        WHERE w.merchant = $1 AND w.mode = $2 AND w.public_id = $3";
    DEFAULT_OF = "SELECT w.id, w.public_id, w.merchant, w.mode, w.family, w.kind, w.key, w.node, w.fingerprint,
            w.label, w.state, w.is_default, w.start_index, w.seal, w.created_at, w.confirmed_at,
            w.scanned_index, c.next_index
        FROM wallets AS w LEFT JOIN key_counters AS c ON c.node = w.node
        WHERE w.merchant = $1 AND w.mode = $2 AND w.family = $3 AND w.is_default = 1";
    FIND = "SELECT id FROM wallets WHERE merchant = $1 AND mode = $2 AND public_id = $3";
    OLDER = "SELECT w.id, w.public_id, w.merchant, w.mode, w.family, w.kind, w.key, w.node, w.fingerprint,
            w.label, w.state, w.is_default, w.start_index, w.seal, w.created_at, w.confirmed_at,
            w.scanned_index, c.next_index
        FROM wallets AS w LEFT JOIN key_counters AS c ON c.node = w.node
        WHERE w.merchant = $1 AND w.mode = $2 AND w.id < $3 ORDER BY w.id DESC LIMIT CAST($4 AS BIGINT)";
    NEWER = "SELECT w.id, w.public_id, w.merchant, w.mode, w.family, w.kind, w.key, w.node, w.fingerprint,
            w.label, w.state, w.is_default, w.start_index, w.seal, w.created_at, w.confirmed_at,
            w.scanned_index, c.next_index
        FROM wallets AS w LEFT JOIN key_counters AS c ON c.node = w.node
        WHERE w.merchant = $1 AND w.mode = $2 AND w.id > $3 ORDER BY w.id LIMIT CAST($4 AS BIGINT)";
    /// The first wallet of a family that is confirmed becomes its default.
    CONFIRM = "UPDATE wallets SET state = 'active', seal = $2, confirmed_at = $3, is_default = CASE
            WHEN EXISTS (SELECT 1 FROM wallets AS o WHERE o.merchant = wallets.merchant
                AND o.mode = wallets.mode AND o.family = wallets.family AND o.is_default = 1)
            THEN wallets.is_default ELSE 1 END
        WHERE id = $1 AND state = 'pending'";
    NO_DEFAULT = "UPDATE wallets SET is_default = 0
        WHERE merchant = $1 AND mode = $2 AND family = $3 AND is_default = 1 AND id <> $4";
    DEFAULT = "UPDATE wallets SET is_default = 1 WHERE id = $1 AND state = 'active'";
    ARCHIVE = "UPDATE wallets SET state = 'archived', seal = $2, is_default = 0 WHERE id = $1 AND state <> 'archived'";
    /// Until the unit ends; SQLite has one writer anyway.
    HOLD_NODE = (lite "SELECT CAST($1 AS TEXT)",
        pg "SELECT CAST(pg_advisory_xact_lock(hashtextextended(CAST($1 AS TEXT), 0)) AS TEXT)");
    KEYS_OF_NODE = "SELECT key FROM wallets WHERE node = $1 AND merchant = $2 AND mode = $3 ORDER BY id";
    SCANNED = "UPDATE wallets SET scanned_index = $2
        WHERE id = $1 AND COALESCE(scanned_index, -1) < $2";
    OWNERS = "SELECT DISTINCT merchant FROM wallets WHERE node = $1 ORDER BY merchant";
}

/// Whether a wallet may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalletState {
    /// Waits for an operator to compare its addresses.
    Pending,
    /// In use.
    Active,
    /// Not used for new invoices.
    Archived,
}

impl WalletState {
    /// The name in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }

    /// The state with this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Active, Self::Archived]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A wallet to be stored. It is no default until it is confirmed.
#[derive(Clone, Debug)]
pub struct NewWallet {
    /// Public id.
    pub id: WalletId,
    /// Whose money it receives.
    pub merchant: MerchantKey,
    /// Which chains it is for.
    pub mode: Mode,
    /// Chain family.
    pub family: Family,
    /// How addresses are made, for example `xpub`.
    pub kind: String,
    /// Public key or descriptor in canonical form.
    pub canonical: String,
    /// Hex of a hash over the parent node's public key and chain code.
    pub node: String,
    /// Short form of the key, for people.
    pub fingerprint: String,
    /// Given by the merchant.
    pub label: String,
    /// Usually pending.
    pub state: WalletState,
    /// First index that may be handed out.
    pub start_index: u32,
    /// MAC over what addresses are derived from, and over the state.
    pub seal: Vec<u8>,
    /// When it is registered.
    pub now: UnixMillis,
}

/// A stored wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// Internal key.
    pub key: WalletKey,
    /// Public id.
    pub id: WalletId,
    /// Whose money it receives.
    pub merchant: MerchantKey,
    /// Which chains it is for.
    pub mode: Mode,
    /// Chain family.
    pub family: Family,
    /// How addresses are made, for example `xpub`.
    pub kind: String,
    /// Public key or descriptor in canonical form.
    pub canonical: String,
    /// Hex of a hash over the parent node's public key and chain code.
    pub node: String,
    /// Short form of the key, for people.
    pub fingerprint: String,
    /// Given by the merchant.
    pub label: String,
    /// Whether it may be used.
    pub state: WalletState,
    /// Used where an option names no wallet.
    pub is_default: bool,
    /// First index that may be handed out.
    pub start_index: u32,
    /// The highest index that a scan found paid.
    pub scanned_index: Option<u32>,
    /// The index that is handed out next, by this wallet or another one on the same node.
    pub next_index: u32,
    /// MAC over what addresses are derived from, and over the state.
    pub seal: Vec<u8>,
    /// When it was registered.
    pub created_at: UnixMillis,
    /// When an operator compared its addresses.
    pub confirmed_at: Option<UnixMillis>,
}

#[derive(sqlx::FromRow)]
struct Raw {
    id: i64,
    public_id: String,
    merchant: i64,
    mode: String,
    family: String,
    kind: String,
    key: String,
    node: String,
    fingerprint: String,
    label: String,
    state: String,
    is_default: i64,
    start_index: i64,
    seal: Vec<u8>,
    created_at: i64,
    confirmed_at: Option<i64>,
    scanned_index: Option<i64>,
    next_index: Option<i64>,
}

impl Raw {
    fn read(self) -> Result<Wallet, StoreError> {
        let next_index = self.next_index.unwrap_or(0).max(self.start_index);
        Ok(Wallet {
            key: WalletKey(self.id),
            id: parsed("wallets.public_id", &self.public_id)?,
            merchant: MerchantKey(self.merchant),
            mode: mode(&self.mode)?,
            family: word("wallets.family", &self.family, Family::parse)?,
            kind: self.kind,
            canonical: self.key,
            node: self.node,
            fingerprint: self.fingerprint,
            label: self.label,
            state: word("wallets.state", &self.state, WalletState::parse)?,
            is_default: self.is_default == 1,
            start_index: count("wallets.start_index", self.start_index)?,
            scanned_index: optional_count("wallets.scanned_index", self.scanned_index)?,
            next_index: count("key_counters.next_index", next_index)?,
            seal: self.seal,
            created_at: UnixMillis(self.created_at),
            confirmed_at: optional_time(self.confirmed_at),
        })
    }
}

/// Stores a wallet.
///
/// # Errors
///
/// [`StoreError::Conflict`] `wallet_exists` when this merchant has a wallet of the same canonical key.
pub async fn insert(tx: &mut Tx, wallet: &NewWallet) -> Result<WalletKey, StoreError> {
    let id = wallet.id.to_string();
    let binds = [
        (&id).into(),
        wallet.merchant.into(),
        wallet.mode.as_str().into(),
        wallet.family.as_str().into(),
        (&wallet.kind).into(),
        (&wallet.canonical).into(),
        (&wallet.node).into(),
        (&wallet.fingerprint).into(),
        (&wallet.label).into(),
        wallet.state.as_str().into(),
        i64::from(wallet.start_index).into(),
        (&wallet.seal).into(),
        wallet.now.into(),
    ];
    let row = tx.fetch_one::<(i64,)>(INSERT, &binds).await;
    row.map(|(id,)| WalletKey(id))
        .map_err(|error| error.rule("wallet_exists"))
}

/// One wallet of a merchant.
pub async fn get(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    id: WalletId,
) -> Result<Option<Wallet>, StoreError> {
    let id = id.to_string();
    let binds = [merchant.into(), mode.as_str().into(), (&id).into()];
    let row = conn.fetch_optional::<Raw>(GET, &binds).await?;
    row.map(Raw::read).transpose()
}

/// The wallet that is used where an option names none.
pub async fn default_of(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    family: Family,
) -> Result<Option<Wallet>, StoreError> {
    let binds = [
        merchant.into(),
        mode.as_str().into(),
        family.as_str().into(),
    ];
    let row = conn.fetch_optional::<Raw>(DEFAULT_OF, &binds).await?;
    row.map(Raw::read).transpose()
}

/// A page of a merchant's wallets.
pub async fn list(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    cursor: &Cursor<WalletId>,
    limit: u32,
) -> Result<Listed<Wallet>, StoreError> {
    let scope = [merchant.into(), mode.as_str().into()];
    let window = Window::find(conn, cursor, limit, FIND, &scope).await?;
    let rows = window.fetch(conn, (OLDER, NEWER), &scope, &[]).await?;
    rows.try_map(Raw::read)
}

/// Takes a wallet into use after an operator compared its addresses; the first of its family becomes
/// the default. `seal` is that of the active wallet. Answers whether it was pending.
///
/// # Errors
///
/// [`StoreError::Conflict`] `wallets_default` when another wallet became the default meanwhile:
/// confirming again then works.
pub async fn confirm(
    tx: &mut Tx,
    wallet: WalletKey,
    seal: &[u8],
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let binds = [wallet.into(), seal.into(), now.into()];
    let confirmed = tx.execute(CONFIRM, &binds).await;
    Ok(confirmed.map_err(|error| error.rule("wallets_default"))? == 1)
}

/// Makes an active wallet the default of its family, in the place of another one. Answers whether it was
/// active.
///
/// # Errors
///
/// [`StoreError::Conflict`] `wallets_default` when another wallet became the default meanwhile: asking again
/// then works.
pub async fn make_default(tx: &mut Tx, wallet: &Wallet) -> Result<bool, StoreError> {
    let binds = [
        wallet.merchant.into(),
        wallet.mode.as_str().into(),
        wallet.family.as_str().into(),
        wallet.key.into(),
    ];
    tx.execute(NO_DEFAULT, &binds).await?;
    let made = tx.execute(DEFAULT, &[wallet.key.into()]).await;
    Ok(made.map_err(|error| error.rule("wallets_default"))? == 1)
}

/// Takes a wallet out of use for new invoices. `seal` is that of the archived wallet.
pub async fn archive(tx: &mut Tx, wallet: WalletKey, seal: &[u8]) -> Result<(), StoreError> {
    tx.execute(ARCHIVE, &[wallet.into(), seal.into()]).await?;
    Ok(())
}

/// Notes that a scan found this index paid. Never lowers what an earlier one found.
pub async fn scanned(tx: &mut Tx, wallet: WalletKey, index: u32) -> Result<(), StoreError> {
    let binds = [wallet.into(), i64::from(index).into()];
    tx.execute(SCANNED, &binds).await?;
    Ok(())
}

/// The merchants that have a wallet on this node, whatever its state. Until the unit ends no other
/// unit can ask about the same node, so that two merchants cannot both find a key free.
pub async fn owners_of_node(tx: &mut Tx, node: &str) -> Result<Vec<MerchantKey>, StoreError> {
    // A statement of its own: what was committed while it waited is seen by the next one only.
    tx.fetch::<(String,)>(HOLD_NODE, &[node.into()]).await?;
    let rows = tx.fetch::<(i64,)>(OWNERS, &[node.into()]).await?;
    Ok(rows.into_iter().map(|(key,)| MerchantKey(key)).collect())
}

/// The canonical keys of a merchant's wallets on this node: forms of one key that share its counter.
pub async fn keys_of_node(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    node: &str,
) -> Result<Vec<String>, StoreError> {
    let binds = [node.into(), merchant.into(), mode.as_str().into()];
    let rows = conn.fetch::<(String,)>(KEYS_OF_NODE, &binds).await?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}
