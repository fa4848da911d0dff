//! What people ask of a worker, carried out beside following.

use std::sync::Arc;

use paywatch_chain::{Source, SourceError};
use paywatch_domain::{BlockRef, Findings, Task, UnixMillis};
use paywatch_store::requests::{self, Progress, Request, RequestState};

use super::following::{Following, seed};
use super::reading::Reading;
use super::wallet_scan::WalletScan;
use super::{Fault, Parts, is_lasting};
use crate::apply::ApplyRescan;
use crate::error::EngineError;
use crate::units::{RecordRequest, Used};

impl<S: Source> Following<S> {
    /// Looks for requests, scans what has arrived for one, and records what is due.
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
        reading.keep_to(self.branch, now);
        if reading.has_next() && reading.wallet.is_none() {
            self.refresh_watched(&parts.store, parts.spec.family)
                .await?;
        }
        let progress = match reading.scan(source, &self.watched, now) {
            Ok(progress) => progress,
            Err(error) => {
                self.reading = Some(reading);
                self.suffer(parts, &error, now).await?;
                return Ok(true);
            }
        };
        if !reading.is_due(now) {
            self.reading = Some(reading);
            return Ok(progress);
        }
        match self.record(parts, &mut reading, now).await {
            Ok(()) => {}
            // What it says cannot be stored: no reason to stop following.
            Err(Fault::Engine(EngineError::Store(error))) if is_lasting(&error) => {
                tracing::error!(%error, "a request failed");
                let asked = &reading.asked;
                give_up(parts, self.lease.fence, asked, &error.to_string(), now).await?;
                return Ok(true);
            }
            Err(fault) => return Err(fault),
        }
        if reading.asked.progress.state == RequestState::Running {
            self.reading = Some(reading);
        } else {
            let Request { id, progress, .. } = &reading.asked;
            tracing::info!(request = %id, findings = ?progress.findings, "a request is done");
            self.looks = true;
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
        if let Err(error) = reading.take(round, height, block, now) {
            self.suffer(parts, &error, now).await?;
        }
        Ok(true)
    }

    /// Says how far a resumed chain is, and begins with the oldest request that blocks are read for.
    async fn look(&mut self, parts: &mut Parts, now: UnixMillis) -> Result<(), Fault> {
        let open = requests::open(&mut parts.store.read().await?, &parts.spec.name).await?;
        for request in &open {
            if request.task == Task::Resume {
                self.follow_resume(parts, request, now).await?;
            }
        }
        if self.reading.is_some() || self.follower.cursor().is_none() {
            return Ok(());
        }
        let next = open.into_iter().find_map(|request| {
            let heights = request.task.heights()?;
            Some((request, heights))
        });
        if let Some((request, heights)) = next {
            self.start(parts, request, heights, now).await?;
        }
        Ok(())
    }

    async fn start(
        &mut self,
        parts: &mut Parts,
        mut request: Request,
        heights: (u64, u64),
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let wallet = match &request.task {
            Task::Resume | Task::Rescan { .. } => None,
            Task::WalletScan {
                merchant, wallet, ..
            } => {
                let findings = request.progress.findings.unwrap_or_default();
                let (merchant, wallet) = (*merchant, *wallet);
                let known = findings.highest_index;
                match WalletScan::open(parts, request.merchant, merchant, wallet, known).await? {
                    Ok(scan) => Some(scan),
                    Err(why) => return give_up(parts, self.lease.fence, &request, &why, now).await,
                }
            }
        };
        let (from, to) = heights;
        request.progress.state = RequestState::Running;
        request.progress.blocks_total = Some(to.saturating_sub(from).saturating_add(1));
        note(parts, self.lease.fence, &request, None, now).await?;
        tracing::info!(request = %request.id, kind = request.task.kind(), from, to, "reading blocks again");
        self.reading = Some(Reading::new(request, wallet, heights, self.branch, now));
        Ok(())
    }

    /// Records what was scanned, and with the last of it the result.
    async fn record(
        &mut self,
        parts: &mut Parts,
        reading: &mut Reading<S>,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let is_last = reading.is_last();
        if let Some(wallet) = &reading.wallet {
            let read = u64::try_from(reading.scanned.len()).unwrap_or(u64::MAX);
            let progress = &mut reading.asked.progress;
            progress.blocks_done = progress.blocks_done.saturating_add(read);
            progress.error = None;
            progress.findings = Some(Findings {
                highest_index: wallet.highest,
                ..Findings::default()
            });
            let mut used = None;
            if is_last {
                progress.state = RequestState::Done;
                used = wallet.used();
            }
            if let Some(used) = &used {
                // Before the database: an index is never taken for free where it is not.
                let next = used.highest.saturating_add(1);
                let raised = parts.high_water.raise(&used.node, next);
                if let Err(error) = raised {
                    let why = format!("the high-water mark cannot be kept: {error}");
                    reading.asked.progress.state = RequestState::Failed;
                    return give_up(parts, self.lease.fence, &reading.asked, &why, now).await;
                }
            }
            note(parts, self.lease.fence, &reading.asked, used, now).await?;
            reading.recorded(now);
            return Ok(());
        }
        let unit = ApplyRescan {
            chain: parts.spec.name.clone(),
            family: parts.spec.family,
            fence: self.lease.fence,
            blocks: reading.scanned.clone(),
            request: reading.asked.key,
            progress: reading.asked.progress.clone(),
            is_last,
            now,
            seed: seed(&mut *parts.entropy),
            master: Arc::clone(&parts.master),
        };
        match parts.store.write(unit).await? {
            Some(progress) => {
                reading.asked.progress = progress;
                reading.recorded(now);
            }
            // The node is on another branch than we are; one of us will follow.
            None => reading.rest(now),
        }
        Ok(())
    }

    /// A node that cannot give a block: the request waits and following goes on. What nobody can give
    /// any more ends it.
    async fn suffer(
        &mut self,
        parts: &Parts,
        error: &SourceError,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let Some(mut reading) = self.reading.take() else {
            return Ok(());
        };
        let text = error.to_string();
        if matches!(error, SourceError::Pruned { .. }) {
            return give_up(parts, self.lease.fence, &reading.asked, &text, now).await;
        }
        if reading.asked.progress.error.as_ref() != Some(&text) {
            reading.asked.progress.error = Some(text);
            note(parts, self.lease.fence, &reading.asked, None, now).await?;
        }
        self.reading = Some(reading);
        Ok(())
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

/// Ends a request that cannot be carried out.
async fn give_up(
    parts: &Parts,
    fence: i64,
    request: &Request,
    why: &str,
    now: UnixMillis,
) -> Result<(), Fault> {
    tracing::error!(request = %request.id, why, "a request failed");
    let request = Request {
        progress: Progress {
            state: RequestState::Failed,
            error: Some(why.into()),
            ..request.progress.clone()
        },
        ..request.clone()
    };
    note(parts, fence, &request, None, now).await
}

/// Records how far a request is.
async fn note(
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
