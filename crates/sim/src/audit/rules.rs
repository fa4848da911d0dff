//! What an invoice must say, from the money that came: written from the documents, not from the code.

use std::collections::BTreeMap;

/// How certain money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// In the mempool.
    Seen,
    /// In a block that is not deep enough.
    Confirming,
    /// Deep enough.
    Final,
}

/// When money was seen first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// At or before expiry.
    InTime,
    /// Within the late window.
    Late,
    /// After it.
    TooLate,
}

/// One amount that came to an option's own address, in its own asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Money {
    pub(super) amount: u128,
    pub(super) certainty: Certainty,
    pub(super) time: Timing,
    /// In milliseconds since 1970.
    pub(super) seen_at: i64,
}

/// What an option asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) minimum: u128,
    pub(super) maximum: u128,
    pub(super) dust: u128,
}

/// The least and the most: the least is rounded up, the most down.
pub(super) fn bounds(due: u64, under: u64, over: u64, dust: u64) -> Bounds {
    let due = u128::from(due);
    let less = due * u128::from(under) / 1_000_000;
    let more = due * u128::from(over) / 1_000_000;
    Bounds {
        minimum: due - less,
        maximum: due + more,
        dust: u128::from(dust),
    }
}

/// Sums of some money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) in_time: u128,
    pub(super) confirming: u128,
    pub(super) finalized: u128,
    pub(super) late: u128,
    pub(super) late_final: u128,
    pub(super) too_late_final: u128,
}

pub(super) fn totals(money: &[Money]) -> Totals {
    let mut totals = Totals::default();
    for one in money {
        let is_final = one.certainty == Certainty::Final;
        match one.time {
            Timing::InTime => {
                totals.in_time += one.amount;
                match one.certainty {
                    Certainty::Seen => {}
                    Certainty::Confirming => totals.confirming += one.amount,
                    Certainty::Final => totals.finalized += one.amount,
                }
            }
            Timing::Late => {
                totals.late += one.amount;
                totals.late_final += if is_final { one.amount } else { 0 };
            }
            Timing::TooLate => totals.too_late_final += if is_final { one.amount } else { 0 },
        }
    }
    totals
}

/// The status of one option. `is_closed`: the window has passed and was read completely.
pub(super) fn status(
    bounds: Bounds,
    money: &[Money],
    is_canceled: bool,
    is_closed: bool,
) -> &'static str {
    let all = totals(money);
    let worth = money
        .iter()
        .filter(|one| one.time == Timing::InTime && bounds.dust <= one.amount);
    let is_any = |certainty| worth.clone().any(|one| one.certainty == certainty);
    if is_canceled {
        "canceled"
    } else if bounds.maximum < all.finalized {
        "overpaid"
    } else if bounds.minimum <= all.finalized {
        "paid"
    } else if bounds.minimum <= all.finalized + all.late_final {
        "late_paid"
    } else if is_any(Certainty::Confirming) {
        "confirming"
    } else if is_any(Certainty::Seen) {
        "detected"
    } else if is_any(Certainty::Final) {
        "underpaid"
    } else if is_closed {
        "expired"
    } else {
        "created"
    }
}

