//! Index counters: one per parent node, so that no two invoices ever get one address.

use std::collections::BTreeMap;

use crate::column;
use crate::sql::statements;
use crate::{StoreError, Tx, Unit};

statements! {
    TAKE = "INSERT INTO key_counters (node, next_index) VALUES ($1, CAST($2 AS BIGINT) + CAST($3 AS BIGINT))
        ON CONFLICT (node) DO UPDATE SET next_index = CASE
            WHEN key_counters.next_index < CAST($2 AS BIGINT) THEN CAST($2 AS BIGINT) + CAST($3 AS BIGINT)
            ELSE key_counters.next_index + CAST($3 AS BIGINT) END
        RETURNING next_index - CAST($3 AS BIGINT) AS first";
    RAISE = "INSERT INTO key_counters (node, next_index) VALUES ($1, $2)
        ON CONFLICT (node) DO UPDATE SET next_index = $2 WHERE key_counters.next_index < $2";
}

/// Behind the highest index of a child that is not hardened (BIP 32).
pub const INDEX_END: u32 = 0x8000_0000;

/// Takes the next `count` indexes of a node, never below `at_least` and all of them below `end`; answers the
/// first of them. None of them is ever handed out again.
///
/// # Errors
///
/// [`StoreError::Conflict`] `node_exhausted` when the node has not that many indexes left; nothing is taken
/// then.
pub async fn take(
    tx: &mut Tx,
    node: &str,
    at_least: u32,
    count: u32,
    end: u32,
) -> Result<u32, StoreError> {
    let binds = [
        node.into(),
        i64::from(at_least).into(),
        i64::from(count).into(),
    ];
    let (first,) = tx.fetch_one::<(i64,)>(TAKE, &binds).await?;
    let last = first.saturating_add(i64::from(count)).saturating_sub(1);
    if i64::from(end) <= last {
        return Err(StoreError::Conflict("node_exhausted"));
    }
    column::count("key_counters.next_index", first)
}

/// Makes sure that no index below `next` is handed out any more. Never lowers.
pub async fn raise(tx: &mut Tx, node: &str, next: u32) -> Result<(), StoreError> {
    tx.execute(RAISE, &[node.into(), i64::from(next).into()])
        .await?;
    Ok(())
}

/// [`take`] as a unit of its own. It holds the counter for a moment only, so creations do not wait
/// for each other; and it need not be flushed, because the invoice that uses the indexes is.
#[derive(Clone, Debug)]
pub struct TakeIndexes {
    /// The parent node.
    pub node: String,
    /// The wallet's first index, or more.
    pub at_least: u32,
    /// How many follow each other.
    pub count: u32,
    /// Behind the last index that can be taken.
    pub end: u32,
}

impl Unit for TakeIndexes {
    type Output = u32;
    type Error = StoreError;
    const NAME: &'static str = "take_indexes";
    const FLUSHED: bool = false;
    const TOGETHER: bool = true;

    async fn run(&self, tx: &mut Tx) -> Result<u32, StoreError> {
        take(tx, &self.node, self.at_least, self.count, self.end).await
    }

    /// In the order of the nodes, so that two processes never wait for each other in a circle.
    async fn run_together(units: &[&Self], tx: &mut Tx) -> Option<Vec<u32>> {
        let mut wanted: BTreeMap<&str, Self> = BTreeMap::new();
        for unit in units {
            let all = wanted.entry(&unit.node).or_insert_with(|| Self {
                count: 0,
                ..(*unit).clone()
            });
            all.at_least = unit.at_least.max(all.at_least);
            all.count = all.count.checked_add(unit.count)?;
            all.end = unit.end.min(all.end);
        }
        let mut next = BTreeMap::new();
        for (node, all) in &wanted {
            next.insert(*node, all.run(tx).await.ok()?);
        }
        let firsts = units.iter().map(|unit| {
            let next = next.get_mut(unit.node.as_str())?;
            let first = *next;
            *next = first.checked_add(unit.count)?;
            Some(first)
        });
        firsts.collect()
    }
}
