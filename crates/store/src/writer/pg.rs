//! Units on Postgres: a transaction each, several at a time, again after a deadlock.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use sqlx::PgPool;
use tokio::sync::mpsc;

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
        let mut under_way = FuturesUnordered::new();
        poll_fn(|context| {
            if is_open && shutdown.poll_unpin(context).is_ready() {
                jobs.close();
            }
            loop {
                let mut is_moving = false;
                while is_open && under_way.len() < self.connections {
                    match jobs.poll_recv(context) {
                        Poll::Ready(Some(job)) => {
                            under_way.push(run_one(&self.pool, job));
                            is_moving = true;
                        }
                        Poll::Ready(None) => is_open = false,
                        Poll::Pending => break,
                    }
                }
                if let Poll::Ready(Some(())) = under_way.poll_next_unpin(context) {
                    is_moving = true;
                }
                if !is_moving {
                    break;
                }
            }
            if !is_open && under_way.is_empty() {
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
    let transaction = match pool.begin_with(Dialect::Pg.begin()).await {
        Ok(transaction) => transaction,
        Err(error) => return Ended::Refused(StoreError::step("begin", error)),
    };
    let mut tx = Tx(Conn::new(Either::Pg(Link::Transaction(transaction))));
    if !job.is_flushed()
        && let Err(error) = tx.command(PG_COMMIT_WITHOUT_FLUSH).await
    {
        return Ended::Refused(StoreError::step("begin", error));
    }
    let verdict = job.run(&mut tx).await;
    if verdict != Verdict::Keep {
        // A rollback that fails takes its connection with it; nothing was committed either way.
        if let Err(error) = tx.0.rollback().await {
            tracing::debug!(%error, "a rollback failed");
        }
        return if verdict == Verdict::Again {
            Ended::Again(None)
        } else {
            Ended::Answered
        };
    }
    match tx.0.commit().await {
        Ok(()) => Ended::Answered,
        Err(error) if is_retryable(&error) => Ended::Again(Some(StoreError::step("commit", error))),
        Err(error @ sqlx::Error::Database(_)) => {
            Ended::Refused(StoreError::statement("commit", error))
        }
        Err(error) => {
            tracing::error!(%error, unit = job.name(), "a commit failed half-way");
            Ended::Refused(StoreError::OutcomeUnknown(Arc::new(error)))
        }
    }
}
