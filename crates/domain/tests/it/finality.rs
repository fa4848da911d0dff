//! Goal: every kind of finality says what it says in the documentation, and nothing else. Method: tables
//! of what cannot be, of what a rule becomes for an option, and of facts with their certainty.

use std::collections::BTreeMap;

use paywatch_domain::terms::bounds;
use paywatch_domain::{
    Amount, AssetName, Await, BlockHash, BlockRef, Certainty, ChainView, Commitment, Family,
    Finality, FinalityError, Folded, Gap, LeftReason, Mark, Marks, OptionId, OptionTerms, Place,
    Policy, Position, Price, Progress, Role, Status, Tag, Terms, Tolerance, Transfer, TransferId,
    TxId, Unconfirmed, UnixMillis, Vetting, fold,
};
use proptest::prelude::*;

fn asset() -> AssetName {
    "btc@bitcoin".parse().unwrap()
}

fn price(amount: &str, currency: &str) -> Price {
    Price {
        amount: amount.into(),
        currency: currency.into(),
    }
}

fn unconfirmed(amount: &str, currency: &str) -> Finality {
    Finality::Unconfirmed(Unconfirmed {
        max: price(amount, currency),
        seen_s: 30,
    })
}

fn any_of(alternatives: &[Finality]) -> Finality {
    Finality::Any(alternatives.to_vec())
}

fn faults(finality: &Finality, family: Family) -> Vec<(Option<usize>, FinalityError)> {
    let found = finality.faults(Some(family)).into_iter();
    found
        .map(|fault| (fault.alternative, fault.error))
        .collect()
}

#[test]
fn tags_commitments_and_mempools_belong_to_their_families() {
    let usd = unconfirmed("20.00", "USD");
    let (safe, rooted) = (
        Finality::Tag(Tag::Safe),
        Finality::Commitment(Commitment::Finalized),
    );
    for family in Family::ALL {
        assert_eq!(faults(&Finality::Depth(12), family), []);
        let (tag, commitment) = (Tag::Safe, Commitment::Finalized);
        let unknown = [
            (&safe, Family::Evm, FinalityError::Tag { tag, family }),
            (
                &rooted,
                Family::Solana,
                FinalityError::Commitment { commitment, family },
            ),
            (&usd, Family::Bitcoin, FinalityError::NoMempool(family)),
        ];
        for (finality, home, error) in unknown {
            let alone = faults(finality, family);
            let beside = faults(&any_of(&[Finality::Depth(1), finality.clone()]), family);
            if family == home {
                assert_eq!((alone, beside), (vec![], vec![]), "{finality:?}");
            } else {
                assert_eq!(alone, [(None, error.clone())]);
                assert_eq!(beside, [(Some(1), error)], "with its place");
            }
        }
    }
}

#[test]
fn what_no_chain_has_is_named() {
    let instant = Finality::Unconfirmed(Unconfirmed {
        max: price("20", "USD"),
        seen_s: 0,
    });
    let many = any_of(&vec![Finality::Depth(1); 9]);
    let cases = [
        (Finality::Depth(0), FinalityError::Depth),
        (Finality::Depth(1001), FinalityError::Depth),
        (any_of(&[]), FinalityError::Alternatives),
        (many, FinalityError::Alternatives),
        (unconfirmed("0", "USD"), FinalityError::Cap),
        (unconfirmed("-1", "USD"), FinalityError::Cap),
        (unconfirmed("20", ""), FinalityError::Cap),
        (instant, FinalityError::Seconds),
    ];
    for (finality, error) in cases {
        assert_eq!(
            faults(&finality, Family::Bitcoin),
            [(None, error)],
            "{finality:?}"
        );
    }
    let nested = any_of(&[Finality::Depth(0), any_of(&[Finality::Depth(1)])]);
    assert_eq!(
        faults(&nested, Family::Bitcoin),
        [
            (Some(0), FinalityError::Depth),
            (Some(1), FinalityError::Nested)
        ]
    );
}

