//! The fold: from terms, facts and how far the chains were read to sums and status.
//!
//! A pure function without memory. A reorganisation closes placements and lowers a tip; folding again
//! gives the new truth, so there is nothing to undo.

mod decisions;
mod findings;
mod judge;
mod lead;
mod progress;
mod tally;
mod transfers;

pub use decisions::refunds;

use self::decisions::Decided;
use self::findings::Found;
use crate::chain::ChainName;
use crate::exception::Finding;
use crate::facts::{OperatorFact, Transfer, Views};
use crate::id::{OptionId, TransferId};
use crate::limits;
use crate::mark::Mark;
use crate::status::Status;
use crate::sums::{Certainty, Sums};
use crate::terms::Terms;
use crate::time::UnixMillis;
use crate::violation::Violation;
pub use progress::{Progress, Refusal};

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
    /// A mark of the chain reaches this height.
    Mark {
        /// Which chain.
        chain: ChainName,
        /// Which mark.
        mark: Mark,
        /// The height.
        height: u64,
    },
    /// The chain is covered past this time.
    Covered {
        /// Which chain.
        chain: ChainName,
        /// The time.
        until: UnixMillis,
    },
    /// The balances of addresses were looked at after a block later than this time: blocks of the chain do
    /// not show all that came by then.
    Looked {
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
    /// A payment to it made now would be in time and is wanted: no other option has enough.
    pub payable: bool,
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
    /// How far it is from final.
    pub progress: Progress,
    /// It is on the chain or in the mempool, and not older than the invoice.
    pub stands: bool,
    /// Whether its amount is part of the sums.
    pub counted: bool,
    /// When it was first said to be final, which is now where it was not said before.
    pub final_at: Option<UnixMillis>,
}

/// Everything the fold says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The best status among the options.
    pub status: Status,
    /// The window is closed: expiry has passed, and all that came by then on the invoice's chains is known.
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
    /// What a person has to decide, by option and kind.
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
    let weighty = transfers.iter().filter(|one| terms.is_weighty(one));
    if limits::INVOICE_TRANSFERS_MAX < weighty.count() {
        return Err(Violation::TooMany);
    }
    let (uncovered, mut awaits) = uncovered(terms, views, now);
    let closed = terms.expires_at < now && uncovered.is_empty();
    let decided = Decided::read(decisions);
    if !closed && uncovered.is_empty() {
        // Read past expiry by a clock that runs before ours: the next poll of any chain closes the window.
        awaits.extend(terms.options.iter().map(|option| Await::Covered {
            chain: option.asset.chain().clone(),
            until: terms.expires_at,
        }));
    }
    let seen = transfers::view_all(terms, transfers, (views, now), &mut awaits)?;
    let mut options = Vec::with_capacity(terms.options.len());
    for option in &terms.options {
        let own = transfers
            .iter()
            .zip(&seen)
            .filter(|(transfer, _)| transfer.option == option.id);
        options.push(tally::tally(option, own, &decided, closed)?);
    }
    let lead = lead::lead(&terms.options, &options, transfers, &seen)?;
    let viewed: Vec<_> = transfers.iter().zip(&seen).collect();
    let found = Found {
        terms,
        transfers: &viewed,
        decided: &decided,
        is_paid: options.iter().any(|option| option.status.is_paid()),
        lead: lead.and_then(|place| Some(options.get(place)?.id)),
        closed,
        now,
    };
    let exceptions = findings::find(&found, &options)?;
    awaits.extend(stuck_awaits(&found, &options));
    let status = options.iter().map(|option| option.status).min();
    let status = status.unwrap_or(Status::Created);
    let payable = now <= terms.expires_at && status.is_open();
    let wanted = lead::wanted(&terms.options, &options)?;
    for (option, is_wanted) in options.iter_mut().zip(wanted) {
        option.payable = payable && is_wanted;
    }
    let paid_option = lead
        .and_then(|place| options.get(place))
        .filter(|option| option.status.is_paid())
        .map(|option| option.id);
    let overdue = terms.expires_at.plus_ms(limits::WAITING_FOR_AFTER_MS) < now;
    awaits.sort();
    awaits.dedup();
    Ok(Folded {
        status,
        closed,
        payable,
        paid_option,
        waiting_for: if overdue { uncovered } else { Vec::new() },
        options,
        transfers: seen,
        exceptions,
        awaits,
    })
}

/// When what is pending after expiry will have been so for too long.
fn stuck_awaits(found: &Found<'_>, tallies: &[OptionTally]) -> Vec<Await> {
    let until = found.terms.expires_at.plus_ms(limits::STUCK_AFTER_MS);
    let options = found.terms.options.iter().zip(tallies);
    let pending = options.filter(|(_, tally)| {
        let is_pending = matches!(tally.status, Status::Confirming | Status::Detected);
        is_pending && found.closed && found.now <= until
    });
    pending
        .map(|(option, _)| Await::Covered {
            chain: option.asset.chain().clone(),
            until,
        })
        .collect()
}

/// Chains of the options on which something may have come by expiry that nobody knows of, by name, and what
/// will tell: that they are read up to there, and where blocks do not show everything, that balances were
/// looked at.
fn uncovered(terms: &Terms, views: &Views, now: UnixMillis) -> (Vec<ChainName>, Vec<Await>) {
    let until = terms.expires_at;
    let awaits = terms.options.iter().filter_map(|option| {
        let chain = option.asset.chain();
        let view = views.get(chain);
        let covered = view.and_then(|view| view.covered_by(now));
        if covered.is_none_or(|covered| covered <= until) {
            let chain = chain.clone();
            return Some(Await::Covered { chain, until });
        }
        let shows = view.is_some_and(|view| view.shows(&option.asset, until));
        let chain = chain.clone();
        (!shows).then_some(Await::Looked { chain, until })
    });
    let awaits: Vec<Await> = awaits.collect();
    let chains = awaits.iter().filter_map(|one| match one {
        Await::Covered { chain, .. } | Await::Looked { chain, .. } => Some(chain.clone()),
        Await::Height { .. } | Await::Mark { .. } => None,
    });
    let mut chains: Vec<ChainName> = chains.collect();
    chains.sort();
    chains.dedup();
    (chains, awaits)
}
