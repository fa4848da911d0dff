//! Finding the block of a transaction by the node's index.

use paywatch_chain::{Located, Source, SourceError};
use paywatch_domain::{BlockHint, BlockRef, TxId};
use serde::Deserialize;
use serde_json::json;

use super::SolanaSource;

/// `getSignatureStatuses` (<https://solana.com/docs/rpc/http/getsignaturestatuses>).
#[derive(Deserialize)]
struct Answer {
    value: Vec<Option<Status>>,
}

#[derive(Deserialize)]
struct Status {
    slot: u64,
}

impl SolanaSource {
    pub(super) async fn locate_transaction(
        &self,
        transaction: &TxId,
        hint: Option<BlockHint>,
    ) -> Result<Located, SourceError> {
        let slot = match hint {
            Some(BlockHint::Height(slot)) => Some(slot),
            // Nodes find blocks by slot alone.
            Some(BlockHint::Hash(_)) | None => self.slot_of(transaction).await?,
        };
        let Some(height) = slot else {
            return Ok(Located::Nowhere);
        };
        // One that only a part of the stake has voted for has no block here yet.
        let hash = self.hash_at(height).await?;
        Ok(hash.map_or(Located::Nowhere, |hash| {
            Located::Block(BlockRef { height, hash })
        }))
    }

    async fn slot_of(&self, transaction: &TxId) -> Result<Option<u64>, SourceError> {
        let options = json!({"searchTransactionHistory": true});
        let params = [json!([transaction.as_str()]), options];
        let answer = self.call::<Answer>("getSignatureStatuses", &params).await?;
        // Something that is no signature is refused.
        let statuses = answer.map_or_else(|_| Vec::new(), |answer| answer.value);
        Ok(statuses
            .into_iter()
            .flatten()
            .next()
            .map(|status| status.slot))
    }
}
