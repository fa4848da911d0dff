//! Goal: sums, certainty and status follow from the facts alone. Method: a small notation in which a
//! case is one line, and properties over random facts.

use std::collections::BTreeMap;

use paywatch_domain::terms::bounds;
use paywatch_domain::{
    Amount, AssetName, Await, BlockHash, BlockRef, Certainty, ChainName, ChainView, Exception,
    ExceptionId, ExceptionKind, ExceptionNews, Finality, Finding, Folded, LeftReason, Marks,
    OperatorFact, OptionId, OptionTerms, Place, Policy, Position, Progress, Role, Status, Subject,
    Terms, Tolerance, Transfer, TransferId, TxId, UnixMillis, Unseen, Views, Violation, fold,
};
use proptest::prelude::*;

const EXPIRES: i64 = 1_000;
const LATE_UNTIL: i64 = 5_000;
const CREATED_HEIGHT: u64 = 100;
const DEPTH: u32 = 3;

fn asset() -> AssetName {
    "btc@bitcoin".parse().unwrap()
}

fn chain() -> ChainName {
    asset().chain().clone()
}

/// 1000 due, minus 10 to plus 10, dust below 5, final at depth 3.
pub(crate) fn terms() -> Terms {
    let due = Amount::from_atomic(1000);
    let tolerance = Tolerance {
        under: paywatch_domain::Margin::Millionths(10_000),
        over: paywatch_domain::Margin::Amount(Amount::from_atomic(10)),
    };
    let (minimum, maximum) = bounds(due, tolerance).unwrap();
    let option = OptionTerms {
        id: OptionId::from_bits(1),
        asset: asset(),
        decimals: 8,
        rate: None,
        due,
        minimum,
        maximum,
        tolerance,
        dust: Amount::from_atomic(5),
        finality: Finality::Depth(DEPTH),
        created_height: CREATED_HEIGHT,
    };
    Terms {
        price: None,
        created_at: UnixMillis(0),
        expires_at: UnixMillis(EXPIRES),
        late_until: UnixMillis(LATE_UNTIL),
        policy: Policy {
            name: None,
            tiers: Vec::new(),
        },
        success_url: None,
        cancel_url: None,
        options: vec![option],
    }
}

/// Another asset of the option's chain, or one of another chain of the family.
pub(crate) fn stray_asset(is_elsewhere: bool) -> AssetName {
    let name = if is_elsewhere {
        "btc@signet"
    } else {
        "usdt@bitcoin"
    };
    name.parse().unwrap()
}

