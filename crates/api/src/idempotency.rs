//! The header `Idempotency-Key`
//! (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).

use http::HeaderMap;
use paywatch_domain::limits;

use crate::fault::Fault;

/// Reads the key: a quoted string as the draft says, or bare as most clients send it.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| Fault::IdempotencyKeyInvalid)?
        .trim();
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let key = inner.unwrap_or(text);
    let visible = key
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"');
    let fits = (1..=limits::IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len());
    if values.next().is_some() || !visible || !fits {
        return Err(Fault::IdempotencyKeyInvalid);
    }
    Ok(Some(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_bare_or_quoted() {
        let long = "x".repeat(255);
        let cases: &[(&str, Option<&str>)] = &[
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            ("a b", Some("a b")),
            (&long, Some(&long)),
            ("", None),
            ("\"\"", None),
            ("\"", None),
            ("a\"b", None),
        ];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter([(
                "idempotency-key".parse().expect("a header's name"),
                value.parse().expect("a header's value"),
            )]);
            assert_eq!(
                key(&headers).ok().flatten().as_deref(),
                *expected,
                "{value:?}"
            );
        }
        let mut twice = HeaderMap::new();
        assert!(matches!(key(&twice), Ok(None)));
        for value in ["a", "b"] {
            twice.append("idempotency-key", value.parse().expect("a header's value"));
        }
        assert!(key(&twice).is_err());
        let long = "x".repeat(256).parse().expect("a header's value");
        let too_long = HeaderMap::from_iter([("idempotency-key".parse().expect("a name"), long)]);
        assert!(key(&too_long).is_err());
    }
}
