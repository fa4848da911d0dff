//! The headers of the current difficulty period, so that a block's `bits` can be checked without
//! asking for its ancestors again.

use std::collections::HashMap;

use crate::difficulty::{Ancestry, Header, PERIOD, lowest_bits};
use crate::hash::Hash256;
use crate::network::{DifficultyRule, Network};

/// Above this many headers the oldest are forgotten, down to the last two periods.
const HEADERS_MAX: usize = 10_000;

/// Headers by their own hash. What is here proves nothing of itself; that a header's descendants
/// name it by its hash does, so a lie cannot be asked for.
#[derive(Debug)]
pub(crate) struct HeaderCache {
    network: Network,
    headers: HashMap<Hash256, (u64, Header)>,
}

impl HeaderCache {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            network,
            headers: HashMap::new(),
        }
    }

    /// Remembers a header that stands at `height`.
    pub(crate) fn insert(&mut self, height: u64, header: Header) {
        if self.network.difficulty_rule() == DifficultyRule::Fixed {
            return;
        }
        self.headers.insert(header.hash, (height, header));
        if HEADERS_MAX < self.headers.len() {
            let highest = self.headers.values().map(|(height, _)| *height).max();
            let kept_from = highest.unwrap_or_default().saturating_sub(2 * PERIOD);
            self.headers.retain(|_, (height, _)| kept_from <= *height);
        }
        // Only heights far apart can still leave too many, which no chain has.
        if HEADERS_MAX < self.headers.len() {
            self.headers.clear();
        }
    }

    /// What decides the difficulty of the block at `height` on top of `parent`; `None` while a
    /// header is missing.
    pub(crate) fn ancestry(&self, height: u64, parent: Hash256) -> Option<Ancestry> {
        let rule = self.network.difficulty_rule();
        let Some(parent_height) = height.checked_sub(1) else {
            return Some(Ancestry::Fixed);
        };
        if rule == DifficultyRule::Fixed {
            return Some(Ancestry::Fixed);
        }
        let parent = self.header(parent)?;
        if height.is_multiple_of(PERIOD) {
            let first = (1..PERIOD).try_fold(parent, |header, _| self.header(header.parent))?;
            return Some(Ancestry::First { parent, first });
        }
        let ordinary_bits = match rule {
            DifficultyRule::Fixed | DifficultyRule::Retarget => parent.bits,
            DifficultyRule::Exceptions { .. } => self.ordinary_bits(parent_height, parent)?,
        };
        Some(Ancestry::Inside {
            parent,
            ordinary_bits,
        })
    }

    /// The heights whose headers [`Self::ancestry`] may need for the block at `height`, and for those
    /// that follow up to the first block of the next period.
    pub(crate) fn needed(height: u64) -> std::ops::RangeInclusive<u64> {
        let before = height.saturating_sub(1);
        let first = before - before % PERIOD;
        first..=first.saturating_add(PERIOD - 1)
    }

    fn ordinary_bits(&self, height: u64, parent: Header) -> Option<u32> {
        let lowest = lowest_bits(self.network);
        let mut height = height;
        let mut header = parent;
        while !height.is_multiple_of(PERIOD) && header.bits == lowest {
            header = self.header(header.parent)?;
            height = height.checked_sub(1)?;
        }
        Some(header.bits)
    }

    fn header(&self, hash: Hash256) -> Option<Header> {
        self.headers.get(&hash).map(|(_, header)| *header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(height: u64) -> Hash256 {
        Hash256::of(&[&height.to_le_bytes()])
    }

    fn header(height: u64, bits: u32) -> Header {
        Header {
            hash: hash(height),
            parent: height.checked_sub(1).map_or(Hash256::ZERO, hash),
            merkle_root: Hash256::ZERO,
            time_s: u32::try_from(height).unwrap() * 600,
            bits,
        }
    }

    fn filled(network: Network, heights: std::ops::RangeInclusive<u64>, bits: u32) -> HeaderCache {
        let mut cache = HeaderCache::new(network);
        for height in heights {
            cache.insert(height, header(height, bits));
        }
        cache
    }

    #[test]
    fn a_period_ends_with_the_first_and_the_last_of_its_blocks() {
        let cache = filled(Network::Mainnet, 2016..=4031, 7);
        let ancestry = cache.ancestry(4032, hash(4031)).unwrap();
        let Ancestry::First { parent, first } = ancestry else {
            panic!("{ancestry:?}");
        };
        assert_eq!((parent.hash, first.hash), (hash(4031), hash(2016)));
        let inside = cache.ancestry(3000, hash(2999)).unwrap();
        assert_eq!(inside.parent(), Some(hash(2999)));
        assert_eq!(cache.ancestry(4033, hash(4032)), None);
        let short = filled(Network::Mainnet, 2017..=4031, 7);
        assert_eq!(short.ancestry(4032, hash(4031)), None, "one is missing");
    }

    #[test]
    fn easy_blocks_of_test_networks_are_skipped_down_to_the_start_of_the_period() {
        let lowest = lowest_bits(Network::Testnet4);
        let mut cache = filled(Network::Testnet4, 2016..=2030, lowest);
        let bits = |cache: &HeaderCache| match cache.ancestry(2031, hash(2030)).unwrap() {
            Ancestry::Inside { ordinary_bits, .. } => ordinary_bits,
            other => panic!("{other:?}"),
        };
        assert_eq!(bits(&cache), lowest);
        cache.insert(2016, header(2016, 5));
        assert_eq!(bits(&cache), 5);
        cache.insert(2020, header(2020, 6));
        assert_eq!(bits(&cache), 6);
    }

    #[test]
    fn what_is_needed_and_what_is_kept() {
        for height in [1, 2015, 2016] {
            assert_eq!(HeaderCache::needed(height), 0..=2015, "{height}");
        }
        for height in [2017, 4032] {
            assert_eq!(HeaderCache::needed(height), 2016..=4031, "{height}");
        }
        let cache = filled(Network::Mainnet, 1..=30_000, 7);
        assert!(cache.headers.len() <= HEADERS_MAX);
        assert!(cache.ancestry(2016 * 14, hash(2016 * 14 - 1)).is_some());
        let regtest = filled(Network::Regtest, 0..=10, 7);
        assert!(regtest.headers.is_empty());
        assert_eq!(regtest.ancestry(5, hash(1)), Some(Ancestry::Fixed));
        assert_eq!(cache.ancestry(0, Hash256::ZERO), Some(Ancestry::Fixed));
    }
}
