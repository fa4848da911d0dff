//! The sums of one option, and its status by the table.

use super::decisions::Decided;
use super::{OptionTally, TransferView};
use crate::facts::Transfer;
use crate::status::{Measures, Pending, Reached};
use crate::sums::Sums;
use crate::terms::OptionTerms;
use crate::violation::Violation;

/// Adds up what counts.
pub(super) fn tally<'a>(
    option: &OptionTerms,
    transfers: impl Iterator<Item = (&'a Transfer, &'a TransferView)>,
    decided: &Decided<'_>,
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
    let all = sums.all_finalized()?;
    let measures = Measures {
        refunded: decided.refunded,
        canceled: decided.canceled,
        accepted: decided.floor(option.id).is_some_and(|floor| floor <= all),
        reached,
        late_reached: option.minimum <= all,
        pending,
        received: !news.in_time()?.is_zero(),
        closed,
    };
    Ok(OptionTally {
        id: option.id,
        sums,
        news,
        status: measures.status(),
        payable: false,
    })
}
