//! Checks of what is stored and shown, against the chains and what was asked for.

use std::collections::BTreeSet;

use paywatch_domain::{Family, Marks, TxId, UnixMillis};
use paywatch_wire::time::parse_rfc3339;

use super::finality::is_final;
use super::rules::{self, Bounds, Certainty, Money, Timing};
use super::scene::Scene;
use crate::order::{DUST, Made, Order, Wanted, atomic};
use crate::told::{Shown, ShownOption, ShownTransfer};

/// By how much a first sighting may differ from the truth, in milliseconds: the clock's jumps and the skew
/// of block times.
const SLACK_MS: i64 = 1_300_000;

type Verdict = Result<(), String>;

/// One option that is shown, with what was asked for.
pub(super) struct Part<'a> {
    pub(super) order: &'a Order,
    pub(super) made: &'a Made,
    pub(super) shown: &'a Shown,
    pub(super) wanted: &'a Wanted,
    pub(super) option: &'a ShownOption,
    /// From which height on payments count.
    pub(super) height: u64,
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, said: &T, truth: &T) -> Verdict {
    if said == truth {
        return Ok(());
    }
    Err(format!("{what} is {said:?} and must be {truth:?}"))
}

pub(super) fn the_cursor_stands_on_a_block(scene: &Scene<'_>) -> Verdict {
    for chain in 0..scene.plans.len() {
        let has_cursor = scene.row(chain).is_some_and(|row| row.cursor.is_some());
        if has_cursor && scene.cursor(chain).is_none() {
            return Err(format!("{:?}", scene.row(chain)));
        }
    }
    Ok(())
}

pub(super) fn only_depth_halts_a_chain(scene: &Scene<'_>) -> Verdict {
    for chain in 0..scene.plans.len() {
        let halted = scene.row(chain).and_then(|row| row.halted.as_deref());
        let node = scene.nodes.get(chain);
        let is_word_broken = node.is_some_and(|node| node.marking.is_word_broken);
        let is_right = |text: &str| {
            text.starts_with("the chain was reorganised below")
                || (is_word_broken && text.contains("the node had called it final"))
        };
        if let Some(reason) = halted.filter(|text| !is_right(text)) {
            return Err(reason.to_owned());
        }
    }
    Ok(())
}

pub(super) fn every_invoice_is_kept(scene: &Scene<'_>) -> Verdict {
    match scene.made().find(|(_, _, shown)| shown.is_none()) {
        None => Ok(()),
        Some((order, made, _)) => Err(format!(
            "order {}: nothing is said of {}",
            order.number, made.id
        )),
    }
}

pub(super) fn an_order_is_one_invoice(scene: &Scene<'_>) -> Verdict {
    let mut known = BTreeSet::new();
    for invoice in &scene.evidence.invoices {
        if !known.insert(&invoice.order_id) {
            return Err(format!("{:?} has two invoices", invoice.order_id));
        }
    }
    Ok(())
}

pub(super) fn terms_are_as_asked_for(scene: &Scene<'_>) -> Verdict {
    for (order, made, shown) in scene.made() {
        let Some(shown) = shown else {
            continue;
        };
        same("created_at", &time(&shown.created_at), &made.created_at)?;
        let expires_at = made.created_at.plus_s(order.expires_in_s);
        same("expires_at", &time(&shown.expires_at), &expires_at)?;
        let late_until = expires_at.plus_s(order.late_window_s);
        same("late_until", &time(&shown.late_until), &late_until)?;
        let assets = shown.options.iter().map(|option| option.asset.clone());
        let wanted = order.wanted.iter().map(|one| one.asset.to_string());
        same("assets", &assets.collect::<Vec<_>>(), &wanted.collect())?;
        let addresses = shown.options.iter().map(|option| option.address.clone());
        same("addresses", &addresses.collect::<Vec<_>>(), &made.addresses)?;
    }
    Ok(())
}

fn time(text: &str) -> UnixMillis {
    parse_rfc3339(text).unwrap_or(UnixMillis(0))
}

/// Every option that is shown, with what was asked for.
pub(super) fn options<'a>(scene: &Scene<'a>) -> impl Iterator<Item = Part<'a>> {
    scene.made().flat_map(|(order, made, shown)| {
        let parts = shown.into_iter().flat_map(move |shown| {
            let wanted = order.wanted.iter().zip(&shown.options).zip(&made.heights);
            wanted.map(move |((wanted, option), height)| Part {
                order,
                made,
                shown,
                wanted,
                option,
                height: *height,
            })
        });
        parts.collect::<Vec<_>>()
    })
}

