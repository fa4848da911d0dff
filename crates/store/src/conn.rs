//! A connection to either database, and the only place where statements are run.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Database, Executor, FromRow, Postgres, Sqlite, Transaction};
use tokio::sync::OwnedMutexGuard;

use crate::bind::{Bind, arguments};
use crate::dialect::Dialect;
use crate::error::{StoreError, is_retryable};
use crate::lanes::Lane;
use crate::probe::{Moment, Probe, pass};
use crate::sql::Sql;

/// A row struct that both databases can fill; `derive(sqlx::FromRow)` makes one.
pub trait Row: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> {}

impl<T> Row for T where T: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>
{}

/// How a connection is held.
pub(crate) enum Link<DB: Database> {
    /// Opened for this use alone.
    Own(Box<DB::Connection>),
    /// The only one that reads; every statement is a transaction.
    Shared(OwnedMutexGuard<DB::Connection>),
    /// One of those that read; every statement is a transaction.
    Lane(Lane<DB>),
    /// On loan from a pool, inside a transaction that ends with it.
    Transaction(Transaction<'static, DB>),
}

impl<DB: Database> Deref for Link<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        match self {
            Self::Own(conn) => conn,
            Self::Shared(conn) => conn,
            Self::Lane(conn) => conn,
            Self::Transaction(conn) => conn,
        }
    }
}

impl<DB: Database> DerefMut for Link<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        match self {
            Self::Own(conn) => conn,
            Self::Shared(conn) => conn,
            Self::Lane(conn) => conn,
            Self::Transaction(conn) => conn,
        }
    }
}

/// The two databases.
pub(crate) enum Either {
    Lite(Link<Sqlite>),
    Pg(Link<Postgres>),
}

/// What went wrong on a connection since it was last cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A statement failed.
    Final,
    /// A statement failed, and running the whole unit again may help.
    Retryable,
}

