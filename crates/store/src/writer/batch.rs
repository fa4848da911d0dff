//! Units that are run as one: those of one kind that wait at the same time.

use std::any::TypeId;
use std::collections::VecDeque;

use crate::unit::{Job, Tx};

/// Units that share one transaction.
pub(super) const GROUP_MAX: usize = 64;

/// Units of one kind, or one unit alone; never empty.
pub(super) struct Batch {
    first: Box<dyn Job>,
    others: Vec<Box<dyn Job>>,
}

impl Batch {
    /// Takes the unit that waited longest, of those whose kind is not `busy`, and with it others of its kind.
    pub(super) fn take(waiting: &mut VecDeque<Box<dyn Job>>, busy: &[TypeId]) -> Option<Self> {
        let is_free = |kind: Option<TypeId>| kind.is_none_or(|kind| !busy.contains(&kind));
        let at = waiting.iter().position(|job| is_free(job.kind()))?;
        let first = waiting.remove(at)?;
        let Some(kind) = first.kind() else {
            return Some(Self::from(first));
        };
        let (mut others, mut rest) = (Vec::new(), VecDeque::with_capacity(waiting.len()));
        for job in waiting.drain(..) {
            if others.len() < GROUP_MAX - 1 && job.kind() == Some(kind) {
                others.push(job);
            } else {
                rest.push_back(job);
            }
        }
        *waiting = rest;
        Some(Self { first, others })
    }

    pub(super) fn kind(&self) -> Option<TypeId> {
        self.first.kind()
    }

    pub(super) fn name(&self) -> &'static str {
        self.first.name()
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.first.is_flushed()
    }

    /// Runs all of it as one; `false` when what was written has to be undone and each run on its own.
    pub(super) async fn run(&mut self, tx: &mut Tx) -> bool {
        self.first.run_with(&mut self.others, tx).await
    }

    /// The only unit, or all of them.
    pub(super) fn alone(self) -> Result<Box<dyn Job>, Self> {
        if self.others.is_empty() {
            Ok(self.first)
        } else {
            Err(self)
        }
    }

    pub(super) fn into_jobs(self) -> impl Iterator<Item = Box<dyn Job>> {
        std::iter::once(self.first).chain(self.others)
    }
}

impl From<Box<dyn Job>> for Batch {
    fn from(first: Box<dyn Job>) -> Self {
        let others = Vec::new();
        Self { first, others }
    }
}
