//! Amounts of atomic units: 256-bit, checked, and exact as decimal text.

use std::fmt;

use ruint::aliases::{U256, U512};

use crate::limits;

/// A count of atomic units of one asset (satoshi, wei, lamport, token base units), 256-bit unsigned.
///
/// Arithmetic is checked: an operation that cannot be represented answers `None`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(U256);

/// Which way a share that is not a whole number of atomic units is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Toward zero.
    Down,
    /// Away from zero.
    Up,
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not of the form `12` or `12.34`: a sign, an exponent, a space, a missing digit, `NaN`.
    #[error("not a plain decimal number such as 12 or 0.0015 (no sign, exponent or spaces)")]
    NotDecimal,
    /// More digits after the point than the asset has decimals.
    #[error("at most {decimals} digits after the decimal point are possible here")]
    TooManyDecimals {
        /// What the asset allows.
        decimals: u8,
    },
    /// The number has more digits than any amount can have.
    #[error(
        "the number is too long; at most {} characters are read",
        limits::AMOUNT_CHARS_MAX
    )]
    TooLong,
    /// The number does not fit into 256 bits.
    #[error("the number is larger than any amount can be")]
    TooLarge,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(U256::ZERO);
    /// The largest amount, 2^256 - 1 atomic units.
    pub const MAX: Self = Self(U256::MAX);

    /// An amount of `atomic` units.
    pub fn from_atomic(atomic: u64) -> Self {
        Self(U256::from(atomic))
    }

    /// An amount of so many atomic units, the most significant byte first.
    pub fn from_be_bytes(atomic: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(atomic))
    }

    /// Reads a count of atomic units, for example `"76924"`.
    pub fn parse_atomic(text: &str) -> Result<Self, AmountError> {
        Self::parse(text, 0)
    }

    /// Reads an amount in the asset's own unit, for example `"0.00076924"` with 8 decimals.
    ///
    /// The text must be exactly representable: surplus digits are an error, even when they are zero.
    pub fn parse(text: &str, decimals: u8) -> Result<Self, AmountError> {
        if limits::AMOUNT_CHARS_MAX < text.len() {
            return Err(AmountError::TooLong);
        }
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(AmountError::NotDecimal),
            Some((whole, fraction)) => (whole, fraction),
            None => (text, ""),
        };
        let all_digits = whole
            .bytes()
            .chain(fraction.bytes())
            .all(|byte| byte.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || !all_digits || leading_zero {
            return Err(AmountError::NotDecimal);
        }
        let missing = usize::from(decimals)
            .checked_sub(fraction.len())
            .ok_or(AmountError::TooManyDecimals { decimals })?;
        let ten = U256::from(10_u64);
        let digits = whole.bytes().chain(fraction.bytes());
        let mut value = U256::ZERO;
        for byte in digits.chain(std::iter::repeat_n(b'0', missing)) {
            let digit = U256::from(byte.saturating_sub(b'0'));
            value = value
                .checked_mul(ten)
                .and_then(|value| value.checked_add(digit))
                .ok_or(AmountError::TooLarge)?;
        }
        Ok(Self(value))
    }

    /// The amount in the asset's own unit with all its decimals; zero is `"0"`.
    pub fn decimal(self, decimals: u8) -> String {
        if self.is_zero() || decimals == 0 {
            return self.0.to_string();
        }
        let width = usize::from(decimals).saturating_add(1);
        let digits = format!("{:0>width$}", self.0.to_string());
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(usize::from(decimals)));
        format!("{whole}.{fraction}")
    }

    /// Whether the amount is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The sum, unless it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, unless it would be negative.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The difference, or zero where it would be negative.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self * numerator / denominator` rounded down, unless it does not fit or the denominator is zero.
    pub fn scaled(self, numerator: Self, denominator: Self) -> Option<Self> {
        let product = self.0.checked_mul(numerator.0)?;
        product.checked_div(denominator.0).map(Self)
    }

    /// `self * 10^exponent`, unless it does not fit.
    pub fn times_ten(self, exponent: u8) -> Option<Self> {
        self.ratio(exponent, Self::from_atomic(1), 0, Rounding::Down)
    }

    /// `self * 10^up / (divisor * 10^down)`, exact up to the rounding at the end; `None` when the result does
    /// not fit or the divisor is zero.
    pub fn ratio(self, up: u8, divisor: Self, down: u8, rounding: Rounding) -> Option<Self> {
        let scaled = |value: U256, exponent: u8| {
            let power = U512::from(10_u64).checked_pow(U512::from(exponent))?;
            U512::from(value).checked_mul(power)
        };
        let (numerator, divisor) = (scaled(self.0, up)?, scaled(divisor.0, down)?);
        let quotient = numerator.checked_div(divisor)?;
        let remainder = numerator.checked_rem(divisor)?;
        let whole = U256::checked_from_limbs_slice(quotient.as_limbs())?;
        match rounding {
            Rounding::Up if !remainder.is_zero() => whole.checked_add(U256::ONE).map(Self),
            Rounding::Up | Rounding::Down => Some(Self(whole)),
        }
    }

    /// `self * numerator / denominator`, unless it does not fit or the denominator is zero.
    pub fn share(self, numerator: u64, denominator: u64, rounding: Rounding) -> Option<Self> {
        let denominator = U256::from(denominator);
        let product = self.0.checked_mul(U256::from(numerator))?;
        let quotient = product.checked_div(denominator)?;
        let remainder = product.checked_rem(denominator)?;
        match rounding {
            Rounding::Up if !remainder.is_zero() => quotient.checked_add(U256::ONE).map(Self),
            Rounding::Up | Rounding::Down => Some(Self(quotient)),
        }
    }
}

