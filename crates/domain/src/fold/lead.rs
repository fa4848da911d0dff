//! Which of several options leads: the one that made the invoice paid, or that most likely will.

use std::cmp::Reverse;

use super::{OptionTally, TransferView};
use crate::amount::Amount;
use crate::facts::Transfer;
use crate::status::Status;
use crate::sums::Certainty;
use crate::terms::OptionTerms;
use crate::time::UnixMillis;
use crate::violation::Violation;

/// What an option's in-time money in blocks comes to. What stands only in the mempool may still be
/// replaced, as often as its sender likes, and leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    /// Whether it reaches the minimum; false comes behind.
    is_enough: Reverse<bool>,
    /// When the money was seen that made it enough, or else the first.
    at: UnixMillis,
}

/// The option that leads, by its place; `None` while nothing stands in a block.
///
/// A better one of the paid statuses leads; among equals, the money that is enough, and then the money
/// that was seen first. As blocks come the lead moves at most from what was final first to what came first.
pub(super) fn lead(
    options: &[OptionTerms],
    tallies: &[OptionTally],
    transfers: &[Transfer],
    seen: &[TransferView],
) -> Result<Option<usize>, Violation> {
    let mut best = None;
    for (place, (option, tally)) in options.iter().zip(tallies).enumerate() {
        let own = transfers
            .iter()
            .zip(seen)
            .filter(|(transfer, _)| transfer.option == option.id);
        let arrival = arrival(option, own)?;
        if arrival.is_none() && !tally.status.is_paid() {
            continue;
        }
        // Behind the paid statuses there is one rank for all.
        let rank = tally.status.min(Status::Confirming);
        let standing = (rank, arrival.is_none(), arrival, place);
        if best.is_none_or(|best| standing < best) {
            best = Some(standing);
        }
    }
    Ok(best.map(|(.., place)| place))
}

/// Whether a payment to each option is wanted, as far as the others go: money that was seen at one of them
/// and is enough there makes a payment to another one a second one.
pub(super) fn wanted(
    options: &[OptionTerms],
    tallies: &[OptionTally],
) -> Result<impl Iterator<Item = bool> + use<>, Violation> {
    let mut enough = Vec::with_capacity(options.len());
    for (option, tally) in options.iter().zip(tallies) {
        enough.push(option.minimum <= tally.news.in_time()?);
    }
    let count = enough.iter().filter(|is_enough| **is_enough).count();
    Ok(enough.into_iter().map(move |own| count <= usize::from(own)))
}

fn arrival<'a>(
    option: &OptionTerms,
    own: impl Iterator<Item = (&'a Transfer, &'a TransferView)>,
) -> Result<Option<Arrival>, Violation> {
    let standing = own.filter(|(transfer, view)| {
        let is_news = option.dust <= transfer.amount && view.counted && view.in_time;
        is_news && Certainty::Confirming <= view.certainty
    });
    let mut money: Vec<(UnixMillis, Amount)> = standing
        .map(|(transfer, _)| (transfer.sighted_at, transfer.amount))
        .collect();
    money.sort_unstable();
    let mut sum = Amount::ZERO;
    for (at, amount) in &money {
        sum = sum.checked_add(*amount).ok_or(Violation::SumOverflow)?;
        if option.minimum <= sum {
            let is_enough = Reverse(true);
            return Ok(Some(Arrival { is_enough, at: *at }));
        }
    }
    Ok(money.first().map(|(at, _)| Arrival {
        is_enough: Reverse(false),
        at: *at,
    }))
}
