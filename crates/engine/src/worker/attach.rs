//! A transaction that people want on an invoice's record: first its block is found, then that is read again
//! like any other.

use std::sync::Arc;

use paywatch_chain::{Located, Source, SourceError};
use paywatch_domain::{BlockHint, Findings, Rejection, Task, TxId, UnixMillis};
use paywatch_store::RequestKey;
use paywatch_store::requests::{Request as Asked, RequestState};

use super::ask::{self, Request};
use super::following::Following;
use super::piece::Obstacle;
use super::reading::Reading;
use super::requests::{note, suffer};
use super::{Fault, Parts};
use crate::apply::Aim;

/// How long to wait before the node is asked again, in milliseconds.
const REST_MS: i64 = 1_000;

/// A transaction whose block is looked for.
pub(super) struct Locating {
    /// What was asked.
    pub(super) asked: Asked,
    transaction: TxId,
    hint: Option<BlockHint>,
    /// What is done with its block.
    aim: Aim,
    is_asked: bool,
    rest_until: UnixMillis,
}

impl Locating {
    /// Looks for what a task wants to attach; `None` for another task.
    pub(super) fn new(asked: &Asked, aim: Aim) -> Option<Self> {
        let Task::Attach { tx_id, block, .. } = &asked.task else {
            return None;
        };
        Some(Self {
            transaction: tx_id.clone(),
            hint: block.clone(),
            asked: asked.clone(),
            aim,
            is_asked: false,
            rest_until: UnixMillis(0),
        })
    }

    /// What to ask now.
    pub(super) fn request<S: Source>(
        &mut self,
        source: &Arc<S>,
        now: UnixMillis,
    ) -> Option<Request<S>> {
        if self.is_asked || now < self.rest_until {
            return None;
        }
        self.is_asked = true;
        let (transaction, hint) = (self.transaction.clone(), self.hint.clone());
        Some(ask::locate(source, self.asked.key, transaction, hint))
    }

    /// Asks again a little later.
    fn rest(&mut self, now: UnixMillis) {
        self.is_asked = false;
        self.rest_until = now.plus_ms(REST_MS);
    }
}

impl<S: Source> Following<S> {
    /// Takes where the node finds a transaction: its block is read again, or the request is refused.
    pub(super) async fn take_located(
        &mut self,
        parts: &Parts,
        asked: RequestKey,
        located: Result<Located, SourceError>,
        now: UnixMillis,
    ) -> Result<bool, Fault> {
        let Some(mut locating) = self.locating.take_if(|one| one.asked.key == asked) else {
            return Ok(false);
        };
        let cursor = self.follower.cursor().map_or(0, |cursor| cursor.height);
        let found = match located {
            Ok(Located::Block(at)) if at.height <= cursor => Ok(Ok(at)),
            Ok(Located::Block(at)) => Err(Obstacle::not_followed(at.height)),
            Ok(Located::Mempool) => Ok(Err(Rejection::InMempool)),
            Ok(Located::Nowhere) => Ok(Err(Rejection::NotInChain)),
            Ok(Located::Unknown) => Ok(Err(Rejection::NotFound)),
            Err(error) => Err(error.into()),
        };
        let fence = self.lease.fence;
        match found {
            Ok(Ok(at)) => {
                let heights = (at.height, at.height);
                locating.asked.progress.blocks_total = Some(1);
                let (asked, aim) = (locating.asked, locating.aim);
                self.reading = Some(Reading::new(asked, None, heights, self.branch).aimed(aim));
            }
            Ok(Err(rejection)) => {
                let progress = &mut locating.asked.progress;
                progress.state = RequestState::Failed;
                progress.error = Some(rejection.sentence().into());
                progress.findings = Some(Findings {
                    rejection: Some(rejection),
                    ..Findings::default()
                });
                note(parts, fence, &locating.asked, None, now).await?;
                self.looks = true;
            }
            Err(obstacle) => {
                locating.rest(now);
                suffer(parts, fence, &mut locating.asked, obstacle, now).await?;
                if locating.asked.progress.state.is_open() {
                    self.locating = Some(locating);
                } else {
                    self.looks = true;
                }
            }
        }
        Ok(true)
    }
}