/// Which of two statuses speaks for the invoice: the one further up in the documents' table.
pub(super) fn best(statuses: &[&'static str]) -> &'static str {
    let order = [
        "refunded",
        "canceled",
        "overpaid",
        "paid",
        "late_paid",
        "confirming",
        "detected",
        "underpaid",
        "expired",
        "created",
    ];
    let ranks: BTreeMap<&str, usize> = order.into_iter().zip(0..).collect();
    let best = statuses.iter().min_by_key(|status| ranks.get(**status));
    best.copied().unwrap_or("created")
}

/// Whether enough was final for this status.
pub(super) fn is_paid(status: &str) -> bool {
    matches!(status, "paid" | "overpaid" | "late_paid")
}

/// What is said of one option, and what came to it.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) status: &'static str,
    pub(super) bounds: Bounds,
    pub(super) due: u128,
    pub(super) money: Vec<Money>,
    /// Said to be final before and final no more, dust apart.
    pub(super) lost: u128,
}

impl Way {
    /// The sums of what is worth telling.
    fn worth(&self) -> Totals {
        let worth = self
            .money
            .iter()
            .filter(|one| self.bounds.dust <= one.amount);
        totals(&worth.copied().collect::<Vec<_>>())
    }

    /// Since when what came in time and stands in blocks is enough, or since when there is any: enough comes
    /// before any.
    fn arrival(&self) -> Option<(bool, i64)> {
        let stands = |one: &&Money| {
            let is_worth = one.time == Timing::InTime && self.bounds.dust <= one.amount;
            is_worth && one.certainty != Certainty::Seen
        };
        let mut money: Vec<&Money> = self.money.iter().filter(stands).collect();
        money.sort_by_key(|one| one.seen_at);
        let mut sum = 0;
        for one in &money {
            sum += one.amount;
            if self.bounds.minimum <= sum {
                return Some((false, one.seen_at));
            }
        }
        money.first().map(|one| (true, one.seen_at))
    }
}

/// Which option leads (docs/adr/0012): the better paid one, then the one that had enough first, then the one
/// that had anything first.
fn lead(ways: &[Way]) -> Option<usize> {
    let ranked = ways.iter().enumerate().filter_map(|(place, way)| {
        let arrival = way.arrival();
        let rank = match way.status {
            "refunded" | "canceled" => 0,
            "overpaid" => 1,
            "paid" => 2,
            "late_paid" => 3,
            _ => 4,
        };
        let may_lead = arrival.is_some() || is_paid(way.status);
        may_lead.then_some((rank, arrival.is_none(), arrival, place))
    });
    ranked.min().map(|(.., place)| place)
}

/// What a person has to decide about an option's own money when everything has settled, with amounts, in the
/// words of docs/states.md; without what another transaction spent.
pub(super) fn exceptions(ways: &[Way], place: usize) -> Vec<(&'static str, u128)> {
    let Some(way) = ways.get(place) else {
        return Vec::new();
    };
    let (worth, all) = (way.worth(), totals(&way.money));
    let is_canceled = way.status == "canceled";
    let is_beside = !is_canceled && lead(ways).is_some_and(|lead| lead != place);
    let is_settled = ways.iter().any(|way| is_paid(way.status));
    let only = |is_so: bool, amount: u128| if is_so { amount } else { 0 };
    let is_short = way.status == "underpaid" && !is_beside && !is_settled;
    let over = all.finalized.saturating_sub(way.due);
    let is_missed = all.finalized + all.late_final < way.bounds.minimum
        && (!is_settled || is_paid(way.status))
        && !is_canceled;
    let amounts = [
        ("underpaid", only(is_short, worth.finalized)),
        (
            "overpaid",
            only(way.status == "overpaid" && !is_beside, over),
        ),
        ("late", only(!is_canceled, worth.late_final)),
        ("after_window", worth.too_late_final),
        (
            "paid_after_cancel",
            only(is_canceled, worth.finalized + worth.late_final),
        ),
        ("other_option", only(is_beside, worth.finalized)),
        ("reverted", only(is_missed, way.lost)),
    ];
    amounts
        .into_iter()
        .filter(|(_, amount)| *amount != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Certainty::{Confirming, Final, Seen};
    use super::*;

    #[test]
    fn the_table_is_that_of_the_documents() {
        let bounds = bounds(1_000, 10_000, 10_000, 100);
        assert_eq!((bounds.minimum, bounds.maximum), (990, 1_010));
        let money = |amount, certainty, is_in_time| Money {
            amount,
            certainty,
            time: if is_in_time {
                Timing::InTime
            } else {
                Timing::Late
            },
            seen_at: 0,
        };
        let table: [(&[Money], bool, bool, &str); 12] = [
            (&[], false, false, "created"),
            (&[], false, true, "expired"),
            (&[money(1_000, Seen, true)], false, false, "detected"),
            (&[money(1_000, Confirming, true)], false, true, "confirming"),
            (&[money(990, Final, true)], false, false, "paid"),
            (&[money(989, Final, true)], false, false, "underpaid"),
            (&[money(1_011, Final, true)], false, false, "overpaid"),
            (&[money(1_000, Final, false)], false, true, "late_paid"),
            (&[money(1_000, Final, false)], false, false, "late_paid"),
            (&[money(99, Final, true)], false, true, "expired"),
            (&[money(1_000, Final, true)], true, true, "canceled"),
            (
                &[money(950, Final, true), money(50, Seen, true)],
                false,
                false,
                "underpaid",
            ),
        ];
        for (money, is_canceled, is_closed, expected) in table {
            assert_eq!(
                status(bounds, money, is_canceled, is_closed),
                expected,
                "{money:?}"
            );
        }
        assert_eq!(best(&["expired", "underpaid", "created"]), "underpaid");
    }

    #[test]
    fn exceptions_are_those_of_the_documents() {
        let way = |due, money: &[(u128, Timing, i64)]| {
            let money = money.iter().map(|(amount, time, seen_at)| Money {
                amount: *amount,
                certainty: Final,
                time: *time,
                seen_at: *seen_at,
            });
            let (money, bounds) = (money.collect::<Vec<_>>(), bounds(due, 0, 0, 10));
            Way {
                status: status(bounds, &money, false, true),
                bounds,
                due: due.into(),
                money,
                lost: 0,
            }
        };
        let (now, late, over) = (Timing::InTime, Timing::Late, Timing::TooLate);
        let under = way(
            1_000,
            &[(600, now, 5), (9, now, 6), (50, late, 7), (70, over, 8)],
        );
        let told = [("underpaid", 600), ("late", 50), ("after_window", 70)];
        assert_eq!(exceptions(std::slice::from_ref(&under), 0), told);
        let paid = way(500, &[(700, now, 9)]);
        let told = [("late", 50), ("after_window", 70), ("other_option", 600)];
        assert_eq!(exceptions(&[under.clone(), paid.clone()], 0), told);
        assert_eq!(
            exceptions(&[under.clone(), paid.clone()], 1),
            [("overpaid", 200)]
        );
        let earlier = way(1_000, &[(600, now, 4)]);
        assert_eq!(
            exceptions(&[under.clone(), earlier.clone()], 1),
            [("underpaid", 600)]
        );
        let lost = Way {
            lost: 30,
            ..earlier
        };
        assert_eq!(
            exceptions(&[lost], 0),
            [("underpaid", 600), ("reverted", 30)]
        );
        let canceled = Way {
            status: "canceled",
            ..under
        };
        let told = [("after_window", 70), ("paid_after_cancel", 650)];
        assert_eq!(exceptions(&[canceled], 0), told);
    }
}
