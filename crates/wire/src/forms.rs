//! Forms that several resources share: price, finality, policy.

use std::collections::BTreeMap;

use paywatch_domain::{Commitment, Finality, Policy, Price, Tag, Tier, Unconfirmed, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A price: decimal text and an ISO 4217 code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinalityForm {
    /// That many blocks, the one with the transfer included.
    Depth(u32),
    /// A block tag of an EVM node has reached its block.
    Tag(TagForm),
    /// A Solana commitment has reached its block.
    Commitment(CommitmentForm),
    /// Any one of these.
    Any(Vec<Self>),
    /// No block, for small amounts whose transaction keeps certain rules.
    Unconfirmed(UnconfirmedForm),
}

/// A block tag of an EVM node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TagForm {
    /// Justified.
    Safe,
    /// Finalized.
    Finalized,
}

/// A commitment of Solana.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommitmentForm {
    /// Two thirds of the stake have voted for the block.
    Confirmed,
    /// The block is rooted.
    Finalized,
}

/// When money counts without a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnconfirmedForm {
    /// The most that may count so at one time for one option.
    pub max: PriceForm,
    /// For how long the transaction must have been seen, in seconds.
    #[serde(default = "seen_s")]
    pub seen_s: u32,
}

fn seen_s() -> u32 {
    limits::SEEN_S_DEFAULT
}

impl From<&Finality> for FinalityForm {
    fn from(finality: &Finality) -> Self {
        match finality {
            Finality::Depth(depth) => Self::Depth(*depth),
            Finality::Tag(tag) => Self::Tag((*tag).into()),
            Finality::Commitment(commitment) => Self::Commitment((*commitment).into()),
            Finality::Any(alternatives) => Self::Any(alternatives.iter().map(Into::into).collect()),
            Finality::Unconfirmed(rule) => Self::Unconfirmed(UnconfirmedForm {
                max: (&rule.max).into(),
                seen_s: rule.seen_s,
            }),
        }
    }
}

impl From<FinalityForm> for Finality {
    fn from(form: FinalityForm) -> Self {
        match form {
            FinalityForm::Depth(depth) => Self::Depth(depth),
            FinalityForm::Tag(TagForm::Safe) => Self::Tag(Tag::Safe),
            FinalityForm::Tag(TagForm::Finalized) => Self::Tag(Tag::Finalized),
            FinalityForm::Commitment(CommitmentForm::Confirmed) => {
                Self::Commitment(Commitment::Confirmed)
            }
            FinalityForm::Commitment(CommitmentForm::Finalized) => {
                Self::Commitment(Commitment::Finalized)
            }
            FinalityForm::Any(forms) => Self::Any(forms.into_iter().map(Into::into).collect()),
            FinalityForm::Unconfirmed(form) => Self::Unconfirmed(Unconfirmed {
                max: form.max.into(),
                seen_s: form.seen_s,
            }),
        }
    }
}

impl From<Tag> for TagForm {
    fn from(tag: Tag) -> Self {
        match tag {
            Tag::Safe => Self::Safe,
            Tag::Finalized => Self::Finalized,
        }
    }
}

impl From<Commitment> for CommitmentForm {
    fn from(commitment: Commitment) -> Self {
        match commitment {
            Commitment::Confirmed => Self::Confirmed,
            Commitment::Finalized => Self::Finalized,
        }
    }
}

/// A policy as an invoice shows it. No tiers means: the finality of each chain's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyForm {
    /// Its name in the configuration; `null` when it was given with the request.
    pub name: Option<String>,
    /// What it asks for, by size of the price.
    pub tiers: Vec<TierForm>,
}

/// What a policy asks for up to an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
