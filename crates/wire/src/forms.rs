//! Forms that several resources share: price, finality, policy.

use std::collections::BTreeMap;

use paywatch_domain::{Finality, Policy, Price, Tier};
use serde::{Deserialize, Serialize};

/// A price: decimal text and an ISO 4217 code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceForm {
    /// Decimal text in the currency's own unit.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
}

impl From<&Price> for PriceForm {
    fn from(price: &Price) -> Self {
        Self {
            amount: price.amount.to_string(),
            currency: price.currency.to_string(),
        }
    }
}

impl From<PriceForm> for Price {
    fn from(form: PriceForm) -> Self {
        Self {
            amount: form.amount.into(),
            currency: form.currency.into(),
        }
    }
}

/// What makes a transfer final, for example `{"depth": 3}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalityForm {
    /// That many blocks, the one with the transfer included.
    Depth(u32),
}

impl From<&Finality> for FinalityForm {
    fn from(finality: &Finality) -> Self {
        match finality {
            Finality::Depth(depth) => Self::Depth(*depth),
        }
    }
}

impl From<FinalityForm> for Finality {
    fn from(form: FinalityForm) -> Self {
        match form {
            FinalityForm::Depth(depth) => Self::Depth(depth),
        }
    }
}

/// A policy as an invoice shows it. No tiers means: the finality of each chain's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyForm {
    /// Its name in the configuration; `null` when it was given with the request.
    pub name: Option<String>,
    /// What it asks for, by size of the price.
    pub tiers: Vec<TierForm>,
}

/// What a policy asks for up to an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierForm {
    /// The largest amount that it is for, in a currency or an asset; missing in the last tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<PriceForm>,
    /// Finality by chain (`bitcoin`) or by asset (`usdc@base`); an asset wins over its chain.
    pub finality: BTreeMap<String, FinalityForm>,
}

impl From<&Tier> for TierForm {
    fn from(tier: &Tier) -> Self {
        let chains = tier
            .chains
            .iter()
            .map(|(chain, finality)| (chain.to_string(), finality.into()));
        let assets = tier
            .assets
            .iter()
            .map(|(asset, finality)| (asset.to_string(), finality.into()));
        Self {
            up_to: tier.up_to.as_ref().map(Into::into),
            // An asset's name holds an @ and a chain's name cannot, so one map says both.
            finality: chains.chain(assets).collect(),
        }
    }
}

impl From<&Policy> for PolicyForm {
    fn from(policy: &Policy) -> Self {
        Self {
            name: policy.name.as_deref().map(Into::into),
            tiers: policy.tiers.iter().map(Into::into).collect(),
        }
    }
}
