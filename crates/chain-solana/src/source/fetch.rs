//! Reading the block of a slot, and finding out why it is not given.

use paywatch_chain::SourceError;
use paywatch_domain::{BlockRef, UnixMillis};
use serde_json::json;
use serde_json::value::RawValue;

use super::answers::{Absence, Details, Given};
use super::{Content, RawBlock, SolanaSource};
use crate::links::below_skipped;
use crate::reader::{ReadBlock, read_block};

impl SolanaSource {
    /// What a slot holds. That it was skipped was proven when its hash was told, and is proven again by the
    /// block above it, which stands on this hash or does not.
    pub(super) async fn fetch_slot(&self, at: BlockRef) -> Result<RawBlock, SourceError> {
        if let Some(below) = below_skipped(&at.hash) {
            let content = Content::Skipped(below);
            return Ok(RawBlock { at, content });
        }
        self.identified().await?;
        let read = match self.ask_block(at.height, Details::Accounts).await? {
            Given::Block(answer) => self.read(&at, answer).await?,
            Given::Absent(absence) => return Err(self.why_not(at, absence).await),
        };
        if *read.header.hash != *at.hash.as_str() {
            self.forget_tip();
            let chain = self.chain.clone();
            return Err(SourceError::Stale { chain, block: at });
        }
        let content = Content::Block(Box::new(read));
        Ok(RawBlock { at, content })
    }

    async fn read(&self, at: &BlockRef, answer: Box<RawValue>) -> Result<ReadBlock, SourceError> {
        let slot = at.height;
        let read = self.compute.run(move || read_block(slot, answer)).await;
        let mut read = read.map_err(|fault| fault.into_source(self.chain.clone(), at.clone()))?;
        if read.header.time.is_none() {
            // Some nodes tell a wrong time with the block, or none, and the right one when asked.
            let seconds: Option<i64> = self.call("getBlockTime", &[json!(slot)]).await?.ok();
            read.header.time = seconds.map(|seconds| UnixMillis(seconds.saturating_mul(1000)));
        }
        Ok(read)
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
