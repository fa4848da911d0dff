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

mod apply;
mod baseline;
mod bdk;
mod catch_up;
mod crowd;
mod derive;
mod evm;
mod fold;
mod follow;
mod http;
mod json_list;
mod latency;
mod miner;
mod numbers;
mod progress;
mod scan;
mod shop;
mod sim;
mod solana;
mod stage;
mod table;
mod watch;

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
const LIMIT: Duration = Duration::from_mins(30);
/// The usual numbers of blocks and rounds, and those of a quick look.
const BLOCKS: u32 = 200;
const BLOCKS_QUICK: u32 = 40;
/// Blocks of an EVM node.
const EVM_BLOCKS: u32 = 2_000;
const EVM_BLOCKS_QUICK: u32 = 200;
const ROUNDS: u32 = 7;
const ROUNDS_QUICK: u32 = 3;

/// Measures the watcher against baselines.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// Run these benchmarks alone.
    names: Vec<Benchmark>,
    /// Fewer blocks and rounds: for a look, not for figures to quote.
    #[arg(long)]
    quick: bool,
    /// Blocks of about 1 MB that are read; more make figures steadier.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=1000))]
    blocks: Option<u32>,
    /// How often everything is measured.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: Option<u32>,
    /// Write the rows as JSON to this file too.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The benchmarks, a few rows of the table each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Benchmark {
    /// The chain worker with all proofs and writes, against a bare download of the same blocks.
    CatchUp,
    /// The chain worker with all proofs and writes, against a download with a merkle check.
    CatchUpChecked,
    /// The chain worker with all proofs and writes, against the emitter and the index of bdk.
    CatchUpBdk,
    /// Reading and scanning a block for a million keys, against a thousand.
    Scan,
    /// A thousand transfers as one JSON list, against one statement each.
    JsonListInsert,
    /// Memory of the watch table at ten million keys, against a set of the keys.
    WatchMemory,
    /// Matching ten thousand outputs at ten million keys, against a thousand keys.
    WatchMatch,
    /// Applying a block at a million open invoices in SQLite, against a thousand.
    ApplySqlite,
    /// Applying a block at a million open invoices in Postgres, against a thousand.
    ApplyPostgres,
    /// From the node's block to the merchant's request at 100,000 open invoices, against the node's
    /// own share.
    Latency,
    /// Deriving addresses on one core, against the steps on the curve alone.
    Derivation,
    /// Folding an invoice of a thousand transfers, against adding their amounts up.
    #[value(name = "fold_1000_transfers")]
    Fold,
    /// A full EVM block from bytes to verified transfers, against the same bytes read and not proven; and
    /// the share of the proof.
    EvmBlock,
    /// A full EVM block for a million watched addresses, against a thousand.
    EvmWatch,
    /// The chain worker over blocks of an EVM node, against a bare download of the same answers.
    EvmCatchUp,
    /// The chain worker over blocks of an EVM node, against a program that asks for the logs of its
    /// addresses: speed, requests and calls.
    EvmCatchUpLogs,
    /// A full Solana block from bytes to transfers, against JSON values and the types of Solana's own client;
    /// and for a million watched keys, against a thousand.
    SolanaBlock,
    /// Invoices created, read and listed over HTTP by 64 connections on SQLite, against a server that does nothing.
    HttpLite,
    /// Invoices created over HTTP by 64 connections on Postgres, against a server that does nothing.
    HttpPostgres,
    /// Webhooks to a receiver on this machine, against bare requests; and beside an endpoint that hangs.
    Webhooks,
    /// Chain events of simulated worlds with all their faults, against bare commits.
    SimEvents,
}

