//! The process under test: the production store, workers, housekeeper, deliverer and commands, all on
//! one thread and one step at a time.

use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn, ready};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use paywatch_chain::Derivation;
use paywatch_domain::{Catalogue, ChainSpec, Family};
use paywatch_engine::commands::{Caller, CommandParts, Commands};
use paywatch_engine::high_water::HighWater;
use paywatch_engine::housekeeping::Housekeeper;
use paywatch_engine::worker::{ChainWorker, Pace, Parts};
use paywatch_store::{MasterKey, Options, Probe, Store, Writer};
use paywatch_webhook::{Deliverer, Schedule, Settings};
use paywatch_wire::request::NamedPolicies;

use crate::chain::{Node, SimSource};
use crate::clock::Clock;
use crate::crash::Crashes;
use crate::keys::SimDerivation;
use crate::merchant::Post;
use crate::random::Random;

/// Waits of the webhook schedule, in milliseconds: short, so that troubles end before the tries do.
const FIRST_WAITS_MS: [u64; 5] = [0, 5_000, 30_000, 60_000, 120_000];
const WAIT_MS: u64 = 600_000;
const TRIES: usize = 32;

/// The process came to its end in the middle of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crashed;

/// Index marks outside of the database, which crashes leave alone.
#[derive(Debug)]
pub struct Marks {
    marks: Mutex<BTreeMap<String, u32>>,
    crashes: Arc<Crashes>,
}

impl Marks {
    /// No marks.
    pub fn new(crashes: Arc<Crashes>) -> Self {
        let marks = Mutex::default();
        Self { marks, crashes }
    }
}

impl HighWater for Marks {
    fn read(&self, node: &str) -> io::Result<u32> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(marks.get(node).copied().unwrap_or(0))
    }

    fn raise<'a>(&'a self, node: &'a str, next: u32) -> BoxFuture<'a, io::Result<()>> {
        // Marking cannot be broken off; what comes after it is seen to be dead at the next statement.
        if !self.crashes.passes("mark") {
            return Box::pin(ready(Err(io::Error::other("the process has ended"))));
        }
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = marks.entry(node.into()).or_insert(0);
        *mark = next.max(*mark);
        Box::pin(ready(Ok(())))
    }
}

/// What outlives processes.
pub struct Surroundings {
    /// Time.
    pub clock: Clock,
    /// Ends.
    pub crashes: Arc<Crashes>,
    /// The chains.
    pub nodes: Vec<Arc<Mutex<Node>>>,
    /// Their descriptions.
    pub specs: Vec<ChainSpec>,
    /// The merchants.
    pub post: Post,
    /// The marks.
    pub marks: Arc<Marks>,
    /// On whose behalf commands run.
    pub caller: Caller,
    /// Seals and encrypts.
    pub master: Arc<MasterKey>,
    /// The seed.
    pub seed: u64,
    /// Where databases are.
    pub folder: PathBuf,
}

/// One process.
pub struct Process {
    /// Facts.
    pub store: Store,
    writing: Writing,
    /// In the order of the chains.
    pub workers: Vec<ChainWorker<SimSource>>,
    /// Sends webhooks.
    pub deliverer: Deliverer<Post>,
    /// Keeps the house.
    pub housekeeper: Housekeeper,
    /// What merchants ask for.
    pub commands: Commands,
}

/// The writer at work.
pub struct Writing {
    run: Pin<Box<dyn Future<Output = ()> + Send>>,
    crashes: Arc<Crashes>,
}

impl Writing {
    fn new(writer: Writer, crashes: Arc<Crashes>) -> Self {
        let run = Box::pin(writer.run(pending()));
        Self { run, crashes }
    }

    /// Does something to its end, unless the process ends before.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Crashed> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context)
                && !self.crashes.is_dead()
            {
                return Poll::Ready(Ok(done));
            }
            if self.run.as_mut().poll(context).is_ready() || self.crashes.is_dead() {
                return Poll::Ready(Err(Crashed));
            }
            Poll::Pending
        })
        .await
    }
}

/// Opens a database.
pub async fn open(file: &Path, crashes: &Arc<Crashes>) -> Result<(Store, Writing)> {
    let options = Options {
        probe: Some(Arc::clone(crashes) as Arc<dyn Probe>),
        ..Options::default()
    };
    let url = format!("sqlite:{}", file.display());
    let (store, writer) = Store::open(&url, options)
        .await
        .context("open the database")?;
    Ok((store, Writing::new(writer, Arc::clone(crashes))))
}

