//! The policy of a request: a name from the configuration, or tiers given inline.

use std::collections::BTreeMap;

use paywatch_domain::{AssetName, Catalogue, ChainName, Finality, Policy, limits};
use serde::Serialize;
use serde_json::Value;

use super::NamedPolicies;
use super::fields::{Faults, Fields, token};
use crate::field::Code;
use crate::forms::FinalityForm;

/// A policy as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PolicyRequest {
    /// One of the configuration.
    Named(String),
    /// Given with the request.
    Inline {
        /// What it asks for, by size of the price.
        tiers: Vec<TierRequest>,
    },
}

/// What an inline policy asks for. An upper limit (`up_to`) is refused until prices are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TierRequest {
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
        for (place, item) in items.iter().enumerate() {
            let at = format!("{}/{place}", fields.pointer("tiers"));
            tiers.extend(TierRequest::read(item, &at, fields.faults()));
        }
        if items.len() > 1 {
            let detail = "one tier is possible; tiers by size of the price follow";
            fields.refuse("tiers", Code::PolicyTiersUnsupported, detail);
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
            Self::Inline { tiers } => {
                let mut policy = Policy {
                    name: None,
                    assets: BTreeMap::new(),
                    chains: BTreeMap::new(),
                };
                let entries = tiers.iter().flat_map(|tier| &tier.finality);
                for (name, form) in entries {
                    let finality = form.clone().into();
                    if let Err((code, detail)) = add(&mut policy, catalogue, name, finality) {
                        let at = format!("/policy/tiers/0/finality/{}", token(name));
                        faults.refuse(at, code, detail);
                    }
                }
                Some(policy)
            }
        }
    }
}

/// Adds what a policy says about a chain or an asset.
fn add(
    policy: &mut Policy,
    catalogue: &Catalogue,
    name: &str,
    finality: Finality,
) -> Result<(), (Code, String)> {
    match finality {
        Finality::Depth(depth) if !(1..=limits::DEPTH_MAX).contains(&depth) => {
            let detail = format!("a depth must be from 1 to {}", limits::DEPTH_MAX);
            return Err((Code::FinalityInvalid, detail));
        }
        Finality::Depth(_) => {}
    }
    if name.contains('@') {
        let asset = name.parse::<AssetName>().ok();
        let asset = asset.filter(|asset| catalogue.asset(asset).is_some());
        let unknown = || (Code::AssetUnknown, "no such asset here".to_owned());
        policy.assets.insert(asset.ok_or_else(unknown)?, finality);
    } else {
        let chain = name.parse::<ChainName>().ok();
        let chain = chain.filter(|chain| catalogue.chain(chain).is_some());
        let unknown = || (Code::ChainUnknown, "no such chain here".to_owned());
        policy.chains.insert(chain.ok_or_else(unknown)?, finality);
    }
    Ok(())
}

impl TierRequest {
    fn read(value: &Value, at: &str, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        if fields.value("up_to").is_some() {
            let detail = "a tier without an upper limit is possible; tiers by price follow";
            fields.refuse("up_to", Code::PolicyTiersUnsupported, detail);
        }
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
        Some(Self { finality })
    }
}

fn read_finality(value: &Value, at: &str, faults: &mut Faults) -> Option<FinalityForm> {
    let read: Result<FinalityForm, _> = serde::Deserialize::deserialize(value);
    if read.is_err() {
        let detail = "must be of the form {\"depth\": 3}, the one kind of finality so far";
        faults.refuse(at, Code::FinalityInvalid, detail);
    }
    read.ok()
}
