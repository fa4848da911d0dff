//! The fold: from terms, facts and how far the chains were read to sums and status.
//!
//! A pure function without memory. A reorganisation closes placements and lowers a tip; folding again
//! gives the new truth, so there is nothing to undo.

use crate::chain::ChainName;
use crate::exception::{ExceptionKind, Finding};
use crate::facts::{OperatorFact, Place, Role, Transfer, Views};
use crate::id::{OptionId, TransferId};
use crate::limits;
use crate::policy::Finality;
use crate::status::{Measures, Pending, Reached, Status};
use crate::sums::{Certainty, Sums};
use crate::terms::{OptionTerms, Terms};
use crate::time::UnixMillis;
use crate::violation::Violation;

/// What the passing of a tip or of time may change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Await {
    /// The chain's tip reaches this height.
    Height {
        /// Which chain.
        chain: ChainName,
        /// The height of the tip.
        height: u64,
    },
    /// The chain is covered past this time.
    Covered {
        /// Which chain.
        chain: ChainName,
        /// The time.
        until: UnixMillis,
    },
}

/// One option's sums and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionTally {
    /// The option.
    pub id: OptionId,
    /// Everything that counts.
    pub sums: Sums,
    /// The same without dust: what is worth telling.
    pub news: Sums,
    /// By the table.
    pub status: Status,
}

/// One transfer as the fold sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferView {
    /// The transfer.
    pub id: TransferId,
    /// How certain it is.
    pub certainty: Certainty,
    /// Whether it was seen at or before expiry.
    pub in_time: bool,
    /// Blocks it has, its own included.
    pub depth: u64,
    /// Blocks it needs, by the policy and by the chain.
    pub depth_needed: u32,
    /// It is on the chain or in the mempool, and not older than the invoice.
    pub stands: bool,
    /// Whether its amount is part of the sums.
    pub counted: bool,
}

/// Everything the fold says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The best status among the options.
    pub status: Status,
    /// The window is closed: expiry has passed and every chain of the invoice was read up to it.
    pub closed: bool,
    /// A payment made now would be in time and is wanted.
    pub payable: bool,
    /// The option that made it paid.
    pub paid_option: Option<OptionId>,
    /// Chains that were not read for long after expiry.
    pub waiting_for: Vec<ChainName>,
    /// In the order of the terms.
    pub options: Vec<OptionTally>,
    /// In the order of the facts.
    pub transfers: Vec<TransferView>,
    /// What a person has to decide, in the order of the facts.
    pub exceptions: Vec<Finding>,
    /// When to fold again; sorted, without doubles.
    pub awaits: Vec<Await>,
}

/// Folds facts into sums and status.
///
/// The order of `transfers` does not matter to sums and status. A chain missing from `views` was
/// never read.
pub fn fold(
    terms: &Terms,
    transfers: &[Transfer],
    decisions: &[OperatorFact],
    views: &Views,
    now: UnixMillis,
) -> Result<Folded, Violation> {
    if limits::INVOICE_TRANSFERS_MAX < transfers.len() {
        return Err(Violation::TooMany);
    }
    let uncovered = uncovered_chains(terms, views);
    let closed = terms.expires_at < now && uncovered.is_empty();
    let canceled = decisions
        .iter()
        .any(|decision| matches!(decision, OperatorFact::Canceled { .. }));
    let mut awaits: Vec<Await> = uncovered
        .iter()
        .map(|chain| Await::Covered {
            chain: chain.clone(),
            until: terms.expires_at,
        })
        .collect();
    if !closed
        && uncovered.is_empty()
        && let Some(option) = terms.options.first()
    {
        // Read past expiry by a clock that runs before ours: the next poll closes the window.
        let chain = option.asset.chain().clone();
        awaits.push(Await::Covered {
            chain,
            until: terms.expires_at,
        });
    }
    let seen = view_transfers(terms, transfers, views, &mut awaits)?;
    let mut options = Vec::with_capacity(terms.options.len());
    for option in &terms.options {
        let own = transfers
            .iter()
            .zip(&seen)
            .filter(|(transfer, _)| transfer.option == option.id);
        options.push(tally(option, own, canceled, closed)?);
    }
    let exceptions = exceptions(terms, transfers, &seen)?;
    let best = options.iter().min_by_key(|option| option.status);
    let status = best.map_or(Status::Created, |option| option.status);
    let paid_option = best
        .filter(|option| option.status.is_paid())
        .map(|option| option.id);
    let overdue = terms.expires_at.plus_ms(limits::WAITING_FOR_AFTER_MS) < now;
    awaits.sort();
    awaits.dedup();
    Ok(Folded {
        status,
        closed,
        payable: now <= terms.expires_at && status.is_open(),
        paid_option,
        waiting_for: if overdue { uncovered } else { Vec::new() },
        options,
        transfers: seen,
        exceptions,
        awaits,
    })
}

/// Chains of the options that were not read up to expiry, by name.
fn uncovered_chains(terms: &Terms, views: &Views) -> Vec<ChainName> {
    let covered = |chain: &ChainName| {
        let until = views.get(chain).and_then(|view| view.covered_until);
        until.is_some_and(|until| terms.expires_at < until)
    };
    let chains = terms.options.iter().map(|option| option.asset.chain());
    let mut uncovered: Vec<ChainName> = chains.filter(|chain| !covered(chain)).cloned().collect();
    uncovered.sort();
    uncovered.dedup();
    uncovered
}

