//! The headers that a follower compares with its node: a window of the newest, and a skeleton below.

use std::ops::Range;

use paywatch_domain::{BlockHash, BlockRef, ChainName, UnixMillis};
use serde::Serialize;

use crate::column::{count, int, list};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    FROM = "SELECT height, hash, parent, time FROM blocks WHERE chain = $1 AND height >= $2
        ORDER BY height";
    BETWEEN = "SELECT height, hash FROM blocks WHERE chain = $1 AND height BETWEEN $2 AND $3
        ORDER BY height";
    AT = "SELECT height, hash, parent, time FROM blocks WHERE chain = $1 AND height = $2";
    LOWEST = "SELECT MIN(height) AS height FROM blocks WHERE chain = $1";
    DELETE_ABOVE = "DELETE FROM blocks WHERE chain = $1 AND height > $2";
    /// The lowest stays: below it nothing was ever read.
    THIN = "DELETE FROM blocks WHERE chain = $1 AND height >= $2 AND height < $3 AND height % 100 <> 0
        AND height > (SELECT MIN(height) FROM blocks WHERE chain = $1)";
    INSERT = "INSERT INTO blocks (chain, height, hash, parent, time)
        SELECT CAST($1 AS TEXT), CAST(value->>'height' AS BIGINT), value->>'hash', value->>'parent',
            CAST(value->>'time' AS BIGINT)
        FROM json_each($2) WHERE true";
}

/// Below the window the header of one block in so many is kept.
pub const KEPT_EVERY: u64 = 100;

/// What is kept of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Height and hash.
    pub at: BlockRef,
    /// The hash of the block below.
    pub parent: BlockHash,
    /// As the block claims it.
    pub time: UnixMillis,
}

/// The headers of a chain from a height on, lowest first. Without gaps above what [`replace_above`] thins out;
/// there every hundredth and the first.
pub async fn from_height(
    conn: &mut Conn,
    chain: &ChainName,
    lowest: u64,
) -> Result<Vec<Header>, StoreError> {
    let binds = [chain.as_str().into(), int(lowest).into()];
    let rows = conn.fetch::<Kept>(FROM, &binds).await?;
    rows.into_iter().map(header).collect()
}

/// The header of one height, where it is kept.
pub async fn at(
    conn: &mut Conn,
    chain: &ChainName,
    height: u64,
) -> Result<Option<Header>, StoreError> {
    let binds = [chain.as_str().into(), int(height).into()];
    let row = conn.fetch_optional::<Kept>(AT, &binds).await?;
    row.map(header).transpose()
}

/// Height, hash, hash of the block below, and time.
type Kept = (i64, String, String, i64);

fn header((height, hash, parent, time): Kept) -> Result<Header, StoreError> {
    Ok(Header {
        at: BlockRef {
            height: count("blocks.height", height)?,
            hash: BlockHash::new(&hash),
        },
        parent: BlockHash::new(&parent),
        time: UnixMillis(time),
    })
}

/// The blocks of a range whose headers are kept, lowest first.
pub async fn between(
    conn: &mut Conn,
    chain: &ChainName,
    lowest: u64,
    highest: u64,
) -> Result<Vec<BlockRef>, StoreError> {
    let binds = [
        chain.as_str().into(),
        int(lowest).into(),
        int(highest).into(),
    ];
    let rows = conn.fetch::<(i64, String)>(BETWEEN, &binds).await?;
    let blocks = rows.into_iter().map(|(height, hash)| {
        Ok(BlockRef {
            height: count("blocks.height", height)?,
            hash: BlockHash::new(&hash),
        })
    });
    blocks.collect()
}

/// The lowest height whose header is kept: below it nothing is known to be of this chain. `None` before the
/// first block.
pub async fn lowest(conn: &mut Conn, chain: &ChainName) -> Result<Option<u64>, StoreError> {
    let binds = [chain.as_str().into()];
    let (height,) = conn.fetch_one::<(Option<i64>,)>(LOWEST, &binds).await?;
    height
        .map(|height| count("blocks.height", height))
        .transpose()
}

#[derive(Serialize)]
struct Row<'a> {
    height: i64,
    hash: &'a str,
    parent: &'a str,
    time: i64,
}

/// Replaces everything above `fork_height` by `headers`, and keeps of what is in `thinned` only every
/// hundredth and the first, so that the fork of a very deep reorganisation can be found.
pub async fn replace_above(
    tx: &mut Tx,
    chain: &ChainName,
    fork_height: u64,
    headers: &[Header],
    thinned: Range<u64>,
) -> Result<(), StoreError> {
    let binds = [chain.as_str().into(), int(fork_height).into()];
    tx.execute(DELETE_ABOVE, &binds).await?;
    let rows = list(headers.iter().map(|header| Row {
        height: int(header.at.height),
        hash: header.at.hash.as_str(),
        parent: header.parent.as_str(),
        time: header.time.0,
    }));
    let binds = [chain.as_str().into(), (&rows).into()];
    tx.execute(INSERT, &binds).await?;
    let binds = [
        chain.as_str().into(),
        int(thinned.start).into(),
        int(thinned.end).into(),
    ];
    tx.execute(THIN, &binds).await?;
    Ok(())
}
