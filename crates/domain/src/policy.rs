//! Policies: which finality an amount of an asset needs.

use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::asset::AssetName;
use crate::chain::ChainName;
use crate::limits;

/// Digits after the point with which the limits of tiers are compared with each other; no asset has
/// more.
const CEILING_DECIMALS: u8 = 36;

/// What makes a transfer final.
///
/// Depth is the first kind; tags, commitments and capped unconfirmed acceptance join it here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finality {
    /// That many blocks, the one with the transfer included, stand on the chain.
    Depth(u32),
}

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
    /// A depth of zero or an absurd one.
    #[error("a depth must be from 1 to {}", limits::DEPTH_MAX)]
    Depth,
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
            tier.check_depths().map_err(|error| (place, error))?;
            let Some(ceiling) = &tier.up_to else {
                if place < last {
                    return Err((place, PolicyError::EndTooEarly));
                }
                continue;
            };
            if place == last {
                return Err((place, PolicyError::NoEnd));
            }
            let amount = Amount::parse(&ceiling.amount, CEILING_DECIMALS).ok();
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
    pub fn finality(
        &self,
        asset: &AssetName,
        decimals: u8,
        due: Amount,
        price: Option<&Price>,
    ) -> Result<Option<&Finality>, PolicyGap> {
        for (place, tier) in self.tiers.iter().enumerate() {
            if let Some(ceiling) = &tier.up_to
                && !is_within(ceiling, asset, decimals, due, price)?
            {
                continue;
            }
            let found = tier.assets.get(asset);
            let found = found.or_else(|| tier.chains.get(asset.chain()));
            return found.map(Some).ok_or_else(|| PolicyGap::NoRule {
                tier: place,
                asset: asset.clone(),
            });
        }
        Ok(None)
    }
}

/// Whether what is to be paid is not above a tier's limit.
fn is_within(
    ceiling: &Price,
    asset: &AssetName,
    decimals: u8,
    due: Amount,
    price: Option<&Price>,
) -> Result<bool, PolicyGap> {
    let not_comparable = || PolicyGap::NotComparable {
        currency: ceiling.currency.clone(),
    };
    let read =
        |text: &str, decimals: u8| Amount::parse(text, decimals).map_err(|_| not_comparable());
    match price {
        Some(price) if price.currency == ceiling.currency => {
            let decimals = limits::PRICE_DECIMALS;
            Ok(read(&price.amount, decimals)? <= read(&ceiling.amount, decimals)?)
        }
        Some(_) | None if asset.symbol().eq_ignore_ascii_case(&ceiling.currency) => {
            Ok(due <= read(&ceiling.amount, decimals)?)
        }
        Some(_) | None => Err(not_comparable()),
    }
}

impl Tier {
    fn check_depths(&self) -> Result<(), PolicyError> {
        let mut rules = self.assets.values().chain(self.chains.values());
        let is_possible =
            |Finality::Depth(depth): &Finality| (1..=limits::DEPTH_MAX).contains(depth);
        if rules.all(is_possible) {
            Ok(())
        } else {
            Err(PolicyError::Depth)
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
            (vec![tier(None, 0)], Err((0, PolicyError::Depth))),
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
            let found = policy.finality(&asset, 8, due, price.as_ref());
            let depth = found.map(|finality| match finality {
                Some(Finality::Depth(depth)) => *depth,
                None => 0,
            });
            assert_eq!(depth, expected, "{price:?}");
        }
        let other: AssetName = "eth@ethereum".parse().unwrap();
        let silent = by_asset.finality(&other, 18, due, None);
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
        assert_eq!(plain.finality(&other, 18, due, None), Err(gap));
        assert_eq!(policy(vec![]).finality(&other, 18, due, None), Ok(None));
    }
}
