//! Each transfer as the fold sees it: how certain it is, whether it is in time, whether it counts.

use std::collections::BTreeMap;

use super::judge::{Judge, Judgement};
use super::{Await, TransferView};
use crate::chain::ChainName;
use crate::facts::{Transfer, Views};
use crate::id::{OptionId, TransferId};
use crate::sums::Certainty;
use crate::terms::{OptionTerms, Terms};
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
    let mut judges: BTreeMap<(OptionId, &ChainName), Judge<'_>> = BTreeMap::new();
    let mut seen = Vec::with_capacity(transfers.len());
    for transfer in transfers {
        let option = payee(terms, transfer)?;
        let chain = transfer.asset.chain();
        let judge = judges.entry((option.id, chain)).or_insert_with(|| {
            let view = views.get(chain).cloned().unwrap_or_default();
            Judge::new(option, chain, transfers, view, now)
        });
        seen.push(view(terms, judge, (transfer, now), awaits)?);
    }
    Ok(seen)
}

/// The option whose key a transfer paid: with its asset, or with another one when it is a stray.
fn payee<'a>(terms: &'a Terms, transfer: &Transfer) -> Result<&'a OptionTerms, Violation> {
    let is_stray = transfer.is_stray();
    let mut options = terms.options.iter();
    let option = options.find(|option| option.id == transfer.option);
    option
        .filter(|option| (option.asset != transfer.asset) == is_stray)
        .ok_or(Violation::Foreign {
            transfer: transfer.id,
        })
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
    let counted = transfer.is_payment() && stands && in_window;
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
