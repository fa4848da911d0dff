//! The value of a rate: read exactly from what sources write, and applied exactly to prices.

use std::fmt;

use crate::amount::{Amount, Rounding};
use crate::limits;

/// Digits after the point of every rate.
const DECIMALS: u8 = limits::PRICE_DECIMALS_ANY;

/// Units of a currency for one unit of an asset: above zero, and exact to 36 digits after the point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RateValue(Amount);

/// Why a text is not the value of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not of the form `12`, `12.34` or `1.2e-5`: a sign, a space, a missing digit, `NaN`.
    #[error("not a decimal number such as 64987.5 or 1.2e-5")]
    NotDecimal,
    /// More characters than are read.
    #[error(
        "the number is too long; at most {} characters are read",
        limits::RATE_CHARS_MAX
    )]
    TooLong,
    /// Nothing is worth nothing.
    #[error("a rate must be above zero")]
    Zero,
    /// No asset is worth so many units of any currency.
    #[error(
        "no rate has more than {} digits before the point",
        limits::RATE_DIGITS_MAX
    )]
    TooLarge,
    /// More digits after the point than are kept.
    #[error(
        "at most {} digits after the point are read",
        limits::PRICE_DECIMALS_ANY
    )]
    TooFine,
}

impl RateValue {
    /// Reads a decimal number, with or without an exponent, and loses nothing of it.
    ///
    /// # Errors
    /// [`RateError`] for everything that is not the value of a rate.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        if limits::RATE_CHARS_MAX < text.len() {
            return Err(RateError::TooLong);
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return Err(RateError::NotDecimal),
            Some((whole, fraction)) => (whole, fraction),
            None => (mantissa, ""),
        };
        let digits = [whole, fraction].concat();
        if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RateError::NotDecimal);
        }
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Err(RateError::Zero);
        }
        let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        let shift = i32::from(DECIMALS)
            .saturating_sub(places)
            .saturating_add(exponent);
        if shift < 0 {
            return Err(RateError::TooFine);
        }
        let shift = u8::try_from(shift).map_err(|_| RateError::TooLarge)?;
        let digits = Amount::parse_atomic(digits).map_err(|_| RateError::TooLarge)?;
        let value = digits.times_ten(shift).ok_or(RateError::TooLarge)?;
        let ceiling =
            Amount::from_atomic(1).times_ten(DECIMALS.saturating_add(limits::RATE_DIGITS_MAX));
        if ceiling.is_none_or(|ceiling| ceiling <= value) {
            return Err(RateError::TooLarge);
        }
        Ok(Self(value))
    }

    /// What a price comes to in an asset with so many decimals: exact, and then rounded up to the next
    /// atomic unit, so that a payment of it is never worth less than the price. `None` when no amount is so
    /// large. `price` is a count of the currency's smallest unit, which has `price_decimals` digits.
    pub fn amount_due(
        self,
        price: Amount,
        price_decimals: u8,
        asset_decimals: u8,
    ) -> Option<Amount> {
        let up = asset_decimals.checked_add(DECIMALS)?;
        price.ratio(up, self.0, price_decimals, Rounding::Up)
    }

    /// Whether it is at most so many millionths of `other` away from `other`.
    pub fn is_near(self, other: Self, millionths: u32) -> bool {
        let (low, high) = (self.0.min(other.0), self.0.max(other.0));
        let allowed = other
            .0
            .share(u64::from(millionths), 1_000_000, Rounding::Down);
        allowed.is_some_and(|allowed| high.saturating_sub(low) <= allowed)
    }

    /// The value in the middle; of an even number the mean of the two in the middle, rounded down in its last
    /// of 36 digits, which asks for more of the asset rather than less. `None` of nothing.
    pub fn median(mut values: Vec<Self>) -> Option<Self> {
        values.sort_unstable();
        let upper = *values.get(values.len() / 2)?;
        if values.len() % 2 == 1 {
            return Some(upper);
        }
        let lower = *values.get((values.len() / 2).checked_sub(1)?)?;
        let sum = lower.0.checked_add(upper.0)?;
        sum.share(1, 2, Rounding::Down).map(Self)
    }
}

/// The exponent of a number; one that no counter holds is as far away as any.
fn read_exponent(text: &str) -> Result<i32, RateError> {
    let (is_negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..)),
        Some(b'+') => (false, text.get(1..)),
        Some(_) | None => (false, Some(text)),
    };
    let digits = digits.unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RateError::NotDecimal);
    }
    let size: i32 = digits.parse().unwrap_or(i32::MAX);
    Ok(if is_negative {
        size.saturating_neg()
    } else {
        size
    })
}

impl std::str::FromStr for RateValue {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        Self::parse(text)
    }
}