#[test]
fn a_rule_is_resolved_once_for_its_option() {
    let due = Amount::from_atomic(76_924);
    let of_chain = Finality::Depth(2);
    let of_40 = price("40.00", "USD");
    // 20 of 40 dollars are half of what is due.
    let half = unconfirmed("0.00038462", "BTC");
    let cases = [
        (Finality::Depth(3), None, Ok(Finality::Depth(3))),
        (
            any_of(&[Finality::Depth(3)]),
            None,
            Ok(any_of(&[Finality::Depth(3)])),
        ),
        (
            unconfirmed("20", "USD"),
            Some(&of_40),
            Ok(any_of(&[half.clone(), of_chain.clone()])),
        ),
        (
            any_of(&[unconfirmed("20", "USD"), Finality::Depth(1)]),
            Some(&of_40),
            Ok(any_of(&[half, Finality::Depth(1)])),
        ),
        (
            unconfirmed("0.0005", "btc"),
            None,
            Ok(any_of(&[
                unconfirmed("0.00050000", "BTC"),
                of_chain.clone(),
            ])),
        ),
        (
            unconfirmed("20", "EUR"),
            Some(&of_40),
            Err(FinalityError::CapNotComparable("EUR".into())),
        ),
        (
            unconfirmed("20", "USD"),
            None,
            Err(FinalityError::CapNotComparable("USD".into())),
        ),
    ];
    for (asked, price, expected) in cases {
        let found = asked.resolve(&asset(), 8, due, price, &of_chain);
        assert_eq!(found, expected, "{asked:?}");
    }
}

const EXPIRES: i64 = 100_000;

fn terms(finality: Finality) -> Terms {
    let due = Amount::from_atomic(1000);
    let (minimum, maximum) = bounds(due, Tolerance::default()).unwrap();
    Terms {
        price: None,
        created_at: UnixMillis(0),
        expires_at: UnixMillis(EXPIRES),
        late_until: UnixMillis(EXPIRES),
        policy: Policy {
            name: None,
            tiers: Vec::new(),
        },
        success_url: None,
        cancel_url: None,
        options: vec![OptionTerms {
            id: OptionId::from_bits(1),
            asset: asset(),
            decimals: 8,
            rate: None,
            due,
            tolerance: Tolerance::default(),
            minimum,
            maximum,
            dust: Amount::from_atomic(5),
            finality,
            created_height: 100,
        }],
    }
}

