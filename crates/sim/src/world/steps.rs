//! The process in its world: what is stepped when, its end, and the next one's start.

use futures_util::FutureExt as _;
use paywatch_domain::UnixMillis;
use paywatch_engine::worker::Step;

use super::World;
use super::agenda::Task;
use crate::audit::Violation;
use crate::clock::Who;
use crate::process::{Crashed, Process};
use crate::template::log_of;

/// Steps of one worker without a pause: more of them never come to rest.
const STEPS_MAX: usize = 10_000;
/// The deliverer looks for what other processes store: here there is one, which hears of its own. So it
/// comes when something is due, at most so often, and at the latest after so long, in milliseconds.
const DELIVER_MS: std::ops::Range<i64> = 250..600_000;
/// A worker that follows nothing looks every two seconds whether its chain is still halted. Here only one
/// person ends that, so it looks at most so often, in milliseconds.
const HALTED_MS: i64 = 30_000;
/// The housekeeper comes so often, in milliseconds.
const CLEAN_MS: i64 = 600_000;
/// Between the start of a process and the end of the next, when it ends while it starts.
const START_MS: i64 = 5_000;

impl World {
    /// Steps everything that may have something to do.
    pub(super) async fn step_process(&mut self) -> Result<(), Violation> {
        if self.process.is_none() {
            return Ok(());
        }
        let shown = self.around.clock.shown();
        for chain in 0..self.around.nodes.len() {
            let is_due = self.wake_at.get(chain).is_some_and(|at| *at <= shown);
            if (self.dirty.remove(&Who::Chain(chain)) || is_due)
                && self.step_worker(chain, shown).await?.is_err()
            {
                return self.crash();
            }
        }
        if self.clean_at <= shown {
            let Some(process) = &mut self.process else {
                return Ok(());
            };
            if process.step_housekeeper(shown).await.is_err() {
                return self.crash();
            }
            self.clean_at = shown.plus_ms(CLEAN_MS);
        }
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let has_news = process.store.delivery_stored().now_or_never().is_some();
        let has_answers = self.dirty.remove(&Who::Deliverer);
        if (has_news || has_answers || self.deliver_at <= shown)
            && self.step_deliverer(shown).await?.is_err()
        {
            return self.crash();
        }
        Ok(())
    }

    async fn step_worker(
        &mut self,
        chain: usize,
        now: UnixMillis,
    ) -> Result<Result<(), Crashed>, Violation> {
        let Some(process) = &mut self.process else {
            return Ok(Ok(()));
        };
        for _ in 0..STEPS_MAX {
            match process.step_worker(chain, now).await {
                Err(crashed) => return Ok(Err(crashed)),
                Ok(Some(Step::Progress)) => {}
                Ok(None) => return Ok(Ok(())),
                Ok(Some(Step::Idle { mut wake_at })) => {
                    let worker = process.workers.get(chain);
                    if worker.is_some_and(|worker| worker.cursor().is_none()) {
                        wake_at = wake_at.max(now.plus_ms(HALTED_MS));
                    }
                    if let Some(at) = self.wake_at.get_mut(chain) {
                        *at = wake_at;
                    }
                    return Ok(Ok(()));
                }
            }
        }
        Err(Violation::new(
            "work_per_step_is_bounded",
            format!("chain {chain}"),
        ))
    }

    async fn step_deliverer(&mut self, now: UnixMillis) -> Result<Result<(), Crashed>, Violation> {
        let Some(process) = &mut self.process else {
            return Ok(Ok(()));
        };
        for _ in 0..STEPS_MAX {
            match process.step_deliverer(now).await {
                Err(crashed) => return Ok(Err(crashed)),
                Ok(Ok(paywatch_webhook::Step::Progress)) => {}
                Ok(Ok(paywatch_webhook::Step::Idle { next_due, .. })) => {
                    // Nobody else says anything here: it need not look before something becomes due.
                    let latest = now.plus_ms(DELIVER_MS.end);
                    let at = next_due.map_or(latest, |next| next.min(latest));
                    self.deliver_at = at.max(now.plus_ms(DELIVER_MS.start));
                    return Ok(Ok(()));
                }
                Ok(Err(error)) => return Err(Violation::new("the_deliverer_goes_on", error)),
            }
        }
        Err(Violation::new("work_per_step_is_bounded", "the deliverer"))
    }

    /// When something happens next, by the true time.
    pub(super) fn next_moment(&self) -> UnixMillis {
        let now = self.around.clock.now();
        let ahead_ms = self.around.clock.ahead_ms();
        let mut next = self.agenda.next();
        let mut take = |at: Option<UnixMillis>| {
            next = match (next, at) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        };
        if self.process.is_some() {
            take(self.around.clock.next_answer());
            let own = self
                .wake_at
                .iter()
                .chain([&self.deliver_at, &self.clean_at]);
            take(own.min().map(|at| at.plus_ms(-ahead_ms)));
        }
        let next = next.unwrap_or(now);
        if self.dirty.is_empty() {
            next.max(now.plus_ms(1))
        } else {
            next.max(now)
        }
    }

    /// Starts the next process over what the last one left.
    pub(super) async fn start(&mut self) -> Result<(), Violation> {
        if self.process.is_some() {
            return Ok(());
        }
        let file = self.file();
        let started = Process::start(&self.around, &file, self.incarnation).await;
        let process =
            started.map_err(|error| Violation::new("a_process_starts", format!("{error:#}")))?;
        self.say(|| format!("process {} starts", self.incarnation));
        self.process = Some(process);
        let shown = self.around.clock.shown();
        self.wake_at.fill(shown);
        (self.deliver_at, self.clean_at) = (shown, shown);
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        if process.release_claims().await.is_err() {
            return self.crash();
        }
        for shop in 0..self.scenario.shops {
            let is_known = self.audit.endpoints.iter().any(|(known, _)| *known == shop);
            if !is_known && self.process.is_some() {
                self.register(shop).await?;
            }
        }
        Ok(())
    }

    /// The process has ended: its files are copied as they are, and a new one will be started on the copy.
    pub(super) fn crash(&mut self) -> Result<(), Violation> {
        let failed = |error: std::io::Error| Violation::new("files_can_be_copied", error);
        self.say(|| format!("process {} ends", self.incarnation));
        let old = self.file();
        self.incarnation = self.incarnation.saturating_add(1);
        let new = self.file();
        std::fs::copy(&old, &new).map_err(failed)?;
        if log_of(&old).exists() {
            std::fs::copy(log_of(&old), log_of(&new)).map_err(failed)?;
        }
        self.process = None;
        self.dirty.clear();
        self.around.crashes.revive();
        for name in [old.clone(), log_of(&old), old.with_extension("sqlite-shm")] {
            // Whoever closes it may have been faster.
            let _ = std::fs::remove_file(name);
        }
        let wait_ms = if self.calm_since.is_some() {
            START_MS
        } else {
            self.random.wait_ms(self.scenario.down_ms)
        };
        self.agenda
            .add(self.around.clock.now().plus_ms(wait_ms), Task::Start);
        Ok(())
    }
}
