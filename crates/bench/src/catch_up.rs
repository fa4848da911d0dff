//! Catching up: what the proofs and the writes cost beside the bare download.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::baseline::{self, download};
use crate::bdk;
use crate::follow::follow;
use crate::progress::Progress;
use crate::shop::{self, DEPTH, Opened};
use crate::stage::{PAID_PER_BLOCK, Stage};
use crate::table::{Goal, Row, median, per_second};

const UNIT: &str = "blocks/s";
/// Blocks and rounds for bdk, which is much slower.
const BDK_BLOCKS: u32 = 20;
const BDK_ROUNDS: u32 = 3;

/// What the worker is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Against {
    /// A download.
    pub(crate) download: bool,
    /// A download that checks the merkle root.
    pub(crate) checked: bool,
    /// The wallet library bdk.
    pub(crate) bdk: bool,
}

impl Against {
    /// Whether there is anything to compare with.
    pub(crate) fn anything(self) -> bool {
        self.download || self.checked || self.bdk
    }
}

/// Measures the worker and what it is compared with, in turns.
pub(crate) async fn measure(stage: &Stage, rounds: u32, against: Against) -> Result<Vec<Row>> {
    let (mut ours, mut bare, mut merkle) = (Vec::new(), Vec::new(), Vec::new());
    let mut wallet = Vec::new();
    let progress = Progress::new("catching up, round", rounds);
    let few = BDK_BLOCKS.min(stage.count);
    for round in 1..=rounds {
        ours.push(catch_up(stage).await?);
        let url = || (stage.node.url(), stage.blocks.clone());
        if against.download {
            let (url, blocks) = url();
            bare.push(download(url, blocks, baseline::is_there).await?);
        }
        if against.checked {
            let (url, blocks) = url();
            merkle.push(download(url, blocks, baseline::merkle).await?);
        }
        if against.bdk && round <= BDK_ROUNDS {
            wallet.push(with_bdk(stage, few).await?);
        }
        progress.done(round);
    }
    let speed = |durations| per_second(stage.count, median(durations));
    let ours = speed(ours);
    let mut rows = Vec::new();
    let mut row = |name, baseline, least| {
        rows.push(Row::new(name, UNIT, ours, baseline, Goal::AtLeast(least)));
    };
    if against.download {
        row("catch_up", speed(bare), 0.4);
    }
    if against.checked {
        row("catch_up_checked", speed(merkle), 0.8);
    }
    if against.bdk {
        row("catch_up_bdk", per_second(few, median(wallet)), 5.0);
    }
    Ok(rows)
}

/// Reads a few blocks with bdk, which is slower, and from the same wallet.
async fn with_bdk(stage: &Stage, blocks: u32) -> Result<Duration> {
    let first = stage.blocks.first().context("there are blocks")?.height;
    let (node, descriptor) = (stage.node.clone(), shop::descriptor()?);
    let work = move || bdk::catch_up(&node, &descriptor, first, blocks);
    tokio::task::spawn_blocking(work).await?
}

/// Reads all blocks into a new copy of the database, and looks whether it says what it must.
async fn catch_up(stage: &Stage) -> Result<Duration> {
    let file = stage.database("caught-up.sqlite")?;
    let opened = Opened::open(&file).await?;
    let top = stage.top()?.clone();
    let elapsed = follow(&stage.node, &opened.store, top, false).await?;
    opened.close().await?;
    let (transfers, paid) = results(&file).await?;
    let final_blocks = stage.count.saturating_sub(DEPTH.saturating_sub(1));
    let expected = [stage.count, final_blocks].map(|blocks| i64::from(blocks * PAID_PER_BLOCK));
    ensure!(
        [transfers, paid] == expected,
        "{transfers} transfers and {paid} paid invoices instead of {expected:?}"
    );
    Ok(elapsed)
}

/// How many transfers are stored, and how many invoices are said to be paid.
pub(crate) async fn results(file: &Path) -> Result<(i64, i64)> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut conn = options.connect().await?;
    let counts = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM transfers),
            (SELECT COUNT(*) FROM events WHERE type = 'invoice.paid')",
    );
    let counts = counts.fetch_one(&mut conn).await?;
    conn.close().await?;
    Ok(counts)
}
