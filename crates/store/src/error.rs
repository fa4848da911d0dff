//! Errors of the store, named by what the caller can do.

use std::sync::Arc;

use crate::secrets::SecretError;

/// Why the store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is busy or is full. Nothing happened; try again later.
    #[error("the database is unavailable ({doing}): {source}")]
    Unavailable {
        /// The statement or step.
        doing: &'static str,
        /// What the driver says.
        source: Arc<sqlx::Error>,
    },
    /// The commit failed half-way: read the state, or repeat under the same idempotency key.
    #[error("nobody knows whether the commit happened: {0}")]
    OutcomeUnknown(Arc<sqlx::Error>),
    /// What should be written exists already. The text names the rule.
    #[error("exists already: {0}")]
    Conflict(&'static str),
    /// Stored data cannot be read. An operator has to look.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// The database refuses a statement: a mistake in this program.
    #[error("the statement {statement} was refused: {source}")]
    Refused {
        /// Which statement.
        statement: &'static str,
        /// What the driver says.
        source: Arc<sqlx::Error>,
    },
    /// A statement got the wrong number of values: a mistake in this program.
    #[error("the statement {statement} takes {expected} values and got {given}")]
    BindCount {
        /// Which statement.
        statement: &'static str,
        /// Placeholders in its text.
        expected: usize,
        /// Values that were passed.
        given: usize,
    },
    /// A unit went on after a failed statement. It was rolled back: a mistake in this program.
    #[error("the unit {0} ignored a failed statement and was rolled back")]
    FailureIgnored(&'static str),
    /// The follower's lease has passed to another process: stop following.
    #[error("another process follows this chain now")]
    LeaseLost,
    /// The row that a page should begin at is not in the list.
    #[error("the cursor names nothing in this list")]
    NoSuchCursor,
    /// The writer has stopped: the process is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The URL does not name a database.
    #[error("{0}")]
    Url(String),
    /// The schema does not fit this program.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Why a database's schema does not fit this program. Every text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// There is no schema, or an older one.
    #[error(
        "the database has schema {found}, this program needs {needed}: run `paywatch migrate` (back up first)"
    )]
    Outdated {
        /// Version found, 0 for an empty database.
        found: i64,
        /// Version needed.
        needed: i64,
    },
    /// A newer program has migrated it.
    #[error(
        "the database has schema {found}, this program knows schemas up to {known}: run the newer paywatch, or restore the backup made before the upgrade"
    )]
    Newer {
        /// Version found.
        found: i64,
        /// Newest version known.
        known: i64,
    },
    /// A dump was restored on another Postgres server.
    #[error(
        "the database was restored from another Postgres server: run `paywatch migrate` before anything writes to it"
    )]
    Restored,
    /// A migration was changed after it was applied.
    #[error(
        "migration {name} differs from the one that this database was made with: use the release that made it, or restore a backup; never edit an applied migration"
    )]
    Changed {
        /// Which migration.
        name: String,
    },
}

impl StoreError {
    /// What a failed statement means.
    pub(crate) fn statement(statement: &'static str, source: sqlx::Error) -> Self {
        match &source {
            sqlx::Error::Database(error) if error.is_unique_violation() => {
                Self::Conflict(statement)
            }
            sqlx::Error::Database(error) if is_passing(error.code().as_deref()) => {
                Self::Unavailable {
                    doing: statement,
                    source: Arc::new(source),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable {
                doing: statement,
                source: Arc::new(source),
            },
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::RowNotFound => Self::Damaged(format!("{statement}: {source}")),
            _ => Self::Refused {
                statement,
                source: Arc::new(source),
            },
        }
    }

    /// What a failed step around statements (connect, begin, acquire) means: nothing happened.
    pub(crate) fn step(doing: &'static str, source: sqlx::Error) -> Self {
        Self::Unavailable {
            doing,
            source: Arc::new(source),
        }
    }

    /// Names the rule behind a [`StoreError::Conflict`]; other errors stay what they are.
    #[must_use]
    pub fn rule(self, rule: &'static str) -> Self {
        match self {
            Self::Conflict(_) => Self::Conflict(rule),
            other => other,
        }
    }
}

/// Whether a code is about the state of the server, not about the statement.
///
/// Postgres: classes 08 (connection), 40 (rollback), 53 (resources), 55 (not in the needed state), 57
/// (operator intervention), 58 (system) of its appendix A. SQLite: primary result codes BUSY, LOCKED,
/// NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN (<https://sqlite.org/rescode.html>).
fn is_passing(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    if code.len() == 5 && code.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        return ["08", "40", "53", "55", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 8 | 9 | 10 | 13 | 14))
}

/// Whether another process holds a SQLite file.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

/// Whether running the whole unit again may help: serialization failure or deadlock in Postgres.
pub(crate) fn is_retryable(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error)
        if matches!(error.code().as_deref(), Some("40001" | "40P01")))
}
