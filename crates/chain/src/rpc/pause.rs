//! How long a node wants to be left alone: the header `Retry-After`.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Nobody is obeyed for longer than this.
const PAUSE_MAX: Duration = Duration::from_mins(10);

/// What the answer's header `Retry-After` asks for (RFC 9110, section 10.2.3), at most ten minutes. A
/// date is compared with the answer's own, so that it does not matter whose clock is wrong.
pub(super) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let pause = if is_number {
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let said_at = date(headers.get(DATE)?.to_str().ok()?)?;
        date(value)?.duration_since(said_at).unwrap_or_default()
    };
    Some(pause.min(PAUSE_MAX))
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood_and_bounded() {
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let cases = [
            (Some("0"), None, Some(0)),
            (Some(" 17 "), None, Some(17)),
            (Some("99999999999999999999999"), None, Some(600)),
            (Some("Sun, 06 Nov 1994 08:50:07 GMT"), now, Some(30)),
            (Some("Sun, 06 Nov 1994 08:00:00 GMT"), now, Some(0)),
            (Some("Mon, 07 Nov 1994 08:49:37 GMT"), now, Some(600)),
            (Some("Sun, 06 Nov 1994 08:50:07 GMT"), None, None),
            (Some("Sun, 06 Nov 1994 08:50:07 GMT"), Some("today"), None),
            (Some("-1"), now, None),
            (Some("soon"), now, None),
            (Some(""), now, None),
            (None, now, None),
        ];
        for (asked_for, said_at, expected_s) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in [(RETRY_AFTER, asked_for), (DATE, said_at)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            let expected = expected_s.map(Duration::from_secs);
            assert_eq!(asked(&headers), expected, "{asked_for:?} at {said_at:?}");
        }
    }
}
