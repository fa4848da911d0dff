//! When a rate is believed: enough sources, fresh, close to each other, and no jump.

use std::collections::BTreeMap;

use super::{Pair, Quote, Rate, RatePlan, RateValue, Told};
use crate::asset::AssetName;
use crate::time::UnixMillis;

/// Why there is no rate. None of them is a reason to take another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateProblem {
    /// No source was ever configured.
    #[error(
        "no source of rates says what {asset} is worth in {currency}; name the option's amount"
    )]
    NoSource {
        /// The asset.
        asset: AssetName,
        /// The currency.
        currency: Box<str>,
    },
    /// Too few sources said something that is not stale.
    #[error(
        "only {fresh} of the {needed} sources that {pair} needs were heard within the last {} seconds; \
         try again soon, or name the option's amount",
        stale_after_ms / 1000
    )]
    TooFew {
        /// The pair.
        pair: Pair,
        /// Sources that were heard.
        fresh: usize,
        /// Sources that are needed: more than half of those that are configured.
        needed: usize,
        /// What was heard longer ago does not count, in milliseconds.
        stale_after_ms: i64,
    },
    /// Too few sources say about the same.
    #[error(
        "only {agreeing} of the {needed} sources that {pair} needs agree; try again soon, or name the \
         option's amount"
    )]
    Disagree {
        /// The pair.
        pair: Pair,
        /// Sources close to the median.
        agreeing: usize,
        /// Sources that are needed.
        needed: usize,
    },
    /// The rate is too far from the last one that was believed.
    #[error(
        "{pair} jumped from {from} to {to}, which is believed only when it lasts; try again in some minutes, \
         or name the option's amount"
    )]
    Jumped {
        /// The pair.
        pair: Pair,
        /// The last rate that was believed.
        from: RateValue,
        /// What the sources say now.
        to: RateValue,
    },
}

impl RateProblem {
    /// A stable word for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoSource { .. } => "no_source",
            Self::TooFew { .. } => "stale",
            Self::Disagree { .. } => "disagree",
            Self::Jumped { .. } => "jumped",
        }
    }

    /// Whether the same question may have an answer later, without a change of the configuration.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoSource { .. } => false,
            Self::TooFew { .. } | Self::Disagree { .. } | Self::Jumped { .. } => true,
        }
    }
}

/// What is known about rates at one time.
#[derive(Clone, Copy, Debug)]
pub struct Rates<'a> {
    plan: &'a RatePlan,
    told: &'a [Told],
    now: UnixMillis,
}

impl<'a> Rates<'a> {
    /// What the plan makes of all that was told.
    pub fn new(plan: &'a RatePlan, told: &'a [Told], now: UnixMillis) -> Self {
        Self { plan, told, now }
    }

    /// What one unit of an asset is worth in a currency.
    ///
    /// # Errors
    /// [`RateProblem`] when nobody knows, or when what is known cannot be trusted.
    pub fn rate(&self, asset: &AssetName, currency: &str) -> Result<Rate, RateProblem> {
        let pair = self
            .plan
            .pair(asset, currency)
            .ok_or_else(|| RateProblem::NoSource {
                asset: asset.clone(),
                currency: currency.into(),
            })?;
        self.of(pair)
    }

    /// The rate of a configured pair: more than half of its sources were heard, these are close to their median,
    /// and that is close to the last rate that was believed. The rate is the median of those that are close.
    ///
    /// # Errors
    /// As in [`Rates::rate`].
    pub fn of(&self, pair: &Pair) -> Result<Rate, RateProblem> {
        let rules = &self.plan.rules;
        let sources = self.plan.pairs.get(pair).map_or(0, BTreeMap::len);
        let needed = (sources / 2).saturating_add(1);
        let fresh = self.fresh(pair);
        let too_few = || RateProblem::TooFew {
            pair: pair.clone(),
            fresh: fresh.len(),
            needed,
            stale_after_ms: rules.stale_after_ms,
        };
        if fresh.len() < needed {
            return Err(too_few());
        }
        let middle = median(&fresh).ok_or_else(too_few)?;
        let is_close = |quote: &&Quote| quote.value.is_near(middle, rules.spread_millionths);
        let close: Vec<Quote> = fresh.iter().filter(is_close).cloned().collect();
        let value = median(&close).filter(|_| needed <= close.len());
        let value = value.ok_or_else(|| RateProblem::Disagree {
            pair: pair.clone(),
            agreeing: close.len(),
            needed,
        })?;
        if let Some(from) = self.believed(pair)
            && !value.is_near(from, rules.move_millionths)
        {
            return Err(RateProblem::Jumped {
                pair: pair.clone(),
                from,
                to: value,
            });
        }
        Ok(Rate {
            value,
            at: close.iter().map(|quote| quote.at).min().unwrap_or(self.now),
            quotes: close,
        })
    }

    /// What is stored of a pair's source.
    pub fn told(&self, pair: &Pair, source: &str) -> Option<&'a Told> {
        let mut told = self.told.iter();
        told.find(|told| told.pair == *pair && told.source.as_deref() == Some(source))
    }

    /// Whether what was read at a time still counts.
    pub fn is_fresh(&self, at: UnixMillis) -> bool {
        at.can_have_been(self.now) && self.now.ms_since(at) <= self.plan.rules.stale_after_ms
    }

    /// The last rate that was believed, while it is not stale.
    fn believed(&self, pair: &Pair) -> Option<RateValue> {
        let mut told = self.told.iter();
        let last = told.find(|told| told.pair == *pair && told.source.is_none())?;
        let (value, at) = last.value?;
        self.is_fresh(at).then_some(value)
    }

    /// What the sources of a pair say that is not stale; a table of the configuration says it now.
    fn fresh(&self, pair: &Pair) -> Vec<Quote> {
        let sources = self.plan.pairs.get(pair).into_iter().flatten();
        let quotes = sources.filter_map(|(source, fixed)| {
            let (value, at) = match fixed {
                Some(value) => (*value, self.now),
                None => self.told(pair, source)?.value?,
            };
            let source = source.clone();
            self.is_fresh(at).then_some(Quote { source, value, at })
        });
        quotes.collect()
    }
}

fn median(quotes: &[Quote]) -> Option<RateValue> {
    RateValue::median(quotes.iter().map(|quote| quote.value).collect())
}
