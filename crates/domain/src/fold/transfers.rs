//! Each transfer as the fold sees it: how certain it is, whether it is in time, whether it counts.

use super::judge::{Judge, Judgement};
use super::{Await, TransferView};
use crate::facts::{Role, Transfer, Views};
use crate::id::TransferId;
use crate::sums::Certainty;
use crate::terms::Terms;
use crate::time::UnixMillis;
use crate::violation::Violation;

/// Views every transfer, in the order of the facts, and adds what they wait for.
pub(super) fn view_all(
    terms: &Terms,
    transfers: &[Transfer],
    (views, now): (&Views, UnixMillis),
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
    let judges = terms.options.iter().map(|option| {
        let view = views.get(option.asset.chain()).cloned();
        let judge = Judge::new(option, transfers, view.unwrap_or_default(), now);
        (option, judge)
    });
    let judges: Vec<_> = judges.collect();
    let mut seen = Vec::with_capacity(transfers.len());
    for transfer in transfers {
        let (_, judge) = judges
            .iter()
            .find(|(option, _)| option.id == transfer.option && option.asset == transfer.asset)
            .ok_or(Violation::Foreign {
                transfer: transfer.id,
            })?;
        seen.push(view(terms, judge, (transfer, now), awaits)?);
    }
    Ok(seen)
}

fn view(
    terms: &Terms,
    judge: &Judge<'_>,
    (transfer, now): (&Transfer, UnixMillis),
    awaits: &mut Vec<Await>,
) -> Result<TransferView, Violation> {
    let Judgement {
        certainty,
        progress,
        is_young,
    } = judge.judge(transfer, awaits)?;
    let stands = certainty != Certainty::Gone && is_young;
    let in_window = transfer.sighted_at <= terms.late_until;
    let counted = transfer.role == Role::Payment && stands && in_window;
    let is_final = counted && certainty == Certainty::Final;
    Ok(TransferView {
        id: transfer.id,
        certainty,
        in_time: transfer.sighted_at <= terms.expires_at,
        progress,
        stands,
        counted,
        final_at: transfer.final_at.or(is_final.then_some(now)),
    })
}
