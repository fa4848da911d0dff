//! A list of transfers in one statement, against one statement each.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use paywatch_domain::{Amount, Entropy as _, Position, Role, TransferId, TxId};
use paywatch_store::transfers::{self, NewTransfer};
use paywatch_store::{InvoiceKey, OptionKey, StoreError, Tx, Unit};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::numbers::{Numbers, now};
use crate::progress::{Progress, say};
use crate::shop::{Cover, NOWHERE, Opened, Shop, asset};
use crate::table::{Goal, Row, median, per_second};

/// Transfers that are stored at once.
const TRANSFERS: u32 = 1_000;
/// Invoices that they pay.
const INVOICES: u32 = 50;

/// What [`transfers::insert`] does, for one row.
const INSERT: &str =
    "INSERT INTO transfers (public_id, invoice, merchant, mode, option, chain, asset, amount, tx_id, origin, position,
        maturity, sighted_at, created_at)
    SELECT $1, i.id, i.merchant, i.mode, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11 FROM invoices AS i WHERE i.id = $2
    ON CONFLICT (chain, tx_id, position, option) DO NOTHING";

/// Measures both ways from the first statement to the end of the commit, each time in a new copy of
/// the same small database.
pub(crate) async fn measure(rounds: u32) -> Result<Row> {
    say("opening a shop");
    let folder = tempfile::Builder::new()
        .prefix("paywatch-bench-")
        .tempdir()?;
    let template = folder.path().join("template.sqlite");
    furnish(&template, &folder.path().join("marks")).await?;
    // On the threads on which the store's own writer runs.
    let rounds = tokio::spawn(async move { run(rounds, &template).await });
    let (lists, singles) = rounds.await.context("the insertion broke off")??;
    let speed = |durations| per_second(TRANSFERS, median(durations));
    let (value, baseline) = (speed(lists), speed(singles));
    let goal = Goal::AtLeast(3.0);
    Ok(Row::new(
        "json_list_insert",
        "rows/s",
        value,
        baseline,
        goal,
    ))
}

/// How long each round took, as a list and one by one.
async fn run(rounds: u32, template: &Path) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let file = template.with_file_name("copy.sqlite");
    let mut numbers = Numbers(5);
    let (mut lists, mut singles) = (Vec::new(), Vec::new());
    let progress = Progress::new("inserting, round", rounds);
    for round in 1..=rounds {
        // What is inserted first opens the connection and prepares the statement.
        let (first, new) = (
            transfers(1, &mut numbers)?,
            transfers(TRANSFERS, &mut numbers)?,
        );

        std::fs::copy(template, &file).context("copy the database")?;
        let opened = Opened::open(&file).await?;
        insert_list(&opened, first.clone()).await?;
        lists.push(insert_list(&opened, new.clone()).await?);
        opened.close().await?;

        std::fs::copy(template, &file).context("copy the database")?;
        let mut conn = connect(&file).await?;
        insert_singly(&mut conn, &first).await?;
        singles.push(insert_singly(&mut conn, &new).await?);
        conn.close().await?;
        progress.done(round);
    }
    Ok((lists, singles))
}

/// Makes the invoices on a chain that is said to be covered.
async fn furnish(file: &Path, marks: &Path) -> Result<()> {
    let opened = Opened::open(file).await?;
    opened.store.write(Cover(asset()?.chain().clone())).await?;
    let mut shop = Shop::open(&opened.store, marks, NOWHERE).await?;
    for _ in 0..INVOICES {
        shop.invoice(1_000).await?;
    }
    drop(shop);
    opened.close().await
}

/// Transfers that were never stored, spread over the invoices.
fn transfers(count: u32, numbers: &mut Numbers) -> Result<Vec<NewTransfer>> {
    let asset = asset()?;
    let new = (0..count).map(|number| {
        // Rows of a new database are numbered from one.
        let row = i64::from(number % INVOICES).saturating_add(1);
        let id = format!("{:032x}{:032x}", numbers.bits(), numbers.bits());
        NewTransfer {
            role: Role::Payment,
            maturity: 0,
            id: TransferId::from_bits(numbers.bits()),
            invoice: InvoiceKey(row),
            option: OptionKey(row),
            chain: asset.chain().clone(),
            asset: asset.clone(),
            amount: Amount::from_atomic(1_000),
            tx_id: TxId::new(&id),
            origin: TxId::new(&id),
            position: Position::new("vout:0"),
            sighted_at: now(),
            created_at: now(),
        }
    });
    Ok(new.collect())
}

struct Insert(Vec<NewTransfer>);

impl Unit for Insert {
    type Output = u64;
    type Error = StoreError;
    const NAME: &'static str = "insert";

    async fn run(&self, tx: &mut Tx) -> Result<u64, StoreError> {
        transfers::insert(tx, &self.0).await
    }
}

async fn insert_list(opened: &Opened, new: Vec<NewTransfer>) -> Result<Duration> {
    let count = u64::try_from(new.len())?;
    let started = Instant::now();
    let rows = opened.store.write(Insert(new)).await?;
    let elapsed = started.elapsed();
    ensure!(rows == count, "{rows} of {count} rows were stored");
    Ok(elapsed)
}

/// A connection that is set up as the store's own.
async fn connect(file: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    Ok(options.connect().await?)
}

async fn insert_singly(conn: &mut SqliteConnection, new: &[NewTransfer]) -> Result<Duration> {
    let count = u64::try_from(new.len())?;
    let mut rows = 0;
    let started = Instant::now();
    let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
    for new in new {
        let done = sqlx::query(INSERT)
            .bind(new.id.to_string())
            .bind(new.invoice.0)
            .bind(new.option.0)
            .bind(new.chain.as_str())
            .bind(new.asset.to_string())
            .bind(new.amount.to_string())
            .bind(new.tx_id.as_str())
            .bind(new.position.as_str())
            .bind(i64::from(new.maturity))
            .bind(new.sighted_at.0)
            .bind(new.created_at.0)
            .execute(&mut *transaction)
            .await?;
        rows += done.rows_affected();
    }
    transaction.commit().await?;
    let elapsed = started.elapsed();
    ensure!(rows == count, "{rows} of {count} rows were stored");
    Ok(elapsed)
}
