//! Goal: what a person has to decide follows from the facts, once for each kind, and ends with its
//! reason. Method: cases of one line in the notation of the fold's tests, and properties.

use paywatch_domain::{
    Action, Amount, Exception, ExceptionId, ExceptionKind, ExceptionNews, Finding, Folded,
    LeftReason, OperatorFact, OptionId, Refund, Settlement, Status, Subject, Transfer, TxId,
    UnixMillis, fold, limits,
};
use proptest::prelude::*;

use crate::fold::{any_transfers, terms, transfers, views};

fn option() -> OptionId {
    OptionId::from_bits(1)
}

/// Reads words after the transfers: `X` cancels, `A600` accepts 600, `R600` refunds 600, `R600!`
/// refunds everything that is final, `late-600` settles 600 of what is late.
fn decisions(text: &str) -> Vec<OperatorFact> {
    let at = UnixMillis(1);
    let amount = |text: &str| Amount::parse_atomic(text).unwrap();
    let read = |word: &str| match (word, word.split_once('-')) {
        ("X", _) => OperatorFact::Canceled { at },
        (_, Some((kind, settled))) => OperatorFact::Settled(Settlement {
            at,
            actor: "key".into(),
            exception: ExceptionId::from_bits(1),
            kind: ExceptionKind::parse(kind).unwrap(),
            subject: Subject::Option(option()),
            amount: amount(settled),
            action: Action::Ignore,
            reason: "test".into(),
            note: "".into(),
            tx_id: None,
        }),
        (word, None) if word.starts_with('A') => OperatorFact::Accepted {
            at,
            option: option(),
            floor: amount(&word[1..]),
        },
        (word, None) => OperatorFact::Refunded(Refund {
            at,
            actor: "key".into(),
            option: option(),
            amount: amount(word[1..].trim_end_matches('!')),
            tx_id: None,
            note: "".into(),
            is_everything: word.ends_with('!'),
        }),
    };
    text.split_whitespace().map(read).collect()
}

/// Folds `TRANSFERS | DECISIONS | NOW`, the tip at 110; the chain is covered up to now.
fn fold_line(line: &str) -> Folded {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let now: i64 = cells[2].parse().unwrap();
    let facts = transfers(cells[0]);
    let decisions = decisions(cells[1]);
    fold(
        &terms(),
        &facts,
        &decisions,
        &views(110, now),
        UnixMillis(now),
    )
    .unwrap()
}

fn found(folded: &Folded) -> String {
    let one = |finding: &Finding| format!("{} {}", finding.kind.as_str(), finding.amount);
    let all: Vec<String> = folded.exceptions.iter().map(one).collect();
    all.join(", ")
}