/// What the figures are measured on, for those who read the table.
const NOTES: &str = "\
Blocks: regtest, 1.0 MB, 2,600 segwit transactions of 1 input (P2WSH, two signatures of three keys) and \
2 outputs; one pays us.
catch_up: the chain worker over SQLite, every proof and every write, 10,000 open invoices. Baselines: a \
loop that downloads one block after the other by REST; the same with a merkle check by the crate bitcoin \
(catch_up_checked); bdk's Emitter into an IndexedTxGraph at 10,000 revealed scripts (catch_up_bdk).
watch: bytes by which the resident memory grew at 10,000,000 keys (baseline: a HashSet of the keys); a block \
of 10,000 outputs with cold caches (baseline: 1,000 keys).
apply: one commit for a block that pays three invoices, at 1,000,000 open ones (baseline: 1,000).
latency: from the answer to somebody else who waits for a new block to the request at the merchant, 200 \
blocks, 100,000 open invoices (baseline: the node's own share, from the call that mines to that answer).
derivation: wpkh addresses with script and path on one core (baseline: the bare step on the curve).
fold: an invoice of 1,000 transfers, in blocks and in the mempool (baseline: the sum of their amounts).
evm_block, evm_watch: a block of an anvil node with 200 transactions and 400 logs, the bytes of its three answers \
parsed, proven (all roots recomputed) and scanned on one core at 10,000 addresses (baseline: the same bytes \
parsed by serde and nothing recomputed). evm_proof: the proof alone (baseline: the whole). evm_watch: 1,000,000 \
addresses, with cold caches (baseline: 1,000); evm_watch_scan: the scan alone.
evm_catch_up: the chain worker over SQLite, 2,000 anvil blocks of 5 transactions, 10,000 open invoices. Baselines: \
a loop that downloads the same answers, one request for each block; a loop with eth_getLogs for each block and \
each 100 of 10,000 addresses, measured over 20 blocks \
(evm_catch_up_logs). evm_requests, evm_calls: what both \
ask the node, counted between them; a request may hold several calls.
solana_block: a made-up block of 1,200 transactions with 12 accounts and 2 token accounts each, in the mode `accounts`, from \
bytes to transfers on one core at 1,000,000 keys. Baselines: serde_json::Value; the types of Solana's own client, \
which makes them of such values (solana_block_typed, and in milliseconds solana_block_ms). solana_watch: the same with cold caches (baseline: 1,000 keys).
http: the whole API on a port of this machine, 64 connections, one wallet, clients and server on the same cores; each \
invoice with an idempotency key, a derived address, its seal, its event and its delivery, durable before the answer \
(baseline: the same requests to a server that reads them and answers the same bytes). http_list_100: 100 invoices \
in each answer.
webhooks: 10,000 events of as many invoices to a receiver on this machine (baseline: as many bare requests, 32 at a time). \
webhooks_beside_dead: the same while another endpoint that gets the same events never answers (baseline: without it).
sim: chain events that simulated worlds commit in a second of one core, with everything that the simulator \
does around them (baseline: commits of one changed row by the same driver to the same kind of file).";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let result = match tokio::time::timeout(LIMIT, run(&arguments)).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!("not done within {} s", LIMIT.as_secs())),
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
    let rows = measure(arguments).await?;
    println!("{}\n{NOTES}", table::text(&rows));
    if let Some(file) = &arguments.json {
        write(&rows, file).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

async fn measure(arguments: &Arguments) -> Result<Vec<Row>> {
    let names = &arguments.names;
    let wanted = |benchmark| names.is_empty() || names.contains(&benchmark);
    let pick = |given: Option<u32>, usual, quick| {
        given.unwrap_or(if arguments.quick { quick } else { usual })
    };
    let blocks = pick(arguments.blocks, BLOCKS, BLOCKS_QUICK);
    let rounds = pick(arguments.rounds, ROUNDS, ROUNDS_QUICK);
    let against = catch_up::Against {
        download: wanted(Benchmark::CatchUp),
        checked: wanted(Benchmark::CatchUpChecked),
        bdk: wanted(Benchmark::CatchUpBdk),
    };
    let mut rows = Vec::new();
    if against.anything() || wanted(Benchmark::Scan) {
        let stage = Stage::set(blocks).await?;
        if against.anything() {
            rows.extend(catch_up::measure(&stage, rounds, against).await?);
        }
        if wanted(Benchmark::Scan) {
            rows.push(scan::measure(&stage, rounds).await?);
        }
    }
    if wanted(Benchmark::JsonListInsert) {
        rows.push(json_list::measure(rounds).await?);
    }
    if wanted(Benchmark::WatchMemory) {
        rows.push(watch::memory()?);
    }
    if wanted(Benchmark::WatchMatch) {
        rows.push(watch::matching(rounds));
    }
    // Before the databases of a million invoices are written, which keep the disk busy for a while.
    if wanted(Benchmark::Latency) {
        rows.extend(latency::measure().await?);
    }
    if wanted(Benchmark::ApplySqlite) {
        rows.push(apply::lite(rounds).await?);
    }
    if wanted(Benchmark::ApplyPostgres) {
        rows.push(apply::pg(rounds).await?);
    }
    if wanted(Benchmark::Derivation) {
        rows.push(derive::measure(rounds)?);
    }
    if wanted(Benchmark::Fold) {
        rows.push(fold::measure(rounds)?);
    }
    if wanted(Benchmark::EvmBlock) {
        rows.extend(evm::block(rounds).await?);
    }
    if wanted(Benchmark::EvmWatch) {
        rows.extend(evm::watch(rounds).await?);
    }
    let against = evm::Against {
        download: wanted(Benchmark::EvmCatchUp),
        logs: wanted(Benchmark::EvmCatchUpLogs),
    };
    if against.anything() {
        let blocks = pick(None, EVM_BLOCKS, EVM_BLOCKS_QUICK);
        rows.extend(evm::measure(blocks, rounds, against).await?);
    }
    if wanted(Benchmark::SolanaBlock) {
        rows.extend(solana::measure(rounds)?);
    }
    rows.extend(over_sockets(wanted).await?);
    if wanted(Benchmark::SimEvents) {
        rows.push(sim::measure(rounds)?);
    }
    Ok(rows)
}

/// What merchants' programs see of the speed.
async fn over_sockets(wanted: impl Fn(Benchmark) -> bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if wanted(Benchmark::HttpLite) {
        rows.extend(http::lite().await?);
    }
    if wanted(Benchmark::HttpPostgres) {
        rows.extend(http::pg().await?);
    }
    if wanted(Benchmark::Webhooks) {
        rows.extend(http::deliveries().await?);
    }
    Ok(rows)
}

fn write(rows: &[Row], file: &std::path::Path) -> Result<()> {
    let text = serde_json::to_string_pretty(rows)?;
    std::fs::write(file, text + "\n")?;
    Ok(())
}
