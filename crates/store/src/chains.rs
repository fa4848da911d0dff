//! Chains: lease, cursor, coverage and health, in one row each.
//!
//! The cursor is on the lease row, and every write of a follower names its fence: a process whose
//! lease has passed to another one can no longer move anything, however late its write arrives.

use paywatch_domain::{BlockRef, ChainName, ChainView, Marks, UnixMillis, Unseen, Views};

use crate::column::{block, int, optional_count, optional_time, parsed};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx, gaps};

statements! {
    CLAIM = "INSERT INTO chains (chain, fence, holder, lease_until, updated_at) VALUES ($1, 1, $2, $4, $3)
        ON CONFLICT (chain) DO UPDATE SET fence = chains.fence + 1, holder = $2, lease_until = $4, updated_at = $3
        WHERE chains.holder IS NULL OR chains.holder = $2 OR chains.lease_until <= $3
        RETURNING fence, height, hash, covered_until, halted, resumed_at";
    RENEW = "UPDATE chains SET lease_until = $3, updated_at = $4 WHERE chain = $1 AND fence = $2";
    RELEASE = "UPDATE chains SET holder = NULL, lease_until = 0 WHERE chain = $1 AND fence = $2";
    HOLD = "UPDATE chains SET updated_at = $3 WHERE chain = $1 AND fence = $2 RETURNING height, hash";
    ADVANCE = "UPDATE chains SET height = $4, hash = $5, updated_at = $6, resumed_at = NULL
        WHERE chain = $1 AND fence = $2 AND COALESCE(hash, '') = $3";
    /// A clock that was put back takes along what it vouched for.
    COVER = "UPDATE chains SET covered_until = $3, tip_height = $4,
            problem_code = NULL, problem = NULL, blocks_per_minute = NULL, updated_at = $3
        WHERE chain = $1 AND fence = $2";
    HALT = "UPDATE chains SET halted = $3, resumed_at = NULL WHERE chain = $1 AND fence = $2";
    RESUME = "UPDATE chains SET halted = NULL, resumed_at = $3
        WHERE chain = $1 AND fence = $2 AND halted IS NOT NULL";
    REPORT = "UPDATE chains SET tip_height = COALESCE($3, tip_height), problem_code = $4, problem = $5,
            updated_at = $6, blocks_per_minute = $7
        WHERE chain = $1 AND fence = $2";
    ALL = "SELECT chain, height, hash, fence, holder, lease_until, covered_until, tip_height,
            safe_height, confirmed_height, finalized_height, unseen_asset, looked_until, halted, problem_code, problem,
            blocks_per_minute, updated_at,
            (SELECT MIN(b.height) FROM blocks AS b WHERE b.chain = chains.chain) AS first_height
        FROM chains ORDER BY chain";
}

/// The right to follow a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The chain.
    pub chain: ChainName,
    /// Belongs to this lease alone.
    pub fence: i64,
    /// The last block that was applied.
    pub cursor: Option<BlockRef>,
    /// Up to when the chain was covered.
    pub covered_until: Option<UnixMillis>,
    /// Why nothing may be applied until an operator has looked.
    pub halted: Option<String>,
    /// Whether an operator has looked at the last halt, and no chain event was applied since: the next
    /// one may undo more than is followed otherwise.
    pub is_resumed: bool,
}

#[derive(sqlx::FromRow)]
struct Claimed {
    fence: i64,
    height: Option<i64>,
    hash: Option<String>,
    covered_until: Option<i64>,
    halted: Option<String>,
    resumed_at: Option<i64>,
}

/// Takes the lease of a chain when it is free, has run out or is this holder's own; `None` while
/// another process has it.
pub async fn claim(
    tx: &mut Tx,
    chain: &ChainName,
    holder: &str,
    now: UnixMillis,
    lease_ms: i64,
) -> Result<Option<Lease>, StoreError> {
    let binds = [
        chain.as_str().into(),
        holder.into(),
        now.into(),
        now.plus_ms(lease_ms).into(),
    ];
    let Some(row) = tx.fetch_optional::<Claimed>(CLAIM, &binds).await? else {
        return Ok(None);
    };
    Ok(Some(Lease {
        chain: chain.clone(),
        fence: row.fence,
        cursor: block(row.height, row.hash.as_deref())?,
        covered_until: optional_time(row.covered_until),
        halted: row.halted,
        is_resumed: row.resumed_at.is_some(),
    }))
}

