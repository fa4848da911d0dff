//! The audit log: who did what, as rows that nobody can change, drop or insert without the master key.
//!
//! Every merchant has a log of its own, and the installation has one; each row is sealed together with
//! the seal of the row before it. Writers of one log wait for each other until their commit, those of
//! different logs do not.

use paywatch_domain::{MerchantId, UnixMillis};

use crate::page::{Cursor, Listed, Window};
use crate::secrets::MasterKey;
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    /// The row of a log stays locked until the unit ends.
    TAKE = "INSERT INTO audit_heads (log, number, seal) VALUES ($1, 1, $2)
        ON CONFLICT (log) DO UPDATE SET number = audit_heads.number + 1 RETURNING number, seal";
    INSERT = "INSERT INTO audit (log, number, created_at, actor, request_id, action, subject, before, after,
            previous, seal)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    END = "UPDATE audit_heads SET seal = $2 WHERE log = $1";
    HEAD = "SELECT number, seal FROM audit_heads WHERE log = $1";
    /// The first in the alphabet behind another, so that no log is read from end to end.
    NEXT_LOG = "SELECT MIN(n.log) FROM (SELECT MIN(log) AS log FROM audit WHERE log > $1
        UNION ALL SELECT MIN(log) FROM audit_heads WHERE log > $1) AS n";
    FROM = "SELECT log, number, created_at, actor, request_id, action, subject, before, after, previous, seal
        FROM audit WHERE log = $1 AND number >= $2 ORDER BY number LIMIT CAST($3 AS BIGINT)";
    OLDER = "SELECT log, number, created_at, actor, request_id, action, subject, before, after, previous, seal
        FROM audit WHERE log = $1 AND number < $2 ORDER BY number DESC LIMIT CAST($3 AS BIGINT)";
    NEWER = "SELECT log, number, created_at, actor, request_id, action, subject, before, after, previous, seal
        FROM audit WHERE log = $1 AND number > $2 ORDER BY number LIMIT CAST($3 AS BIGINT)";
    FIND = "SELECT number FROM audit WHERE log = $1 AND number = CAST($2 AS BIGINT)";
}

/// Under which purpose rows are sealed.
const PURPOSE: &str = "audit-row";
/// What the first row of a log stands on.
const START: [u8; 32] = [0; 32];
/// Rows that are verified at one time.
const VERIFIED_ROWS: i64 = 1000;

/// The log of what concerns no merchant alone, such as a chain.
pub const INSTALLATION: &str = "installation";

/// One action to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose log it goes into; `None` for the installation's.
    pub merchant: Option<MerchantId>,
    /// Who did it: the id of an API key, `cli`, or `operator` for what the configuration brings about.
    pub actor: String,
    /// The request that asked for it.
    pub request_id: String,
    /// What was done, a thing and a verb: `wallet.confirm`.
    pub action: &'static str,
    /// Public id of what it was done to, or a chain's name.
    pub subject: String,
    /// JSON without secrets: what it was; `None` for something new.
    pub before: Option<String>,
    /// JSON without secrets: what it is now; `None` for what is gone.
    pub after: Option<String>,
    /// When.
    pub now: UnixMillis,
}

/// The name of a merchant's log, or of the installation's.
pub fn log_name(merchant: Option<MerchantId>) -> String {
    merchant.map_or_else(|| INSTALLATION.to_owned(), |merchant| merchant.to_string())
}

/// A recorded action.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Recorded {
    /// The log that it stands in.
    pub log: String,
    /// Its place there, from 1.
    pub number: i64,
    /// When it was done, milliseconds since 1970 UTC.
    pub created_at: i64,
    /// Who did it.
    pub actor: String,
    /// The request that asked for it.
    pub request_id: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// JSON: what it was.
    pub before: Option<String>,
    /// JSON: what it is now.
    pub after: Option<String>,
    /// Seal of the row before it.
    pub previous: Vec<u8>,
    /// MAC over all of this.
    pub seal: Vec<u8>,
}

impl Recorded {
    fn with_fields<T>(&self, run: impl FnOnce(&[&[u8]]) -> T) -> T {
        // A missing text is not an empty one.
        let optional = |text: &Option<String>| match text {
            Some(text) => [b"+", text.as_bytes()].concat(),
            None => Vec::new(),
        };
        run(&[
            self.log.as_bytes(),
            &self.number.to_be_bytes(),
            &self.created_at.to_be_bytes(),
            self.actor.as_bytes(),
            self.request_id.as_bytes(),
            self.action.as_bytes(),
            self.subject.as_bytes(),
            &optional(&self.before),
            &optional(&self.after),
            &self.previous,
        ])
    }
}

