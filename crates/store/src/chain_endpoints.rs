//! How the endpoints of chains are, for people.

use std::collections::BTreeMap;

use paywatch_domain::ChainName;
use paywatch_wire::ChainEndpoint;
use paywatch_wire::stored::{endpoints_from_json, endpoints_to_json};

use crate::column::parsed;
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    SHOW = "UPDATE chains SET endpoints = $3 WHERE chain = $1 AND fence = $2";
    ALL = "SELECT chain, endpoints FROM chains WHERE endpoints IS NOT NULL ORDER BY chain";
}

/// Shows people how the endpoints of a chain are. Nothing is written when the lease has passed on.
pub async fn show(
    tx: &mut Tx,
    chain: &ChainName,
    fence: i64,
    endpoints: &[ChainEndpoint],
) -> Result<(), StoreError> {
    let text = endpoints_to_json(endpoints);
    let binds = [chain.as_str().into(), fence.into(), text.as_str().into()];
    tx.execute(SHOW, &binds).await?;
    Ok(())
}

/// How the endpoints of each chain were when that last changed. What another release has written is left
/// out until this one writes.
pub async fn all(conn: &mut Conn) -> Result<BTreeMap<ChainName, Vec<ChainEndpoint>>, StoreError> {
    let mut known = BTreeMap::new();
    for (chain, text) in conn.fetch::<(String, String)>(ALL, &[]).await? {
        if let Ok(endpoints) = endpoints_from_json(&text) {
            known.insert(parsed("chains.chain", &chain)?, endpoints);
        }
    }
    Ok(known)
}
