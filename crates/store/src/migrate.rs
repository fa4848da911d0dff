//! Migrations: forward only, compiled in, one folder per database with the same file names.

use std::path::Path;
use std::time::Duration;

use paywatch_domain::UnixMillis;
use sha2::{Digest, Sha256};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, PgConnection, SqliteConnection};

use crate::conn::{Conn, Either, Link};
use crate::dialect::{Dialect, PG_MIGRATION_LOCK, Place, lite_options, pg_migrator};
use crate::error::{SchemaError, StoreError, is_busy};
use crate::restored;
use crate::sql::statements;
use crate::store::Options;

/// How often a file that another process is making is tried, and how long in between: ten seconds, like
/// the busy timeout.
const OPEN_TRIES: u32 = 200;
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// One step of the schema, for both databases.
struct Migration {
    version: i64,
    name: &'static str,
    lite: &'static str,
    pg: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            lite: include_str!(concat!("../../../migrations/sqlite/", $name, ".sql")),
            pg: include_str!(concat!("../../../migrations/postgres/", $name, ".sql")),
        }
    };
}

/// Every step, oldest first. Never edit one that was released.
const MIGRATIONS: &[Migration] = &[migration!(1, "0001_foundation")];

impl Migration {
    fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Lite => self.lite,
            Dialect::Pg => self.pg,
        }
    }

    fn checksum(&self, dialect: Dialect) -> String {
        hex::encode(Sha256::digest(self.text(dialect)))
    }
}

/// A step that [`migrate`] has applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub version: i64,
    /// Its file name without the ending.
    pub name: &'static str,
}

/// Made before anything else, so it is no statement of the list below: that table must exist for it.
const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_versions (
    version    BIGINT PRIMARY KEY, -- number of the migration
    name       TEXT NOT NULL,      -- file name without the ending
    checksum   TEXT NOT NULL,      -- SHA-256 of the file in hexadecimal
    applied_at BIGINT NOT NULL     -- when
)";

statements! {
    /// Whether this is a fresh database.
    TABLE_COUNT = "SELECT COUNT(*) FROM ",
        (lite "sqlite_master WHERE type = 'table' AND name = 'schema_versions'",
         pg "pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_versions'");
    SELECT_VERSIONS = "SELECT version, name, checksum FROM schema_versions ORDER BY version";
    INSERT_VERSION = "INSERT INTO schema_versions (version, name, checksum, applied_at)
        VALUES ($1, $2, $3, $4)";
}

#[derive(sqlx::FromRow)]
struct Version {
    #[sqlx(rename = "version")]
    number: i64,
    name: String,
    checksum: String,
}

/// The version that this program needs.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// Brings the database up to the schema of this program, in one transaction, and answers what was
/// applied. A SQLite file that does not exist is created; a Postgres database that was restored from
/// another server is made fit for this one.
///
/// # Errors
///
/// [`StoreError::Schema`] when the database is newer or was made by an edited migration.
pub async fn migrate(url: &str, now: UnixMillis) -> Result<Vec<Applied>, StoreError> {
    let mut conn = connect(url).await?;
    let applied = apply(&mut conn, now).await;
    if applied.is_err() {
        // What failed is the error to show; the connection ends with this function.
        let _ = conn.command("ROLLBACK").await;
    }
    let applied = applied?;
    close(conn).await.map_err(step)?;
    Ok(applied)
}

async fn connect(url: &str) -> Result<Conn, StoreError> {
    let options = Options::default();
    let inner = match Place::parse(url)? {
        Place::Lite(path) => {
            create_folder(&path)?;
            let connect = lite_options(&path, &options).create_if_missing(true);
            let conn = open_lite(&connect).await.map_err(step)?;
            Either::Lite(Link::Own(Box::new(conn)))
        }
        Place::Pg(place) => {
            let conn: PgConnection = pg_migrator(&place).connect().await.map_err(step)?;
            Either::Pg(Link::Own(Box::new(conn)))
        }
    };
    Ok(Conn::new(inner))
}