fn view_transfers(
    terms: &Terms,
    transfers: &[Transfer],
    views: &Views,
    awaits: &mut Vec<Await>,
) -> Result<Vec<TransferView>, Violation> {
    let mut ids: Vec<TransferId> = transfers.iter().map(|transfer| transfer.id).collect();
    ids.sort_unstable();
    if let Some(transfer) = ids
        .iter()
        .zip(ids.iter().skip(1))
        .find_map(|(a, b)| (a == b).then_some(*a))
    {
        return Err(Violation::Twice { transfer });
    }
    let mut seen = Vec::with_capacity(transfers.len());
    for transfer in transfers {
        let option = terms
            .options
            .iter()
            .find(|option| option.id == transfer.option && option.asset == transfer.asset)
            .ok_or(Violation::Foreign {
                transfer: transfer.id,
            })?;
        seen.push(view(terms, option, transfer, views, awaits)?);
    }
    Ok(seen)
}

fn view(
    terms: &Terms,
    option: &OptionTerms,
    transfer: &Transfer,
    views: &Views,
    awaits: &mut Vec<Await>,
) -> Result<TransferView, Violation> {
    let Finality::Depth(depth_asked) = option.finality;
    let depth_needed = depth_asked.max(transfer.maturity);
    let chain = option.asset.chain();
    let tip = views.get(chain).and_then(|view| view.tip);
    let (certainty, depth, high_enough) = match &transfer.place {
        None => (Certainty::Gone, 0, true),
        Some(Place::Mempool) => (Certainty::Seen, 0, true),
        Some(Place::Block(block)) => {
            let above =
                tip.and_then(|tip| tip.checked_sub(block.height))
                    .ok_or(Violation::AboveTip {
                        transfer: transfer.id,
                        height: block.height,
                    })?;
            let depth = above.saturating_add(1);
            let certainty = if u64::from(depth_needed) <= depth {
                Certainty::Final
            } else {
                let wait = u64::from(depth_needed).saturating_sub(1);
                let height = block.height.saturating_add(wait);
                awaits.push(Await::Height {
                    chain: chain.clone(),
                    height,
                });
                Certainty::Confirming
            };
            (certainty, depth, option.created_height <= block.height)
        }
    };
    let in_window = transfer.sighted_at <= terms.late_until;
    Ok(TransferView {
        id: transfer.id,
        certainty,
        in_time: transfer.sighted_at <= terms.expires_at,
        depth,
        depth_needed,
        stands: certainty != Certainty::Gone && high_enough,
        counted: transfer.role == Role::Payment
            && certainty != Certainty::Gone
            && high_enough
            && in_window,
    })
}

/// What these transfers ask a person to decide: one finding for each address. Dust asks nothing.
fn exceptions(
    terms: &Terms,
    transfers: &[Transfer],
    seen: &[TransferView],
) -> Result<Vec<Finding>, Violation> {
    let mut findings: Vec<Finding> = Vec::new();
    for (transfer, _) in transfers.iter().zip(seen).filter(|(_, view)| view.stands) {
        let Role::Sibling { form, address } = &transfer.role else {
            continue;
        };
        let mut options = terms.options.iter();
        if options.any(|option| option.id == transfer.option && transfer.amount < option.dust) {
            continue;
        }
        let finding = Finding {
            kind: ExceptionKind::Recoverable,
            option: transfer.option,
            form: form.clone(),
            address: address.clone(),
            amount: transfer.amount,
        };
        match findings.iter_mut().find(|known| known.is_same(&finding)) {
            Some(known) => {
                let sum = known.amount.checked_add(transfer.amount);
                known.amount = sum.ok_or(Violation::SumOverflow)?;
            }
            None => findings.push(finding),
        }
    }
    Ok(findings)
}

fn tally<'a>(
    option: &OptionTerms,
    transfers: impl Iterator<Item = (&'a Transfer, &'a TransferView)>,
    canceled: bool,
    closed: bool,
) -> Result<OptionTally, Violation> {
    let (mut sums, mut news) = (Sums::default(), Sums::default());
    for (transfer, view) in transfers.filter(|(_, view)| view.counted) {
        sums.add(transfer.amount, view.certainty, view.in_time)?;
        if option.dust <= transfer.amount {
            news.add(transfer.amount, view.certainty, view.in_time)?;
        }
    }
    let reached = if sums.finalized < option.minimum {
        Reached::Under
    } else if sums.finalized <= option.maximum {
        Reached::Exact
    } else {
        Reached::Over
    };
    let pending = match (news.confirming.is_zero(), news.seen.is_zero()) {
        (false, _) => Pending::Block,
        (true, false) => Pending::Mempool,
        (true, true) => Pending::None,
    };
    let measures = Measures {
        refunded: false,
        canceled,
        reached,
        late_reached: option.minimum <= sums.all_finalized()?,
        pending,
        received: !news.in_time()?.is_zero(),
        closed,
    };
    Ok(OptionTally {
        id: option.id,
        sums,
        news,
        status: measures.status(),
    })
}
