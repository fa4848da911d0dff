//! Rates: what an asset is worth in a currency, who said so, and when that is believed.
//!
//! Sources and what they said are facts. Whether a price can become an amount now is derived from them by
//! [`Rates::rate`], and a rate that cannot be trusted is an error, never another rate.

mod judge;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use judge::{RateProblem, Rates};
pub use value::{RateError, RateValue};

use crate::asset::AssetName;
use crate::chain::is_name;
use crate::time::UnixMillis;

/// An asset and the currency that it is valued in, written `btc/USD`. The asset is a symbol, which holds for all
/// chains, or one asset of one chain, such as `usdc@base`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    asset: Box<str>,
    currency: Box<str>,
}

/// A text that names no pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pair such as btc/USD or usdc@base/EUR")]
pub struct PairError;

/// What one source said about a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The source's name in the configuration.
    pub source: Box<str>,
    /// Units of the currency for one unit of the asset.
    pub value: RateValue,
    /// When it was read from the source, by our clock.
    pub at: UnixMillis,
}

/// The rate by which a price became an amount: part of the terms of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The median of what the sources said.
    pub value: RateValue,
    /// When the oldest of them was read.
    pub at: UnixMillis,
    /// What each source said on which the rate stands; those that were too far away are not among them.
    pub quotes: Vec<Quote>,
}

/// What is known of a source's word about a pair, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The pair.
    pub pair: Pair,
    /// The source; `None` for the last rate of the pair that was believed.
    pub source: Option<Box<str>>,
    /// What it said last and when that was read; `None` when it never said anything that could be read.
    pub value: Option<(RateValue, UnixMillis)>,
    /// What was wrong with its last answer, as a stable word; `None` when that was good.
    pub problem: Option<Box<str>>,
}

/// When a rate is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateRules {
    /// What was read longer ago than this says nothing, in milliseconds.
    pub stale_after_ms: i64,
    /// How far a source may be from the median, in millionths of it.
    pub spread_millionths: u32,
    /// How far the rate may be from the last one that was believed and is not stale, in millionths of that.
    pub move_millionths: u32,
}

impl Default for RateRules {
    /// Five minutes, two percent, and twenty percent.
    fn default() -> Self {
        Self {
            stale_after_ms: 300_000,
            spread_millionths: 20_000,
            move_millionths: 200_000,
        }
    }
}

/// What the configuration says about rates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RatePlan {
    /// When a rate is believed.
    pub rules: RateRules,
    /// The sources of each pair by name, with the value of those that are tables of the configuration itself.
    pub pairs: BTreeMap<Pair, BTreeMap<Box<str>, Option<RateValue>>>,
}

impl Pair {
    /// An asset by its name on its chain, valued in a currency.
    pub fn of_asset(asset: &AssetName, currency: &str) -> Self {
        Self {
            asset: asset.to_string().into(),
            currency: currency.into(),
        }
    }

    /// An asset by its symbol, valued in a currency.
    pub fn of_symbol(asset: &AssetName, currency: &str) -> Self {
        Self {
            asset: asset.symbol().into(),
            currency: currency.into(),
        }
    }

    /// The asset: a symbol, or a symbol and a chain.
    pub fn asset(&self) -> &str {
        &self.asset
    }

    /// The currency.
    pub fn currency(&self) -> &str {
        &self.currency
    }
}

impl FromStr for Pair {
    type Err = PairError;

    fn from_str(text: &str) -> Result<Self, PairError> {
        let (asset, currency) = text.split_once('/').ok_or(PairError)?;
        let is_asset = is_name(asset)
            || asset
                .parse::<AssetName>()
                .is_ok_and(|name| !name.is_unlisted());
        if is_asset && is_currency(currency) {
            let (asset, currency) = (asset.into(), currency.into());
            Ok(Self { asset, currency })
        } else {
            Err(PairError)
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.asset, self.currency)
    }
}

/// Whether a text can be the code of a currency: capital letters and digits, as symbols of assets are written
/// in prices.
fn is_currency(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    (2..=32).contains(&text.len()) && text.bytes().all(allowed)
}

impl RatePlan {
    /// The pair that values an asset in a currency: the one for its chain, or else the one for its symbol.
    pub fn pair(&self, asset: &AssetName, currency: &str) -> Option<&Pair> {
        let names = [
            Pair::of_asset(asset, currency),
            Pair::of_symbol(asset, currency),
        ];
        let found = names.iter().find_map(|name| self.pairs.get_key_value(name));
        found.map(|(pair, _)| pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_an_asset_and_a_currency() {
        for text in ["btc/USD", "usdc@base/EUR", "eth/BTC", "1inch/USD"] {
            assert_eq!(text.parse::<Pair>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "btc",
            "btc/",
            "/USD",
            "BTC/USD",
            "btc/usd",
            "btc/USD/EUR",
            "btc@/USD",
            "unlisted:0x1@base/USD",
        ] {
            assert_eq!(text.parse::<Pair>(), Err(PairError), "{text}");
        }
    }

    #[test]
    fn the_pair_of_a_chain_wins_over_that_of_the_symbol() {
        let value = Some(RateValue::parse("1").unwrap());
        let sources = BTreeMap::from([(Box::from("table"), value)]);
        let plan = RatePlan {
            pairs: ["usdc/USD", "usdc@base/USD"]
                .map(|pair| (pair.parse().unwrap(), sources.clone()))
                .into(),
            ..RatePlan::default()
        };
        let found = |asset: &str, currency| {
            plan.pair(&asset.parse().unwrap(), currency)
                .map(ToString::to_string)
        };
        assert_eq!(found("usdc@base", "USD").as_deref(), Some("usdc@base/USD"));
        assert_eq!(found("usdc@ethereum", "USD").as_deref(), Some("usdc/USD"));
        assert_eq!(found("usdc@base", "EUR"), None);
        assert_eq!(found("usdt@base", "USD"), None);
    }
}
