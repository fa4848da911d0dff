//! Copies the log into the database file beside the writer, so that no commit waits for it
//! (<https://sqlite.org/wal.html#avoiding_excessively_large_wal_files>).

use std::path::PathBuf;

use sqlx::SqliteConnection;
use tokio::sync::Notify;

use crate::dialect::lite_writer;
use crate::store::Options;

/// Commits after which one is due. Each makes some tens of pages of log; SQLite's own habit is a
/// thousand pages.
pub(super) const COMMITS_MAX: u32 = 32;

/// A connection of its own that makes passive checkpoints.
pub(super) struct Checkpoints {
    path: PathBuf,
    options: Options,
    conn: Option<SqliteConnection>,
}

impl Checkpoints {
    pub(super) fn new(path: PathBuf, options: Options) -> Self {
        Self {
            path,
            options,
            conn: None,
        }
    }

    /// Makes one whenever it is `due`. It stops nobody, and nobody waits for it; what it could not do is
    /// done by the next, or by the writer when the log has grown long.
    pub(super) async fn run(&mut self, due: &Notify) {
        loop {
            due.notified().await;
            if let Err(error) = self.make().await {
                tracing::debug!(%error, "a checkpoint failed; the writer makes it up");
                self.conn = None;
            }
        }
    }

    async fn make(&mut self) -> Result<(), sqlx::Error> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            None => self
                .conn
                .insert(lite_writer(&self.path, &self.options).await?),
        };
        let text = "PRAGMA wal_checkpoint(PASSIVE)";
        sqlx::raw_sql(text).execute(conn).await.map(drop)
    }

    /// Ends the connection. The writer's must be the last one: that copies what is left of the log, so
    /// that the file alone is the whole database.
    pub(super) async fn close(self) {
        if let Some(conn) = self.conn
            && let Err(error) = sqlx::Connection::close(conn).await
        {
            tracing::debug!(%error, "the connection of the checkpoints was not closed cleanly");
        }
    }
}