impl fmt::Display for Amount {
    /// The count of atomic units in decimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Amount({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_plain_exact_decimals() {
        let cases: &[(&str, u8, Result<&str, AmountError>)] = &[
            ("0", 8, Ok("0")),
            ("1", 8, Ok("100000000")),
            ("0.00076924", 8, Ok("76924")),
            ("21000000.00000001", 8, Ok("2100000000000001")),
            ("1.0", 0, Err(AmountError::TooManyDecimals { decimals: 0 })),
            (
                "0.000000001",
                8,
                Err(AmountError::TooManyDecimals { decimals: 8 }),
            ),
            ("-1", 8, Err(AmountError::NotDecimal)),
            ("+1", 8, Err(AmountError::NotDecimal)),
            ("1e8", 8, Err(AmountError::NotDecimal)),
            ("NaN", 8, Err(AmountError::NotDecimal)),
            ("", 8, Err(AmountError::NotDecimal)),
            (".5", 8, Err(AmountError::NotDecimal)),
            ("5.", 8, Err(AmountError::NotDecimal)),
            ("1.2.3", 8, Err(AmountError::NotDecimal)),
            ("01", 8, Err(AmountError::NotDecimal)),
            (" 1", 8, Err(AmountError::NotDecimal)),
            ("１", 8, Err(AmountError::NotDecimal)),
        ];
        for (text, decimals, expected) in cases {
            let read = Amount::parse(text, *decimals).map(|amount| amount.to_string());
            assert_eq!(read.as_deref(), expected.as_ref().copied(), "{text:?}");
        }
        assert_eq!(
            Amount::parse(&"9".repeat(80), 8),
            Err(AmountError::TooLarge)
        );
        assert_eq!(
            Amount::parse(&"9".repeat(200), 8),
            Err(AmountError::TooLong)
        );
    }

    #[test]
    fn the_largest_amount_is_exact_at_both_edges() {
        let text = Amount::MAX.to_string();
        assert_eq!(Amount::parse_atomic(&text), Ok(Amount::MAX));
        assert_eq!(Amount::parse(&Amount::MAX.decimal(18), 18), Ok(Amount::MAX));
        assert_eq!(Amount::MAX.checked_add(Amount::from_atomic(1)), None);
    }

    #[test]
    fn shares_round_as_asked() {
        let amount = Amount::from_atomic(1001);
        assert_eq!(
            amount.share(1, 200, Rounding::Down),
            Some(Amount::from_atomic(5))
        );
        assert_eq!(
            amount.share(1, 200, Rounding::Up),
            Some(Amount::from_atomic(6))
        );
        assert_eq!(amount.share(1, 0, Rounding::Up), None);
        assert_eq!(Amount::MAX.share(2, 1, Rounding::Up), None);
    }

    proptest::proptest! {
        #[test]
        fn text_and_amount_are_the_same(atomic: u64, decimals in 0_u8..30) {
            let amount = Amount::from_atomic(atomic);
            proptest::prop_assert_eq!(Amount::parse(&amount.decimal(decimals), decimals), Ok(amount));
        }
    }
}