/// Records an action in the transaction of its effect. Call it after everything else that the unit locks:
/// the log's end is held until the commit.
pub async fn append(tx: &mut Tx, master: &MasterKey, entry: &Entry) -> Result<(), StoreError> {
    let log = log_name(entry.merchant);
    let (number, previous) = tx
        .fetch_one::<(i64, Vec<u8>)>(TAKE, &[(&log).into(), START.as_slice().into()])
        .await?;
    let mut row = Recorded {
        log,
        number,
        created_at: entry.now.0,
        actor: entry.actor.clone(),
        request_id: entry.request_id.clone(),
        action: entry.action.to_owned(),
        subject: entry.subject.clone(),
        before: entry.before.clone(),
        after: entry.after.clone(),
        previous,
        seal: Vec::new(),
    };
    row.seal = row
        .with_fields(|fields| master.mac(PURPOSE, fields))
        .to_vec();
    let binds = [
        (&row.log).into(),
        row.number.into(),
        row.created_at.into(),
        (&row.actor).into(),
        (&row.request_id).into(),
        (&row.action).into(),
        (&row.subject).into(),
        row.before.as_deref().into(),
        row.after.as_deref().into(),
        (&row.previous).into(),
        (&row.seal).into(),
    ];
    tx.execute(INSERT, &binds).await?;
    tx.execute(END, &[(&row.log).into(), (&row.seal).into()])
        .await?;
    Ok(())
}

/// A page of a log, newest first. Rows are named by their number.
pub async fn list(
    conn: &mut Conn,
    log: &str,
    cursor: &Cursor<u64>,
    limit: u32,
) -> Result<Listed<Recorded>, StoreError> {
    let scope = [log.into()];
    let window = Window::find(conn, cursor, limit, FIND, &scope).await?;
    window.fetch(conn, (OLDER, NEWER), &scope, &[]).await
}

/// Every log, in the order of the alphabet.
pub async fn logs(conn: &mut Conn) -> Result<Vec<String>, StoreError> {
    let mut logs: Vec<String> = Vec::new();
    loop {
        let last = logs.last().map_or("", String::as_str);
        let next = conn
            .fetch_one::<(Option<String>,)>(NEXT_LOG, &[last.into()])
            .await?;
        match next {
            (Some(next),) => logs.push(next),
            (None,) => return Ok(logs),
        }
    }
}

/// What a look at a whole log has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Rows that fit, from the first.
    pub rows: i64,
    /// The seal of the last one that fits: noted outside the database, it tells later that no row was cut off.
    pub seal: Vec<u8>,
    /// The first that does not fit, and why.
    pub fault: Option<Fault>,
}

/// The first row of a log that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its place in the log.
    pub number: i64,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Verifies a log from its first row to its end. Read it in a snapshot, or a row that is appended
/// meanwhile looks like a fault.
pub async fn verify(
    conn: &mut Conn,
    master: &MasterKey,
    log: &str,
) -> Result<Verified, StoreError> {
    let mut found = Verified {
        rows: 0,
        seal: START.to_vec(),
        fault: None,
    };
    loop {
        let next = found.rows.saturating_add(1);
        let binds = [log.into(), next.into(), VERIFIED_ROWS.into()];
        let rows = conn.fetch::<Recorded>(FROM, &binds).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            found.fault = fault(&found, master, &row);
            if found.fault.is_some() {
                return Ok(found);
            }
            found.rows = row.number;
            found.seal = row.seal;
        }
    }
    let head = conn
        .fetch_optional::<(i64, Vec<u8>)>(HEAD, &[log.into()])
        .await?;
    if head != Some((found.rows, found.seal.clone())) {
        found.fault = Some(Fault {
            number: found.rows.saturating_add(1),
            why: "it is missing, or the note of where the log ends was changed",
        });
    }
    Ok(found)
}

/// What is wrong with the row that should follow those that fit.
fn fault(before: &Verified, master: &MasterKey, row: &Recorded) -> Option<Fault> {
    let number = before.rows.saturating_add(1);
    let why = if row.number != number {
        "it is missing"
    } else if row.previous != before.seal {
        "it does not follow the row before it"
    } else if !row.with_fields(|fields| master.verify(PURPOSE, fields, &row.seal)) {
        "it was changed or was not written by paywatch"
    } else {
        return None;
    };
    Some(Fault { number, why })
}

/// A seal as people see it: hexadecimal.
pub fn seal_text(seal: &[u8]) -> String {
    hex::encode(seal)
}

/// The seal of one row of a log.
pub async fn seal_of(
    conn: &mut Conn,
    log: &str,
    number: i64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let binds = [log.into(), number.into(), 1.into()];
    let rows = conn.fetch::<Recorded>(FROM, &binds).await?;
    let row = rows.into_iter().find(|row| row.number == number);
    Ok(row.map(|row| row.seal))
}
