//! Catching up: what the proofs and the writes cost beside the bare download.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::baseline::{self, download};
use crate::follow::follow;
use crate::progress::Progress;
use crate::shop::{DEPTH, Opened};
use crate::stage::{PAID_PER_BLOCK, Stage};
use crate::table::{Goal, Row, median, per_second};

const UNIT: &str = "blocks/s";

/// Measures the worker against a download, against one that checks the merkle root, or both.
pub(crate) async fn measure(
    stage: &Stage,
    rounds: u32,
    plain: bool,
    checked: bool,
) -> Result<Vec<Row>> {
    let (mut ours, mut bare, mut merkle) = (Vec::new(), Vec::new(), Vec::new());
    let progress = Progress::new("catching up, round", rounds);
    for round in 1..=rounds {
        ours.push(catch_up(stage).await?);
        let url = || (stage.node.url(), stage.blocks.clone());
        if plain {
            let (url, blocks) = url();
            bare.push(download(url, blocks, baseline::is_there).await?);
        }
        if checked {
            let (url, blocks) = url();
            merkle.push(download(url, blocks, baseline::merkle).await?);
        }
        progress.done(round);
    }
    let speed = |durations| per_second(stage.count, median(durations));
    let ours = speed(ours);
    let mut rows = Vec::new();
    if plain {
        let goal = Goal::AtLeast(0.4);
        rows.push(Row::new("catch_up", UNIT, ours, speed(bare), goal));
    }
    if checked {
        let goal = Goal::AtLeast(0.8);
        rows.push(Row::new(
            "catch_up_checked",
            UNIT,
            ours,
            speed(merkle),
            goal,
        ));
    }
    Ok(rows)
}

/// Reads all blocks into a new copy of the database, and looks whether it says what it must.
async fn catch_up(stage: &Stage) -> Result<Duration> {
    let file = stage.database("caught-up.sqlite")?;
    let opened = Opened::open(&file).await?;
    let top = stage.top()?.clone();
    let elapsed = follow(&stage.node, &opened.store, move |row| {
        row.cursor.as_ref() == Some(&top)
    })
    .await?;
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
async fn results(file: &Path) -> Result<(i64, i64)> {
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