fn transfer(number: u128, amount: u64, place: Option<Place>) -> Transfer {
    Transfer {
        id: TransferId::from_bits(number),
        option: OptionId::from_bits(1),
        role: Role::Payment,
        asset: asset(),
        amount: Amount::from_atomic(amount),
        tx_id: TxId::new(&format!("tx{number}")),
        origin: TxId::new(&format!("tx{number}")),
        left: None,
        final_at: None,
        position: Position::new("vout:0"),
        maturity: 0,
        sighted_at: UnixMillis(10_000),
        place,
        vetting: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a transfer holds")]
fn in_block(height: u64) -> Option<Place> {
    Some(Place::Block(BlockRef {
        height,
        hash: BlockHash::new(&format!("h{height}")),
    }))
}

fn folded(finality: &Finality, transfers: &[Transfer], view: ChainView) -> Folded {
    let views = BTreeMap::from([(asset().chain().clone(), view)]);
    fold(
        &terms(finality.clone()),
        transfers,
        &[],
        &views,
        UnixMillis(60_000),
    )
    .unwrap()
}

#[test]
fn marks_make_final_what_they_have_reached() {
    let view = |marks| ChainView {
        tip: Some(120),
        covered_until: None,
        gaps: Vec::new(),
        unseen: None,
        marks,
    };
    let (safe, finalized) = (Finality::Tag(Tag::Safe), Finality::Tag(Tag::Finalized));
    let confirmed = Finality::Commitment(Commitment::Confirmed);
    let rooted = Finality::Commitment(Commitment::Finalized);
    let (at_109, at_110) = (
        Marks::default().with(Mark::Safe, 109),
        Marks::default().with(Mark::Safe, 110),
    );
    let confirmed_110 = Marks::default().with(Mark::Confirmed, 110);
    let finalized_110 = Marks::default().with(Mark::Finalized, 110);
    let cases = [
        (
            &safe,
            Marks::default(),
            Certainty::Confirming,
            Some(Mark::Safe),
        ),
        (&safe, at_109, Certainty::Confirming, Some(Mark::Safe)),
        (&safe, at_110, Certainty::Final, None),
        (&safe, finalized_110, Certainty::Final, None),
        (
            &finalized,
            at_110,
            Certainty::Confirming,
            Some(Mark::Finalized),
        ),
        (&finalized, finalized_110, Certainty::Final, None),
        (
            &confirmed,
            at_110,
            Certainty::Confirming,
            Some(Mark::Confirmed),
        ),
        (&confirmed, confirmed_110, Certainty::Final, None),
        (
            &rooted,
            confirmed_110,
            Certainty::Confirming,
            Some(Mark::Finalized),
        ),
        (&rooted, finalized_110, Certainty::Final, None),
    ];
    for (finality, marks, certainty, awaited) in cases {
        let folded = folded(finality, &[transfer(1, 1000, in_block(110))], view(marks));
        assert_eq!(
            folded.transfers[0].certainty, certainty,
            "{finality:?} {marks:?}"
        );
        let marks = folded.awaits.iter().filter_map(|one| match one {
            Await::Mark { mark, height, .. } => Some((*mark, *height)),
            Await::Height { .. } | Await::Covered { .. } | Await::Looked { .. } => None,
        });
        let expected: Vec<_> = awaited.into_iter().map(|mark| (mark, 110)).collect();
        assert_eq!(marks.collect::<Vec<_>>(), expected, "{finality:?}");
    }
}

#[test]
fn one_alternative_is_enough_and_each_is_awaited() {
    let finality = any_of(&[Finality::Depth(12), Finality::Tag(Tag::Safe)]);
    let view = |tip, marks| ChainView {
        tip: Some(tip),
        covered_until: None,
        gaps: Vec::new(),
        unseen: None,
        marks,
    };
    let paid = [transfer(1, 1000, in_block(110))];
    let young = folded(&finality, &paid, view(111, Marks::default()));
    assert_eq!(young.status, Status::Confirming);
    let chain = asset().chain().clone();
    let by_depth = Await::Height {
        chain: chain.clone(),
        height: 121,
    };
    let by_mark = Await::Mark {
        chain,
        mark: Mark::Safe,
        height: 110,
    };
    assert!(young.awaits.contains(&by_depth) && young.awaits.contains(&by_mark));
    let safe = Marks::default().with(Mark::Safe, 110);
    assert_eq!(
        folded(&finality, &paid, view(111, safe)).status,
        Status::Paid
    );
    assert_eq!(
        folded(&finality, &paid, view(121, Marks::default())).status,
        Status::Paid
    );
}

/// Spends confirmed money and pays twice what the next block costs.
const GOOD: Vetting = Vetting {
    vetted_at: UnixMillis(11_000),
    has_parents: false,
    fee_rate: 2_000,
    fee_rate_next: Some(1_000),
    has_conflict: false,
    missing_since: None,
};

fn small() -> Finality {
    any_of(&[unconfirmed("0.00001500", "BTC"), Finality::Depth(2)])
}

fn looked_until(covered: i64) -> ChainView {
    ChainView {
        tip: Some(110),
        covered_until: Some(UnixMillis(covered)),
        gaps: Vec::new(),
        unseen: None,
        marks: Marks::default(),
    }
}

fn in_pool(number: u128, amount: u64, vetting: Vetting) -> Transfer {
    Transfer {
        vetting: Some(vetting),
        ..transfer(number, amount, Some(Place::Mempool))
    }
}

/// One case a line: amount | parents or conflict | pays, next block | missing since | covered until |
/// certainty and what it does not keep.
const VETTED: &str = "
1000 |          | 2000 1000 |       | 40000 | final
1000 |          | 1000 1000 |       | 40000 | final
1000 |          | 2000 1000 |       | 39999 | seen
1500 |          | 2000 1000 |       | 40000 | final
1501 |          | 2000 1000 |       | 40000 | seen above_cap
1000 | conflict | 2000 1000 |       | 40000 | seen conflict
1000 | parents  | 2000 1000 |       | 40000 | seen unconfirmed_parents
1000 |          |  999 1000 |       | 40000 | seen low_fee
1000 |          | 2000 -    |       | 40000 | seen fee_unknown
1000 |          | 2000 1000 | 39999 | 90000 | seen forgotten
1000 |          | 2000 1000 | 40000 | 90000 | final
1501 | parents  | 2000 1000 | 39999 | 90000 | seen above_cap unconfirmed_parents forgotten
";

#[test]
fn money_without_a_block_counts_only_when_it_keeps_every_rule() {
    for line in VETTED.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [amount, doubts, fees, missing, covered, expected] = cells[..] else {
            panic!("{line}");
        };
        let (fee_rate, next) = fees.split_once(' ').unwrap();
        let vetting = Vetting {
            has_parents: doubts == "parents",
            has_conflict: doubts == "conflict",
            fee_rate: fee_rate.parse().unwrap(),
            fee_rate_next: next.trim().parse().ok(),
            missing_since: missing.parse().ok().map(UnixMillis),
            ..GOOD
        };
        let one = in_pool(1, amount.parse().unwrap(), vetting);
        let seen = folded(&small(), &[one], looked_until(covered.parse().unwrap()));
        assert_eq!(shown(&seen), expected, "{line}");
    }
    let unvetted = transfer(1, 1000, Some(Place::Mempool));
    let seen = folded(&small(), &[unvetted], looked_until(40_000));
    assert_eq!(shown(&seen), "seen not_vetted");
}

/// The certainty of the one transfer, and the rules of being without a block that it does not keep.
fn shown(folded: &Folded) -> String {
    let seen = &folded.transfers[0];
    let Progress::Any(alternatives) = &seen.progress else {
        panic!("{:?}", seen.progress);
    };
    let Progress::Unconfirmed { refusals, .. } = &alternatives[0] else {
        panic!("{alternatives:?}");
    };
    let words = refusals.iter().map(|refusal| refusal.as_str());
    let words: Vec<&str> = std::iter::once(seen.certainty.as_str())
        .chain(words)
        .collect();
    words.join(" ")
}

#[test]
fn the_time_is_awaited_and_only_time_in_which_somebody_looked_passes() {
    let waits = folded(&small(), &[in_pool(1, 1000, GOOD)], looked_until(39_999));
    let awaited = Await::Covered {
        chain: asset().chain().clone(),
        until: UnixMillis(39_999),
    };
    assert!(waits.awaits.contains(&awaited), "{:?}", waits.awaits);
    assert_eq!(waits.status, Status::Detected);
    let blind = ChainView {
        covered_until: None,
        ..looked_until(0)
    };
    let unseen = folded(&small(), &[in_pool(1, 1000, GOOD)], blind);
    assert_eq!(unseen.status, Status::Detected, "whatever the clock says");
}

/// One case a line: gaps | covered until | the time | said to be final at | certainty. Seen at 10000, for
/// 30000.
const LOOKED: &str = "
                          | 40000 |  40000 |       | final
                          | 90000 |  39999 |       | seen
                          | 90000 |  39999 | 40000 | final
                          | 39999 |  90000 | 90000 | seen
                          | 100000 | 40000 |       | final
                          | 100001 | 40000 |       | seen
                          | 100001 | 39999 | 40000 | final
 5000-9000                | 40000 |  40000 |       | final
 5000-11000               | 40999 |  90000 |       | seen
 5000-11000               | 41000 |  90000 |       | final
11000-50000               | 79999 |  90000 |       | seen
11000-50000               | 80000 |  90000 |       | final
39999-60000               | 89999 |  90000 |       | seen
40000-60000               | 60000 |  90000 |       | final
11000-20000 49999-60000   | 89999 |  90000 |       | seen
11000-20000 50000-60000   | 60000 |  90000 |       | final
";

#[test]
fn only_time_in_which_somebody_looked_counts() {
    let time = |text: &str| UnixMillis(text.parse().unwrap());
    for line in LOOKED.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [gaps, covered, now, final_at, expected] = cells[..] else {
            panic!("{line}");
        };
        let gaps = gaps.split_whitespace().map(|gap| {
            let (began_at, ended_at) = gap.split_once('-').unwrap();
            Gap {
                began_at: time(began_at),
                ended_at: time(ended_at),
            }
        });
        let view = ChainView {
            gaps: gaps.collect(),
            ..looked_until(covered.parse().unwrap())
        };
        let one = Transfer {
            final_at: final_at.parse().ok().map(UnixMillis),
            ..in_pool(1, 1000, GOOD)
        };
        let views = BTreeMap::from([(asset().chain().clone(), view)]);
        let folded = fold(&terms(small()), &[one], &[], &views, time(now)).unwrap();
        assert_eq!(shown(&folded), expected, "{line}");
    }
}

