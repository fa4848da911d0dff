//! Blocks read again: what is stored about them becomes what they say.

use std::collections::BTreeSet;
use std::sync::Arc;

use paywatch_chain::Block;
use paywatch_domain::{
    BlockHash, BlockRef, Cause, CauseKind, ChainName, ChainSpec, Findings, Place, Position,
    Rejection, TxId, UnixMillis,
};
use paywatch_store::placements::{self, LeftReason, OpenInBlock};
use paywatch_store::requests::{self, Progress, RequestState};
use paywatch_store::{InvoiceKey, MasterKey, RequestKey, Tx, Unit, blocks, chains};

use super::balances::take_off;
use super::credits::{Placed, Placing, place};
use crate::error::EngineError;
use crate::ids::Ids;
use crate::pass::Pass;
use crate::refold::refold;

/// A run of blocks that were read again, as a unit of work with the progress of its request. Where the
/// facts were right before, nothing changes and nothing is said.
#[derive(Debug)]
pub struct ApplyRescan {
    /// Which chain.
    pub chain: ChainName,
    /// The chain as it is configured.
    pub spec: Arc<ChainSpec>,
    /// The lease under which the blocks were read.
    pub fence: i64,
    /// The blocks, lowest first and linked.
    pub blocks: Vec<Block>,
    /// Which transfers the request is about.
    pub aim: Aim,
    /// The last of them, or a block above that links down to it: its header is kept, and proves them.
    pub seal: BlockRef,
    /// The request that asked for it.
    pub request: RequestKey,
    /// How far the request was before.
    pub progress: Progress,
    /// How many of the blocks that were asked for are dealt with after these.
    pub blocks_done: u64,
    /// Whether nothing is left of it after these blocks.
    pub is_last: bool,
    /// The time.
    pub now: UnixMillis,
    /// Where new ids come from.
    pub seed: [u8; 32],
    /// Checks seals.
    pub master: Arc<MasterKey>,
}

/// Which transfers a request is about: what it tells of them is about these alone. What the blocks say of
/// others is stored as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Aim {
    /// All that the blocks hold.
    #[default]
    Everything,
    /// Those of an invoice.
    Invoice(InvoiceKey),
    /// Those of an invoice in one transaction; there must be one at the end.
    Transaction(InvoiceKey, TxId),
}

impl Aim {
    fn holds(&self, open: &OpenInBlock) -> bool {
        match self {
            Self::Everything => true,
            Self::Invoice(invoice) => open.invoice == *invoice,
            Self::Transaction(invoice, tx_id) => open.invoice == *invoice && open.tx_id == *tx_id,
        }
    }
}

/// What makes a placement the same placement.
type Standing<'a> = (&'a TxId, &'a Position, &'a BlockHash);

fn standing(open: &OpenInBlock) -> Standing<'_> {
    (&open.tx_id, &open.position, &open.block)
}

impl Unit for ApplyRescan {
    /// How far the request is now; `None` when these blocks are not, or not any more, the ones that the
    /// chain is followed by: then nothing was written, and they must be read again.
    type Output = Option<Progress>;
    type Error = EngineError;
    const NAME: &'static str = "apply_rescan";

    async fn run(&self, tx: &mut Tx) -> Result<Option<Progress>, EngineError> {
        chains::hold(tx, &self.chain, self.fence, self.now).await?;
        let (Some(first), Some(last)) = (self.blocks.first(), self.blocks.last()) else {
            return Ok(None);
        };
        let (lowest, highest) = (first.at.height, last.at.height);
        let kept = blocks::between(tx, &self.chain, lowest, self.seal.height).await?;
        if kept.last() != Some(&self.seal) {
            return Ok(None);
        }
        let mut ids = Ids::new(self.seed);
        let (touched, found) = self.correct(tx, lowest, highest, &mut ids).await?;
        let cause = Cause {
            kind: CauseKind::Rescan,
            chain: Some(self.chain.clone()),
            height: Some(highest),
        };
        let mut pass = Pass {
            master: &self.master,
            now: self.now,
            cause: &cause,
            ids: &mut ids,
        };
        let touched: Vec<InvoiceKey> = touched.into_iter().collect();
        refold(tx, &touched, &mut pass).await?;
        let progress = self.progress(found);
        let is_open = requests::record(tx, self.request, &progress, self.now).await?;
        Ok(Some(if is_open {
            progress
        } else {
            Progress {
                state: RequestState::Canceled,
                ..progress
            }
        }))
    }
}

