//! Requests as a table: each bad input with its pointer and stable code, and good ones as drafts.

use std::collections::BTreeMap;

use paywatch_domain::{
    Amount, Asset, AssetKind, Catalogue, ChainSpec, Family, Finality, Margin, Mode, Policy, Price,
    RatePlan, RateValue, Rates, Tier, Told, Unconfirmed, UnixMillis, limits,
};
use paywatch_wire::{
    Code, CreateEndpoint, CreateInvoice, CreateWallet, DecodeError, Draft, ExtendPool, FieldError,
    Material, NamedPolicies, NoFields, decode, json_text,
};

const NOW: UnixMillis = UnixMillis(1_000_000);

fn chain(name: &str, mode: Mode) -> ChainSpec {
    let chain = name.parse().expect("a name");
    ChainSpec {
        caip2: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328".into(),
        family: Family::Bitcoin,
        mode,
        enabled: name != "bitcoin-signet",
        finality: Finality::Depth(2),
        reorg_depth_max: 100,
        lag_ms_max: 3_600_000,
        assets: vec![Asset {
            name: format!("btc@{chain}").parse().expect("a name"),
            kind: AssetKind::Native,
            decimals: 8,
            dust: Amount::from_atomic(546),
            caip19: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1".into(),
        }],
        name: chain,
    }
}

fn check(body: &str) -> Result<Draft, Vec<FieldError>> {
    check_with(body, &RatePlan::default(), &[])
}

fn check_with(body: &str, plan: &RatePlan, told: &[Told]) -> Result<Draft, Vec<FieldError>> {
    let rates = Rates::new(plan, told, NOW);
    let catalogue = Catalogue::new([
        chain("bitcoin-regtest", Mode::Test),
        chain("bitcoin-testnet4", Mode::Test),
        chain("bitcoin-signet", Mode::Test),
        chain("bitcoin", Mode::Live),
        ChainSpec {
            family: Family::Evm,
            ..chain("ethereum", Mode::Test)
        },
        ChainSpec {
            family: Family::Solana,
            ..chain("solana", Mode::Test)
        },
    ]);
    let slow = Policy {
        name: Some("slow".into()),
        tiers: vec![Tier {
            up_to: None,
            assets: BTreeMap::new(),
            chains: BTreeMap::from([(
                "bitcoin-regtest".parse().expect("a name"),
                Finality::Depth(6),
            )]),
        }],
    };
    match decode::<CreateInvoice>(body.as_bytes()) {
        Ok(request) => request.check(&catalogue, &NamedPolicies::new([slow]), &rates, Mode::Test),
        Err(DecodeError::Fields(errors)) => Err(errors),
        Err(error @ DecodeError::NotJson { .. }) => panic!("{error}"),
    }
}

fn faults(errors: &[FieldError]) -> Vec<(&str, &str)> {
    errors
        .iter()
        .map(|error| (error.pointer.as_str(), error.code.as_str()))
        .collect()
}