#[test]
fn what_has_left_and_may_come_back_keeps_its_part_of_the_cap() {
    let later = Vetting {
        vetted_at: UnixMillis(50_000),
        ..GOOD
    };
    let cases = [
        (LeftReason::Evicted, Certainty::Seen),
        (LeftReason::Reorged, Certainty::Seen),
        (LeftReason::Replaced, Certainty::Final),
        (LeftReason::Conflicted, Certainty::Final),
    ];
    for (left, expected) in cases {
        let gone = Transfer {
            place: None,
            left: Some(left),
            ..in_pool(1, 1000, GOOD)
        };
        let both = [gone, in_pool(2, 800, later)];
        let seen = folded(&small(), &both, looked_until(60_000));
        assert_eq!(seen.transfers[1].certainty, expected, "{left:?}");
    }
}

#[test]
fn what_counted_without_a_block_stays_final_in_one_and_is_lost_with_its_place() {
    let mined = Transfer {
        place: in_block(110),
        ..in_pool(1, 1000, GOOD)
    };
    let seen = folded(&small(), std::slice::from_ref(&mined), looked_until(40_000));
    assert_eq!(seen.status, Status::Paid, "one block of two");
    let unvetted = Transfer {
        vetting: None,
        ..mined.clone()
    };
    let seen = folded(&small(), &[unvetted], looked_until(40_000));
    assert_eq!(
        seen.status,
        Status::Confirming,
        "nobody looked before the block"
    );
    let gone = Transfer {
        place: None,
        ..mined
    };
    assert_eq!(
        folded(&small(), &[gone], looked_until(40_000)).status,
        Status::Created
    );
}

