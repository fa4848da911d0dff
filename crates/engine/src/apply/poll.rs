//! A poll that found everything read: the mempool as it is, and the chain covered up to the poll.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paywatch_chain::{Credit, Pool};
use paywatch_domain::{
    BlockRef, Cause, CauseKind, ChainName, ChainSpec, Mark, Marks, Place, TxId, UnixMillis, limits,
};
use paywatch_store::chains::{News, Problem};
use paywatch_store::placements::{self, LeftReason, OpenInMempool};
use paywatch_store::vettings::NewVetting;
use paywatch_store::{
    InvoiceKey, MasterKey, TransferKey, Tx, Unit, blocks, chains, gaps, marks, transfers, vettings,
};

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
    /// The chain as it is configured.
    pub spec: Arc<ChainSpec>,
    /// The lease under which it was read.
    pub fence: i64,
    /// Height of the node's tip, which is the cursor's.
    pub tip_height: u64,
    /// When the poll began: the chain is covered up to here.
    pub begun_at: UnixMillis,
    /// Milliseconds since the last poll from which on nobody looked in between.
    pub gap_ms: i64,
    /// The mempool; `None` for a chain without one.
    pub pool: Option<Pool>,
    /// Up to which blocks the node says that its chain will not go back.
    pub marks: BTreeMap<Mark, BlockRef>,
    /// What is wrong with the node besides, to be shown.
    pub problem: Option<Problem>,
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
        if self.pool.is_some() {
            gaps::note(tx, &self.chain, self.begun_at, self.gap_ms).await?;
        }
        chains::cover(tx, &self.chain, self.fence, self.begun_at, self.tip_height).await?;
        if let Some(problem) = &self.problem {
            self.show(tx, problem.clone()).await?;
        }
        let marks = self.raise_marks(tx).await?;
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
        let block = cause(CauseKind::Block);
        let mut pass = Pass {
            master: &self.master,
            now: self.now,
            cause: &mempool,
            ids: &mut ids,
        };
        let touched: Vec<InvoiceKey> = touched.into_iter().collect();
        let told = refold(tx, &touched, &mut pass).await?;
        let mut due = Due {
            chain: &self.chain,
            height: None,
            covered: None,
            marks,
        };
        let mut events = told;
        if marks != Marks::default() {
            pass.cause = &block;
            events += refold_all(tx, BTreeSet::new(), &due, &mut pass).await?;
        }
        pass.cause = &expiry;
        due.covered = Some(self.begun_at);
        events += refold_all(tx, BTreeSet::new(), &due, &mut pass).await?;
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
        let transactions = by_transaction(&gone);
        let spenders = spenders_of(&transactions, pool);
        let replaced: BTreeSet<&TxId> = transactions
            .values()
            .filter(|one| is_replaced(one, &spenders))
            .map(|one| &one.tx_id)
            .collect();
        let began_at = self.began_at(pool);
        let leaving: Vec<(&OpenInMempool, LeftReason)> = gone
            .iter()
            .filter_map(|one| Some((*one, self.reason(one, &replaced, began_at)?)))
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
            spec: &self.spec,
            now: self.now,
            ids,
        };
        let mut touched = place(tx, &new, &mut placing).await?;
        touched.extend(leaving.iter().map(|(one, _)| one.invoice));
        let leaves: BTreeSet<TransferKey> = closing.iter().map(|(transfer, _)| *transfer).collect();
        let forgotten = gone.iter().filter(|one| !leaves.contains(&one.transfer));
        let forgotten: Vec<&TxId> = forgotten.map(|one| &one.tx_id).collect();
        vettings::missing(tx, &self.chain, &forgotten, self.begun_at).await?;
        let rivals = rivals(&transactions, &spenders, pool);
        transfers::spends_insert(tx, &self.chain, &rivals).await?;
        touched.extend(self.vet(tx, pool).await?);
        Ok((touched, new.len()))
    }

    /// Records what the node says of the transactions that are in its mempool.
    async fn vet(&self, tx: &mut Tx, pool: &Pool) -> Result<Vec<InvoiceKey>, EngineError> {
        let said = pool.vettings.iter().map(|said| NewVetting {
            tx_id: &said.tx_id,
            has_parents: said.has_parents,
            fee_rate: said.fee_rate,
            fee_rate_next: said.fee_rate_next,
        });
        let said: Vec<_> = said.collect();
        Ok(vettings::record(tx, &self.chain, &said, self.now).await?)
    }

    /// Raises the marks of the chain to what the node says, and answers where they stand now. A mark that
    /// is said of a block of another chain, or lower than before, changes nothing but the problem that is
    /// shown: what was said to be final stays so for as long as its blocks stand.
    async fn raise_marks(&self, tx: &mut Tx) -> Result<Marks, EngineError> {
        if self.marks.is_empty() {
            return Ok(Marks::default());
        }
        let rows = chains::all(tx).await?;
        let stood = rows.into_iter().find(|row| row.chain == self.chain);
        let stood = stood.map_or(Marks::default(), |row| row.marks);
        let (mut said, mut problem) = (Marks::default(), None);
        for (mark, block) in &self.marks {
            let (hash, height) = (&block.hash, block.height);
            let kept = blocks::between(tx, &self.chain, height, height).await?;
            if self.tip_height < height || kept.iter().any(|kept| kept != block) {
                let text = format!(
                    "the node calls block {hash} at height {height} {mark}, which is not on the chain that it gave; \
                     nothing is final by this mark before the node agrees with itself"
                );
                problem = Some(("mark_elsewhere", text));
            } else if kept.is_empty() && stood.get(*mark) < Some(height) {
                let lowest = blocks::lowest(tx, &self.chain).await?;
                if lowest.is_some_and(|lowest| lowest < height) {
                    let text = format!(
                        "the node calls block {hash} at height {height} {mark}, which is so far below the last block \
                         that it cannot be compared any more; nothing becomes final by this mark before it is higher"
                    );
                    problem = Some(("mark_too_low", text));
                }
            } else {
                said = said.with(*mark, height);
            }
        }
        for mark in Mark::ALL {
            if let (Some(said), Some(stood)) = (said.get(mark), stood.get(mark))
                && said < stood
            {
                let text = format!(
                    "the node says that its chain is {mark} up to height {said}, and has said {stood} before; \
                     what was final stays final, and nothing more becomes so before it says more again"
                );
                problem = Some(("mark_lowered", text));
            }
        }
        marks::raise(tx, &self.chain, self.fence, said).await?;
        if let Some((code, text)) = problem {
            tracing::warn!(chain = %self.chain, code, text, "the node contradicts itself");
            let code = code.into();
            self.show(tx, Problem { code, text }).await?;
        }
        Ok(stood.raised_to(said))
    }

    /// Shows people what is wrong with the node, until a poll finds nothing.
    async fn show(&self, tx: &mut Tx, problem: Problem) -> Result<(), EngineError> {
        let news = News {
            tip_height: Some(self.tip_height),
            problem: Some(problem),
            blocks_per_minute: None,
        };
        Ok(chains::report(tx, &self.chain, self.fence, &news, self.now).await?)
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
        replaced: &BTreeSet<&TxId>,
        began_at: UnixMillis,
    ) -> Option<LeftReason> {
        if replaced.contains(&gone.tx_id) {
            return Some(LeftReason::Replaced);
        }
        let was_forgotten = gone.entered_at < began_at;
        let is_recent = self.begun_at.ms_since(began_at) < limits::FORGOTTEN_KEPT_MS;
        (!was_forgotten || !is_recent).then_some(LeftReason::Evicted)
    }
}

