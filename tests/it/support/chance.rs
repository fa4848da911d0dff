//! Chance that can be played again: numbers from a seed that the test prints.

use anyhow::{Context, Result};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Whether the large numbers are asked for (`cargo xtask test --full`).
pub(crate) fn is_full() -> bool {
    std::env::var_os("PAYWATCH_TEST_FULL").is_some_and(|value| !value.is_empty())
}

/// A generator of numbers (splitmix64, <https://prng.di.unimi.it/splitmix64.c>).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// From `PAYWATCH_TEST_SEED`, else from the system; says which, to play a failure again.
    pub(crate) fn new() -> Result<Self> {
        let seed = match std::env::var("PAYWATCH_TEST_SEED") {
            Ok(text) => text
                .parse()
                .context("PAYWATCH_TEST_SEED must be a number")?,
            Err(_) => RandomState::new().hash_one("seed"),
        };
        println!("to play this again: PAYWATCH_TEST_SEED={seed}");
        Ok(Self(seed))
    }

    /// Another generator, for what runs at the same time.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `bound`, which must not be zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A time from `least_ms` on and shorter than `most_ms`.
    pub(crate) fn pause(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_millis(least_ms + self.below(most_ms - least_ms))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
