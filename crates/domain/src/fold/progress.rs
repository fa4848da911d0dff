//! How far a transfer is from final: its option's finality against its place and its chain's tips.

use std::collections::BTreeMap;
use std::fmt;

use super::Await;
use crate::facts::{ChainView, Place, Role, Transfer, Vetting};
use crate::finality::{Commitment, Finality, Tag, Unconfirmed};
use crate::id::TransferId;
use crate::mark::Mark;
use crate::sums::Certainty;
use crate::terms::OptionTerms;
use crate::time::UnixMillis;
use crate::violation::Violation;

/// How far a transfer is from final, by the kind of its finality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Blocks, its own included.
    Depth {
        /// Blocks it has.
        have: u64,
        /// Blocks it needs, by the policy and by the chain.
        need: u32,
    },
    /// A block tag.
    Tag {
        /// Which.
        tag: Tag,
        /// The height of the tag, as last recorded.
        have: Option<u64>,
        /// The height of the transfer's block; `None` while it stands in none.
        need: Option<u64>,
    },
    /// A commitment.
    Commitment {
        /// Which.
        commitment: Commitment,
        /// The height of the commitment, as last recorded.
        have: Option<u64>,
        /// The height of the transfer's block; `None` while it stands in none.
        need: Option<u64>,
    },
    /// Acceptance without a block.
    Unconfirmed {
        /// Whole seconds for which it has been seen.
        have_s: u64,
        /// Seconds that it needs.
        need_s: u32,
        /// Rules that it does not keep; it counts only when there is none.
        refusals: Vec<Refusal>,
    },
    /// Each of the alternatives.
    Any(Vec<Self>),
}

/// Why a transfer is not accepted without a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is more than the cap, alone or together with what was accepted so before.
    AboveCap,
    /// Another transaction that spends the same was seen.
    Conflict,
    /// It spends money that is not confirmed itself.
    UnconfirmedParents,
    /// It pays less than the next block costs.
    LowFee {
        /// What it pays, in atomic units for 1,000 units of size.
        rate: u64,
        /// What the next block costs.
        next: u64,
    },
    /// The node does not know what the next block costs.
    FeeUnknown,
    /// The node has not said anything about the transaction, or did not see it before its block.
    NotVetted,
    /// The node has forgotten the transaction before it was seen for long enough.
    Forgotten,
}

impl Refusal {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AboveCap => "above_cap",
            Self::Conflict => "conflict",
            Self::UnconfirmedParents => "unconfirmed_parents",
            Self::LowFee { .. } => "low_fee",
            Self::FeeUnknown => "fee_unknown",
            Self::NotVetted => "not_vetted",
            Self::Forgotten => "forgotten",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AboveCap => {
                f.write_str("it is above the cap, alone or with what was accepted before it")
            }
            Self::Conflict => f.write_str("another transaction that spends the same was seen"),
            Self::UnconfirmedParents => f.write_str("it spends money that is not confirmed itself"),
            Self::LowFee { rate, next } => write!(
                f,
                "it pays {rate} atomic units for 1,000 units of size, and the next block costs {next}"
            ),
            Self::FeeUnknown => f.write_str("the node does not know what the next block costs"),
            Self::NotVetted => f.write_str("the node has not said anything about it yet"),
            Self::Forgotten => f.write_str("the node has forgotten it"),
        }
    }
}

impl Progress {
    /// Whether this is enough.
    pub fn is_met(&self) -> bool {
        match self {
            Self::Depth { have, need } => u64::from(*need) <= *have,
            Self::Tag { have, need, .. } | Self::Commitment { have, need, .. } => {
                need.is_some_and(|need| have.is_some_and(|have| need <= have))
            }
            Self::Unconfirmed {
                have_s,
                need_s,
                refusals,
            } => refusals.is_empty() && u64::from(*need_s) <= *have_s,
            Self::Any(alternatives) => alternatives.iter().any(Self::is_met),
        }
    }
}

/// What there is to know about the transfers of one option.
pub(super) struct Judge<'a> {
    option: &'a OptionTerms,
    view: ChainView,
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
    pub(super) fn new(option: &'a OptionTerms, transfers: &[Transfer], view: ChainView) -> Self {
        let mut judge = Self {
            option,
            view,
            candidates: BTreeMap::new(),
        };
        if let Some(rule) = option.finality.unconfirmed() {
            judge.admit(rule, transfers);
        }
        judge
    }

    /// Fills the cap in the order in which transfers came to be acceptable, so that what comes later never
    /// takes away what was said. What is final by another rule takes no part of it.
    fn admit(&mut self, rule: &Unconfirmed, transfers: &[Transfer]) {
        let own = transfers.iter().filter(|transfer| {
            transfer.option == self.option.id
                && transfer.role == Role::Payment
                && transfer.place.is_some()
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
        let seen_at = transfer.sighted_at.plus_s(u64::from(rule.seen_s));
        let is_seen = self.seen_until(&vetting)? >= seen_at;
        (is_seen && vetting.refusal().is_none()).then(|| seen_at.max(vetting.vetted_at))
    }

    /// Up to when the transaction was seen to be there: a time that passed while nobody looked counts for
    /// nothing.
    fn seen_until(&self, vetting: &Vetting) -> Option<UnixMillis> {
        let covered = self.view.covered_until?;
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
        if matches!(certainty, Certainty::Seen | Certainty::Confirming) {
            self.note(transfer, standing, awaits);
        }
        let is_young = standing
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
        if !fits {
            refusals.push(Refusal::AboveCap);
        }
        let seen_at = transfer.sighted_at.plus_s(u64::from(rule.seen_s));
        let mut have_ms = 0;
        match &transfer.vetting {
            None => refusals.push(Refusal::NotVetted),
            Some(vetting) => {
                refusals.extend(vetting.refusal());
                let until = self.seen_until(vetting);
                have_ms = until.map_or(0, |until| until.ms_since(transfer.sighted_at));
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
        let chain = || self.option.asset.chain().clone();
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
        let seen_at = transfer.sighted_at.plus_s(u64::from(rule.seen_s));
        // Awaited is what lies before the time up to which the chain is covered.
        waits.then(|| Await::Covered {
            chain: self.option.asset.chain().clone(),
            until: seen_at.plus_ms(-1),
        })
    }
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
