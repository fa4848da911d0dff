//! A world: chains, payers, merchants and one process, moved on from one moment to the next.

mod agenda;
mod chains;
mod look;
mod steps;
mod trade;

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use paywatch_domain::{Amount, Asset, AssetKind, AssetName, ChainSpec, Mode, UnixMillis};

use crate::audit::{Audit, Violation};
use crate::chain::Node;
use crate::clock::{Clock, Who};
use crate::crash::Crashes;
use crate::merchant::{Merchants, Post};
use crate::order::{DECIMALS, DUST, Order};
use crate::process::{Marks, Process, Surroundings};
use crate::random::Random;
use crate::scenario::{ChainPlan, Cut, Scenario};
use crate::template::{self, Template};
use agenda::{Agenda, Task};

/// Invoices are made in this share of the safety phase, in percent.
const ORDERED_PERCENT: i64 = 80;
/// In the calm the auditor looks so often whether everything has settled, in milliseconds.
const SETTLED_MS: i64 = 120_000;
/// A world that does not move on after so many moments is stuck.
const MOMENTS_MAX: u64 = 2_000_000;

/// What came of one world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How long it was, in simulated milliseconds.
    pub simulated_ms: i64,
    /// What went wrong by intention.
    pub faults: u64,
    /// How often the process ended.
    pub crashes: u64,
    /// Blocks that were made.
    pub blocks: u64,
    /// Events that were said.
    pub events: u64,
    /// Chain events that were committed: blocks, branches, and polls of what waits.
    pub chain_events: u64,
    /// Statements.
    pub statements: u64,
    /// By which two runs are compared.
    pub trace: u64,
}

/// A world under way.
pub struct World {
    pub(crate) scenario: Scenario,
    pub(crate) around: Surroundings,
    pub(crate) orders: Vec<Order>,
    pub(crate) audit: Audit,
    agenda: Agenda,
    random: Random,
    process: Option<Process>,
    /// The process's number, from 0.
    incarnation: u64,
    /// Who may have something to do at once.
    dirty: BTreeSet<Who>,
    /// When each worker wants to be stepped, by the watcher's clock.
    wake_at: Vec<UnixMillis>,
    deliver_at: UnixMillis,
    clean_at: UnixMillis,
    calm_since: Option<UnixMillis>,
    is_settled: bool,
    report: Report,
    is_talkative: bool,
}

/// How the watcher is told of a chain.
pub fn spec(plan: &ChainPlan) -> ChainSpec {
    let asset = |symbol: &&str| {
        let name: AssetName = format!("{symbol}@{}", plan.name).parse().ok()?;
        Some(Asset {
            caip19: format!("sim:{}/{symbol}", plan.name).into(),
            name,
            kind: AssetKind::Native,
            decimals: DECIMALS,
            dust: Amount::from_atomic(DUST),
        })
    };
    let assets: Vec<Asset> = plan.assets.iter().filter_map(asset).collect();
    #[expect(clippy::unwrap_used, reason = "the plans' names are constants")]
    let name = plan.name.parse().unwrap();
    ChainSpec {
        name,
        caip2: format!("sim:{}", plan.name).into(),
        family: plan.family,
        mode: Mode::Test,
        finality: plan.finality.clone(),
        reorg_depth_max: plan.reorg_depth_max,
        enabled: true,
        lag_ms_max: 1_200_000,
        assets,
    }
}

/// The chains of some scenario: for what does not depend on one.
pub fn specs_of_all() -> Vec<ChainSpec> {
    let scenario = Scenario::draw(0, &Cut::default());
    scenario.chains.iter().map(spec).collect()
}

impl World {
    /// A world at its beginning. `folder` is for its database.
    pub fn new(scenario: Scenario, template: &Template, folder: &Path) -> Result<Self> {
        let clock = Clock::new();
        let (seed, now) = (scenario.seed, clock.now());
        let crashes = Arc::new(Crashes::new(seed, scenario.crash_rate));
        let merchants = Merchants::new(seed, scenario.shops, scenario.shop_failure);
        let nodes = scenario.chains.iter().enumerate();
        let nodes =
            nodes.map(|(number, plan)| Arc::new(Mutex::new(Node::new(plan, seed, number, now))));
        let around = Surroundings {
            nodes: nodes.collect(),
            specs: scenario.chains.iter().map(spec).collect(),
            post: Post {
                merchants: Arc::new(Mutex::new(merchants)),
                clock: clock.clone(),
                crashes: Arc::clone(&crashes),
            },
            marks: Arc::new(Marks::new(Arc::clone(&crashes))),
            caller: template.caller.clone(),
            master: template::master(),
            folder: folder.to_owned(),
            clock,
            crashes,
            seed,
        };
        let mut world = Self {
            random: Random::of(seed, "world", 0),
            wake_at: vec![now; scenario.chains.len()],
            around,
            orders: Vec::new(),
            audit: Audit::default(),
            agenda: Agenda::default(),
            process: None,
            incarnation: 0,
            dirty: BTreeSet::new(),
            deliver_at: now,
            clean_at: now,
            calm_since: None,
            is_settled: false,
            report: Report::default(),
            is_talkative: false,
            scenario,
        };
        std::fs::write(world.file(), template.database.as_slice())?;
        world.plan();
        Ok(world)
    }

