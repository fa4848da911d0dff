//! A list of transfers in one statement, against one statement each.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use paywatch_domain::{
    Amount, BlockHash, BlockRef, ChainName, Entropy as _, Position, Role, TransferId, TxId,
};
use paywatch_store::transfers::{self, NewTransfer};
use paywatch_store::{InvoiceKey, OptionKey, StoreError, Tx, Unit, chains};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::numbers::{Numbers, now};
use crate::progress::{Progress, say};
use crate::shop::{Opened, Shop, asset};
use crate::table::{Goal, Row, median, per_second};

/// Transfers that are stored at once.
const TRANSFERS: u32 = 1_000;
/// Invoices that they pay.
const INVOICES: u32 = 50;

/// What [`transfers::insert`] does, for one row.
const INSERT: &str =
    "INSERT INTO transfers (public_id, invoice, option, chain, asset, amount, tx_id, position,
        maturity,
        sighted_at, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (chain, tx_id, position, option) DO NOTHING";

/// Measures both ways, each in a file of its own, from the first statement to the end of the commit.
pub(crate) async fn measure(rounds: u32) -> Result<Row> {
    say("opening a shop");
    let folder = tempfile::Builder::new()
        .prefix("paywatch-bench-")
        .tempdir()?;
    let (list_file, single_file) = (
        folder.path().join("list.sqlite"),
        folder.path().join("single.sqlite"),
    );
    furnish(&list_file, &folder.path().join("marks")).await?;
    std::fs::copy(&list_file, &single_file).context("copy the database")?;

    let opened = Opened::open(&list_file).await?;
    let mut conn = connect(&single_file).await?;
    let mut numbers = Numbers(5);
    let (mut lists, mut singles) = (Vec::new(), Vec::new());
    let progress = Progress::new("inserting, round", rounds);
    // The first round opens connections and prepares statements; it does not count.
    for round in 0..=rounds {
        let new = Arc::new(transfers(&mut numbers)?);
        let list = insert_list(&opened, Arc::clone(&new)).await?;
        let single = insert_singly(&mut conn, &new).await?;
        if 0 < round {
            lists.push(list);
            singles.push(single);
            progress.done(round);
        }
    }
    conn.close().await?;
    opened.close().await?;
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

/// Makes the invoices on a chain that is said to be covered.
async fn furnish(file: &Path, marks: &Path) -> Result<()> {
    let opened = Opened::open(file).await?;
    let chain = asset()?.chain().clone();
    opened.store.write(Cover(chain)).await?;
    let mut shop = Shop::open(&opened.store, marks).await?;
    for _ in 0..INVOICES {
        shop.invoice(1_000).await?;
    }
    drop(shop);
    opened.close().await
}

/// Says that a chain was read up to a block.
struct Cover(ChainName);

impl Unit for Cover {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "cover";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let at = BlockRef {
            height: 100,
            hash: BlockHash::new(&"0".repeat(64)),
        };
        let lease = chains::claim(tx, &self.0, "bench", now(), 1_000).await?;
        let fence = lease.ok_or(StoreError::LeaseLost)?.fence;
        chains::advance(tx, &self.0, fence, None, &at, now()).await?;
        chains::cover(tx, &self.0, fence, now(), at.height).await
    }
}

/// Transfers that were never stored, spread over the invoices.
fn transfers(numbers: &mut Numbers) -> Result<Vec<NewTransfer>> {
    let asset = asset()?;
    let new = (0..TRANSFERS).map(|number| {
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
            position: Position::new("vout:0"),
            sighted_at: now(),
            created_at: now(),
        }
    });
    Ok(new.collect())
}

struct Insert(Arc<Vec<NewTransfer>>);

impl Unit for Insert {
    type Output = u64;
    type Error = StoreError;
    const NAME: &'static str = "insert";

    async fn run(&self, tx: &mut Tx) -> Result<u64, StoreError> {
        transfers::insert(tx, &self.0).await
    }
}

async fn insert_list(opened: &Opened, new: Arc<Vec<NewTransfer>>) -> Result<Duration> {
    let started = Instant::now();
    let rows = opened.store.write(Insert(new)).await?;
    let elapsed = started.elapsed();
    ensure!(rows == u64::from(TRANSFERS), "{rows} rows were stored");
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
    ensure!(rows == u64::from(TRANSFERS), "{rows} rows were stored");
    Ok(elapsed)
}
