//! Reading and scanning blocks: what a thousand times more open invoices cost.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bitcoin::hashes::Hash as _;
use bitcoin::{ScriptBuf, WPubkeyHash};
use paywatch_chain::{Source as _, WatchTable};
use paywatch_chain_bitcoin::BitcoinSource;
use paywatch_domain::Entropy as _;

use crate::follow::source;
use crate::numbers::Numbers;
use crate::progress::Progress;
use crate::stage::Stage;
use crate::table::{Goal, Row, median};

/// Keys of the large table and of the small one.
const LARGE: usize = 1_000_000;
const SMALL: usize = 1_000;

/// Measures a scan with many watched keys against one with few; both hold those that are paid.
pub(crate) async fn measure(stage: &Stage, rounds: u32) -> Result<Row> {
    let source = source(&stage.node)?;
    let (large, small) = (table(stage, LARGE), table(stage, SMALL));
    let (mut slow, mut fast) = (Vec::new(), Vec::new());
    let progress = Progress::new("scanning, round", rounds);
    for round in 1..=rounds {
        slow.push(scan(stage, &source, &large).await?);
        fast.push(scan(stage, &source, &small).await?);
        progress.done(round);
    }
    let ms_per_block =
        |durations| median(durations).as_secs_f64() * 1000.0 / f64::from(stage.count);
    let (value, baseline) = (ms_per_block(slow), ms_per_block(fast));
    let goal = Goal::AtMost(1.5);
    Ok(Row::new("scan", "ms/block", value, baseline, goal))
}

fn table(stage: &Stage, size: usize) -> WatchTable {
    let mut numbers = Numbers(4);
    let mut table = WatchTable::new(numbers.bits());
    for script in &stage.scripts {
        table.insert(script.as_bytes());
    }
    while table.len() < size {
        let hash = WPubkeyHash::from_byte_array(numbers.hash());
        table.insert(ScriptBuf::new_p2wpkh(&hash).as_bytes());
    }
    table
}

/// Fetches, proves and scans all blocks, one after the other.
async fn scan(stage: &Stage, source: &BitcoinSource, watched: &WatchTable) -> Result<Duration> {
    let mut found = 0;
    let started = Instant::now();
    for block in &stage.blocks {
        let raw = source.fetch(block.clone()).await?;
        found += source.scan(block, raw, watched)?.credits.len();
    }
    let elapsed = started.elapsed();
    let paid = stage.scripts.len();
    ensure!(found == paid, "{found} payments found instead of {paid}");
    Ok(elapsed)
}