/// Prolongs a lease. `false` when it has passed to another process.
pub async fn renew(
    tx: &mut Tx,
    lease: &Lease,
    now: UnixMillis,
    lease_ms: i64,
) -> Result<bool, StoreError> {
    let binds = [
        lease.chain.as_str().into(),
        lease.fence.into(),
        now.plus_ms(lease_ms).into(),
        now.into(),
    ];
    Ok(tx.execute(RENEW, &binds).await? == 1)
}

/// Gives a lease back, so that another process need not wait for its end.
pub async fn release(tx: &mut Tx, lease: &Lease) -> Result<(), StoreError> {
    let binds = [lease.chain.as_str().into(), lease.fence.into()];
    tx.execute(RELEASE, &binds).await?;
    Ok(())
}

/// Makes sure that a lease is still held, and keeps it from passing on until the unit ends. Answers the
/// cursor. For units that write what was read and do not move the cursor.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when the fence is not this lease's.
pub async fn hold(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    now: UnixMillis,
) -> Result<Option<BlockRef>, StoreError> {
    let binds = [chain.as_str().into(), fence.into(), now.into()];
    let row = tx
        .fetch_optional::<(Option<i64>, Option<String>)>(HOLD, &binds)
        .await?;
    let (height, hash) = row.ok_or(StoreError::LeaseLost)?;
    block(height, hash.as_deref())
}

/// Moves the cursor from one block to another. Every transaction that applies a chain event does
/// this, and fails as a whole when it does.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when the fence is not this lease's, or the cursor is not at `from`.
pub async fn advance(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    from: Option<&BlockRef>,
    to: &BlockRef,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let binds = [
        chain.as_str().into(),
        fence.into(),
        from.map_or("", |block| block.hash.as_str()).into(),
        int(to.height).into(),
        to.hash.as_str().into(),
        now.into(),
    ];
    held(tx.execute(ADVANCE, &binds).await?)
}

/// Records that everything up to the node's tip was read by a poll that began at `until`. Coverage
/// is what this poll found, and a problem that was reported is over.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when the fence is not this lease's.
pub async fn cover(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    until: UnixMillis,
    tip_height: u64,
) -> Result<(), StoreError> {
    let binds = [
        chain.as_str().into(),
        fence.into(),
        until.into(),
        int(tip_height).into(),
    ];
    held(tx.execute(COVER, &binds).await?)
}

/// Halts a chain: nothing is applied until [`resume`].
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when the fence is not this lease's.
pub async fn halt(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    reason: &str,
) -> Result<(), StoreError> {
    let binds = [chain.as_str().into(), fence.into(), reason.into()];
    held(tx.execute(HALT, &binds).await?)
}

/// Lets a halted chain go on, with the permission to undo more than is followed otherwise: until the
/// next chain event. Answers whether it was halted and the fence is this lease's.
pub async fn resume(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let binds = [chain.as_str().into(), fence.into(), now.into()];
    Ok(tx.execute(RESUME, &binds).await? == 1)
}

/// What is wrong with a node: it cannot be read, or contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable name.
    pub code: String,
    /// The same in words.
    pub text: String,
}

/// What a follower tells people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Height of the node's tip, where it is known.
    pub tip_height: Option<u64>,
    /// What keeps the follower from reading on, where something does.
    pub problem: Option<Problem>,
    /// How fast it catches up; `None` at the tip.
    pub blocks_per_minute: Option<u64>,
}

/// Shows people what a follower does.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when the fence is not this lease's.
pub async fn report(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    news: &News,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let problem = news.problem.as_ref();
    let binds = [
        chain.as_str().into(),
        fence.into(),
        news.tip_height.map(int).into(),
        problem.map(|problem| problem.code.as_str()).into(),
        problem.map(|problem| problem.text.as_str()).into(),
        now.into(),
        news.blocks_per_minute.map(int).into(),
    ];
    held(tx.execute(REPORT, &binds).await?)
}

