//! Goal: a price becomes the exact amount, never less than it is worth, and only by a rate that can be trusted.
//! Method: a table whose amounts another program computed with fractions, and a table of what sources say.

use std::collections::BTreeMap;

use paywatch_domain::currency::iso_decimals;
use paywatch_domain::{
    Amount, Pair, RatePlan, RateProblem, RateRules, RateValue, Rates, Told, UnixMillis,
};

/// Amounts by Python's `math.ceil(Fraction(price) / Fraction(rate) * 10**decimals)`:
/// price, currency, rate, decimals of the asset, atomic units that are due.
const DUE: &str = "
49.99           USD 0.9998          6  50000000
49.99           USD 64987.00        8  76924
49.99           USD 171.23          9  291946505
49.99           USD 3123.456789     18 16004703563068886
49.99           USD 0.0000123456789 18 4049190036847629335313427
0.01            USD 0.9998          6  10003
0.01            USD 64987.00        8  16
0.01            USD 3123.456789     18 3201581028820
1               JPY 0.9998          6  1000201
1               JPY 64987.00        8  1539
7500            JPY 64987.00        8  11540770
7500            JPY 171.23          9  43800735853
7500            JPY 3123.456789     18 2401185771614655752
12.345          KWD 0.9998          6  12347470
12.345          KWD 64987.00        8  18997
12.345          KWD 171.23          9  72096012
12.345          KWD 3123.456789     18 3952351780077724
0.001           KWD 64987.00        8  2
0.001           KWD 0.0000123456789 18 81000000737100006708
1.0001          CLF 64987.00        8  1539
1.0001          CLF 3123.456789     18 320190118692243
999999999999.99 USD 0.9998          6  1000200040007991599
999999999999.99 USD 0.0000123456789 18 81000000737099196707602690039184480
100             USD 4               8  2500000000
50.00           USD 3               6  16666667
";

#[test]
fn a_price_becomes_the_least_amount_that_is_worth_it() {
    for row in DUE.trim().lines() {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let [price, currency, rate, decimals, due] = fields[..] else {
            panic!("{row}");
        };
        let price_decimals = iso_decimals(currency).unwrap();
        let price = Amount::parse(price, price_decimals).unwrap();
        let rate = RateValue::parse(rate).unwrap();
        let found = rate.amount_due(price, price_decimals, decimals.parse().unwrap());
        assert_eq!(found.unwrap().to_string(), due, "{row}");
    }
}

#[test]
fn what_no_amount_can_be_is_no_amount() {
    let smallest = RateValue::parse("1e-36").unwrap();
    assert_eq!(smallest.amount_due(Amount::MAX, 0, 18), None);
    let due = smallest.amount_due(Amount::from_atomic(1), 0, 18).unwrap();
    assert_eq!(due, Amount::from_atomic(1).times_ten(54).unwrap());
}

const NOW: UnixMillis = UnixMillis(1_000_000_000);

/// A plan with these sources for btc/USD; a source with an `=` and a value is a table.
fn plan(sources: &str) -> RatePlan {
    let sources = sources
        .split_whitespace()
        .map(|source| match source.split_once('=') {
            Some((name, value)) => (name.into(), Some(RateValue::parse(value).unwrap())),
            None => (Box::from(source), None),
        });
    RatePlan {
        rules: RateRules {
            stale_after_ms: 300_000,
            spread_millionths: 20_000,
            move_millionths: 200_000,
        },
        pairs: BTreeMap::from([("btc/USD".parse().unwrap(), sources.collect())]),
    }
}

/// What was told, written `source=value@age_s`; the source `last` is the last rate that was believed.
fn told(text: &str) -> Vec<Told> {
    let pair: Pair = "btc/USD".parse().unwrap();
    let told = text.split_whitespace().map(|one| {
        let (source, value) = one.split_once('=').unwrap();
        let (value, age_s) = value.split_once('@').unwrap();
        let at = NOW.plus_ms(-1000 * age_s.parse::<i64>().unwrap());
        Told {
            pair: pair.clone(),
            source: (source != "last").then(|| source.into()),
            value: Some((RateValue::parse(value).unwrap(), at)),
            problem: None,
        }
    });
    told.collect()
}

/// Sources, what they said, and what comes of it: the rate with the age of its oldest source and the sources that
/// stand behind it, or the word of the problem.
const BELIEVED: &str = "
a       | a=100@1                              | 100 1 a
a       | a=100@300                            | 100 300 a
a       | a=100@301                            | stale
a       | a=100@-30                            | 100 -30 a
a       | a=100@-61                            | stale
a       |                                      | stale
a       | b=100@1                              | stale
a b     | a=100@1 b=101@9                      | 100.5 9 a b
a b     | a=100@1                              | stale
a b     | a=100@1 b=110@1                      | disagree
a b c   | a=100@1 b=101@2 c=102@3              | 101 3 a b c
a b c   | a=100@1 b=102@2                      | 101 2 a b
a b c   | a=100@1 b=101@2 c=101@999            | 100.5 2 a b
a b c   | a=100@1                              | stale
a b c   | a=100@1 b=101@2 c=9000@3             | 100.5 2 a b
a b c   | a=100@1 b=101@2 c=0.000001@3         | 100.5 2 a b
a b c   | a=100@1 b=200@2 c=300@3              | disagree
a b c d | a=100@1 b=100@1 c=200@1 d=200@1      | disagree
a b c d | a=100@1 b=100@1 c=100@1 d=200@1      | 100 1 a b c
a b c d | a=100@1 b=100@1                      | stale
a=100   |                                      | 100 0 a
a=100 b | b=101@7                              | 100.5 7 a b
a=100 b | b=150@7                              | disagree
a       | a=120@1 last=100@60                  | 120 1 a
a       | a=120.01@1 last=100@60               | jumped
a       | a=79.99@1 last=100@60                | jumped
a       | a=500@1 last=100@300                 | jumped
a       | a=500@1 last=100@301                 | 500 1 a
a b c   | a=500@1 b=501@1 c=100@1 last=100@60  | jumped
";

#[test]
fn a_rate_is_believed_when_most_sources_say_it_lately() {
    for row in BELIEVED.trim().lines() {
        let fields: Vec<&str> = row.split('|').map(str::trim).collect();
        let [sources, said, expected] = fields[..] else {
            panic!("{row}");
        };
        let (plan, told) = (plan(sources), told(said));
        let rates = Rates::new(&plan, &told, NOW);
        let found = match rates.rate(&"btc@bitcoin".parse().unwrap(), "USD") {
            Ok(rate) => {
                let age_s = NOW.ms_since(rate.at) / 1000;
                let names: Vec<&str> = rate.quotes.iter().map(|quote| &*quote.source).collect();
                format!("{} {age_s} {}", rate.value, names.join(" "))
            }
            Err(problem) => problem.as_str().into(),
        };
        assert_eq!(found, expected, "{row}");
    }
}

#[test]
fn without_a_source_there_is_no_rate_and_none_is_made_up() {
    let plan = plan("a=1");
    let rates = Rates::new(&plan, &[], NOW);
    for (asset, currency) in [("eth@ethereum", "USD"), ("btc@bitcoin", "EUR")] {
        let problem = rates.rate(&asset.parse().unwrap(), currency).unwrap_err();
        assert!(matches!(problem, RateProblem::NoSource { .. }), "{problem}");
        assert!(!problem.may_pass());
    }
}