/// The smallest good request, with more fields.
fn with(more: &str) -> String {
    format!(r#"{{"options":[{{"asset":"btc@bitcoin-regtest","amount":"0.001"}}]{more}}}"#)
}

/// A request with these options, given as JSON, and with more fields.
fn options(options: &[&str], more: &str) -> String {
    format!(r#"{{"options":[{}]{more}}}"#, options.join(","))
}

const REGTEST: &str = r#"{"asset":"btc@bitcoin-regtest","amount":"0.001"}"#;
const TESTNET: &str = r#"{"asset":"btc@bitcoin-testnet4","amount":"0.002"}"#;

/// A request for an amount, given as JSON.
fn amount(json: &str) -> String {
    format!(r#"{{"options":[{{"asset":"btc@bitcoin-regtest","amount":{json}}}]}}"#)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn bad_invoices_are_refused_by_field_and_code() {
    let long = format!("{:?}", "9".repeat(80));
    let longer = format!("{:?}", "9".repeat(97));
    let metadata = format!(r#","metadata":{{"a":"{}"}}"#, "x".repeat(8192));
    let order_id = format!(r#","order_id":"{}""#, "x".repeat(256));
    let amount_at = "/options/0/amount";
    let asset_at = "/options/0/asset";
    let table: &[(String, &str, Code)] = &[
        (amount(r#""0.000000001""#), amount_at, Code::AmountTooManyDecimals),
        (amount(r#""-1""#), amount_at, Code::AmountNotDecimal),
        (amount(r#""1e8""#), amount_at, Code::AmountNotDecimal),
        (amount(r#""NaN""#), amount_at, Code::AmountNotDecimal),
        (amount(r#""""#), amount_at, Code::AmountNotDecimal),
        (amount(&long), amount_at, Code::AmountTooLarge),
        (amount(&longer), amount_at, Code::AmountTooLong),
        (amount(r#""0""#), amount_at, Code::AmountZero),
        (amount(r#""0.00000001""#), amount_at, Code::AmountBelowDust),
        (amount("1e8"), amount_at, Code::TypeInvalid),
        (amount("0.001"), amount_at, Code::TypeInvalid),
        (amount("null"), amount_at, Code::Required),
        (r#"{"options":[{"asset":"doge@moon","amount":"1"}]}"#.into(), asset_at, Code::ChainUnknown),
        (r#"{"options":[{"asset":"doge@bitcoin-regtest","amount":"1"}]}"#.into(), asset_at, Code::AssetUnknown),
        (r#"{"options":[{"asset":"btc@bitcoin-signet","amount":"1"}]}"#.into(), asset_at, Code::ChainDisabled),
        (r#"{"options":[{"asset":"btc","amount":"1"}]}"#.into(), asset_at, Code::AssetUnknown),
        (r#"{"options":[{"asset":"btc@bitcoin","amount":"1"}]}"#.into(), asset_at, Code::AssetOtherMode),
        (r#"{"options":[{"amount":"1"}]}"#.into(), asset_at, Code::Required),
        (
            r#"{"price":{"amount":"49.99","currency":"USD"},"options":[{"asset":"btc@bitcoin-regtest"}]}"#.into(),
            amount_at,
            Code::RateUnavailable,
        ),
        ("{}".into(), "/options", Code::Required),
        (r#"{"options":[]}"#.into(), "/options", Code::OptionsRequired),
        (r#"{"options":{}}"#.into(), "/options", Code::TypeInvalid),
        (options(&[REGTEST, TESTNET, REGTEST], ""), "/options/2/asset", Code::OptionTwice),
        (options(&[REGTEST; limits::OPTIONS_MAX + 1], ""), "/options", Code::OptionsTooMany),
        (
            options(&[REGTEST, r#"{"asset":"btc@bitcoin-signet","amount":"1"}"#], ""),
            "/options/1/asset",
            Code::ChainDisabled,
        ),
        (
            options(&[REGTEST, r#"{"asset":"doge@bitcoin-testnet4","amount":"1"}"#], ""),
            "/options/1/asset",
            Code::AssetUnknown,
        ),
        (options(&[REGTEST, r#"{"asset":"btc@bitcoin-testnet4"}"#], ""), "/options/1/amount", Code::Required),
        (
            options(&[REGTEST, r#"{"asset":"btc@bitcoin-testnet4"}"#], r#","price":{"amount":"9","currency":"USD"}"#),
            "/options/1/amount",
            Code::RateUnavailable,
        ),
        (
            options(&[REGTEST, r#"{"asset":"btc@bitcoin-testnet4","amount":"0.00000545"}"#], ""),
            "/options/1/amount",
            Code::AmountBelowDust,
        ),
        (
            options(&[REGTEST, r#"{"asset":"btc@bitcoin-testnet4","amount":"1","wallet_id":"opt_1"}"#], ""),
            "/options/1/wallet_id",
            Code::IdInvalid,
        ),
        (
            options(&[TESTNET, REGTEST], r#","tolerance":{"under_amount":"0.001"}"#),
            "/tolerance/under_amount",
            Code::ToleranceTooWide,
        ),
        (
            options(&[TESTNET, REGTEST], r#","tolerance":{"under_percent":"100"}"#),
            "/tolerance/under_percent",
            Code::ToleranceTooWide,
        ),
        (
            options(&[TESTNET, REGTEST], r#","tolerance":{"under_percent":"1","under_amount":"0.00001"}"#),
            "/tolerance/under_amount",
            Code::ToleranceAmbiguous,
        ),
        (
            options(&[REGTEST, TESTNET], r#","policy":{"tiers":[{"finality":{"bitcoin-regtest":{"depth":1}}}]}"#),
            "/options/1",
            Code::PolicySilent,
        ),
        (options(&[REGTEST, TESTNET], r#","policy":"slow""#), "/options/1", Code::PolicySilent),
        (with(r#","late_window_s":31536001"#), "/late_window_s", Code::LateWindowInvalid),
        ("[]".into(), "", Code::TypeInvalid),
        (with(r#","expires_in_s":0"#), "/expires_in_s", Code::ExpiresInInvalid),
        (with(r#","expires_in_s":-5"#), "/expires_in_s", Code::ExpiresInInvalid),
        (with(r#","expires_in_s":1.5"#), "/expires_in_s", Code::ExpiresInInvalid),
        (with(r#","expires_in_s":99999999999"#), "/expires_in_s", Code::ExpiresInInvalid),
        (with(r#","expires_in_s":"900""#), "/expires_in_s", Code::TypeInvalid),
        (with(r#","late_window_s":-1"#), "/late_window_s", Code::LateWindowInvalid),
        (with(r#","expire_in_s":900"#), "/expire_in_s", Code::UnknownField),
        (with(r#","a/b~":1"#), "/a~1b~0", Code::UnknownField),
        (with(r#","tolerance":{"under":"1"}"#), "/tolerance/under", Code::UnknownField),
        (with(r#","tolerance":{"under_percent":"100"}"#), "/tolerance/under_percent", Code::ToleranceTooWide),
        (with(r#","tolerance":{"under_percent":"0.00001"}"#), "/tolerance/under_percent", Code::PercentInvalid),
        (with(r#","tolerance":{"over_percent":"1001"}"#), "/tolerance/over_percent", Code::PercentInvalid),
        (with(r#","tolerance":{"over_percent":1}"#), "/tolerance/over_percent", Code::TypeInvalid),
        (
            with(r#","tolerance":{"over_percent":"1","over_amount":"1"}"#),
            "/tolerance/over_amount",
            Code::ToleranceAmbiguous,
        ),
        (with(r#","tolerance":{"under_amount":"-1"}"#), "/tolerance/under_amount", Code::AmountNotDecimal),
        (with(r#","policy":"fast""#), "/policy", Code::PolicyUnknown),
        (with(r#","policy":5"#), "/policy", Code::TypeInvalid),
        (with(r#","policy":{"tiers":[]}"#), "/policy/tiers", Code::PolicyInvalid),
        (
            with(r#","policy":{"tiers":[{"finality":{"bitcoin":{"depth":1}}},{"finality":{"bitcoin":{"depth":2}}}]}"#),
            "/policy/tiers/0/up_to",
            Code::PolicyInvalid,
        ),
        (
            with(r#","policy":{"tiers":[{"up_to":{"amount":"1","currency":"USD"},"finality":{"bitcoin":{"depth":1}}}]}"#),
            "/policy/tiers/0/up_to",
            Code::PolicyInvalid,
        ),
        (
            with(r#","policy":{"tiers":[{"up_to":{"amount":"2","currency":"USD"},"finality":{"bitcoin":{"depth":1}}},{"up_to":{"amount":"1","currency":"USD"},"finality":{"bitcoin":{"depth":2}}},{"finality":{"bitcoin":{"depth":3}}}]}"#),
            "/policy/tiers/1/up_to",
            Code::PolicyInvalid,
        ),
        (
            with(r#","policy":{"tiers":[{"up_to":{"amount":"1","currency":"USD"},"finality":{"bitcoin":{"depth":1}}},{"finality":{"bitcoin":{"depth":2}}}]}"#),
            "/options/0",
            Code::PolicyNotComparable,
        ),
        (
            with(r#","policy":{"tiers":[{"finality":{"bitcoin":{"depth":1}}}]}"#),
            "/options/0",
            Code::PolicySilent,
        ),
        (
            with(r#","policy":{"tiers":[{"finality":{"moon":{"depth":1}}}]}"#),
            "/policy/tiers/0/finality/moon",
            Code::ChainUnknown,
        ),
        (
            with(r#","policy":{"tiers":[{"finality":{"doge@moon":{"depth":1}}}]}"#),
            "/policy/tiers/0/finality/doge@moon",
            Code::AssetUnknown,
        ),
        (with(r#","price":{"amount":"1.00001","currency":"USD"}"#), "/price/amount", Code::AmountTooManyDecimals),
        (with(r#","price":{"amount":"0.00","currency":"USD"}"#), "/price/amount", Code::AmountZero),
        (with(r#","price":{"amount":"1","currency":"usd"}"#), "/price/currency", Code::CurrencyInvalid),
        (with(r#","price":{"amount":"1"}"#), "/price/currency", Code::Required),
        (with(r#","price":{"amount":"1","currency":"ABC"}"#), "/price/currency", Code::CurrencyInvalid),
        (with(r#","price":{"amount":"1","currency":"XAU"}"#), "/price/currency", Code::CurrencyInvalid),
        (with(r#","price":{"amount":"1","currency":"USDC"}"#), "/price/currency", Code::CurrencyInvalid),
        (with(r#","price":{"amount":"1.001","currency":"USD"}"#), "/price/amount", Code::AmountTooManyDecimals),
        (with(r#","price":{"amount":"1.0","currency":"JPY"}"#), "/price/amount", Code::AmountTooManyDecimals),
        (with(r#","price":{"amount":"1.0001","currency":"KWD"}"#), "/price/amount", Code::AmountTooManyDecimals),
        (with(r#","price":{"amount":"0.000000001","currency":"BTC"}"#), "/price/amount", Code::AmountTooManyDecimals),
        (with(r#","metadata":[]"#), "/metadata", Code::TypeInvalid),
        (with(&metadata), "/metadata", Code::MetadataTooLarge),
        (with(r#","metadata":{"a":1},"metadata":{}"#), "/metadata", Code::TypeInvalid),
        (with(&order_id), "/order_id", Code::TextTooLong),
        (with(r#","order_id":"""#), "/order_id", Code::TextInvalid),
        (with(r#","order_id":"a\u0000b""#), "/order_id", Code::TextInvalid),
        (with(r#","success_url":"javascript:alert(1)""#), "/success_url", Code::UrlInvalid),
        (with(r#","cancel_url":"https://""#), "/cancel_url", Code::UrlInvalid),
        (
            r#"{"options":[{"asset":"btc@bitcoin-regtest","amount":"1","wallet_id":"inv_0"}]}"#.into(),
            "/options/0/wallet_id",
            Code::IdInvalid,
        ),
    ];
    for (body, pointer, code) in table {
        let errors = check(body).expect_err(body);
        assert_eq!(faults(&errors), [(*pointer, code.as_str())], "{body}");
    }
}

/// One case a line: the finality of an inline policy for `bitcoin-regtest`, `ethereum` or `solana` | what
/// comes behind its pointer | the code.
const FINALITIES: &str = r#"
bitcoin-regtest | {"depth":0}                                                     |        | finality_depth_invalid
bitcoin-regtest | {"depth":1001}                                                  |        | finality_depth_invalid
bitcoin-regtest | {"depth":-1}                                                    |        | finality_invalid
bitcoin-regtest | {"depth":"3"}                                                   |        | finality_invalid
bitcoin-regtest | {"depth":3,"tag":"safe"}                                        |        | finality_invalid
bitcoin-regtest | {"colour":"red"}                                                |        | finality_invalid
bitcoin-regtest | 3                                                               |        | finality_invalid
ethereum        | {"tag":"latest"}                                                |        | finality_invalid
bitcoin-regtest | {"tag":"safe"}                                                  |        | finality_tag_unsupported
solana          | {"tag":"finalized"}                                             |        | finality_tag_unsupported
bitcoin-regtest | {"commitment":"finalized"}                                      |        | finality_commitment_unsupported
ethereum        | {"commitment":"confirmed"}                                      |        | finality_commitment_unsupported
bitcoin-regtest | {"any":[]}                                                      |        | finality_any_empty
bitcoin-regtest | {"any":[{"depth":1},{"any":[{"depth":2}]}]}                     | /any/1 | finality_any_nested
ethereum        | {"any":[{"tag":"safe"},{"depth":0}]}                            | /any/1 | finality_depth_invalid
ethereum        | {"unconfirmed":{"max":{"amount":"20","currency":"USD"}}}        |        | finality_unconfirmed_unsupported
bitcoin-regtest | {"unconfirmed":{"max":{"amount":"0","currency":"USD"}}}         |        | finality_cap_invalid
bitcoin-regtest | {"unconfirmed":{"max":{"amount":"a lot","currency":"USD"}}}     |        | finality_cap_invalid
bitcoin-regtest | {"unconfirmed":{"max":{"amount":"20","currency":"USD"},"seen_s":0}} |    | finality_seconds_invalid
bitcoin-regtest | {"unconfirmed":{"max":{"amount":"20","currency":"USD"},"fee":1}} |       | finality_invalid
bitcoin-regtest | {"unconfirmed":{}}                                              |        | finality_invalid
bitcoin-regtest | {"unconfirmed":{"max":{"amount":"20","currency":"EUR"}}}        |        | finality_cap_not_comparable
"#;

#[test]
fn each_finality_that_cannot_be_has_its_own_code_and_pointer() {
    for line in FINALITIES.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [chain, finality, behind, code] = cells[..] else {
            panic!("{line}");
        };
        let policy = format!(r#"{{"tiers":[{{"finality":{{"{chain}":{finality}}}}}]}}"#);
        let price = r#""price":{"amount":"50","currency":"USD"}"#;
        let errors = check(&with(&format!(r#",{price},"policy":{policy}"#))).expect_err(line);
        let pointer = format!("/policy/tiers/0/finality/{chain}{behind}");
        assert_eq!(faults(&errors), [(&*pointer, code)], "{line}");
    }
}

#[test]
fn a_cap_is_held_against_the_tiers_before_any_invoice() {
    let tiers = |currency: &str| {
        let cap =
            format!(r#"{{"unconfirmed":{{"max":{{"amount":"20","currency":"{currency}"}}}}}}"#);
        with(&format!(
            r#","price":{{"amount":"500","currency":"USD"}},"policy":{{"tiers":[{{"up_to":{{"amount":"100","currency":"USD"}},"finality":{{"bitcoin-regtest":{{"any":[{{"depth":1}},{cap}]}}}}}},{{"finality":{{"bitcoin-regtest":{{"depth":3}}}}}}]}}"#
        ))
    };
    let errors = check(&tiers("EUR")).expect_err("a tier that is not even used");
    let at = "/policy/tiers/0/finality/bitcoin-regtest/any/1";
    assert_eq!(faults(&errors), [(at, "finality_cap_not_comparable")]);
    for known in ["USD", "BTC"] {
        assert_eq!(
            check(&tiers(known)).unwrap().options[0].finality,
            Finality::Depth(3)
        );
    }
}

#[test]
fn a_cap_becomes_an_amount_of_the_option_and_the_chain_says_what_is_final_in_a_block() {
    let draft = check(&with(concat!(
        r#","price":{"amount":"50.00","currency":"USD"},"policy":{"tiers":[{"finality":{"bitcoin-regtest":"#,
        r#"{"unconfirmed":{"max":{"amount":"20.00","currency":"USD"},"seen_s":10}}}}]}"#
    )))
    .unwrap();
    let rule = Finality::Unconfirmed(Unconfirmed {
        max: Price {
            amount: "0.00040000".into(),
            currency: "BTC".into(),
        },
        seen_s: 10,
    });
    assert_eq!(
        draft.options[0].finality,
        Finality::Any(vec![rule, Finality::Depth(2)])
    );
    let asked = draft.policy.tiers[0].chains.values().next().unwrap();
    assert_eq!(
        &*asked.unconfirmed().unwrap().max.currency,
        "USD",
        "kept as it was asked for"
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let body = r#"{"options":[{"asset":7,"colour":"red"}],"expires_in_s":0,"order_id":[],"x":1}"#;
    let expected = [
        ("/order_id", "type_invalid"),
        ("/options/0/asset", "type_invalid"),
        ("/options/0/colour", "unknown_field"),
        ("/expires_in_s", "expires_in_invalid"),
        ("/x", "unknown_field"),
    ];
    assert_eq!(faults(&check(body).unwrap_err()), expected);
}

#[test]
fn faults_of_several_options_are_told_at_once_and_shared_ones_once() {
    let signet = r#"{"asset":"btc@bitcoin-signet","amount":"1"}"#;
    let dust = r#"{"asset":"btc@bitcoin-testnet4","amount":"0.00000001"}"#;
    let body = options(&[signet, REGTEST, dust, REGTEST], "");
    let expected = [
        ("/options/0/asset", "chain_disabled"),
        ("/options/2/amount", "amount_below_dust"),
        ("/options/3/asset", "option_twice"),
    ];
    assert_eq!(faults(&check(&body).unwrap_err()), expected);
    let body = options(
        &[REGTEST, TESTNET],
        r#","tolerance":{"over_percent":"1001"}"#,
    );
    let expected = [("/tolerance/over_percent", "percent_invalid")];
    assert_eq!(faults(&check(&body).unwrap_err()), expected);
}

#[test]
fn each_option_has_its_own_amount_bounds_and_finality() {
    let body = options(
        &[TESTNET, REGTEST],
        concat!(
            r#","tolerance":{"under_percent":"1","over_amount":"0.0001"},"policy":{"tiers":["#,
            r#"{"finality":{"bitcoin-regtest":{"depth":1},"bitcoin-testnet4":{"depth":6}}}]}"#
        ),
    );
    let draft = check(&body).unwrap();
    let options = draft.options.iter().map(|option| {
        let sums = [option.due, option.minimum, option.maximum].map(|sum| sum.to_string());
        (
            option.asset.name.to_string(),
            sums.join(" "),
            option.finality.clone(),
        )
    });
    let expected = [
        (
            "btc@bitcoin-testnet4",
            "200000 198000 210000",
            Finality::Depth(6),
        ),
        (
            "btc@bitcoin-regtest",
            "100000 99000 110000",
            Finality::Depth(1),
        ),
    ];
    let expected = expected.map(|(asset, sums, finality)| (asset.into(), sums.into(), finality));
    assert_eq!(
        options.collect::<Vec<(String, String, Finality)>>(),
        expected
    );
}

#[test]
fn a_small_request_gets_the_defaults() {
    let draft = check(&with("")).unwrap();
    assert_eq!((draft.expires_in_s, draft.late_window_s), (900, 604_800));
    assert_eq!(&*draft.metadata, "{}");
    assert_eq!(draft.policy.name.as_deref(), Some("default"));
    let option = &draft.options[0];
    let exact = Amount::from_atomic(100_000);
    assert_eq!(
        (option.minimum, option.due, option.maximum),
        (exact, exact, exact)
    );
    assert_eq!(option.finality, Finality::Depth(2), "of the chain");
}

#[test]
fn a_full_request_is_kept_exactly() {
    let draft = check(&with(concat!(
        r#","order_id":"A-1001","price":{"amount":"49.99","currency":"USD"},"#,
        r#""expires_in_s":60,"late_window_s":0,"#,
        r#""tolerance":{"under_percent":"0.5","over_amount":"0.00001"},"#,
        r#""policy":{"tiers":[{"finality":{"btc@bitcoin-regtest":{"depth":4},"bitcoin":{"depth":9}}}]},"#,
        r#""success_url":"https://shop.example/ok","metadata":{"b": 1.10, "a": [18446744073709551616]}"#
    )))
    .unwrap();
    assert_eq!(
        &*draft.metadata,
        r#"{"b": 1.10, "a": [18446744073709551616]}"#
    );
    let option = &draft.options[0];
    assert_eq!(option.tolerance.under, Margin::Millionths(5_000));
    assert_eq!(
        option.tolerance.over,
        Margin::Amount(Amount::from_atomic(1_000))
    );
    assert_eq!(option.minimum, Amount::from_atomic(99_500));
    assert_eq!(option.maximum, Amount::from_atomic(101_000));
    assert_eq!(
        option.finality,
        Finality::Depth(4),
        "the asset wins over its chain"
    );
    assert_eq!(draft.policy.name, None);

    let named = check(&with(r#","policy":"slow""#)).unwrap();
    assert_eq!(named.options[0].finality, Finality::Depth(6));
}

#[test]
fn the_tier_is_chosen_once_by_the_price_or_by_what_is_due() {
    let tiers = concat!(
        r#""policy":{"tiers":[{"up_to":{"amount":"50","currency":"CURRENCY"},"finality":{"bitcoin-regtest":{"depth":1}}},"#,
        r#"{"finality":{"bitcoin-regtest":{"depth":5}}}]}"#
    );
    let depth = |currency: &str, price: &str| {
        let tiers = tiers.replace("CURRENCY", currency);
        let draft = check(&with(&format!(",{tiers}{price}"))).unwrap();
        draft.options[0].finality.clone()
    };
    let price = |amount: &str| format!(r#","price":{{"amount":"{amount}","currency":"USD"}}"#);
    assert_eq!(depth("USD", &price("50.00")), Finality::Depth(1));
    assert_eq!(depth("USD", &price("50.01")), Finality::Depth(5));
    assert_eq!(depth("BTC", ""), Finality::Depth(1), "0.001 is due");
}

#[test]
fn a_request_reads_back_what_a_client_writes() {
    let body = with(r#","policy":"slow","tolerance":{"under_percent":"1"},"metadata":{"a":1}"#);
    let request: CreateInvoice = decode(body.as_bytes()).unwrap();
    assert_eq!(decode(json_text(&request).as_bytes()), Ok(request));
}

#[test]
fn what_is_not_json_says_where_and_nothing_else() {
    let secret = r#"{"key": "xprv9s21ZrQH143K" oops}"#;
    let deep = "[".repeat(1000);
    for body in [secret.as_bytes(), deep.as_bytes(), b"", b"{", b"\xff"] {
        let error = decode::<CreateWallet>(body).unwrap_err();
        assert!(matches!(error, DecodeError::NotJson { .. }));
        assert!(!error.to_string().contains("xprv"), "{error}");
    }
}

#[test]
fn a_wallet_is_read_and_never_printed() {
    let body =
        r#"{"chain_family":"bitcoin","key":" xprv9secret ","label":"till 1","start_index":7}"#;
    let wallet: CreateWallet = decode(body.as_bytes()).unwrap();
    assert_eq!(
        (&wallet.material, wallet.start_index),
        (&Material::Key("xprv9secret".into()), Some(7))
    );
    assert!(!format!("{wallet:?}").contains("xprv9"));
    assert_eq!(decode(json_text(&wallet).as_bytes()), Ok(wallet));

    let body = r#"{"chain_family":"doge","start_index":2147483648,"xprv":"xprv9secret"}"#;
    let Err(DecodeError::Fields(errors)) = decode::<CreateWallet>(body.as_bytes()) else {
        panic!("must be refused")
    };
    let expected = [
        ("/chain_family", "family_unknown"),
        ("/key", "required"),
        ("/start_index", "index_invalid"),
        ("/xprv", "unknown_field"),
    ];
    assert_eq!(faults(&errors), expected);
    assert!(
        !format!("{errors:?}").contains("xprv9"),
        "values are never repeated"
    );
}

#[test]
fn a_solana_wallet_is_made_of_a_key_or_of_a_pool() {
    let body = r#"{"chain_family":"solana","pool":"alpha\nbeta\n# sha256:00\n"}"#;
    let wallet: CreateWallet = decode(body.as_bytes()).unwrap();
    assert_eq!(
        wallet.material,
        Material::Pool("alpha\nbeta\n# sha256:00\n".into())
    );
    assert!(!format!("{wallet:?}").contains("alpha"));
    assert_eq!(decode(json_text(&wallet).as_bytes()), Ok(wallet));
    for (body, expected) in [
        (r#"{"chain_family":"solana"}"#, [("/key", "required")]),
        (
            r#"{"chain_family":"solana","key":"a","pool":"b"}"#,
            [("/pool", "material_ambiguous")],
        ),
        (
            r#"{"chain_family":"solana","pool":7}"#,
            [("/pool", "type_invalid")],
        ),
        (
            r#"{"chain_family":"solana","pool":" "}"#,
            [("/pool", "text_invalid")],
        ),
    ] {
        let Err(DecodeError::Fields(errors)) = decode::<CreateWallet>(body.as_bytes()) else {
            panic!("must be refused: {body}")
        };
        assert_eq!(faults(&errors), expected, "{body}");
    }
    let more: ExtendPool = decode(br#"{"pool":"three"}"#).unwrap();
    assert_eq!(more.pool, "three");
    assert!(!format!("{more:?}").contains("three"));
    assert!(decode::<ExtendPool>(b"{}").is_err());
}

#[test]
fn an_endpoint_names_known_events() {
    let body =
        r#"{"url":"https://shop.example/hook","event_types":["invoice.paid","invoice.paid"]}"#;
    let endpoint: CreateEndpoint = decode(body.as_bytes()).unwrap();
    assert_eq!(endpoint.event_types, ["invoice.paid"]);
    assert_eq!(endpoint.types().count(), 1);
    let body = r#"{"url":"ftp://shop.example","event_types":["invoice.payed",1]}"#;
    let Err(DecodeError::Fields(errors)) = decode::<CreateEndpoint>(body.as_bytes()) else {
        panic!("must be refused")
    };
    let expected = [
        ("/url", "url_invalid"),
        ("/event_types/0", "event_type_unknown"),
        ("/event_types/1", "type_invalid"),
    ];
    assert_eq!(faults(&errors), expected);
}

#[test]
fn a_cancel_has_no_fields() {
    assert_eq!(decode::<NoFields>(b"{}"), Ok(NoFields {}));
    assert!(decode::<NoFields>(br#"{"reason":"x"}"#).is_err());
}

#[test]
fn codes_are_snake_case_and_unique() {
    let mut codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let plain = |code: &&str| {
        code.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    assert!(codes.iter().all(plain));
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Code::ALL.len());
}

/// A plan in which one source tells what a bitcoin is worth, and a table does for yen.
fn priced() -> RatePlan {
    let value = |text: &str| RateValue::parse(text).expect("a rate");
    let pair = |pair: &str, source: &str, fixed| {
        let sources = BTreeMap::from([(Box::from(source), fixed)]);
        (pair.parse().expect("a pair"), sources)
    };
    RatePlan {
        pairs: BTreeMap::from([
            pair("btc/USD", "bourse", None),
            pair("btc/JPY", "table", Some(value("9999999.5"))),
        ]),
        ..RatePlan::default()
    }
}

/// What the source said so many seconds ago.
fn heard(value: &str, age_s: i64) -> Told {
    Told {
        pair: "btc/USD".parse().expect("a pair"),
        source: Some("bourse".into()),
        value: Some((
            RateValue::parse(value).expect("a rate"),
            NOW.plus_ms(-1000 * age_s),
        )),
        problem: None,
    }
}

#[test]
fn a_price_becomes_the_amount_of_each_option_that_names_none() {
    let ask = |price: &str, amount: &str| {
        let body =
            format!(r#"{{"price":{price},"options":[{{"asset":"btc@bitcoin-regtest"{amount}}}]}}"#);
        check_with(&body, &priced(), &[heard("64987.00", 7)])
    };
    // Price, the option's own amount, and what is due with the source of the rate.
    let table = [
        (
            r#"{"amount":"49.99","currency":"USD"}"#,
            "",
            "76924",
            Some("bourse"),
        ),
        (
            r#"{"amount":"49.99","currency":"USD"}"#,
            r#","amount":"0.001""#,
            "100000",
            None,
        ),
        (
            r#"{"amount":"500000","currency":"JPY"}"#,
            "",
            "5000001",
            Some("table"),
        ),
        (
            r#"{"amount":"0.00150000","currency":"BTC"}"#,
            "",
            "150000",
            None,
        ),
    ];
    for (price, amount, due, source) in table {
        let draft = ask(price, amount).expect(price);
        let option = &draft.options[0];
        assert_eq!(option.due.to_string(), due, "{price}");
        let quote = option.rate.as_ref().map(|rate| &*rate.quotes[0].source);
        assert_eq!(quote, source, "{price}");
    }
    let draft = ask(table[0].0, "").expect("a draft");
    let rate = draft.options[0].rate.as_ref().expect("a rate");
    assert_eq!(
        (rate.value.to_string().as_str(), rate.at),
        ("64987", NOW.plus_ms(-7_000))
    );
}

#[test]
fn an_untrusted_rate_refuses_what_needs_it_and_nothing_else() {
    let body = r#"{"price":{"amount":"49.99","currency":"USD"},"options":[{"asset":"btc@bitcoin-regtest"}]}"#;
    let own = r#"{"price":{"amount":"49.99","currency":"USD"},"options":[{"asset":"btc@bitcoin-regtest","amount":"0.001"}]}"#;
    for told in [vec![], vec![heard("64987", 301)]] {
        let errors = check_with(body, &priced(), &told).expect_err("refused");
        assert_eq!(faults(&errors), [("/options/0/amount", "rate_untrusted")]);
        assert!(
            check_with(own, &priced(), &told).is_ok(),
            "its own amount needs no rate"
        );
    }
    let euro = body.replace("USD", "EUR");
    let errors = check_with(&euro, &priced(), &[heard("64987", 1)]).expect_err("refused");
    assert_eq!(faults(&errors), [("/options/0/amount", "rate_unavailable")]);
    let dear = body.replace("49.99", &"9".repeat(90));
    let errors = check_with(&dear, &priced(), &[heard("64987", 1)]).expect_err("refused");
    assert_eq!(faults(&errors), [("/price/amount", "amount_too_large")]);
}
