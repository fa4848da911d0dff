//! Reads answers so that "I do not have it" and "empty" stay different.

use std::borrow::Cow;

use alloy_primitives::U256;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::fault::Fault;

/// Reads the `result` of an answer.
pub(crate) fn read<'a, T: Deserialize<'a>>(
    what: &'static str,
    answer: &'a [u8],
) -> Result<T, Fault> {
    if matches!(answer.trim_ascii(), b"" | b"null") {
        return Err(Fault::Absent { what });
    }
    serde_json::from_slice(answer).map_err(|error| Fault::Unreadable {
        what,
        detail: error.to_string(),
    })
}

/// A field that a transaction of its type must have.
pub(crate) fn need<'a, T>(field: Option<&'a T>, name: &str) -> Result<&'a T, Fault> {
    field.ok_or_else(|| Fault::Unreadable {
        what: "transaction",
        detail: format!("{name} is missing"),
    })
}

/// Reads a number that no proof holds, only as nodes must write it
/// (<https://ethereum.org/developers/docs/apis/json-rpc/#quantities-encoding>): in another form it could be
/// taken for another one.
pub(crate) fn quantity<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<U256>, D::Error> {
    let Some(text) = Option::<Cow<'de, str>>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let digits = text.strip_prefix("0x").filter(|digits| !digits.is_empty());
    let number = digits.and_then(|digits| U256::from_str_radix(digits, 16).ok());
    let number = number.ok_or_else(|| D::Error::custom("a number is not written as a quantity"))?;
    Ok(Some(number))
}