pub(super) fn what_waits_exists(scene: &Scene<'_>) -> Verdict {
    for Part {
        order,
        shown,
        wanted,
        option,
        ..
    } in options(scene)
    {
        let Some(node) = scene.nodes.get(wanted.chain) else {
            continue;
        };
        for one in waiting(shown, option) {
            let tx = node.ledger.tx(&TxId::new(&one.tx_id));
            let pays = tx.into_iter().flat_map(|tx| &tx.pays);
            let mut pays = pays.filter(|pay| pay.position.as_str() == one.position);
            let is_real = pays.any(|pay| {
                *pay.key == *option.address.as_bytes()
                    && pay.amount.to_string() == one.amount_atomic
            });
            if !is_real {
                return Err(format!("order {}: nobody sent {one:?}", order.number));
            }
            // The same money cannot wait twice.
            let mut others = waiting(shown, option);
            if let Some(other) = others.find(|other| scene.are_rivals(one, other)) {
                return Err(format!(
                    "order {}: {one:?} waits beside {other:?}",
                    order.number
                ));
            }
        }
    }
    Ok(())
}

/// The payments of an option that stand in the mempool.
fn waiting<'a>(
    shown: &'a Shown,
    option: &'a ShownOption,
) -> impl Iterator<Item = &'a ShownTransfer> {
    let own = shown
        .transfers
        .iter()
        .filter(|one| one.option_id == option.id);
    own.filter(|one| one.role == "payment" && one.certainty == "seen")
}

pub(super) fn sightings_are_possible(scene: &Scene<'_>) -> Verdict {
    for Part {
        order,
        shown,
        option,
        ..
    } in options(scene)
    {
        for one in shown
            .transfers
            .iter()
            .filter(|one| one.option_id == option.id)
        {
            let Some(node) = scene.node_of(&one.asset) else {
                continue;
            };
            let Some(tx) = node.ledger.tx(&TxId::new(&one.tx_id)) else {
                return Err(format!("order {}: nobody sent {one:?}", order.number));
            };
            // A replacement inherits from what it replaces.
            let first = node.ledger.first_sent(tx);
            let seen = time(&one.sighted_at);
            if seen < first.plus_ms(-SLACK_MS) || scene.evidence.now.plus_ms(SLACK_MS) < seen {
                return Err(format!(
                    "{} was sent at {} and seen at {}",
                    tx.id, first.0, seen.0
                ));
            }
        }
    }
    Ok(())
}

/// Where nothing waits for blocks in sight, money was first seen at the time of its block, or when the last poll
/// began that found everything read: that the watcher was down makes nothing late. A clock that was put back
/// explains more.
pub(super) fn downtime_makes_nothing_late(scene: &Scene<'_>) -> Verdict {
    for part in options(scene) {
        let own = part.shown.transfers.iter();
        for one in own.filter(|one| one.option_id == part.option.id) {
            let node = scene.node_of(&one.asset);
            let node = node.filter(|node| node.plan.family != Family::Bitcoin);
            let Some(node) = node.filter(|node| node.polls.is_sorted()) else {
                continue;
            };
            let claimed = node.ledger.last_claimed(&TxId::new(&one.tx_id));
            let seen = time(&one.sighted_at);
            if claimed.is_some_and(|claimed| claimed < seen)
                && node.polls.binary_search(&seen).is_err()
            {
                return Err(format!(
                    "order {}: {} is in a block of {claimed:?}, and was seen at {}",
                    part.order.number, one.tx_id, seen.0
                ));
            }
        }
    }
    Ok(())
}

