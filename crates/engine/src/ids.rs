//! A stream of ids from one seed, so that a unit of work that is run again makes the same ids.

use sha2::{Digest, Sha256};

/// Ids derived from a random seed.
#[derive(Clone, Debug)]
pub struct Ids {
    seed: [u8; 32],
    next: u64,
}

impl Ids {
    /// The stream of this seed, from its start.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, next: 0 }
    }

    /// The next 128 bits.
    pub fn bits(&mut self) -> u128 {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.next.to_be_bytes());
        self.next = self.next.saturating_add(1);
        let digest = hash.finalize();
        digest
            .iter()
            .take(16)
            .fold(0, |bits, byte| (bits << 8) | u128::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_ids_and_never_one_twice() {
        let take = |seed| {
            let mut ids = Ids::new([seed; 32]);
            (0..100).map(|_| ids.bits()).collect::<Vec<_>>()
        };
        assert_eq!(take(1), take(1));
        let mut both = [take(1), take(2)].concat();
        both.sort_unstable();
        both.dedup();
        assert_eq!(both.len(), 200);
    }
}