fn held(rows: u64) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}

/// Everything that is stored about one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainRow {
    /// The chain.
    pub chain: ChainName,
    /// The last block that was applied.
    pub cursor: Option<BlockRef>,
    /// The height of the first block that was ever applied; from there to the cursor every one was.
    pub first_height: Option<u64>,
    /// The process that follows it.
    pub holder: Option<String>,
    /// Until when that process has the lease.
    pub lease_until: UnixMillis,
    /// Up to when it is covered.
    pub covered_until: Option<UnixMillis>,
    /// The node's tip, as last read.
    pub tip_height: Option<u64>,
    /// Up to which blocks the chain says that it will not go back.
    pub marks: Marks,
    /// What its blocks do not show.
    pub unseen: Option<Unseen>,
    /// Why nothing is applied.
    pub halted: Option<String>,
    /// What keeps the follower from reading on.
    pub problem: Option<Problem>,
    /// How fast it catches up; `None` at the tip.
    pub blocks_per_minute: Option<u64>,
    /// When the follower last wrote.
    pub updated_at: UnixMillis,
}

#[derive(sqlx::FromRow)]
struct Raw {
    chain: String,
    height: Option<i64>,
    hash: Option<String>,
    holder: Option<String>,
    lease_until: i64,
    covered_until: Option<i64>,
    tip_height: Option<i64>,
    safe_height: Option<i64>,
    confirmed_height: Option<i64>,
    finalized_height: Option<i64>,
    unseen_asset: Option<String>,
    looked_until: Option<i64>,
    halted: Option<String>,
    problem_code: Option<String>,
    problem: Option<String>,
    blocks_per_minute: Option<i64>,
    updated_at: i64,
    first_height: Option<i64>,
}

impl Raw {
    fn read(self) -> Result<ChainRow, StoreError> {
        let problem = self.problem_code.zip(self.problem);
        let unseen = self.unseen_asset.as_deref().zip(self.looked_until);
        let unseen = unseen.map(|(asset, until)| {
            Ok::<_, StoreError>(Unseen {
                asset: parsed("chains.unseen_asset", asset)?,
                looked_until: UnixMillis(until),
            })
        });
        Ok(ChainRow {
            chain: parsed("chains.chain", &self.chain)?,
            cursor: block(self.height, self.hash.as_deref())?,
            first_height: optional_count("blocks.height", self.first_height)?,
            holder: self.holder,
            lease_until: UnixMillis(self.lease_until),
            covered_until: optional_time(self.covered_until),
            tip_height: optional_count("chains.tip_height", self.tip_height)?,
            marks: Marks {
                safe: optional_count("chains.safe_height", self.safe_height)?,
                confirmed: optional_count("chains.confirmed_height", self.confirmed_height)?,
                finalized: optional_count("chains.finalized_height", self.finalized_height)?,
            },
            unseen: unseen.transpose()?,
            halted: self.halted,
            problem: problem.map(|(code, text)| Problem { code, text }),
            blocks_per_minute: optional_count("chains.blocks_per_minute", self.blocks_per_minute)?,
            updated_at: UnixMillis(self.updated_at),
        })
    }
}

/// Every chain that was ever followed, by name.
pub async fn all(conn: &mut Conn) -> Result<Vec<ChainRow>, StoreError> {
    let rows = conn.fetch::<Raw>(ALL, &[]).await?;
    rows.into_iter().map(Raw::read).collect()
}

/// How far each chain was read, for the fold.
pub async fn views(conn: &mut Conn) -> Result<Views, StoreError> {
    let rows = all(conn).await?;
    let mut known = gaps::known(conn).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let gaps = known.remove(&row.chain);
            let view = ChainView {
                tip: row.cursor.map(|block| block.height),
                covered_until: row.covered_until,
                gaps: gaps.unwrap_or_default(),
                marks: row.marks,
                unseen: row.unseen,
            };
            (row.chain, view)
        })
        .collect())
}
