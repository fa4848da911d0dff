//! Chain events that the simulator's worlds commit, against bare commits.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use paywatch_sim::campaign::{Stage, Total};
use paywatch_sim::machine;
use paywatch_sim::scenario::Cut;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::progress::Progress;
use crate::table::{Goal, Row, median, per_second};

/// Worlds of a round.
const SEEDS: u64 = 12;
/// Commits of a round of the baseline.
const COMMITS: u32 = 5_000;

/// Chain events of the first worlds in a second of one core, and commits of one row.
pub(crate) fn measure(rounds: u32) -> Result<Row> {
    let (mut worlds, mut commits, mut events) = (Vec::new(), Vec::new(), 0);
    let progress = Progress::new("simulating, round", rounds);
    for round in 1..=rounds {
        let (spent, total) = alone(simulate)?;
        ensure!(total.failed.is_empty(), "{}", total.line());
        events = u32::try_from(total.chain_events)?;
        worlds.push(spent);
        commits.push(alone(bare)?);
        progress.done(round);
    }
    let value = per_second(events, median(worlds));
    let baseline = per_second(COMMITS, median(commits));
    let goal = Goal::ValueAtLeast(2_000.0);
    Ok(Row::new("sim_events", "events/s", value, baseline, goal))
}

/// Does it on a thread with a core of its own, which logs nothing: what goes wrong in worlds is meant to.
pub(crate) fn alone<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let thread = std::thread::spawn(move || {
        let silent = tracing_subscriber::fmt().with_max_level(LevelFilter::OFF);
        let _silence = silent.finish().set_default();
        if let Some(core) = machine::cores().first() {
            machine::keep_to(*core);
        }
        work()
    });
    thread.join().map_err(|_| anyhow!("a thread ended"))?
}

/// How much of one core the first worlds take, and what came of them.
fn simulate() -> Result<(Duration, Total)> {
    let stage = Stage::set()?;
    let mut total = Total::default();
    let before = machine::cpu_time();
    for seed in 1..=SEEDS {
        total.add(seed, stage.run(seed, &Cut::default(), false));
    }
    Ok((machine::cpu_time().saturating_sub(before), total))
}

/// How much of one core it takes to commit a change of one row so often, as the simulator's store does it.
fn bare() -> Result<Duration> {
    let folder = tempfile::tempdir_in(machine::scratch()).context("make a folder")?;
    let file = folder.path().join("bare.sqlite");
    machine::block_on(async {
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Off);
        let mut conn = options.connect().await?;
        run(&mut conn, "CREATE TABLE heights (height INTEGER NOT NULL)").await?;
        run(&mut conn, "INSERT INTO heights VALUES (0)").await?;
        let before = machine::cpu_time();
        for _ in 0..COMMITS {
            run(&mut conn, "BEGIN IMMEDIATE").await?;
            run(&mut conn, "UPDATE heights SET height = height + 1").await?;
            run(&mut conn, "COMMIT").await?;
        }
        let spent = machine::cpu_time().saturating_sub(before);
        conn.close().await?;
        Ok(spent)
    })
}

async fn run(conn: &mut SqliteConnection, text: &'static str) -> Result<()> {
    sqlx::query(text).execute(conn).await.map(drop)?;
    Ok(())
}
