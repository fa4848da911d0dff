//! What people ask of a worker, carried out beside following.

use std::collections::BTreeSet;
use std::sync::Arc;

use paywatch_chain::{Source, SourceError};
use paywatch_domain::{BlockRef, Findings, Task, UnixMillis};
use paywatch_store::requests::{self, Progress, Request, RequestState, Unreadable};
use paywatch_store::{RequestKey, invoices};

use super::following::Following;
use super::piece::{Obstacle, piece};
use super::reading::Reading;
use super::wallet_scan::WalletScan;
use super::{Fault, Parts, is_lasting};
use crate::apply::{Aim, ApplyRescan};
use crate::error::EngineError;
use crate::units::{FailRequest, RecordRequest, Used};

impl<S: Source> Following<S> {
    /// Looks for requests, scans what has arrived for one, and records what is complete.
    pub(super) async fn attend(
        &mut self,
        source: &Arc<S>,
        parts: &mut Parts,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        if std::mem::take(&mut self.looks) {
            self.look(parts, now).await?;
        }
        let Some(mut reading) = self.reading.take() else {
            return Ok(false);
        };
        let progress = match self.read_on(source, parts, &mut reading, now).await {
            Ok(progress) => progress,
            Err(fault) => {
                let why = of_request(fault)?;
                give_up(parts, self.lease.fence, &mut reading.asked, why, now).await?;
                true
            }
        };
        let Request {
            id, progress: how, ..
        } = &reading.asked;
        if how.state == RequestState::Running {
            self.put_back(reading, now);
            return Ok(progress);
        }
        tracing::info!(request = %id, state = how.state.as_str(), findings = ?how.findings, "a request is over");
        self.looks = true;
        Ok(true)
    }

    /// Scans the next few blocks of a request, and records a piece that is complete.
    async fn read_on(
        &mut self,
        source: &Arc<S>,
        parts: &mut Parts,
        reading: &mut Reading<S>,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        reading.keep_to(self.branch, now);
        if reading.piece.is_none() && !reading.is_resting(now) {
            let mut conn = parts.store.read().await?;
            let (heights, is_scan) = (reading.wanted(), reading.wallet.is_some());
            match piece(&mut conn, &parts.spec.name, heights, is_scan).await? {
                Ok(piece) => reading.piece = Some(piece),
                Err(obstacle) => {
                    reading.rest(now);
                    suffer(parts, self.lease.fence, &mut reading.asked, obstacle, now).await?;
                }
            }
        }
        if reading.has_next() && reading.wallet.is_none() {
            self.refresh_watched(&parts.store, parts.spec.family)
                .await?;
        }
        let progress = match reading.scan(source, &self.watched, now) {
            Ok(progress) => progress,
            Err(obstacle) => {
                suffer(parts, self.lease.fence, &mut reading.asked, obstacle, now).await?;
                return Ok(true);
            }
        };
        if !reading.is_complete() {
            return Ok(progress);
        }
        if reading.wallet.is_some() {
            self.record_scan(parts, reading, now).await?;
        } else {
            self.record_rescan(parts, reading, now).await?;
        }
        Ok(true)
    }

    /// Takes a block that was read for the request under way.
    pub(super) async fn take_reread(
        &mut self,
        parts: &Parts,
        round: u64,
        height: u64,
        block: Result<Option<(BlockRef, S::Raw)>, SourceError>,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        let Some(reading) = &mut self.reading else {
            return Ok(false);
        };
        let Err(obstacle) = reading.take(round, height, block, now) else {
            return Ok(true);
        };
        let Some(mut reading) = self.reading.take() else {
            return Ok(true);
        };
        suffer(parts, self.lease.fence, &mut reading.asked, obstacle, now).await?;
        if reading.asked.progress.state == RequestState::Running {
            self.put_back(reading, now);
        } else {
            self.looks = true;
        }
        Ok(true)
    }

