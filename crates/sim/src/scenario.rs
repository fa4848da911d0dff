//! What a seed stands for: how many of what, and how probable everything is. Every figure is drawn from
//! the seed ("swarm testing": <https://users.cs.utah.edu/~regehr/papers/swarm12.pdf>), so that some
//! worlds have nothing but forks and others none at all.

use std::collections::BTreeSet;
use std::fmt;

use paywatch_domain::{Family, Finality, Mark};

use crate::finality;
use crate::random::Random;

/// One kind of trouble, which can be taken out of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The process ends in the middle of something.
    Crashes,
    /// Branches within the limit.
    Forks,
    /// Branches beyond the limit, which halt a chain.
    DeepForks,
    /// Endpoints that do not answer.
    Outages,
    /// Endpoints that answer late, or are behind.
    Lag,
    /// Endpoints whose answers are wrong.
    Lies,
    /// Changes from one endpoint to another.
    Failover,
    /// The watcher's clock jumps.
    Jumps,
    /// Merchants that do not take what is sent.
    Merchants,
    /// Invoices that are canceled.
    Cancels,
    /// Payments that are replaced, dropped or fail on the chain.
    Payments,
}

impl Trouble {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Crashes,
        Self::Forks,
        Self::DeepForks,
        Self::Outages,
        Self::Lag,
        Self::Lies,
        Self::Failover,
        Self::Jumps,
        Self::Merchants,
        Self::Cancels,
        Self::Payments,
    ];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crashes => "crashes",
            Self::Forks => "forks",
            Self::DeepForks => "deep-forks",
            Self::Outages => "outages",
            Self::Lag => "lag",
            Self::Lies => "lies",
            Self::Failover => "failover",
            Self::Jumps => "jumps",
            Self::Merchants => "merchants",
            Self::Cancels => "cancels",
            Self::Payments => "payments",
        }
    }

    /// The kind of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What is left out of a seed's scenario: how a failure is made small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Kinds of trouble that do not happen.
    pub without: BTreeSet<Trouble>,
    /// Invoices at most.
    pub invoices: Option<u32>,
    /// Hours of the safety phase at most.
    pub hours: Option<u32>,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.without.is_empty() {
            let names: Vec<&str> = self.without.iter().map(|kind| kind.as_str()).collect();
            write!(f, " --without {}", names.join(","))?;
        }
        if let Some(invoices) = self.invoices {
            write!(f, " --invoices {invoices}")?;
        }
        if let Some(hours) = self.hours {
            write!(f, " --hours {hours}")?;
        }
        Ok(())
    }
}

/// One simulated chain. Probabilities are in millionths.
#[derive(Clone, Debug)]
pub struct ChainPlan {
    /// Its name.
    pub name: &'static str,
    /// Its family.
    pub family: Family,
    /// Symbols of its assets.
    pub assets: &'static [&'static str],
    /// The mean time between two blocks, in milliseconds.
    pub block_ms: i64,
    /// A slot without a block.
    pub skip: u32,
    /// Blocks that make money final, where the most are asked for.
    pub depth: u32,
    /// What makes money final where no policy says otherwise.
    pub finality: Finality,
    /// Its marks, and how many blocks each is behind.
    pub marks: Vec<(Mark, u64)>,
    /// With a block, the marks stop moving, or move again.
    pub still: u32,
    /// A deeper reorganisation halts the chain.
    pub reorg_depth_max: u64,
    /// How often the worker polls, in milliseconds.
    pub poll_ms: i64,
    /// Whether a new block is announced.
    pub has_hints: bool,
    /// How many endpoints there are.
    pub endpoints: usize,
    /// A branch with each block.
    pub fork: u32,
    /// Of the branches, those beyond the limit.
    pub deep: u32,
    /// A transaction in a branch is lost, or spent otherwise.
    pub lost: u32,
    /// A waiting transaction is mined with a block.
    pub mined: u32,
    /// A transaction fails on the chain.
    pub reverted: u32,
    /// A request that gets no answer.
    pub timeout: u32,
    /// An answer that is a lie.
    pub lie: u32,
    /// Another endpoint with a request.
    pub failover: u32,
    /// An endpoint changes its mood with a block.
    pub mood: u32,
    /// How long an answer takes, in milliseconds.
    pub latency_ms: i64,
    /// How long a block takes from one endpoint to the other, in milliseconds.
    pub spread_ms: i64,
}