/// One case a line: transfers | decisions | now | status | findings. 1000 is due, from 990 to 1010;
/// expiry at 1000, late until 5000; final at height 108 and below; dust is below 5.
const CASES: &str = "
600@500:108                        |             |  500 | underpaid  |
600@500:108                        |             | 1001 | underpaid  | underpaid 600
600@500:108 5@500:109              |             | 1001 | confirming |
600@500:108 390@900:108            |             | 1001 | paid       |
600@500:108 300@500:gone           |             | 1001 | underpaid  | underpaid 600
600@500:108                        | A600        | 1001 | paid       |
600@500:108                        | A601        | 1001 | underpaid  | underpaid 600
600@500:108                        | underpaid-600 | 1001 | underpaid |
600@500:108                        | R600! underpaid-600 | 1001 | refunded |
1010@500:108                       |             |  500 | paid       |
1011@500:108                       |             |  500 | overpaid   | overpaid 11
700@500:108 700@500:108            |             |  500 | overpaid   | overpaid 400
1000@500:108 700@500:109           |             |  500 | paid       |
1500@500:108                       | overpaid-500 | 500 | overpaid   |
1500@500:108 200@500:108           | overpaid-500 | 500 | overpaid   | overpaid 200
1500@500:108                       | R400        |  500 | overpaid   | overpaid 500
1000@500:108 300@2000:108          |             | 2000 | paid       | late 300
1000@500:108 300@2000:109          |             | 2000 | paid       |
1000@500:108 4@2000:108            |             | 2000 | paid       |
1000@2000:108                      |             | 2000 | late_paid  | late 1000
1000@2000:108                      | A1000 late-1000 | 2000 | paid   |
600@500:108 400@2000:108           |             | 2000 | late_paid  | late 400
600@500:108 100@2000:108           |             | 2000 | underpaid  | underpaid 600, late 100
600@500:108 100@2000:108           | A700        | 2000 | paid       | late 100
300@2000:108                       |             | 2000 | expired    | late 300
1000@500:108 300@5001:108          |             | 6000 | paid       | after_window 300
300@5001:108                       |             | 6000 | expired    | after_window 300
300@5001:109                       |             | 6000 | expired    |
300@500:108                        | X           |  500 | canceled   | paid_after_cancel 300
300@500:109                        | X           |  500 | canceled   |
4@500:108                          | X           |  500 | canceled   |
600@500:108 400@2000:108           | X           | 2000 | canceled   | paid_after_cancel 1000
600@500:108                        | X A600      | 1001 | paid       |
600@500:108                        | A600 X      | 1001 | canceled   | paid_after_cancel 600
1000@500:gone!                     |             |  500 | created    | reverted 1000
1000@500:109!                      |             |  500 | confirming | reverted 1000
1000@500:108!                      |             |  500 | paid       |
1000@500:gone! 1000@500:108!       |             |  500 | paid       |
1000@500:108! 500@500:gone!        |             |  500 | paid       |
1000@500:108! 500@500:gone!        | R500        |  500 | paid       | reverted 500
600@500:gone!                      | A600        | 1001 | expired    | reverted 600
500@500:108! 100@500:gone!         | A600 underpaid-600 | 1001 | underpaid | reverted 100
1000@500:gone! 1000@500:gone!      | reverted-1000 | 500 | created   | reverted 1000
1000@500:gone!                     | X           |  500 | canceled   |
1000@500:gone!                     | R1000!      |  500 | refunded   |
1000@500:108 300@600:108           | R1000!      |  600 | refunded   | overpaid 300
1000@500:replaced                  |             |  500 | created    | double_spent 1000
4@500:replaced                     |             |  500 | created    |
1000@500:gone                      |             |  500 | created    |
1000@500:replaced~a 1000@500:pool~a |            |  500 | detected   |
1000@500:replaced~a 300@500:pool~a |             |  500 | detected   | double_spent 700
1000@500:replaced~a 300@500:replaced~a 1000@500:109~a | | 500 | confirming |
1000@500:replaced~a 900@500:replaced~b |         |  500 | created    | double_spent 1900
1000@500:replaced 1000@500:108     |             |  500 | paid       |
1000@500:replaced                  | double_spent-1000 | 500 | created |
1000@500:replaced!                 |             |  500 | created    | reverted 1000
";

#[test]
fn every_case_has_its_status_and_its_findings() {
    for line in CASES.lines().filter(|line| !line.is_empty()) {
        let folded = fold_line(line);
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let said = (folded.status.as_str(), found(&folded));
        assert_eq!(said, (cells[3], cells[4].to_owned()), "{line}");
    }
}

#[test]
fn money_that_stays_pending_after_expiry_is_stuck_at_last() {
    let at = |facts: &str, now: i64| fold_line(&format!("{facts} | | {now}"));
    let until = 1_000 + limits::STUCK_AFTER_MS;
    for facts in ["1000@500:pool", "1000@500:109", "600@500:108 400@500:pool"] {
        let waiting = at(facts, until);
        assert_eq!(found(&waiting), "", "{facts}");
        let is_time = |one: &paywatch_domain::Await| match one {
            paywatch_domain::Await::Covered { until: at, .. } => at.0 == until,
            paywatch_domain::Await::Height { .. }
            | paywatch_domain::Await::Mark { .. }
            | paywatch_domain::Await::Looked { .. } => false,
        };
        assert!(waiting.awaits.iter().any(is_time), "{facts}");
        let stuck = at(facts, until + 1);
        assert!(found(&stuck).starts_with("stuck "), "{facts}");
        assert!(!stuck.awaits.iter().any(is_time), "{facts}");
    }
    let paid = at("1000@500:108 400@500:pool", until + 1);
    assert_eq!((paid.status, found(&paid)), (Status::Paid, String::new()));
}

