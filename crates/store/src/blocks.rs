//! The window of recent headers that a follower compares with its node.

use paywatch_domain::{BlockHash, BlockRef, ChainName, UnixMillis};
use serde::Serialize;

use crate::column::{count, int, list};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    WINDOW = "SELECT height, hash, parent, time FROM blocks WHERE chain = $1
        ORDER BY height DESC LIMIT $2";
    DELETE = "DELETE FROM blocks WHERE chain = $1 AND (height > $2 OR height < $3)";
    INSERT = "INSERT INTO blocks (chain, height, hash, parent, time)
        SELECT CAST($1 AS TEXT), CAST(value->>'height' AS BIGINT), value->>'hash', value->>'parent',
            CAST(value->>'time' AS BIGINT)
        FROM json_each($2) WHERE true";
}

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

/// The newest headers of a chain, newest first.
pub async fn window(
    conn: &mut Conn,
    chain: &ChainName,
    limit: u32,
) -> Result<Vec<Header>, StoreError> {
    let binds = [chain.as_str().into(), i64::from(limit).into()];
    let rows = conn
        .fetch::<(i64, String, String, i64)>(WINDOW, &binds)
        .await?;
    let headers = rows.into_iter().map(|(height, hash, parent, time)| {
        Ok(Header {
            at: BlockRef {
                height: count("blocks.height", height)?,
                hash: BlockHash::new(&hash),
            },
            parent: BlockHash::new(&parent),
            time: UnixMillis(time),
        })
    });
    headers.collect()
}

#[derive(Serialize)]
struct Row<'a> {
    height: i64,
    hash: &'a str,
    parent: &'a str,
    time: i64,
}

/// Replaces everything above `fork_height` by `headers`, and forgets what is below
/// `keep_from_height`.
pub async fn replace_above(
    tx: &mut Tx,
    chain: &ChainName,
    fork_height: u64,
    headers: &[Header],
    keep_from_height: u64,
) -> Result<(), StoreError> {
    let binds = [
        chain.as_str().into(),
        int(fork_height).into(),
        int(keep_from_height).into(),
    ];
    tx.execute(DELETE, &binds).await?;
    let kept = headers
        .iter()
        .filter(|header| keep_from_height <= header.at.height);
    let rows = list(kept.map(|header| Row {
        height: int(header.at.height),
        hash: header.at.hash.as_str(),
        parent: header.parent.as_str(),
        time: header.time.0,
    }));
    let binds = [chain.as_str().into(), (&rows).into()];
    tx.execute(INSERT, &binds).await?;
    Ok(())
}
