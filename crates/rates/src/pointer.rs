//! Where in an answer a rate or its time stands, and reading it without losing a digit.
//!
//! A number of JSON is taken as the text that the source wrote: read as a float it would be another number.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;
use paywatch_domain::{RateValue, UnixMillis};
use serde_json::value::RawValue;

use crate::error::AnswerProblem;

/// The largest number that is read as seconds: the year 5138. As milliseconds it is in 1973.
const SECONDS_MAX: i64 = 99_999_999_999;

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
    pub fn rate(&self, answer: &[u8]) -> Result<RateValue, AnswerProblem> {
        let number = self.text(answer)?.ok_or(AnswerProblem::NotARate)?;
        RateValue::parse(&number).map_err(|_| AnswerProblem::NotARate)
    }

    /// The time at this place of an answer: seconds or milliseconds since 1970 as a number or a text, told apart
    /// by their size, or a text of RFC 3339.
    ///
    /// # Errors
    /// `NotJson`, `Missing` or `NotATime`.
    pub fn time(&self, answer: &[u8]) -> Result<UnixMillis, AnswerProblem> {
        let text = self.text(answer)?.ok_or(AnswerProblem::NotATime)?;
        let time = match text.parse::<Timestamp>() {
            Ok(time) => Some(UnixMillis(time.as_millisecond())),
            Err(_) => since_1970(&text),
        };
        time.ok_or(AnswerProblem::NotATime)
    }

    /// What stands at this place as it is written, a text without its quotes; `None` for a text that cannot be read.
    fn text(&self, answer: &[u8]) -> Result<Option<String>, AnswerProblem> {
        let text = std::str::from_utf8(answer).map_err(|_| AnswerProblem::NotJson)?;
        let mut at: &RawValue = serde_json::from_str(text).map_err(|_| AnswerProblem::NotJson)?;
        for token in &self.0 {
            at = child(at, token).ok_or(AnswerProblem::Missing)?;
        }
        let written = at.get();
        Ok(if written.starts_with('"') {
            serde_json::from_str(written).ok()
        } else {
            Some(written.to_owned())
        })
    }
}

/// Reads seconds, which may have a fraction, or milliseconds.
fn since_1970(text: &str) -> Option<UnixMillis> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    if SECONDS_MAX < whole {
        return Some(UnixMillis(whole));
    }
    let thousandths = fraction.chars().chain("000".chars()).take(3);
    let thousandths: i64 = thousandths.collect::<String>().parse().ok()?;
    Some(UnixMillis(
        whole.checked_mul(1000)?.checked_add(thousandths)?,
    ))
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
                .rate(answer.as_bytes())
                .map(|value| value.to_string());
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{answer}");
        }
        let root: Pointer = "".parse().unwrap();
        assert!(
            root.rate(deep.as_bytes()).is_err(),
            "no depth breaks anything"
        );
        assert_eq!(root.rate(b"\xff"), Err(AnswerProblem::NotJson));
    }

    #[test]
    fn a_time_is_read_in_the_forms_that_sources_use() {
        let at = |millis: i64| Ok(UnixMillis(millis));
        let table = [
            ("1700000000", at(1_700_000_000_000)),
            ("1700000000.5", at(1_700_000_000_500)),
            ("1700000000.123456", at(1_700_000_000_123)),
            ("1700000000123", at(1_700_000_000_123)),
            (r#""1700000000""#, at(1_700_000_000_000)),
            (r#""2023-11-14T22:13:20Z""#, at(1_700_000_000_000)),
            (r#""2023-11-14T23:13:20.5+01:00""#, at(1_700_000_000_500)),
            ("0", at(0)),
            ("99999999999", at(99_999_999_999_000)),
            ("100000000000", at(100_000_000_000)),
        ];
        let pointer: Pointer = "/t".parse().unwrap();
        for (written, expected) in table {
            let answer = format!(r#"{{"t":{written}}}"#);
            assert_eq!(pointer.time(answer.as_bytes()), expected, "{written}");
        }
        for written in [
            "-1",
            "1e9",
            "null",
            "true",
            "[1]",
            r#""""#,
            r#"".""#,
            r#""now""#,
            r#""2023-11-14""#,
            r#""12:00""#,
            "99999999999999999999",
        ] {
            let answer = format!(r#"{{"t":{written}}}"#);
            let refused = pointer.time(answer.as_bytes());
            assert_eq!(refused, Err(AnswerProblem::NotATime), "{written}");
        }
        assert_eq!(pointer.time(b"{}"), Err(AnswerProblem::Missing));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["a", "price/usd", "/a~", "/a~2", "#/a"] {
            assert_eq!(text.parse::<Pointer>(), Err(PointerError), "{text}");
        }
    }
}
