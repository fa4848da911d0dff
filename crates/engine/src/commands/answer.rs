//! Answers, and carrying out a request once however often it is sent.

use std::sync::Arc;

use paywatch_domain::{Entropy, UnixMillis};
use paywatch_store::idempotency::{self, Begin, Scope};
use paywatch_store::secrets::NONCE_BYTES;
use paywatch_store::{Conn, MasterKey, SecretError, Tx, Unit};

use super::{Caller, CommandError, CommandParts};

const PURPOSE: &str = "idempotency-answer";

/// What makes two requests the same.
#[derive(Clone, Debug)]
pub struct Idempotent {
    /// The request's path.
    pub path: String,
    /// The caller's key.
    pub key: String,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
}

/// What a caller gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON text.
    pub body: String,
}

/// An answer, and whether it was given before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The request was carried out now.
    Fresh(Answer),
    /// The request was carried out before; this is what was answered then.
    Replayed(Answer),
}

/// What a request does to the database, and what it answers.
pub(super) trait Effect: Send + Sync + 'static {
    const NAME: &'static str;
    /// Whether those that wait at the same time may be carried out as one.
    const TOGETHER: bool = false;

    fn run(&self, tx: &mut Tx) -> impl Future<Output = Result<Answer, CommandError>> + Send;

    /// Several at once: their answers in their order, or `None` when each has to be carried out on its own.
    fn run_together(
        _effects: &[&Self],
        _tx: &mut Tx,
    ) -> impl Future<Output = Option<Vec<Answer>>> + Send {
        std::future::ready(None)
    }
}

/// An effect and the record of its answer, in one transaction: a crash leaves neither or both.
struct Once<E> {
    effect: E,
    record: Option<Record>,
    master: Arc<MasterKey>,
}

struct Record {
    key: Scope,
    body_hash: [u8; 32],
    now: UnixMillis,
    nonce: [u8; NONCE_BYTES],
}

impl<E: Effect> Unit for Once<E> {
    type Output = Answered;
    type Error = CommandError;
    const NAME: &'static str = E::NAME;
    const TOGETHER: bool = E::TOGETHER;

    async fn run(&self, tx: &mut Tx) -> Result<Answered, CommandError> {
        let Some(record) = &self.record else {
            return self.effect.run(tx).await.map(Answered::Fresh);
        };
        match idempotency::begin(tx, &record.key, &record.body_hash, record.now).await? {
            Begin::Fresh => {}
            Begin::Running => return Err(CommandError::IdempotencyInUse),
            Begin::Reused => return Err(CommandError::IdempotencyReused),
            Begin::Replay { status, answer } => {
                return replay(&self.master, &record.key, status, &answer);
            }
        }
        let answer = self.effect.run(tx).await?;
        let sealed = record.seal(&self.master, &answer)?;
        idempotency::finish(tx, &record.key, answer.status, &sealed).await?;
        Ok(Answered::Fresh(answer))
    }

    async fn run_together(units: &[&Self], tx: &mut Tx) -> Option<Vec<Answered>> {
        let keys = units.iter().filter_map(|unit| unit.record.as_ref());
        if !idempotency::hold_all(tx, keys.map(|record| &record.key))
            .await
            .ok()?
        {
            return None;
        }
        let effects: Vec<&E> = units.iter().map(|unit| &unit.effect).collect();
        let answers = E::run_together(&effects, tx).await?;
        let mut kept = Vec::with_capacity(units.len());
        for (unit, answer) in units.iter().zip(&answers) {
            if let Some(record) = &unit.record {
                kept.push(idempotency::Answered {
                    scope: &record.key,
                    body_hash: &record.body_hash,
                    now: record.now,
                    status: answer.status,
                    answer: record.seal(&unit.master, answer).ok()?,
                });
            }
        }
        let is_kept = idempotency::finish_all(tx, &kept).await.ok()?;
        is_kept.then(|| answers.into_iter().map(Answered::Fresh).collect())
    }
}

impl Record {
    /// The body of an answer, as it is kept.
    fn seal(&self, master: &MasterKey, answer: &Answer) -> Result<Vec<u8>, SecretError> {
        let (context, body) = (self.key.key.as_bytes(), answer.body.as_bytes());
        master.encrypt(PURPOSE, context, self.nonce, body)
    }
}

fn replay(
    master: &MasterKey,
    key: &Scope,
    status: u16,
    sealed: &[u8],
) -> Result<Answered, CommandError> {
    let body = master.decrypt(PURPOSE, key.key.as_bytes(), sealed)?;
    let body = String::from_utf8(body).map_err(|_| SecretError::NotReadable)?;
    Ok(Answered::Replayed(Answer { status, body }))
}

fn stored_key(caller: &Caller, idempotent: &Idempotent) -> Scope {
    Scope {
        merchant: caller.merchant,
        mode: caller.mode,
        path: idempotent.path.clone(),
        key: idempotent.key.clone(),
    }
}

/// The answer of a request that was carried out before, without doing anything: asked before a request
/// takes something that cannot be given back.
pub(super) async fn answered_before(
    conn: &mut Conn,
    master: &MasterKey,
    caller: &Caller,
    idempotent: Option<&Idempotent>,
) -> Result<Option<Answered>, CommandError> {
    let Some(idempotent) = idempotent else {
        return Ok(None);
    };
    let key = stored_key(caller, idempotent);
    let found = idempotency::find(conn, &key, &idempotent.body_hash).await?;
    match found {
        None | Some(Begin::Fresh) => Ok(None),
        Some(Begin::Running) => Err(CommandError::IdempotencyInUse),
        Some(Begin::Reused) => Err(CommandError::IdempotencyReused),
        Some(Begin::Replay { status, answer }) => replay(master, &key, status, &answer).map(Some),
    }
}

/// Carries out an effect, once for each idempotency key.
pub(super) async fn once<E: Effect>(
    parts: &CommandParts,
    caller: &Caller,
    idempotent: Option<Idempotent>,
    now: UnixMillis,
    entropy: &mut dyn Entropy,
    effect: E,
) -> Result<Answered, CommandError> {
    let record = idempotent.map(|idempotent| {
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let key = stored_key(caller, &idempotent);
        Record {
            key,
            body_hash: idempotent.body_hash,
            now,
            nonce,
        }
    });
    let master = Arc::clone(&parts.master);
    let unit = Once {
        effect,
        record,
        master,
    };
    parts.store.write(unit).await
}
