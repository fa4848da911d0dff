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

/// One amount that came to an option's own address, in its own asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Money {
    pub(super) amount: u128,
    pub(super) certainty: Certainty,
    pub(super) is_in_time: bool,
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
    late_final: u128,
}

pub(super) fn totals(money: &[Money]) -> Totals {
    let mut totals = Totals::default();
    for one in money {
        match (one.is_in_time, one.certainty) {
            (true, certainty) => {
                totals.in_time += one.amount;
                match certainty {
                    Certainty::Seen => {}
                    Certainty::Confirming => totals.confirming += one.amount,
                    Certainty::Final => totals.finalized += one.amount,
                }
            }
            (false, certainty) => {
                totals.late += one.amount;
                if certainty == Certainty::Final {
                    totals.late_final += one.amount;
                }
            }
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
        .filter(|one| one.is_in_time && bounds.dust <= one.amount);
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
            is_in_time,
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
}
