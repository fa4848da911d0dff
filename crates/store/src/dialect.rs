//! What differs between the databases outside of statement texts: URLs, connections, transactions.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Postgres, Sqlite, SqliteConnection, pool::PoolOptions};

use crate::error::StoreError;
use crate::lanes::Lanes;
use crate::store::Options;

/// Statements that a connection keeps prepared; above the number of statements of this crate.
const PREPARED_MAX: usize = 512;

/// Which of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite.
    Lite,
    /// Postgres.
    Pg,
}

/// Where a database is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A file.
    Lite(PathBuf),
    /// A server.
    Pg(Box<PgConnectOptions>),
}

impl Place {
    /// Reads `sqlite:path` or `postgres://user:password@host/database`.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        match scheme {
            "sqlite" => {
                let path = url.trim_start_matches("sqlite:");
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() || path.starts_with(":memory:") {
                    let text = "the SQLite database must be a file: sqlite:/path/to/paywatch.db";
                    return Err(StoreError::Url(text.into()));
                }
                Ok(Self::Lite(PathBuf::from(path)))
            }
            "postgres" | "postgresql" => {
                // The driver's own text could repeat the password.
                let options = PgConnectOptions::from_str(url).map_err(|_| {
                    StoreError::Url("the Postgres URL cannot be read: postgres://user:password@host:5432/database".into())
                })?;
                Ok(Self::Pg(Box::new(options)))
            }
            _ => Err(StoreError::Url(
                "a database URL begins with sqlite: or postgres://".into(),
            )),
        }
    }
}

/// How each connection to a SQLite file is set up. What a commit answered survives a power cut:
/// WAL with `synchronous = FULL` flushes the log at every commit (<https://sqlite.org/pragma.html#pragma_synchronous>).
/// A simulator ends processes and never the power.
pub(crate) fn lite_options(path: &Path, options: &Options) -> SqliteConnectOptions {
    let synchronous = match options.probe {
        None => SqliteSynchronous::Full,
        Some(_) => SqliteSynchronous::Off,
    };
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        .pragma("journal_size_limit", "67108864")
        .statement_cache_capacity(PREPARED_MAX)
}

/// Pages of the log at which a commit copies them itself, 64 MiB: somebody else should have done it long
/// before.
const LOG_PAGES_MAX: &str = "16384";

/// Opens a connection that writes.
pub(crate) async fn lite_writer(
    path: &Path,
    options: &Options,
) -> Result<SqliteConnection, sqlx::Error> {
    let connect = match options.probe {
        None => lite_options(path, options).pragma("wal_autocheckpoint", LOG_PAGES_MAX),
        Some(_) => lite_options(path, options),
    };
    connect.connect().await
}

/// Opens the one connection that reads, for a simulator.
pub(crate) async fn lite_reader(
    path: &Path,
    options: &Options,
) -> Result<SqliteConnection, sqlx::Error> {
    let connect = lite_options(path, options).pragma("query_only", "ON");
    connect.connect().await
}

/// What reads a SQLite file and cannot write it: single statements, and several of one state.
pub(crate) fn lite_readers(path: &Path, options: &Options) -> (Lanes<Sqlite>, sqlx::SqlitePool) {
    let connect = lite_options(path, options).pragma("query_only", "ON");
    let (count, patience) = (options.read_connections, options.acquire_timeout);
    let lanes = Lanes::new(connect.clone(), count, patience);
    let pool: SqlitePoolOptions = quiet::<Sqlite>(count, options);
    (
        lanes,
        pool.test_before_acquire(false).connect_lazy_with(connect),
    )
}

/// How each connection to Postgres is set up.
fn pg_options(place: &PgConnectOptions, options: &Options) -> PgConnectOptions {
    let lock_timeout_ms = options.busy_timeout.as_millis().to_string();
    place
        .clone()
        .application_name("paywatch")
        .statement_cache_capacity(PREPARED_MAX)
        .options([
            ("synchronous_commit", "on"),
            ("lock_timeout", lock_timeout_ms.as_str()),
            ("idle_in_transaction_session_timeout", "60000"),
        ])
}

/// The pool whose connections run units. `BEGIN` means read committed whatever the server's default
/// is; row locks order the writers.
pub(crate) fn pg_writers(place: &PgConnectOptions, options: &Options) -> sqlx::PgPool {
    let connect =
        pg_options(place, options).options([("default_transaction_isolation", "read committed")]);
    let pool: PgPoolOptions = quiet::<Postgres>(options.write_connections, options);
    pool.connect_lazy_with(connect)
}

/// What reads Postgres and cannot write it: single statements, and several of one state.
pub(crate) fn pg_readers(
    place: &PgConnectOptions,
    options: &Options,
) -> (Lanes<Postgres>, sqlx::PgPool) {
    let connect = pg_options(place, options).options([("default_transaction_read_only", "on")]);
    let (count, patience) = (options.read_connections, options.acquire_timeout);
    let lanes = Lanes::new(connect.clone(), count, patience);
    let pool: PgPoolOptions = quiet::<Postgres>(count, options);
    (lanes, pool.connect_lazy_with(connect))
}

/// How the connection that migrates Postgres is set up: it waits for others as long as it takes.
pub(crate) fn pg_migrator(place: &PgConnectOptions) -> PgConnectOptions {
    place.clone().application_name("paywatch migrate")
}

/// A pool without a life of its own: no background work, nothing reopened by age.
fn quiet<DB: sqlx::Database>(connections: u32, options: &Options) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(connections.max(1))
        .min_connections(0)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(options.acquire_timeout)
}

impl Dialect {
    /// Begins a unit, or a group of them: the write lock is taken at once, so that it cannot fail later.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Lite => "BEGIN IMMEDIATE",
            Self::Pg => "BEGIN",
        }
    }

    /// Begins a transaction that reads one state of the database.
    pub(crate) fn begin_snapshot(self) -> &'static str {
        match self {
            Self::Lite => "BEGIN DEFERRED",
            Self::Pg => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// Inside a Postgres transaction: its commit need not wait for the disk. Safe where a later flushed
/// commit covers it, because the log is written in order.
pub(crate) const PG_COMMIT_WITHOUT_FLUSH: &str = "SET LOCAL synchronous_commit = off";
/// Inside a Postgres transaction: one process migrates at a time.
pub(crate) const PG_MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7306086912884764788)";
