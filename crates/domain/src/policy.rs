//! Policies: which finality an amount of an asset needs.

use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::asset::AssetName;
use crate::catalogue::{Catalogue, ChainSpec};
use crate::chain::ChainName;
use crate::finality::{Finality, FinalityError, FinalityFault};
use crate::limits;

/// A price in a currency, as the merchant named it. Exact decimal text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Decimal text in the currency's own unit.
    pub amount: Box<str>,
    /// ISO 4217 code.
    pub currency: Box<str>,
}

/// A policy as it was at creation, copied into the invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name in the configuration; `None` when it was given with the request.
    pub name: Option<Box<str>>,
    /// Smaller amounts first. Without tiers each chain's own default holds.
    pub tiers: Vec<Tier>,
}

/// What a policy asks for up to an amount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tier {
    /// The largest amount that it is for; `None` in the last tier.
    pub up_to: Option<Price>,
    /// What each asset needs; an asset that is missing falls back to its chain.
    pub assets: BTreeMap<AssetName, Finality>,
    /// What each chain needs.
    pub chains: BTreeMap<ChainName, Finality>,
}

/// What is wrong with a policy, whatever is to be paid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The last tier has a limit: nothing would hold above it.
    #[error("the last tier must have no up_to, so that it holds for everything above")]
    NoEnd,
    /// A tier without a limit is not the last one: those behind it would never hold.
    #[error("only the last tier may be without up_to")]
    EndTooEarly,
    /// A limit is not an amount above zero.
    #[error("up_to must be an amount above zero")]
    Ceiling,
    /// A limit is not larger than the one before.
    #[error("up_to must be larger than that of the tier before")]
    Order,
    /// Two limits are in two currencies.
    #[error("the limits of all tiers must be in one currency")]
    Currencies,
    /// A finality that cannot be, on whatever chain.
    #[error("{0}")]
    Finality(FinalityError),
}

/// The tier that holds for an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// Its place, from 0.
    pub tier: usize,
    /// What its limit was held against.
    pub basis: Basis,
    /// Whether it names the asset, and not only its chain.
    pub by_asset: bool,
    /// What it asks for.
    pub finality: &'a Finality,
}

/// A finality of a policy that cannot be on the chain that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFault {
    /// The tier's place, from 0.
    pub tier: usize,
    /// The chain or the asset, as it is named there.
    pub name: String,
    /// What is wrong.
    pub fault: FinalityFault,
}

/// What the limits of tiers are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The price.
    Price,
    /// What is due.
    Due,
    /// Nothing: there is only one tier.
    Nothing,
}

/// Why a policy says nothing about an option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyGap {
    /// Neither price nor option is in the currency of the tiers.
    #[error(
        "the policy's tiers are in {currency}; give a price in {currency}, or choose a policy without tiers"
    )]
    NotComparable {
        /// The currency of the tiers.
        currency: Box<str>,
    },
    /// The tier that holds names neither the asset nor its chain.
    #[error("the policy's tier {} says nothing about {asset} or {}", tier.saturating_add(1), asset.chain())]
    NoRule {
        /// The tier's place, from 0.
        tier: usize,
        /// The asset.
        asset: AssetName,
    },
}

impl Policy {
    /// Checks what every part of the house relies on. The number is the place of the tier.
    pub fn check(&self) -> Result<(), (usize, PolicyError)> {
        let last = self.tiers.len().saturating_sub(1);
        let mut below: Option<(&Price, Amount)> = None;
        for (place, tier) in self.tiers.iter().enumerate() {
            tier.check().map_err(|error| (place, error))?;
            let Some(ceiling) = &tier.up_to else {
                if place < last {
                    return Err((place, PolicyError::EndTooEarly));
                }
                continue;
            };
            if place == last {
                return Err((place, PolicyError::NoEnd));
            }
            let amount = Amount::parse(&ceiling.amount, limits::PRICE_DECIMALS_ANY).ok();
            let amount = amount.filter(|amount| !amount.is_zero());
            let amount = amount.ok_or((place, PolicyError::Ceiling))?;
            if let Some((before, smaller)) = below {
                if before.currency != ceiling.currency {
                    return Err((place, PolicyError::Currencies));
                }
                if amount <= smaller {
                    return Err((place, PolicyError::Order));
                }
            }
            below = Some((ceiling, amount));
        }
        Ok(())
    }

