//! Goal: money that is not what an option asks for never counts, and a person is told of it for as long as
//! it is there. Method: one case a line, each beside a payment and alone.

use paywatch_domain::{
    Amount, AssetName, Certainty, ExceptionKind, Finality, Finding, Folded, OptionId, Place, Price,
    Role, Status, Subject, Terms, Transfer, Unconfirmed, UnixMillis, Vetting, Violation, fold,
};

use crate::fold::{in_block, stray_asset, terms, transfer, views};

const TIP: u64 = 120;

fn stray(number: u128, asset: AssetName, place: Option<Place>) -> Transfer {
    Transfer {
        role: Role::Stray { decimals: 6 },
        asset,
        ..transfer(number, 1_000, 500, place)
    }
}

fn folded(terms: &Terms, facts: &[Transfer]) -> Result<Folded, Violation> {
    fold(terms, facts, &[], &views(TIP, 0), UnixMillis(500))
}

fn finding(kind: ExceptionKind, asset: AssetName, amount: u64) -> Finding {
    let option = OptionId::from_bits(1);
    Finding {
        kind,
        subject: Subject::Stray { option, asset },
        amount: Amount::from_atomic(amount),
    }
}

/// One case a line: what was paid | where it stands | how certain it is | what is told. Final at height 118
/// and below; the invoice counts from 100 on its own chain.
const CASES: &str = "
usdt@bitcoin            | pool | seen       | wrong_asset
usdt@bitcoin            | 119  | confirming | wrong_asset
usdt@bitcoin            | 118  | final      | wrong_asset
usdt@bitcoin            | 99   | final      | unattributed
usdt@bitcoin            | gone | gone       |
unlisted:mint1@bitcoin  | 118  | final      | wrong_asset
btc@signet              | pool | seen       | wrong_chain
btc@signet              | 119  | confirming | wrong_chain
btc@signet              | 3    | final      | wrong_chain
btc@signet              | gone | gone       |
";

#[test]
fn another_asset_or_chain_is_told_and_never_credited() {
    for line in CASES.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let asset: AssetName = cells[0].parse().unwrap();
        let place = match cells[1] {
            "pool" => Some(Place::Mempool),
            "gone" => None,
            height => in_block(height.parse().unwrap()),
        };
        let told = |amount| -> Vec<Finding> {
            let kind = ExceptionKind::parse(cells[3]);
            let finding = kind.map(|kind| finding(kind, asset.clone(), amount));
            finding.into_iter().collect()
        };
        let one = stray(1, asset.clone(), place.clone());
        let alone = folded(&terms(), std::slice::from_ref(&one)).unwrap();
        let view = &alone.transfers[0];
        let shown = (view.certainty.as_str(), view.counted, view.final_at);
        assert_eq!(shown, (cells[2], false, None), "{line}");
        assert_eq!(alone.exceptions, told(1_000), "{line}");
        let nothing = folded(&terms(), &[]).unwrap();
        let said = |folded: &Folded| (folded.status, folded.options.clone(), folded.awaits.clone());
        assert_eq!(said(&alone), said(&nothing), "{line}");

        let more = Transfer {
            amount: Amount::from_atomic(3),
            ..stray(2, asset.clone(), place)
        };
        let facts = [one, transfer(3, 1_000, 500, in_block(110)), more];
        let beside = folded(&terms(), &facts).unwrap();
        assert_eq!(beside.status, Status::Paid, "{line}");
        assert_eq!(
            beside.exceptions,
            told(1_003),
            "one for each asset at an address: {line}"
        );
    }
}

#[test]
fn a_stray_is_in_another_asset_and_a_payment_in_the_options_own() {
    let foreign = |one: Transfer| {
        let transfer = one.id;
        assert_eq!(
            folded(&terms(), &[one]).unwrap_err(),
            Violation::Foreign { transfer }
        );
    };
    foreign(stray(1, transfer(1, 1, 1, None).asset, in_block(110)));
    foreign(Transfer {
        role: Role::Payment,
        ..stray(1, stray_asset(false), in_block(110))
    });
    let above = folded(&terms(), &[stray(1, stray_asset(true), in_block(TIP + 1))]);
    assert!(
        matches!(above, Err(Violation::AboveTip { .. })),
        "{above:?}"
    );
}

#[test]
fn no_stray_is_accepted_without_a_block() {
    let mut terms = terms();
    terms.options[0].finality = Finality::Unconfirmed(Unconfirmed {
        max: Price {
            amount: "1".into(),
            currency: "BTC".into(),
        },
        seen_s: 1,
    });
    let vetting = Vetting {
        vetted_at: UnixMillis(0),
        has_parents: false,
        fee_rate: 9,
        fee_rate_next: Some(9),
        has_conflict: false,
        missing_since: None,
    };
    let vetted = |one: Transfer| Transfer {
        vetting: Some(vetting),
        ..one
    };
    let now = UnixMillis(9_000);
    let views = views(TIP, now.0);
    let certainty = |one: Transfer| {
        let folded = fold(&terms, &[vetted(one)], &[], &views, now).unwrap();
        folded.transfers[0].certainty
    };
    assert_eq!(
        certainty(transfer(1, 1_000, 500, Some(Place::Mempool))),
        Certainty::Final
    );
    for is_elsewhere in [false, true] {
        let one = stray(1, stray_asset(is_elsewhere), Some(Place::Mempool));
        assert_eq!(certainty(one), Certainty::Seen);
    }
}

#[test]
fn money_from_before_the_invoice_belongs_to_nobody() {
    let older = |amount| transfer(1, amount, 500, in_block(99));
    let alone = folded(&terms(), &[older(1_000)]).unwrap();
    let expected = Finding {
        kind: ExceptionKind::Unattributed,
        subject: Subject::Option(OptionId::from_bits(1)),
        amount: Amount::from_atomic(1_000),
    };
    assert_eq!(
        (alone.status, alone.exceptions),
        (Status::Created, vec![expected])
    );
    assert_eq!(
        folded(&terms(), &[older(4)]).unwrap().exceptions,
        [],
        "dust"
    );
    let gone = Transfer {
        place: None,
        ..older(1_000)
    };
    assert_eq!(folded(&terms(), &[gone]).unwrap().exceptions, []);
}

#[test]
fn a_token_that_is_not_configured_has_a_name_that_no_configuration_has() {
    let chain = stray_asset(false).chain().clone();
    let token = AssetName::unlisted(
        "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
        chain.clone(),
    )
    .unwrap();
    assert_eq!(
        token.to_string(),
        "unlisted:EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v@bitcoin"
    );
    assert_eq!(token.to_string().parse(), Ok(token.clone()));
    assert!(token.is_unlisted() && !stray_asset(false).is_unlisted());
    assert!(AssetName::new(token.symbol(), chain.clone()).is_err());
    for contract in ["", "a b", "a@b", "\u{e9}", &"a".repeat(129)] {
        assert!(
            AssetName::unlisted(contract, chain.clone()).is_err(),
            "{contract}"
        );
    }
}
