//! Marks of chains: up to which block a chain says that it will not go back.

use paywatch_domain::{ChainName, Marks};

use crate::column::{int, optional_count};
use crate::sql::statements;
use crate::{StoreError, Tx};

statements! {
    RAISE = "UPDATE chains SET
            safe_height = CASE WHEN $3 > COALESCE(safe_height, -1) THEN $3 ELSE safe_height END,
            confirmed_height = CASE WHEN $4 > COALESCE(confirmed_height, -1) THEN $4 ELSE confirmed_height END,
            finalized_height = CASE WHEN $5 > COALESCE(finalized_height, -1) THEN $5 ELSE finalized_height END
        WHERE chain = $1 AND fence = $2";
    CUT = "UPDATE chains SET
            safe_height = CASE WHEN safe_height > $3 THEN $3 ELSE safe_height END,
            confirmed_height = CASE WHEN confirmed_height > $3 THEN $3 ELSE confirmed_height END,
            finalized_height = CASE WHEN finalized_height > $3 THEN $3 ELSE finalized_height END
        WHERE chain = $1 AND fence = $2";
    FINALIZED = "SELECT finalized_height, resumed_at FROM chains WHERE chain = $1";
}

/// Raises the marks of a chain; none ever goes back.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] when the fence is not this lease's.
pub async fn raise(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    marks: Marks,
) -> Result<(), StoreError> {
    let binds = [
        chain.as_str().into(),
        fence.into(),
        marks.safe.map(int).into(),
        marks.confirmed.map(int).into(),
        marks.finalized.map(int).into(),
    ];
    if tx.execute(RAISE, &binds).await? == 1 {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}

/// Takes the marks of a chain down to the highest block that stays: what was said of the blocks above was
/// said of others. To be done before the cursor moves.
///
/// Answers the height that was finalized, when blocks up to it leave the chain and nobody has allowed that.
pub async fn cut(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    height: u64,
) -> Result<Option<u64>, StoreError> {
    let row = tx
        .fetch_optional::<(Option<i64>, Option<i64>)>(FINALIZED, &[chain.as_str().into()])
        .await?;
    let (finalized, resumed_at) = row.unwrap_or_default();
    let finalized = optional_count("chains.finalized_height", finalized)?;
    let binds = [chain.as_str().into(), fence.into(), int(height).into()];
    tx.execute(CUT, &binds).await?;
    Ok(finalized.filter(|finalized| height < *finalized && resumed_at.is_none()))
}
