//! The policy of a request: a name from the configuration, or tiers given inline.

use std::collections::BTreeMap;

use paywatch_domain::{
    AssetName, Catalogue, ChainName, Finality, Policy, PolicyError, PolicyFault, Rule, Tier, limits,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::NamedPolicies;
use super::fields::{Faults, Fields, token};
use super::price::read_price;
use crate::field::Code;
use crate::forms::{FinalityForm, PriceForm};

/// A policy as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(deny_unknown_fields)]
pub enum PolicyRequest {
    /// One of the configuration.
    Named(String),
    /// Given with the request.
    Inline {
        /// What it asks for, by size of the price.
        tiers: Vec<TierRequest>,
    },
}

/// What an inline policy asks for up to an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TierRequest {
    /// The largest amount that it is for, in the price's currency or the option's asset; missing in the
    /// last tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<PriceForm>,
    /// Finality by chain (`bitcoin`) or by asset (`usdc@base`).
    pub finality: BTreeMap<String, FinalityForm>,
}

impl PolicyRequest {
    /// Reads a name or an object with tiers.
    pub(super) fn read(value: &Value, at: &str, faults: &mut Faults) -> Option<Self> {
        if let Value::String(name) = value {
            return Some(Self::Named(name.clone()));
        }
        if !value.is_object() {
            faults.wrong_type(at, "a policy's name or an object with tiers", value);
            return None;
        }
        let mut fields = Fields::of(value, at, faults)?;
        let items = fields.list("tiers");
        let items = fields.require("tiers", items).unwrap_or_default();
        let mut tiers = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate().take(limits::POLICY_TIERS_MAX) {
            let at = format!("{}/{place}", fields.pointer("tiers"));
            tiers.extend(TierRequest::read(item, &at, fields.faults()));
        }
        if limits::POLICY_TIERS_MAX < items.len() {
            let detail = format!("at most {} tiers are possible", limits::POLICY_TIERS_MAX);
            fields.refuse("tiers", Code::PolicyInvalid, detail);
        }
        if items.is_empty() {
            fields.refuse("tiers", Code::PolicyInvalid, "a policy needs one tier");
        }
        fields.finish();
        Some(Self::Inline { tiers })
    }

    /// The policy in domain words; notes chains, assets and depths that cannot be.
    pub(super) fn check(
        &self,
        catalogue: &Catalogue,
        named: &NamedPolicies,
        faults: &mut Faults,
    ) -> Option<Policy> {
        match self {
            Self::Named(name) => {
                let policy = named.get(name);
                if policy.is_none() {
                    let detail = "no policy of this name in the configuration";
                    faults.refuse("/policy", Code::PolicyUnknown, detail);
                }
                policy
            }
            Self::Inline { tiers } => check_inline(tiers, catalogue, faults),
        }
    }
}

fn check_inline(
    tiers: &[TierRequest],
    catalogue: &Catalogue,
    faults: &mut Faults,
) -> Option<Policy> {
    let mut policy = Policy {
        name: None,
        tiers: Vec::with_capacity(tiers.len()),
    };
    let mut is_good = true;
    for (place, asked) in tiers.iter().enumerate() {
        let mut tier = Tier {
            up_to: asked.up_to.clone().map(Into::into),
            ..Tier::default()
        };
        for (name, form) in &asked.finality {
            if let Err((code, detail)) = add(&mut tier, catalogue, name, form.clone().into()) {
                faults.refuse(rule_pointer(place, name), code, detail);
                is_good = false;
            }
        }
        policy.tiers.push(tier);
    }
    for PolicyFault { tier, name, fault } in policy.faults(catalogue) {
        let mut at = rule_pointer(tier, &name);
        if let Some(number) = fault.alternative {
            at = format!("{at}/any/{number}");
        }
        faults.refuse(at, Code::from(&fault.error), fault.error.to_string());
        is_good = false;
    }
    // Which finality is wrong was noted above.
    if let Err((place, error)) = policy.check()
        && !matches!(error, PolicyError::Finality(_))
    {
        let at = format!("/policy/tiers/{place}/up_to");
        faults.refuse(at, Code::PolicyInvalid, error.to_string());
        is_good = false;
    }
    is_good.then_some(policy)
}

/// The JSON pointer of what a tier says about a chain or an asset.
fn rule_pointer(tier: usize, name: &str) -> String {
    format!("/policy/tiers/{tier}/finality/{}", token(name))
}

/// The JSON pointer of the rule that holds for an option: where it was given with the request, else of the
/// policy.
pub(super) fn pointer_of(policy: &Policy, rule: &Rule<'_>, asset: &AssetName) -> String {
    if policy.name.is_some() {
        return "/policy".to_owned();
    }
    let name = if rule.by_asset {
        asset.to_string()
    } else {
        asset.chain().to_string()
    };
    rule_pointer(rule.tier, &name)
}

/// Adds what a tier says about a chain or an asset.
fn add(
    tier: &mut Tier,
    catalogue: &Catalogue,
    name: &str,
    finality: Finality,
) -> Result<(), (Code, String)> {
    if name.contains('@') {
        let asset = name.parse::<AssetName>().ok();
        let asset = asset.filter(|asset| catalogue.asset(asset).is_some());
        let unknown = || (Code::AssetUnknown, "no such asset here".to_owned());
        tier.assets.insert(asset.ok_or_else(unknown)?, finality);
    } else {
        let chain = name.parse::<ChainName>().ok();
        let chain = chain.filter(|chain| catalogue.chain(chain).is_some());
        let unknown = || (Code::ChainUnknown, "no such chain here".to_owned());
        tier.chains.insert(chain.ok_or_else(unknown)?, finality);
    }
    Ok(())
}

impl TierRequest {
    fn read(value: &Value, at: &str, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let up_to = fields
            .deeper("up_to")
            .and_then(|(value, at, faults)| read_price(value, &at, faults));
        let mut finality = BTreeMap::new();
        let found = fields.value("finality");
        if let Some(value) = fields.require("finality", found) {
            let at = fields.pointer("finality");
            match value {
                Value::Object(map) if map.is_empty() => {
                    let detail = "must name a chain or an asset";
                    fields.refuse("finality", Code::PolicyInvalid, detail);
                }
                Value::Object(map) => {
                    for (name, value) in map {
                        let at = format!("{at}/{}", token(name));
                        let form = read_finality(value, &at, fields.faults());
                        finality.extend(form.map(|form| (name.clone(), form)));
                    }
                }
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => fields.faults().wrong_type(&at, "an object", value),
            }
        }
        fields.finish();
        Some(Self { up_to, finality })
    }
}

fn read_finality(value: &Value, at: &str, faults: &mut Faults) -> Option<FinalityForm> {
    let read: Result<FinalityForm, _> = serde::Deserialize::deserialize(value);
    if read.is_err() {
        faults.refuse(at, Code::FinalityInvalid, FINALITY_FORMS);
    }
    read.ok()
}

/// What a finality looks like, for those who wrote one that cannot be read.
const FINALITY_FORMS: &str = "must be one of {\"depth\": 3}, {\"tag\": \"safe\" or \"finalized\"}, \
    {\"commitment\": \"confirmed\" or \"finalized\"}, {\"any\": [..]} and {\"unconfirmed\": {\"max\": \
    {\"amount\": \"20.00\", \"currency\": \"USD\"}, \"seen_s\": 30}}";
