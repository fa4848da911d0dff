//! Polls that found everything read: the mempool, and how far the chain is covered.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywatch_chain::{Credit, Source, Vetting};
use paywatch_domain::{BlockRef, Family, Mark, TxId, UnixMillis, limits};
use paywatch_store::watched;
use paywatch_store::{Store, StoreError, awaited, placements};

use super::ask::Polled;
use super::following::Following;
use super::report::shown;
use super::{Fault, Parts};
use crate::apply::ApplyPoll;

/// Coverage is written at least this often, in milliseconds, when nothing waits for it.
const COVER_MS: i64 = 5_000;

/// What a poll said of money that may change what is said of invoices.
#[derive(PartialEq)]
pub(super) struct Said {
    credits: Option<Vec<Credit>>,
    vettings: Option<Vec<Vetting>>,
    conflicts: Option<Vec<(TxId, String)>>,
    marks: BTreeMap<Mark, BlockRef>,
}

impl<S: Source> Following<S> {
    /// Records a poll that found everything read: the mempool and how far the chain is covered.
    pub(super) async fn record_poll(
        &mut self,
        source: &Arc<S>,
        parts: &mut Parts,
        begun_at: UnixMillis,
        polled: Polled<S>,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        self.refresh_watched(&parts.store, parts.spec.family)
            .await?;
        let marks = polled.marks;
        self.headers.hear(&marks);
        let pool = match polled.pool {
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
        let said = Said {
            credits: pool.as_ref().map(|pool| pool.credits.clone()),
            vettings: pool.as_ref().map(|pool| pool.vettings.clone()),
            conflicts: pool.as_ref().map(|pool| pool.conflicts.clone()),
            marks: marks.clone(),
        };
        let is_silent = said.credits.is_none() && said.marks.is_empty();
        let same = is_silent || self.said.as_ref() == Some(&said);
        let next = awaited::next_covered(&mut parts.store.read().await?, &parts.spec.name).await?;
        let due = next.is_some_and(|until| until < begun_at);
        let is_recent = (0..COVER_MS).contains(&begun_at.ms_since(self.covered_at));
        if same && !due && is_recent {
            return Ok(false);
        }
        let unit = ApplyPoll {
            chain: parts.spec.name.clone(),
            spec: Arc::clone(&parts.spec),
            fence: self.lease.fence,
            tip_height: cursor.height,
            begun_at,
            gap_ms: limits::GAP_MS_MIN
                .max(parts.pace.poll_ms.saturating_mul(limits::GAP_POLLS_MIN)),
            // Compared with every write, also when it holds the same payments: what the node forgot may
            // be spent by a transaction that does not pay us.
            pool,
            marks,
            problem: self.balances.problem.as_ref().map(shown),
            now,
            seed: parts.seed(),
            master: Arc::clone(&parts.master),
        };
        parts.store.write(unit).await?;
        self.covered_at = begun_at;
        self.said = Some(said);
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

    /// Watches what the payments spend that another transaction can still take away: a block that spends it
    /// otherwise ends them.
    pub(super) async fn refresh_outpoints(&mut self, store: &Store) -> Result<(), StoreError> {
        let chain = &self.lease.chain;
        let fork = self.follower.fork().map_or(0, |fork| fork.height);
        let lowest = fork.saturating_sub(u64::from(limits::DEPTH_MAX));
        let mut conn = store.read().await?;
        let spent = placements::watched_spends(&mut conn, chain, fork, lowest).await?;
        self.watched.set_outpoints(spent);
        Ok(())
    }
}
