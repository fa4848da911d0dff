//! How often each key asks: a bucket of tokens for each, and when it was last seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use paywatch_domain::{KeyId, UnixMillis};
use paywatch_store::{StoreError, Tx, Unit, api_keys};

/// Thousandths that one request takes, so that a millisecond fills a whole number of them.
const REQUEST: u64 = 1_000;
/// The last use of a key is noted at most this often, in milliseconds.
const NOTED_MS: i64 = 60_000;

/// How often one key may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run; 0 for as many as it likes.
    pub per_second: u32,
    /// Requests that it may send at once after a rest.
    pub burst: u32,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is served.
    Served {
        /// Whether the use is to be noted in the database.
        is_noted: bool,
    },
    /// It comes too soon.
    TooSoon {
        /// When it would be served, in seconds.
        retry_after_s: u64,
    },
}

#[derive(Debug)]
struct Bucket {
    /// Thousandths of requests.
    left: u64,
    filled_at: UnixMillis,
    noted_at: Option<UnixMillis>,
}

/// Counts the requests of valid keys; as many are kept as there are.
#[derive(Debug)]
pub struct Meter {
    rate: Rate,
    buckets: Mutex<BTreeMap<KeyId, Bucket>>,
}

impl Meter {
    /// A meter that has seen nobody.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Counts a request of a key.
    pub(crate) fn take(&self, key: KeyId, now: UnixMillis) -> Turn {
        let full = u64::from(self.rate.burst.max(1)).saturating_mul(REQUEST);
        let per_ms = u64::from(self.rate.per_second);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key).or_insert(Bucket {
            left: full,
            filled_at: now,
            noted_at: None,
        });
        // A clock that was put back fills nothing.
        let passed_ms = u64::try_from(now.ms_since(bucket.filled_at)).unwrap_or(0);
        bucket.left = full.min(bucket.left.saturating_add(passed_ms.saturating_mul(per_ms)));
        bucket.filled_at = now;
        if per_ms != 0 {
            let Some(left) = bucket.left.checked_sub(REQUEST) else {
                let missing = REQUEST.saturating_sub(bucket.left);
                let wait_ms = missing.div_ceil(per_ms);
                return Turn::TooSoon {
                    retry_after_s: wait_ms.div_ceil(1_000).max(1),
                };
            };
            bucket.left = left;
        }
        let is_recent = |noted: UnixMillis| (0..NOTED_MS).contains(&now.ms_since(noted));
        let is_noted = !bucket.noted_at.is_some_and(is_recent);
        if is_noted {
            bucket.noted_at = Some(now);
        }
        Turn::Served { is_noted }
    }
}

/// Notes that a key was used.
pub(crate) struct NoteUse {
    pub(crate) key: KeyId,
    pub(crate) now: UnixMillis,
}

impl Unit for NoteUse {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "note_key_use";
    const FLUSHED: bool = false;

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        api_keys::used(tx, self.key, self.now).await
    }
}

/// Seals a key again.
pub(crate) struct ResealKey {
    pub(crate) key: KeyId,
    /// Its seal as it was read.
    pub(crate) before: [u8; 32],
    pub(crate) seal: [u8; 32],
}

impl Unit for ResealKey {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "reseal_key";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        api_keys::reseal(tx, self.key, &self.before, &self.seal).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u128) -> KeyId {
        KeyId::from_bits(number)
    }

    fn at(ms: i64) -> UnixMillis {
        UnixMillis(1_000_000 + ms)
    }

    #[test]
    fn a_key_has_a_burst_and_then_its_rate() {
        let meter = Meter::new(Rate {
            per_second: 2,
            burst: 3,
        });
        let served = |ms| matches!(meter.take(key(1), at(ms)), Turn::Served { .. });
        assert!((0..3).all(|_| served(0)));
        assert_eq!(
            meter.take(key(1), at(0)),
            Turn::TooSoon { retry_after_s: 1 }
        );
        assert!(!served(499));
        assert!(served(500), "what was refused took nothing");
        assert!(!served(500));
        let other = meter.take(key(2), at(500));
        assert!(matches!(other, Turn::Served { .. }), "each has its own");
        assert!(!served(-60_000), "a clock that is put back fills nothing");
        assert!(
            (0..3).all(|_| served(60_000)) && !served(60_000),
            "no more than the burst"
        );
    }

    #[test]
    fn no_rate_is_no_limit() {
        let meter = Meter::new(Rate {
            per_second: 0,
            burst: 0,
        });
        for _ in 0..10_000 {
            assert!(matches!(meter.take(key(1), at(0)), Turn::Served { .. }));
        }
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let meter = Meter::new(Rate {
            per_second: 0,
            burst: 0,
        });
        let noted = |ms| meter.take(key(1), at(ms)) == Turn::Served { is_noted: true };
        assert!(noted(0) && !noted(59_999) && noted(60_000) && !noted(60_001));
        assert!(noted(-1), "after the clock was put back");
    }
}
