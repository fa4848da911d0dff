//! From a request to an invoice's terms in domain words, or to everything that is wrong with it.

use std::collections::BTreeMap;

use paywatch_domain::{
    Amount, Asset, Catalogue, Finality, Mode, Policy, Price, Rate, Rates, Tolerance, WalletId,
    limits,
};

use super::create_invoice::CreateInvoice;
use super::fields::Faults;
use super::options::{Around, Asked, check_options};
use crate::field::{Code, FieldError};

/// Seconds from creation to expiry when the request names none.
pub const EXPIRES_IN_S_DEFAULT: u64 = 900;
/// Seconds of the late window when the request names none: a week.
pub const LATE_WINDOW_S_DEFAULT: u64 = 604_800;
/// The policy when the request names none.
pub const POLICY_DEFAULT: &str = "default";

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
    /// The rate by which the price became that; `None` where none was needed.
    pub rate: Option<Rate>,
    /// The least that counts as paid.
    pub minimum: Amount,
    /// The most that counts as exactly paid.
    pub maximum: Amount,
    /// The margins that were asked for, in this asset.
    pub tolerance: Tolerance,
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
    /// The currency of the price, when an option has to be valued in it: it names no amount of its own.
    pub fn currency_to_convert(&self) -> Option<&str> {
        let price = self.price.as_ref()?;
        let mut options = self.options.iter();
        options
            .any(|option| option.amount.is_none())
            .then_some(&*price.currency)
    }

    /// The invoice in domain words.
    ///
    /// # Errors
    /// Every field that cannot stand, with its code.
    pub fn check(
        &self,
        catalogue: &Catalogue,
        policies: &NamedPolicies,
        rates: &Rates<'_>,
        mode: Mode,
    ) -> Result<Draft, Vec<FieldError>> {
        let mut faults = Faults::default();
        let price = self.check_price(catalogue, &mut faults);
        let policy = match &self.policy {
            None => policies.get(POLICY_DEFAULT),
            Some(policy) => policy.check(catalogue, policies, &mut faults),
        };
        let (expires_in_s, late_window_s) = self.check_times(&mut faults);
        let around = Around {
            catalogue,
            mode,
            price: price.as_ref(),
            has_price: self.price.is_some(),
            rates,
            policy: policy.as_ref(),
            tolerance: self.tolerance.as_ref(),
        };
        let options = check_options(&self.options, &around, &mut faults);
        faults.into_result()?;
        // Whatever is missing here was noted above.
        Ok(Draft {
            options,
            expires_in_s,
            late_window_s,
            policy: policy.ok_or_else(Vec::new)?,
            price: price.map(|asked| asked.price),
            order_id: self.order_id.as_deref().map(Into::into),
            metadata: self.metadata.as_ref().map_or("{}", |m| m.as_str()).into(),
            success_url: self.success_url.as_deref().map(Into::into),
            cancel_url: self.cancel_url.as_deref().map(Into::into),
        })
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

    fn check_price(&self, catalogue: &Catalogue, faults: &mut Faults) -> Option<Asked> {
        let form = self.price.as_ref()?;
        let Some(decimals) = catalogue.price_decimals(&form.currency) else {
            let detail = "must be a currency of ISO 4217, for example USD, or the symbol of an asset in capitals";
            faults.refuse("/price/currency", Code::CurrencyInvalid, detail);
            // Its digits are checked all the same, so that everything is said at once.
            faults.amount("/price/amount", &form.amount, limits::PRICE_DECIMALS_ANY);
            return None;
        };
        let amount = faults.amount("/price/amount", &form.amount, decimals)?;
        if amount.is_zero() {
            faults.refuse("/price/amount", Code::AmountZero, "must be above zero");
            return None;
        }
        Some(Asked {
            price: form.clone().into(),
            amount,
            decimals,
        })
    }
}