    /// Says how far a resumed chain is, lets go of what was withdrawn, and begins with the request whose turn
    /// it is.
    async fn look(&mut self, parts: &mut Parts, now: UnixMillis) -> Result<(), Fault> {
        let open = requests::open(&mut parts.store.read().await?, &parts.spec.name).await?;
        let mut line = Vec::new();
        for request in open {
            match request {
                Ok(request) if request.task == Task::Resume => {
                    self.follow_resume(parts, &request, now).await?;
                }
                Ok(request) => {
                    line.push(request);
                }
                Err(Unreadable { key, error }) => {
                    tracing::error!(%error, "a request cannot be understood");
                    fail(parts, self.lease.fence, key, error.to_string(), now).await?;
                }
            }
        }
        let keys: BTreeSet<RequestKey> = line.iter().map(|request| request.key).collect();
        let is_open = |asked: &Request| keys.contains(&asked.key);
        self.reading.take_if(|one| !is_open(&one.asked));
        self.locating.take_if(|one| !is_open(&one.asked));
        if self.reading.is_some() || self.locating.is_some() || self.follower.cursor().is_none() {
            return Ok(());
        }
        let Some(mut request) = self.line.next(line, now) else {
            return Ok(());
        };
        let Err(fault) = self.start(parts, &mut request, now).await else {
            return Ok(());
        };
        let why = of_request(fault)?;
        give_up(parts, self.lease.fence, &mut request, why, now).await
    }

    async fn start(
        &mut self,
        parts: &mut Parts,
        request: &mut Request,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let aim = match aim(parts, request).await? {
            Ok(aim) => aim,
            Err(why) => return give_up(parts, self.lease.fence, request, why, now).await,
        };
        let wallet = match WalletScan::of(parts, request).await? {
            Ok(wallet) => wallet,
            Err(why) => return give_up(parts, self.lease.fence, request, why, now).await,
        };
        let heights = request.task.heights();
        request.progress.state = RequestState::Running;
        request.progress.blocks_total =
            heights.map(|(from, to)| to.saturating_sub(from).saturating_add(1));
        note(parts, self.lease.fence, request, None, now).await?;
        tracing::info!(request = %request.id, kind = request.task.kind(), ?heights, "a request begins");
        if matches!(request.task, Task::Check { .. }) {
            // The mempool is read at once, and recorded even if it is what it was.
            self.poll_at = now;
            self.said = None;
        }
        self.begin_reading(parts, request, aim, wallet).await
    }

    /// Raises the counter above what was found, with every piece: what happens to the scan later must not
    /// bring a used address back.
    async fn record_scan(
        &mut self,
        parts: &mut Parts,
        reading: &mut Reading<S>,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let used = reading.wallet.as_ref().and_then(WalletScan::used);
        if let Some(used) = &used {
            // Before the database: an index is never taken for free where it is not.
            let next = used.highest.saturating_add(1);
            if let Err(error) = parts.high_water.raise(&used.node, next).await {
                let why = format!("the high-water mark cannot be kept: {error}");
                return give_up(parts, self.lease.fence, &mut reading.asked, why, now).await;
            }
        }
        let read = u64::try_from(reading.found().len()).unwrap_or(u64::MAX);
        let is_last = reading.is_last();
        let progress = &mut reading.asked.progress;
        progress.blocks_done = progress.blocks_done.saturating_add(read);
        progress.error = None;
        progress.findings = Some(Findings {
            highest_index: used.as_ref().map(|used| used.highest),
            ..Findings::default()
        });
        if is_last {
            progress.state = RequestState::Done;
        }
        note(parts, self.lease.fence, &reading.asked, used, now).await?;
        reading.recorded();
        self.line.goes_on(reading.asked.key);
        Ok(())
    }

    /// Records what was read again, and with the last of it the result.
    async fn record_rescan(
        &mut self,
        parts: &mut Parts,
        reading: &mut Reading<S>,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let seal = reading.piece.as_ref().and_then(|piece| piece.seal.clone());
        let Some(seal) = seal else {
            reading.rest(now);
            return Ok(());
        };
        let height = seal.height;
        let unit = ApplyRescan {
            chain: parts.spec.name.clone(),
            spec: Arc::clone(&parts.spec),
            fence: self.lease.fence,
            blocks: reading.found(),
            aim: reading.aim.clone(),
            seal,
            request: reading.asked.key,
            progress: reading.asked.progress.clone(),
            blocks_done: reading.done(),
            is_last: reading.is_last(),
            now,
            seed: parts.seed(),
            master: Arc::clone(&parts.master),
        };
        if let Some(progress) = parts.store.write(unit).await? {
            reading.asked.progress = progress;
            reading.recorded();
            self.line.goes_on(reading.asked.key);
            return Ok(());
        }
        reading.rest(now);
        let obstacle = Obstacle::not_followed(height);
        suffer(parts, self.lease.fence, &mut reading.asked, obstacle, now).await
    }

