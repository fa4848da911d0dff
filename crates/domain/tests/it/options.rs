//! Goal: several options of one invoice are told apart, and the best one speaks for it. Method: a table of
//! two options on two chains, and properties over random facts.

use std::collections::BTreeMap;

use paywatch_domain::{
    Amount, AssetName, Await, BlockHash, BlockRef, ChainName, ChainView, ExceptionKind, Finality,
    Finding, Folded, Margin, OperatorFact, OptionId, OptionTerms, Place, Policy, Position, Role,
    Terms, TermsError, Tolerance, Transfer, TransferId, TxId, UnixMillis, Views, fold, limits,
};
use proptest::prelude::*;

const EXPIRES: i64 = 1_000;
const LATE_UNTIL: i64 = 5_000;
const DEPTH: u32 = 3;
const TIP: u64 = 110;
const ASSETS: [&str; 2] = ["btc@bitcoin", "btc@liquid"];

fn option(place: usize) -> OptionTerms {
    let due = Amount::from_atomic(1000);
    OptionTerms {
        id: OptionId::from_bits(u128::try_from(place).unwrap()),
        asset: ASSETS[place].parse().unwrap(),
        decimals: 8,
        rate: None,
        due,
        minimum: due,
        maximum: due,
        tolerance: Tolerance::default(),
        dust: Amount::from_atomic(5),
        finality: Finality::Depth(DEPTH),
        created_height: 100,
    }
}

fn terms() -> Terms {
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
        options: vec![option(0), option(1)],
    }
}

fn chain(place: usize) -> ChainName {
    let asset: AssetName = ASSETS[place].parse().unwrap();
    asset.chain().clone()
}

/// Both chains at the same tip, each covered up to a time of its own.
fn views(covered: [i64; 2]) -> Views {
    let view = |until| ChainView {
        tip: Some(TIP),
        covered_until: Some(UnixMillis(until)),
        ..ChainView::default()
    };
    let views = covered.into_iter().enumerate();
    views
        .map(|(place, until)| (chain(place), view(until)))
        .collect()
}

fn transfer(number: usize, place: usize, amount: u64, at: i64, stands: Option<Place>) -> Transfer {
    Transfer {
        role: Role::Payment,
        maturity: 0,
        id: TransferId::from_bits(u128::try_from(number).unwrap()),
        option: OptionId::from_bits(u128::try_from(place).unwrap()),
        asset: ASSETS[place].parse().unwrap(),
        amount: Amount::from_atomic(amount),
        tx_id: TxId::new(&format!("tx{number}")),
        origin: TxId::new(&format!("tx{number}")),
        left: None,
        final_at: None,
        position: Position::new("vout:0"),
        sighted_at: UnixMillis(at),
        place: stands,
        vetting: None,
    }
}

fn in_block(height: u64) -> Place {
    Place::Block(BlockRef {
        height,
        hash: BlockHash::new(&format!("h{height}")),
    })
}

/// Reads `a:AMOUNT@TIME:PLACE`, `a` or `b` being the option and PLACE `pool` or a height.
fn transfers(text: &str) -> Vec<Transfer> {
    let read = |(number, word): (usize, &str)| {
        let parts: Vec<&str> = word.split([':', '@']).collect();
        let stands = match parts[3] {
            "pool" => Place::Mempool,
            height => in_block(height.parse().unwrap()),
        };
        let place = usize::from(parts[0] == "b");
        let (amount, at) = (parts[1].parse().unwrap(), parts[2].parse().unwrap());
        transfer(number, place, amount, at, Some(stands))
    };
    text.split_whitespace().enumerate().map(read).collect()
}

fn at(folded: &Folded, place: usize) -> &'static str {
    folded.options[place].status.as_str()
}

