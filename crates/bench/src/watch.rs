//! The watch table at ten million keys: its memory, and how long a block takes to match.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use paywatch_chain::WatchTable;
use paywatch_domain::Entropy as _;

use crate::numbers::Numbers;
use crate::progress::{Progress, say};
use crate::table::{Goal, Row, in_ms, median};

/// Keys of the large table and of the small one.
const LARGE: u32 = 10_000_000;
const SMALL: u32 = 1_000;
/// Outputs of the block.
const OUTPUTS: u32 = 10_000;
/// Outputs of it that are ours.
const OURS: u32 = 10;

/// The output script of somebody: P2WPKH.
fn script(numbers: &mut Numbers) -> [u8; 22] {
    let mut script = [0; 22];
    script[1] = 20;
    numbers.fill(&mut script[2..]);
    script
}

/// What the process holds in memory now (`VmRSS`), in bytes. The table writes to all it allocates.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = digits.context("VmRSS in /proc/self/status")?.parse()?;
    Ok(kib * 1024)
}

/// A table of so many keys, with the longest time that one insertion took.
fn table(size: u32) -> (WatchTable, Duration) {
    let mut numbers = Numbers(6);
    let mut table = WatchTable::new(numbers.bits());
    let mut longest = Duration::ZERO;
    for _ in 0..size {
        let key = script(&mut numbers);
        let started = Instant::now();
        table.insert(&key);
        longest = longest.max(started.elapsed());
    }
    (table, longest)
}

/// A block's outputs; some are among the first keys of every table.
fn outputs() -> Vec<[u8; 22]> {
    let (mut ours, mut others) = (Numbers(6), Numbers(7));
    let _seed = ours.bits();
    let ours = (0..OURS).map(|_| script(&mut ours));
    ours.chain((OURS..OUTPUTS).map(|_| script(&mut others)))
        .collect()
}

/// Bytes for each key, and what a set of the keys themselves takes.
pub(crate) fn memory() -> Result<Row> {
    say("filling the watch table");
    let before = resident()?;
    let (table, longest) = table(LARGE);
    let value = per_key(resident()?.saturating_sub(before))?;
    drop(table);
    say(&format!(
        "the longest of {LARGE} insertions took {:.3} ms",
        in_ms(longest)
    ));
    let before = resident()?;
    let mut numbers = Numbers(6);
    let mut set = HashSet::new();
    while set.len() < usize::try_from(LARGE)? {
        set.insert(script(&mut numbers).to_vec());
    }
    let baseline = per_key(resident()?.saturating_sub(before))?;
    let goal = Goal::ValueAtMost(30.0);
    Ok(Row::new("watch_memory", "bytes/key", value, baseline, goal))
}

fn per_key(bytes: u64) -> Result<f64> {
    let kib = u32::try_from(bytes / 1024)?;
    Ok(f64::from(kib) * 1024.0 / f64::from(LARGE))
}

/// A block matched at ten million keys, and at a thousand.
pub(crate) fn matching(rounds: u32) -> Row {
    say("filling the watch table");
    let (large, small) = (table(LARGE).0, table(SMALL).0);
    let outputs = outputs();
    let (mut slow, mut fast) = (Vec::new(), Vec::new());
    let progress = Progress::new("matching, round", rounds);
    for round in 1..=rounds {
        slow.push(time(&large, &outputs));
        fast.push(time(&small, &outputs));
        progress.done(round);
    }
    let (value, baseline) = (in_ms(median(slow)), in_ms(median(fast)));
    let goal = Goal::ValueAtMost(1.0);
    Row::new("watch_match", "ms/block", value, baseline, goal)
}

/// Empties the caches, as other work does between two blocks.
pub(crate) fn spoil_caches() {
    let spoiled: Vec<u64> = (0..16_000_000).collect();
    std::hint::black_box(&spoiled);
}

fn time(table: &WatchTable, outputs: &[[u8; 22]]) -> Duration {
    spoil_caches();
    let started = Instant::now();
    let found = table.candidates(outputs.iter().map(|key| &key[..]));
    let elapsed = started.elapsed();
    std::hint::black_box(found);
    elapsed
}
