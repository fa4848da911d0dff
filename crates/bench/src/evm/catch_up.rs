//! Catching up over many small blocks: what the proofs and the writes cost beside a bare download, and
//! beside a program that asks for logs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use paywatch_domain::BlockRef;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::node::{self, calls};
use super::relay::Relay;
use super::stage::{LOGS_PER_BLOCK, Stage};
use super::{Account, somebody, text};
use crate::baseline;
use crate::catch_up::results;
use crate::follow;
use crate::numbers::Numbers;
use crate::progress::{Progress, say};
use crate::shop::{DEPTH, Opened};
use crate::table::{Goal, Row, median, per_second};

/// Addresses that the program that asks for logs knows, and how many it asks for at a time.
const KNOWN: usize = 10_000;
const AT_A_TIME: usize = 100;
/// Blocks of which that program asks: it is much slower, and every block costs it the same.
const LOGS_BLOCKS: usize = 20;
/// Rounds: with all blocks they take minutes.
const ROUNDS_MAX: u32 = 3;
/// `Transfer(address,address,uint256)`.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// What the worker is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Against {
    /// A download of the same answers.
    pub(crate) download: bool,
    /// A program that asks for the logs of its addresses.
    pub(crate) logs: bool,
}

impl Against {
    /// Whether there is anything to compare with.
    pub(crate) fn anything(self) -> bool {
        self.download || self.logs
    }
}

/// How much of a node's work a block took.
struct Asked {
    requests: f64,
    calls: f64,
}

/// Measures the worker and what it is compared with, in turns.
pub(crate) async fn measure(count: u32, rounds: u32, against: Against) -> Result<Vec<Row>> {
    let stage = Stage::set(count).await?;
    let rounds = rounds.min(ROUNDS_MAX);
    let (mut ours, mut bare, mut logs) = (Vec::new(), Vec::new(), Vec::new());
    let lists = lists(&stage);
    let few = stage.blocks.get(..LOGS_BLOCKS).context("enough blocks")?;
    let progress = Progress::new("catching up with an EVM node, round", rounds);
    for round in 1..=rounds {
        let url = stage.node.anvil.url();
        ours.push(catch_up(&stage, &url).await?);
        if against.download {
            bare.push(download(url.clone(), stage.blocks.clone()).await?);
        }
        if against.logs {
            logs.push(ask_for_logs(url, few.to_vec(), lists.clone()).await?);
        }
        progress.done(round);
    }
    let ours = per_second(stage.count, median(ours));
    let mut rows = Vec::new();
    if against.download {
        let bare = per_second(stage.count, median(bare));
        let goal = Goal::AtLeast(0.5);
        rows.push(Row::new("evm_catch_up", "blocks/s", ours, bare, goal));
    }
    if against.logs {
        let logs = per_second(u32::try_from(LOGS_BLOCKS)?, median(logs));
        let goal = Goal::AtLeast(5.0);
        rows.push(Row::new("evm_catch_up_logs", "blocks/s", ours, logs, goal));
        let [ours, theirs] = count_requests(&stage, few, lists).await?;
        let row = |name, unit, part: fn(&Asked) -> f64| {
            Row::new(name, unit, part(&ours), part(&theirs), Goal::AtMost(0.1))
        };
        rows.push(row("evm_requests", "requests/block", |asked| {
            asked.requests
        }));
        rows.push(row("evm_calls", "calls/block", |asked| asked.calls));
    }
    Ok(rows)
}

/// Reads all blocks into a new copy of the database, and looks whether it says what it must.
async fn catch_up(stage: &Stage, url: &str) -> Result<Duration> {
    let file = stage.database()?;
    let opened = Opened::open(&file).await?;
    let (source, parts) = (stage.source(url)?, stage.parts(&opened.store)?);
    let elapsed = follow::drive(source, parts, stage.top()?, false).await?;
    opened.close().await?;
    let found = results(&file).await?;
    // The last block pays, and is not final.
    let expected = (i64::from(stage.paid()), i64::from(stage.paid() - 1));
    ensure!(
        1 < DEPTH && found == expected,
        "{found:?} transfers and paid invoices instead of {expected:?}"
    );
    Ok(elapsed)
}

/// Downloads what the watcher reads of each block, one after the other, with hashes that are known.
async fn download(url: String, blocks: Vec<BlockRef>) -> Result<Duration> {
    let client = baseline::client()?;
    let work = async move {
        let started = Instant::now();
        for block in &blocks {
            let answer = node::ask(&client, &url, &calls(block)).await?;
            baseline::is_there(&answer)?;
        }
        Ok(started.elapsed())
    };
    tokio::spawn(work).await.context("the download broke off")?
}

/// The addresses that the other program knows, as it asks for them; those that are paid are among them.
fn lists(stage: &Stage) -> Vec<Value> {
    let mut numbers = Numbers(14);
    let paid = stage.strangers.iter().copied();
    let others = std::iter::repeat_with(|| somebody(&mut numbers));
    let known: Vec<Account> = paid.chain(others).take(KNOWN).collect();
    let topic = |account: &Account| text(account).replacen("0x", &format!("0x{:024}", 0), 1);
    let chunks = known.chunks(AT_A_TIME);
    chunks
        .map(|some| json!(some.iter().map(topic).collect::<Vec<_>>()))
        .collect()
}

#[derive(Deserialize)]
struct Logs {
    result: Vec<IgnoredAny>,
}

/// Asks of each block for the logs of all addresses, a hundred at a time, one request after the other.
async fn ask_for_logs(url: String, blocks: Vec<BlockRef>, lists: Vec<Value>) -> Result<Duration> {
    let client = baseline::client()?;
    let work = async move {
        let mut found = 0;
        let started = Instant::now();
        for block in &blocks {
            let height = format!("{:#x}", block.height);
            for to in &lists {
                let filter =
                    json!({"fromBlock": height, "toBlock": height, "topics": [TRANSFER, null, to]});
                let call = ("eth_getLogs", json!([filter]));
                let answer = node::ask(&client, &url, &[call]).await?;
                let [logs]: [Logs; 1] = serde_json::from_slice(&answer)?;
                found += logs.result.len();
            }
        }
        let elapsed = started.elapsed();
        let expected = blocks.len() * LOGS_PER_BLOCK;
        ensure!(found == expected, "{found} logs instead of {expected}");
        Ok(elapsed)
    };
    tokio::spawn(work).await.context("the loop broke off")?
}

/// Counts what both ask the node, in runs that are not timed.
async fn count_requests(stage: &Stage, few: &[BlockRef], lists: Vec<Value>) -> Result<[Asked; 2]> {
    say("counting requests");
    let url = stage.node.anvil.url();
    let relay = Relay::start(&url).await?;
    catch_up(stage, &relay.url()).await?;
    let ours = asked(&relay, stage.count);
    let relay = Relay::start(&url).await?;
    ask_for_logs(relay.url(), few.to_vec(), lists).await?;
    Ok([ours, asked(&relay, u32::try_from(few.len())?)])
}

fn asked(relay: &Relay, blocks: u32) -> Asked {
    let (requests, calls) = relay.counts();
    let each = |count: u32| f64::from(count) / f64::from(blocks);
    Asked {
        requests: each(requests),
        calls: each(calls),
    }
}
