//! Exceptions: what a person has to decide about an invoice.
//!
//! The fold finds them among the facts. What was found and is not kept yet is opened; what is kept as
//! open and not found any more has resolved itself. Nothing is deleted.

use crate::fold::Folded;
use crate::id::{ExceptionId, TransferId};
use crate::time::UnixMillis;

/// What there is to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExceptionKind {
    /// Money went to another form of an option's key. It does not count; the merchant can spend it.
    Recoverable,
}

impl ExceptionKind {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::Recoverable];

    /// The name in API, events and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recoverable => "recoverable",
        }
    }

    /// The kind with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// An exception that the facts call for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What there is to decide.
    pub kind: ExceptionKind,
    /// The transfer that it is about. A transfer has at most one open exception of a kind.
    pub transfer: TransferId,
}

/// An exception that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Public id.
    pub id: ExceptionId,
    /// What it says.
    pub finding: Finding,
    /// When it was told.
    pub opened_at: UnixMillis,
    /// When it was told that nothing has to be decided any more; `None` while it is open.
    pub resolved_at: Option<UnixMillis>,
}

impl Exception {
    /// Whether somebody has to decide.
    pub fn is_open(&self) -> bool {
        self.resolved_at.is_none()
    }
}

/// The difference between the exceptions that were told and those that a fold finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExceptionNews {
    /// Found and not open: to be opened.
    pub opened: Vec<Finding>,
    /// Open and not found any more: resolved.
    pub resolved: Vec<ExceptionId>,
}

impl ExceptionNews {
    /// Compares what was told with what is found. The order of both is kept.
    pub fn between(told: &[Exception], folded: &Folded) -> Self {
        let open = || told.iter().filter(|exception| exception.is_open());
        let is_open = |finding: &Finding| open().any(|exception| exception.finding == *finding);
        let opened = folded
            .exceptions
            .iter()
            .copied()
            .filter(|finding| !is_open(finding));
        let resolved = open().filter(|exception| !folded.exceptions.contains(&exception.finding));
        Self {
            opened: opened.collect(),
            resolved: resolved.map(|exception| exception.id).collect(),
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.resolved.is_empty()
    }
}
