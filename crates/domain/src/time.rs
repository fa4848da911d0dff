//! Points in time and the clock that requests are stamped with.

use crate::limits;

/// Milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The time `milliseconds` later, or the end of time where that cannot be represented.
    #[must_use]
    pub fn plus_ms(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// The time `seconds` later, or the end of time where that cannot be represented.
    #[must_use]
    pub fn plus_s(self, seconds: u64) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        self.plus_ms(seconds.saturating_mul(1000))
    }

    /// Whether a clock that shows `now` can have shown this time before: it is not ahead by more than
    /// [`limits::CLOCK_AHEAD_MS_MAX`].
    pub fn can_have_been(self, now: Self) -> bool {
        self.ms_since(now) <= limits::CLOCK_AHEAD_MS_MAX
    }

    /// Whether this time, which was set as at most `wait_ms` ahead, is still to come. One that is further
    /// ahead was set by a clock that has been put back since, and nobody waits for it.
    pub fn is_awaited(self, now: Self, wait_ms: i64) -> bool {
        (1..=wait_ms).contains(&self.ms_since(now))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Tells the time. Injected wherever requests enter; everything else gets times as arguments.
pub trait Clock: Send + Sync {
    /// The present time.
    fn now(&self) -> UnixMillis;
}