pub(crate) fn transfer(
    number: u128,
    amount: u64,
    sighted_at: i64,
    place: Option<Place>,
) -> Transfer {
    Transfer {
        role: Role::Payment,
        maturity: 0,
        id: TransferId::from_bits(number),
        option: OptionId::from_bits(1),
        asset: asset(),
        amount: Amount::from_atomic(amount),
        tx_id: TxId::new(&format!("tx{number}")),
        origin: TxId::new(&format!("tx{number}")),
        left: None,
        final_at: None,
        position: Position::new("vout:0"),
        sighted_at: UnixMillis(sighted_at),
        place,
        vetting: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a transfer holds")]
pub(crate) fn in_block(height: u64) -> Option<Place> {
    Some(Place::Block(BlockRef {
        height,
        hash: BlockHash::new(&format!("h{height}")),
    }))
}

pub(crate) fn views(tip: u64, covered: i64) -> Views {
    let view = ChainView {
        tip: Some(tip),
        covered_until: Some(UnixMillis(covered)),
        gaps: Vec::new(),
        unseen: None,
        marks: Marks::default(),
    };
    let elsewhere = stray_asset(true).chain().clone();
    BTreeMap::from([(chain(), view.clone()), (elsewhere, view)])
}

/// Reads `AMOUNT@TIME:PLACE`, PLACE being `pool`, `gone`, `replaced` or a height; `~NAME` behind it names
/// the coins that are spent, and `!` says that it was final once.
pub(crate) fn transfers(text: &str) -> Vec<Transfer> {
    let read = |(number, word): (usize, &str)| {
        let (amount, rest) = word.split_once('@').unwrap();
        let (time, place) = rest.split_once(':').unwrap();
        let was_final = place.ends_with('!');
        let place = place.trim_end_matches('!');
        let (place, coins) = place.split_once('~').unwrap_or((place, ""));
        let (place, left) = match place {
            "pool" => (Some(Place::Mempool), None),
            "gone" => (None, Some(LeftReason::Reorged)),
            "replaced" => (None, Some(LeftReason::Replaced)),
            height => (in_block(height.parse().unwrap()), None),
        };
        let number = u128::try_from(number).unwrap();
        let (amount, time) = (amount.parse().unwrap(), time.parse().unwrap());
        let one = transfer(number, amount, time, place);
        let origin = if coins.is_empty() {
            one.origin.clone()
        } else {
            TxId::new(coins)
        };
        Transfer {
            left,
            origin,
            final_at: was_final.then_some(UnixMillis(time)),
            ..one
        }
    };
    text.split_whitespace().enumerate().map(read).collect()
}

/// One case a line: transfers | tip | covered until | now | status; `X` cancels.
const CASES: &str = "
                                  | 110 |    0 |  500 | created
                                  | 110 |  900 | 1001 | created
                                  | 110 | 1000 | 1001 | created
                                  | 110 | 1001 | 1001 | expired
                                  | 110 | 61001 | 1001 | expired
                                  | 110 | 61002 | 1001 | created
1000@500:pool                     | 110 |    0 |  500 | detected
1000@500:110                      | 110 |    0 |  500 | confirming
1000@500:109                      | 110 |    0 |  500 | confirming
1000@500:108                      | 110 |    0 |  500 | paid
990@500:108                       | 110 |    0 |  500 | paid
989@500:108                       | 110 |    0 |  500 | underpaid
1010@500:108                      | 110 |    0 |  500 | paid
1011@500:108                      | 110 |    0 |  500 | overpaid
400@500:108 600@500:108           | 110 |    0 |  500 | paid
400@500:108 600@500:109           | 110 |    0 |  500 | confirming
400@500:108 600@500:pool          | 110 |    0 |  500 | detected
400@500:108 600@500:gone          | 110 |    0 |  500 | underpaid
400@500:108 700@500:108           | 110 |    0 |  500 | overpaid
1000@500:108 700@500:pool         | 110 |    0 |  500 | paid
1000@500:gone                     | 110 |    0 |  500 | created
1000@500:gone                     | 110 | 2000 | 2000 | expired
1000@1000:108                     | 110 | 2000 | 2000 | paid
1000@1001:108                     | 110 | 2000 | 2000 | late_paid
1000@1001:109                     | 110 | 2000 | 2000 | expired
600@500:108 400@1001:108          | 110 | 2000 | 2000 | late_paid
600@500:108 400@1001:109          | 110 | 2000 | 2000 | underpaid
1000@5000:108                     | 110 | 6000 | 6000 | late_paid
1000@5001:108                     | 110 | 6000 | 6000 | expired
1000@500:99                       | 110 |    0 |  500 | created
1000@500:100                      | 110 |    0 |  500 | paid
4@500:pool                        | 110 |    0 |  500 | created
4@500:108                         | 110 |    0 |  500 | created
4@500:108                         | 110 | 1001 | 1001 | expired
989@500:108 4@500:108             | 110 |    0 |  500 | paid
989@500:108 4@500:pool            | 110 |    0 |  500 | underpaid
1000@500:108 X                    | 110 |    0 |  500 | canceled
X                                 | 110 | 1001 | 1001 | canceled
";

fn fold_line(line: &str) -> (Folded, String) {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let facts = cells[0].replace('X', "");
    let canceled = OperatorFact::Canceled { at: UnixMillis(1) };
    let decisions: Vec<OperatorFact> = cells[0]
        .contains('X')
        .then_some(canceled)
        .into_iter()
        .collect();
    let views = views(cells[1].parse().unwrap(), cells[2].parse().unwrap());
    let now = UnixMillis(cells[3].parse().unwrap());
    let folded = fold(&terms(), &transfers(&facts), &decisions, &views, now).unwrap();
    (folded, cells[4].to_owned())
}

#[test]
fn every_case_has_its_status() {
    for line in CASES.lines().filter(|line| !line.is_empty()) {
        let (folded, expected) = fold_line(line);
        assert_eq!(folded.status.as_str(), expected, "{line}");
    }
}

#[test]
fn a_chain_that_could_not_be_read_keeps_the_window_open() {
    let later = UnixMillis(EXPIRES + 3_600_001);
    let folded = fold(&terms(), &[], &[], &Views::new(), later).unwrap();
    assert_eq!(
        (folded.status, folded.closed, folded.payable),
        (Status::Created, false, false)
    );
    assert_eq!(
        folded.waiting_for,
        vec![chain()],
        "after an hour it says what it waits for"
    );
}

/// What contracts paid in time may be seen by balances alone, which are looked at later.
#[test]
fn money_that_blocks_do_not_show_keeps_the_window_open_until_balances_would() {
    let now = UnixMillis(EXPIRES + 3_600_001);
    let looked = Await::Looked {
        chain: chain(),
        until: UnixMillis(EXPIRES),
    };
    let token = stray_asset(false);
    for (asset, looked_until, closed) in [
        (asset(), 0, false),
        (asset(), EXPIRES, false),
        (asset(), EXPIRES + 1, true),
        (token, 0, true),
    ] {
        let mut views = views(110, now.0);
        views.get_mut(&chain()).unwrap().unseen = Some(Unseen {
            asset: asset.clone(),
            looked_until: UnixMillis(looked_until),
        });
        let folded = fold(&terms(), &[], &[], &views, now).unwrap();
        assert_eq!(folded.closed, closed, "{asset} {looked_until}");
        let (status, waiting, awaits) = if closed {
            (Status::Expired, Vec::new(), Vec::new())
        } else {
            (Status::Created, vec![chain()], vec![looked.clone()])
        };
        assert_eq!(folded.status, status, "{asset} {looked_until}");
        assert_eq!(folded.waiting_for, waiting, "{asset} {looked_until}");
        assert_eq!(folded.awaits, awaits, "{asset} {looked_until}");
    }
}

#[test]
fn what_is_awaited_is_exactly_what_can_change_something() {
    let covered = Await::Covered {
        chain: chain(),
        until: UnixMillis(EXPIRES),
    };
    let height = |height| Await::Height {
        chain: chain(),
        height,
    };
    let (folded, _) = fold_line("1000@500:109 5@500:109 7@500:110 | 110 | 0 | 500 | confirming");
    assert_eq!(folded.awaits, vec![height(111), height(112), covered]);
    let (folded, _) = fold_line("1000@500:108 | 110 | 1001 | 1001 | paid");
    assert_eq!(folded.awaits, Vec::new());
}

#[test]
fn a_broken_rule_is_a_violation_and_never_a_status() {
    let fails = |transfers: &[Transfer]| {
        fold(&terms(), transfers, &[], &views(110, 0), UnixMillis(500)).unwrap_err()
    };
    let above = transfer(1, 1000, 500, in_block(111));
    assert_eq!(
        fails(&[above]),
        Violation::AboveTip {
            transfer: TransferId::from_bits(1),
            height: 111
        }
    );
    let once = transfer(1, 1000, 500, in_block(108));
    let twice = Violation::Twice {
        transfer: TransferId::from_bits(1),
    };
    assert_eq!(fails(&[once.clone(), once.clone()]), twice);
    let foreign = Transfer {
        asset: "eth@ethereum".parse().unwrap(),
        ..once.clone()
    };
    assert_eq!(
        fails(&[foreign]),
        Violation::Foreign {
            transfer: TransferId::from_bits(1)
        }
    );
    let huge = |number| Transfer {
        amount: Amount::MAX,
        ..transfer(number, 0, 500, in_block(108))
    };
    assert_eq!(fails(&[huge(1), huge(2)]), Violation::SumOverflow);
}

fn sibling(number: u128, amount: u64, place: Option<Place>) -> Transfer {
    Transfer {
        role: Role::Sibling {
            form: "p2tr".into(),
            address: "bc1p".into(),
        },
        ..transfer(number, amount, 500, place)
    }
}

fn recoverable(amount: u64) -> Finding {
    Finding {
        kind: ExceptionKind::Recoverable,
        subject: Subject::Address {
            option: OptionId::from_bits(1),
            form: "p2tr".into(),
            address: "bc1p".into(),
        },
        amount: Amount::from_atomic(amount),
    }
}

#[test]
fn a_block_reward_is_final_when_it_can_be_spent() {
    let reward = Transfer {
        maturity: 100,
        ..transfer(1, 1000, 500, in_block(110))
    };
    let at = |tip| {
        fold(
            &terms(),
            std::slice::from_ref(&reward),
            &[],
            &views(tip, 0),
            UnixMillis(500),
        )
        .unwrap()
    };
    let young = at(208);
    assert_eq!(young.status, Status::Confirming, "99 blocks");
    let progress = Progress::Depth {
        have: 99,
        need: 100,
    };
    assert_eq!(young.transfers[0].progress, progress);
    let awaited = Await::Height {
        chain: chain(),
        height: 209,
    };
    assert!(young.awaits.contains(&awaited), "{:?}", young.awaits);
    assert_eq!(at(209).status, Status::Paid, "the next block may spend it");
}

#[test]
fn money_to_another_form_of_the_key_is_never_credited_and_is_told() {
    let cases = [
        (
            "in the mempool",
            sibling(1, 1000, Some(Place::Mempool)),
            Some(ExceptionKind::Recoverable),
        ),
        (
            "in a block",
            sibling(1, 1000, in_block(105)),
            Some(ExceptionKind::Recoverable),
        ),
        ("dust", sibling(1, 4, in_block(105)), None),
        ("replaced", sibling(1, 1000, None), None),
        (
            "older than the invoice",
            sibling(1, 1000, in_block(99)),
            Some(ExceptionKind::Unattributed),
        ),
    ];
    for (name, one, is_told) in cases {
        let folded = fold(&terms(), &[one], &[], &views(120, 0), UnixMillis(500)).unwrap();
        assert_eq!(folded.status, Status::Created, "{name}");
        assert!(!folded.transfers[0].counted, "{name}");
        assert!(
            folded.options[0].sums.in_time().unwrap().is_zero(),
            "{name}"
        );
        let expected = match is_told {
            Some(kind) => vec![Finding {
                kind,
                ..recoverable(1000)
            }],
            None => Vec::new(),
        };
        assert_eq!(folded.exceptions, expected, "{name}");
    }
    let paid = [
        transfer(1, 1000, 500, in_block(110)),
        sibling(2, 50, in_block(110)),
    ];
    let folded = fold(&terms(), &paid, &[], &views(120, 0), UnixMillis(500)).unwrap();
    assert_eq!(
        (folded.status, folded.exceptions),
        (Status::Paid, vec![recoverable(50)])
    );
}

#[test]
fn an_exception_is_told_once_and_again_when_the_money_returns() {
    let found = |amounts: &[u64], place: Option<Place>| {
        let transfers: Vec<Transfer> = (1..)
            .zip(amounts)
            .map(|(number, amount)| sibling(number, *amount, place.clone()))
            .collect();
        fold(&terms(), &transfers, &[], &views(120, 0), UnixMillis(500)).unwrap()
    };
    let id = ExceptionId::from_bits(7);
    let told = |amount, resolved_at| Exception {
        id,
        finding: recoverable(amount),
        opened_at: UnixMillis(500),
        resolved_at,
    };
    let between =
        |told: &[Exception], folded: &Folded| ExceptionNews::between(told, &folded.exceptions);
    let (there, gone) = (found(&[1000], in_block(110)), found(&[1000], None));
    assert_eq!(between(&[], &there).opened, [recoverable(1000)]);
    assert!(between(&[told(1000, None)], &there).is_empty());
    let resolved = between(&[told(1000, None)], &gone);
    assert_eq!((resolved.opened.len(), resolved.resolved), (0, vec![id]));
    let before = [told(1000, Some(UnixMillis(600)))];
    assert!(between(&before, &gone).is_empty());
    assert_eq!(between(&before, &there).opened, [recoverable(1000)]);
    assert_eq!(gone.transfers[0].certainty, Certainty::Gone);

    let flood = found(&vec![1000; 3000], in_block(110));
    assert_eq!(
        flood.exceptions,
        [recoverable(3_000_000)],
        "one for each address"
    );
    let more = between(&[told(1000, None)], &flood);
    assert_eq!((more.opened.len(), more.resolved.len()), (0, 0));
    assert_eq!(more.amended, [(id, Amount::from_atomic(3_000_000))]);
}

pub(crate) fn any_transfers() -> impl Strategy<Value = Vec<Transfer>> {
    let place = prop_oneof![
        Just(None),
        Just(Some(Place::Mempool)),
        (95..=120_u64).prop_map(in_block),
    ];
    let kind =
        prop_oneof![4 => Just(""), 1 => Just("sibling"), 1 => Just("asset"), 1 => Just("chain")];
    let one = (1..2_000_u64, 0..7_000_i64, place, kind);
    proptest::collection::vec(one, 0..12).prop_map(|list| {
        let numbered = (0_u128..).zip(list);
        numbered
            .map(|(number, (amount, at, place, kind))| {
                let one = transfer(number, amount, at, place.clone());
                let stray = |is_elsewhere| Transfer {
                    role: Role::Stray { decimals: 6 },
                    asset: stray_asset(is_elsewhere),
                    ..one.clone()
                };
                match kind {
                    "sibling" => Transfer {
                        role: sibling(number, amount, place).role,
                        ..one
                    },
                    "asset" => stray(false),
                    "chain" => stray(true),
                    _ => one,
                }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter(
        transfers in any_transfers(), turn in 0..12_usize, now in 0..8_000_i64, covered in 0..8_000_i64
    ) {
        let mut turned = transfers.clone();
        turned.rotate_left(turn.min(transfers.len()));
        let views = views(120, covered);
        let one = fold(&terms(), &transfers, &[], &views, UnixMillis(now)).unwrap();
        let other = fold(&terms(), &turned, &[], &views, UnixMillis(now)).unwrap();
        prop_assert_eq!((one.status, &one.options, &one.awaits), (other.status, &other.options, &other.awaits));
    }

    #[test]
    fn the_sum_of_parts_is_the_whole(transfers in any_transfers(), now in 0..8_000_i64) {
        let folded = fold(&terms(), &transfers, &[], &views(120, 0), UnixMillis(now)).unwrap();
        let sums = folded.options[0].sums;
        let counted = transfers.iter().zip(&folded.transfers).filter(|(_, view)| view.counted);
        let whole = counted.fold(Amount::ZERO, |sum, (transfer, _)| sum.checked_add(transfer.amount).unwrap());
        let parts = sums.in_time().unwrap().checked_add(sums.late().unwrap()).unwrap();
        prop_assert_eq!(parts, whole);
    }

    #[test]
    fn money_that_is_not_final_never_lowers_a_paid_invoice(
        transfers in any_transfers(), extra in 1..5_000_u64, at in 0..EXPIRES
    ) {
        let before = fold(&terms(), &transfers, &[], &views(120, 0), UnixMillis(at)).unwrap();
        let mut more = transfers.clone();
        more.push(transfer(99, extra, at, Some(Place::Mempool)));
        let after = fold(&terms(), &more, &[], &views(120, 0), UnixMillis(at)).unwrap();
        if before.status.is_paid() {
            prop_assert_eq!(before.status, after.status);
        }
    }

    #[test]
    fn connecting_and_disconnecting_a_block_is_identity(
        transfers in any_transfers(), amount in 1..5_000_u64
    ) {
        let now = UnixMillis(500);
        let before = fold(&terms(), &transfers, &[], &views(120, 0), now).unwrap();
        let mut more = transfers.clone();
        more.push(transfer(99, amount, 500, in_block(121)));
        fold(&terms(), &more, &[], &views(121, 0), now).unwrap();
        more.last_mut().unwrap().place = None;
        let after = fold(&terms(), &more, &[], &views(120, 0), now).unwrap();
        prop_assert_eq!((before.status, before.options, before.awaits), (after.status, after.options, after.awaits));
    }
}
