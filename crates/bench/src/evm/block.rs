//! One full block, from the bytes of a node's answers to verified transfers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use paywatch_chain::WatchTable;
use paywatch_chain_evm::{Assets, Inflows, Rules, prove, scan};
use paywatch_domain::{BlockRef, Entropy as _};
use paywatch_sim::machine::cpu_time;

use super::node::{self, Node};
use super::{Account, plain, somebody, trade};
use crate::baseline;
use crate::numbers::Numbers;
use crate::progress::{Progress, say};
use crate::sim::alone;
use crate::table::{Goal, Row, in_ms, median, per_second};
use crate::watch::spoil_caches;

/// What the block holds: 200 transactions, of which 80 leave 400 logs.
const PAYMENTS: usize = 100;
const BATCHES: usize = 20;
const BATCH: usize = 5;
const TRANSFERS: usize = 40;
const LISTS: usize = 40;
const LIST: usize = 9;
const TRANSACTIONS: usize = PAYMENTS + BATCHES + TRANSFERS + LISTS;
const LOGS: usize = TRANSFERS + LISTS * LIST;
/// Everybody who is paid in it, and how many of them are ours: one in ten.
const PAYEES: usize = PAYMENTS + BATCHES * BATCH + LOGS;
const OURS: usize = PAYEES / 10;

/// Addresses that are watched while a block is proven.
const WATCHED: usize = 10_000;
/// Addresses of the large table and of the small one.
const LARGE: usize = 1_000_000;
const SMALL: usize = 1_000;
/// How often the block is read in a round.
const READS: u32 = 100;
const READS_COLD: u32 = 10;

/// A block as a node answered it.
struct Full {
    at: BlockRef,
    answer: Vec<u8>,
    assets: Assets,
    ours: Vec<Account>,
}

impl Full {
    /// Lets a real node make the block, and asks it once.
    async fn record() -> Result<Self> {
        say("making a block of 200 transactions and 400 logs");
        let node = Node::start().await?;
        let mut numbers = Numbers(11);
        let payees: Vec<Account> = (0..PAYEES).map(|_| somebody(&mut numbers)).collect();
        let (plain, rest) = payees.split_at(PAYMENTS);
        let (batches, rest) = rest.split_at(BATCHES * BATCH);
        let (transfers, lists) = rest.split_at(TRANSFERS);
        for to in plain {
            node.pay(to).await?;
        }
        for to in batches.chunks(BATCH) {
            node.pay_all(to).await?;
        }
        for to in transfers {
            node.mint(to).await?;
        }
        for to in lists.chunks(LIST) {
            node.mint_all(to).await?;
        }
        let at = node.mine().await?;
        let (client, url) = (baseline::client()?, node.anvil.url());
        let answer = node::ask(&client, &url, &node::calls(&at)).await?;
        let found = plain::read(&answer)?;
        ensure!(
            found == (TRANSACTIONS, LOGS),
            "a block of {found:?} transactions and logs"
        );
        say(&format!("its answers have {} kB", answer.len() / 1_000));
        Ok(Self {
            at,
            answer,
            assets: Assets::new(&trade(node.token())?.spec.assets)?,
            ours: payees.into_iter().step_by(PAYEES / OURS).collect(),
        })
    }

    /// A table of so many addresses, ours among them.
    fn table(&self, size: usize) -> WatchTable {
        let mut numbers = Numbers(12);
        let mut table = WatchTable::new(numbers.bits());
        for account in &self.ours {
            table.insert(account);
        }
        while table.len() < size {
            table.insert(&somebody(&mut numbers));
        }
        table
    }

    /// Reads, proves and scans the block; says how long that took.
    fn read(&self, watched: &WatchTable) -> Result<Took> {
        let started = cpu_time();
        let [block, receipts, trace] = node::results(&self.answer)?;
        let split = cpu_time();
        let proven = prove(Rules::default(), &self.at, block, receipts)?;
        let proof = cpu_time();
        let inflows = Inflows::from_block_trace(&proven, trace)?;
        let scanned = cpu_time();
        let credits = scan(&proven, &self.assets, &inflows, watched).credits.len();
        let ended = cpu_time();
        ensure!(
            credits == OURS,
            "{credits} transfers found instead of {OURS}"
        );
        Ok(Took {
            proof: proof.saturating_sub(split),
            scan: ended.saturating_sub(scanned),
            whole: ended.saturating_sub(started),
        })
    }
}

/// How much of a core the parts of the work take.
struct Took {
    proof: Duration,
    scan: Duration,
    whole: Duration,
}

/// Blocks a second beside a program that only reads the answers, and the share of the proof.
pub(crate) async fn block(rounds: u32) -> Result<Vec<Row>> {
    let full = Arc::new(Full::record().await?);
    let watched = Arc::new(full.table(WATCHED));
    let (mut wholes, mut proofs, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let progress = Progress::new("proving a block, round", rounds);
    for round in 1..=rounds {
        let (full, watched) = (Arc::clone(&full), Arc::clone(&watched));
        let took = alone(move || {
            let mut took = Vec::new();
            for _ in 0..READS {
                let ours = full.read(&watched)?;
                let started = cpu_time();
                plain::read(&full.answer)?;
                took.push((ours, cpu_time().saturating_sub(started)));
            }
            Ok(took)
        })?;
        for (ours, theirs) in took {
            wholes.push(ours.whole);
            proofs.push(ours.proof);
            bare.push(theirs);
        }
        progress.done(round);
    }
    let (whole, proof, bare) = (median(wholes), median(proofs), median(bare));
    let speed = |duration| per_second(1, duration);
    Ok(vec![
        Row::new(
            "evm_block",
            "blocks/s",
            speed(whole),
            speed(bare),
            Goal::ValueAtLeast(150.0),
        ),
        Row::new(
            "evm_proof",
            "ms/block",
            in_ms(proof),
            in_ms(whole),
            Goal::None,
        ),
    ])
}

/// What a block costs, from bytes to transfers, when a thousand times more addresses are watched.
pub(crate) async fn watch(rounds: u32) -> Result<Vec<Row>> {
    let full = Arc::new(Full::record().await?);
    say("filling the watch tables");
    let tables = Arc::new([full.table(LARGE), full.table(SMALL)]);
    let progress = Progress::new("scanning a block, round", rounds);
    let (mut large, mut small) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let (full, tables) = (Arc::clone(&full), Arc::clone(&tables));
        let took = alone(move || {
            let [large, small] = &*tables;
            let read = |table| {
                spoil_caches();
                full.read(table)
            };
            let pairs = (0..READS_COLD).map(|_| Ok((read(large)?, read(small)?)));
            pairs.collect::<Result<Vec<_>>>()
        })?;
        for (at_large, at_small) in took {
            large.push(at_large);
            small.push(at_small);
        }
        progress.done(round);
    }
    let row = |name, part: fn(&Took) -> Duration, goal| {
        let [value, baseline] =
            [&large, &small].map(|side| in_ms(median(side.iter().map(part).collect())));
        Row::new(name, "ms/block", value, baseline, goal)
    };
    Ok(vec![
        row("evm_watch", |took| took.whole, Goal::AtMost(1.2)),
        row("evm_watch_scan", |took| took.scan, Goal::None),
    ])
}
