//! Housekeeping: forgetting what nobody needs any more, at a slow pace.

use paywatch_domain::{UnixMillis, limits};
use paywatch_store::{Store, StoreError, Tx, Unit, idempotency};

/// How often there is something to do, in milliseconds: every hour.
const PAUSE_MS: i64 = 3600 * 1000;
/// How soon it is tried again after the database failed, in milliseconds.
const RETRY_MS: i64 = 60 * 1000;

/// Forgets answers of idempotent requests that are older than they are kept.
struct SweepAnswers {
    before: UnixMillis,
}

impl Unit for SweepAnswers {
    type Output = u64;
    type Error = StoreError;
    const NAME: &'static str = "sweep_answers";

    async fn run(&self, tx: &mut Tx) -> Result<u64, StoreError> {
        idempotency::sweep(tx, self.before).await
    }
}

/// Keeps the house. Any number of processes may do it at a time.
#[derive(Debug)]
pub struct Housekeeper {
    store: Store,
}

impl Housekeeper {
    /// A housekeeper of this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Does what is due; answers when to come back.
    pub async fn step(&mut self, now: UnixMillis) -> UnixMillis {
        let before = now.plus_ms(-limits::IDEMPOTENCY_KEPT_MS);
        match self.store.write(SweepAnswers { before }).await {
            Ok(swept) => {
                tracing::debug!(swept, "old answers were forgotten");
                now.plus_ms(PAUSE_MS)
            }
            Err(error) => {
                tracing::warn!(%error, "housekeeping waits for the database");
                now.plus_ms(RETRY_MS)
            }
        }
    }
}
