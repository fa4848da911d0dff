//! Index counters: one per parent node, so that no two invoices ever get one address.

use crate::column::count;
use crate::sql::statements;
use crate::{StoreError, Tx, Unit};

statements! {
    TAKE = "INSERT INTO key_counters (node, next_index) VALUES ($1, CAST($2 AS BIGINT) + 1)
        ON CONFLICT (node) DO UPDATE SET next_index = CASE
            WHEN key_counters.next_index < CAST($2 AS BIGINT) THEN CAST($2 AS BIGINT) + 1
            ELSE key_counters.next_index + 1 END
        RETURNING next_index - 1 AS taken";
    RAISE = "INSERT INTO key_counters (node, next_index) VALUES ($1, $2)
        ON CONFLICT (node) DO UPDATE SET next_index = $2 WHERE key_counters.next_index < $2";
}

/// The highest index of a child that is not hardened (BIP 32).
const INDEX_MAX: u32 = 0x7fff_ffff;

/// Takes the next index of a node, never below `at_least`. It is never handed out again.
///
/// # Errors
///
/// [`StoreError::Conflict`] `node_exhausted` when the node has no index left.
pub async fn take(tx: &mut Tx, node: &str, at_least: u32) -> Result<u32, StoreError> {
    let binds = [node.into(), i64::from(at_least).into()];
    let (taken,) = tx.fetch_one::<(i64,)>(TAKE, &binds).await?;
    let taken = count("key_counters.next_index", taken)?;
    if INDEX_MAX < taken {
        return Err(StoreError::Conflict("node_exhausted"));
    }
    Ok(taken)
}

/// Makes sure that no index below `next` is handed out any more. Never lowers.
pub async fn raise(tx: &mut Tx, node: &str, next: u32) -> Result<(), StoreError> {
    tx.execute(RAISE, &[node.into(), i64::from(next).into()])
        .await?;
    Ok(())
}

/// [`take`] as a unit of its own. It holds the counter for a moment only, so creations do not wait
/// for each other; and it need not be flushed, because the invoice that uses the index is.
#[derive(Clone, Debug)]
pub struct TakeIndex {
    /// The parent node.
    pub node: String,
    /// The wallet's first index, or more.
    pub at_least: u32,
}

impl Unit for TakeIndex {
    type Output = u32;
    type Error = StoreError;
    const NAME: &'static str = "take_index";
    const FLUSHED: bool = false;

    async fn run(&self, tx: &mut Tx) -> Result<u32, StoreError> {
        take(tx, &self.node, self.at_least).await
    }
}
