//! Times as RFC 3339 text in UTC with milliseconds.

use jiff::Timestamp;
use paywatch_domain::UnixMillis;

/// A text that is not a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of the form 2026-12-01T09:30:00.000Z (RFC 3339)")]
pub struct TimeError;

/// The time as text, for example `2026-12-01T09:30:00.000Z` (RFC 3339).
///
/// Times beyond the years that RFC 3339 can say are shown as the first or last that it can.
pub fn rfc3339(time: UnixMillis) -> String {
    let end = if time.0 < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    let stamp = Timestamp::from_millisecond(time.0).unwrap_or(end);
    format!("{stamp:.3}")
}

/// Reads RFC 3339 text with any offset; digits below the millisecond are cut off.
///
/// # Errors
/// [`TimeError`] for everything else.
pub fn parse_rfc3339(text: &str) -> Result<UnixMillis, TimeError> {
    text.parse::<Timestamp>()
        .map(|stamp| UnixMillis(stamp.as_millisecond()))
        .map_err(|_| TimeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_utc_with_milliseconds() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_796_117_400_007, "2026-12-01T09:30:00.007Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(rfc3339(UnixMillis(millis)), text);
            assert_eq!(parse_rfc3339(text), Ok(UnixMillis(millis)));
        }
        assert_eq!(
            parse_rfc3339("2026-12-01T10:30:00.0079+01:00"),
            Ok(UnixMillis(1_796_117_400_007))
        );
        assert_eq!(rfc3339(UnixMillis(i64::MAX)), "9999-12-30T22:00:00.999Z");
        for text in [
            "",
            "yesterday",
            "2026-12-01",
            "1796117400007",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), Err(TimeError), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_time_reads_back(millis in 0_i64..253_000_000_000_000) {
            let time = UnixMillis(millis);
            proptest::prop_assert_eq!(parse_rfc3339(&rfc3339(time)), Ok(time));
        }
    }
}
