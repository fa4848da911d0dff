//! From a request to an invoice's terms in domain words, or to everything that is wrong with it.

use std::collections::BTreeMap;

use paywatch_domain::{
    Amount, Asset, AssetName, Catalogue, ChainSpec, Finality, Mode, Policy, Price, TermsError,
    Tolerance, WalletId, limits, terms,
};

use super::create_invoice::{CreateInvoice, CreateOption};
use super::fields::Faults;
use crate::field::{Code, FieldError};

/// Seconds from creation to expiry when the request names none.
pub const EXPIRES_IN_S_DEFAULT: u64 = 900;
/// Seconds of the late window when the request names none: a week.
pub const LATE_WINDOW_S_DEFAULT: u64 = 604_800;
/// The policy when the request names none.
pub const POLICY_DEFAULT: &str = "default";
/// Pointers into the one option.
const ASSET: &str = "/options/0/asset";
const AMOUNT: &str = "/options/0/amount";

/// What an invoice will be, before it has ids, an address and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The price, when there is one.
    pub price: Option<Price>,
    /// The ways to pay; at least one.
    pub options: Vec<DraftOption>,
    /// Seconds from creation to expiry.
    pub expires_in_s: u64,
    /// Seconds after expiry in which late money counts.
    pub late_window_s: u64,
    /// The margins that were asked for.
    pub tolerance: Tolerance,
    /// The policy as it is now.
    pub policy: Policy,
    /// The merchant's own reference.
    pub order_id: Option<Box<str>>,
    /// A JSON object as text; `{}` when there is none.
    pub metadata: Box<str>,
    /// Where a payer goes after paying.
    pub success_url: Option<Box<str>>,
    /// Where a payer goes who gives up.
    pub cancel_url: Option<Box<str>>,
}

/// One way to pay, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftOption {
    /// What is to be paid.
    pub asset: Asset,
    /// What is asked for.
    pub due: Amount,
    /// The least that counts as paid.
    pub minimum: Amount,
    /// The most that counts as exactly paid.
    pub maximum: Amount,
    /// What makes a transfer to it final, by the policy or else by the chain.
    pub finality: Finality,
    /// The wallet that was named; the family's default when `None`.
    pub wallet: Option<WalletId>,
}

/// The policies of the configuration by name.
///
/// `default` is always there: without one in the configuration it asks for what each chain asks for.
#[derive(Clone, Debug, Default)]
pub struct NamedPolicies(BTreeMap<String, Policy>);

impl NamedPolicies {
    /// These policies; one without a name is left out.
    pub fn new(policies: impl IntoIterator<Item = Policy>) -> Self {
        let named = policies.into_iter().filter_map(|policy| {
            let name = policy.name.as_deref()?.to_owned();
            Some((name, policy))
        });
        Self(named.collect())
    }

    /// The policy of this name.
    pub fn get(&self, name: &str) -> Option<Policy> {
        let implied = || Policy {
            name: Some(POLICY_DEFAULT.into()),
            tiers: Vec::new(),
        };
        let found = self.0.get(name).cloned();
        found.or_else(|| (name == POLICY_DEFAULT).then(implied))
    }
}

impl CreateInvoice {
    /// The invoice in domain words.
    ///
    /// # Errors
    /// Every field that cannot stand, with its code.
    pub fn check(
        &self,
        catalogue: &Catalogue,
        policies: &NamedPolicies,
        mode: Mode,
    ) -> Result<Draft, Vec<FieldError>> {
        let mut faults = Faults::default();
        let price = self.check_price(&mut faults);
        let policy = match &self.policy {
            None => policies.get(POLICY_DEFAULT),
            Some(policy) => policy.check(catalogue, policies, &mut faults),
        };
        let (expires_in_s, late_window_s) = self.check_times(&mut faults);
        let resolved = match self.options.as_slice() {
            [] => {
                let detail = "an invoice needs one payment option";
                faults.refuse("/options", Code::OptionsRequired, detail);
                None
            }
            [option] => self.check_option(option, catalogue, mode, &mut faults),
            [_, ..] => {
                let detail = "one option is possible; several options follow";
                faults.refuse("/options", Code::OptionsUnsupported, detail);
                None
            }
        };
        let option = match (resolved, &policy) {
            (Some((tolerance, resolved)), Some(policy)) => resolved
                .under(policy, price.as_ref(), &mut faults)
                .map(|option| (tolerance, option)),
            (_, None) | (None, _) => None,
        };
        match (faults.into_result(), option, policy) {
            (Ok(()), Some((tolerance, option)), Some(policy)) => Ok(Draft {
                price,
                options: vec![option],
                expires_in_s,
                late_window_s,
                tolerance,
                policy,
                order_id: self.order_id.as_deref().map(Into::into),
                metadata: self.metadata.as_ref().map_or("{}", |m| m.as_str()).into(),
                success_url: self.success_url.as_deref().map(Into::into),
                cancel_url: self.cancel_url.as_deref().map(Into::into),
            }),
            (result, _, _) => Err(result.err().unwrap_or_default()),
        }
    }

