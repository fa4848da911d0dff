//! Benchmarks: every figure is measured beside its baseline, in the same run, on this machine.
//!
//! The rounds of a figure and of its baseline take turns, and medians count, so that a busy moment
//! hits both. What is not fast enough shows in the table; only what could not be measured is an
//! error.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to a person"
)]
#![allow(
    clippy::float_arithmetic,
    reason = "speeds and their ratios are not money"
)]

mod baseline;
mod catch_up;
mod follow;
mod json_list;
mod miner;
mod numbers;
mod progress;
mod scan;
mod shop;
mod stage;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

use crate::stage::Stage;
use crate::table::Row;

/// Everything with the usual numbers takes less than this; a worker that does not come to
/// its end must not hang.
const LIMIT: Duration = Duration::from_mins(4);
/// The usual numbers of blocks and rounds.
const BLOCKS: u32 = 40;
const ROUNDS: u32 = 9;

/// Measures the watcher against baselines.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// Run this benchmark alone.
    name: Option<Benchmark>,
    /// Blocks of about 1 MB that are read; more make figures steadier.
    #[arg(long, default_value_t = BLOCKS, value_parser = clap::value_parser!(u32).range(2..=500))]
    blocks: u32,
    /// How often everything is measured.
    #[arg(long, default_value_t = ROUNDS, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Write the rows as JSON to this file too.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The benchmarks, one row of the table each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Benchmark {
    /// The chain worker with all proofs and writes, against a bare download of the same blocks.
    CatchUp,
    /// The chain worker with all proofs and writes, against a download with a merkle check.
    CatchUpChecked,
    /// Scanning a block for a million keys, against a thousand.
    Scan,
    /// A thousand transfers as one JSON list, against one statement each.
    JsonListInsert,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let limit = LIMIT * arguments.blocks.div_ceil(BLOCKS) * arguments.rounds.div_ceil(ROUNDS);
    let result = match tokio::time::timeout(limit, run(&arguments)).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!("not done within {} s", limit.as_secs())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let wanted = |benchmark| arguments.name.is_none_or(|name| name == benchmark);
    let (plain, checked) = (
        wanted(Benchmark::CatchUp),
        wanted(Benchmark::CatchUpChecked),
    );
    let mut rows = Vec::new();
    if plain || checked || wanted(Benchmark::Scan) {
        let stage = Stage::set(arguments.blocks).await?;
        if plain || checked {
            rows.extend(catch_up::measure(&stage, arguments.rounds, plain, checked).await?);
        }
        if wanted(Benchmark::Scan) {
            rows.push(scan::measure(&stage, arguments.rounds).await?);
        }
    }
    if wanted(Benchmark::JsonListInsert) {
        rows.push(json_list::measure(arguments.rounds).await?);
    }
    println!("{}", table::text(&rows));
    if let Some(file) = &arguments.json {
        write(&rows, file).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

fn write(rows: &[Row], file: &std::path::Path) -> Result<()> {
    let text = serde_json::to_string_pretty(rows)?;
    std::fs::write(file, text + "\n")?;
    Ok(())
}
