//! Named policies: what makes a payment final, by size, chain and asset.

use std::collections::BTreeMap;

use paywatch_domain::{Catalogue, Policy, PolicyError, PolicyFault, Price, Tier};
use serde::Deserialize;
use toml::Table;

use super::Problem;
use super::settings::{FinalityText, note_fault, section};

/// A policy as it is written: tiers, or one tier without a limit in short.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PolicyForm {
    chains: BTreeMap<String, FinalityText>,
    assets: BTreeMap<String, FinalityText>,
    tiers: Vec<TierForm>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TierForm {
    up_to: Option<PriceForm>,
    chains: BTreeMap<String, FinalityText>,
    assets: BTreeMap<String, FinalityText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceForm {
    amount: String,
    currency: String,
}

/// Reads the named policies and holds them against the chains that there are.
pub(super) fn policies(
    table: &Table,
    catalogue: &Catalogue,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Policy> {
    let forms: BTreeMap<String, PolicyForm> =
        section(table, "policies", problems).unwrap_or_default();
    let mut policies = BTreeMap::new();
    for (name, form) in forms {
        let place = format!("policies.{name}");
        let tiers = form.tiers(&place, problems);
        let places: Vec<String> = tiers.iter().map(|(place, _)| place.clone()).collect();
        let tiers = tiers
            .into_iter()
            .map(|(place, tier)| tier.read(&place, catalogue, problems));
        let policy = Policy {
            name: Some(name.as_str().into()),
            tiers: tiers.collect(),
        };
        for PolicyFault { tier, name, fault } in policy.faults(catalogue) {
            let kind = if name.contains('@') {
                "assets"
            } else {
                "chains"
            };
            let tier = places.get(tier).unwrap_or(&place);
            note_fault(&format!("{tier}.{kind}.{name}"), &fault, problems);
        }
        // Which finality is wrong was said where it stands.
        if let Err((tier, error)) = policy.check()
            && !matches!(error, PolicyError::Finality(_))
        {
            problems.push(Problem {
                place: format!("{place}.tiers[{tier}]"),
                detail: error.to_string(),
            });
        }
        policies.insert(name, policy);
    }
    policies
}

impl PolicyForm {
    /// The tiers, and where each of them is written.
    fn tiers(self, place: &str, problems: &mut Vec<Problem>) -> Vec<(String, TierForm)> {
        let in_short = !self.chains.is_empty() || !self.assets.is_empty();
        if in_short && !self.tiers.is_empty() {
            problems.push(Problem {
                place: place.to_owned(),
                detail: "give either tiers, or chains and assets for every amount".to_owned(),
            });
        }
        if in_short {
            let tier = TierForm {
                up_to: None,
                chains: self.chains,
                assets: self.assets,
            };
            return vec![(place.to_owned(), tier)];
        }
        let tiers = self.tiers.into_iter().enumerate();
        tiers
            .map(|(number, tier)| (format!("{place}.tiers[{number}]"), tier))
            .collect()
    }
}

impl TierForm {
    fn read(self, place: &str, catalogue: &Catalogue, problems: &mut Vec<Problem>) -> Tier {
        let mut tier = Tier {
            up_to: self.up_to.map(|up_to| Price {
                amount: up_to.amount.into(),
                currency: up_to.currency.into(),
            }),
            ..Tier::default()
        };
        for (chain, finality) in self.chains {
            let place = format!("{place}.chains.{chain}");
            let finality = finality.read(&place, problems);
            let known = chain.parse().ok();
            match known.filter(|chain| catalogue.chain(chain).is_some()) {
                Some(chain) => tier
                    .chains
                    .extend(finality.map(|finality| (chain, finality))),
                None => problems.push(not_configured(place, "chain")),
            }
        }
        for (asset, finality) in self.assets {
            let place = format!("{place}.assets.{asset}");
            let finality = finality.read(&place, problems);
            let known = asset.parse().ok();
            match known.filter(|asset| catalogue.asset(asset).is_some()) {
                Some(asset) => tier
                    .assets
                    .extend(finality.map(|finality| (asset, finality))),
                None => problems.push(not_configured(place, "asset")),
            }
        }
        tier
    }
}

fn not_configured(place: String, what: &str) -> Problem {
    Problem {
        place,
        detail: format!("there is no such {what} in the chains file"),
    }
}
