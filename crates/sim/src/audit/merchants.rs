//! Checks of what was said: events, their order, and what merchants know.

use std::collections::BTreeMap;

use paywatch_wire::time::parse_rfc3339;

use super::rules;
use super::scene::Scene;
use crate::order::{DUST, atomic};
use crate::told::{Shown, Told};

/// What the mempool alone changes may be told later when so much was told in so many milliseconds.
const FLOOD_MAX: usize = 10;
const FLOOD_MS: i64 = 600_000;

/// A clock that is put back by so many milliseconds is taken for the one before.
const AHEAD_MS: i64 = 60_000;

type Verdict = Result<(), String>;

/// The events of each invoice, by version; an error when two have one.
fn histories<'a>(scene: &Scene<'a>) -> Result<BTreeMap<&'a str, BTreeMap<u64, &'a Told>>, String> {
    let mut histories: BTreeMap<&str, BTreeMap<u64, &Told>> = BTreeMap::new();
    for told in &scene.evidence.events {
        let Some(invoice) = &told.invoice else {
            continue;
        };
        let history = histories.entry(&invoice.id).or_default();
        if let Some(other) = history.insert(invoice.version, told) {
            return Err(format!(
                "{} and {} are both version {}",
                other.id, told.id, invoice.version
            ));
        }
    }
    Ok(histories)
}

pub(super) fn versions_have_no_gaps(scene: &Scene<'_>) -> Verdict {
    for (invoice, history) in histories(scene)? {
        let versions: Vec<u64> = history.keys().copied().collect();
        let expected: Vec<u64> = (1..).take(versions.len()).collect();
        if versions != expected {
            return Err(format!("{invoice} has the versions {versions:?}"));
        }
    }
    Ok(())
}

/// What is told of trifles is told with the next change.
fn has_dust(invoice: &Shown) -> bool {
    let mut amounts = invoice
        .transfers
        .iter()
        .map(|one| one.amount_atomic.parse().unwrap_or(0_u64));
    amounts.any(|amount| amount < DUST)
}

/// Folding what is stored again gives what was said last. A clock that went back may disagree for a while.
pub(super) fn what_is_stored_was_said(scene: &Scene<'_>) -> Verdict {
    let histories = histories(scene)?;
    for (order, shown) in scene.invoices() {
        let last = histories
            .get(shown.id.as_str())
            .and_then(|history| history.values().next_back());
        let Some(last) = last else {
            return Err(format!("nothing was said of order {}", order.number));
        };
        let Some(said) = last.invoice.as_ref().filter(|_| !scene.is_put_back(order)) else {
            continue;
        };
        if said.version != shown.version {
            return Err(format!(
                "order {} has version {} and the last event {}",
                order.number, shown.version, said.version
            ));
        }
        let said_at = parse_rfc3339(&last.at).unwrap_or(scene.evidence.now);
        let recent = histories
            .get(shown.id.as_str())
            .into_iter()
            .flat_map(|history| history.values());
        let recent = recent.filter(|told| {
            let at = parse_rfc3339(&told.at).unwrap_or(said_at);
            scene.evidence.now.ms_since(at) <= FLOOD_MS
        });
        let is_held = FLOOD_MAX <= recent.count() && !scene.is_settled;
        let expires_at = parse_rfc3339(&said.expires_at).unwrap_or(said_at);
        let is_open_again = said.status == "expired" && scene.is_uncovered_again(order, expires_at);
        if scene.evidence.now < said_at || is_held || is_open_again {
            continue;
        }
        let sums = |invoice: &Shown| {
            let tallies = invoice.options.iter().map(|option| {
                let tally = &option.tally;
                [
                    &tally.seen,
                    &tally.confirming,
                    &tally.finalized,
                    &tally.late,
                ]
                .map(|sum| atomic(sum))
            });
            tallies.collect::<Vec<_>>()
        };
        let is_same = said.status == shown.status && (has_dust(shown) || sums(said) == sums(shown));
        if !is_same {
            let now = scene.evidence.now;
            return Err(format!(
                "order {} is {shown:?} at {}, and {said:?} was said at {}",
                order.number, now.0, said_at.0
            ));
        }
    }
    Ok(())
}

