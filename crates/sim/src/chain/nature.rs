//! What happens to a chain whatever anybody wants: blocks and branches.

use std::sync::Arc;

use paywatch_domain::{TxId, UnixMillis};

use super::ledger::{BlockId, Entry, Ledger, Tx, Waiting};
use crate::random::Random;
use crate::scenario::ChainPlan;

/// A miner that has not heard of a replacement.
const OLD_MINED: u32 = 50_000;
/// By how much a block's time may differ from the truth, in milliseconds.
const TIME_SKEW_MS: i64 = 60_000;

impl Ledger {
    /// Makes the next block. `mined` is how probable each waiting transaction is to be in it.
    pub fn mine(
        &mut self,
        plan: &ChainPlan,
        mined: u32,
        now: UnixMillis,
        random: &mut Random,
    ) -> BlockId {
        let mut entries = Vec::new();
        for one in self.waiting.clone() {
            if !random.is(mined) {
                continue;
            }
            let is_old = mined < 1_000_000 && random.is(OLD_MINED);
            let tx = one.replaced.filter(|_| is_old).unwrap_or(one.tx);
            if !self.is_spent(&tx) && !self.has_mined(&tx.id) {
                entries.push(entry(tx, plan, mined, random));
            }
        }
        let tip = self.best();
        let time = self.time_above(tip, now, random);
        let id = self.add(Some(tip), time, entries);
        self.extend(id);
        id
    }

    /// Makes a branch that takes `depth` blocks away and is longer; answers what was lost with them, and
    /// may be sent again.
    pub fn fork(
        &mut self,
        plan: &ChainPlan,
        depth: u64,
        now: UnixMillis,
        random: &mut Random,
    ) -> Vec<Arc<Tx>> {
        let old = self.best();
        let height = self.block(old).at.height.saturating_sub(depth);
        let Some(fork) = self
            .at_height(old, height)
            .and_then(|at| self.find(&at.at.hash))
        else {
            return Vec::new();
        };
        let mut undone: Vec<Arc<Tx>> = self
            .down_from(old)
            .take_while(|(id, _)| *id != fork)
            .flat_map(|(_, block)| {
                block
                    .entries
                    .iter()
                    .rev()
                    .map(|entry| Arc::clone(&entry.tx))
            })
            .collect();
        undone.reverse();
        let length = depth.saturating_add(u64::try_from(random.between(1, 2)).unwrap_or(1));
        let (mut again, mut lost) = (Vec::new(), Vec::new());
        for tx in undone {
            if random.is(plan.lost) {
                // On chains with coins the payer may have spent them otherwise.
                if !tx.spends.is_empty() && random.is(500_000) {
                    again.push((random.below(length), self.double_spend(&tx, now)));
                } else {
                    lost.push(tx);
                }
            } else if random.is(500_000) {
                again.push((random.below(length), tx));
            } else {
                self.waiting.push(Waiting {
                    tx,
                    since: now,
                    replaced: None,
                });
            }
        }
        let mut tip = fork;
        for number in 0..length {
            let here = again.iter().filter(|(place, _)| *place == number);
            let entries: Vec<Entry> = here
                .map(|(_, tx)| entry(Arc::clone(tx), plan, 0, random))
                .collect();
            let time = self.time_above(tip, now, random);
            tip = self.add(Some(tip), time, entries);
        }
        self.turn_to(tip);
        lost
    }

    /// Spends the same for somebody else.
    fn double_spend(&mut self, tx: &Tx, now: UnixMillis) -> Arc<Tx> {
        let other = Arc::new(Tx {
            id: TxId::new(&format!("{}-again", tx.id)),
            spends: tx.spends.clone(),
            pays: Vec::new(),
            sent_at: now,
        });
        self.note(&other);
        other
    }

    fn time_above(&self, below: BlockId, now: UnixMillis, random: &mut Random) -> UnixMillis {
        let skewed = now.plus_ms(random.between(-TIME_SKEW_MS, TIME_SKEW_MS));
        skewed.max(self.block(below).time.plus_ms(1))
    }
}

fn entry(tx: Arc<Tx>, plan: &ChainPlan, mined: u32, random: &mut Random) -> Entry {
    let fails = mined < 1_000_000 && random.is(plan.reverted);
    Entry {
        tx,
        has_succeeded: !fails,
    }
}
