//! What a node is asked before blocks are read for a request: where a transaction is that people want on an
//! invoice's record, or where an invoice's addresses are named. The blocks are then read again like any others.

use std::sync::Arc;

use paywatch_chain::{Located, Source, SourceError};
use paywatch_domain::{BlockHint, ChainName, Findings, Rejection, Task, TxId, UnixMillis};
use paywatch_store::requests::{Request as Asked, RequestState};
use paywatch_store::{Conn, RequestKey, StoreError, placements};

use super::ask::{self, Request};
use super::check::Addresses;
use super::following::Following;
use super::piece::Obstacle;
use super::reading::Reading;
use super::requests::{note, suffer};
use super::{Fault, Parts};
use crate::apply::Aim;

/// How long to wait before the node is asked again, in milliseconds.
const REST_MS: i64 = 1_000;

/// A request whose blocks are looked for.
pub(super) struct Locating {
    /// What was asked.
    pub(super) asked: Asked,
    pub(super) sought: Sought,
    /// What is done with the blocks.
    pub(super) aim: Aim,
    is_asked: bool,
    /// How often it was not found where it could be read.
    pub(super) attempts: u32,
    rest_until: UnixMillis,
}

/// What blocks are looked for by.
pub(super) enum Sought {
    /// A transaction, in the block of the hint where there is one.
    Transaction(TxId, Option<BlockHint>),
    /// The addresses of an invoice.
    Addresses(Addresses),
}

impl Locating {
    /// Looks for what a task wants to attach; `None` for another task.
    pub(super) fn new(asked: &Asked, aim: Aim) -> Option<Self> {
        let Task::Attach { tx_id, block, .. } = &asked.task else {
            return None;
        };
        let sought = Sought::Transaction(tx_id.clone(), block.clone());
        Some(Self::by(sought, asked, aim))
    }

    /// Looks for where an invoice's addresses are named.
    pub(super) fn addresses(addresses: Addresses, asked: &Asked, aim: Aim) -> Self {
        Self::by(Sought::Addresses(addresses), asked, aim)
    }

    fn by(sought: Sought, asked: &Asked, aim: Aim) -> Self {
        Self {
            sought,
            asked: asked.clone(),
            aim,
            is_asked: false,
            attempts: 0,
            rest_until: UnixMillis(0),
        }
    }

    /// Looks again for what could not be read where it was found.
    pub(super) fn again<S: Source>(reading: &Reading<S>) -> Option<Self> {
        Some(Self {
            attempts: reading.attempts,
            rest_until: reading.rest_until,
            ..Self::new(&reading.asked, reading.aim.clone())?
        })
    }

    /// What to ask now.
    pub(super) fn request<S: Source>(
        &mut self,
        source: &Arc<S>,
        now: UnixMillis,
    ) -> Option<Request<S>> {
        if self.is_asked || self.rest_until.is_awaited(now, REST_MS) {
            return None;
        }
        self.is_asked = true;
        let key = self.asked.key;
        Some(match &self.sought {
            Sought::Transaction(transaction, hint) => {
                ask::locate(source, key, transaction.clone(), hint.clone())
            }
            Sought::Addresses(Addresses { keys, heights, .. }) => {
                ask::mentions(source, key, keys.clone(), *heights)
            }
        })
    }

    /// Whether the transaction stands on the invoice's record already, in a block that is followed.
    async fn is_on_record(&self, conn: &mut Conn, chain: &ChainName) -> Result<bool, StoreError> {
        match &self.aim {
            Aim::Transaction(invoice, tx_id) => {
                placements::stands_in_block(conn, chain, *invoice, tx_id).await
            }
            Aim::Everything | Aim::Invoice(_) => Ok(false),
        }
    }

    /// Ends the request: it is refused, or there was nothing left to do.
    pub(super) fn conclude(&mut self, rejection: Option<Rejection>) {
        let progress = &mut self.asked.progress;
        progress.state = match rejection {
            None => RequestState::Done,
            Some(_) => RequestState::Failed,
        };
        progress.error = rejection.map(|rejection| rejection.sentence().into());
        // What was found before it went on stays.
        progress.findings = Some(Findings {
            rejection,
            ..progress.findings.unwrap_or_default()
        });
    }

    /// Asks again a little later.
    fn rest(&mut self, now: UnixMillis) {
        self.is_asked = false;
        self.attempts = self.attempts.saturating_add(1);
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
                locating.asked.progress.blocks_total = Some(1);
                let Locating {
                    asked,
                    aim,
                    attempts,
                    ..
                } = locating;
                let mut reading = Reading::of_located(asked, at, self.branch).aimed(aim);
                reading.attempts = attempts;
                self.reading = Some(reading);
            }
            Ok(Err(rejection)) => {
                let mut conn = parts.store.read().await?;
                let is_on_record = locating.is_on_record(&mut conn, &parts.spec.name).await?;
                drop(conn);
                locating.conclude((!is_on_record).then_some(rejection));
                note(parts, fence, &locating.asked, None, now).await?;
                self.looks = true;
            }
            Err(obstacle) => self.look_later(parts, locating, obstacle, now).await?,
        }
        Ok(true)
    }

    /// Asks again later for what could not be found out, or lets others pass.
    pub(super) async fn look_later(
        &mut self,
        parts: &Parts,
        mut locating: Locating,
        obstacle: Obstacle,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        locating.rest(now);
        let fence = self.lease.fence;
        suffer(parts, fence, &mut locating.asked, obstacle, now).await?;
        let (key, attempts) = (locating.asked.key, locating.attempts);
        let is_open = locating.asked.progress.state.is_open();
        if is_open && !self.line.gives_way(key, attempts, now) {
            self.locating = Some(locating);
        } else {
            self.looks = true;
        }
        Ok(())
    }
}