#[test]
fn the_cap_holds_for_all_of_them_together_and_later_money_takes_nothing_away() {
    let later = Vetting {
        vetted_at: UnixMillis(50_000),
        ..GOOD
    };
    // The lower id comes later: the order is that in which they came to be acceptable.
    let both = [in_pool(2, 1000, GOOD), in_pool(1, 600, later)];
    let seen = folded(&small(), &both, looked_until(60_000));
    assert_eq!(
        [seen.transfers[0].certainty, seen.transfers[1].certainty],
        [Certainty::Final, Certainty::Seen]
    );
    assert_eq!(seen.status, Status::Paid);
    // What has its blocks does not need the cap any more.
    let mined = Transfer {
        place: in_block(109),
        ..in_pool(2, 1000, GOOD)
    };
    let seen = folded(
        &small(),
        &[mined, in_pool(1, 600, later)],
        looked_until(60_000),
    );
    assert_eq!(seen.transfers[1].certainty, Certainty::Final);
    assert_eq!(seen.status, Status::Overpaid);
}

proptest! {
    #[test]
    fn what_counts_without_a_block_never_exceeds_the_cap_in_any_order(
        facts in proptest::collection::vec((1_u64..900, 0_i64..80_000, any::<[bool; 4]>()), 0..12),
        covered in 0_i64..90_000,
        turn in 0_usize..12,
    ) {
        let build = |(number, (amount, vetted_at, flags)): (usize, &(u64, i64, [bool; 4]))| {
            let vetting = Vetting {
                vetted_at: UnixMillis(*vetted_at),
                has_parents: flags[0],
                has_conflict: flags[1],
                ..GOOD
            };
            let place = if flags[2] { in_block(110) } else { Some(Place::Mempool) };
            let number = u128::try_from(number).unwrap();
            Transfer { place, ..in_pool(number, *amount, vetting) }
        };
        let transfers: Vec<Transfer> = facts.iter().enumerate().map(build).collect();
        let mut turned = transfers.clone();
        turned.rotate_left(turn % transfers.len().max(1));
        let (seen, again) = (
            folded(&small(), &transfers, looked_until(covered)),
            folded(&small(), &turned, looked_until(covered)),
        );
        prop_assert_eq!(&seen.options, &again.options);
        let accepted = transfers.iter().zip(&seen.transfers);
        let accepted = accepted.filter(|(_, view)| view.certainty == Certainty::Final);
        let sum = accepted.fold(Amount::default(), |sum, (one, _)| sum.checked_add(one.amount).unwrap());
        prop_assert!(sum <= Amount::from_atomic(1500), "{sum}");
        // What comes back takes nothing away, and all of it together is not above the cap.
        let away: Vec<Transfer> = transfers.iter().zip(&facts).map(|(one, (.., flags))| {
            let left = if flags[2] { LeftReason::Reorged } else { LeftReason::Evicted };
            let gone = Transfer { place: None, left: Some(left), ..one.clone() };
            if flags[3] { gone } else { one.clone() }
        }).collect();
        let without = folded(&small(), &away, looked_until(covered));
        for (before, after) in without.transfers.iter().zip(&seen.transfers) {
            prop_assert!(before.certainty != Certainty::Final || after.certainty == Certainty::Final);
        }
        // Time takes nothing away.
        let later = folded(&small(), &transfers, looked_until(covered + 30_000));
        for (before, after) in seen.transfers.iter().zip(&later.transfers) {
            prop_assert!(before.certainty <= after.certainty);
        }
    }
}
