//! Finding the block of a transaction: by the node's index, and where that ends by the block that was
//! named.

use alloy_primitives::{B256, U64};
use paywatch_chain::{Located, SourceError};
use paywatch_domain::{BlockHash, BlockHint, BlockRef, TxId};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::EvmSource;
use super::headers::{header_call, height_text};

/// Where a transaction is; nowhere yet while it is not in a block.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    block_hash: Option<B256>,
    block_number: Option<U64>,
}

/// A block with the hashes of its transactions.
#[derive(Deserialize)]
struct Listed {
    number: U64,
    hash: B256,
    transactions: Vec<B256>,
}

impl EvmSource {
    pub(super) async fn locate_transaction(
        &self,
        transaction: &TxId,
        hint: Option<BlockHint>,
    ) -> Result<Located, SourceError> {
        let Ok(hash) = transaction.as_str().parse::<B256>() else {
            return Ok(Located::Nowhere);
        };
        // Nodes keep no index of old transactions; of those in a block that was named none is needed.
        if let Some(hint) = hint {
            return self.look_into(hash, hint).await;
        }
        let call = ("eth_getTransactionByHash", vec![json!(hash)]);
        let place: Option<Place> = self.ask_and_read(call).await?;
        Ok(match place {
            None => Located::Nowhere,
            Some(Place {
                block_hash: Some(hash),
                block_number: Some(number),
            }) => Located::Block(block(number, hash)),
            Some(_) => Located::Mempool,
        })
    }

    /// Whether the block that was named holds the transaction and is part of the node's chain.
    async fn look_into(&self, transaction: B256, hint: BlockHint) -> Result<Located, SourceError> {
        let call = match &hint {
            BlockHint::Height(height) => header_call(&height_text(*height)),
            BlockHint::Hash(hash) => match hash.as_str().parse::<B256>() {
                Ok(hash) => ("eth_getBlockByHash", vec![json!(hash), json!(false)]),
                Err(_) => return Ok(Located::Nowhere),
            },
        };
        let listed: Option<Listed> = self.ask_and_read(call).await?;
        let Some(listed) = listed.filter(|listed| listed.transactions.contains(&transaction))
        else {
            return Ok(Located::Nowhere);
        };
        let at = block(listed.number, listed.hash);
        let followed = match hint {
            BlockHint::Height(_) => true,
            BlockHint::Hash(_) => {
                let here = self.head_at(at.height).await?;
                here.is_some_and(|here| here.at == at)
            }
        };
        Ok(if followed {
            Located::Block(at)
        } else {
            Located::Nowhere
        })
    }

    async fn ask_and_read<T: for<'de> Deserialize<'de>>(
        &self,
        call: paywatch_chain::rpc::Call<'_>,
    ) -> Result<T, SourceError> {
        let method = call.0.to_owned();
        let answer = self.endpoint.ask_one(call).await;
        let answer: Box<RawValue> = answer.map_err(|error| self.failed(error))?;
        serde_json::from_str(answer.get())
            .map_err(|error| self.malformed(format!("{method}: {error}")))
    }
}

fn block(number: U64, hash: B256) -> BlockRef {
    BlockRef {
        height: number.to(),
        hash: BlockHash::new(&hash.to_string()),
    }
}
