//! The simulator's place in the store: it sees what is about to happen, and may end the process there.

use std::fmt;
use std::sync::Arc;

/// A moment at which a process may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the statement of this name.
    Statement(&'static str),
    /// Before the commit of what was written.
    Commit,
    /// After the commit, and before anybody is told of it.
    Committed,
}

/// Watches a store at work.
pub trait Probe: fmt::Debug + Send + Sync {
    /// Whether the process lives on. When it does not, whoever asked waits forever, and is dropped.
    fn lives_on(&self, moment: Moment) -> bool;
}

/// Passes a moment, unless the process ends there.
pub(crate) async fn pass(probe: Option<&Arc<dyn Probe>>, moment: Moment) {
    if probe.is_some_and(|probe| !probe.lives_on(moment)) {
        std::future::pending::<()>().await;
    }
}