/// One transfer of each transaction: what a transaction spends is gone through once, as it may have
/// thousands of inputs and of outputs.
fn by_transaction<'a>(gone: &[&'a OpenInMempool]) -> BTreeMap<&'a TxId, &'a OpenInMempool> {
    gone.iter().map(|one| (&one.tx_id, *one)).collect()
}

/// Whether another transaction spends what this one spent.
fn is_replaced(gone: &OpenInMempool, spenders: &BTreeMap<String, TxId>) -> bool {
    gone.spends.iter().any(|outpoint| {
        let spender = spenders.get(outpoint);
        spender.is_some_and(|spender| *spender != gone.tx_id)
    })
}

/// Transactions that spend what payments to us spend, with what they spend: what took the place of a
/// payment that has gone, and what the adapter saw.
fn rivals(
    gone: &BTreeMap<&TxId, &OpenInMempool>,
    spenders: &BTreeMap<String, TxId>,
    pool: &Pool,
) -> Vec<(TxId, String)> {
    let replacing = gone.values().flat_map(|one| {
        one.spends.iter().filter_map(|outpoint| {
            let spender = spenders.get(outpoint)?;
            (*spender != one.tx_id).then(|| (spender.clone(), outpoint.clone()))
        })
    });
    let rivals: BTreeSet<_> = replacing.chain(pool.conflicts.iter().cloned()).collect();
    rivals.into_iter().collect()
}

fn identity(credit: &Credit) -> (&str, &str) {
    (credit.tx_id.as_str(), credit.position.as_str())
}

/// What now spends what the gone transfers spent, looked up once for all: it costs a walk through the
/// whole mempool, so nothing is asked when nothing has gone.
fn spenders_of(gone: &BTreeMap<&TxId, &OpenInMempool>, pool: &Pool) -> BTreeMap<String, TxId> {
    let spent: BTreeSet<&str> = gone
        .values()
        .flat_map(|one| one.spends.iter().map(String::as_str))
        .collect();
    if spent.is_empty() {
        return BTreeMap::new();
    }
    pool.spenders.spenders(&spent)
}
