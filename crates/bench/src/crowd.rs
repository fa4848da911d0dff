//! Open invoices in any number: copies of one that the engine made, written by the database itself.
//!
//! A copy has ids, an address and watched keys of its own, and everything else as its original has it.
//! Its seals are the original's and do not fit; nobody pays it, so nobody reads it. What it is there
//! for is the size of tables and indexes.

use anyhow::{Context, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::progress::say;

/// Keys of copies begin above this, out of the way of those that the databases count.
const FIRST_KEY: u32 = 100_000_000;

/// A table of which each copy gets rows: which rows are copied, and what is different in them: `n` is
/// the number of the copy, and `TEXT` the same as 32 digits. That they grow keeps the writing fast.
struct Copied {
    table: &'static str,
    rows: &'static str,
    own: &'static [(&'static str, &'static str)],
}

const ID: &str = "substr(public_id, 1, 4) || TEXT";
const KEY: &str = "KEY + n";

/// The original is the first invoice; each of its options, events and deliveries is one.
const COPIED: [Copied; 6] = [
    Copied {
        table: "invoices",
        rows: "id = (SELECT MIN(id) FROM invoices)",
        own: &[("id", KEY), ("public_id", ID)],
    },
    Copied {
        table: "options",
        rows: "invoice = (SELECT MIN(id) FROM invoices)",
        own: &[
            ("id", KEY),
            ("public_id", ID),
            ("invoice", KEY),
            ("derivation_index", KEY),
            (
                "address",
                "substr(address, 1, length(address) - 32) || TEXT",
            ),
            (
                "watch_key",
                "substr(watch_key, 1, length(watch_key) - 32) || TEXT",
            ),
        ],
    },
    Copied {
        table: "watched",
        rows: "option IN (SELECT id FROM options WHERE invoice = (SELECT MIN(id) FROM invoices))",
        own: &[
            ("id", ""),
            ("key", "substr(key, 1, length(key) - 32) || TEXT"),
            ("option", KEY),
        ],
    },
    Copied {
        table: "awaited",
        rows: "invoice = (SELECT MIN(id) FROM invoices)",
        own: &[("id", ""), ("invoice", KEY)],
    },
    Copied {
        table: "events",
        rows: "invoice = (SELECT MIN(id) FROM invoices)",
        own: &[("seq", KEY), ("public_id", ID), ("invoice", KEY)],
    },
    Copied {
        table: "deliveries",
        rows: "invoice = (SELECT MIN(id) FROM invoices)",
        own: &[
            ("id", KEY),
            ("public_id", ID),
            ("event", KEY),
            ("invoice", KEY),
        ],
    },
];

/// What was said so far has been delivered.
const DELIVERED: &str = "UPDATE deliveries SET state = 'delivered', due_at = NULL,
    attempt_count = 1, finished_at = created_at WHERE state = 'due'";

/// In what the statements differ.
struct Dialect {
    text: &'static str,
    overriding: &'static str,
}

const LITE: Dialect = Dialect {
    text: "printf('%032x', n)",
    overriding: "",
};

const PG: Dialect = Dialect {
    text: "lpad(to_hex(n), 32, '0')",
    overriding: "OVERRIDING SYSTEM VALUE",
};

impl Copied {
    /// The statement that makes the rows of `count` copies, for a table of these columns.
    fn statement(&self, columns: &[String], count: u32, dialect: &Dialect) -> String {
        let own = |column: &str| {
            let own = self.own.iter().find(|(name, _)| *name == column);
            own.map(|(_, text)| *text)
        };
        let copied = columns.iter().filter(|column| own(column) != Some(""));
        let (names, values): (Vec<&str>, Vec<String>) = copied
            .map(|column| {
                let value = own(column).unwrap_or(column);
                let value = value.replace("KEY", &FIRST_KEY.to_string());
                (column.as_str(), value.replace("TEXT", dialect.text))
            })
            .unzip();
        format!(
            "WITH RECURSIVE numbers (n) AS
                (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
            INSERT INTO {table} ({names}) {overriding}
            SELECT {values} FROM numbers CROSS JOIN {table} WHERE {rows}",
            table = self.table,
            overriding = dialect.overriding,
            names = names.join(", "),
            values = values.join(", "),
            rows = self.rows,
        )
    }
}

/// Adds so many open invoices to a database that holds one, and that nobody uses meanwhile.
pub(crate) async fn add(url: &str, count: u32) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    say(&format!("copying an open invoice {count} times"));
    match url.strip_prefix("sqlite:") {
        Some(file) => add_lite(file, count).await,
        None => add_pg(url, count).await,
    }
    .context("copy an invoice")
}

async fn add_lite(file: &str, count: u32) -> Result<()> {
    // A power cut would cost no more than this run.
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .foreign_keys(false)
        .pragma("cache_size", "-4000000")
        .pragma("locking_mode", "EXCLUSIVE")
        .disable_statement_logging();
    let mut conn = options.connect().await?;
    sqlx::query(DELIVERED).execute(&mut conn).await?;
    for copied in &COPIED {
        let columns = format!("SELECT name FROM pragma_table_info('{}')", copied.table);
        let columns: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(columns))
            .fetch_all(&mut conn)
            .await?;
        let columns: Vec<String> = columns.into_iter().map(|(name,)| name).collect();
        let text = copied.statement(&columns, count, &LITE);
        sqlx::query(AssertSqlSafe(text)).execute(&mut conn).await?;
    }
    sqlx::query("PRAGMA journal_mode = WAL")
        .execute(&mut conn)
        .await?;
    conn.close().await?;
    // Or the first checkpoint of whoever is measured would wait until all of it is on the disk.
    tokio::fs::File::open(file).await?.sync_all().await?;
    Ok(())
}

async fn add_pg(url: &str, count: u32) -> Result<()> {
    let options: PgConnectOptions = url.parse()?;
    let mut conn = options.disable_statement_logging().connect().await?;
    // Rows that are copied together refer to each other; checking a million of them takes minutes.
    for text in [
        "SET session_replication_role = replica",
        "SET synchronous_commit = off",
        DELIVERED,
    ] {
        sqlx::query(text).execute(&mut conn).await?;
    }
    for copied in &COPIED {
        let columns = "SELECT column_name::text FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name = $1";
        let columns: Vec<(String,)> = sqlx::query_as(columns)
            .bind(copied.table)
            .fetch_all(&mut conn)
            .await?;
        let columns: Vec<String> = columns.into_iter().map(|(name,)| name).collect();
        let text = copied.statement(&columns, count, &PG);
        sqlx::query(AssertSqlSafe(text)).execute(&mut conn).await?;
    }
    // As the server does by itself after a while.
    for text in ["VACUUM ANALYZE", "CHECKPOINT"] {
        sqlx::query(text).execute(&mut conn).await?;
    }
    conn.close().await?;
    Ok(())
}