/// Opens a SQLite file. While another process makes a new file a WAL one, this is refused at once,
/// whatever the busy timeout is (<https://sqlite.org/wal.html>, section 9).
#[expect(
    clippy::disallowed_methods,
    reason = "it stands in for SQLite's own wait for a lock, before anything else runs"
)]
async fn open_lite(connect: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut tries = 0;
    loop {
        match connect.connect().await {
            Err(error) if tries < OPEN_TRIES && is_busy(&error) => {
                tries += 1;
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

fn create_folder(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    else {
        return Ok(());
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| StoreError::Url(format!("{} cannot be made: {error}", folder.display())))
}

async fn close(conn: Conn) -> Result<(), sqlx::Error> {
    match conn.inner {
        Either::Lite(Link::Own(conn)) => sqlx::Connection::close(*conn).await,
        Either::Pg(Link::Own(conn)) => sqlx::Connection::close(*conn).await,
        Either::Lite(Link::Shared(_) | Link::Lane(_) | Link::Transaction(_))
        | Either::Pg(Link::Shared(_) | Link::Lane(_) | Link::Transaction(_)) => Ok(()),
    }
}

async fn apply(conn: &mut Conn, now: UnixMillis) -> Result<Vec<Applied>, StoreError> {
    let dialect = conn.dialect();
    conn.command(dialect.begin()).await.map_err(step)?;
    if dialect == Dialect::Pg {
        conn.command(PG_MIGRATION_LOCK).await.map_err(step)?;
    }
    conn.command(CREATE_TABLE).await.map_err(step)?;
    let found = conn.fetch::<Version>(SELECT_VERSIONS, &[]).await?;
    compare(&found, dialect)?;
    let mut applied = Vec::new();
    for migration in MIGRATIONS.iter().skip(found.len()) {
        conn.command(migration.text(dialect))
            .await
            .map_err(|error| StoreError::statement(migration.name, error))?;
        let checksum = migration.checksum(dialect);
        conn.execute(
            INSERT_VERSION,
            &[
                migration.version.into(),
                migration.name.into(),
                (&checksum).into(),
                now.into(),
            ],
        )
        .await?;
        applied.push(Applied {
            version: migration.version,
            name: migration.name,
        });
    }
    restored::adopt(conn).await?;
    conn.command("COMMIT").await.map_err(step)?;
    Ok(applied)
}

/// Refuses a database whose schema is not exactly the one of this program.
pub(crate) async fn verify(conn: &mut Conn) -> Result<(), StoreError> {
    let (tables,) = conn.fetch_one::<(i64,)>(TABLE_COUNT, &[]).await?;
    let found = if tables == 0 {
        Vec::new()
    } else {
        conn.fetch::<Version>(SELECT_VERSIONS, &[]).await?
    };
    compare(&found, conn.dialect())?;
    if found.len() < MIGRATIONS.len() {
        return Err(StoreError::Schema(SchemaError::Outdated {
            found: found.last().map_or(0, |version| version.number),
            needed: newest(),
        }));
    }
    restored::verify(conn).await
}

/// What was applied must be a beginning of what this program knows.
fn compare(found: &[Version], dialect: Dialect) -> Result<(), SchemaError> {
    for (at, version) in found.iter().enumerate() {
        let Some(known) = MIGRATIONS.get(at) else {
            return Err(SchemaError::Newer {
                found: found.last().map_or(0, |version| version.number),
                known: newest(),
            });
        };
        if known.version != version.number || known.checksum(dialect) != version.checksum {
            return Err(SchemaError::Changed {
                name: version.name.clone(),
            });
        }
    }
    Ok(())
}

fn step(error: sqlx::Error) -> StoreError {
    StoreError::step("migrate", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_compiled_in_under_the_same_name_for_both_databases() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let known: Vec<String> = MIGRATIONS
            .iter()
            .map(|migration| format!("{}.sql", migration.name))
            .collect();
        for folder in ["sqlite", "postgres"] {
            let mut files: Vec<String> = std::fs::read_dir(root.join(folder))
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            assert_eq!(files, known, "{folder}");
        }
        for (at, migration) in MIGRATIONS.iter().enumerate() {
            let number = i64::try_from(at).unwrap() + 1;
            assert_eq!(migration.version, number);
            assert!(migration.name.starts_with(&format!("{number:04}_")));
        }
    }

    #[test]
    fn a_schema_that_is_newer_or_edited_is_refused() {
        let good = |number: i64| Version {
            number,
            name: format!("{number:04}_x"),
            checksum: MIGRATIONS[0].checksum(Dialect::Lite),
        };
        assert_eq!(compare(&[good(1)], Dialect::Lite), Ok(()));
        assert_eq!(
            compare(&[good(1)], Dialect::Pg),
            Err(SchemaError::Changed {
                name: "0001_x".into()
            })
        );
        let newer: Vec<Version> = (1..=newest() + 1).map(good).collect();
        assert!(compare(&newer[..1], Dialect::Lite).is_ok());
        assert!(matches!(
            compare(&newer, Dialect::Lite),
            Err(SchemaError::Newer { .. } | SchemaError::Changed { .. })
        ));
    }
}