    /// A chain that goes on after a halt is done when the node's tip is reached.
    async fn follow_resume(
        &mut self,
        parts: &Parts,
        request: &Request,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let Some(remaining) = self.follower.remaining() else {
            return Ok(());
        };
        let before = &request.progress;
        let total = before.blocks_total.unwrap_or(0).max(remaining);
        let progress = Progress {
            state: if self.follower.is_at_tip() {
                RequestState::Done
            } else {
                RequestState::Running
            },
            blocks_done: total.saturating_sub(remaining),
            blocks_total: Some(total),
            ..before.clone()
        };
        if progress == *before {
            return Ok(());
        }
        let request = Request {
            progress,
            ..request.clone()
        };
        note(parts, self.lease.fence, &request, None, now).await
    }
}

/// Which transfers a request is about. Answers a sentence when that cannot be said.
async fn aim(parts: &Parts, request: &Request) -> Result<Result<Aim, String>, Fault> {
    let Some(id) = request.task.invoice() else {
        return Ok(Ok(Aim::Everything));
    };
    let Some(merchant) = request.merchant else {
        return Ok(Err("it names no merchant".into()));
    };
    let mut conn = parts.store.read().await?;
    let invoice = invoices::find(&mut conn, merchant, parts.spec.mode, id).await?;
    Ok(match (invoice, &request.task) {
        (None, _) => Err(format!("there is no invoice {id}")),
        (Some(invoice), Task::Attach { tx_id, .. }) => Ok(Aim::Transaction(invoice, tx_id.clone())),
        (Some(invoice), _) => Ok(Aim::Invoice(invoice)),
    })
}

/// What is wrong with the request under way: it cannot be stored or read, which is no reason to stop
/// following. Any other fault is the worker's.
fn of_request(fault: Fault) -> Result<String, Fault> {
    match fault {
        Fault::Engine(EngineError::Store(error)) if is_lasting(&error) => Ok(error.to_string()),
        fault => Err(fault),
    }
}

/// Ends a request that cannot be carried out.
async fn give_up(
    parts: &Parts,
    fence: i64,
    asked: &mut Request,
    why: String,
    now: UnixMillis,
) -> Result<(), Fault> {
    tracing::error!(request = %asked.id, why, "a request failed");
    asked.progress.state = RequestState::Failed;
    fail(parts, fence, asked.key, why, now).await
}

/// The request waits, and following goes on. What waiting does not help ends it.
pub(super) async fn suffer(
    parts: &Parts,
    fence: i64,
    asked: &mut Request,
    obstacle: Obstacle,
    now: UnixMillis,
) -> Result<(), Fault> {
    let Obstacle { text, is_lasting } = obstacle;
    if is_lasting {
        return give_up(parts, fence, asked, text, now).await;
    }
    if asked.progress.error.as_ref() != Some(&text) {
        asked.progress.error = Some(text);
        note(parts, fence, asked, None, now).await?;
    }
    Ok(())
}

async fn fail(
    parts: &Parts,
    fence: i64,
    request: RequestKey,
    why: String,
    now: UnixMillis,
) -> Result<(), Fault> {
    let unit = FailRequest {
        chain: parts.spec.name.clone(),
        fence,
        request,
        why,
        now,
    };
    Ok(parts.store.write(unit).await?)
}

/// Records how far a request is.
pub(super) async fn note(
    parts: &Parts,
    fence: i64,
    request: &Request,
    used: Option<Used>,
    now: UnixMillis,
) -> Result<(), Fault> {
    let unit = RecordRequest {
        chain: parts.spec.name.clone(),
        fence,
        request: request.key,
        progress: request.progress.clone(),
        used,
        now,
    };
    Ok(parts.store.write(unit).await?)
}