    /// What this policy asks for; `None` when it has no tiers and the chain's own default holds.
    ///
    /// The tier is chosen by the price where it is in the tiers' currency, else by what is due where
    /// that is of the tiers' currency.
    pub fn rule(
        &self,
        asset: &AssetName,
        decimals: u8,
        due: Amount,
        price: Option<&Price>,
    ) -> Result<Option<Rule<'_>>, PolicyGap> {
        let mut basis = Basis::Nothing;
        for (place, tier) in self.tiers.iter().enumerate() {
            if let Some(ceiling) = &tier.up_to {
                let is_within;
                (basis, is_within) = held_against(ceiling, asset, decimals, due, price)?;
                if !is_within {
                    continue;
                }
            }
            let of_asset = tier.assets.get(asset);
            let found = of_asset.or_else(|| tier.chains.get(asset.chain()));
            let gap = || PolicyGap::NoRule {
                tier: place,
                asset: asset.clone(),
            };
            return Ok(Some(Rule {
                tier: place,
                basis,
                by_asset: of_asset.is_some(),
                finality: found.ok_or_else(gap)?,
            }));
        }
        Ok(None)
    }

    /// Every finality that cannot be on its chain. Names that the catalogue does not hold are no fault
    /// here.
    pub fn faults(&self, catalogue: &Catalogue) -> Vec<PolicyFault> {
        let mut faults = Vec::new();
        for (tier, asked) in self.tiers.iter().enumerate() {
            let chains = asked.chains.iter().filter_map(|(chain, finality)| {
                Some((chain.to_string(), catalogue.chain(chain)?, None, finality))
            });
            let assets = asked.assets.iter().filter_map(|(asset, finality)| {
                let chain = catalogue.chain(asset.chain())?;
                Some((asset.to_string(), chain, Some(asset), finality))
            });
            for (name, chain, asset, finality) in chains.chain(assets) {
                let mut found = finality.faults(Some(chain.family));
                found.extend(self.cap_fault(chain, asset, finality));
                faults.extend(found.into_iter().map(|fault| PolicyFault {
                    tier,
                    name: name.clone(),
                    fault,
                }));
            }
        }
        faults
    }

    /// A cap that can never be held against anything: the tiers are chosen by a price in another currency,
    /// and it is no asset of the chain.
    fn cap_fault(
        &self,
        chain: &ChainSpec,
        asset: Option<&AssetName>,
        finality: &Finality,
    ) -> Option<FinalityFault> {
        let tiers = self.currency()?;
        let is_cap = |one: &Finality| matches!(one, Finality::Unconfirmed(_));
        let place = finality.alternatives().iter().position(is_cap)?;
        let currency = &finality.unconfirmed()?.max.currency;
        let is_asset = |name: &AssetName| name.symbol().eq_ignore_ascii_case(currency);
        let known = match asset {
            Some(asset) => is_asset(asset),
            None => chain.assets.iter().any(|asset| is_asset(&asset.name)),
        };
        (!known && **currency != *tiers).then(|| FinalityFault {
            alternative: matches!(finality, Finality::Any(_)).then_some(place),
            error: FinalityError::CapNotComparable(currency.clone()),
        })
    }

    /// The currency of the tiers' limits, where they have any.
    pub fn currency(&self) -> Option<&str> {
        let mut limits = self.tiers.iter().filter_map(|tier| tier.up_to.as_ref());
        limits.next().map(|limit| &*limit.currency)
    }
}

/// What a tier's limit is held against, and whether that is not above it.
fn held_against(
    ceiling: &Price,
    asset: &AssetName,
    decimals: u8,
    due: Amount,
    price: Option<&Price>,
) -> Result<(Basis, bool), PolicyGap> {
    let not_comparable = || PolicyGap::NotComparable {
        currency: ceiling.currency.clone(),
    };
    let read =
        |text: &str, decimals: u8| Amount::parse(text, decimals).map_err(|_| not_comparable());
    match price {
        Some(price) if price.currency == ceiling.currency => {
            let decimals = limits::PRICE_DECIMALS_ANY;
            let is_within = read(&price.amount, decimals)? <= read(&ceiling.amount, decimals)?;
            Ok((Basis::Price, is_within))
        }
        Some(_) | None if asset.symbol().eq_ignore_ascii_case(&ceiling.currency) => {
            Ok((Basis::Due, due <= read(&ceiling.amount, decimals)?))
        }
        Some(_) | None => Err(not_comparable()),
    }
}

