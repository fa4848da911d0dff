//! Finality: what makes a transfer final, which chains can tell, and what it means for one option.

use crate::amount::Amount;
use crate::asset::AssetName;
use crate::chain::Family;
use crate::limits;
use crate::mark::Mark;
use crate::policy::Price;

/// What makes a transfer final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finality {
    /// That many blocks, the one with the transfer included, stand on the chain.
    Depth(u32),
    /// An EVM node's block tag has reached the transfer's block.
    Tag(Tag),
    /// A Solana commitment has reached the transfer's block.
    Commitment(Commitment),
    /// Any one of these.
    Any(Vec<Self>),
    /// No block: a small amount whose transaction keeps certain rules in the mempool.
    Unconfirmed(Unconfirmed),
}

/// A block tag of an EVM node
/// (<https://ethereum.org/en/developers/docs/apis/json-rpc/#default-block>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// Justified: undone only when many validators lose their stake.
    Safe,
    /// Finalized: undone only when a third of the stake is lost.
    Finalized,
}

/// A commitment of Solana (<https://solana.com/docs/rpc#configuring-state-commitment>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Commitment {
    /// Two thirds of the stake have voted for the block.
    Confirmed,
    /// The block is rooted.
    Finalized,
}

/// When money counts as final without a block: on top of the cap the transaction must spend confirmed
/// money only, pay at least what the next block costs, and have been seen for a while without another
/// one that spends the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The most that may count so at one time for one option. In a policy in any currency that can be
    /// compared; in an option always in the option's own asset.
    pub max: Price,
    /// For how long it must have been seen, in seconds.
    pub seen_s: u32,
}

/// Why a finality cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinalityError {
    /// A depth of zero or an absurd one.
    #[error("a depth must be from 1 to {}", limits::DEPTH_MAX)]
    Depth,
    /// A block tag on a chain that has none.
    #[error("the tag {tag} needs an EVM chain; on a {family} chain use {hint}", tag = tag.as_str(), family = family.as_str(), hint = hint(*family))]
    Tag {
        /// The tag.
        tag: Tag,
        /// The family of the chain.
        family: Family,
    },
    /// A commitment on a chain that has none.
    #[error("the commitment {commitment} needs a Solana chain; on a {family} chain use {hint}", commitment = commitment.as_str(), family = family.as_str(), hint = hint(*family))]
    Commitment {
        /// The commitment.
        commitment: Commitment,
        /// The family of the chain.
        family: Family,
    },
    /// A choice of nothing.
    #[error(
        "any needs from 1 to {} alternatives",
        limits::FINALITY_ALTERNATIVES_MAX
    )]
    Alternatives,
    /// A choice inside of a choice.
    #[error("any cannot stand inside of any; write all alternatives in one list")]
    Nested,
    /// Unconfirmed acceptance where the mempool cannot be read.
    #[error("unconfirmed needs a chain whose mempool can be read, which a {family} chain is not", family = .0.as_str())]
    NoMempool(Family),
    /// A cap that is not an amount above zero.
    #[error("max must be an amount above zero and its currency")]
    Cap,
    /// A cap that no amount of the asset can be held against.
    #[error(
        "max is in {0}, which is neither the currency of the price or of the tiers nor the asset"
    )]
    CapNotComparable(Box<str>),
    /// A time to wait that is out of range.
    #[error(
        "seen_s must be from {} to {} seconds",
        limits::SEEN_S_MIN,
        limits::SEEN_S_MAX
    )]
    Seconds,
    /// Nothing is said of what is not accepted without a block.
    #[error(
        "a chain's own rule must also say what is final in a block, for example {{ any = [{{ unconfirmed = .. }}, {{ depth = 2 }}] }}"
    )]
    NeedsBlock,
}

/// What is wrong with a finality, and with which of its alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalityFault {
    /// The place in the list of `any`, from 0.
    pub alternative: Option<usize>,
    /// What is wrong.
    pub error: FinalityError,
}

fn hint(family: Family) -> &'static str {
    match family {
        Family::Bitcoin => "depth",
        Family::Evm => "depth or tag",
        Family::Solana => "commitment or depth",
    }
}

impl Tag {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        self.mark().as_str()
    }

    /// The mark that it follows.
    pub fn mark(self) -> Mark {
        match self {
            Self::Safe => Mark::Safe,
            Self::Finalized => Mark::Finalized,
        }
    }
}

impl Commitment {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        self.mark().as_str()
    }

    /// The mark that it follows.
    pub fn mark(self) -> Mark {
        match self {
            Self::Confirmed => Mark::Confirmed,
            Self::Finalized => Mark::Finalized,
        }
    }
}

impl Finality {
    /// The alternatives, of which any one is enough.
    pub fn alternatives(&self) -> &[Self] {
        match self {
            Self::Any(alternatives) => alternatives,
            Self::Depth(_) | Self::Tag(_) | Self::Commitment(_) | Self::Unconfirmed(_) => {
                std::slice::from_ref(self)
            }
        }
    }

    /// The rule for money without a block, where there is one.
    pub fn unconfirmed(&self) -> Option<&Unconfirmed> {
        self.alternatives().iter().find_map(|one| match one {
            Self::Unconfirmed(rule) => Some(rule),
            Self::Depth(_) | Self::Tag(_) | Self::Commitment(_) | Self::Any(_) => None,
        })
    }

