//! The hashes of slots, proven by links, and the blocks of commitments.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use paywatch_chain::SourceError;
use paywatch_chain::rpc::Received;
use paywatch_domain::{BlockHash, BlockRef, Mark};
use serde_json::json;

use super::SolanaSource;
use super::answers::{Absence, CONFIRMED, Details, Given};
use crate::links::{Header, read_header};

/// Slots whose hashes are told at one time.
const SLOTS_MAX: u64 = 64;
/// Blocks that are looked for one by one because a list leaves them out.
const LEFT_OUT_MAX: usize = 64;
/// Blocks that are asked for at one time.
const AT_ONCE: usize = 8;
/// How far below its newest slot a node is looked at for a block that it gives: it tells of a slot a moment
/// before it can give its block.
const TIP_DEPTH: u64 = 32;

impl SolanaSource {
    /// The block of a slot, without its transactions.
    async fn header(&self, slot: u64) -> Result<Given<Header>, SourceError> {
        let read = |slot, answer: Received| read_header(slot, &answer);
        self.ask_block(&unknown(slot), Details::Links, read).await
    }

    async fn slot(&self, commitment: &str) -> Result<u64, SourceError> {
        self.ask("getSlot", &[json!({ "commitment": commitment })])
            .await
    }

    /// The slots of a range that the node lists a block for, from below.
    async fn listed(&self, from: u64, to: u64) -> Result<Vec<u64>, SourceError> {
        let params = [json!(from), json!(to), json!({ "commitment": CONFIRMED })];
        let mut slots: Vec<u64> = self.ask("getBlocks", &params).await?;
        slots.retain(|slot| (from..=to).contains(slot));
        slots.sort_unstable();
        slots.dedup();
        Ok(slots)
    }

    /// The first slot from one on that the node lists a block for.
    async fn first_listed(&self, from: u64) -> Result<Option<u64>, SourceError> {
        let params = [json!(from), json!(1), json!({ "commitment": CONFIRMED })];
        let slots: Vec<u64> = self.ask("getBlocksWithLimit", &params).await?;
        Ok(slots.into_iter().filter(|slot| from <= *slot).min())
    }

    /// The last block.
    pub(super) async fn ask_tip(&self) -> Result<Arc<Header>, SourceError> {
        let slot = self.slot(CONFIRMED).await?;
        let absence = match self.header(slot).await? {
            Ok(header) => return Ok(self.keep_tip(header)),
            Err(absence) => absence,
        };
        let below = self.listed(slot.saturating_sub(TIP_DEPTH), slot).await?;
        for lower in below.into_iter().rev().filter(|lower| *lower != slot) {
            if let Ok(header) = self.header(lower).await? {
                return Ok(self.keep_tip(header));
            }
        }
        Err(self.not_given(unknown(slot), absence).await)
    }

    fn keep_tip(&self, header: Header) -> Arc<Header> {
        let header = Arc::new(header);
        *self.last_tip() = Some(Arc::clone(&header));
        header
    }

    /// The blocks of the commitments. A cluster that has just begun has finalized none yet.
    pub(super) async fn committed(&self) -> Result<BTreeMap<Mark, BlockRef>, SourceError> {
        let last = self.last_tip().clone();
        let confirmed = match last {
            Some(tip) => tip,
            None => self.ask_tip().await?,
        };
        let mut marks = BTreeMap::from([(Mark::Confirmed, block(&confirmed))]);
        let finalized = self.slot("finalized").await?;
        let header = if finalized == confirmed.slot {
            Ok(Header::clone(&confirmed))
        } else {
            self.header(finalized).await?
        };
        marks.extend(header.ok().map(|header| (Mark::Finalized, block(&header))));
        Ok(marks)
    }

