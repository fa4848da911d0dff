//! Goal: every combination of what a status depends on has exactly the status that the documented
//! table gives. Method: the table is written a second time as text, and every combination is looked up
//! in it.

use paywatch_domain::Status;
use paywatch_domain::status::{Measures, Pending, Reached};

/// `*` matches everything; the first line that matches wins.
const TABLE: &str = "
refunded canceled reached accepted late_reached pending received closed -> status
yes      *        *       *        *            *       *        *      -> refunded
no       yes      *       *        *            *       *        *      -> canceled
no       no       over    *        *            *       *        *      -> overpaid
no       no       exact   *        *            *       *        *      -> paid
no       no       under   yes      *            *       *        *      -> paid
no       no       under   no       yes          *       *        *      -> late_paid
no       no       under   no       no           block   *        *      -> confirming
no       no       under   no       no           mempool *        *      -> detected
no       no       under   no       no           none    yes      *      -> underpaid
no       no       under   no       no           none    no       yes    -> expired
no       no       under   no       no           none    no       no     -> created
";

fn combinations() -> Vec<Measures> {
    let flags = [false, true];
    let mut all = Vec::new();
    for bits in 0..64_u32 {
        let flag = |place: u32| flags[usize::from(bits & (1 << place) != 0)];
        for reached in [Reached::Under, Reached::Exact, Reached::Over] {
            for pending in [Pending::None, Pending::Mempool, Pending::Block] {
                all.push(Measures {
                    refunded: flag(0),
                    canceled: flag(1),
                    accepted: flag(5),
                    reached,
                    late_reached: flag(2),
                    pending,
                    received: flag(3),
                    closed: flag(4),
                });
            }
        }
    }
    all
}

fn columns(measures: Measures) -> [&'static str; 8] {
    let word = |flag: bool| if flag { "yes" } else { "no" };
    let reached = match measures.reached {
        Reached::Under => "under",
        Reached::Exact => "exact",
        Reached::Over => "over",
    };
    let pending = match measures.pending {
        Pending::None => "none",
        Pending::Mempool => "mempool",
        Pending::Block => "block",
    };
    [
        word(measures.refunded),
        word(measures.canceled),
        reached,
        word(measures.accepted),
        word(measures.late_reached),
        pending,
        word(measures.received),
        word(measures.closed),
    ]
}

#[test]
fn every_combination_has_the_status_of_the_table() {
    let lines: Vec<(Vec<&str>, &str)> = TABLE
        .lines()
        .filter(|line| !line.is_empty())
        .skip(1)
        .map(|line| {
            let (left, status) = line.split_once("->").unwrap();
            (left.split_whitespace().collect(), status.trim())
        })
        .collect();
    let all = combinations();
    assert_eq!(all.len(), 576);
    for measures in all {
        let columns = columns(measures);
        let line = lines.iter().find(|(left, _)| {
            left.iter()
                .zip(columns)
                .all(|(cell, value)| *cell == "*" || *cell == value)
        });
        let (_, expected) = line.unwrap_or_else(|| panic!("no line matches {measures:?}"));
        assert_eq!(measures.status().as_str(), *expected, "{measures:?}");
    }
}

#[test]
fn names_read_back_and_every_status_has_a_word_for_the_payer() {
    let mut words = Vec::new();
    for status in Status::ALL {
        assert_eq!(Status::parse(status.as_str()), Some(status));
        words.push((status.as_str(), status.customer().as_str()));
    }
    let expected = [
        ("refunded", "refunded"),
        ("canceled", "canceled"),
        ("overpaid", "complete"),
        ("paid", "complete"),
        ("late_paid", "needs_attention"),
        ("confirming", "confirming"),
        ("detected", "received"),
        ("underpaid", "partially_paid"),
        ("expired", "expired"),
        ("created", "waiting"),
    ];
    assert_eq!(words, expected);
    assert_eq!(Status::parse("Paid"), None);
}
