//! Requests: what people ask of the worker that follows a chain.
//!
//! The API writes them and shows how far they are; the worker that holds the chain's lease carries them
//! out, under its fence, and records its progress with each piece, so that another one can go on.

use paywatch_domain::{ChainName, Findings, RequestId, Task, UnixMillis};
use paywatch_wire::stored;

use crate::column::{count, damaged, int, optional_count, optional_time, parsed, word};
use crate::keys::{MerchantKey, RequestKey};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO requests (public_id, merchant, kind, chain, body, state, blocks_done, actor,
            created_at)
        VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, $7)";
    GET = "SELECT id, public_id, merchant, kind, chain, body, state, blocks_done, blocks_total, result,
            error, actor, created_at, started_at, finished_at
        FROM requests WHERE public_id = $1";
    /// What a later release may ask is left to it.
    OPEN = "SELECT id, public_id, merchant, kind, chain, body, state, blocks_done, blocks_total, result,
            error, actor, created_at, started_at, finished_at
        FROM requests WHERE chain = $1 AND state IN ('waiting', 'running')
            AND kind IN ('resume', 'rescan', 'wallet_scan', 'attach', 'check')
        ORDER BY CASE kind WHEN 'resume' THEN 0 ELSE 1 END, id LIMIT CAST($2 AS BIGINT)";
    BEGIN_RESUMES = "UPDATE requests SET state = 'running', started_at = COALESCE(started_at, $2)
        WHERE chain = $1 AND kind = 'resume' AND state IN ('waiting', 'running')";
    FAIL_RESUMES = "UPDATE requests SET state = 'failed', error = $2, finished_at = $3
        WHERE chain = $1 AND kind = 'resume' AND state IN ('waiting', 'running')";
    FAIL = "UPDATE requests SET state = 'failed', error = $2, finished_at = $3
        WHERE id = $1 AND state IN ('waiting', 'running')";
    CANCEL = "UPDATE requests SET state = 'canceled', finished_at = $2
        WHERE id = $1 AND state IN ('waiting', 'running')";
    RECORD = "UPDATE requests SET state = $2, blocks_done = $3, blocks_total = $4, result = $5, error = $6,
            started_at = COALESCE(started_at, $7),
            finished_at = CASE WHEN CAST($2 AS TEXT) IN ('done', 'failed') THEN CAST($7 AS BIGINT) END
        WHERE id = $1 AND state IN ('waiting', 'running')";
}

/// More requests of one chain than this are not open at one time.
pub const OPEN_MAX: usize = 64;

/// Where a request stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestState {
    /// No worker has begun.
    #[default]
    Waiting,
    /// A worker is at it, or was when it ended.
    Running,
    /// Carried out.
    Done,
    /// Given up; the error says why.
    Failed,
    /// Withdrawn by people; what was done of it stays.
    Canceled,
}

impl RequestState {
    const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Canceled,
    ];

    /// Whether something is still to be done.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }

    /// The name in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// The state with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// How far a request is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Where it stands.
    pub state: RequestState,
    /// Blocks that were read and applied.
    pub blocks_done: u64,
    /// Blocks to be read, as far as that is known.
    pub blocks_total: Option<u64>,
    /// What was found so far.
    pub findings: Option<Findings>,
    /// Why it failed, or what it waits for.
    pub error: Option<String>,
}

/// A request to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRequest {
    /// Public id.
    pub id: RequestId,
    /// Who asked; `None` for what operators ask of a whole chain.
    pub merchant: Option<MerchantKey>,
    /// Whose worker does it.
    pub chain: ChainName,
    /// What is to be done.
    pub task: Task,
    /// Who asked, for the record.
    pub actor: String,
    /// When.
    pub now: UnixMillis,
}

/// A stored request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Internal key.
    pub key: RequestKey,
    /// Public id.
    pub id: RequestId,
    /// Who asked; `None` for what operators ask of a whole chain.
    pub merchant: Option<MerchantKey>,
    /// Whose worker does it.
    pub chain: ChainName,
    /// What is to be done.
    pub task: Task,
    /// How far it is.
    pub progress: Progress,
    /// Who asked, for the record.
    pub actor: String,
    /// When it was asked.
    pub created_at: UnixMillis,
    /// When a worker began.
    pub started_at: Option<UnixMillis>,
    /// When it was done or given up.
    pub finished_at: Option<UnixMillis>,
}

/// An open request whose row cannot be understood.
#[derive(Debug)]
pub struct Unreadable {
    /// Internal key.
    pub key: RequestKey,
    /// What is wrong with it.
    pub error: StoreError,
}