/// How payers behave: weights against each other.
#[derive(Clone, Debug)]
pub struct PayerPlan {
    /// By [`crate::payer::Habit::ALL`].
    pub weights: Vec<u64>,
    /// The mean time until somebody pays, in milliseconds.
    pub delay_ms: i64,
    /// A waiting payment is dropped.
    pub evicted: u32,
}

/// A seed's world.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// What was left out.
    pub cut: Cut,
    /// How long troubles last, in milliseconds.
    pub safety_ms: i64,
    /// In how much time after them everything must have settled, in milliseconds.
    pub liveness_ms: i64,
    /// How many invoices.
    pub invoices: u32,
    /// The chains.
    pub chains: Vec<ChainPlan>,
    /// Payers.
    pub payers: PayerPlan,
    /// An invoice is canceled.
    pub canceled: u32,
    /// Webhook endpoints.
    pub shops: usize,
    /// A request to a merchant fails.
    pub shop_failure: u32,
    /// A merchant changes its mood in an hour.
    pub shop_mood: u32,
    /// How probable a crash is at each moment, relative to others.
    pub crash_rate: u32,
    /// The mean time until the next start, in milliseconds.
    pub down_ms: i64,
    /// A jump of the clock in an hour.
    pub jump: u32,
    /// The longest jump, in milliseconds.
    pub jump_ms: i64,
}

const HOUR_MS: i64 = 3_600_000;

impl Scenario {
    /// Draws a seed's world, and leaves something out of it.
    pub fn draw(seed: u64, cut: &Cut) -> Self {
        let mut random = Random::of(seed, "scenario", 0);
        let random = &mut random;
        let mut scenario = Self {
            seed,
            cut: cut.clone(),
            safety_ms: random.between(1, 4).saturating_mul(HOUR_MS),
            liveness_ms: 10 * HOUR_MS,
            invoices: u32::try_from(random.between(2, 16)).unwrap_or(2),
            chains: chains(random),
            payers: PayerPlan {
                weights: crate::payer::Habit::ALL
                    .iter()
                    .map(|_| some(random, &[0, 1, 1, 2, 5]))
                    .collect(),
                delay_ms: random.between(1, 30).saturating_mul(60_000),
                evicted: chance(random, &[0, 0, 20_000, 100_000]),
            },
            canceled: chance(random, &[0, 50_000, 200_000, 500_000]),
            shops: usize::try_from(random.between(1, 3)).unwrap_or(1),
            shop_failure: chance(random, &[0, 50_000, 300_000]),
            shop_mood: chance(random, &[0, 200_000, 800_000]),
            crash_rate: chance(random, &[0, 1, 1, 4, 12]),
            down_ms: random.between(1, 40).saturating_mul(30_000),
            jump: chance(random, &[0, 0, 100_000, 500_000]),
            jump_ms: some(random, &[2_000, 60_000, 600_000]),
        };
        scenario.leave_out();
        scenario
    }

    fn leave_out(&mut self) {
        let cut = self.cut.clone();
        for kind in &cut.without {
            self.without(*kind);
        }
        if let Some(invoices) = cut.invoices {
            self.invoices = self.invoices.min(invoices);
        }
        if let Some(hours) = cut.hours {
            let limit_ms = i64::from(hours).saturating_mul(HOUR_MS);
            self.safety_ms = self.safety_ms.min(limit_ms);
        }
    }

