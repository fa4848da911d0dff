//! What blocks of a chain do not show, and up to when the balances that do were looked at.

use paywatch_domain::{AssetName, ChainName, UnixMillis};

use crate::sql::statements;
use crate::{StoreError, Tx};

statements! {
    NOTE = "UPDATE chains SET unseen_asset = $3, looked_until = 0
        WHERE chain = $1 AND fence = $2 AND COALESCE(unseen_asset, '') <> $3";
    LOOKED = "UPDATE chains SET looked_until = $3 WHERE chain = $1 AND fence = $2 AND unseen_asset IS NOT NULL";
    /// What was looked at after a block that leaves the chain was not looked at.
    CUT = "UPDATE chains SET looked_until = 0 WHERE chain = $1 AND looked_until IS NOT NULL
        AND EXISTS (SELECT 1 FROM looks AS l WHERE l.chain = $1 AND l.height > $2)";
    FORGET = "UPDATE chains SET unseen_asset = NULL, looked_until = NULL WHERE chain = $1 AND fence = $2";
}

/// Notes that blocks were applied which do not show everything that came in an asset.
pub async fn note(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    asset: &AssetName,
) -> Result<(), StoreError> {
    let name = asset.to_string();
    let binds = [chain.as_str().into(), fence.into(), name.as_str().into()];
    tx.execute(NOTE, &binds).await?;
    Ok(())
}

/// Notes that all balances were looked at after a block of this time.
pub async fn looked(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    until: UnixMillis,
) -> Result<(), StoreError> {
    let binds = [chain.as_str().into(), fence.into(), until.into()];
    tx.execute(LOOKED, &binds).await?;
    Ok(())
}

/// Notes that blocks above a height leave the chain; before their looks are forgotten.
pub(crate) async fn cut(tx: &mut Tx, chain: &ChainName, height: u64) -> Result<(), StoreError> {
    let binds = [chain.as_str().into(), crate::column::int(height).into()];
    tx.execute(CUT, &binds).await?;
    Ok(())
}

/// Notes that nobody has to look at balances: blocks show everything.
pub async fn forget(tx: &mut Tx, chain: &ChainName, fence: i64) -> Result<(), StoreError> {
    tx.execute(FORGET, &[chain.as_str().into(), fence.into()])
        .await?;
    Ok(())
}
