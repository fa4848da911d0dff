//! Many seeds: each in a world of its own, several threads at a time; what failed is made smaller.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::audit::Violation;
use crate::machine;
use crate::scenario::{Cut, Scenario, Trouble};
use crate::template::Template;
use crate::world::{Report, World};

/// Runs worlds, one after the other, on the thread that it is made on.
pub struct Stage {
    folder: TempDir,
    template: Template,
}

impl Stage {
    /// Makes what all worlds begin with.
    pub fn set() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("paywatch-sim-")
            .tempdir_in(machine::scratch());
        let folder = folder.context("make a folder for databases")?;
        let template = machine::block_on(Template::make(folder.path()))?;
        Ok(Self { folder, template })
    }

    /// Runs the world of one seed. A panic is a violation too.
    pub fn run(&self, seed: u64, cut: &Cut, is_talkative: bool) -> Result<Report, Violation> {
        let scenario = Scenario::draw(seed, cut);
        let failed = |error: anyhow::Error| Violation::new("a_world_begins", format!("{error:#}"));
        let folder = tempfile::Builder::new().tempdir_in(self.folder.path());
        let folder = folder.map_err(|error| failed(error.into()))?;
        let world = World::new(scenario, &self.template, folder.path()).map_err(failed)?;
        let world = if is_talkative {
            world.talkative()
        } else {
            world
        };
        let run = || machine::block_on(world.run());
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => result,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                Err(Violation::new("nothing_panics", text.unwrap_or_default()))
            }
        }
    }

    /// Leaves out of a failing scenario whatever it fails without; answers what remains, and how it fails.
    pub fn shrink(&self, seed: u64, first: Violation) -> (Cut, Violation) {
        let (mut cut, mut violation) = (Cut::default(), first);
        let mut attempt = |next: Cut, cut: &mut Cut| {
            if let Err(smaller) = self.run(seed, &next, false) {
                *cut = next;
                violation = smaller;
            }
        };
        for kind in Trouble::ALL {
            let mut next = cut.clone();
            next.without.insert(kind);
            attempt(next, &mut cut);
        }
        for hours in [1, 2, 3] {
            let next = Cut {
                hours: Some(hours),
                ..cut.clone()
            };
            if cut.hours.is_none() {
                attempt(next, &mut cut);
            }
        }
        for invoices in [1, 2, 4, 8] {
            let next = Cut {
                invoices: Some(invoices),
                ..cut.clone()
            };
            if cut.invoices.is_none() {
                attempt(next, &mut cut);
            }
        }
        (cut, violation)
    }
}

/// What came of many worlds.
#[derive(Clone, Debug, Default)]
pub struct Total {
    /// Seeds that were run.
    pub seeds: u64,
    /// Simulated milliseconds.
    pub simulated_ms: i64,
    /// What went wrong by intention.
    pub faults: u64,
    /// How often processes ended.
    pub crashes: u64,
    /// Blocks that were made.
    pub blocks: u64,
    /// Commits of chain events: see `docs/simulator.md`.
    pub chain_events: u64,
    /// Statements.
    pub statements: u64,
    /// Seeds that failed.
    pub failed: Vec<(u64, Violation)>,
}

impl Total {
    /// Adds what came of one world.
    pub fn add(&mut self, seed: u64, result: Result<Report, Violation>) {
        self.seeds = self.seeds.saturating_add(1);
        match result {
            Ok(report) => {
                self.simulated_ms = self.simulated_ms.saturating_add(report.simulated_ms);
                self.faults = self.faults.saturating_add(report.faults);
                self.crashes = self.crashes.saturating_add(report.crashes);
                self.blocks = self.blocks.saturating_add(report.blocks);
                self.chain_events = self.chain_events.saturating_add(report.chain_events);
                self.statements = self.statements.saturating_add(report.statements);
            }
            Err(violation) => self.failed.push((seed, violation)),
        }
    }

    /// How much was done in how much time of processors.
    pub fn speed(&self, cpu: Duration) -> String {
        let spent_ms = u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX).max(1);
        let Self {
            seeds,
            blocks,
            chain_events,
            statements,
            ..
        } = self;
        let per_second = chain_events.saturating_mul(1_000) / spent_ms;
        let seed_ms = spent_ms / (*seeds).max(1);
        format!(
            "sim: {blocks} blocks, {chain_events} committed chain events, {statements} statements in \
             {spent_ms} ms of processors: {per_second} chain events a second, {seed_ms} ms a seed"
        )
    }

    /// The last line of a run.
    pub fn line(&self) -> String {
        let hours = self.simulated_ms / 3_600_000;
        let Self {
            seeds,
            faults,
            crashes,
            ..
        } = self;
        let word = if self.failed.is_empty() {
            "ok"
        } else {
            "FAILED"
        };
        let count = self.failed.len();
        format!(
            "sim {word}: {seeds} seeds, {hours} simulated hours, {faults} faults, {crashes} crashes, {count} violations"
        )
    }
}

/// Runs so many seeds from the first on, several at a time. Ends early when `failures_max` have failed.
/// `progress` hears of each seed that is done.
pub fn run(
    first: u64,
    count: u64,
    jobs: usize,
    failures_max: usize,
    mut progress: impl FnMut(&Total),
) -> Result<Total> {
    let next = AtomicU64::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut total = Total::default();
    let cores = machine::cores();
    std::thread::scope(|scope| {
        let mut cores = cores.iter().copied().cycle();
        for _ in 0..jobs.max(1) {
            let (next, sender, core) = (&next, sender.clone(), cores.next());
            scope.spawn(move || {
                if let Some(core) = core {
                    machine::keep_to(core);
                }
                let stage = match Stage::set() {
                    Ok(stage) => stage,
                    Err(error) => return drop(sender.send(Err(error))),
                };
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if count <= number {
                        return;
                    }
                    let seed = first.wrapping_add(number);
                    let done = stage.run(seed, &Cut::default(), false);
                    if sender.send(Ok((seed, done))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for done in &receiver {
            let (seed, result) = done?;
            total.add(seed, result);
            progress(&total);
            if failures_max <= total.failed.len() {
                // Worlds that have begun are waited for, so that the first failure is always the same.
                next.store(count, Ordering::Relaxed);
            }
        }
        anyhow::Ok(())
    })?;
    total.failed.sort_by_key(|(seed, _)| *seed);
    Ok(total)
}
