//! Idempotency keys: the record commits with the effect of the request, so a crash leaves both or
//! neither.

use paywatch_domain::{Mode, UnixMillis};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::column::{count, list};
use crate::keys::MerchantKey;
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    /// Only one unit at a time may hold a key; whoever comes second is told so at once, instead of
    /// waiting on the unique index for as long as the first one takes. SQLite has one writer.
    TRY_HOLD = "SELECT CASE WHEN ",
        (lite "$1 = $1", pg "pg_try_advisory_xact_lock(CAST($1 AS BIGINT))"),
        " THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS held";
    INSERT = "INSERT INTO idempotency (merchant, mode, path, key, body_hash, created_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant, mode, path, key) DO NOTHING";
    GET = "SELECT body_hash, status, answer FROM idempotency
        WHERE merchant = $1 AND mode = $2 AND path = $3 AND key = $4";
    FINISH = "UPDATE idempotency SET status = $5, answer = $6
        WHERE merchant = $1 AND mode = $2 AND path = $3 AND key = $4 AND status IS NULL";
    HOLD_ALL = "SELECT COUNT(*) FROM json_each($1) AS j WHERE ",
        (lite "true", pg "pg_try_advisory_xact_lock(CAST(j.value->>'lock' AS BIGINT))");
    INSERT_ANSWERED = "INSERT INTO idempotency (merchant, mode, path, key, body_hash, created_at, status, answer)
        SELECT CAST(value->>'merchant' AS BIGINT), value->>'mode', value->>'path', value->>'key', unhex(value->>'body_hash'),
            CAST(value->>'created_at' AS BIGINT), CAST(value->>'status' AS BIGINT), unhex(value->>'answer')
        FROM json_each($1) WHERE true ON CONFLICT (merchant, mode, path, key) DO NOTHING";
    SWEEP = "DELETE FROM idempotency WHERE created_at < $1";
}

/// What a key is good for: one path of one merchant in one mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Who asks.
    pub merchant: MerchantKey,
    /// Of the API key.
    pub mode: Mode,
    /// Of the request.
    pub path: String,
    /// As sent.
    pub key: String,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Do it, and [`finish`] in the same unit.
    Fresh,
    /// Another unit is doing it at this moment.
    Running,
    /// It was done: answer this again.
    Replay {
        /// The status of the first answer.
        status: u16,
        /// The body of the first answer, encrypted.
        answer: Vec<u8>,
    },
    /// The key was used with another body.
    Reused,
}

/// Looks up a key, and holds it until the unit ends. Call it first in the unit of the effect, and do
/// nothing else in the unit unless the answer is [`Begin::Fresh`].
pub async fn begin(
    tx: &mut Tx,
    scope: &Scope,
    body_hash: &[u8; 32],
    now: UnixMillis,
) -> Result<Begin, StoreError> {
    let (held,) = tx
        .fetch_one::<(i64,)>(TRY_HOLD, &[lock_number(scope).into()])
        .await?;
    if held == 0 {
        return Ok(Begin::Running);
    }
    let binds = [
        scope.merchant.into(),
        scope.mode.as_str().into(),
        (&scope.path).into(),
        (&scope.key).into(),
        body_hash.as_slice().into(),
        now.into(),
    ];
    if tx.execute(INSERT, &binds).await? == 1 {
        return Ok(Begin::Fresh);
    }
    let found = tx.fetch_one::<Found>(GET, &binds[..4]).await?;
    answered(found, body_hash)
}

/// What was answered to a key that is known, without holding it; `None` for a key that nobody used, or
/// whose first request is still running.
pub async fn find(
    conn: &mut Conn,
    scope: &Scope,
    body_hash: &[u8; 32],
) -> Result<Option<Begin>, StoreError> {
    let binds = [
        scope.merchant.into(),
        scope.mode.as_str().into(),
        (&scope.path).into(),
        (&scope.key).into(),
    ];
    let found = conn.fetch_optional::<Found>(GET, &binds).await?;
    found.map(|found| answered(found, body_hash)).transpose()
}