    /// The hashes from one slot on, as far as links prove them. None only above the last block.
    pub(super) async fn linked_hashes(
        &self,
        from: u64,
        to: u64,
    ) -> Result<Vec<BlockHash>, SourceError> {
        if to < from {
            return Ok(Vec::new());
        }
        let last = to.min(from.saturating_add(SLOTS_MAX).saturating_sub(1));
        // The last block tells of its slot and of all down to its parent's: in step, that is what is asked.
        let tip = self.last_tip().clone();
        if let Some(tip) = tip.filter(|tip| tip.parent_slot <= from && from <= tip.slot) {
            let slots = from..=last.min(tip.slot);
            return Ok(slots.filter_map(|slot| tip.hash_of(slot)).collect());
        }
        let mut slots = self.listed(from, last).await?;
        if slots.last() != Some(&last) {
            // What stands above proves that the slots up to it were skipped.
            slots.extend(self.first_listed(last.saturating_add(1)).await?);
        }
        if slots.is_empty() {
            return self.nothing_from(from).await;
        }
        let mut found = Vec::with_capacity(slots.len());
        for some in slots.chunks(AT_ONCE) {
            let headers = some.iter().map(|slot| self.header(*slot));
            found.extend(some.iter().copied().zip(try_join_all(headers).await?));
        }
        self.prove(from, last, found).await
    }

    /// Nothing is listed: rightly above the last block, and nowhere else.
    async fn nothing_from(&self, from: u64) -> Result<Vec<BlockHash>, SourceError> {
        let slot = self.slot(CONFIRMED).await?;
        if slot < from {
            return Ok(Vec::new());
        }
        Err(self.not_given(unknown(from), Absence::NotNow).await)
    }

    /// The hashes of a run of blocks, each of which must stand on the one below; ends where one is missing.
    async fn prove(
        &self,
        from: u64,
        last: u64,
        found: Vec<(u64, Given<Header>)>,
    ) -> Result<Vec<BlockHash>, SourceError> {
        let mut hashes = Vec::new();
        let mut below: Option<Header> = None;
        for (slot, found) in found {
            let next = below
                .as_ref()
                .map_or(from, |below| below.slot.saturating_add(1));
            let run = match found {
                Ok(header) => self.down_to(next, header).await?,
                Err(absence) => Err((unknown(slot), absence)),
            };
            let run = match run {
                Ok(run) => run,
                Err(_) if !hashes.is_empty() => break,
                Err((block, absence)) => return Err(self.not_given(block, absence).await),
            };
            for header in run {
                if let Some(below) = &below
                    && (header.parent_slot, &header.parent_hash) != (below.slot, &below.hash)
                {
                    return Err(self.unlinked(&header, below.slot));
                }
                let first = header.parent_slot.saturating_add(1).max(from);
                let slots = first..=header.slot.min(last);
                hashes.extend(slots.filter_map(|slot| header.hash_of(slot)));
                below = Some(header);
            }
        }
        Ok(hashes)
    }

    /// A block and those that it stands on, down to a slot, from below: also those that the node left out of
    /// its list.
    async fn down_to(
        &self,
        next: u64,
        top: Header,
    ) -> Result<Result<Vec<Header>, (BlockRef, Absence)>, SourceError> {
        let mut run = Vec::new();
        let mut lowest = top;
        while next <= lowest.parent_slot {
            let slot = lowest.parent_slot;
            let header = match self.header(slot).await? {
                Ok(header) => header,
                Err(absence) => {
                    let hash = BlockHash::new(&lowest.parent_hash);
                    return Ok(Err((BlockRef { height: slot, hash }, absence)));
                }
            };
            if header.hash != lowest.parent_hash {
                return Err(self.unlinked(&lowest, slot));
            }
            run.push(std::mem::replace(&mut lowest, header));
            if LEFT_OUT_MAX < run.len() {
                let detail = format!("it lists none of many blocks above slot {slot}");
                return Err(self.malformed(detail));
            }
        }
        run.push(lowest);
        run.reverse();
        Ok(Ok(run))
    }

    fn unlinked(&self, header: &Header, below: u64) -> SourceError {
        let slot = header.slot;
        self.malformed(format!(
            "its block of slot {slot} does not stand on that of slot {below}"
        ))
    }
}

pub(super) fn block(header: &Header) -> BlockRef {
    BlockRef {
        height: header.slot,
        hash: BlockHash::new(&header.hash),
    }
}

/// A block of which nothing but the slot is known.
fn unknown(slot: u64) -> BlockRef {
    BlockRef {
        height: slot,
        hash: BlockHash::new("of unknown hash"),
    }
}
