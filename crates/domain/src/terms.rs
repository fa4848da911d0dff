//! The terms of an invoice: fixed at creation, never changed.

use crate::amount::{Amount, Rounding};
use crate::asset::AssetName;
use crate::facts::Transfer;
use crate::finality::{Finality, FinalityError};
use crate::id::OptionId;
use crate::limits;
use crate::policy::{Policy, PolicyError, Price};
use crate::rate::Rate;
use crate::time::UnixMillis;

/// How far a sum may be from what is due on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Margin {
    /// Parts of a million of what is due.
    Millionths(u32),
    /// An amount of the option's asset.
    Amount(Amount),
}

impl Margin {
    /// No margin.
    pub const NONE: Self = Self::Millionths(0);

    /// The margin on `due`, rounded down so that a tolerance never grows by rounding.
    fn of(self, due: Amount) -> Option<Amount> {
        match self {
            Self::Millionths(parts) => due.share(u64::from(parts), 1_000_000, Rounding::Down),
            Self::Amount(amount) => Some(amount),
        }
    }
}

/// The margins on both sides of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Less than due by this much is enough.
    pub under: Margin,
    /// More than due by this much is not too much.
    pub over: Margin,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self {
            under: Margin::NONE,
            over: Margin::NONE,
        }
    }
}

/// One way to pay an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionTerms {
    /// Public id.
    pub id: OptionId,
    /// What is to be paid.
    pub asset: AssetName,
    /// Decimals of the asset.
    pub decimals: u8,
    /// What is asked for.
    pub due: Amount,
    /// The rate by which the price became what is asked for; `None` when that was asked for by itself, or when
    /// the price is in the asset.
    pub rate: Option<Rate>,
    /// The least that counts as paid.
    pub minimum: Amount,
    /// The most that counts as exactly paid.
    pub maximum: Amount,
    /// The margins that were asked for, in this option's asset; the bounds above are what they led to.
    pub tolerance: Tolerance,
    /// A transfer below this alone causes no status and no event.
    pub dust: Amount,
    /// What makes a transfer to this option final.
    pub finality: Finality,
    /// The chain's height at creation; only transfers placed at or above it count.
    pub created_height: u64,
}

/// Everything that was agreed when the invoice was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The price, when there is one.
    pub price: Option<Price>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// In time means seen at or before this time.
    pub expires_at: UnixMillis,
    /// Late money counts up to this time.
    pub late_until: UnixMillis,
    /// The policy as it was.
    pub policy: Policy,
    /// Where a payer goes after paying.
    pub success_url: Option<Box<str>>,
    /// Where a payer goes who gives up.
    pub cancel_url: Option<Box<str>>,
    /// The ways to pay; at least one.
    pub options: Vec<OptionTerms>,
}

/// Why terms cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Nothing is due.
    #[error("the amount must be above zero")]
    NothingDue,
    /// The amount is so small that a payment of it would be ignored.
    #[error(
        "the amount is below the dust limit of {limit} atomic units; such a payment is ignored"
    )]
    BelowDust {
        /// The asset's dust limit, in atomic units.
        limit: Amount,
    },
    /// The tolerance reaches or exceeds what is due.
    #[error("the tolerance under the amount must leave something to pay")]
    ToleranceTooWide,
    /// A bound does not fit into 256 bits.
    #[error("the amount with its tolerance is larger than any amount can be")]
    TooLarge,
    /// A finality that cannot be.
    #[error("{0}")]
    Finality(FinalityError),
    /// No way to pay.
    #[error("an invoice needs at least one payment option")]
    NoOption,
    /// More ways to pay than are served.
    #[error("at most {} payment options are possible", limits::OPTIONS_MAX)]
    TooManyOptions,
    /// Two options ask for the same asset: a payment could not be told to belong to one of them.
    #[error("another option asks for {asset} already")]
    OptionTwice {
        /// The asset.
        asset: AssetName,
    },
    /// The policy contradicts itself.
    #[error("tier {} of the policy: {error}", tier.saturating_add(1))]
    Policy {
        /// The tier's place, from 0.
        tier: usize,
        /// What is wrong with it.
        error: PolicyError,
    },
    /// The times are not in order.
    #[error("an invoice must expire after it is made and before its late window ends")]
    Times,
}