/// Hash of the body, status and answer.
type Found = (Vec<u8>, Option<i64>, Option<Vec<u8>>);

fn answered(found: Found, body_hash: &[u8; 32]) -> Result<Begin, StoreError> {
    Ok(match found {
        (hash, _, _) if hash != body_hash => Begin::Reused,
        (_, Some(status), Some(answer)) => Begin::Replay {
            status: count("idempotency.status", status)?,
            answer,
        },
        // It was committed without an answer, so its unit forgot to finish; nobody is at it.
        (_, _, _) => Begin::Running,
    })
}

/// Stores the answer to a request that was [`Begin::Fresh`], in the same unit.
pub async fn finish(
    tx: &mut Tx,
    scope: &Scope,
    status: u16,
    answer: &[u8],
) -> Result<(), StoreError> {
    let binds = [
        scope.merchant.into(),
        scope.mode.as_str().into(),
        (&scope.path).into(),
        (&scope.key).into(),
        i64::from(status).into(),
        answer.into(),
    ];
    if tx.execute(FINISH, &binds).await? == 1 {
        return Ok(());
    }
    let text = format!("{}: an idempotency key is finished twice", scope.path);
    Err(StoreError::Damaged(text))
}

/// A request of many that are carried out as one.
#[derive(Debug)]
pub struct Answered<'a> {
    /// Where its key is good.
    pub scope: &'a Scope,
    /// SHA-256 of its body.
    pub body_hash: &'a [u8; 32],
    /// When it came.
    pub now: UnixMillis,
    /// The status of its answer.
    pub status: u16,
    /// The body of its answer, encrypted.
    pub answer: Vec<u8>,
}

#[derive(Serialize)]
struct AnsweredRow<'a> {
    merchant: i64,
    mode: &'static str,
    path: &'a str,
    key: &'a str,
    body_hash: String,
    created_at: i64,
    status: u16,
    answer: String,
}

#[derive(Serialize)]
struct Lock {
    lock: i64,
}

/// Holds all of these keys until the unit ends; `false` when somebody else holds one of them.
pub async fn hold_all(
    tx: &mut Tx,
    scopes: impl IntoIterator<Item = &Scope>,
) -> Result<bool, StoreError> {
    let locks: Vec<Lock> = scopes
        .into_iter()
        .map(|scope| Lock {
            lock: lock_number(scope),
        })
        .collect();
    let wanted = locks.len();
    let (held,) = tx
        .fetch_one::<(i64,)>(HOLD_ALL, &[(&list(locks)).into()])
        .await?;
    Ok(usize::try_from(held) == Ok(wanted))
}

/// Stores the answers to requests whose keys are held; `false` when one of the keys was used before, or twice
/// among these: undo everything then.
pub async fn finish_all(tx: &mut Tx, answered: &[Answered<'_>]) -> Result<bool, StoreError> {
    let rows = list(answered.iter().map(|one| AnsweredRow {
        merchant: one.scope.merchant.0,
        mode: one.scope.mode.as_str(),
        path: &one.scope.path,
        key: &one.scope.key,
        body_hash: hex::encode(one.body_hash),
        created_at: one.now.0,
        status: one.status,
        answer: hex::encode(&one.answer),
    }));
    let stored = tx.execute(INSERT_ANSWERED, &[(&rows).into()]).await?;
    Ok(usize::try_from(stored) == Ok(answered.len()))
}

/// Forgets keys that were first sent before a time, and answers how many.
pub async fn sweep(tx: &mut Tx, before: UnixMillis) -> Result<u64, StoreError> {
    tx.execute(SWEEP, &[before.into()]).await
}

/// 64 bits that stand for a key. Two keys with the same bits only get in each other's way while both
/// are running.
fn lock_number(scope: &Scope) -> i64 {
    let mut hash = Sha256::new();
    hash.update(scope.merchant.0.to_le_bytes());
    for text in [scope.mode.as_str(), &scope.path, &scope.key] {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let (first, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    i64::from_le_bytes(*first)
}