pub(super) fn a_fall_from_paid_is_reverted(scene: &Scene<'_>) -> Verdict {
    for (invoice, history) in histories(scene)? {
        let mut before = "";
        for told in history.values() {
            let Some(now) = told.invoice.as_ref().map(|invoice| invoice.status.as_str()) else {
                continue;
            };
            let is_taken = !rules::is_paid(now) && !matches!(now, "canceled" | "refunded");
            let falls = rules::is_paid(before) && is_taken;
            if falls != (told.kind == "invoice.reverted") && (falls || !rules::is_paid(before)) {
                return Err(format!("{invoice}: {} from {before:?} to {now}", told.kind));
            }
            before = now;
        }
    }
    Ok(())
}

pub(super) fn nothing_expires_unread(scene: &Scene<'_>) -> Verdict {
    for told in scene
        .evidence
        .events
        .iter()
        .filter(|told| told.kind == "invoice.expired")
    {
        let Some(invoice) = &told.invoice else {
            continue;
        };
        let (expires_at, said_at) = (parse_rfc3339(&invoice.expires_at), parse_rfc3339(&told.at));
        let (Ok(expires_at), Ok(said_at)) = (expires_at, said_at) else {
            return Err(format!("{told:?}"));
        };
        for option in &invoice.options {
            let chain = option.asset.split_once('@').map_or("", |(_, chain)| chain);
            let chain = scene.plans.iter().position(|plan| plan.name == chain);
            let node = chain.and_then(|chain| scene.nodes.get(chain));
            let polls = node.into_iter().flat_map(|node| &node.polls);
            let latest = said_at.plus_ms(AHEAD_MS);
            let mut between = polls.filter(|poll| expires_at < **poll && **poll <= latest);
            if said_at <= expires_at || between.next().is_none() {
                let text = format!(
                    "{} expired at {}, which was said at {}",
                    invoice.id, expires_at.0, said_at.0
                );
                return Err(text);
            }
        }
    }
    Ok(())
}

pub(super) fn shops_are_told_in_order(scene: &Scene<'_>) -> Verdict {
    let mut wrongs = scene.merchants.shops.iter().flat_map(|shop| {
        shop.wrongs
            .iter()
            .map(|wrong| format!("shop {}: {wrong}", shop.number))
    });
    wrongs.next().map_or(Ok(()), Err)
}

pub(super) fn every_event_has_its_deliveries(scene: &Scene<'_>) -> Verdict {
    for (shop, endpoint) in scene.loyal_shops() {
        for told in &scene.evidence.events {
            let own = scene.evidence.deliveries.iter();
            let own = own.filter(|one| one.event == told.id && one.endpoint == endpoint);
            let count = own.count();
            if count != 1 {
                return Err(format!(
                    "{} has {count} deliveries to shop {}",
                    told.id, shop.number
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn every_event_arrives(scene: &Scene<'_>) -> Verdict {
    for (shop, endpoint) in scene.loyal_shops() {
        for told in scene
            .evidence
            .events
            .iter()
            .filter(|told| !shop.taken.contains(&told.id))
        {
            let mut own = scene.evidence.deliveries.iter();
            let is_over =
                own.any(|one| one.event == told.id && one.endpoint == endpoint && one.is_exhausted);
            if !is_over {
                return Err(format!(
                    "{} {} never arrived at shop {}",
                    told.kind, told.id, shop.number
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn merchants_know_the_end(scene: &Scene<'_>) -> Verdict {
    for (shop, endpoint) in scene.loyal_shops() {
        for (order, shown) in scene.invoices() {
            let last = shop
                .told
                .get(&shown.id)
                .and_then(|told| told.values().next_back());
            let known = last.and_then(|told| told.invoice.as_ref());
            let is_known = known.is_some_and(|known| {
                known.version == shown.version && known.status == shown.status
            });
            let mut exhausted = scene.evidence.deliveries.iter();
            let is_over = exhausted.any(|one| one.endpoint == endpoint && one.is_exhausted);
            if !is_known && !is_over {
                let known = known.map(|known| (known.version, known.status.as_str()));
                return Err(format!(
                    "order {} is {} in version {}, and shop {} knows {known:?}",
                    order.number, shown.status, shown.version, shop.number
                ));
            }
        }
    }
    Ok(())
}
