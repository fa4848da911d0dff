//! The writer: runs units, one group after the other on SQLite, several at a time on Postgres.

mod batch;
mod checkpoint;
mod lite;
mod pg;

use std::future::Future;

use tokio::sync::mpsc;

use crate::unit::Job;

/// Units that wait for the writer; a caller waits when there are more.
pub(crate) const QUEUE_MAX: usize = 1024;

/// Runs the units that [`Store::write`](crate::Store::write) sends. There is one per open store, and
/// nothing is written unless somebody drives [`run`](Self::run).
pub struct Writer {
    pub(crate) jobs: mpsc::Receiver<Box<dyn Job>>,
    pub(crate) target: Target,
}

/// Where a writer writes.
pub(crate) enum Target {
    Lite(Box<lite::Lite>),
    Pg(pg::Pg),
}

pub(crate) use lite::Lite;
pub(crate) use pg::Pg;

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    /// Runs units until every [`Store`](crate::Store) is dropped, or until `shutdown` is ready: then
    /// it takes no new units, finishes those that were sent, and returns.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        match self.target {
            Target::Lite(lite) => lite.run(self.jobs, shutdown).await,
            Target::Pg(pg) => pg.run(self.jobs, shutdown).await,
        }
    }
}
