//! Units on Postgres: a transaction each, or one for those that are run as one; several at a time, again after a
//! deadlock.

use std::any::TypeId;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use sqlx::PgPool;
use tokio::sync::mpsc;

use super::batch::{Batch, GROUP_MAX};
use crate::conn::{Conn, Either, Link};
use crate::dialect::{Dialect, PG_COMMIT_WITHOUT_FLUSH};
use crate::error::{StoreError, is_retryable};
use crate::unit::{Job, Tx, Verdict};

/// Runs of one unit before its last error is the answer.
const RUNS_MAX: u32 = 10;

/// The pool whose connections write.
pub(crate) struct Pg {
    pool: PgPool,
    connections: usize,
}

/// How one run ended, for a unit that is not to be run again.
enum Ended {
    /// Answer with its result.
    Answered,
    /// Answer with this error instead.
    Refused(StoreError),
    /// Run it again; this is the answer if there are no runs left.
    Again(Option<StoreError>),
}

impl Pg {
    pub(crate) fn new(pool: PgPool, connections: u32) -> Self {
        Self {
            pool,
            connections: usize::try_from(connections.max(1)).unwrap_or(1),
        }
    }

    pub(crate) async fn run(
        self,
        mut jobs: mpsc::Receiver<Box<dyn Job>>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let mut shutdown = pin!(shutdown.fuse());
        let mut is_open = true;
        let mut waiting = VecDeque::new();
        // While a batch is under way, the next one of its kind gathers.
        let mut busy: Vec<TypeId> = Vec::new();
        let mut under_way = FuturesUnordered::new();
        poll_fn(|context| {
            if is_open && shutdown.poll_unpin(context).is_ready() {
                jobs.close();
            }
            loop {
                let mut is_moving = false;
                while is_open && waiting.len() < GROUP_MAX {
                    match jobs.poll_recv(context) {
                        Poll::Ready(Some(job)) => waiting.push_back(job),
                        Poll::Ready(None) => is_open = false,
                        Poll::Pending => break,
                    }
                }
                while under_way.len() < self.connections
                    && let Some(batch) = Batch::take(&mut waiting, &busy)
                {
                    busy.extend(batch.kind());
                    under_way.push(run_batch(&self.pool, batch));
                    is_moving = true;
                }
                if let Poll::Ready(Some(kind)) = under_way.poll_next_unpin(context) {
                    busy.retain(|busy| Some(*busy) != kind);
                    is_moving = true;
                }
                if !is_moving {
                    break;
                }
            }
            if !is_open && waiting.is_empty() && under_way.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        drop(under_way);
        self.pool.close().await;
    }
}

/// Runs units as one, or else one after the other; answers what kind they are.
async fn run_batch(pool: &PgPool, batch: Batch) -> Option<TypeId> {
    let kind = batch.kind();
    let mut batch = match batch.alone() {
        Ok(job) => {
            run_one(pool, job).await;
            return kind;
        }
        Err(batch) => batch,
    };
    match attempt_together(pool, &mut batch).await {
        Ended::Answered => batch.into_jobs().for_each(Job::answer),
        Ended::Refused(error) => {
            batch.into_jobs().for_each(|job| job.refuse(error.clone()));
        }
        Ended::Again(_) => {
            tracing::debug!(unit = batch.name(), "not as one: each is run on its own");
            for job in batch.into_jobs() {
                run_one(pool, job).await;
            }
        }
    }
    kind
}

/// Runs units in one transaction; again means each on its own.
async fn attempt_together(pool: &PgPool, batch: &mut Batch) -> Ended {
    let mut tx = match begin(pool, batch.is_flushed()).await {
        Ok(tx) => tx,
        Err(error) => return Ended::Refused(error),
    };
    if batch.run(&mut tx).await {
        return commit(tx, batch.name()).await;
    }
    undo(tx).await;
    Ended::Again(None)
}

async fn run_one(pool: &PgPool, mut job: Box<dyn Job>) {
    let mut runs = 1;
    loop {
        match attempt(pool, &mut job).await {
            Ended::Answered => return job.answer(),
            Ended::Refused(error) => return job.refuse(error),
            Ended::Again(error) if RUNS_MAX <= runs => {
                return match error {
                    Some(error) => job.refuse(error),
                    None => job.answer(),
                };
            }
            Ended::Again(_) => {
                runs += 1;
                tracing::debug!(unit = job.name(), runs, "runs again after a deadlock");
            }
        }
    }
}

async fn attempt(pool: &PgPool, job: &mut Box<dyn Job>) -> Ended {
    let mut tx = match begin(pool, job.is_flushed()).await {
        Ok(tx) => tx,
        Err(error) => return Ended::Refused(error),
    };
    match job.run(&mut tx).await {
        Verdict::Keep => commit(tx, job.name()).await,
        Verdict::Undo => {
            undo(tx).await;
            Ended::Answered
        }
        Verdict::Again => {
            undo(tx).await;
            Ended::Again(None)
        }
    }
}

async fn begin(pool: &PgPool, is_flushed: bool) -> Result<Tx, StoreError> {
    let failed = |error| StoreError::step("begin", error);
    let transaction = pool.begin_with(Dialect::Pg.begin()).await.map_err(failed)?;
    let mut tx = Tx(Conn::new(Either::Pg(Link::Transaction(transaction))));
    if !is_flushed {
        let command = tx.command(PG_COMMIT_WITHOUT_FLUSH).await;
        command.map_err(failed)?;
    }
    Ok(tx)
}

/// A rollback that fails takes its connection with it; nothing was committed either way.
async fn undo(tx: Tx) {
    if let Err(error) = tx.0.rollback().await {
        tracing::debug!(%error, "a rollback failed");
    }
}

async fn commit(tx: Tx, unit: &'static str) -> Ended {
    match tx.0.commit().await {
        Ok(()) => Ended::Answered,
        Err(error) if is_retryable(&error) => Ended::Again(Some(StoreError::step("commit", error))),
        Err(error @ sqlx::Error::Database(_)) => {
            Ended::Refused(StoreError::statement("commit", error))
        }
        Err(error) => {
            tracing::error!(%error, unit, "a commit failed half-way");
            Ended::Refused(StoreError::OutcomeUnknown(Arc::new(error)))
        }
    }
}
