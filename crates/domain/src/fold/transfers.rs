//! Each transfer as the fold sees it: how certain it is, whether it is in time, whether it counts.

use super::{Await, TransferView};
use crate::facts::{Place, Role, Transfer, Views};
use crate::id::TransferId;
use crate::policy::Finality;
use crate::sums::Certainty;
use crate::terms::{OptionTerms, Terms};
use crate::violation::Violation;

/// Views every transfer, in the order of the facts, and adds what they wait for.
pub(super) fn view_all(
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
