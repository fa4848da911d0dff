//! Blocks connected and disconnected: facts, statuses, events and the cursor in one transaction.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use paywatch_domain::{
    BlockRef, Cause, CauseKind, ChainName, ChainSpec, Marks, Place, TxId, UnixMillis, limits,
};
use paywatch_store::placements::{self, LeftReason};
use paywatch_store::{
    InvoiceKey, MasterKey, TransferKey, Tx, Unit, blocks, chains, looks, marks, transfers, unseen,
};

use super::Applied;
use super::balances::record_outflows;
use super::credits::{Placed, Placing, place};
use crate::error::EngineError;
use crate::follower::{ChainEvent, Halt};
use crate::ids::Ids;
use crate::pass::Pass;
use crate::refold::{Due, refold_all};

/// One chain event as a unit of work. The number of statements does not depend on the number of blocks
/// or of open invoices.
#[derive(Debug)]
pub struct ApplyBlocks {
    /// Which chain.
    pub chain: ChainName,
    /// The chain as it is configured.
    pub spec: Arc<ChainSpec>,
    /// The lease under which the blocks were read.
    pub fence: i64,
    /// What the chain is now.
    pub event: ChainEvent,
    /// When the last poll began that found everything read. What is new now cannot have been there to
    /// be seen then, so money in a block was first seen at the block's own time, but not before this
    /// and not after now. While polls follow each other this is our clock; in catch-up the block's.
    pub all_seen_at: UnixMillis,
    /// Of the headers at these heights only every hundredth is kept.
    pub thinned: Range<u64>,
    /// The time.
    pub now: UnixMillis,
    /// Where new ids come from.
    pub seed: [u8; 32],
    /// Checks seals.
    pub master: Arc<MasterKey>,
}

impl Unit for ApplyBlocks {
    type Output = Applied;
    type Error = EngineError;
    const NAME: &'static str = "apply_blocks";

    async fn run(&self, tx: &mut Tx) -> Result<Applied, EngineError> {
        let Some(to) = self.event.to() else {
            return Ok(Applied::default());
        };
        self.cut_marks(tx).await?;
        self.move_cursor(tx, to).await?;
        let mut ids = Ids::new(self.seed);
        let mut touched = self.disconnect(tx).await?;
        let credits = self.credits();
        let mut placing = Placing {
            chain: &self.chain,
            spec: &self.spec,
            now: self.now,
            ids: &mut ids,
        };
        touched.extend(place(tx, &credits, &mut placing).await?);
        touched.extend(self.close_conflicts(tx).await?);
        record_outflows(tx, &self.spec, &self.event.blocks).await?;
        let mut blocks = self.event.blocks.iter();
        if let Some(asset) = blocks.find_map(|block| block.unseen.as_ref()) {
            unseen::note(tx, &self.chain, self.fence, asset).await?;
        }
        let cause = Cause {
            kind: if self.event.undoes() {
                CauseKind::Reorg
            } else {
                CauseKind::Block
            },
            chain: Some(self.chain.clone()),
            height: Some(to.height),
        };
        let mut pass = Pass {
            master: &self.master,
            now: self.now,
            cause: &cause,
            ids: &mut ids,
        };
        let due = Due {
            chain: &self.chain,
            height: Some(to.height),
            covered: None,
            marks: Marks::default(),
        };
        let events = refold_all(tx, touched, &due, &mut pass).await?;
        Ok(Applied {
            events,
            credits: credits.len(),
        })
    }
}

impl ApplyBlocks {
    /// What was said of blocks that leave the chain holds for no others. That blocks leave which the node
    /// called final is for a person to look at.
    async fn cut_marks(&self, tx: &mut Tx) -> Result<(), EngineError> {
        let Some(fork) = self.event.fork.as_ref().filter(|_| self.event.undoes()) else {
            return Ok(());
        };
        let undone = marks::cut(tx, &self.chain, self.fence, fork.height).await?;
        undone.map_or(Ok(()), |finalized| {
            let fork = fork.height;
            Err(EngineError::Halt(Halt::Final { fork, finalized }))
        })
    }

    async fn move_cursor(&self, tx: &mut Tx, to: &BlockRef) -> Result<(), EngineError> {
        let from = self.event.from.as_ref();
        chains::advance(tx, &self.chain, self.fence, from, to, self.now).await?;
        let headers: Vec<blocks::Header> = self
            .event
            .blocks
            .iter()
            .map(|block| blocks::Header {
                at: block.at.clone(),
                parent: block.parent.clone(),
                time: block.time,
            })
            .collect();
        let fork = self.event.fork.as_ref().map_or(0, |fork| fork.height);
        blocks::replace_above(tx, &self.chain, fork, &headers, self.thinned.clone()).await?;
        Ok(())
    }

    /// Closes the placements of blocks that left the chain; they stay as history. What was accepted from the
    /// mempool is taken to be back there until the next poll has looked.
    async fn disconnect(&self, tx: &mut Tx) -> Result<BTreeSet<InvoiceKey>, EngineError> {
        let Some(fork) = self.event.fork.as_ref().filter(|_| self.event.undoes()) else {
            return Ok(BTreeSet::new());
        };
        looks::cut(tx, &self.chain, fork.height).await?;
        let open = placements::open_above(tx, &self.chain, fork.height).await?;
        if !open.is_empty() {
            placements::close_above(tx, &self.chain, fork.height, self.now, LeftReason::Reorged)
                .await?;
            let left: Vec<TransferKey> = open.iter().map(|(transfer, _)| *transfer).collect();
            placements::put_back(tx, &self.chain, &left, self.now).await?;
        }
        let mut touched: BTreeSet<InvoiceKey> =
            open.into_iter().map(|(_, invoice)| invoice).collect();
        // A shorter chain takes depth from what stands below the fork too.
        let height = |block: Option<&BlockRef>| block.map(|block| block.height);
        if height(self.event.to()) < height(self.event.from.as_ref()) {
            let lowest = fork.height.saturating_sub(u64::from(limits::DEPTH_MAX));
            let below = placements::open_above(tx, &self.chain, lowest).await?;
            touched.extend(below.into_iter().map(|(_, invoice)| invoice));
        }
        Ok(touched)
    }

    /// Ends what waits in the mempool, or has just lost its block, and cannot come any more, because a
    /// transaction in these blocks spends the same, whomever it pays. When it pays us, counting both would
    /// tell of twice the money.
    async fn close_conflicts(&self, tx: &mut Tx) -> Result<Vec<InvoiceKey>, EngineError> {
        let blocks = self.event.blocks.iter();
        let spent = blocks.flat_map(|block| &block.spent);
        let spent: BTreeSet<(TxId, String)> = spent
            .map(|(outpoint, spender)| (spender.clone(), outpoint.clone()))
            .collect();
        if spent.is_empty() {
            return Ok(Vec::new());
        }
        let spent: Vec<_> = spent.into_iter().collect();
        let invoices = placements::lose(tx, &self.chain, &spent, self.now).await?;
        if !invoices.is_empty() {
            transfers::spends_insert(tx, &self.chain, &spent).await?;
        }
        Ok(invoices)
    }

    fn credits(&self) -> Vec<Placed<'_>> {
        let blocks = self.event.blocks.iter();
        let credits = blocks.flat_map(|block| {
            let at = block.time.max(self.all_seen_at).min(self.now);
            block.credits.iter().map(move |credit| Placed {
                credit,
                place: Place::Block(block.at.clone()),
                sighted_at: at,
            })
        });
        credits.collect()
    }
}