impl fmt::Display for RateValue {
    /// Plain decimal text without surplus zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.decimal(DECIMALS);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl fmt::Debug for RateValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RateValue({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_sources_write_and_nothing_else() {
        let long = "1".repeat(65);
        let large = "1".repeat(19);
        let cases: &[(&str, Result<&str, RateError>)] = &[
            ("64987", Ok("64987")),
            ("64987.00", Ok("64987")),
            ("64987.5", Ok("64987.5")),
            ("0.000012345678901234567", Ok("0.000012345678901234567")),
            ("1.2e-5", Ok("0.000012")),
            ("1.2E-05", Ok("0.000012")),
            ("6.4987e4", Ok("64987")),
            ("6.4987e+4", Ok("64987")),
            ("007", Ok("7")),
            ("999999999999999999", Ok("999999999999999999")),
            ("1e17", Ok("100000000000000000")),
            ("1e-36", Ok("0.000000000000000000000000000000000001")),
            ("1000000000000000000", Err(RateError::TooLarge)),
            (&large, Err(RateError::TooLarge)),
            ("1e18", Err(RateError::TooLarge)),
            ("1e400", Err(RateError::TooLarge)),
            ("1e99999999999999999999", Err(RateError::TooLarge)),
            ("1e-37", Err(RateError::TooFine)),
            ("1e-400", Err(RateError::TooFine)),
            ("1e-99999999999999999999", Err(RateError::TooFine)),
            (&long, Err(RateError::TooLong)),
            ("0", Err(RateError::Zero)),
            ("0.000", Err(RateError::Zero)),
            ("0e5", Err(RateError::Zero)),
            ("-1", Err(RateError::NotDecimal)),
            ("-0", Err(RateError::NotDecimal)),
            ("+1", Err(RateError::NotDecimal)),
            ("NaN", Err(RateError::NotDecimal)),
            ("Infinity", Err(RateError::NotDecimal)),
            ("", Err(RateError::NotDecimal)),
            (" 1", Err(RateError::NotDecimal)),
            ("1,5", Err(RateError::NotDecimal)),
            ("1_000", Err(RateError::NotDecimal)),
            (".5", Err(RateError::NotDecimal)),
            ("5.", Err(RateError::NotDecimal)),
            ("1.2.3", Err(RateError::NotDecimal)),
            ("1e", Err(RateError::NotDecimal)),
            ("1e-", Err(RateError::NotDecimal)),
            ("1e1.5", Err(RateError::NotDecimal)),
            ("1e1e1", Err(RateError::NotDecimal)),
            ("0x10", Err(RateError::NotDecimal)),
            ("１", Err(RateError::NotDecimal)),
        ];
        for (text, expected) in cases {
            let read = RateValue::parse(text).map(|value| value.to_string());
            assert_eq!(read.as_deref(), expected.as_ref().copied(), "{text:?}");
        }
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_middle() {
        let median = |values: &[&str]| {
            let values = values.iter().map(|text| RateValue::parse(text).unwrap());
            RateValue::median(values.collect()).map(|value| value.to_string())
        };
        let cases: &[(&[&str], Option<&str>)] = &[
            (&[], None),
            (&["5"], Some("5")),
            (&["7", "5"], Some("6")),
            (&["7", "1", "6"], Some("6")),
            (&["1", "2", "4", "1000"], Some("3")),
            (
                &["1e-36", "2e-36"],
                Some("0.000000000000000000000000000000000001"),
            ),
        ];
        for (values, expected) in cases {
            assert_eq!(median(values).as_deref(), *expected, "{values:?}");
        }
    }

    #[test]
    fn nearness_is_exact_at_its_edge() {
        let near = |one: &str, other: &str, millionths| {
            let (one, other) = (
                RateValue::parse(one).unwrap(),
                RateValue::parse(other).unwrap(),
            );
            one.is_near(other, millionths)
        };
        assert!(near("102", "100", 20_000) && near("98", "100", 20_000));
        assert!(!near("102.000001", "100", 20_000) && !near("97.999999", "100", 20_000));
        assert!(near("100", "100", 0) && !near("100.01", "100", 0));
    }

    proptest::proptest! {
        /// The least amount that is worth the price: one unit less would not be.
        #[test]
        fn due_is_the_least_amount_that_is_worth_the_price(
            price in 1_u64..u64::MAX,
            price_decimals in 0_u8..4,
            whole in 0_u64..1_000_000,
            fraction in 1_u64..1_000_000,
            asset_decimals in 0_u8..19,
        ) {
            let rate = RateValue::parse(&format!("{whole}.{fraction:06}")).unwrap();
            let due = rate.amount_due(Amount::from_atomic(price), price_decimals, asset_decimals).unwrap();
            // Both sides in millionths of the currency's smallest unit and the asset's: due * rate >= price.
            let rate = u128::from(whole) * 1_000_000 + u128::from(fraction);
            let worth = |amount: Amount| {
                let one = Amount::parse_atomic(&rate.to_string()).unwrap();
                let product = amount.scaled(one, Amount::from_atomic(1)).unwrap();
                product.times_ten(price_decimals).unwrap()
            };
            let asked = Amount::from_atomic(price).times_ten(asset_decimals + 6).unwrap();
            let less = due.checked_sub(Amount::from_atomic(1)).unwrap();
            proptest::prop_assert!(asked <= worth(due));
            proptest::prop_assert!(worth(less) < asked);
        }
    }
}
