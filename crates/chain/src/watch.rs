//! The watch table: which keys are ours, by a keyed fingerprint.
//!
//! About 15 bytes a key. An answer of "perhaps" is confirmed against the database row; an answer of
//! "no" is certain. Keys are chosen by attackers too, so the fingerprint is keyed.

use std::collections::BTreeSet;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Parts of the table, which grow one by one: at ten million keys one insertion then moves ten thousand
/// of them and not all.
const SHARDS: usize = 1024;

/// The keys of one chain family that are watched.
#[derive(Clone, Debug)]
pub struct WatchTable {
    seed: (u64, u64),
    /// The fingerprints, spread by their upper bits.
    shards: Vec<HashTable<u64>>,
    count: usize,
    /// What stands between the parts of keys that have two.
    separator: Option<u8>,
    /// The fingerprints of first parts.
    firsts: HashTable<u64>,
    outpoints: BTreeSet<String>,
}

impl WatchTable {
    /// An empty table whose fingerprints are keyed with `seed`.
    pub fn new(seed: u128) -> Self {
        let [low, high] = [seed, seed >> 64]
            .map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default());
        Self {
            seed: (low | 1, high | 1),
            shards: vec![HashTable::new(); SHARDS],
            count: 0,
            separator: None,
            firsts: HashTable::new(),
            outpoints: BTreeSet::new(),
        }
    }

    /// The same for keys of which some have two parts with this byte between them, where there is one. Of those
    /// the first part is known too, and first parts are few.
    #[must_use]
    pub fn separated_by(self, separator: Option<u8>) -> Self {
        Self { separator, ..self }
    }

    /// Watches a key from now on.
    pub fn insert(&mut self, key: &[u8]) {
        if let Some(separator) = self.separator {
            let mut parts = key.splitn(2, |byte| *byte == separator);
            if let (Some(first), Some(_)) = (parts.next(), parts.next()) {
                let print = fingerprint(self.seed, first);
                let same = |other: &u64| *other == print;
                self.firsts
                    .entry(print, same, |other| *other)
                    .or_insert(print);
            }
        }
        let print = fingerprint(self.seed, key);
        let Some(shard) = self.shards.get_mut(shard(print)) else {
            return;
        };
        if let Entry::Vacant(slot) = shard.entry(print, |other| *other == print, |other| *other) {
            slot.insert(print);
            self.count = self.count.saturating_add(1);
        }
    }

    /// Whether a key may be watched; `false` is certain.
    pub fn may_contain(&self, key: &[u8]) -> bool {
        self.holds(fingerprint(self.seed, key))
    }

    /// Whether a watched key may have two parts and begin with this one; `false` is certain. Whoever knows first
    /// parts need not try every second one with them.
    pub fn may_begin(&self, first: &[u8]) -> bool {
        if self.firsts.is_empty() {
            return false;
        }
        let print = fingerprint(self.seed, first);
        self.firsts.find(print, |other| *other == print).is_some()
    }

    /// The numbers of those keys that may be watched; the others certainly are not. For many keys this
    /// is faster than one by one, as the memory of several is waited for at a time.
    pub fn candidates<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Vec<usize> {
        let prints: Vec<u64> = keys.map(|key| fingerprint(self.seed, key)).collect();
        let numbered = prints.into_iter().enumerate();
        numbered
            .filter(|(_, print)| self.holds(*print))
            .map(|(number, _)| number)
            .collect()
    }

    fn holds(&self, print: u64) -> bool {
        let shard = self.shards.get(shard(print));
        shard.is_some_and(|shard| shard.find(print, |other| *other == print).is_some())
    }

    /// Watches these outpoints and no others: what payments to watched keys spend that have no block, or may
    /// lose it to the branch that is read, in the text form of [`Credit::spends`](crate::Credit::spends).
    pub fn set_outpoints(&mut self, outpoints: impl IntoIterator<Item = String>) {
        self.outpoints = outpoints.into_iter().collect();
    }

    /// The outpoints that are watched.
    pub fn outpoints(&self) -> &BTreeSet<String> {
        &self.outpoints
    }

    /// How many fingerprints are in the table.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The part in which a fingerprint is. The table inside of it looks at the highest and lowest bits.
fn shard(print: u64) -> usize {
    usize::try_from(print >> 32).unwrap_or_default() % SHARDS
}

/// A keyed 64-bit fingerprint: folded 64x64 to 128 bit multiplications over 8-byte words.
fn fingerprint(seed: (u64, u64), key: &[u8]) -> u64 {
    let mut state = seed.0 ^ u64::try_from(key.len()).unwrap_or(u64::MAX);
    let (words, rest) = key.as_chunks();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), seed.1);
    }
    if !rest.is_empty() {
        let word = rest
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        state = fold(state ^ word, seed.1);
    }
    fold(state ^ seed.1, seed.0)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    let low = u64::try_from(product & u128::from(u64::MAX)).unwrap_or_default();
    let high = u64::try_from(product >> 64).unwrap_or_default();
    low ^ high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_others_are_not() {
        let mut table = WatchTable::new(0x1234_5678_9abc_def0_0fed_cba9_8765_4321);
        let key = |number: u32| {
            let mut key = vec![0, 20];
            key.extend(number.to_be_bytes().repeat(5));
            key
        };
        for number in 0..20_000 {
            table.insert(&key(number));
            table.insert(&key(number));
        }
        assert_eq!(table.len(), 20_000, "a key counts once");
        assert!((0..20_000).all(|number| table.may_contain(&key(number))));
        assert!(!(20_000..60_000).any(|number| table.may_contain(&key(number))));
        assert!(!table.may_contain(b""));
        let keys: Vec<Vec<u8>> = (19_990..20_010).map(key).collect();
        let found = table.candidates(keys.iter().map(Vec::as_slice));
        assert!(found.into_iter().eq(0..10));
    }

    #[test]
    fn the_first_of_two_parts_is_known_where_keys_have_them() {
        for (separator, expected) in [(None, false), (Some(b'+'), false), (Some(b'/'), true)] {
            let mut table = WatchTable::new(7).separated_by(separator);
            for key in ["one/b", "one/c", "two/b/d", "three"] {
                table.insert(key.as_bytes());
                assert!(table.may_contain(key.as_bytes()));
            }
            assert_eq!(table.len(), 4);
            for first in ["one", "two"] {
                assert_eq!(table.may_begin(first.as_bytes()), expected);
                assert!(!table.may_contain(first.as_bytes()), "a part is no key");
            }
            for other in ["one/b", "two/b", "three", ""] {
                assert!(!table.may_begin(other.as_bytes()), "{other}");
            }
        }
    }

    #[test]
    fn the_seed_changes_every_fingerprint() {
        let same = (0..1000_u32).filter(|number| {
            let key = number.to_be_bytes();
            fingerprint((1, 3), &key) == fingerprint((5, 7), &key)
        });
        assert_eq!(same.count(), 0);
    }
}