/// The commands of a process.
pub fn commands(
    store: &Store,
    specs: &[ChainSpec],
    master: &Arc<MasterKey>,
    marks: &Arc<Marks>,
) -> Commands {
    let derivation = |family| {
        let derivation: Arc<dyn Derivation> = Arc::new(SimDerivation(family));
        (family, derivation)
    };
    Commands::new(CommandParts {
        store: store.clone(),
        catalogue: Arc::new(Catalogue::new(specs.iter().cloned())),
        derivations: Family::ALL.map(derivation).into(),
        policies: NamedPolicies::default(),
        rates: Arc::default(),
        master: Arc::clone(master),
        high_water: Arc::clone(marks) as Arc<dyn HighWater>,
        url_check: Arc::new(|_| Ok(())),
    })
}

impl Process {
    /// Starts a process over a database. `number` tells it from the ones before.
    pub async fn start(around: &Surroundings, file: &Path, number: u64) -> Result<Self> {
        around.crashes.look(true);
        let opened = open(file, &around.crashes).await;
        around.crashes.look(false);
        let (store, writing) = opened?;
        let entropy = |purpose: &str, part: usize| {
            let part = u64::try_from(part).unwrap_or(0);
            Box::new(Random::of(
                around.seed,
                purpose,
                number.wrapping_mul(64).wrapping_add(part),
            ))
        };
        let workers = around.nodes.iter().zip(&around.specs).enumerate();
        let workers = workers.map(|(place, (node, spec))| {
            let (clock, node) = (around.clock.clone(), Arc::clone(node));
            let poll_ms = node
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .plan
                .poll_ms;
            let source = SimSource::new(spec.name.clone(), place, clock, node);
            let parts = Parts {
                store: store.clone(),
                spec: Arc::new(spec.clone()),
                pace: Pace {
                    poll_ms,
                    lease_ms: 1_800_000,
                    retry_ms: 2_000,
                },
                master: Arc::clone(&around.master),
                entropy: entropy("worker", place),
                holder: "simulated".into(),
                derivation: Arc::new(SimDerivation(spec.family)),
                high_water: Arc::clone(&around.marks) as Arc<dyn HighWater>,
            };
            ChainWorker::new(Arc::new(source), parts)
        });
        let workers = workers.collect();
        let master = || Arc::clone(&around.master);
        let mut waits_ms = FIRST_WAITS_MS.to_vec();
        waits_ms.resize(TRIES, WAIT_MS);
        let settings = Settings {
            schedule: Schedule::new(waits_ms)?,
            ..Settings::default()
        };
        let post = around.post.clone();
        let jitter = entropy("deliverer", 0);
        Ok(Self {
            deliverer: Deliverer::new(store.clone(), master(), post, settings, jitter),
            housekeeper: Housekeeper::new(store.clone(), master(), entropy("house", 0)),
            commands: commands(&store, &around.specs, &around.master, &around.marks),
            store,
            writing,
            workers,
        })
    }

    /// Does what the deliverer does first.
    pub async fn release_claims(&mut self) -> Result<(), Crashed> {
        let released = self.writing.during(self.deliverer.release_claims()).await?;
        released.map(drop).map_err(|_| Crashed)
    }

    /// One step of a chain's worker.
    pub async fn step_worker(
        &mut self,
        number: usize,
        now: paywatch_domain::UnixMillis,
    ) -> Result<Option<paywatch_engine::worker::Step>, Crashed> {
        let Some(worker) = self.workers.get_mut(number) else {
            return Ok(None);
        };
        // Made where it stays: it is large, and moving it took longer than what most steps do.
        let step = pin!(worker.step(now));
        self.writing.during(step).await.map(Some)
    }

    /// One step of the deliverer.
    pub async fn step_deliverer(
        &mut self,
        now: paywatch_domain::UnixMillis,
    ) -> Result<Result<paywatch_webhook::Step, paywatch_webhook::WebhookError>, Crashed> {
        self.writing.during(self.deliverer.step(now)).await
    }

    /// One step of the housekeeper.
    pub async fn step_housekeeper(
        &mut self,
        now: paywatch_domain::UnixMillis,
    ) -> Result<paywatch_domain::UnixMillis, Crashed> {
        self.writing.during(self.housekeeper.step(now)).await
    }

    /// Something that a merchant asks for.
    pub async fn command<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Crashed> {
        self.writing.during(work).await
    }
}
