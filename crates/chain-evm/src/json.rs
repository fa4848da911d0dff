//! Reads answers so that "I do not have it" and "empty" stay different.

use serde::Deserialize;

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
