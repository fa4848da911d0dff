//! How fast blocks are applied while catching up.

use std::collections::VecDeque;

use paywatch_domain::UnixMillis;

/// Over how long the speed is measured, in milliseconds.
const SPAN_MS: i64 = 10_000;

/// The heights of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Speed {
    heights: VecDeque<(UnixMillis, u64)>,
}

impl Speed {
    /// Notes that the cursor stands at this height.
    pub(super) fn note(&mut self, now: UnixMillis, height: u64) {
        // The newest of what is too old stays: the span begins there.
        while self
            .heights
            .get(1)
            .is_some_and(|(at, _)| SPAN_MS <= now.ms_since(*at))
        {
            self.heights.pop_front();
        }
        self.heights.push_back((now, height));
    }

    /// Blocks in a minute; `None` before that can be said.
    pub(super) fn blocks_per_minute(&self) -> Option<u64> {
        let (since, from) = self.heights.front()?;
        let (until, to) = self.heights.back()?;
        let span_ms = u64::try_from(until.ms_since(*since)).ok()?;
        to.checked_sub(*from)?
            .checked_mul(60_000)?
            .checked_div(span_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_the_last_seconds() {
        let mut speed = Speed::default();
        assert_eq!(speed.blocks_per_minute(), None);
        speed.note(UnixMillis(0), 100);
        assert_eq!(speed.blocks_per_minute(), None, "no time has passed");
        for second in 1..=20 {
            speed.note(UnixMillis(second * 1_000), 100);
        }
        assert_eq!(speed.blocks_per_minute(), Some(0));
        for second in 21..=40 {
            let height = u64::try_from(second * 5).unwrap();
            speed.note(UnixMillis(second * 1_000), height);
        }
        assert_eq!(speed.blocks_per_minute(), Some(300));
        speed.note(UnixMillis(41_000), 7);
        assert_eq!(speed.blocks_per_minute(), None, "the chain went back");
    }
}
