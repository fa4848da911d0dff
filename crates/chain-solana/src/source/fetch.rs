//! Reading the block of a slot, and finding out why it is not given.

use paywatch_chain::SourceError;
use paywatch_domain::{BlockRef, UnixMillis};
use serde_json::json;

use super::answers::{Absence, Details};
use super::{Content, RawBlock, SolanaSource};
use crate::links::below_skipped;
use crate::reader::read_block;

impl SolanaSource {
    /// What a slot holds. That it was skipped was proven when its hash was told, and is proven again by the
    /// block above it, which stands on this hash or does not.
    pub(super) async fn fetch_slot(&self, at: BlockRef) -> Result<RawBlock, SourceError> {
        if let Some(below) = below_skipped(&at.hash) {
            let content = Content::Skipped(below);
            return Ok(RawBlock { at, content });
        }
        self.identified().await?;
        let mut read = match self.ask_block(&at, Details::Accounts, read_block).await? {
            Ok(read) => read,
            Err(absence) => return Err(self.why_not(at, absence).await),
        };
        if *read.header.hash != *at.hash.as_str() {
            self.forget_tip();
            let chain = self.chain.clone();
            return Err(SourceError::Stale { chain, block: at });
        }
        if read.header.time.is_none() {
            // Some nodes tell a wrong time with the block, or none, and the right one when asked.
            let seconds: Option<i64> = self.call("getBlockTime", &[json!(at.height)]).await?.ok();
            read.header.time = seconds.map(|seconds| UnixMillis(seconds.saturating_mul(1000)));
        }
        let content = Content::Block(Box::new(read));
        Ok(RawBlock { at, content })
    }

    /// Why a block was not given. Whatever the node says: when the links above its slot name another hash by
    /// now, it has left the chain.
    async fn why_not(&self, at: BlockRef, absence: Absence) -> SourceError {
        if matches!(absence, Absence::NotNow | Absence::SaidSkipped) {
            self.forget_tip();
            let here = self.linked_hashes(at.height, at.height).await;
            if here.is_ok_and(|here| here.first().is_some_and(|here| *here != at.hash)) {
                let chain = self.chain.clone();
                return SourceError::Stale { chain, block: at };
            }
        }
        self.not_given(at, absence).await
    }
}