/// One case a line: transfers | now | status of a, of b, of the invoice | paid by | payable options.
const CASES: &str = "
                                     |  500 | created    created    created    | - | ab
    a:600@10:pool                    |  500 | detected   created    detected   | - | ab
    a:1000@10:pool                   |  500 | detected   created    detected   | - | a
    b:1000@10:109                    |  500 | created    confirming confirming | - | b
    a:600@10:100                     |  500 | underpaid  created    underpaid  | - | ab
    a:600@10:100  b:400@20:100       |  500 | underpaid  underpaid  underpaid  | - | ab
    a:600@10:100  b:400@20:100       | 1001 | underpaid  underpaid  underpaid  | - | -
    a:600@10:100  b:1000@20:pool     |  500 | underpaid  detected   detected   | - | b
    a:600@10:100  b:1000@20:109      |  500 | underpaid  confirming confirming | - | b
    a:600@10:100  b:1000@20:100      |  500 | underpaid  paid       paid       | b | -
    a:1000@10:pool b:1000@20:pool    |  500 | detected   detected   detected   | - | -
    a:1000@10:109 b:1000@20:100      |  500 | confirming paid       paid       | b | -
    a:1000@10:100 b:1000@20:100      |  500 | paid       paid       paid       | a | -
    a:1000@20:100 b:1000@10:100      |  500 | paid       paid       paid       | b | -
    a:1000@20:100 b:1000@20:100      |  500 | paid       paid       paid       | a | -
    a:600@10:100 b:1000@20:100 a:400@30:100 | 500 | paid paid     paid       | b | -
    a:1000@10:100 b:2000@20:100      |  500 | paid       overpaid   overpaid   | b | -
    a:1000@2000:100 b:1000@20:109    | 3000 | late_paid  confirming late_paid  | a | -
    a:1000@2000:100 b:1000@20:100    | 3000 | late_paid  paid       paid       | b | -
    a:3@10:100                       |  500 | created    created    created    | - | ab
    a:3@10:100                       | 1001 | expired    expired    expired    | - | -
";

#[test]
fn the_best_option_speaks_for_the_invoice() {
    for case in CASES.lines().filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = case.split('|').map(str::trim).collect();
        let now = UnixMillis(cells[1].parse().unwrap());
        let mut facts = transfers(cells[0]);
        for _ in 0..2 {
            let folded = fold(&terms(), &facts, &[], &views([now.0 + 1; 2]), now).unwrap();
            let statuses = [at(&folded, 0), at(&folded, 1), folded.status.as_str()];
            assert_eq!(
                statuses.to_vec(),
                cells[2].split_whitespace().collect::<Vec<_>>(),
                "{case}"
            );
            let letter = |id: OptionId| {
                if id == OptionId::from_bits(0) {
                    "a"
                } else {
                    "b"
                }
            };
            assert_eq!(folded.paid_option.map_or("-", letter), cells[3], "{case}");
            let payable = folded.options.iter().filter(|option| option.payable);
            let payable: String = payable.map(|option| letter(option.id)).collect();
            assert_eq!(payable, cells[4].replace('-', ""), "{case}");
            facts.reverse();
        }
    }
}

/// One case a line: transfers | now | `other_option` and `underpaid` or `overpaid` beside it.
const BESIDE: &str = "
    a:600@10:100                                  |  500 |
    a:600@10:100 b:300@20:100                     |  500 | b other_option 300
    a:600@20:100 b:300@10:100                     |  500 | a other_option 600
    a:600@10:100 b:300@20:109                     |  500 |
    a:600@10:100 b:1000@20:pool                   |  500 |
    a:600@10:100 b:1000@20:109                    |  500 | a other_option 600
    a:600@10:100 b:1000@20:100                    |  500 | a other_option 600
    a:600@10:100 b:1000@20:100 a:400@30:pool      |  500 | a other_option 600
    a:600@10:100 b:1000@20:100 a:400@30:100       |  500 | a other_option 1000
    a:1000@10:100 b:1000@20:pool                  |  500 |
    a:1000@10:100 b:1000@20:109                   |  500 |
    a:1000@10:100 b:1000@20:100                   |  500 | b other_option 1000
    a:1000@10:100 b:2500@20:100                   |  500 | a other_option 1000, b overpaid 1500
    a:1500@10:100 b:2500@20:100                   |  500 | a overpaid 500, b other_option 2500
    a:1000@10:100 b:4@20:100                      |  500 |
    a:1000@10:109 b:4@20:100 b:300@30:100         |  500 | b other_option 300
    a:600@10:100 b:300@20:100                     | 1001 | a underpaid 600, b other_option 300
    a:1000@10:100 b:700@2000:100                  | 3000 | b late 700
    a:600@10:100 b:1000@2000:100                  | 3000 | a other_option 600, b late 1000
