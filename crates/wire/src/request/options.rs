//! The ways to pay of a request: each is resolved by itself, and each fault is named by its pointer.

use std::collections::BTreeSet;

use paywatch_domain::{
    Amount, AmountError, Asset, AssetName, Catalogue, ChainSpec, Finality, Mode, Policy, Price,
    Rate, Rates, Rounding, TermsError, Tolerance, WalletId, limits, terms,
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
    pub(super) price: Option<&'a Asked>,
    /// Whether a price was named, be it right or wrong.
    pub(super) has_price: bool,
    pub(super) rates: &'a Rates<'a>,
    /// `None` when its fault was noted already.
    pub(super) policy: Option<&'a Policy>,
    pub(super) tolerance: Option<&'a ToleranceRequest>,
}

/// The price, as it was named and as a count of the currency's smallest unit.
pub(super) struct Asked {
    pub(super) price: Price,
    pub(super) amount: Amount,
    pub(super) decimals: u8,
}

impl Around<'_> {
    fn named_price(&self) -> Option<&Price> {
        self.price.map(|asked| &asked.price)
    }
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
        let due = self.due(at, asset, around, faults);
        let tolerance = match around.tolerance {
            None => Some(Tolerance::default()),
            Some(asked) => asked.check(asset.decimals, faults),
        };
        let ((due, rate), tolerance) = (due?, tolerance?);
        let bounds = bounds(at, asset, due, tolerance, around, faults);
        let finality = finality(at, chain, asset, due, around, faults);
        let (minimum, maximum) = bounds?;
        Some(DraftOption {
            asset: asset.clone(),
            due,
            rate,
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

    /// What is asked for: the option's own amount, or what the price comes to, with the rate where one was needed.
    fn due(
        &self,
        at: At,
        asset: &Asset,
        around: &Around<'_>,
        faults: &mut Faults,
    ) -> Option<(Amount, Option<Rate>)> {
        let at = at.field("amount");
        let Some(text) = &self.amount else {
            return match around.price {
                Some(asked) => asked.in_asset(&at, asset, around.rates, faults),
                // A price that cannot stand was noted at its own place.
                None if around.has_price => None,
                None => {
                    faults.refuse(at, Code::Required, "name the option's amount, or a price");
                    None
                }
            };
        };
        let due = faults.amount(&at, text, asset.decimals)?;
        if due.is_zero() {
            let detail = TermsError::NothingDue.to_string();
            faults.refuse(at, Code::AmountZero, detail);
            return None;
        }
        Some((due, None))
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

impl Asked {
    /// What the price comes to in an asset, rounded up to its atomic unit.
    fn in_asset(
        &self,
        at: &str,
        asset: &Asset,
        rates: &Rates<'_>,
        faults: &mut Faults,
    ) -> Option<(Amount, Option<Rate>)> {
        let (due, rate) = if asset.name.is_currency(&self.price.currency) {
            let one = Amount::from_atomic(1);
            let due = self
                .amount
                .ratio(asset.decimals, one, self.decimals, Rounding::Up);
            (due, None)
        } else {
            let rate = match rates.rate(&asset.name, &self.price.currency) {
                Ok(rate) => rate,
                Err(problem) => {
                    let may_pass = problem.may_pass();
                    let code = if may_pass {
                        Code::RateUntrusted
                    } else {
                        Code::RateUnavailable
                    };
                    faults.refuse(at, code, problem.to_string());
                    return None;
                }
            };
            let due = rate
                .value
                .amount_due(self.amount, self.decimals, asset.decimals);
            (due, Some(rate))
        };
        if due.is_none() {
            let detail = AmountError::TooLarge.to_string();
            faults.refuse(at, Code::AmountTooLarge, detail);
        }
        Some((due?, rate))
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
    if around.has_price && around.price.is_none() {
        return None;
    }
    let (policy, name, decimals) = (around.policy?, &asset.name, asset.decimals);
    let rule = match policy.rule(name, decimals, due, around.named_price()) {
        Ok(rule) => rule,
        Err(gap) => {
            faults.refuse(at.whole(), Code::from(&gap), gap.to_string());
            return None;
        }
    };
    let asked = rule.map_or(&chain.finality, |rule| rule.finality);
    match asked.resolve(name, decimals, due, around.named_price(), &chain.finality) {
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
