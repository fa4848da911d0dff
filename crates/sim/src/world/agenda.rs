//! What will happen, in the order in which it will.

use std::collections::BTreeMap;

use paywatch_domain::UnixMillis;

use crate::chain::{BlockId, Tx};

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// The next block of a chain.
    Mine(usize),
    /// An endpoint of a chain hears of a block.
    Learn(usize, usize, BlockId),
    /// Somebody sends a transaction to a chain.
    Send(usize, Tx),
    /// A waiting transaction of a chain is dropped.
    Evict(usize),
    /// The merchant asks for the invoice of this number.
    Order(usize),
    /// The merchant cancels the invoice of this number.
    Cancel(usize),
    /// A merchant's server changes its mood, or the watcher's clock jumps.
    Hour,
    /// The process is started.
    Start,
    /// Somebody looks at a halted chain and lets it go on.
    Resume(usize),
    /// Somebody reads blocks of a chain again.
    Rescan(usize),
    /// The auditor looks.
    Audit,
    /// Troubles end.
    Calm,
}

/// Tasks by time; those of one time in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    tasks: BTreeMap<(i64, u64), Task>,
    count: u64,
}

impl Agenda {
    /// Adds a task.
    pub(super) fn add(&mut self, at: UnixMillis, task: Task) {
        self.count = self.count.saturating_add(1);
        self.tasks.insert((at.0, self.count), task);
    }

    /// When the next task is due.
    pub(super) fn next(&self) -> Option<UnixMillis> {
        let first = self.tasks.first_key_value();
        first.map(|((at, _), _)| UnixMillis(*at))
    }

    /// Takes out the next task that is due.
    pub(super) fn due(&mut self, now: UnixMillis) -> Option<Task> {
        let first = self.tasks.first_entry()?;
        (first.key().0 <= now.0).then(|| first.remove())
    }

    /// Whether nobody is going to pay or to cancel anything.
    pub(super) fn has_no_payments(&self) -> bool {
        let mut tasks = self.tasks.values();
        !tasks.any(|task| matches!(task, Task::Send(..) | Task::Cancel(_)))
    }
}
