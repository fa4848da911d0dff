//! Currencies of prices: how many digits a price has after its point.

/// Digits after the point of a currency of ISO 4217: 2 for `USD`, 0 for `JPY`, 3 for `KWD`. `None` for what is no
/// currency there, and for codes without a smallest unit, such as gold and the code for tests.
///
/// The table is that of the crate `iso_currency` (<https://www.iso.org/iso-4217-currency-codes.html>).
pub fn iso_decimals(code: &str) -> Option<u8> {
    let currency = iso_currency::Currency::from_code(code)?;
    u8::try_from(currency.exponent()?).ok()
}

#[cfg(test)]
mod tests {
    use super::iso_decimals;

    #[test]
    fn digits_follow_the_standard() {
        let table = [
            ("USD", Some(2)),
            ("EUR", Some(2)),
            ("JPY", Some(0)),
            ("KRW", Some(0)),
            ("KWD", Some(3)),
            ("BHD", Some(3)),
            ("CLF", Some(4)),
            ("XAU", None),
            ("XTS", None),
            ("XXX", None),
            ("usd", None),
            ("BTC", None),
            ("", None),
        ];
        for (code, decimals) in table {
            assert_eq!(iso_decimals(code), decimals, "{code}");
        }
    }
}
