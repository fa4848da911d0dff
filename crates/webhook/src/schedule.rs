//! When to try again: fixed waits with jitter, and what a receiver asks for by `Retry-After`.
//!
//! Pure: the time and the randomness are arguments, all arithmetic is on integers.

use std::time::UNIX_EPOCH;

use paywatch_domain::UnixMillis;

use crate::error::WebhookError;

/// The waits of the Standard Webhooks specification before the first, second, ... attempt, in
/// milliseconds: 0 s, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
pub const STANDARD_WAITS_MS: [u64; 10] = [
    0, 5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000,
    86_400_000,
];
/// Most attempts that a schedule may have.
pub const ATTEMPTS_MAX: usize = 32;
/// Longest single wait, in milliseconds: 7 days.
pub const WAIT_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// A wait is made up to one fifth shorter or longer, so that retries do not arrive together.
const JITTER_DIVISOR: u64 = 5;

/// The waits before each attempt of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    waits_ms: Vec<u64>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            waits_ms: STANDARD_WAITS_MS.to_vec(),
        }
    }
}

impl Schedule {
    /// A schedule with these waits in milliseconds; the first is the one before the first attempt.
    ///
    /// # Errors
    /// `ScheduleRefused` when there is no wait, more than [`ATTEMPTS_MAX`], or one above
    /// [`WAIT_MS_MAX`].
    pub fn new(waits_ms: Vec<u64>) -> Result<Self, WebhookError> {
        if waits_ms.is_empty() || waits_ms.len() > ATTEMPTS_MAX {
            let text = format!(
                "must have 1 to {ATTEMPTS_MAX} waits, not {}",
                waits_ms.len()
            );
            return Err(WebhookError::ScheduleRefused(text));
        }
        if let Some(wait_ms) = waits_ms.iter().find(|wait_ms| **wait_ms > WAIT_MS_MAX) {
            let text = format!("has a wait of {wait_ms} ms; the longest is {WAIT_MS_MAX} ms");
            return Err(WebhookError::ScheduleRefused(text));
        }
        Ok(Self { waits_ms })
    }

    /// How many attempts a delivery gets.
    pub fn attempts_max(&self) -> usize {
        self.waits_ms.len()
    }

    /// When the next attempt is due after `attempts_made` of them, the last of which ended at
    /// `now`. `None`: the delivery is exhausted.
    ///
    /// The wait is the scheduled one, up to 20 % shorter or longer as `random` says. What the
    /// receiver asked for replaces it, but never below the scheduled wait nor above twice that.
    pub fn next(
        &self,
        attempts_made: usize,
        now: UnixMillis,
        random: u64,
        asked: Option<RetryAfter>,
    ) -> Option<UnixMillis> {
        let base_ms = *self.waits_ms.get(attempts_made)?;
        let wait_ms = match asked {
            Some(asked) => asked.wait_ms(now).clamp(base_ms, base_ms.saturating_mul(2)),
            None => jittered_ms(base_ms, random),
        };
        Some(now.plus_ms(i64::try_from(wait_ms).unwrap_or(i64::MAX)))
    }
}

fn jittered_ms(base_ms: u64, random: u64) -> u64 {
    let spread_ms = base_ms / JITTER_DIVISOR;
    let width_ms = spread_ms.saturating_mul(2).saturating_add(1);
    let shift_ms = random.checked_rem(width_ms).unwrap_or(0);
    base_ms.saturating_sub(spread_ms).saturating_add(shift_ms)
}

/// What a receiver asked for by the header `Retry-After` (RFC 9110, section 10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// A number of seconds after the answer.
    Seconds(u64),
    /// A date.
    At(UnixMillis),
}