impl ApplyRescan {
    /// Closes what does not stand in these blocks, and places what does and was missing.
    async fn correct(
        &self,
        tx: &mut Tx,
        lowest: u64,
        highest: u64,
        ids: &mut Ids,
    ) -> Result<(BTreeSet<InvoiceKey>, Findings), EngineError> {
        let open = placements::open_between(tx, &self.chain, lowest, highest).await?;
        let credits = self.blocks.iter().flat_map(|block| {
            let credits = block.credits.iter();
            credits.map(move |credit| {
                (
                    (&credit.tx_id, &credit.position, &block.at.hash),
                    block,
                    credit,
                )
            })
        });
        let credits: Vec<_> = credits.collect();
        let read: BTreeSet<Standing<'_>> = credits.iter().map(|(key, ..)| *key).collect();
        let wrong: Vec<&OpenInBlock> = open
            .iter()
            .filter(|open| !read.contains(&standing(open)) && self.would_show(open))
            .collect();
        let leaving: Vec<_> = wrong
            .iter()
            .map(|open| (open.transfer, LeftReason::Reorged))
            .collect();
        placements::close(tx, &leaving, self.now).await?;
        let known: BTreeSet<Standing<'_>> = open.iter().map(standing).collect();
        // Nobody knows any more when missing money was first seen; its block does.
        let missing = credits.iter().filter(|(key, ..)| !known.contains(key));
        let missing: Vec<Placed<'_>> = missing
            .map(|(_, block, credit)| Placed {
                credit,
                place: Place::Block(block.at.clone()),
                sighted_at: block.time.min(self.now),
            })
            .collect();
        let mut placing = Placing {
            chain: &self.chain,
            spec: &self.spec,
            now: self.now,
            ids,
        };
        let mut touched = place(tx, &missing, &mut placing).await?;
        take_off(tx, &missing, &touched, &mut placing).await?;
        let after = if touched.is_empty() && wrong.is_empty() {
            open.clone()
        } else {
            placements::open_between(tx, &self.chain, lowest, highest).await?
        };
        touched.extend(wrong.iter().map(|open| open.invoice));
        let count =
            |transfers: &[OpenInBlock]| transfers.iter().filter(|one| self.aim.holds(one)).count();
        let removed = wrong.iter().filter(|one| self.aim.holds(one)).count();
        let placed = (count(&after) + removed).saturating_sub(count(&open));
        let is_missing = match &self.aim {
            Aim::Transaction(invoice, tx_id) if count(&after) == 0 => {
                !placements::stands_in_block(tx, &self.chain, *invoice, tx_id).await?
            }
            Aim::Transaction(..) | Aim::Everything | Aim::Invoice(_) => false,
        };
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let found = Findings {
            placed: number(placed),
            removed: number(removed),
            highest_index: None,
            rejection: is_missing.then_some(Rejection::PaysNothing),
        };
        Ok((touched, found))
    }

    /// Whether the blocks would show a transfer if it stood in them: it is not known by a balance, nor of an
    /// asset of which this endpoint does not tell everything. What another one has told of stays.
    fn would_show(&self, open: &OpenInBlock) -> bool {
        let here = self.blocks.iter().find(|block| block.at.hash == open.block);
        let unseen = here.and_then(|block| block.unseen.as_ref());
        !open.position.is_of_balance() && unseen != Some(&open.asset)
    }

    fn progress(&self, found: Findings) -> Progress {
        let before = self.progress.findings.unwrap_or_default();
        Progress {
            state: match (self.is_last, found.rejection) {
                (true, Some(_)) => RequestState::Failed,
                (true, None) => RequestState::Done,
                (false, _) => RequestState::Running,
            },
            blocks_done: self.blocks_done,
            blocks_total: self.progress.blocks_total,
            findings: Some(Findings {
                placed: before.placed.saturating_add(found.placed),
                removed: before.removed.saturating_add(found.removed),
                ..found
            }),
            error: found.rejection.map(|rejection| rejection.sentence().into()),
        }
    }
}
