//! The stored form of an invoice's terms.

use std::collections::BTreeMap;

use paywatch_domain::{
    Margin, OptionTerms, Policy, Quote, Rate, RateValue, Terms, Tier, Tolerance, UnixMillis,
};
use serde::{Deserialize, Serialize};

use super::{StoredError, Values};
use crate::forms::{FinalityForm, PriceForm};

pub(super) const FORM: &str = "terms";
const VALUES: Values = Values { form: FORM };

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TermsForm {
    v: u32,
    price: Option<PriceForm>,
    created_at: i64,
    expires_at: i64,
    late_until: i64,
    policy: StoredPolicy,
    success_url: Option<String>,
    cancel_url: Option<String>,
    options: Vec<StoredOption>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToleranceForm {
    under: MarginForm,
    over: MarginForm,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MarginForm {
    Millionths(u32),
    Amount(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPolicy {
    name: Option<String>,
    tiers: Vec<StoredTier>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredTier {
    up_to: Option<PriceForm>,
    assets: BTreeMap<String, FinalityForm>,
    chains: BTreeMap<String, FinalityForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredOption {
    id: String,
    asset: String,
    decimals: u8,
    due: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<StoredRate>,
    minimum: String,
    maximum: String,
    tolerance: ToleranceForm,
    dust: String,
    finality: FinalityForm,
    created_height: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredRate {
    value: String,
    at: i64,
    quotes: Vec<StoredQuote>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredQuote {
    source: String,
    value: String,
    at: i64,
}

impl From<&Terms> for TermsForm {
    fn from(terms: &Terms) -> Self {
        Self {
            v: super::VERSION,
            price: terms.price.as_ref().map(Into::into),
            created_at: terms.created_at.0,
            expires_at: terms.expires_at.0,
            late_until: terms.late_until.0,
            policy: (&terms.policy).into(),
            success_url: terms.success_url.as_deref().map(Into::into),
            cancel_url: terms.cancel_url.as_deref().map(Into::into),
            options: terms.options.iter().map(Into::into).collect(),
        }
    }
}

impl TermsForm {
    pub(super) fn into_domain(self) -> Result<Terms, StoredError> {
        let options = self.options.into_iter().map(StoredOption::into_domain);
        Ok(Terms {
            price: self.price.map(Into::into),
            created_at: UnixMillis(self.created_at),
            expires_at: UnixMillis(self.expires_at),
            late_until: UnixMillis(self.late_until),
            policy: self.policy.into_domain()?,
            success_url: self.success_url.map(Into::into),
            cancel_url: self.cancel_url.map(Into::into),
            options: options.collect::<Result<_, _>>()?,
        })
    }
}

impl From<Margin> for MarginForm {
    fn from(margin: Margin) -> Self {
        match margin {
            Margin::Millionths(parts) => Self::Millionths(parts),
            Margin::Amount(amount) => Self::Amount(amount.to_string()),
        }
    }
}

impl MarginForm {
    fn into_domain(self) -> Result<Margin, StoredError> {
        Ok(match self {
            Self::Millionths(parts) => Margin::Millionths(parts),
            Self::Amount(amount) => Margin::Amount(VALUES.amount("options.tolerance", &amount)?),
        })
    }
}

impl From<&Policy> for StoredPolicy {
    fn from(policy: &Policy) -> Self {
        Self {
            name: policy.name.as_deref().map(Into::into),
            tiers: policy.tiers.iter().map(Into::into).collect(),
        }
    }
}

impl StoredPolicy {
    fn into_domain(self) -> Result<Policy, StoredError> {
        let tiers = self.tiers.into_iter().map(StoredTier::into_domain);
        Ok(Policy {
            name: self.name.map(Into::into),
            tiers: tiers.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Tier> for StoredTier {
    fn from(tier: &Tier) -> Self {
        let assets = tier.assets.iter();
        let chains = tier.chains.iter();
        Self {
            up_to: tier.up_to.as_ref().map(Into::into),
            assets: assets
                .map(|(name, f)| (name.to_string(), f.into()))
                .collect(),
            chains: chains
                .map(|(name, f)| (name.to_string(), f.into()))
                .collect(),
        }
    }
}

impl StoredTier {
    fn into_domain(self) -> Result<Tier, StoredError> {
        let assets = self.assets.into_iter();
        let chains = self.chains.into_iter();
        Ok(Tier {
            up_to: self.up_to.map(Into::into),
            assets: assets
                .map(|(name, f)| Ok((VALUES.parse("policy.assets", &name)?, f.into())))
                .collect::<Result<_, StoredError>>()?,
            chains: chains
                .map(|(name, f)| Ok((VALUES.parse("policy.chains", &name)?, f.into())))
                .collect::<Result<_, StoredError>>()?,
        })
    }
}

impl From<&OptionTerms> for StoredOption {
    fn from(option: &OptionTerms) -> Self {
        Self {
            id: option.id.to_string(),
            asset: option.asset.to_string(),
            decimals: option.decimals,
            due: option.due.to_string(),
            rate: option.rate.as_ref().map(Into::into),
            minimum: option.minimum.to_string(),
            maximum: option.maximum.to_string(),
            tolerance: ToleranceForm {
                under: option.tolerance.under.into(),
                over: option.tolerance.over.into(),
            },
            dust: option.dust.to_string(),
            finality: (&option.finality).into(),
            created_height: option.created_height,
        }
    }
}

impl StoredOption {
    fn into_domain(self) -> Result<OptionTerms, StoredError> {
        Ok(OptionTerms {
            id: VALUES.parse("options.id", &self.id)?,
            asset: VALUES.parse("options.asset", &self.asset)?,
            decimals: self.decimals,
            due: VALUES.amount("options.due", &self.due)?,
            rate: self.rate.map(StoredRate::into_domain).transpose()?,
            minimum: VALUES.amount("options.minimum", &self.minimum)?,
            maximum: VALUES.amount("options.maximum", &self.maximum)?,
            tolerance: Tolerance {
                under: self.tolerance.under.into_domain()?,
                over: self.tolerance.over.into_domain()?,
            },
            dust: VALUES.amount("options.dust", &self.dust)?,
            finality: self.finality.into(),
            created_height: self.created_height,
        })
    }
}

impl From<&Rate> for StoredRate {
    fn from(rate: &Rate) -> Self {
        let quotes = rate.quotes.iter().map(|quote| StoredQuote {
            source: quote.source.to_string(),
            value: quote.value.to_string(),
            at: quote.at.0,
        });
        Self {
            value: rate.value.to_string(),
            at: rate.at.0,
            quotes: quotes.collect(),
        }
    }
}

impl StoredRate {
    fn into_domain(self) -> Result<Rate, StoredError> {
        let value = |text: &str| VALUES.parse::<RateValue>("options.rate", text);
        let quotes = self.quotes.into_iter().map(|quote| {
            Ok(Quote {
                value: value(&quote.value)?,
                source: quote.source.into(),
                at: UnixMillis(quote.at),
            })
        });
        Ok(Rate {
            value: value(&self.value)?,
            at: UnixMillis(self.at),
            quotes: quotes.collect::<Result<_, StoredError>>()?,
        })
    }
}
