//! Faults around the watcher: a full disk, a database that another program holds, a server that dies.

use crate::support::{Database, House, Invoice, PATIENCE, tally};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Answer, Process, WatcherOptions, eventually};
use serde_json::json;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

const DUE_SAT: u64 = 90_000;
/// The watcher waits for a lock of another program at most this long, and a little more here.
const LOCKED: Duration = Duration::from_secs(12);

/// A request that could not be carried out says when to come again.
fn check_unavailable(answer: &Answer) -> Result<()> {
    ensure!(answer.status == 503, "{answer:?}");
    // When the commit itself failed nobody knows whether it happened.
    let codes = ["database_unavailable", "outcome_unknown"];
    ensure!(codes.contains(&answer.code().as_str()), "{answer:?}");
    ensure!(!answer.header("retry-after").is_empty(), "{answer:?}");
    Ok(())
}

/// Goal: on a full disk nothing is answered that was not stored; when there is space again everything
/// goes on by itself, nothing is lost and nothing is told twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing() -> Result<()> {
    const DISK_BYTES: u64 = 12 << 20;
    const ORDERS_MAX: usize = 5_000;
    let options = WatcherOptions {
        disk_bytes: Some(DISK_BYTES),
        database_url: Some("sqlite:disk/paywatch.sqlite".to_owned()),
        ..WatcherOptions::default()
    };
    let mut house = House::with(Database::Sqlite, options).await?;
    let waiting = house.invoice(DUE_SAT).await?;
    let mut made = vec![house.invoice(DUE_SAT).await?];
    let disk = house.watcher.disk().context("it has a small disk")?;
    disk.fill()?;
    // The log of the database has some room left in itself.
    let body = Invoice::request(DUE_SAT, json!({}));
    let refused = loop {
        let key = made.len().to_string();
        let answer = house.api.post_once("/v1/invoices", &body, &key).await?;
        if answer.status != 201 {
            break answer;
        }
        made.push(Invoice::read(&answer.json()?)?);
        ensure!(made.len() < ORDERS_MAX, "the disk does not fill up");
    };
    check_unavailable(&refused)?;
    let refused_key = made.len().to_string();
    let paid = made.pop().context("one was made")?;
    house.pay(&waiting, DUE_SAT).await?;
    house.pay(&paid, DUE_SAT).await?;
    house.node.mine(2).await?;
    eventually("the full disk to be noticed", PATIENCE, async || {
        let noticed = house.watcher.log().contains("the database failed");
        Ok(noticed.then_some(()))
    })
    .await?;
    house.watcher.expect_running()?;
    // What was stored can be read.
    assert_eq!(house.shown(&waiting).await?["status"], "created");

    house.watcher.disk().context("a disk")?.free()?;
    for invoice in [&waiting, &paid] {
        let shown = house.until(invoice, "paid").await?;
        assert_eq!(tally(&shown, "final")?, DUE_SAT);
        assert_eq!(shown["transfers"].as_array().map(Vec::len), Some(1));
        house.until_told(invoice).await?;
    }
    for invoice in &made {
        assert_eq!(house.shown(invoice).await?["status"], "created");
    }
    let answer = house
        .api
        .post_once("/v1/invoices", &body, &refused_key)
        .await?;
    made.extend([waiting, paid, Invoice::read(&answer.value()?)?]);
    assert_eq!(
        house.count_invoices().await?,
        made.len(),
        "no order was lost or doubled"
    );
    let addresses: BTreeSet<&str> = made.iter().map(|one| one.address.as_str()).collect();
    assert_eq!(addresses.len(), made.len(), "an address is given once");
    Ok(())
}

/// Another program that holds the SQLite file for itself.
fn lock(house: &House) -> Result<Process> {
    const HOLD: &str = "import sqlite3, sys, time\n\
        held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)\n\
        held.execute('BEGIN EXCLUSIVE')\n\
        print('held', flush=True)\n\
        time.sleep(1000)\n";
    let file = house.watcher.folder().join("paywatch.sqlite");
    let mut command = Command::new("python3");
    command.args(["-c", HOLD]).arg(file);
    let log = house.watcher.folder().join("lock.log");
    Process::spawn("a program that locks", &mut command, &log)
}

/// Goal: while another program holds the database for longer than the watcher waits for a lock,
/// requests that write are told to come again, reading goes on, and afterwards nothing is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_waited_for() -> Result<()> {
    let house = House::new().await?;
    let invoice = house.invoice(DUE_SAT).await?;
    let holder = lock(&house)?;
    eventually("the lock", PATIENCE, async || {
        Ok(holder.log_tail().contains("held").then_some(()))
    })
    .await?;
    let started = Instant::now();
    house.pay(&invoice, DUE_SAT).await?;
    house.node.mine(2).await?;
    let body = Invoice::request(DUE_SAT, json!({ "order_id": "once" }));
    let refused = house.api.post_once("/v1/invoices", &body, "once").await?;
    check_unavailable(&refused)?;
    assert_eq!(house.shown(&invoice).await?["status"], "created");
    if let Some(rest) = LOCKED.checked_sub(started.elapsed()) {
        paywatch_testkit::sleep(rest).await;
    }
    drop(holder);
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(tally(&paid, "final")?, DUE_SAT);
    house.until_told(&invoice).await?;
    let made = eventually("an answer", PATIENCE, async || {
        let answer = house.api.post_once("/v1/invoices", &body, "once").await?;
        Ok((answer.status == 201).then_some(answer))
    })
    .await?;
    let made = Invoice::read(&made.json()?)?;
    let rows = house.api.get("/v1/invoices").await?.rows()?;
    assert_eq!(rows.len(), 2, "it was made once");
    ensure!(made.address != invoice.address);
    Ok(())
}
