//! The ways to pay of a request: each is resolved by itself, and each fault is named by its pointer.

use std::collections::BTreeSet;

use paywatch_domain::{
    Amount, Asset, AssetName, Catalogue, ChainSpec, Finality, Mode, Policy, Price, TermsError,
    Tolerance, WalletId, limits, terms,
};

use super::create_invoice::CreateOption;
use super::draft::DraftOption;
use super::fields::Faults;
use super::policy::pointer_of;
use super::tolerance::ToleranceRequest;
use crate::field::Code;

/// What all options of a request share.
pub(super) struct Around<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) mode: Mode,
    pub(super) price: Option<&'a Price>,
    /// `None` when its fault was noted already.
    pub(super) policy: Option<&'a Policy>,
    pub(super) tolerance: Option<&'a ToleranceRequest>,
}

/// The options in domain words. Those that cannot stand are left out, and their faults noted.
pub(super) fn check_options(
    asked: &[CreateOption],
    around: &Around<'_>,
    faults: &mut Faults,
) -> Vec<DraftOption> {
    if asked.is_empty() {
        let detail = TermsError::NoOption.to_string();
        faults.refuse("/options", Code::OptionsRequired, detail);
    }
    if limits::OPTIONS_MAX < asked.len() {
        let detail = TermsError::TooManyOptions.to_string();
        faults.refuse("/options", Code::OptionsTooMany, detail);
        return Vec::new();
    }
    let mut known = BTreeSet::new();
    let options = asked.iter().enumerate().filter_map(|(place, option)| {
        let at = At(place);
        let checked = option.check(at, around, faults)?;
        let asset = &checked.asset.name;
        if !known.insert(asset.clone()) {
            let asset = asset.clone();
            let detail = TermsError::OptionTwice { asset }.to_string();
            faults.refuse(at.field("asset"), Code::OptionTwice, detail);
        }
        Some(checked)
    });
    options.collect()
}

/// The place of an option in the request.
#[derive(Clone, Copy)]
struct At(usize);

impl At {
    fn whole(self) -> String {
        format!("/options/{}", self.0)
    }

    fn field(self, name: &str) -> String {
        format!("/options/{}/{name}", self.0)
    }
}

impl CreateOption {
    fn check(&self, at: At, around: &Around<'_>, faults: &mut Faults) -> Option<DraftOption> {
        let wallet = self.wallet(at, faults);
        let (chain, asset) = self.asset(at, around, faults)?;
        let due = self.due(at, asset, around.price.is_some(), faults);
        let tolerance = match around.tolerance {
            None => Some(Tolerance::default()),
            Some(asked) => asked.check(asset.decimals, faults),
        };
        let (due, tolerance) = (due?, tolerance?);
        let bounds = bounds(at, asset, due, tolerance, around, faults);
        let finality = finality(at, chain, asset, due, around, faults);
        let (minimum, maximum) = bounds?;
        Some(DraftOption {
            asset: asset.clone(),
            due,
            minimum,
            maximum,
            tolerance,
            finality: finality?,
            wallet,
        })
    }

    fn asset<'a>(
        &self,
        at: At,
        around: &Around<'a>,
        faults: &mut Faults,
    ) -> Option<(&'a ChainSpec, &'a Asset)> {
        let mut refuse = |code, detail: String| {
            faults.refuse(at.field("asset"), code, detail);
            None
        };
        let Ok(name) = self.asset.parse::<AssetName>() else {
            let detail = "must be of the form symbol@chain, for example btc@bitcoin";
            return refuse(Code::AssetUnknown, detail.into());
        };
        let Some(chain) = around.catalogue.chain(name.chain()) else {
            let known = around.catalogue.assets(around.mode);
            let known = list(known.map(|asset| asset.name.to_string()));
            let detail = format!("no such chain here; there is {known}");
            return refuse(Code::ChainUnknown, detail);
        };
        let Some(asset) = chain.assets.iter().find(|asset| asset.name == name) else {
            let known = list(chain.assets.iter().map(|asset| asset.name.to_string()));
            let detail = format!("no such asset on this chain; there is {known}");
            return refuse(Code::AssetUnknown, detail);
        };
        if chain.mode != around.mode {
            let mode = around.mode.as_str();
            let detail = format!("the asset cannot be asked for with a {mode} key");
            return refuse(Code::AssetOtherMode, detail);
        }
        if !chain.enabled {
            let detail = format!("{} is not followed here: it has no node", chain.name);
            return refuse(Code::ChainDisabled, detail);
        }
        Some((chain, asset))
    }

    fn due(&self, at: At, asset: &Asset, has_price: bool, faults: &mut Faults) -> Option<Amount> {
        let at = at.field("amount");
        let Some(text) = &self.amount else {
            if has_price {
                let detail = "no exchange rates are configured; name the option's amount";
                faults.refuse(at, Code::RateUnavailable, detail);
            } else {
                faults.refuse(at, Code::Required, "name the option's amount");
            }
            return None;
        };
        let due = faults.amount(&at, text, asset.decimals)?;
        if due.is_zero() {
            let detail = TermsError::NothingDue.to_string();
            faults.refuse(at, Code::AmountZero, detail);
            return None;
        }
        Some(due)
    }

    /// Decoding has read the id already; a request that was made in code has not.
    fn wallet(&self, at: At, faults: &mut Faults) -> Option<WalletId> {
        let read = self.wallet_id.as_deref()?.parse::<WalletId>();
        if let Err(error) = &read {
            faults.refuse(at.field("wallet_id"), Code::IdInvalid, error.to_string());
        }
        read.ok()
    }
}

/// The least and the most that count as exactly paid.
fn bounds(
    at: At,
    asset: &Asset,
    due: Amount,
    tolerance: Tolerance,
    around: &Around<'_>,
    faults: &mut Faults,
) -> Option<(Amount, Amount)> {
    let error = match terms::bounds(due, tolerance) {
        Ok((minimum, _)) if minimum < asset.dust => TermsError::BelowDust { limit: asset.dust },
        Ok(bounds) => return Some(bounds),
        Err(error) => error,
    };
    let pointer = match around.tolerance {
        Some(asked) if error == TermsError::ToleranceTooWide => asked.under_pointer().into(),
        Some(_) | None => at.field("amount"),
    };
    faults.refuse(pointer, Code::from(&error), error.to_string());
    None
}

/// What makes the option final: by the policy, or else by its chain.
fn finality(
    at: At,
    chain: &ChainSpec,
    asset: &Asset,
    due: Amount,
    around: &Around<'_>,
    faults: &mut Faults,
) -> Option<Finality> {
    let (policy, name, decimals) = (around.policy?, &asset.name, asset.decimals);
    let rule = match policy.rule(name, decimals, due, around.price) {
        Ok(rule) => rule,
        Err(gap) => {
            faults.refuse(at.whole(), Code::from(&gap), gap.to_string());
            return None;
        }
    };
    let asked = rule.map_or(&chain.finality, |rule| rule.finality);
    match asked.resolve(name, decimals, due, around.price, &chain.finality) {
        Ok(finality) => Some(finality),
        Err(error) => {
            let pointer = rule.map_or_else(|| at.whole(), |rule| pointer_of(policy, &rule, name));
            faults.refuse(pointer, Code::from(&error), error.to_string());
            None
        }
    }
}

fn list(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
