//! What a person must be asked to decide when everything has settled: by kind, asset, address and amount.

use std::collections::{BTreeMap, BTreeSet};

use paywatch_domain::TxId;

use super::credits::sibling;
use super::ledgers::{Part, bounds, is_closed, money, options, same};
use super::rules::{self, Way};
use super::scene::Scene;
use crate::order::DUST;
use crate::told::ShownTransfer;

type Verdict = Result<(), String>;

/// One open exception.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    option: String,
    kind: String,
    asset: String,
    address: String,
    amount: String,
}

/// What is asked is what the documents demand of the money that is there. What another transaction spent is
/// looked at apart: whether the watcher saw it depends on when its node forgot what.
pub(super) fn exceptions_are_those_of_the_money(scene: &Scene<'_>) -> Verdict {
    for (order, shown) in scene.invoices() {
        let parts: Vec<Part<'_>> = options(scene)
            .filter(|part| part.shown.id == shown.id)
            .collect();
        let ways = parts.iter().map(|part| way(scene, part));
        let ways: Vec<Way> = ways.collect::<Result<_, _>>()?;
        let mut truth = BTreeSet::new();
        for (place, part) in parts.iter().enumerate() {
            let own = rules::exceptions(&ways, place).into_iter();
            let own = own.map(|(kind, amount)| Question {
                option: part.option.id.clone(),
                kind: kind.into(),
                asset: part.option.asset.clone(),
                address: part.option.address.clone(),
                amount: amount.to_string(),
            });
            truth.extend(own);
            truth.extend(beside(scene, part));
        }
        let open = shown.exceptions.iter();
        let open = open.filter(|one| one.state == "open" && one.kind != "double_spent");
        let asked = open.map(|one| Question {
            option: one.option_id.clone().unwrap_or_default(),
            kind: one.kind.clone(),
            asset: one.asset.clone().unwrap_or_default(),
            address: one.address.clone().unwrap_or_default(),
            amount: one.amount_atomic.clone().unwrap_or_default(),
        });
        let what = format!("what is to be decided about order {}", order.number);
        same(&what, &asked.collect(), &truth)?;
    }
    Ok(())
}

fn way(scene: &Scene<'_>, part: &Part<'_>) -> Result<Way, String> {
    let (bounds, money) = (bounds(part), money(scene, part)?);
    let is_canceled = part.order.is_canceled;
    let lost = payments(part).filter(|one| one.final_at.is_some() && one.certainty != "final");
    let lost = lost.map(amount).filter(|amount| bounds.dust <= *amount);
    Ok(Way {
        status: rules::status(bounds, &money, is_canceled, is_closed(scene, part)),
        bounds,
        due: part.wanted.due.into(),
        money,
        lost: lost.sum(),
    })
}

fn payments<'a>(part: &Part<'a>) -> impl Iterator<Item = &'a ShownTransfer> {
    let (id, transfers) = (&part.option.id, part.shown.transfers.iter());
    transfers.filter(move |one| one.option_id == *id && one.role == "payment")
}

fn amount(transfer: &ShownTransfer) -> u128 {
    transfer.amount_atomic.parse().unwrap_or(0)
}

/// Money that never counts: to another form of the address, in another asset, on another chain, or from
/// before the invoice. A trifle is not worth a question.
fn beside(scene: &Scene<'_>, part: &Part<'_>) -> Vec<Question> {
    let (wanted, own) = (part.wanted, part.option.address.clone());
    let astray = scene.astray(wanted).into_iter().map(|(chain, asset)| {
        let kind = if chain == wanted.chain {
            "wrong_asset"
        } else {
            "wrong_chain"
        };
        (kind, chain, asset, own.clone())
    });
    let other =
        sibling(scene, part).map(|other| ("recoverable", wanted.chain, &wanted.asset, other));
    let places = astray.chain(other);
    // What was paid to the own address counts, unless it is older.
    let places = places.chain([("", wanted.chain, &wanted.asset, own.clone())]);
    let mut sums: BTreeMap<(&str, String, String), u64> = BTreeMap::new();
    for (kind, chain, asset, address) in places {
        let paid = scene.paid(chain, asset, &address);
        for one in paid.filter(|one| DUST <= one.amount) {
            let is_older = chain == wanted.chain && one.height < part.height;
            let kind = if is_older { "unattributed" } else { kind };
            let sum = sums.entry((kind, asset.to_string(), address.clone()));
            *sum.or_default() += one.amount;
        }
    }
    let told = sums.into_iter().filter(|((kind, ..), _)| !kind.is_empty());
    let told = told.map(|((kind, asset, address), sum)| Question {
        option: part.option.id.clone(),
        kind: kind.into(),
        asset,
        address,
        amount: sum.to_string(),
    });
    told.collect()
}

/// Nobody is told that money was spent elsewhere unless it was, and of no more than that, and nobody who was
/// paid otherwise.
pub(super) fn double_spends_were_seen(scene: &Scene<'_>) -> Verdict {
    for part in options(scene) {
        let open = part.shown.exceptions.iter().filter(|one| {
            let is_own = one.option_id.as_ref() == Some(&part.option.id);
            is_own && one.kind == "double_spent" && one.state == "open"
        });
        let Some(node) = scene.nodes.get(part.wanted.chain) else {
            continue;
        };
        let is_rivaled = |one: &&ShownTransfer| {
            let tx = node.ledger.tx(&TxId::new(&one.tx_id));
            tx.is_some_and(|tx| node.ledger.has_rival(tx))
        };
        let lost = payments(&part).filter(|one| one.certainty == "gone");
        let most: u128 = lost.filter(is_rivaled).map(amount).sum();
        for one in open {
            let told: u128 = one
                .amount_atomic
                .as_deref()
                .unwrap_or("")
                .parse()
                .unwrap_or(0);
            let is_over = rules::is_paid(&part.shown.status) || part.order.is_canceled;
            if told == 0 || most < told || is_over {
                return Err(format!(
                    "order {} is {}, {most} was spent elsewhere, and {told} is told",
                    part.order.number, part.shown.status
                ));
            }
        }
    }
    Ok(())
}