    /// Whether it says what is final in a block.
    pub fn has_block_rule(&self) -> bool {
        let mut alternatives = self.alternatives().iter();
        alternatives.any(|one| !matches!(one, Self::Unconfirmed(_)))
    }

    /// Everything that is wrong with it; on a chain of this family, where that is known.
    pub fn faults(&self, family: Option<Family>) -> Vec<FinalityFault> {
        let Self::Any(alternatives) = self else {
            let error = self.check(family).err().into_iter();
            return error
                .map(|error| FinalityFault {
                    alternative: None,
                    error,
                })
                .collect();
        };
        if !(1..=limits::FINALITY_ALTERNATIVES_MAX).contains(&alternatives.len()) {
            let error = FinalityError::Alternatives;
            return vec![FinalityFault {
                alternative: None,
                error,
            }];
        }
        let numbered = alternatives.iter().enumerate();
        let faults = numbered.filter_map(|(number, one)| {
            let error = one.check(family).err()?;
            Some(FinalityFault {
                alternative: Some(number),
                error,
            })
        });
        faults.collect()
    }

    fn check(&self, family: Option<Family>) -> Result<(), FinalityError> {
        match (self, family) {
            (Self::Depth(depth), _) if !(1..=limits::DEPTH_MAX).contains(depth) => {
                Err(FinalityError::Depth)
            }
            (Self::Tag(tag), Some(family @ (Family::Bitcoin | Family::Solana))) => {
                Err(FinalityError::Tag { tag: *tag, family })
            }
            (Self::Commitment(commitment), Some(family @ (Family::Bitcoin | Family::Evm))) => {
                Err(FinalityError::Commitment {
                    commitment: *commitment,
                    family,
                })
            }
            (Self::Unconfirmed(_), Some(family @ (Family::Evm | Family::Solana))) => {
                Err(FinalityError::NoMempool(family))
            }
            (Self::Unconfirmed(rule), _) => rule.check(),
            (Self::Any(_), _) => Err(FinalityError::Nested),
            (Self::Depth(_) | Self::Tag(_) | Self::Commitment(_), _) => Ok(()),
        }
    }

    /// What it means for one option: caps in the option's asset, and where it says nothing of what is not
    /// accepted without a block, the chain's own rule for that.
    ///
    /// # Errors
    /// [`FinalityError::CapNotComparable`] when a cap is neither in the price's currency nor in the asset.
    pub fn resolve(
        &self,
        asset: &AssetName,
        decimals: u8,
        due: Amount,
        price: Option<&Price>,
        of_chain: &Self,
    ) -> Result<Self, FinalityError> {
        let mut resolved = Vec::new();
        for one in self.alternatives() {
            resolved.push(match one {
                Self::Unconfirmed(rule) => Self::Unconfirmed(Unconfirmed {
                    max: rule.cap_of(asset, decimals, due, price)?,
                    seen_s: rule.seen_s,
                }),
                Self::Depth(_) | Self::Tag(_) | Self::Commitment(_) | Self::Any(_) => one.clone(),
            });
        }
        if !self.has_block_rule() {
            let others = of_chain.alternatives().iter();
            let others = others.filter(|one| !matches!(one, Self::Unconfirmed(_)));
            resolved.extend(others.cloned());
        }
        Ok(match (resolved.pop(), resolved.is_empty()) {
            (Some(only), true) if !matches!(self, Self::Any(_)) => only,
            (last, _) => {
                resolved.extend(last);
                Self::Any(resolved)
            }
        })
    }
}

impl Unconfirmed {
    fn check(&self) -> Result<(), FinalityError> {
        let amount = Amount::parse(&self.max.amount, limits::PRICE_DECIMALS_ANY);
        if amount.map_or(true, Amount::is_zero) || self.max.currency.is_empty() {
            return Err(FinalityError::Cap);
        }
        if !(limits::SEEN_S_MIN..=limits::SEEN_S_MAX).contains(&self.seen_s) {
            return Err(FinalityError::Seconds);
        }
        Ok(())
    }

    /// The cap in atomic units, for a rule that was resolved; `None` for one that was not.
    pub fn cap(&self, asset: &AssetName, decimals: u8) -> Option<Amount> {
        let is_own = asset.symbol().eq_ignore_ascii_case(&self.max.currency);
        let amount = Amount::parse(&self.max.amount, decimals).ok();
        amount.filter(|_| is_own)
    }

    /// The cap in the option's own asset: the same share of what is due as it is of the price.
    fn cap_of(
        &self,
        asset: &AssetName,
        decimals: u8,
        due: Amount,
        price: Option<&Price>,
    ) -> Result<Price, FinalityError> {
        let own = |amount: Amount| Price {
            amount: amount.decimal(decimals).into(),
            currency: asset.symbol().to_ascii_uppercase().into(),
        };
        if let Some(amount) = self.cap(asset, decimals) {
            return Ok(own(amount));
        }
        let not_comparable = || FinalityError::CapNotComparable(self.max.currency.clone());
        let price = price.filter(|price| price.currency == self.max.currency);
        let price = price.ok_or_else(not_comparable)?;
        let read = |text: &str| Amount::parse(text, limits::PRICE_DECIMALS_ANY).ok();
        let capped = read(&self.max.amount)
            .zip(read(&price.amount))
            .and_then(|(max, price)| due.scaled(max, price));
        capped.map(own).ok_or_else(not_comparable)
    }
}