    fn without(&mut self, kind: Trouble) {
        for chain in &mut self.chains {
            match kind {
                Trouble::Forks => chain.fork = 0,
                Trouble::DeepForks => chain.deep = 0,
                Trouble::Outages => (chain.timeout, chain.mood) = (0, 0),
                Trouble::Lag => (chain.latency_ms, chain.spread_ms, chain.still) = (1, 0, 0),
                Trouble::Lies => chain.lie = 0,
                Trouble::Failover => (chain.failover, chain.endpoints) = (0, 1),
                Trouble::Payments => (chain.lost, chain.reverted) = (0, 0),
                Trouble::Crashes | Trouble::Jumps | Trouble::Merchants | Trouble::Cancels => {}
            }
        }
        match kind {
            Trouble::Crashes => self.crash_rate = 0,
            Trouble::Jumps => self.jump = 0,
            Trouble::Merchants => (self.shop_failure, self.shop_mood) = (0, 0),
            Trouble::Cancels => self.canceled = 0,
            Trouble::Payments => {
                self.payers.evicted = 0;
                self.payers
                    .weights
                    .iter_mut()
                    .skip(1)
                    .for_each(|weight| *weight = 0);
            }
            Trouble::Forks
            | Trouble::DeepForks
            | Trouble::Outages
            | Trouble::Lag
            | Trouble::Lies
            | Trouble::Failover => {}
        }
    }
}

fn some<T: Copy + Default>(random: &mut Random, list: &[T]) -> T {
    random.pick(list).copied().unwrap_or_default()
}

fn chance(random: &mut Random, list: &[u32]) -> u32 {
    some(random, list)
}

fn chains(random: &mut Random) -> Vec<ChainPlan> {
    let mut chains = vec![
        chain(random, "bitcoin", Family::Bitcoin, &["btc"], 600_000),
        chain(random, "ethereum", Family::Evm, &["eth", "usdt"], 180_000),
        chain(random, "solana", Family::Solana, &["sol", "usdc"], 90_000),
    ];
    // A second chain of a family has the same addresses.
    if random.is(150_000) {
        chains.push(chain(random, "base", Family::Evm, &["eth"], 180_000));
    }
    chains
}

fn chain(
    random: &mut Random,
    name: &'static str,
    family: Family,
    assets: &'static [&'static str],
    block_ms: i64,
) -> ChainPlan {
    let is_bitcoin = family == Family::Bitcoin;
    let reorg_depth_max = u64::try_from(random.between(4, 12)).unwrap_or(4);
    let mut plan = ChainPlan {
        name,
        family,
        assets,
        block_ms,
        skip: if family == Family::Solana {
            chance(random, &[0, 50_000, 300_000])
        } else {
            0
        },
        depth: u32::try_from(random.between(1, 5)).unwrap_or(1),
        finality: Finality::Depth(1),
        marks: marks(random, family),
        still: chance(random, &[0, 0, 50_000, 200_000]),
        reorg_depth_max,
        poll_ms: some(random, &[60_000, 120_000, 240_000]),
        has_hints: random.is(700_000),
        endpoints: usize::try_from(random.between(1, 3)).unwrap_or(1),
        fork: chance(random, &[0, 10_000, 50_000, 150_000]),
        deep: chance(random, &[0, 0, 20_000, 100_000]),
        lost: chance(random, &[0, 50_000, 300_000]),
        mined: chance(random, &[300_000, 700_000, 950_000]),
        reverted: if is_bitcoin {
            0
        } else {
            chance(random, &[0, 50_000, 200_000])
        },
        timeout: chance(random, &[0, 10_000, 100_000]),
        lie: chance(random, &[0, 10_000, 100_000]),
        failover: chance(random, &[0, 1_000, 20_000]),
        mood: chance(random, &[0, 20_000, 100_000]),
        latency_ms: some(random, &[20, 200, 3_000]),
        spread_ms: some(random, &[0, 5_000, 60_000]),
    };
    plan.finality = finality::draw(&plan, random);
    plan
}

/// What is finalized is deeper than an endpoint may be behind on a branch that everybody else has left, three
/// blocks each, and now and then deeper than branches may go that are followed without a person.
fn marks(random: &mut Random, family: Family) -> Vec<(Mark, u64)> {
    let early = match family {
        Family::Bitcoin => return Vec::new(),
        Family::Evm => Mark::Safe,
        Family::Solana => Mark::Confirmed,
    };
    let (early_lag, late_lag) = (some(random, &[0, 1, 2, 3]), some(random, &[7, 8, 10, 16]));
    if random.is(150_000) {
        return Vec::new();
    }
    vec![(early, early_lag), (Mark::Finalized, late_lag)]
}
