//! A poll that found everything read: the mempool as it is, and the chain covered up to the poll.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paywatch_chain::{Credit, Pool};
use paywatch_domain::{Cause, CauseKind, ChainName, Family, Place, TxId, UnixMillis, limits};
use paywatch_store::placements::{self, LeftReason, OpenInMempool};
use paywatch_store::{InvoiceKey, MasterKey, Tx, Unit, chains};

use super::Applied;
use super::credits::{Placed, Placing, place};
use crate::error::EngineError;
use crate::ids::Ids;
use crate::pass::Pass;
use crate::refold::{Due, refold, refold_all};

/// One poll at the node's tip as a unit of work.
#[derive(Debug)]
pub struct ApplyPoll {
    /// Which chain.
    pub chain: ChainName,
    /// Its family, whose watch table the keys belong to.
    pub family: Family,
    /// The lease under which it was read.
    pub fence: i64,
    /// Height of the node's tip, which is the cursor's.
    pub tip_height: u64,
    /// When the poll began: the chain is covered up to here.
    pub begun_at: UnixMillis,
    /// The mempool; `None` for a chain without one.
    pub pool: Option<Pool>,
    /// The time.
    pub now: UnixMillis,
    /// Where new ids come from.
    pub seed: [u8; 32],
    /// Checks seals.
    pub master: Arc<MasterKey>,
}

impl Unit for ApplyPoll {
    type Output = Applied;
    type Error = EngineError;
    const NAME: &'static str = "apply_poll";

    async fn run(&self, tx: &mut Tx) -> Result<Applied, EngineError> {
        chains::cover(tx, &self.chain, self.fence, self.begun_at, self.tip_height).await?;
        let mut ids = Ids::new(self.seed);
        let (touched, credits) = match &self.pool {
            Some(pool) => self.compare(tx, pool, &mut ids).await?,
            None => (BTreeSet::new(), 0),
        };
        let cause = |kind| Cause {
            kind,
            chain: Some(self.chain.clone()),
            height: Some(self.tip_height),
        };
        let (mempool, expiry) = (cause(CauseKind::Mempool), cause(CauseKind::Expiry));
        let mut pass = Pass {
            master: &self.master,
            now: self.now,
            cause: &mempool,
            ids: &mut ids,
        };
        let touched: Vec<InvoiceKey> = touched.into_iter().collect();
        let told = refold(tx, &touched, &mut pass).await?;
        pass.cause = &expiry;
        let due = Due {
            chain: &self.chain,
            height: None,
            covered: Some(self.begun_at),
        };
        let events = told + refold_all(tx, BTreeSet::new(), &due, &mut pass).await?;
        Ok(Applied { events, credits })
    }
}

impl ApplyPoll {
    /// Holds the pool against what stands in the mempool by our facts; places what is new, closes what
    /// has gone. Our tip is the node's, so what is gone was not mined. What the node forgot stays.
    async fn compare(
        &self,
        tx: &mut Tx,
        pool: &Pool,
        ids: &mut Ids,
    ) -> Result<(BTreeSet<InvoiceKey>, usize), EngineError> {
        let open = placements::open_in_mempool(tx, &self.chain).await?;
        let in_pool: BTreeSet<(&str, &str)> = pool.credits.iter().map(identity).collect();
        let gone: Vec<&OpenInMempool> = open
            .iter()
            .filter(|one| !in_pool.contains(&(one.tx_id.as_str(), one.position.as_str())))
            .collect();
        let spenders = spenders_of(&gone, pool);
        let began_at = self.began_at(pool);
        let leaving: Vec<(&OpenInMempool, LeftReason)> = gone
            .iter()
            .filter_map(|one| Some((*one, self.reason(one, &spenders, began_at)?)))
            .collect();
        let closing: Vec<_> = leaving
            .iter()
            .map(|(one, reason)| (one.transfer, *reason))
            .collect();
        placements::close(tx, &closing, self.now).await?;
        let held: BTreeSet<(&str, &str)> = open
            .iter()
            .map(|one| (one.tx_id.as_str(), one.position.as_str()))
            .collect();
        let new: Vec<Placed<'_>> = pool
            .credits
            .iter()
            .filter(|credit| !held.contains(&identity(credit)))
            .map(|credit| Placed {
                credit,
                place: Place::Mempool,
                sighted_at: self.now,
            })
            .collect();
        let mut placing = Placing {
            chain: &self.chain,
            family: self.family,
            now: self.now,
            ids,
        };
        let mut touched = place(tx, &new, &mut placing).await?;
        touched.extend(leaving.iter().map(|(one, _)| one.invoice));
        Ok((touched, new.len()))
    }

    /// When the node began to collect this pool, by our clock.
    fn began_at(&self, pool: &Pool) -> UnixMillis {
        let age_ms = i64::try_from(pool.age.as_millis()).unwrap_or(i64::MAX);
        self.begun_at.plus_ms(age_ms.saturating_neg())
    }

    /// Why a transfer left the mempool: another transaction spends what it spent, or the node dropped
    /// it. `None` when the node forgot it, because it began anew after we had seen it: that is no news
    /// of the payment, which stays where it was for as long as its sender may take to send it again.
    fn reason(
        &self,
        gone: &OpenInMempool,
        spenders: &BTreeMap<String, TxId>,
        began_at: UnixMillis,
    ) -> Option<LeftReason> {
        let replaced = gone.spends.iter().any(|outpoint| {
            let spender = spenders.get(outpoint);
            spender.is_some_and(|spender| *spender != gone.tx_id)
        });
        if replaced {
            return Some(LeftReason::Replaced);
        }
        let was_forgotten = gone.entered_at < began_at;
        let is_recent = self.begun_at.ms_since(began_at) < limits::FORGOTTEN_KEPT_MS;
        (!was_forgotten || !is_recent).then_some(LeftReason::Evicted)
    }
}

fn identity(credit: &Credit) -> (&str, &str) {
    (credit.tx_id.as_str(), credit.position.as_str())
}

/// What now spends what the gone transfers spent, looked up once for all: it costs a walk through the
/// whole mempool, so nothing is asked when nothing has gone.
fn spenders_of(gone: &[&OpenInMempool], pool: &Pool) -> BTreeMap<String, TxId> {
    let spent: BTreeSet<&str> = gone
        .iter()
        .flat_map(|one| one.spends.iter().map(String::as_str))
        .collect();
    if spent.is_empty() {
        return BTreeMap::new();
    }
    pool.spenders.spenders(&spent)
}
