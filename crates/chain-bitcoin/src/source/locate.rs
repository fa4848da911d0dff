//! Finding the block of a transaction on a node that need not have an index of them.
//!
//! A named block is asked whether it holds the transaction. Without one the node is asked in three ways,
//! each of which covers what the others do not: its mempool and its index of transactions, where it has
//! one; and the unspent outputs, each of which is stored with the height of its block. What remains is a
//! transaction all of whose outputs were spent, on a node without an index: its block must be named.

use paywatch_chain::{Located, SourceError};
use paywatch_domain::{BlockHash, BlockHint, BlockRef, TxId};

use super::BitcoinSource;
use crate::hash::Hash256;
use crate::node::Whereabouts;

impl BitcoinSource {
    pub(super) async fn locate_transaction(
        &self,
        transaction: &TxId,
        hint: Option<BlockHint>,
    ) -> Result<Located, SourceError> {
        let Some(transaction) = Hash256::parse(transaction.as_str()) else {
            return Ok(Located::Nowhere);
        };
        match hint {
            Some(hint) => self.look_into(transaction, hint).await,
            None => self.look_around(transaction).await,
        }
    }

    /// Whether the block that was named holds the transaction.
    async fn look_into(
        &self,
        transaction: Hash256,
        hint: BlockHint,
    ) -> Result<Located, SourceError> {
        let hash = match hint {
            BlockHint::Height(height) => self.rpc.block_hash(height).await,
            BlockHint::Hash(hash) => Ok(Hash256::parse(hash.as_str())),
        };
        let Some(hash) = hash.map_err(|error| self.failed(error))? else {
            return Ok(Located::Nowhere);
        };
        let holds = self.rpc.block_of(transaction, Some(hash)).await;
        if holds.map_err(|error| self.failed(error))?.is_none() {
            return Ok(Located::Nowhere);
        }
        self.in_chain(hash).await
    }

    async fn look_around(&self, transaction: Hash256) -> Result<Located, SourceError> {
        let known = self.rpc.whereabouts(transaction).await;
        match known.map_err(|error| self.failed(error))? {
            Some(Whereabouts { block: Some(hash) }) => return self.in_chain(hash).await,
            Some(Whereabouts { block: None }) => return Ok(Located::Mempool),
            None => {}
        }
        let unspent = self.rpc.block_of(transaction, None).await;
        if let Some(hash) = unspent.map_err(|error| self.failed(error))? {
            return self.in_chain(hash).await;
        }
        let has_index = self.rpc.has_transaction_index().await;
        let has_index = has_index.map_err(|error| self.failed(error))?;
        Ok(if has_index {
            Located::Nowhere
        } else {
            Located::Unknown
        })
    }

    /// The block of this hash, if it is part of the node's chain.
    async fn in_chain(&self, hash: Hash256) -> Result<Located, SourceError> {
        let header = self.rpc.header_info(hash).await;
        let header = header.map_err(|error| self.failed(error))?;
        let followed = header.filter(|header| 0 <= header.confirmations);
        Ok(followed.map_or(Located::Nowhere, |header| {
            Located::Block(BlockRef {
                height: header.height,
                hash: BlockHash::new(&hash.to_string()),
            })
        }))
    }
}
