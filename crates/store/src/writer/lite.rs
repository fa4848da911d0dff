//! Group commit on SQLite: one flush of the log for all units that wait at the same time.

use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either as Side, FutureExt, select};
use tokio::sync::{Notify, mpsc};

use super::batch::{Batch, GROUP_MAX};
use super::checkpoint::{COMMITS_MAX, Checkpoints};
use crate::conn::{Conn, Either, Link};
use crate::dialect::{Dialect, lite_writer};
use crate::error::StoreError;
use crate::probe::Moment;
use crate::store::Options;
use crate::unit::{Job, Tx, Verdict};

/// The one connection that writes a SQLite file.
pub(crate) struct Lite {
    path: PathBuf,
    options: Options,
    conn: Option<Tx>,
    /// Commits since the last checkpoint was due.
    commits: u32,
    checkpoint_due: Arc<Notify>,
}

/// Ends a savepoint whose work is part of the group.
const RELEASE: &str = "RELEASE unit";
/// Ends a savepoint whose work is undone; the group goes on.
const UNDO: &str = "ROLLBACK TO unit; RELEASE unit";

impl Lite {
    pub(crate) fn new(path: PathBuf, options: Options) -> Self {
        Self {
            path,
            options,
            conn: None,
            commits: 0,
            checkpoint_due: Arc::default(),
        }
    }

    pub(crate) async fn run(
        mut self,
        jobs: mpsc::Receiver<Box<dyn Job>>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        // A simulator ends processes at every moment of one connection.
        if self.options.probe.is_some() {
            self.write(jobs, shutdown).await;
        } else {
            let due = Arc::clone(&self.checkpoint_due);
            let mut checkpoints = Checkpoints::new(self.path.clone(), self.options.clone());
            {
                let beside = pin!(checkpoints.run(&due));
                select(pin!(self.write(jobs, shutdown)), beside).await;
            }
            checkpoints.close().await;
        }
        self.close().await;
    }

    async fn write(
        &mut self,
        mut jobs: mpsc::Receiver<Box<dyn Job>>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let mut shutdown = pin!(shutdown.fuse());
        loop {
            let mut group = Vec::with_capacity(GROUP_MAX);
            let asked_to_stop = {
                let received = pin!(jobs.recv_many(&mut group, GROUP_MAX));
                matches!(select(received, &mut shutdown).await, Side::Right(_))
            };
            if asked_to_stop || group.is_empty() {
                break;
            }
            self.commit(group).await;
        }
        jobs.close();
        let mut group = Vec::new();
        while jobs.recv_many(&mut group, GROUP_MAX).await != 0 {
            self.commit(std::mem::take(&mut group)).await;
        }
    }

    async fn close(mut self) {
        if let Some(Tx(Conn {
            inner: Either::Lite(Link::Own(conn)),
            ..
        })) = self.conn.take()
            && let Err(error) = sqlx::Connection::close(*conn).await
        {
            tracing::warn!(%error, "the database was not closed cleanly; it recovers when it is opened");
        }
    }

    /// Runs a group in one transaction and answers everybody. The connection is opened again after
    /// any failure of the transaction itself.
    async fn commit(&mut self, group: Vec<Box<dyn Job>>) {
        let mut tx = match self.begin().await {
            Ok(tx) => tx,
            Err(error) => return refuse(group, &StoreError::step("begin", error)),
        };
        let group = match <[_; 1]>::try_from(group) {
            Ok([job]) => return self.commit_one(tx, job).await,
            Err(group) => group,
        };
        let mut ran = Vec::with_capacity(group.len());
        let mut waiting = VecDeque::from(group);
        while let Some(batch) = Batch::take(&mut waiting, &[]) {
            let ended = match batch.alone() {
                Ok(job) => run_one(&mut tx, job, &mut ran).await,
                Err(batch) => run_batch(&mut tx, batch, &mut ran).await,
            };
            if let Err(error) = ended {
                ran.extend(waiting);
                return refuse(ran, &StoreError::step("savepoint", error));
            }
        }
        self.end(tx, ran).await;
    }