";

/// Goal: money beside the option that leads is told once, with its value, and nothing wanders while
/// confirmations come or mempool money is replaced.
#[test]
fn money_beside_the_leading_option_is_an_exception() {
    for case in BESIDE.lines().filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = case.split('|').map(str::trim).collect();
        let now = UnixMillis(cells[1].parse().unwrap());
        let mut facts = transfers(cells[0]);
        for _ in 0..2 {
            let folded = fold(&terms(), &facts, &[], &views([now.0 + 1; 2]), now).unwrap();
            let one = |finding: &Finding| {
                let is_first = finding.subject.option() == OptionId::from_bits(0);
                let letter = if is_first { "a" } else { "b" };
                format!("{letter} {} {}", finding.kind.as_str(), finding.amount)
            };
            let found: Vec<String> = folded.exceptions.iter().map(one).collect();
            assert_eq!(found.join(", "), cells[2], "{case}");
            facts.reverse();
        }
    }
    let canceled = [OperatorFact::Canceled { at: UnixMillis(1) }];
    let facts = transfers("a:1000@10:100 b:1000@20:100");
    let folded = fold(
        &terms(),
        &facts,
        &canceled,
        &views([501; 2]),
        UnixMillis(500),
    )
    .unwrap();
    let kinds = folded.exceptions.iter().map(|finding| finding.kind);
    let expected = [ExceptionKind::PaidAfterCancel; 2];
    assert_eq!(kinds.collect::<Vec<_>>(), expected, "nothing leads");
}

/// Goal: as blocks come, the exception opens once and stays. Method: every height of the tip from the
/// first block with money to the last that matters, for payments in any two blocks.
#[test]
fn the_exception_opens_once_as_blocks_come() {
    for (first, second) in [(101, 105), (105, 101), (103, 103)] {
        let facts = transfers(&format!("a:1000@10:{first} b:1000@20:{second}"));
        let mut told: Vec<Option<OptionId>> = Vec::new();
        for tip in 105..=110 {
            let mut views = views([501; 2]);
            for view in views.values_mut() {
                view.tip = Some(tip);
            }
            let folded = fold(&terms(), &facts, &[], &views, UnixMillis(500)).unwrap();
            let found = folded.exceptions.first();
            told.push(found.map(|finding| finding.subject.option()));
        }
        told.dedup();
        let opened = told.iter().flatten().count();
        assert_eq!(opened, 1, "{first} {second} {told:?}");
        assert_eq!(told.last(), Some(&Some(OptionId::from_bits(1))), "{told:?}");
    }
}

#[test]
fn a_window_closes_when_every_chain_was_read_past_it() {
    let until = |place| Await::Covered {
        chain: chain(place),
        until: UnixMillis(EXPIRES),
    };
    let hour = limits::WAITING_FOR_AFTER_MS;
    let paid = "b:1000@20:100";
    for (facts, covered, now, status, waiting, awaited) in [
        ("", [500, 500], 600, "created", &[][..], &[0, 1][..]),
        ("", [1001, 500], 1_100, "created", &[], &[1]),
        ("", [500, 1001], EXPIRES + hour, "created", &[], &[0]),
        ("", [500, 1001], EXPIRES + hour + 1, "created", &[0], &[0]),
        (
            "",
            [500, 500],
            EXPIRES + hour + 1,
            "created",
            &[0, 1],
            &[0, 1],
        ),
        ("", [1001, 1001], EXPIRES + hour + 1, "expired", &[], &[]),
        // Our clock is behind the one that read past expiry: whichever polls next closes the window.
        ("", [1001, 1001], 900, "created", &[], &[0, 1]),
        (paid, [500, 1001], EXPIRES + hour + 1, "paid", &[0], &[0]),
    ] {
        let facts = transfers(facts);
        let folded = fold(&terms(), &facts, &[], &views(covered), UnixMillis(now)).unwrap();
        assert_eq!(folded.status.as_str(), status, "{covered:?} {now}");
        let waiting: Vec<ChainName> = waiting.iter().copied().map(chain).collect();
        assert_eq!(folded.waiting_for, waiting, "{covered:?} {now}");
        let awaited: Vec<Await> = awaited.iter().copied().map(until).collect();
        assert_eq!(folded.awaits, awaited, "{covered:?} {now}");
        let payable = folded.options.iter().any(|option| option.payable);
        assert_eq!((folded.payable, payable), (now <= EXPIRES, now <= EXPIRES));
    }
}

