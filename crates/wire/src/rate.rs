//! Rates as merchants see them: the one that an invoice is bound to, and what is known at present.

use paywatch_domain::{Pair, Quote, Rate, RatePlan, RateProblem, Rates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::rfc3339;

/// What stands for a rate that more than one source stands behind.
const MEDIAN: &str = "median";

/// The rate by which a price became an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateForm {
    /// Units of the currency for one unit of the asset.
    pub value: String,
    /// The source's name in the configuration, or `median` of several.
    pub source: String,
    /// When it was read; of several the time of the oldest.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// What each source said that it stands on.
    #[serde(default)]
    pub sources: Vec<QuoteForm>,
}

/// What one source said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteForm {
    /// The source's name in the configuration.
    pub source: String,
    /// Units of the currency for one unit of the asset.
    pub value: String,
    /// When it was read.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
}

/// What is known about one pair of an asset and a currency at present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateState {
    /// The symbol of an asset, which holds for every chain, or `symbol@chain`.
    pub asset: String,
    /// The currency.
    pub currency: String,
    /// Always `rate`.
    pub object: String,
    /// The rate by which an invoice would be made now; `null` when none can be trusted.
    pub rate: Option<RateForm>,
    /// Why there is none.
    pub problem: Option<RateProblemForm>,
    /// Every source that is configured for it.
    pub sources: Vec<SourceState>,
}

/// Why there is no rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateProblemForm {
    /// `stale`, `disagree` or `jumped`.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// What one source of a pair said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceState {
    /// Its name in the configuration.
    pub source: String,
    /// `table` for a value of the configuration itself, else `http`.
    pub kind: String,
    /// What it said; `null` when it never said anything that could be read.
    pub value: Option<String>,
    /// When that was read, or from when it is by the source's own word; `null` for a table, which holds as long as it stands in the configuration.
    #[schemars(extend("format" = "date-time"))]
    pub at: Option<String>,
    /// Whether that was too long ago to count.
    pub stale: bool,
    /// What was wrong with its last answer: `unreachable`, `refused_address`, `timeout`, `status`,
    /// `redirected`, `too_large`, `not_json`, `missing`, `not_a_rate`, `not_a_time` or `ahead`.
    pub problem: Option<String>,
}

impl From<&Rate> for RateForm {
    fn from(rate: &Rate) -> Self {
        let source = match &rate.quotes[..] {
            [one] => one.source.to_string(),
            _ => MEDIAN.into(),
        };
        Self {
            value: rate.value.to_string(),
            source,
            at: rfc3339(rate.at),
            sources: rate.quotes.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Quote> for QuoteForm {
    fn from(quote: &Quote) -> Self {
        Self {
            source: quote.source.to_string(),
            value: quote.value.to_string(),
            at: rfc3339(quote.at),
        }
    }
}

impl From<&RateProblem> for RateProblemForm {
    fn from(problem: &RateProblem) -> Self {
        Self {
            code: problem.as_str().into(),
            detail: problem.to_string(),
        }
    }
}

impl RateState {
    /// Every pair of the plan, in the order of their names.
    pub fn all(plan: &RatePlan, rates: &Rates<'_>) -> Vec<Self> {
        plan.pairs
            .keys()
            .map(|pair| Self::render(plan, rates, pair))
            .collect()
    }

    fn render(plan: &RatePlan, rates: &Rates<'_>, pair: &Pair) -> Self {
        let (rate, problem) = match rates.of(pair) {
            Ok(rate) => (Some((&rate).into()), None),
            Err(problem) => (None, Some((&problem).into())),
        };
        let sources = plan.pairs.get(pair).into_iter().flatten();
        let sources = sources.map(|(source, fixed)| match fixed {
            Some(value) => SourceState {
                source: source.to_string(),
                kind: "table".into(),
                value: Some(value.to_string()),
                at: None,
                stale: false,
                problem: None,
            },
            None => SourceState::heard(rates, pair, source),
        });
        Self {
            asset: pair.asset().into(),
            currency: pair.currency().into(),
            object: "rate".into(),
            rate,
            problem,
            sources: sources.collect(),
        }
    }
}

impl SourceState {
    fn heard(rates: &Rates<'_>, pair: &Pair, source: &str) -> Self {
        let told = rates.told(pair, source);
        let value = told.and_then(|told| told.value);
        Self {
            source: source.into(),
            kind: "http".into(),
            value: value.map(|(value, _)| value.to_string()),
            at: value.map(|(_, at)| rfc3339(at)),
            stale: value.is_none_or(|(_, at)| !rates.is_fresh(at)),
            problem: told
                .and_then(|told| told.problem.as_deref())
                .map(Into::into),
        }
    }
}
