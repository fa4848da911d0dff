//! The program `sim`: runs worlds from seeds, and prints the smallest scenario of those that fail. See
//! `docs/simulator.md`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to a person"
)]

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::Parser;
use paywatch_sim::audit::Violation;
use paywatch_sim::campaign::{self, Stage, Total};
use paywatch_sim::machine;
use paywatch_sim::scenario::{Cut, Scenario, Trouble};

/// A line of progress comes this often.
const PROGRESS: Duration = Duration::from_secs(10);
/// After so many seeds that failed nothing more is run.
const FAILURES_MAX: usize = 5;

/// Runs the watcher in simulated worlds.
#[derive(Parser)]
#[command(name = "sim")]
struct Arguments {
    /// How many worlds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed; alone, one world is run and told.
    #[arg(long)]
    seed: Option<u64>,
    /// Worlds at a time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,
    /// Kinds of trouble to leave out: crashes, forks, deep-forks, outages, lag, lies, failover, jumps,
    /// merchants, cancels, payments.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Invoices at most.
    #[arg(long)]
    invoices: Option<u32>,
    /// Hours of trouble at most.
    #[arg(long)]
    hours: Option<u32>,
    /// Tell what happens in the world of --seed.
    #[arg(long)]
    tell: bool,
    /// End at the first seed that fails, without looking for a smaller scenario.
    #[arg(long)]
    first: bool,
}

impl Arguments {
    fn cut(&self) -> Result<Cut> {
        let kinds = self.without.iter().map(|name| {
            let kind = Trouble::parse(name);
            kind.ok_or_else(|| anyhow!("there is no trouble {name:?}; see --help"))
        });
        Ok(Cut {
            without: kinds.collect::<Result<BTreeSet<Trouble>>>()?,
            invoices: self.invoices,
            hours: self.hours,
        })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic in a world is told as its violation.
    std::panic::set_hook(Box::new(|_| {}));
    match run(&arguments) {
        Ok(total) => {
            eprintln!("{}", total.speed(machine::cpu_time()));
            println!("{}", total.line());
            if total.failed.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<Total> {
    let cut = arguments.cut()?;
    let is_one = arguments.tell || cut != Cut::default();
    if let Some(seed) = arguments.seed.filter(|_| is_one) {
        let mut total = Total::default();
        let done = Stage::set()?.run(seed, &cut, arguments.tell);
        if let Err(violation) = &done {
            println!("seed {seed} fails: {violation}");
        }
        total.add(seed, done);
        return Ok(total);
    }
    let first = arguments.seed.unwrap_or(1);
    let count = match arguments.seed {
        Some(_) if !std::env::args().any(|text| text.starts_with("--seeds")) => 1,
        Some(_) | None => arguments.seeds,
    };
    let jobs = usize::try_from(arguments.jobs).unwrap_or(1);
    let mut progress = Progress::new(count);
    let failures_max = if arguments.first { 1 } else { FAILURES_MAX };
    let total = campaign::run(first, count, jobs, failures_max, |total| {
        progress.show(total);
    })?;
    match total.failed.first() {
        Some((seed, violation)) if arguments.first => println!("seed {seed} fails: {violation}"),
        Some((seed, violation)) => tell(*seed, violation)?,
        None => {}
    }
    for (seed, violation) in total.failed.iter().skip(1) {
        println!("seed {seed} fails too: {violation}");
    }
    Ok(total)
}

/// Tells how a seed fails, how to see it again, and the smallest scenario in which it still does.
fn tell(seed: u64, violation: &Violation) -> Result<()> {
    println!("seed {seed} fails: {violation}");
    println!("again: cargo xtask sim --seed {seed}");
    let (cut, smaller) = Stage::set()?.shrink(seed, violation.clone());
    println!("smaller: cargo xtask sim --seed {seed}{cut} --tell");
    println!("it says then: {smaller}");
    println!("{:#?}", Scenario::draw(seed, &cut));
    Ok(())
}

/// A line now and then.
struct Progress {
    count: u64,
    started: Instant,
    said: Instant,
}

#[expect(clippy::disallowed_methods, reason = "a person waits in real time")]
fn real_time() -> Instant {
    Instant::now()
}

impl Progress {
    fn new(count: u64) -> Self {
        let now = real_time();
        Self {
            count,
            started: now,
            said: now,
        }
    }

    fn show(&mut self, total: &Total) {
        let now = real_time();
        if now.duration_since(self.said) < PROGRESS {
            return;
        }
        self.said = now;
        let elapsed = now.duration_since(self.started).as_secs();
        let left = self.count.saturating_sub(total.seeds);
        let left_s = elapsed.saturating_mul(left) / total.seeds.max(1);
        eprintln!(
            "sim: {} of {} seeds, {} chain events, {elapsed} s, about {left_s} s left",
            total.seeds, self.count, total.chain_events
        );
    }
}