#[test]
fn terms_name_the_option_that_cannot_stand() {
    let twice = || TermsError::OptionTwice {
        asset: ASSETS[0].parse().unwrap(),
    };
    let cases: [(fn(&mut Terms), _); 5] = [
        (|terms| terms.options.clear(), (None, TermsError::NoOption)),
        (
            |terms| terms.options = vec![option(0); limits::OPTIONS_MAX + 1],
            (None, TermsError::TooManyOptions),
        ),
        (
            |terms| terms.options[1].asset = terms.options[0].asset.clone(),
            (Some(1), twice()),
        ),
        (
            |terms| terms.options[1].due = Amount::ZERO,
            (Some(1), TermsError::NothingDue),
        ),
        (
            |terms| terms.options[0].minimum = Amount::from_atomic(4),
            (
                Some(0),
                TermsError::BelowDust {
                    limit: Amount::from_atomic(5),
                },
            ),
        ),
    ];
    assert_eq!(terms().check(), Ok(()));
    for (spoil, expected) in cases {
        let mut terms = terms();
        spoil(&mut terms);
        assert_eq!(terms.check(), Err(expected));
    }
    let all = Tolerance {
        under: Margin::Millionths(1_000_000),
        over: Margin::NONE,
    };
    let bounds = paywatch_domain::terms::bounds(Amount::from_atomic(1000), all);
    assert_eq!(bounds, Err(TermsError::ToleranceTooWide));
}

prop_compose! {
    fn fact()(
        place in 0..2_usize, amount in 1..2_000_u64, at in 0..6_000_i64,
        height in prop_oneof![Just(None), (100..=TIP).prop_map(Some)],
    ) -> (usize, u64, i64, Option<u64>) {
        (place, amount, at, height)
    }
}

proptest! {
    /// Each option alone has the sums and the status that it has beside the other one, whatever the order
    /// of the facts, and the invoice has the better status.
    #[test]
    fn sums_never_cross_options(facts in prop::collection::vec(fact(), 0..12), seed in any::<u64>()) {
        let facts: Vec<Transfer> = facts
            .into_iter()
            .enumerate()
            .map(|(number, (place, amount, at, height))| {
                let stands = height.map_or(Place::Mempool, in_block);
                transfer(number, place, amount, at, Some(stands))
            })
            .collect();
        let (now, views) = (UnixMillis(6_001), views([6_002; 2]));
        let both = fold(&terms(), &facts, &[], &views, now).unwrap();
        let mut shuffled = facts.clone();
        let length = shuffled.len().max(1);
        shuffled.rotate_left(usize::try_from(seed % 12).unwrap() % length);
        let again = fold(&terms(), &shuffled, &[], &views, now).unwrap();
        prop_assert_eq!(&again.options, &both.options);
        prop_assert_eq!(again.paid_option, both.paid_option);
        let mut alone = BTreeMap::new();
        for place in 0..2 {
            let mut terms = terms();
            terms.options = vec![option(place)];
            let id = option(place).id;
            let own: Vec<Transfer> = facts.iter().filter(|fact| fact.option == id).cloned().collect();
            let folded = fold(&terms, &own, &[], &views, now).unwrap();
            prop_assert_eq!(folded.options[0].sums, both.options[place].sums);
            prop_assert_eq!(folded.options[0].status, both.options[place].status);
            alone.insert(folded.status, place);
        }
        prop_assert_eq!(alone.keys().next().copied(), Some(both.status));
        prop_assert_eq!(both.paid_option.is_some(), both.status.is_paid());
    }
}