    /// Says on standard error what happens.
    #[must_use]
    pub fn talkative(self) -> Self {
        Self {
            is_talkative: true,
            ..self
        }
    }

    fn plan(&mut self) {
        let now = self.around.clock.now();
        let assets: Vec<(usize, AssetName)> = self
            .around
            .specs
            .iter()
            .enumerate()
            .flat_map(|(chain, spec)| {
                let assets = spec.assets.iter();
                assets.map(move |asset| (chain, asset.name.clone()))
            })
            .collect();
        for number in 0..usize::try_from(self.scenario.invoices).unwrap_or(0) {
            let part = u64::try_from(number).unwrap_or(0);
            let mut random = Random::of(self.scenario.seed, "order", part);
            let until_ms = self.scenario.safety_ms.saturating_mul(ORDERED_PERCENT) / 100;
            let at = now.plus_ms(random.between(60_000, until_ms));
            self.orders.push(Order::draw(
                number,
                &assets,
                &self.scenario.chains,
                &mut random,
            ));
            self.agenda.add(at, Task::Order(number));
        }
        for chain in 0..self.scenario.chains.len() {
            self.plan_block(chain);
        }
        self.agenda.add(now, Task::Start);
        self.agenda.add(now.plus_ms(1_800_000), Task::Hour);
        self.agenda.add(now.plus_ms(700_000), Task::Audit);
        self.agenda
            .add(now.plus_ms(self.scenario.safety_ms), Task::Calm);
    }

    /// Runs the world to its end.
    pub async fn run(mut self) -> Result<Report, Violation> {
        for _ in 0..MOMENTS_MAX {
            let now = self.around.clock.now();
            while let Some(task) = self.agenda.due(now) {
                pin!(self.perform(task)).await?;
            }
            pin!(self.step_process()).await?;
            if self.is_settled {
                return Ok(self.reported());
            }
            let next = self.next_moment();
            for who in self.around.clock.advance(next) {
                self.dirty.insert(who);
            }
        }
        Err(Violation::new("the_world_moves_on", "too many moments"))
    }

    async fn perform(&mut self, task: Task) -> Result<(), Violation> {
        let now = self.around.clock.now();
        match task {
            Task::Mine(chain) => self.mine(chain),
            Task::Learn(chain, endpoint, block) => self.learn(chain, endpoint, block),
            Task::Send(chain, tx) => self.send(chain, tx),
            Task::Evict(chain) => self.evict(chain),
            Task::Order(number) => self.order(number).await?,
            Task::Cancel(number) => self.cancel(number).await?,
            Task::Hour => self.hour(),
            Task::Start => self.start().await?,
            Task::Resume(chain) => self.resume(chain).await?,
            Task::Rescan(chain) => self.rescan(chain).await?,
            Task::Audit => {
                self.look().await?;
                if self.calm_since.is_none() {
                    let wait_ms = self.random.between(1_200_000, 2_400_000);
                    self.agenda.add(now.plus_ms(wait_ms), Task::Audit);
                }
            }
            Task::Calm => self.calm().await?,
        }
        Ok(())
    }

    /// Ends the safety phase: from now on nothing goes wrong.
    async fn calm(&mut self) -> Result<(), Violation> {
        let now = self.around.clock.now();
        if self.calm_since.is_none() {
            self.say(|| "calm".into());
            self.calm_since = Some(now);
            self.around.crashes.stop();
            self.around.post.merchants().calm();
            for chain in 0..self.around.nodes.len() {
                self.node(chain).calm();
                self.dirty.insert(Who::Chain(chain));
            }
        }
        if self.look_settled().await? {
            self.is_settled = true;
            return Ok(());
        }
        let since = self.calm_since.unwrap_or(now);
        if self.scenario.liveness_ms < now.ms_since(since) {
            let text = self.unsettled().await;
            return Err(Violation::new("everything_settles", text));
        }
        self.agenda.add(now.plus_ms(SETTLED_MS), Task::Calm);
        Ok(())
    }

    fn reported(mut self) -> Report {
        let started = crate::clock::START;
        let merchants = self.around.post.merchants().faults;
        let nodes = (0..self.around.nodes.len()).map(|chain| self.node(chain).faults);
        let faults: u64 = nodes.sum();
        self.report.faults = self
            .report
            .faults
            .saturating_add(faults)
            .saturating_add(merchants);
        self.report.simulated_ms = self.around.clock.now().ms_since(started);
        self.report.crashes = self.around.crashes.count();
        (self.report.statements, self.report.chain_events) = self.around.crashes.work();
        let passed = self.around.crashes.passed();
        self.say(|| format!("{passed:?}"));
        self.report.trace = self.around.crashes.traced();
        self.report
    }

    pub(crate) fn node(&self, chain: usize) -> MutexGuard<'_, Node> {
        #[expect(clippy::indexing_slicing, reason = "tasks name chains of this world")]
        let node = &self.around.nodes[chain];
        node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The database of the process that runs.
    fn file(&self) -> std::path::PathBuf {
        self.around
            .folder
            .join(format!("{}.sqlite", self.incarnation))
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.is_talkative {
            let ms = self.around.clock.now().ms_since(crate::clock::START);
            #[expect(clippy::print_stderr, reason = "it was asked for")]
            {
                eprintln!("{:>9}.{:03} {}", ms / 1000, ms % 1000, what());
            }
        }
    }
}