impl RetryAfter {
    /// Reads the header's value; `None` when it is neither a number of seconds nor an HTTP date.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Seconds(value.parse().unwrap_or(u64::MAX)));
        }
        let date = httpdate::parse_http_date(value).ok()?;
        let since = date.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis())
            .ok()
            .map(|ms| Self::At(UnixMillis(ms)))
    }

    /// The wait from `now` on, in milliseconds; 0 for a date that has passed.
    pub fn wait_ms(self, now: UnixMillis) -> u64 {
        match self {
            Self::Seconds(seconds) => seconds.saturating_mul(1000),
            Self::At(at) => u64::try_from(at.ms_since(now)).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn wait(attempts_made: usize, random: u64, asked: Option<RetryAfter>) -> Option<i64> {
        let next = Schedule::default().next(attempts_made, NOW, random, asked)?;
        Some(next.ms_since(NOW))
    }

    #[test]
    fn the_standard_waits_with_their_bounds() {
        // Attempts made, scheduled wait, shortest, longest, in seconds.
        let table = [
            (0, 0, 0, 0),
            (1, 5, 4, 6),
            (2, 300, 240, 360),
            (3, 1_800, 1_440, 2_160),
            (4, 7_200, 5_760, 8_640),
            (5, 18_000, 14_400, 21_600),
            (6, 36_000, 28_800, 43_200),
            (7, 50_400, 40_320, 60_480),
            (8, 72_000, 57_600, 86_400),
            (9, 86_400, 69_120, 103_680),
        ];
        for (made, base_s, shortest_s, longest_s) in table {
            let base_ms = base_s * 1000;
            assert_eq!(
                wait(made, 0, None),
                Some(shortest_s * 1000),
                "shortest after {made}"
            );
            let spread_ms = u64::try_from(base_ms / 5).unwrap();
            assert_eq!(
                wait(made, spread_ms, None),
                Some(base_ms),
                "middle after {made}"
            );
            assert_eq!(
                wait(made, spread_ms * 2, None),
                Some(longest_s * 1000),
                "longest {made}"
            );
            for random in [1, 77, u64::MAX / 3, u64::MAX] {
                let wait_ms = wait(made, random, None).unwrap();
                assert!(
                    (shortest_s * 1000..=longest_s * 1000).contains(&wait_ms),
                    "{made}"
                );
            }
        }
        assert_eq!(wait(10, 0, None), None, "exhausted after the last");
        assert_eq!(wait(usize::MAX, 0, Some(RetryAfter::Seconds(1))), None);
    }

    #[test]
    fn retry_after_is_honoured_between_the_wait_and_twice_the_wait() {
        // Attempts made, asked seconds, wait in seconds.
        let table = [
            (1, 0, 5),
            (1, 4, 5),
            (1, 7, 7),
            (1, 10, 10),
            (1, 3_600, 10),
            (2, 301, 301),
            (9, u64::MAX, 172_800),
            (0, 60, 0),
        ];
        for (made, asked_s, expected_s) in table {
            let by_number = wait(made, 99, Some(RetryAfter::Seconds(asked_s)));
            assert_eq!(by_number, Some(expected_s * 1000), "{made} {asked_s}");
            let date = RetryAfter::At(NOW.plus_s(asked_s));
            assert_eq!(
                wait(made, 99, Some(date)),
                Some(expected_s * 1000),
                "{made} {asked_s}"
            );
        }
        let passed = RetryAfter::At(NOW.plus_ms(-1));
        assert_eq!(wait(1, 99, Some(passed)), Some(5_000));
    }

    #[test]
    fn retry_after_reads_seconds_and_dates() {
        let table = [
            ("120", Some(RetryAfter::Seconds(120))),
            (" 0 ", Some(RetryAfter::Seconds(0))),
            (
                "99999999999999999999999",
                Some(RetryAfter::Seconds(u64::MAX)),
            ),
            ("Fri, 15 Jan 2027 08:00:00 GMT", Some(RetryAfter::At(NOW))),
            ("Friday, 15-Jan-27 08:00:00 GMT", Some(RetryAfter::At(NOW))),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ];
        for (value, expected) in table {
            assert_eq!(RetryAfter::parse(value), expected, "{value}");
        }
    }

    #[test]
    fn waits_are_configurable_within_bounds() {
        let short = Schedule::new(vec![0, 10, 20]).unwrap();
        assert_eq!(short.attempts_max(), 3);
        assert_eq!(short.next(2, NOW, 4, None), Some(NOW.plus_ms(20)));
        assert_eq!(short.next(3, NOW, 0, None), None);
        for waits_ms in [vec![], vec![0; ATTEMPTS_MAX + 1], vec![0, WAIT_MS_MAX + 1]] {
            let refused = Schedule::new(waits_ms);
            assert!(matches!(refused, Err(WebhookError::ScheduleRefused(_))));
        }
        assert!(Schedule::new(vec![WAIT_MS_MAX; ATTEMPTS_MAX]).is_ok());
    }
}