#[test]
fn each_kind_says_what_may_be_done() {
    for kind in ExceptionKind::ALL {
        assert_eq!(ExceptionKind::parse(kind.as_str()), Some(kind));
        assert!(kind.actions().contains(&Action::Ignore), "{kind:?}");
    }
    for action in Action::ALL {
        assert_eq!(Action::parse(action.as_str()), Some(action));
    }
    for reason in LeftReason::ALL {
        assert_eq!(LeftReason::parse(reason.as_str()), Some(reason));
    }
}

/// Facts of which some were final once, and some were spent elsewhere.
fn with_history(transfers: Vec<Transfer>, marks: &[u8]) -> Vec<Transfer> {
    let marked = transfers.into_iter().zip(marks.iter().cycle());
    let mark = |(transfer, mark): (Transfer, &u8)| Transfer {
        final_at: (mark % 3 == 0).then_some(UnixMillis(600)),
        left: match (&transfer.place, mark % 2) {
            (None, 0) => Some(LeftReason::Replaced),
            (None, _) => Some(LeftReason::Reorged),
            (Some(_), _) => None,
        },
        origin: TxId::new(&format!("origin{}", mark % 5)),
        ..transfer
    };
    marked.map(mark).collect()
}

proptest! {
    #[test]
    fn findings_do_not_depend_on_the_order_of_arrival(
        facts in any_transfers(), marks in proptest::collection::vec(any::<u8>(), 1..12),
        turn in 0..12_usize, now in 0..8_000_i64
    ) {
        let facts = with_history(facts, &marks);
        let mut turned = facts.clone();
        turned.rotate_left(turn.min(facts.len()));
        turned.reverse();
        let views = views(120, now);
        let one = fold(&terms(), &facts, &[], &views, UnixMillis(now)).unwrap();
        let other = fold(&terms(), &turned, &[], &views, UnixMillis(now)).unwrap();
        prop_assert_eq!(one.exceptions, other.exceptions);
    }

    #[test]
    fn what_was_told_is_told_once_and_settling_it_ends_it(
        facts in any_transfers(), marks in proptest::collection::vec(any::<u8>(), 1..12),
        now in 0..8_000_i64
    ) {
        let facts = with_history(facts, &marks);
        let views = views(120, now);
        let folded = fold(&terms(), &facts, &[], &views, UnixMillis(now)).unwrap();
        let told: Vec<Exception> = (1..).zip(&folded.exceptions).map(|(number, finding)| Exception {
            id: ExceptionId::from_bits(number),
            finding: finding.clone(),
            opened_at: UnixMillis(now),
            resolved_at: None,
        }).collect();
        prop_assert!(ExceptionNews::between(&told, &folded.exceptions).is_empty());
        for (place, finding) in folded.exceptions.iter().enumerate() {
            let others = folded.exceptions.iter().skip(place + 1);
            prop_assert!(!others.into_iter().any(|other| other.is_same(finding)), "one of a kind");
            prop_assert!(!finding.amount.is_zero());
        }
        let settled: Vec<OperatorFact> = told.iter().map(|exception| OperatorFact::Settled(Settlement {
            at: UnixMillis(now),
            actor: "key".into(),
            exception: exception.id,
            kind: exception.finding.kind,
            subject: exception.finding.subject.clone(),
            amount: exception.finding.amount,
            action: Action::Ignore,
            reason: "test".into(),
            note: "".into(),
            tx_id: None,
        })).collect();
        let after = fold(&terms(), &facts, &settled, &views, UnixMillis(now)).unwrap();
        prop_assert_eq!(&after.exceptions, &Vec::new());
        prop_assert_eq!((after.status, after.options), (folded.status, folded.options), "a status is not settled away");
    }
}
