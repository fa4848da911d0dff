//! Randomness for one request, so that no lock is held while it waits.

use paywatch_domain::Entropy;
use sha2::{Digest, Sha256};

/// A stream of SHA-256 over a random seed and a counter. The seed is drawn once and never leaves.
pub(crate) struct RequestEntropy {
    seed: [u8; 32],
    next: u64,
}

impl RequestEntropy {
    /// A stream whose seed comes from `source`.
    pub(crate) fn drawn(source: &mut dyn Entropy) -> Self {
        let mut seed = [0; 32];
        source.fill(&mut seed);
        Self { seed, next: 0 }
    }
}

impl Entropy for RequestEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(b"paywatch request entropy");
            hash.update(self.seed);
            hash.update(self.next.to_be_bytes());
            self.next = self.next.wrapping_add(1);
            let block = hash.finalize();
            for (byte, random) in piece.iter_mut().zip(block) {
                *byte = random;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn a_stream_never_repeats_and_follows_its_seed() {
        let draw = |seed| {
            let mut stream = RequestEntropy::drawn(&mut Fixed(seed));
            let mut blocks: Vec<u128> = (0..100).map(|_| stream.bits()).collect();
            let mut long = [0; 70];
            stream.fill(&mut long);
            blocks.extend(
                long.chunks_exact(16)
                    .map(|chunk| u128::from_le_bytes(chunk.try_into().expect("16 bytes"))),
            );
            blocks
        };
        assert_eq!(draw(1), draw(1));
        let mut all = [draw(1), draw(2)].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 208);
    }
}