impl Tier {
    fn check(&self) -> Result<(), PolicyError> {
        let rules = self.assets.values().chain(self.chains.values());
        let mut faults = rules.flat_map(|rule| rule.faults(None));
        match faults.next() {
            Some(fault) => Err(PolicyError::Finality(fault.error)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(up_to: Option<(&str, &str)>, depth: u32) -> Tier {
        Tier {
            up_to: up_to.map(|(amount, currency)| Price {
                amount: amount.into(),
                currency: currency.into(),
            }),
            assets: BTreeMap::new(),
            chains: BTreeMap::from([("bitcoin".parse().unwrap(), Finality::Depth(depth))]),
        }
    }

    fn policy(tiers: Vec<Tier>) -> Policy {
        Policy { name: None, tiers }
    }

    #[test]
    fn tiers_ascend_in_one_currency_and_have_an_end() {
        let (small, large) = (Some(("100", "USD")), Some(("100.01", "USD")));
        let cases = [
            (vec![], Ok(())),
            (vec![tier(None, 1)], Ok(())),
            (vec![tier(small, 1), tier(large, 2), tier(None, 3)], Ok(())),
            (vec![tier(small, 1)], Err((0, PolicyError::NoEnd))),
            (
                vec![tier(None, 1), tier(None, 2)],
                Err((0, PolicyError::EndTooEarly)),
            ),
            (
                vec![tier(large, 1), tier(small, 2), tier(None, 3)],
                Err((1, PolicyError::Order)),
            ),
            (
                vec![tier(small, 1), tier(Some(("200", "EUR")), 2), tier(None, 3)],
                Err((1, PolicyError::Currencies)),
            ),
            (
                vec![tier(Some(("0", "USD")), 1), tier(None, 3)],
                Err((0, PolicyError::Ceiling)),
            ),
            (
                vec![tier(Some(("many", "USD")), 1), tier(None, 3)],
                Err((0, PolicyError::Ceiling)),
            ),
            (
                vec![tier(None, 0)],
                Err((0, PolicyError::Finality(FinalityError::Depth))),
            ),
        ];
        for (tiers, expected) in cases {
            assert_eq!(policy(tiers.clone()).check(), expected, "{tiers:?}");
        }
    }

    #[test]
    fn a_tier_is_chosen_by_price_or_by_what_is_due() {
        let asset: AssetName = "btc@bitcoin".parse().unwrap();
        let price = |amount: &str, currency: &str| Price {
            amount: amount.into(),
            currency: currency.into(),
        };
        let by_price = policy(vec![tier(Some(("100.00", "USD")), 1), tier(None, 3)]);
        let by_asset = policy(vec![tier(Some(("0.001", "BTC")), 1), tier(None, 3)]);
        let due = Amount::from_atomic(100_000);
        let not_comparable = PolicyGap::NotComparable {
            currency: "USD".into(),
        };
        let cases = [
            (&by_price, due, Some(price("100.00", "USD")), Ok(1)),
            (&by_price, due, Some(price("100.01", "USD")), Ok(3)),
            (
                &by_price,
                due,
                Some(price("1", "EUR")),
                Err(not_comparable.clone()),
            ),
            (&by_price, due, None, Err(not_comparable)),
            (&by_asset, due, None, Ok(1)),
            (&by_asset, Amount::from_atomic(100_001), None, Ok(3)),
            (&by_asset, due, Some(price("9000", "USD")), Ok(1)),
        ];
        for (policy, due, price, expected) in cases {
            let found = policy.rule(&asset, 8, due, price.as_ref());
            let found = found.map(|rule| rule.map(|rule| rule.finality.clone()));
            let expected = expected.map(|depth| Some(Finality::Depth(depth)));
            assert_eq!(found, expected, "{price:?}");
        }
        let other: AssetName = "eth@ethereum".parse().unwrap();
        let silent = by_asset.rule(&other, 18, due, None);
        assert_eq!(
            silent,
            Err(PolicyGap::NotComparable {
                currency: "BTC".into()
            })
        );
        let plain = policy(vec![tier(None, 3)]);
        let gap = PolicyGap::NoRule {
            tier: 0,
            asset: other.clone(),
        };
        assert_eq!(plain.rule(&other, 18, due, None), Err(gap));
        assert_eq!(policy(vec![]).rule(&other, 18, due, None), Ok(None));
    }
}