    /// Runs a unit that has the transaction to itself, and so needs no savepoint.
    async fn commit_one(&mut self, mut tx: Tx, mut job: Box<dyn Job>) {
        match job.run(&mut tx).await {
            Verdict::Keep => self.end(tx, vec![job]).await,
            Verdict::Undo | Verdict::Again => {
                tracing::debug!(unit = job.name(), "rolled back");
                match tx.command("ROLLBACK").await {
                    Ok(()) => {
                        self.conn = Some(tx);
                        job.answer();
                    }
                    Err(error) => job.refuse(StoreError::step("rollback", error)),
                }
            }
        }
    }

    /// Commits what ran, and answers everybody.
    async fn end(&mut self, mut tx: Tx, ran: Vec<Box<dyn Job>>) {
        tx.pass(Moment::Commit).await;
        match tx.command("COMMIT").await {
            Ok(()) => {
                tx.pass(Moment::Committed).await;
                self.conn = Some(tx);
                self.commits = self.commits.saturating_add(1) % COMMITS_MAX;
                if self.commits == 0 {
                    self.checkpoint_due.notify_one();
                }
                for job in ran {
                    job.answer();
                }
            }
            Err(error) => {
                tracing::error!(%error, units = ran.len(), "a commit failed");
                refuse(ran, &StoreError::OutcomeUnknown(Arc::new(error)));
            }
        }
    }

    async fn begin(&mut self) -> Result<Tx, sqlx::Error> {
        let mut tx = if let Some(tx) = self.conn.take() {
            tx
        } else {
            let conn = lite_writer(&self.path, &self.options).await?;
            let conn = Conn::new(Either::Lite(Link::Own(Box::new(conn))));
            Tx(conn.probed(self.options.probe.clone()))
        };
        tx.command(Dialect::Lite.begin()).await?;
        Ok(tx)
    }
}

/// Runs units as one, or else one after the other. An error loses the transaction of the whole group.
async fn run_batch(
    tx: &mut Tx,
    mut batch: Batch,
    ran: &mut Vec<Box<dyn Job>>,
) -> Result<(), sqlx::Error> {
    let is_kept = match tx.command("SAVEPOINT unit").await {
        Ok(()) => batch.run(tx).await,
        Err(error) => return lost(error, batch.into_jobs(), ran),
    };
    let end = if is_kept { RELEASE } else { UNDO };
    if let Err(error) = tx.command(end).await {
        return lost(error, batch.into_jobs(), ran);
    }
    if is_kept {
        ran.extend(batch.into_jobs());
        return Ok(());
    }
    tracing::debug!(unit = batch.name(), "not as one: each is run on its own");
    let mut jobs = batch.into_jobs();
    while let Some(job) = jobs.next() {
        if let Err(error) = run_one(tx, job, ran).await {
            return lost(error, jobs, ran);
        }
    }
    Ok(())
}

/// Runs a unit, and answers it if it is rolled back. An error loses the transaction of the whole group.
async fn run_one(
    tx: &mut Tx,
    mut job: Box<dyn Job>,
    ran: &mut Vec<Box<dyn Job>>,
) -> Result<(), sqlx::Error> {
    if let Err(error) = tx.command("SAVEPOINT unit").await {
        return lost(error, [job], ran);
    }
    // One writer meets neither deadlocks nor serialization failures, so again is undo.
    let is_kept = job.run(tx).await == Verdict::Keep;
    let end = if is_kept { RELEASE } else { UNDO };
    if let Err(error) = tx.command(end).await {
        return lost(error, [job], ran);
    }
    if is_kept {
        ran.push(job);
    } else {
        tracing::debug!(unit = job.name(), "rolled back");
        job.answer();
    }
    Ok(())
}

/// Keeps units for the answer that everybody gets.
fn lost(
    error: sqlx::Error,
    jobs: impl IntoIterator<Item = Box<dyn Job>>,
    ran: &mut Vec<Box<dyn Job>>,
) -> Result<(), sqlx::Error> {
    ran.extend(jobs);
    Err(error)
}

fn refuse(group: Vec<Box<dyn Job>>, error: &StoreError) {
    for job in group {
        job.refuse(error.clone());
    }
}
