//! Where in an answer a rate stands, and reading it without losing a digit.
//!
//! A number of JSON is taken as the text that the source wrote: read as a float it would be another number.

use std::collections::BTreeMap;
use std::str::FromStr;

use paywatch_domain::RateValue;
use serde_json::value::RawValue;

use crate::error::AnswerProblem;

/// A JSON pointer (RFC 6901), for example `/result/XXBTZUSD/c/0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

/// A text that is no JSON pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a JSON pointer (RFC 6901) such as /result/price: it is empty or begins with a slash, and ~ stands in ~0 and ~1 only"
)]
pub struct PointerError;

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let tokens = text.strip_prefix('/').ok_or(PointerError)?.split('/');
        tokens.map(unescaped).collect::<Result<_, _>>().map(Self)
    }
}

fn unescaped(token: &str) -> Result<String, PointerError> {
    let mut parts = token.split('~');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (letter, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', part.strip_prefix('0')),
            Some(b'1') => ('/', part.strip_prefix('1')),
            Some(_) | None => return Err(PointerError),
        };
        plain.push(letter);
        plain.push_str(rest.unwrap_or_default());
    }
    Ok(plain)
}

impl Pointer {
    /// The rate at this place of an answer: a number, or a text that holds one.
    ///
    /// # Errors
    /// `NotJson`, `Missing` or `NotARate`.
    pub fn read(&self, answer: &[u8]) -> Result<RateValue, AnswerProblem> {
        let text = std::str::from_utf8(answer).map_err(|_| AnswerProblem::NotJson)?;
        let mut at: &RawValue = serde_json::from_str(text).map_err(|_| AnswerProblem::NotJson)?;
        for token in &self.0 {
            at = child(at, token).ok_or(AnswerProblem::Missing)?;
        }
        let written = at.get();
        let number = if written.starts_with('"') {
            serde_json::from_str(written).map_err(|_| AnswerProblem::NotARate)?
        } else {
            written.to_owned()
        };
        RateValue::parse(&number).map_err(|_| AnswerProblem::NotARate)
    }
}

/// What stands below a value under a name or an index.
fn child<'a>(value: &'a RawValue, token: &str) -> Option<&'a RawValue> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'{' => serde_json::from_str::<BTreeMap<String, &'a RawValue>>(text)
            .ok()?
            .remove(token),
        b'[' => {
            let is_index = token == "0" || !token.starts_with(['0', '+']);
            let index: usize = token.parse().ok().filter(|_| is_index)?;
            serde_json::from_str::<Vec<&'a RawValue>>(text)
                .ok()?
                .get(index)
                .copied()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_where_it_stands_and_as_it_was_written() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let long = format!(r#"{{"a":{}}}"#, "9".repeat(100));
        let table: &[(&str, &str, Result<&str, AnswerProblem>)] = &[
            (r#"{"price":"64987.10"}"#, "/price", Ok("64987.1")),
            (
                r#"{"bitcoin":{"usd":64987.1}}"#,
                "/bitcoin/usd",
                Ok("64987.1"),
            ),
            (
                r#"{"result":{"XXBTZUSD":{"c":["64987.10000","0.1"]}}}"#,
                "/result/XXBTZUSD/c/0",
                Ok("64987.1"),
            ),
            (r#" [ {"a/b":{"m~n":{"":7}}} ] "#, "/0/a~1b/m~0n/", Ok("7")),
            ("64987", "", Ok("64987")),
            (
                r#"{"a":0.1234567890123456789012345}"#,
                "/a",
                Ok("0.1234567890123456789012345"),
            ),
            (r#"{"a":1.2e-05}"#, "/a", Ok("0.000012")),
            (r#"{"\u0061":5}"#, "/a", Ok("5")),
            (r#"{"a":1e400}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":1e-400}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":-5}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":0}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":"NaN"}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":"Infinity"}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":""}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":"5 USD"}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":true}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":null}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":{"b":5}}"#, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":[5]}"#, "/a", Err(AnswerProblem::NotARate)),
            (&long, "/a", Err(AnswerProblem::NotARate)),
            (r#"{"a":5}"#, "/b", Err(AnswerProblem::Missing)),
            (r#"{"a":5}"#, "/a/b", Err(AnswerProblem::Missing)),
            (r#"{"a":[5]}"#, "/a/1", Err(AnswerProblem::Missing)),
            (r#"{"a":[5,6]}"#, "/a/01", Err(AnswerProblem::Missing)),
            (r#"{"a":[5,6]}"#, "/a/+1", Err(AnswerProblem::Missing)),
            (r#"{"a":[5,6]}"#, "/a/-", Err(AnswerProblem::Missing)),
            ("", "/a", Err(AnswerProblem::NotJson)),
            ("<html>", "/a", Err(AnswerProblem::NotJson)),
            (r#"{"a":5"#, "/a", Err(AnswerProblem::NotJson)),
            (r#"{"a":NaN}"#, "/a", Err(AnswerProblem::NotJson)),
            (r#"{"a":5}{"a":6}"#, "/a", Err(AnswerProblem::NotJson)),
        ];
        for (answer, pointer, expected) in table {
            let pointer: Pointer = pointer.parse().unwrap();
            let found = pointer
                .read(answer.as_bytes())
                .map(|value| value.to_string());
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{answer}");
        }
        let root: Pointer = "".parse().unwrap();
        assert!(
            root.read(deep.as_bytes()).is_err(),
            "no depth breaks anything"
        );
        assert_eq!(root.read(b"\xff"), Err(AnswerProblem::NotJson));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["a", "price/usd", "/a~", "/a~2", "#/a"] {
            assert_eq!(text.parse::<Pointer>(), Err(PointerError), "{text}");
        }
    }
}
