//! Housekeeping: what time alone brings about. Forgetting what nobody needs any more, and telling of
//! invoices that wait for a chain which nobody can read.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywatch_domain::{Cause, CauseKind, ChainName, Entropy, UnixMillis, limits};
use paywatch_store::awaited::{self, OverdueMark};
use paywatch_store::{MasterKey, Store, StoreError, Tx, Unit, chains, idempotency};

use crate::ids::Ids;
use crate::pass::Pass;
use crate::refold::refold;

/// How often there is something to do, in milliseconds: every minute.
const PAUSE_MS: i64 = 60 * 1000;
/// How often old answers are forgotten, in milliseconds: every hour.
const SWEEP_PAUSE_MS: i64 = 3600 * 1000;

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

/// Folds a portion of the invoices whose chain was not read for long after their expiry: what they wait
/// for is news.
struct TellWaiting {
    chain: ChainName,
    mark: OverdueMark,
    now: UnixMillis,
    seed: [u8; 32],
    master: Arc<MasterKey>,
}

impl Unit for TellWaiting {
    type Output = OverdueMark;
    type Error = StoreError;
    const NAME: &'static str = "tell_waiting";

    async fn run(&self, tx: &mut Tx) -> Result<OverdueMark, StoreError> {
        let until = self.now.plus_ms(-limits::WAITING_FOR_AFTER_MS);
        let (overdue, mark) = awaited::overdue(tx, &self.chain, until, self.mark).await?;
        let cause = Cause {
            kind: CauseKind::Expiry,
            chain: Some(self.chain.clone()),
            height: None,
        };
        let mut pass = Pass {
            master: &self.master,
            now: self.now,
            cause: &cause,
            ids: &mut Ids::new(self.seed),
        };
        refold(tx, &overdue, &mut pass).await?;
        Ok(mark)
    }
}

/// Keeps the house. Any number of processes may do it at a time.
pub struct Housekeeper {
    store: Store,
    master: Arc<MasterKey>,
    entropy: Box<dyn Entropy>,
    sweep_at: UnixMillis,
    /// By chain, up to where waiting invoices were told of. Forgotten when the process ends: what is
    /// folded once more has no news.
    told: BTreeMap<ChainName, OverdueMark>,
}

impl Housekeeper {
    /// A housekeeper of this store. `entropy` gives seeds of ids.
    pub fn new(store: Store, master: Arc<MasterKey>, entropy: Box<dyn Entropy>) -> Self {
        Self {
            store,
            master,
            entropy,
            sweep_at: UnixMillis(i64::MIN),
            told: BTreeMap::new(),
        }
    }

    /// Does what is due; answers when to come back.
    pub async fn step(&mut self, now: UnixMillis) -> UnixMillis {
        let done = async {
            self.sweep(now).await?;
            self.tell_waiting(now).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "housekeeping waits for the database");
        }
        now.plus_ms(PAUSE_MS)
    }

    async fn sweep(&mut self, now: UnixMillis) -> Result<(), StoreError> {
        if self.sweep_at.is_awaited(now, SWEEP_PAUSE_MS) {
            return Ok(());
        }
        let before = now.plus_ms(-limits::IDEMPOTENCY_KEPT_MS);
        let swept = self.store.write(SweepAnswers { before }).await?;
        tracing::debug!(swept, "old answers were forgotten");
        self.sweep_at = now.plus_ms(SWEEP_PAUSE_MS);
        Ok(())
    }

    async fn tell_waiting(&mut self, now: UnixMillis) -> Result<(), StoreError> {
        let rows = chains::all(&mut self.store.read().await?).await?;
        for row in rows {
            while self.is_waiting(&row.chain, now).await? {
                let mut seed = [0; 32];
                self.entropy.fill(&mut seed);
                let unit = TellWaiting {
                    chain: row.chain.clone(),
                    mark: self.mark(&row.chain),
                    now,
                    seed,
                    master: Arc::clone(&self.master),
                };
                let mark = self.store.write(unit).await?;
                self.told.insert(row.chain.clone(), mark);
            }
        }
        Ok(())
    }

    fn mark(&self, chain: &ChainName) -> OverdueMark {
        let mark = self.told.get(chain).copied();
        mark.unwrap_or(OverdueMark::START)
    }

    /// Whether an invoice waits for this chain that was not told of yet.
    async fn is_waiting(&self, chain: &ChainName, now: UnixMillis) -> Result<bool, StoreError> {
        let until = now.plus_ms(-limits::WAITING_FOR_AFTER_MS);
        let mut conn = self.store.read().await?;
        let (overdue, _) = awaited::overdue(&mut conn, chain, until, self.mark(chain)).await?;
        Ok(!overdue.is_empty())
    }
}