    /// Decoding has checked the ranges already; a request that was made in code has not.
    fn check_times(&self, faults: &mut Faults) -> (u64, u64) {
        let expiry = self.expires_in_s.unwrap_or(EXPIRES_IN_S_DEFAULT);
        if !(1..=limits::EXPIRES_IN_S_MAX).contains(&expiry) {
            let detail = format!("must be from 1 to {} seconds", limits::EXPIRES_IN_S_MAX);
            faults.refuse("/expires_in_s", Code::ExpiresInInvalid, detail);
        }
        let late = self.late_window_s.unwrap_or(LATE_WINDOW_S_DEFAULT);
        if limits::LATE_WINDOW_S_MAX < late {
            let detail = format!("must be from 0 to {} seconds", limits::LATE_WINDOW_S_MAX);
            faults.refuse("/late_window_s", Code::LateWindowInvalid, detail);
        }
        (expiry, late)
    }

    fn check_price(&self, faults: &mut Faults) -> Option<Price> {
        let form = self.price.as_ref()?;
        let amount = faults.amount("/price/amount", &form.amount, limits::PRICE_DECIMALS);
        if amount.is_some_and(Amount::is_zero) {
            faults.refuse("/price/amount", Code::AmountZero, "must be above zero");
        }
        let letters = form.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        if !letters || form.currency.len() != 3 {
            let detail = "must be three capital letters (ISO 4217), for example USD";
            faults.refuse("/price/currency", Code::CurrencyInvalid, detail);
        }
        Some(form.clone().into())
    }

    fn check_option(
        &self,
        option: &CreateOption,
        catalogue: &Catalogue,
        mode: Mode,
        faults: &mut Faults,
    ) -> Option<(Tolerance, Resolved)> {
        let wallet = option.wallet(faults);
        let (chain, asset) = option.asset(catalogue, mode, faults)?;
        let due = option.due(asset, self.price.is_some(), faults);
        let tolerance = match &self.tolerance {
            None => Some(Tolerance::default()),
            Some(asked) => asked.check(asset.decimals, faults),
        };
        let (due, tolerance) = (due?, tolerance?);
        let (minimum, maximum) = match terms::bounds(due, tolerance) {
            Ok((minimum, _)) if minimum < asset.dust => {
                let detail = TermsError::BelowDust { limit: asset.dust }.to_string();
                faults.refuse(AMOUNT, Code::AmountBelowDust, detail);
                return None;
            }
            Ok(bounds) => bounds,
            Err(error) => {
                let too_wide = error == TermsError::ToleranceTooWide;
                let pointer = if too_wide { "/tolerance" } else { AMOUNT };
                faults.refuse(pointer, Code::from(&error), error.to_string());
                return None;
            }
        };
        let resolved = Resolved {
            asset: asset.clone(),
            due,
            minimum,
            maximum,
            chain_finality: chain.finality.clone(),
            wallet,
        };
        Some((tolerance, resolved))
    }
}

/// An option whose finality waits for the policy, which is checked beside it.
struct Resolved {
    asset: Asset,
    due: Amount,
    minimum: Amount,
    maximum: Amount,
    chain_finality: Finality,
    wallet: Option<WalletId>,
}

impl Resolved {
    fn under(
        self,
        policy: &Policy,
        price: Option<&Price>,
        faults: &mut Faults,
    ) -> Option<DraftOption> {
        let asked = policy.finality(&self.asset.name, self.asset.decimals, self.due, price);
        let finality = match asked {
            Ok(Some(finality)) => finality.clone(),
            Ok(None) => self.chain_finality,
            Err(gap) => {
                faults.refuse("/policy", Code::from(&gap), gap.to_string());
                return None;
            }
        };
        Some(DraftOption {
            asset: self.asset,
            due: self.due,
            minimum: self.minimum,
            maximum: self.maximum,
            finality,
            wallet: self.wallet,
        })
    }
}

impl CreateOption {
    fn asset<'a>(
        &self,
        catalogue: &'a Catalogue,
        mode: Mode,
        faults: &mut Faults,
    ) -> Option<(&'a ChainSpec, &'a Asset)> {
        let name = self.asset.parse::<AssetName>().ok();
        let asset = name.as_ref().and_then(|name| catalogue.asset(name));
        let chain = asset.and_then(|asset| catalogue.chain(asset.name.chain()));
        let (Some(asset), Some(chain)) = (asset, chain) else {
            let known = catalogue.assets(mode).map(|asset| asset.name.to_string());
            let known: Vec<String> = known.collect();
            let detail = format!("no such asset here; there is {}", known.join(", "));
            faults.refuse(ASSET, Code::AssetUnknown, detail);
            return None;
        };
        if chain.mode != mode {
            let detail = format!("the asset cannot be asked for with a {} key", mode.as_str());
            faults.refuse(ASSET, Code::AssetOtherMode, detail);
            return None;
        }
        Some((chain, asset))
    }

    fn due(&self, asset: &Asset, has_price: bool, faults: &mut Faults) -> Option<Amount> {
        let Some(text) = &self.amount else {
            if has_price {
                let detail = "no exchange rates are configured; name the option's amount";
                faults.refuse(AMOUNT, Code::RateUnavailable, detail);
            } else {
                faults.refuse(AMOUNT, Code::Required, "name the option's amount");
            }
            return None;
        };
        let due = faults.amount(AMOUNT, text, asset.decimals)?;
        if due.is_zero() {
            let detail = TermsError::NothingDue.to_string();
            faults.refuse(AMOUNT, Code::AmountZero, detail);
            return None;
        }
        Some(due)
    }

    /// Decoding has read the id already; a request that was made in code has not.
    fn wallet(&self, faults: &mut Faults) -> Option<WalletId> {
        let read = self.wallet_id.as_deref()?.parse::<WalletId>();
        if let Err(error) = &read {
            faults.refuse("/options/0/wallet_id", Code::IdInvalid, error.to_string());
        }
        read.ok()
    }
}
