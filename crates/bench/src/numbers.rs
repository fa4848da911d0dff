//! Numbers that look random and are the same in every run, so that every run does the same work.

use std::time::{SystemTime, UNIX_EPOCH};

use paywatch_domain::{Entropy, UnixMillis};

/// The sequence splitmix64 (<https://prng.di.unimi.it/splitmix64.c>).
#[derive(Clone, Debug)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next twenty bytes: as long as the hash of a key.
    pub(crate) fn hash(&mut self) -> [u8; 20] {
        let mut bytes = [0; 20];
        self.fill(&mut bytes);
        bytes
    }
}

impl Entropy for Numbers {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next().to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(number) {
                *to = from;
            }
        }
    }
}

/// The system's clock.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
