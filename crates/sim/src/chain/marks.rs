//! Marks: up to where a chain will not go back, and what its endpoints say of that.

use std::collections::{BTreeMap, BTreeSet};

use paywatch_domain::{BlockHash, BlockRef, Mark};

use super::ledger::{BlockId, Ledger};
use super::node::Node;
use crate::random::Random;
use crate::scenario::ChainPlan;

/// The marks of one chain.
#[derive(Debug, Default)]
pub struct Marking {
    /// The truth: it goes back with branches alone.
    pub marked: BTreeMap<Mark, BlockId>,
    /// Every block of which an endpoint said so, by its mark: also what was wrong.
    pub said: BTreeMap<Mark, BTreeSet<BlockId>>,
    /// Whether an endpoint may have called final what is not, or is not any more.
    pub is_word_broken: bool,
    is_still: bool,
}

impl Marking {
    /// The marks of a chain on which nothing has happened.
    pub(super) fn new(plan: &ChainPlan, ledger: &Ledger) -> Self {
        let marked = plan.marks.iter().map(|(mark, lag)| {
            let behind = behind(ledger, *lag);
            (*mark, behind)
        });
        Self {
            marked: marked.collect(),
            ..Self::default()
        }
    }
}

/// The block of the best branch with so many above it.
fn behind(ledger: &Ledger, lag: u64) -> BlockId {
    let lag = usize::try_from(lag).unwrap_or(0);
    let mut down = ledger.down_from(ledger.best()).skip(lag);
    down.next().map_or(ledger.best(), |(id, _)| id)
}

impl Node {
    /// Moves the marks after a block or a branch; now and then they stand still for a while.
    pub fn mark(&mut self, random: &mut Random) {
        if random.is(self.plan.still) {
            self.marking.is_still = !self.marking.is_still;
        }
        let (ledger, is_still) = (&self.ledger, self.marking.is_still && !self.is_calm);
        for (mark, lag) in &self.plan.marks {
            let Some(marked) = self.marking.marked.get_mut(mark) else {
                continue;
            };
            let kept = ledger.fork_of(ledger.best(), *marked);
            self.marking.is_word_broken |= kept != *marked && *mark == Mark::Finalized;
            let next = behind(ledger, *lag);
            let height = |id| ledger.block(id).at.height;
            let moves = !is_still && height(kept) < height(next);
            *marked = if moves { next } else { kept };
        }
    }

    /// How many blocks stand above what is finalized: no branch undoes more, but beyond the limit.
    pub fn unfinalized(&self) -> Option<u64> {
        let finalized = *self.marking.marked.get(&Mark::Finalized)?;
        let best = self.ledger.block(self.ledger.best()).at.height;
        Some(best.saturating_sub(self.ledger.block(finalized).at.height))
    }

    /// What the endpoint that is asked says: of its own branch, what the network has marked.
    pub(super) fn marks(&mut self, is_lie: bool) -> BTreeMap<Mark, BlockRef> {
        let tip = self.endpoint().tip;
        let kind = if is_lie {
            self.random.below(6)
        } else {
            u64::MAX
        };
        let mut answer = BTreeMap::new();
        for (mark, marked) in self.marking.marked.clone() {
            let honest = self.ledger.fork_of(tip, marked);
            let said = match kind {
                0 => continue,
                // A block that nobody made.
                1 => {
                    let at = self.invented();
                    answer.insert(mark, at);
                    continue;
                }
                // Any block of late, of whatever branch.
                2 => self.recent(),
                // Less than before.
                3 | 4 => {
                    let less = usize::try_from(self.random.below(6)).unwrap_or(0);
                    let mut down = self.ledger.down_from(honest).skip(less);
                    down.next().map_or(honest, |(id, _)| id)
                }
                // Everything.
                5 if self.random.is(300_000) => tip,
                _ => honest,
            };
            let is_true = self.ledger.fork_of(said, marked) == said;
            self.marking.is_word_broken |= !is_true && mark == Mark::Finalized;
            self.marking.said.entry(mark).or_default().insert(said);
            answer.insert(mark, self.ledger.block(said).at.clone());
        }
        answer
    }

    fn invented(&mut self) -> BlockRef {
        let best = self.ledger.block(self.ledger.best()).at.height;
        let height = best.saturating_sub(1).saturating_add(self.random.below(3));
        let hash = BlockHash::new(&format!("invented-{}", self.random.draw()));
        BlockRef { height, hash }
    }

    fn recent(&mut self) -> BlockId {
        let back = usize::try_from(self.random.below(4)).unwrap_or(0);
        self.ledger.best().saturating_sub(back)
    }
}