/// All money that counts for an option, as the branch of the watcher's cursor and the mempool have it.
pub(super) fn money(scene: &Scene<'_>, part: &Part<'_>) -> Result<Vec<Money>, String> {
    let Part {
        order,
        made,
        shown,
        wanted,
        option,
        height,
    } = part;
    let expires_at = made.created_at.plus_s(order.expires_in_s);
    let late_until = expires_at.plus_s(order.late_window_s);
    let row = scene.row(wanted.chain);
    let tip = row.and_then(|row| row.cursor.as_ref());
    let tip = tip.map_or(0, |cursor| cursor.height);
    let marks = row.map_or(Marks::default(), |row| row.marks);
    let mut all = Vec::new();
    let mut take = |sighted_at: UnixMillis, amount: u128, certainty| {
        all.push(Money {
            amount,
            certainty,
            seen_at: sighted_at.0,
            time: if sighted_at <= expires_at {
                Timing::InTime
            } else if sighted_at <= late_until {
                Timing::Late
            } else {
                Timing::TooLate
            },
        });
    };
    for paid in scene.paid(wanted.chain, &wanted.asset, &option.address) {
        let mut stored = shown.transfers.iter();
        let stored = stored.find(|one| {
            let is_own = one.option_id == option.id && one.role == "payment";
            is_own && one.tx_id == paid.tx && one.position == paid.position
        });
        let stored = stored.ok_or_else(|| format!("{} is not stored", paid.tx))?;
        if paid.height < *height {
            continue;
        }
        let certainty = if is_final(&wanted.finality, paid.height, tip, marks) {
            Certainty::Final
        } else {
            Certainty::Confirming
        };
        take(time(&stored.sighted_at), u128::from(paid.amount), certainty);
    }
    for one in waiting(shown, option) {
        let amount = one.amount_atomic.parse().unwrap_or(0);
        take(time(&one.sighted_at), amount, Certainty::Seen);
    }
    Ok(all)
}

pub(super) fn bounds(part: &Part<'_>) -> Bounds {
    let order = part.order;
    rules::bounds(part.wanted.due, order.under, order.over, DUST)
}

pub(super) fn sums_are_those_of_the_credits(scene: &Scene<'_>) -> Verdict {
    for part in options(scene) {
        let truth = rules::totals(&money(scene, &part)?);
        let what = |name: &str| format!("{name} of order {}", part.order.number);
        let tally = &part.option.tally;
        same(&what("seen"), &atomic(&tally.seen), &Some(truth.in_time))?;
        same(
            &what("confirming"),
            &atomic(&tally.confirming),
            &Some(truth.confirming),
        )?;
        same(
            &what("final"),
            &atomic(&tally.finalized),
            &Some(truth.finalized),
        )?;
        same(&what("late"), &atomic(&tally.late), &Some(truth.late))?;
    }
    Ok(())
}

pub(super) fn the_status_follows_the_rules(scene: &Scene<'_>) -> Verdict {
    for (order, shown) in scene.invoices() {
        if scene.is_put_back(order) {
            continue;
        }
        let mut statuses = Vec::new();
        for part in options(scene).filter(|part| part.shown.id == shown.id) {
            let order = part.order;
            let money = money(scene, &part)?;
            let is_closed = is_closed(scene, &part);
            let status = rules::status(bounds(&part), &money, order.is_canceled, is_closed);
            let option = part.option;
            let what = format!("the status of {} of order {}", option.asset, order.number);
            same(&what, &option.status.as_str(), &status)?;
            statuses.push(status);
        }
        let what = format!("the status of {:?}", shown.order_id);
        same(&what, &shown.status.as_str(), &rules::best(&statuses))?;
    }
    Ok(())
}

/// Whether the invoice's window has passed and was read completely.
pub(super) fn is_closed(scene: &Scene<'_>, part: &Part<'_>) -> bool {
    let order = part.order;
    let expires_at = part.made.created_at.plus_s(order.expires_in_s);
    let is_read = order.wanted.iter().all(|wanted| {
        let until = scene.row(wanted.chain).and_then(|row| row.covered_until);
        until.is_some_and(|until| expires_at < until)
    });
    expires_at < scene.evidence.now && is_read
}

pub(super) fn every_chain_is_read(scene: &Scene<'_>) -> Verdict {
    for (chain, node) in scene.nodes.iter().enumerate() {
        same(
            &format!("the cursor of chain {chain}"),
            &scene.cursor(chain),
            &Some(node.ledger.best()),
        )?;
    }
    Ok(())
}

pub(super) fn nothing_waits(scene: &Scene<'_>) -> Verdict {
    for (order, shown) in scene.invoices() {
        let is_waiting = matches!(shown.status.as_str(), "created" | "detected" | "confirming");
        let pending = shown.transfers.iter().find(|one| {
            one.certainty == "seen" || (one.certainty == "confirming" && one.role == "payment")
        });
        if is_waiting || pending.is_some() || !shown.waiting_for.is_empty() {
            return Err(format!(
                "order {} is {}: {pending:?}",
                order.number, shown.status
            ));
        }
    }
    Ok(())
}
