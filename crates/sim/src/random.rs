//! Random numbers from a seed: the same on every machine and in every build.

use paywatch_domain::Entropy;

/// A stream of numbers (split mix, <https://prng.di.unimi.it/splitmix64.c>).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for one purpose: what it draws does not depend on what others draw.
    #[must_use]
    pub fn of(seed: u64, purpose: &str, number: u64) -> Self {
        let mut mixed = Self(seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
        for byte in purpose.bytes() {
            mixed.0 = mixed.draw() ^ u64::from(byte);
        }
        mixed
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }

    /// A number from one to another, both included.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        let width = u64::try_from(to.saturating_sub(from).saturating_add(1)).unwrap_or(1);
        let step = i64::try_from(self.below(width)).unwrap_or(0);
        from.saturating_add(step)
    }

    /// True so many times in a million.
    pub fn is(&mut self, millionths: u32) -> bool {
        self.below(1_000_000) < u64::from(millionths)
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let length = u64::try_from(list.len()).unwrap_or(0);
        list.get(usize::try_from(self.below(length)).unwrap_or(0))
    }

    /// A wait whose mean is `mean_ms`: mostly shorter, now and then three times as long.
    pub fn wait_ms(&mut self, mean_ms: i64) -> i64 {
        // Two uniform draws multiplied have a quarter of the largest product as their mean.
        let (a, b) = (self.between(1, 1_000), self.between(1, 1_000));
        let product = mean_ms.saturating_mul(4).saturating_mul(a) / 1_000;
        (product.saturating_mul(b) / 1_000).max(1)
    }

    /// Puts a list into a random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.below(u64::try_from(last).unwrap_or(0).saturating_add(1));
            list.swap(last, usize::try_from(other).unwrap_or(0));
        }
    }
}

impl Entropy for Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.draw().to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(drawn) {
                *to = from;
            }
        }
    }
}
