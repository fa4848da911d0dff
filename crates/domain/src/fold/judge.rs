//! Judges the transfers of an option: its finality against their places and their chain's tips.

use std::collections::BTreeMap;

use super::{Await, Progress, Refusal};
use crate::chain::ChainName;
use crate::facts::{ChainView, LeftReason, Place, Transfer, Vetting};
use crate::finality::{Finality, Unconfirmed};
use crate::id::TransferId;
use crate::mark::Mark;
use crate::sums::Certainty;
use crate::terms::OptionTerms;
use crate::time::UnixMillis;
use crate::violation::Violation;

/// What there is to know about the transfers of one option on one chain: its own, or another one of the
/// family, on which what is paid to its address is astray.
pub(super) struct Judge<'a> {
    option: &'a OptionTerms,
    chain: &'a ChainName,
    view: ChainView,
    now: UnixMillis,
    /// Those that count without a block, or would but for the cap.
    candidates: BTreeMap<TransferId, bool>,
}

/// How one transfer stands.
pub(super) struct Judgement {
    pub(super) certainty: Certainty,
    pub(super) progress: Progress,
    /// Not below the height from which the option counts.
    pub(super) is_young: bool,
}

/// Where a transfer stands in its chain.
#[derive(Clone, Copy)]
struct Standing {
    height: Option<u64>,
    /// Blocks it has, its own included.
    depth: u64,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        option: &'a OptionTerms,
        chain: &'a ChainName,
        transfers: &[Transfer],
        view: ChainView,
        now: UnixMillis,
    ) -> Self {
        let mut judge = Self {
            option,
            chain,
            view,
            now,
            candidates: BTreeMap::new(),
        };
        if let Some(rule) = option.finality.unconfirmed()
            && judge.is_at_home()
        {
            judge.admit(rule, transfers);
        }
        judge
    }

    /// Whether this is the chain on which the option is to be paid.
    fn is_at_home(&self) -> bool {
        self.option.asset.chain() == self.chain
    }

    /// Fills the cap in the order in which transfers came to be acceptable, so that what comes later never
    /// takes away what was said. What is final by another rule takes no part of it; what has left and may
    /// come back keeps its part.
    fn admit(&mut self, rule: &Unconfirmed, transfers: &[Transfer]) {
        let own = transfers.iter().filter(|transfer| {
            transfer.option == self.option.id
                && transfer.is_payment()
                && (transfer.place.is_some() || may_return(transfer))
        });
        let mut acceptable: Vec<(UnixMillis, &Transfer)> = own
            .filter_map(|transfer| Some((self.acceptable_from(rule, transfer)?, transfer)))
            .collect();
        acceptable.sort_by_key(|(from, transfer)| (*from, transfer.id));
        let cap = rule.cap(&self.option.asset, self.option.decimals);
        let mut room = cap.unwrap_or_default();
        for (_, transfer) in acceptable {
            let left = room.checked_sub(transfer.amount);
            self.candidates.insert(transfer.id, left.is_some());
            if !self.is_final_in_block(transfer) {
                room = left.unwrap_or(room);
            }
        }
    }

    /// Since when a transfer keeps every rule but the cap; `None` while it does not.
    fn acceptable_from(&self, rule: &Unconfirmed, transfer: &Transfer) -> Option<UnixMillis> {
        let vetting = transfer.vetting?;
        let seen_at = self.seen_at(rule, transfer);
        let is_seen = self.seen_until(transfer, &vetting)? >= seen_at;
        (is_seen && vetting.refusal().is_none()).then(|| seen_at.max(vetting.vetted_at))
    }

    /// Since when the transaction was seen without a gap: a time in which nobody looked counts for nothing,
    /// and after it the time begins anew unless enough had passed before.
    fn seen_from(&self, rule: &Unconfirmed, transfer: &Transfer) -> UnixMillis {
        let mut from = transfer.sighted_at;
        for gap in &self.view.gaps {
            if from.plus_s(u64::from(rule.seen_s)) <= gap.began_at {
                break;
            }
            from = from.max(gap.ended_at);
        }
        from
    }

    /// When the transaction has been seen for long enough.
    fn seen_at(&self, rule: &Unconfirmed, transfer: &Transfer) -> UnixMillis {
        self.seen_from(rule, transfer)
            .plus_s(u64::from(rule.seen_s))
    }

    /// Up to when the transaction was seen to be there. A clock that ran ahead has covered what has not
    /// come yet; one that is set back takes nothing away of what was said to be final.
    fn seen_until(&self, transfer: &Transfer, vetting: &Vetting) -> Option<UnixMillis> {
        let covered = match transfer.final_at {
            Some(final_at) => self.view.covered_until?.min(self.now.max(final_at)),
            None => self.view.covered_by(self.now)?.min(self.now),
        };
        Some(
            vetting
                .missing_since
                .map_or(covered, |missing| missing.min(covered)),
        )
    }

    fn is_final_in_block(&self, transfer: &Transfer) -> bool {
        let Ok(standing) = self.standing(transfer) else {
            return false;
        };
        let mut alternatives = self.option.finality.alternatives().iter();
        alternatives.any(|one| {
            !matches!(one, Finality::Unconfirmed(_))
                && self.progress(one, transfer, standing).is_met()
        })
    }

    fn standing(&self, transfer: &Transfer) -> Result<Standing, Violation> {
        let Some(Place::Block(block)) = &transfer.place else {
            return Ok(Standing {
                height: None,
                depth: 0,
            });
        };
        let above = self.view.tip.and_then(|tip| tip.checked_sub(block.height));
        let above = above.ok_or(Violation::AboveTip {
            transfer: transfer.id,
            height: block.height,
        })?;
        Ok(Standing {
            height: Some(block.height),
            depth: above.saturating_add(1),
        })
    }

    /// Judges one transfer of the option, and notes what may change that.
    pub(super) fn judge(
        &self,
        transfer: &Transfer,
        awaits: &mut Vec<Await>,
    ) -> Result<Judgement, Violation> {
        let standing = self.standing(transfer)?;
        let progress = self.progress(&self.option.finality, transfer, standing);
        // What the chain itself does not let anybody spend yet is final by no rule.
        let is_ripe = transfer.maturity == 0 || u64::from(transfer.maturity) <= standing.depth;
        let certainty = match &transfer.place {
            None => Certainty::Gone,
            Some(_) if is_ripe && progress.is_met() => Certainty::Final,
            Some(Place::Mempool) => Certainty::Seen,
            Some(Place::Block(_)) => Certainty::Confirming,
        };
        let is_pending = matches!(certainty, Certainty::Seen | Certainty::Confirming);
        // Nothing that is told of a stray depends on how certain it is.
        if is_pending && !transfer.is_stray() {
            self.note(transfer, standing, awaits);
        }
        // How high another chain was at creation is not known.
        let is_young = !self.is_at_home()
            || standing
                .height
                .is_none_or(|height| self.option.created_height <= height);
        Ok(Judgement {
            certainty,
            progress,
            is_young,
        })
    }

    fn progress(&self, finality: &Finality, transfer: &Transfer, standing: Standing) -> Progress {
        let height = standing.height;
        match finality {
            Finality::Depth(depth) => Progress::Depth {
                have: standing.depth,
                need: (*depth).max(transfer.maturity),
            },
            Finality::Tag(tag) => Progress::Tag {
                tag: *tag,
                have: self.view.marks.get(tag.mark()),
                need: height,
            },
            Finality::Commitment(commitment) => Progress::Commitment {
                commitment: *commitment,
                have: self.view.marks.get(commitment.mark()),
                need: height,
            },
            Finality::Unconfirmed(rule) => self.vet(rule, transfer),
            Finality::Any(alternatives) => Progress::Any(
                alternatives
                    .iter()
                    .map(|one| self.progress(one, transfer, standing))
                    .collect(),
            ),
        }
    }

    fn vet(&self, rule: &Unconfirmed, transfer: &Transfer) -> Progress {
        let mut refusals = Vec::new();
        let cap = rule.cap(&self.option.asset, self.option.decimals);
        let fits = match self.candidates.get(&transfer.id) {
            Some(is_admitted) => *is_admitted,
            None => cap.is_some_and(|cap| transfer.amount <= cap),
        };
        if transfer.is_stray() {
            // A cap in the option's asset says nothing about another one.
            refusals.push(Refusal::NotVetted);
        } else if !fits {
            refusals.push(Refusal::AboveCap);
        }
        let seen_at = self.seen_at(rule, transfer);
        let mut have_ms = 0;
        match &transfer.vetting {
            None => {
                if !refusals.contains(&Refusal::NotVetted) {
                    refusals.push(Refusal::NotVetted);
                }
            }
            Some(vetting) => {
                refusals.extend(vetting.refusal());
                let until = self.seen_until(transfer, vetting);
                let from = self.seen_from(rule, transfer);
                have_ms = until.map_or(0, |until| until.ms_since(from));
                if vetting
                    .missing_since
                    .is_some_and(|missing| missing < seen_at)
                {
                    refusals.push(Refusal::Forgotten);
                }
            }
        }
        Progress::Unconfirmed {
            have_s: u64::try_from(have_ms).unwrap_or(0) / 1000,
            need_s: rule.seen_s,
            refusals,
        }
    }

    /// Notes what may make a transfer final that is not.
    fn note(&self, transfer: &Transfer, standing: Standing, awaits: &mut Vec<Await>) {
        let chain = || self.chain.clone();
        let at_depth = |depth: u32| {
            let above = u64::from(depth).saturating_sub(1);
            let height = standing.height?.saturating_add(above);
            Some(Await::Height {
                chain: chain(),
                height,
            })
        };
        let at_mark = |mark: Mark| {
            Some(Await::Mark {
                chain: chain(),
                mark,
                height: standing.height?,
            })
        };
        for one in self.option.finality.alternatives() {
            awaits.extend(match one {
                Finality::Depth(depth) => at_depth((*depth).max(transfer.maturity)),
                Finality::Tag(tag) => at_mark(tag.mark()),
                Finality::Commitment(commitment) => at_mark(commitment.mark()),
                Finality::Unconfirmed(rule) => self.time_awaited(rule, transfer),
                Finality::Any(_) => None,
            });
        }
        if standing.depth < u64::from(transfer.maturity) {
            awaits.extend(at_depth(transfer.maturity));
        }
    }

    /// The time after which a transfer that keeps every other rule may count.
    fn time_awaited(&self, rule: &Unconfirmed, transfer: &Transfer) -> Option<Await> {
        let waits = match self.vet(rule, transfer) {
            Progress::Unconfirmed {
                have_s, refusals, ..
            } => refusals.is_empty() && have_s < u64::from(rule.seen_s),
            Progress::Depth { .. }
            | Progress::Tag { .. }
            | Progress::Commitment { .. }
            | Progress::Any(_) => false,
        };
        let seen_at = self.seen_at(rule, transfer);
        // Awaited is what lies before the time up to which the chain is covered.
        waits.then(|| Await::Covered {
            chain: self.chain.clone(),
            until: seen_at.plus_ms(-1),
        })
    }
}

/// Whether a transfer that stands nowhere may stand somewhere again: nothing else spends what it spends.
fn may_return(transfer: &Transfer) -> bool {
    matches!(
        transfer.left,
        Some(LeftReason::Evicted | LeftReason::Reorged)
    )
}

impl Vetting {
    /// The rule of the transaction itself that it does not keep.
    fn refusal(&self) -> Option<Refusal> {
        if self.has_conflict {
            return Some(Refusal::Conflict);
        }
        if self.has_parents {
            return Some(Refusal::UnconfirmedParents);
        }
        match self.fee_rate_next {
            None => Some(Refusal::FeeUnknown),
            Some(next) if self.fee_rate < next => Some(Refusal::LowFee {
                rate: self.fee_rate,
                next,
            }),
            Some(_) => None,
        }
    }
}