#[derive(sqlx::FromRow)]
struct Raw {
    id: i64,
    public_id: String,
    merchant: Option<i64>,
    kind: String,
    chain: String,
    body: String,
    state: String,
    blocks_done: i64,
    blocks_total: Option<i64>,
    result: Option<String>,
    error: Option<String>,
    actor: String,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
}

impl Raw {
    fn read(self) -> Result<Request, StoreError> {
        let task = stored::task_from_json(&self.kind, &self.body)
            .map_err(|error| damaged("requests.body", error))?;
        let findings = self.result.as_deref().map(stored::findings_from_json);
        let findings = findings
            .transpose()
            .map_err(|error| damaged("requests.result", error))?;
        Ok(Request {
            key: RequestKey(self.id),
            id: parsed("requests.public_id", &self.public_id)?,
            merchant: self.merchant.map(MerchantKey),
            chain: parsed("requests.chain", &self.chain)?,
            task,
            progress: Progress {
                state: word("requests.state", &self.state, RequestState::parse)?,
                blocks_done: count("requests.blocks_done", self.blocks_done)?,
                blocks_total: optional_count("requests.blocks_total", self.blocks_total)?,
                findings,
                error: self.error,
            },
            actor: self.actor,
            created_at: UnixMillis(self.created_at),
            started_at: optional_time(self.started_at),
            finished_at: optional_time(self.finished_at),
        })
    }
}

/// Stores a request, which waits.
pub async fn insert(tx: &mut Tx, request: &NewRequest) -> Result<(), StoreError> {
    let (id, body) = (request.id.to_string(), stored::task_to_json(&request.task));
    let binds = [
        (&id).into(),
        request.merchant.map(|merchant| merchant.0).into(),
        request.task.kind().into(),
        request.chain.as_str().into(),
        (&body).into(),
        (&request.actor).into(),
        request.now.into(),
    ];
    tx.execute(INSERT, &binds).await?;
    Ok(())
}

/// One request.
pub async fn get(conn: &mut Conn, id: RequestId) -> Result<Option<Request>, StoreError> {
    let id = id.to_string();
    let row = conn.fetch_optional::<Raw>(GET, &[(&id).into()]).await?;
    row.map(Raw::read).transpose()
}

/// The requests of a chain that wait or run: first what lets a halted chain go on, then the oldest, and not
/// more than [`OPEN_MAX`]. A row that cannot be understood spoils no other.
pub async fn open(
    conn: &mut Conn,
    chain: &ChainName,
) -> Result<Vec<Result<Request, Unreadable>>, StoreError> {
    let limit = i64::try_from(OPEN_MAX).unwrap_or(i64::MAX);
    let binds = [chain.as_str().into(), limit.into()];
    let rows = conn.fetch::<Raw>(OPEN, &binds).await?.into_iter();
    let read = rows.map(|row| {
        let key = RequestKey(row.id);
        row.read().map_err(|error| Unreadable { key, error })
    });
    Ok(read.collect())
}

/// Begins every open request to resume a chain; answers whether there is one.
pub async fn begin_resumes(
    tx: &mut Tx,
    chain: &ChainName,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let binds = [chain.as_str().into(), now.into()];
    Ok(0 < tx.execute(BEGIN_RESUMES, &binds).await?)
}

/// Ends every open request to resume a chain: what halts it now was not looked at when they were asked.
pub async fn fail_resumes(
    tx: &mut Tx,
    chain: &ChainName,
    why: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let binds = [chain.as_str().into(), why.into(), now.into()];
    tx.execute(FAIL_RESUMES, &binds).await?;
    Ok(())
}

/// Ends a request that cannot be carried out; what it has found stays.
pub async fn fail(
    tx: &mut Tx,
    request: RequestKey,
    why: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let binds = [request.into(), why.into(), now.into()];
    tx.execute(FAIL, &binds).await?;
    Ok(())
}

/// Withdraws a request; answers whether it was open.
pub async fn cancel(tx: &mut Tx, request: RequestKey, now: UnixMillis) -> Result<bool, StoreError> {
    let changed = tx.execute(CANCEL, &[request.into(), now.into()]).await?;
    Ok(changed == 1)
}

/// Records how far a request is; answers whether it is still open for that, or was withdrawn meanwhile.
pub async fn record(
    tx: &mut Tx,
    request: RequestKey,
    progress: &Progress,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let findings = progress.findings.as_ref().map(stored::findings_to_json);
    let binds = [
        request.into(),
        progress.state.as_str().into(),
        int(progress.blocks_done).into(),
        progress.blocks_total.map(int).into(),
        findings.as_deref().into(),
        progress.error.as_deref().into(),
        now.into(),
    ];
    Ok(tx.execute(RECORD, &binds).await? == 1)
}
