//! Stored forms: whatever is written reads back the same, and damage is named.

use std::collections::BTreeMap;

use paywatch_domain::{
    Action, Amount, AssetName, ChainName, Commitment, ExceptionId, ExceptionKind, Finality, Margin,
    OperatorFact, OptionId, OptionTerms, Policy, PoolNews, Price, Quote, Rate, RateValue, Record,
    RecordKind, Refund, Release, Said, Settlement, Status, Subject, Sums, Tag, Terms, Tier,
    Tolerance, TxId, Unconfirmed, UnixMillis,
};
use paywatch_wire::stored::{
    StoredError, finality_from_json, finality_to_json, operator_fact_from_json,
    operator_fact_to_json, said_from_json, said_to_json, terms_from_json, terms_to_json,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn amount() -> impl Strategy<Value = Amount> {
    let text = prop_oneof![
        Just(Amount::MAX.to_string()),
        any::<u128>().prop_map(|n| n.to_string())
    ];
    text.prop_map(|text| Amount::parse_atomic(&text).expect("an amount"))
}

fn chain() -> impl Strategy<Value = ChainName> {
    "[a-z0-9-]{1,32}".prop_map(|text| text.parse().expect("a name"))
}

fn asset() -> impl Strategy<Value = AssetName> {
    ("[a-z0-9-]{1,32}", chain())
        .prop_map(|(symbol, chain)| AssetName::new(&symbol, chain).expect("a name"))
}

fn finality() -> impl Strategy<Value = Finality> {
    let one = || {
        prop_oneof![
            any::<u32>().prop_map(Finality::Depth),
            prop_oneof![Just(Tag::Safe), Just(Tag::Finalized)].prop_map(Finality::Tag),
            prop_oneof![Just(Commitment::Confirmed), Just(Commitment::Finalized)]
                .prop_map(Finality::Commitment),
            (price(), any::<u32>())
                .prop_map(|(max, seen_s)| Finality::Unconfirmed(Unconfirmed { max, seen_s })),
        ]
    };
    prop_oneof![one(), vec(one(), 0..4).prop_map(Finality::Any)]
}

fn margin() -> impl Strategy<Value = Margin> {
    prop_oneof![
        any::<u32>().prop_map(Margin::Millionths),
        amount().prop_map(Margin::Amount)
    ]
}

fn price() -> impl Strategy<Value = Price> {
    (any::<String>(), any::<String>()).prop_map(|(amount, currency)| Price {
        amount: amount.into(),
        currency: currency.into(),
    })
}

fn tier() -> impl Strategy<Value = Tier> {
    let up_to = proptest::option::of(price());
    let assets = btree_map(asset(), finality(), 0..3);
    let chains = btree_map(chain(), finality(), 0..3);
    (up_to, assets, chains).prop_map(|(up_to, assets, chains)| Tier {
        up_to,
        assets,
        chains,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    (any::<Option<String>>(), vec(tier(), 0..3)).prop_map(|(name, tiers)| Policy {
        name: name.map(Into::into),
        tiers,
    })
}

fn rate_value() -> impl Strategy<Value = RateValue> {
    (1_u64..u64::MAX, 0_i32..30).prop_filter_map("a rate is not too large", |(digits, places)| {
        RateValue::parse(&format!("{digits}e-{places}")).ok()
    })
}

prop_compose! {
    fn rate()(
        value in rate_value(), at in any::<i64>(),
        quotes in vec((any::<String>(), rate_value(), any::<i64>()), 0..3),
    ) -> Rate {
        let quotes = quotes.into_iter().map(|(source, value, at)| Quote {
            source: source.into(),
            value,
            at: UnixMillis(at),
        });
        Rate { value, at: UnixMillis(at), quotes: quotes.collect() }
    }
}

prop_compose! {
    fn option()(
        id in any::<u128>(), asset in asset(), decimals in any::<u8>(),
        (due, minimum, maximum, dust) in (amount(), amount(), amount(), amount()),
        under in margin(), over in margin(),
        rate in proptest::option::of(rate()),
        finality in finality(), created_height in any::<u64>(),
    ) -> OptionTerms {
        let id = OptionId::from_bits(id);
        let tolerance = Tolerance { under, over };
        OptionTerms { id, asset, decimals, due, rate, minimum, maximum, tolerance, dust, finality, created_height }
    }
}

prop_compose! {
    fn terms()(
        price in any::<Option<(String, String)>>(), times in any::<(i64, i64, i64)>(),
        policy in policy(),
        urls in any::<(Option<String>, Option<String>)>(), options in vec(option(), 0..3),
    ) -> Terms {
        Terms {
            price: price.map(|(amount, currency)| Price {
                amount: amount.into(),
                currency: currency.into(),
            }),
            created_at: UnixMillis(times.0),
            expires_at: UnixMillis(times.1),
            late_until: UnixMillis(times.2),
            policy,
            success_url: urls.0.map(Into::into),
            cancel_url: urls.1.map(Into::into),
            options,
        }
    }
}

prop_compose! {
    fn sums()(
        seen in amount(), confirming in amount(), finalized in amount(),
        late_pending in amount(), late_finalized in amount(),
    ) -> Sums {
        Sums { seen, confirming, finalized, late_pending, late_finalized }
    }
}

prop_compose! {
    fn said()(
        status in proptest::sample::select(Status::ALL.to_vec()), closed in any::<bool>(),
        waiting_for in vec(chain(), 0..3),
        options in vec((any::<u128>().prop_map(OptionId::from_bits), sums()), 0..3),
        pool in proptest::option::of((any::<i64>().prop_map(UnixMillis), any::<u32>())),
    ) -> Said {
        let pool = pool.map(|(since, count)| PoolNews { since, count });
        Said { status, closed, waiting_for, options, pool }
    }
}

fn text() -> impl Strategy<Value = Box<str>> {
    any::<String>().prop_map(Into::into)
}

fn subject() -> impl Strategy<Value = Subject> {
    let option = || any::<u128>().prop_map(OptionId::from_bits);
    let address = (option(), text(), text());
    prop_oneof![
        option().prop_map(Subject::Option),
        address.prop_map(|(option, form, address)| Subject::Address {
            option,
            form,
            address
        }),
        (option(), chain(), any::<bool>()).prop_map(|(option, chain, is_unlisted)| {
            let asset = if is_unlisted {
                AssetName::unlisted("EPjFWdd5", chain)
            } else {
                AssetName::new("usdt", chain)
            };
            let asset = asset.expect("a name");
            Subject::Stray { option, asset }
        }),
    ]
}

prop_compose! {
    /// One decision of each kind.
    fn decisions()(
        at in any::<i64>().prop_map(UnixMillis), option in any::<u128>().prop_map(OptionId::from_bits),
        exception in any::<u128>().prop_map(ExceptionId::from_bits), amount in amount(),
        kind in proptest::sample::select(ExceptionKind::ALL.to_vec()), subject in subject(),
        action in proptest::sample::select(Action::ALL.to_vec()),
        (actor, note, reason, owner) in (text(), text(), text(), text()),
        tx_id in proptest::option::of("[0-9a-f]{1,64}"), is_everything in any::<bool>(),
    ) -> [OperatorFact; 8] {
        let tx_id = tx_id.map(|id| TxId::new(&id));
        [
            OperatorFact::Canceled { at },
            OperatorFact::Accepted { at, option, floor: amount },
            OperatorFact::Refunded(Refund {
                at,
                actor: actor.clone(),
                option,
                amount,
                tx_id: tx_id.clone(),
                note: note.clone(),
                is_everything,
            }),
            OperatorFact::Settled(Settlement {
                at,
                actor: actor.clone(),
                exception,
                kind,
                subject,
                amount,
                action,
                reason: reason.clone(),
                note: note.clone(),
                tx_id,
            }),
            OperatorFact::Assigned { at, exception, owner },
            OperatorFact::Released(Release { at, actor, exception, reason, note }),
            OperatorFact::Recorded(Record { at, actor: "key_1".into(), kind: RecordKind::Note, text: "a note".into(), reference: None }),
            OperatorFact::Recorded(Record { at, actor: "key_1".into(), kind: RecordKind::Fulfilment, text: "a parcel".into(), reference: Some("1Z".into()) }),
        ]
    }
}

proptest! {
    #[test]
    fn terms_read_back(terms in terms()) {
        prop_assert_eq!(terms_from_json(&terms_to_json(&terms)), Ok(terms));
    }

    #[test]
    fn what_was_said_reads_back(said in said()) {
        prop_assert_eq!(said_from_json(&said_to_json(&said)), Ok(said));
    }

    #[test]
    fn every_decision_reads_back(facts in decisions()) {
        for fact in facts {
            prop_assert_eq!(operator_fact_from_json(&operator_fact_to_json(&fact)), Ok(fact));
        }
    }

    #[test]
    fn finality_reads_back(finality in finality()) {
        prop_assert_eq!(finality_from_json(&finality_to_json(&finality)), Ok(finality));
    }

    #[test]
    fn cut_text_is_an_error(terms in terms(), cut in any::<proptest::sample::Index>()) {
        let text = terms_to_json(&terms);
        let end = (0..=cut.index(text.len())).rev().find(|end| text.is_char_boundary(*end));
        prop_assert!(terms_from_json(&text[..end.unwrap_or(0)]).is_err());
    }
}

fn one_option() -> Terms {
    Terms {
        price: None,
        created_at: UnixMillis(1),
        expires_at: UnixMillis(2),
        late_until: UnixMillis(3),
        policy: Policy {
            name: Some("default".into()),
            tiers: vec![Tier {
                up_to: None,
                assets: BTreeMap::new(),
                chains: BTreeMap::from([("bitcoin".parse().expect("a name"), Finality::Depth(2))]),
            }],
        },
        success_url: Some("https://shop.example/ok".into()),
        cancel_url: None,
        options: vec![OptionTerms {
            id: OptionId::from_bits(7),
            asset: "btc@bitcoin".parse().expect("a name"),
            decimals: 8,
            rate: None,
            due: Amount::from_atomic(1000),
            minimum: Amount::from_atomic(1000),
            maximum: Amount::from_atomic(1000),
            tolerance: Tolerance::default(),
            dust: Amount::from_atomic(546),
            finality: Finality::Depth(2),
            created_height: 812,
        }],
    }
}

/// What is in databases already must stay readable: this text may never change.
const WRITTEN_BY_VERSION_1: &str = concat!(
    r#"{"v":1,"price":null,"created_at":1,"expires_at":2,"late_until":3,"#,
    r#""policy":{"name":"default","tiers":[{"up_to":null,"assets":{},"chains":{"bitcoin":{"depth":2}}}]},"#,
    r#""success_url":"https://shop.example/ok","cancel_url":null,"#,
    r#""options":[{"id":"opt_00000000000000000000000007","asset":"btc@bitcoin","decimals":8,"#,
    r#""due":"1000","minimum":"1000","maximum":"1000","tolerance":{"under":{"millionths":0},"over":{"millionths":0}},"dust":"546","finality":{"depth":2},"#,
    r#""created_height":812}]}"#
);

#[test]
fn the_first_version_stays_readable() {
    assert_eq!(terms_to_json(&one_option()), WRITTEN_BY_VERSION_1);
    assert_eq!(terms_from_json(WRITTEN_BY_VERSION_1), Ok(one_option()));
}

#[test]
fn damage_is_named() {
    let value = |from: &str, to: &str| {
        let text = WRITTEN_BY_VERSION_1.replacen(from, to, 1);
        assert_ne!(text, WRITTEN_BY_VERSION_1, "{from} stands in the text");
        terms_from_json(&text).unwrap_err()
    };
    assert_eq!(
        value(r#""due":"1000""#, r#""due":"-1""#),
        StoredError::Value {
            form: "terms",
            field: "options.due",
            value: "-1".into()
        }
    );
    assert_eq!(
        value("opt_0", "inv_0"),
        StoredError::Value {
            form: "terms",
            field: "options.id",
            value: "inv_00000000000000000000000007".into()
        }
    );
    assert_eq!(
        value(r#""v":1"#, r#""v":2"#),
        StoredError::Version {
            form: "terms",
            found: 2
        }
    );
    for (from, to) in [
        (r#""decimals":8"#, r#""decimals":256"#),
        (r#""created_at":1"#, r#""created_at":1.5"#),
        (r#""late_until":3"#, r#""late_until":3,"more":1"#),
        (r#"{"depth":2}"#, r#"{"tag":"latest"}"#),
    ] {
        assert!(
            matches!(value(from, to), StoredError::Shape { form: "terms", .. }),
            "{to}"
        );
    }
}