/// The least and the most that count as exactly paid: the minimum rounds up, the maximum down.
pub fn bounds(due: Amount, tolerance: Tolerance) -> Result<(Amount, Amount), TermsError> {
    let under = tolerance.under.of(due).ok_or(TermsError::TooLarge)?;
    let over = tolerance.over.of(due).ok_or(TermsError::TooLarge)?;
    let minimum = due.checked_sub(under).filter(|minimum| !minimum.is_zero());
    let minimum = minimum.ok_or(TermsError::ToleranceTooWide)?;
    Ok((minimum, due.checked_add(over).ok_or(TermsError::TooLarge)?))
}

impl Terms {
    /// Whether a transfer is below the dust limit of its option. A stray is in another unit.
    pub fn is_dust(&self, transfer: &Transfer) -> bool {
        if transfer.is_stray() {
            return false;
        }
        let mut options = self.options.iter();
        let option = options.find(|option| option.id == transfer.option);
        option.is_some_and(|option| transfer.amount < option.dust)
    }

    /// Whether a transfer is one of those of which an invoice may have so many: it stands or was once final,
    /// and is not dust.
    pub(crate) fn is_weighty(&self, transfer: &Transfer) -> bool {
        let is_lasting = transfer.place.is_some() || transfer.final_at.is_some();
        is_lasting && !transfer.is_stray() && !self.is_dust(transfer)
    }

    /// Checks what every part of the house relies on. The number is the place of the option that cannot
    /// stand, where it is one of them.
    pub fn check(&self) -> Result<(), (Option<usize>, TermsError)> {
        self.check_whole().map_err(|error| (None, error))?;
        for (place, option) in self.options.iter().enumerate() {
            option.check().map_err(|error| (Some(place), error))?;
            let mut before = self.options.iter().take(place);
            if before.any(|other| other.asset == option.asset) {
                let asset = option.asset.clone();
                return Err((Some(place), TermsError::OptionTwice { asset }));
            }
        }
        Ok(())
    }

    fn check_whole(&self) -> Result<(), TermsError> {
        if self.options.is_empty() {
            return Err(TermsError::NoOption);
        }
        if limits::OPTIONS_MAX < self.options.len() {
            return Err(TermsError::TooManyOptions);
        }
        if self.expires_at <= self.created_at || self.late_until < self.expires_at {
            return Err(TermsError::Times);
        }
        let policy = self.policy.check();
        policy.map_err(|(tier, error)| TermsError::Policy { tier, error })
    }
}

impl OptionTerms {
    fn check(&self) -> Result<(), TermsError> {
        if self.due.is_zero() {
            return Err(TermsError::NothingDue);
        }
        if self.minimum < self.dust {
            return Err(TermsError::BelowDust { limit: self.dust });
        }
        if self.minimum.is_zero() || self.due < self.minimum {
            return Err(TermsError::ToleranceTooWide);
        }
        if self.maximum < self.due {
            return Err(TermsError::TooLarge);
        }
        let mut faults = self.finality.faults(None).into_iter();
        match faults.next() {
            Some(fault) => Err(TermsError::Finality(fault.error)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_never_grow_by_rounding() {
        let percent = |under, over| Tolerance {
            under: Margin::Millionths(under),
            over: Margin::Millionths(over),
        };
        let due = Amount::from_atomic(1001);
        let (minimum, maximum) = bounds(due, percent(5_000, 10_000)).unwrap();
        assert_eq!(
            minimum,
            Amount::from_atomic(996),
            "1001 - 5.005, rounded up"
        );
        assert_eq!(
            maximum,
            Amount::from_atomic(1011),
            "1001 + 10.01, rounded down"
        );
        assert_eq!(
            bounds(due, percent(1_000_000, 0)),
            Err(TermsError::ToleranceTooWide)
        );
        let all = Tolerance {
            under: Margin::Amount(due),
            over: Margin::NONE,
        };
        assert_eq!(bounds(due, all), Err(TermsError::ToleranceTooWide));
        let over = Tolerance {
            under: Margin::NONE,
            over: Margin::Amount(Amount::MAX),
        };
        assert_eq!(bounds(due, over), Err(TermsError::TooLarge));
    }
}
