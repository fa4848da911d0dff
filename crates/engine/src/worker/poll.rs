//! Polls that found everything read: the mempool, and how far the chain is covered.

use std::sync::Arc;

use paywatch_chain::Source;
use paywatch_domain::{Family, UnixMillis};
use paywatch_store::watched;
use paywatch_store::{Store, StoreError, awaited, placements};

use super::following::{Following, seed};
use super::{Fault, Parts};
use crate::apply::ApplyPoll;

/// Coverage is written at least this often, in milliseconds, when nothing waits for it.
const COVER_MS: i64 = 5_000;

impl<S: Source> Following<S> {
    /// Records a poll that found everything read: the mempool and how far the chain is covered.
    pub(super) async fn record_poll(
        &mut self,
        source: &Arc<S>,
        parts: &mut Parts,
        begun_at: UnixMillis,
        raw: Option<S::RawPool>,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        self.refresh_watched(&parts.store, parts.spec.family)
            .await?;
        let pool = match raw {
            Some(raw) => Some(source.scan_pool(raw, &self.watched)?),
            None => None,
        };
        let Some(cursor) = self.follower.cursor().filter(|_| self.follower.is_at_tip()) else {
            return Ok(false);
        };
        if pool.as_ref().is_some_and(|pool| pool.tip != *cursor) {
            // A block came while the mempool was read: what is gone may have been mined.
            self.poll_at = now;
            return Ok(false);
        }
        self.seen_at = begun_at;
        self.has_advanced = true;
        let credits = pool.as_ref().map(|pool| pool.credits.clone());
        let same = credits.is_none() || credits == self.pool;
        let next = awaited::next_covered(&mut parts.store.read().await?, &parts.spec.name).await?;
        let due = next.is_some_and(|until| until < begun_at);
        if same && !due && begun_at.ms_since(self.covered_at) < COVER_MS {
            return Ok(false);
        }
        let unit = ApplyPoll {
            chain: parts.spec.name.clone(),
            family: parts.spec.family,
            fence: self.lease.fence,
            tip_height: cursor.height,
            begun_at,
            // Compared with every write, also when it holds the same payments: what the node forgot may
            // be spent by a transaction that does not pay us.
            pool,
            now,
            seed: seed(&mut *parts.entropy),
            master: Arc::clone(&parts.master),
        };
        parts.store.write(unit).await?;
        self.covered_at = begun_at;
        self.pool = credits;
        Ok(true)
    }

    /// An address is watched before it is shown: what was committed before this read is in the table,
    /// and what was fetched before this read cannot pay what was committed after it.
    pub(super) async fn refresh_watched(
        &mut self,
        store: &Store,
        family: Family,
    ) -> Result<(), StoreError> {
        let (watched, mut conn) = (&mut self.watched, store.read().await?);
        let insert = |key: &[u8]| watched.insert(key);
        self.mark = watched::since(&mut conn, family, self.mark, insert).await?;
        Ok(())
    }

    /// Watches what the payments spend that stand in the mempool: a block that spends it otherwise ends
    /// them.
    pub(super) async fn refresh_outpoints(&mut self, store: &Store) -> Result<(), StoreError> {
        let chain = &self.lease.chain;
        let spent = placements::spent_in_mempool(&mut store.read().await?, chain).await?;
        self.watched.set_outpoints(spent);
        Ok(())
    }
}
