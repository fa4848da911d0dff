//! Fetching a block with everything that its proof needs, and finding out why one is not given.

use paywatch_chain::SourceError;
use paywatch_domain::BlockRef;

use super::{BitcoinSource, RawBlock};
use crate::difficulty::{Ancestry, HEADER_BYTES, Header};
use crate::hash::Hash256;
use crate::headers::HeaderCache;
use crate::node::BlockAnswer;
use crate::proof::Content;

impl BitcoinSource {
    /// Reads a block and the headers that its proof needs.
    pub(super) async fn fetch_block(&self, block: BlockRef) -> Result<RawBlock, SourceError> {
        let hash = self.hash_of(&block)?;
        let by_rest = self.has_rest().await?;
        let answer = if by_rest {
            self.rpc.block_by_rest(hash).await
        } else {
            self.rpc.block_by_rpc(hash).await
        };
        match answer.map_err(|error| self.failed(error))? {
            BlockAnswer::Bytes(bytes) => {
                let ancestry = self.ancestry(&block, hash, &bytes, by_rest).await?;
                let content = self.compute.run(|| Content::read(bytes)).await;
                Ok(RawBlock { content, ancestry })
            }
            BlockAnswer::None(words) => {
                // Perhaps the node was started again without REST: it is asked again next time.
                self.known().rest = None;
                tracing::debug!(chain = %self.chain, %hash, words, "the node did not give a block");
                Err(self.not_given(block, hash).await?)
            }
        }
    }

    /// Why a block that the chain should have was not given.
    async fn not_given(&self, block: BlockRef, hash: Hash256) -> Result<SourceError, SourceError> {
        let chain = self.chain.clone();
        let confirmations = self.rpc.confirmations(hash).await;
        let confirmations = confirmations.map_err(|error| self.failed(error))?;
        if confirmations.is_some_and(|count| count < 0) {
            return Ok(SourceError::Stale { chain, block });
        }
        let info = self.chain_info().await?;
        Ok(match info.lowest {
            Some(pruned_height) if block.height < pruned_height => SourceError::Pruned {
                chain,
                pruned_height,
                wanted: block.height,
            },
            _ => SourceError::Missing { chain, block },
        })
    }

    /// What decides the difficulty of the block in `bytes`: from memory, else the headers of its
    /// period are fetched; `None` when they do not lead to it, which its proof will say.
    async fn ancestry(
        &self,
        block: &BlockRef,
        hash: Hash256,
        bytes: &[u8],
        by_rest: bool,
    ) -> Result<Option<Ancestry>, SourceError> {
        let header = bytes.get(..HEADER_BYTES).and_then(Header::read);
        let Some(header) = header.filter(|header| header.hash == hash) else {
            return Ok(None);
        };
        let look = || self.headers().ancestry(block.height, header.parent);
        let mut found = look();
        if found.is_none() {
            let _filling = self.filling.lock().await;
            found = look();
            if found.is_none() {
                self.fill(block.height, by_rest).await?;
                found = look();
            }
        }
        if found.is_none() {
            // The headers are those of the active chain: the block may have left it.
            let confirmations = self.rpc.confirmations(hash).await;
            let confirmations = confirmations.map_err(|error| self.failed(error))?;
            if confirmations.is_some_and(|count| count < 0) {
                return Err(SourceError::Stale {
                    chain: self.chain.clone(),
                    block: block.clone(),
                });
            }
        }
        self.headers().insert(block.height, header);
        Ok(found)
    }

    /// Fetches the headers that the difficulty of the block at `height` may depend on.
    async fn fill(&self, height: u64, by_rest: bool) -> Result<(), SourceError> {
        let (from, to) = HeaderCache::needed(height).into_inner();
        let headers = if by_rest {
            self.rpc.headers_by_rest(from, to).await
        } else {
            self.rpc.headers_by_rpc(from, to).await
        };
        let headers = headers.map_err(|error| self.failed(error))?;
        let mut cache = self.headers();
        for (height, header) in (from..).zip(headers) {
            cache.insert(height, header);
        }
        Ok(())
    }

    /// Whether blocks come by REST; asked of the node once per connection.
    async fn has_rest(&self) -> Result<bool, SourceError> {
        if !self.rest {
            return Ok(false);
        }
        let known = self.known().rest;
        if let Some(known) = known {
            return Ok(known);
        }
        let has = self.rpc.has_rest().await;
        let has = has.map_err(|error| self.failed(error))?;
        if !has {
            tracing::info!(chain = %self.chain, "the node has no REST; blocks come by RPC, slower");
        }
        self.known().rest = Some(has);
        Ok(has)
    }
}