/// A connection that runs statements of this crate on either database.
pub struct Conn {
    pub(crate) inner: Either,
    pub(crate) failure: Option<Failure>,
    /// Whether deliveries were stored that are due.
    pub(crate) has_deliveries: bool,
    probe: Option<Arc<dyn Probe>>,
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conn")
            .field("dialect", &self.dialect())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Conn {
    pub(crate) fn new(inner: Either) -> Self {
        Self {
            inner,
            failure: None,
            has_deliveries: false,
            probe: None,
        }
    }

    /// The same, watched by a simulator.
    pub(crate) fn probed(self, probe: Option<Arc<dyn Probe>>) -> Self {
        Self { probe, ..self }
    }

    /// Passes a moment at which a simulator may end the process.
    pub(crate) async fn pass(&self, moment: Moment) {
        pass(self.probe.as_ref(), moment).await;
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.inner {
            Either::Lite(_) => Dialect::Lite,
            Either::Pg(_) => Dialect::Pg,
        }
    }

    /// Runs a statement and answers how many rows it wrote.
    pub async fn execute(&mut self, sql: Sql, binds: &[Bind<'_>]) -> Result<u64, StoreError> {
        check(sql, binds)?;
        self.pass(Moment::Statement(sql.name())).await;
        let text = sql.text(self.dialect());
        let done = match &mut self.inner {
            Either::Lite(conn) => match arguments::<Sqlite>(binds) {
                Ok(values) => conn
                    .execute(sqlx::query_with(text, values))
                    .await
                    .map(|done| done.rows_affected()),
                Err(error) => Err(error),
            },
            Either::Pg(conn) => match arguments::<Postgres>(binds) {
                Ok(values) => conn
                    .execute(sqlx::query_with(text, values))
                    .await
                    .map(|done| done.rows_affected()),
                Err(error) => Err(error),
            },
        };
        self.settle(&done);
        done.map_err(|error| self.fail(sql, error))
    }

    /// Runs a statement and answers all its rows.
    pub async fn fetch<R: Row>(
        &mut self,
        sql: Sql,
        binds: &[Bind<'_>],
    ) -> Result<Vec<R>, StoreError> {
        check(sql, binds)?;
        self.pass(Moment::Statement(sql.name())).await;
        let text = sql.text(self.dialect());
        let rows = match &mut self.inner {
            Either::Lite(conn) => match arguments::<Sqlite>(binds) {
                Ok(values) => conn
                    .fetch_all(sqlx::query_with(text, values))
                    .await
                    .and_then(|rows| rows.iter().map(R::from_row).collect()),
                Err(error) => Err(error),
            },
            Either::Pg(conn) => match arguments::<Postgres>(binds) {
                Ok(values) => conn
                    .fetch_all(sqlx::query_with(text, values))
                    .await
                    .and_then(|rows| rows.iter().map(R::from_row).collect()),
                Err(error) => Err(error),
            },
        };
        self.settle(&rows);
        rows.map_err(|error| self.fail(sql, error))
    }

    /// A statement has come to its end; its connection can be used for another one if the database answered.
    fn settle<T>(&mut self, answer: &Result<T, sqlx::Error>) {
        if !matches!(answer, Ok(_) | Err(sqlx::Error::Database(_))) {
            return;
        }
        match &mut self.inner {
            Either::Lite(Link::Lane(lane)) => lane.settle(),
            Either::Pg(Link::Lane(lane)) => lane.settle(),
            Either::Lite(Link::Own(_) | Link::Shared(_) | Link::Transaction(_))
            | Either::Pg(Link::Own(_) | Link::Shared(_) | Link::Transaction(_)) => {}
        }
    }

    /// Runs a statement that answers at most one row.
    pub async fn fetch_optional<R: Row>(
        &mut self,
        sql: Sql,
        binds: &[Bind<'_>],
    ) -> Result<Option<R>, StoreError> {
        let mut rows = self.fetch(sql, binds).await?;
        if 1 < rows.len() {
            let text = format!("{} answers {} rows instead of one", sql.name(), rows.len());
            return Err(StoreError::Damaged(text));
        }
        Ok(rows.pop())
    }

    /// Runs a statement that answers exactly one row.
    pub async fn fetch_one<R: Row>(
        &mut self,
        sql: Sql,
        binds: &[Bind<'_>],
    ) -> Result<R, StoreError> {
        let row = self.fetch_optional(sql, binds).await?;
        row.ok_or_else(|| StoreError::Damaged(format!("{} answers no row", sql.name())))
    }

    /// Runs a text that takes no values: transaction control, pragmas, migrations.
    pub(crate) async fn command(&mut self, text: &'static str) -> Result<(), sqlx::Error> {
        match &mut self.inner {
            // Kept prepared: every unit begins and ends with the same few.
            Either::Lite(conn) => conn.execute(sqlx::query(text)).await.map(drop),
            Either::Pg(conn) => sqlx::raw_sql(text).execute(&mut **conn).await.map(drop),
        }
    }

    /// Ends the transaction that this connection holds; without one there is nothing to commit.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self.inner {
            Either::Lite(Link::Transaction(transaction)) => transaction.commit().await,
            Either::Pg(Link::Transaction(transaction)) => transaction.commit().await,
            Either::Lite(Link::Own(_) | Link::Shared(_) | Link::Lane(_))
            | Either::Pg(Link::Own(_) | Link::Shared(_) | Link::Lane(_)) => Ok(()),
        }
    }

    /// Undoes the transaction that this connection holds.
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self.inner {
            Either::Lite(Link::Transaction(transaction)) => transaction.rollback().await,
            Either::Pg(Link::Transaction(transaction)) => transaction.rollback().await,
            Either::Lite(Link::Own(_) | Link::Shared(_) | Link::Lane(_))
            | Either::Pg(Link::Own(_) | Link::Shared(_) | Link::Lane(_)) => Ok(()),
        }
    }

    fn fail(&mut self, sql: Sql, error: sqlx::Error) -> StoreError {
        self.failure = Some(if is_retryable(&error) {
            Failure::Retryable
        } else {
            Failure::Final
        });
        StoreError::statement(sql.name(), error)
    }
}

/// SQLite takes missing values for NULL, so they are counted here.
fn check(sql: Sql, binds: &[Bind<'_>]) -> Result<(), StoreError> {
    if sql.binds() == binds.len() {
        return Ok(());
    }
    Err(StoreError::BindCount {
        statement: sql.name(),
        expected: sql.binds(),
        given: binds.len(),
    })
}
