//! Gaps in the coverage of chains: when nobody could look.

use std::collections::BTreeMap;

use paywatch_domain::{ChainName, Gap, UnixMillis, limits};

use crate::column::parsed;
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    NOTE = "INSERT INTO gaps (chain, began_at, ended_at)
        SELECT c.chain, c.covered_until, CAST($2 AS BIGINT) FROM chains AS c
        WHERE c.chain = $1 AND c.covered_until < CAST($3 AS BIGINT)
        ON CONFLICT (chain, ended_at) DO NOTHING";
    KNOWN = "SELECT g.chain, g.began_at, g.ended_at FROM chains AS c CROSS JOIN gaps AS g
        WHERE g.chain = c.chain AND g.ended_at > c.covered_until - $1
        ORDER BY g.chain, g.ended_at";
}

/// Notes that nobody looked at a chain since it was last covered, when that is longer than `longest_ms`
/// before `until`. To be done before [`cover`](crate::chains::cover), which checks the lease.
pub async fn note(
    tx: &mut Tx,
    chain: &ChainName,
    until: UnixMillis,
    longest_ms: i64,
) -> Result<(), StoreError> {
    let since = until.plus_ms(longest_ms.saturating_neg());
    let binds = [chain.as_str().into(), until.into(), since.into()];
    tx.execute(NOTE, &binds).await?;
    Ok(())
}

/// The gaps of each chain that may matter, oldest first.
pub async fn known(conn: &mut Conn) -> Result<BTreeMap<ChainName, Vec<Gap>>, StoreError> {
    let binds = [limits::GAPS_KNOWN_MS.into()];
    let rows = conn.fetch::<(String, i64, i64)>(KNOWN, &binds).await?;
    let mut gaps: BTreeMap<ChainName, Vec<Gap>> = BTreeMap::new();
    for (chain, began_at, ended_at) in rows {
        let gap = Gap {
            began_at: UnixMillis(began_at),
            ended_at: UnixMillis(ended_at),
        };
        let chain = parsed("gaps.chain", &chain)?;
        gaps.entry(chain).or_default().push(gap);
    }
    Ok(gaps)
}
