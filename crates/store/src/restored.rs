//! After a dump was restored on another Postgres server: its transactions are numbered anew.
//!
//! Events carry the number of the transaction that wrote them. On another server old numbers can lie in
//! the future: such events would not be visible, and new ones would come before them. So the numbers of
//! all rows are moved below zero, in the same order. SQLite files hold no such numbers.

use crate::error::{SchemaError, StoreError};
use crate::sql::statements;
use crate::{Conn, dialect::Dialect};

statements! {
    FOREIGN_EVENTS = "SELECT COUNT(*) FROM ",
        (lite "events WHERE seq = 0",
         pg "(SELECT xid FROM events ORDER BY seq DESC LIMIT 100) AS newest
            WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint");
    RENUMBER_EVENTS =
        (lite "UPDATE events SET seq = seq WHERE seq = 0",
         pg "UPDATE events SET xid = n.place - (SELECT COUNT(*) FROM events)
            FROM (SELECT seq, ROW_NUMBER() OVER (ORDER BY xid, seq) AS place FROM events) AS n
            WHERE events.seq = n.seq");
    RENUMBER_WATCHED =
        (lite "UPDATE watched SET id = id WHERE id = 0",
         pg "UPDATE watched SET xid = 0 WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint");
}

/// Refuses a database whose transactions were numbered by another server.
pub(crate) async fn verify(conn: &mut Conn) -> Result<(), StoreError> {
    if is_foreign(conn).await? {
        return Err(StoreError::Schema(SchemaError::Restored));
    }
    Ok(())
}

/// Numbers the rows of a restored database for this server. Nobody else may have it open.
pub(crate) async fn adopt(conn: &mut Conn) -> Result<(), StoreError> {
    if is_foreign(conn).await? {
        conn.execute(RENUMBER_EVENTS, &[]).await?;
        conn.execute(RENUMBER_WATCHED, &[]).await?;
    }
    Ok(())
}

async fn is_foreign(conn: &mut Conn) -> Result<bool, StoreError> {
    if conn.dialect() == Dialect::Lite {
        return Ok(false);
    }
    let (events,) = conn.fetch_one::<(i64,)>(FOREIGN_EVENTS, &[]).await?;
    Ok(0 < events)
}
