//! Double SHA-256 hashes: of blocks, of transactions, of the merkle tree.
//!
//! Hashed with `sha2`, which finds the processor's SHA instructions at run time. Nearly all messages are
//! short, and there the buffering of a general hasher costs as much as the hashing: their blocks are put
//! together here.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// The state before the first block (FIPS 180-4, 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
/// Blocks of a message that is put together on the stack: most transactions, without their witnesses.
const SHORT_BLOCKS: usize = 8;

/// A double SHA-256 hash in the order of the bytes on the wire; its text form is reversed, as
/// everywhere in Bitcoin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hash256([u8; 32]);

impl Hash256 {
    /// What a first block names as its parent, and a coinbase input as the transaction it spends.
    pub(crate) const ZERO: Self = Self([0; 32]);

    /// The hash of the concatenation of `parts`.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let length = parts.iter().map(|part| part.len()).sum();
        let mut short = [[0; 64]; SHORT_BLOCKS];
        let Some(blocks) = blocks_of(length).and_then(|count| short.get_mut(..count)) else {
            return Self::of_long(parts);
        };
        let mut rest = blocks.as_flattened_mut();
        for part in parts {
            let Some((place, behind)) = rest.split_at_mut_checked(part.len()) else {
                return Self::of_long(parts);
            };
            place.copy_from_slice(part);
            rest = behind;
        }
        pad(rest, length);
        Self::finish(blocks)
    }

    /// The hash of two hashes that stand beside each other in a merkle tree.
    pub(crate) fn of_pair(left: &Self, right: &Self) -> Self {
        let mut blocks = [[0; 64]; 2];
        let (pair, padding) = blocks.as_flattened_mut().split_at_mut(64);
        let (first, second) = pair.split_at_mut(32);
        first.copy_from_slice(&left.0);
        second.copy_from_slice(&right.0);
        pad(padding, 64);
        Self::finish(&blocks)
    }

    fn of_long(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(Sha256::digest(hasher.finalize()).into())
    }

    /// The hash of padded blocks, and of that hash.
    fn finish(blocks: &[[u8; 64]]) -> Self {
        let mut once = START;
        compress256(&mut once, blocks);
        let mut block = [0; 64];
        let (digest, padding) = block.split_at_mut(32);
        write(digest, once);
        pad(padding, 32);
        let mut twice = START;
        compress256(&mut twice, &[block]);
        let mut hash = [0; 32];
        write(&mut hash, twice);
        Self(hash)
    }

    /// The hash that these 32 bytes are.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads the text form: 64 lower-case hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        bytes.reverse();
        Some(Self(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Blocks of a message of `length` bytes with its padding (FIPS 180-4, 5.1.1).
fn blocks_of(length: usize) -> Option<usize> {
    Some(length.checked_add(9)?.div_ceil(64))
}

/// Writes what comes behind a message of `length` bytes into the zeros that are left of its blocks.
fn pad(zeros: &mut [u8], length: usize) {
    let bits = u64::try_from(length).unwrap_or_default().saturating_mul(8);
    if let Some(first) = zeros.first_mut() {
        *first = 0x80;
    }
    if let Some(last) = zeros.last_chunk_mut() {
        *last = bits.to_be_bytes();
    }
}

/// Writes a state as the hash that it is.
fn write(hash: &mut [u8], state: [u32; 8]) {
    let (words, _) = hash.as_chunks_mut();
    for (to, word) in words.iter_mut().zip(state) {
        *to = word.to_be_bytes();
    }
}

impl fmt::Display for Hash256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0;
        bytes.reverse();
        f.write_str(&hex::encode(bytes))
    }
}

impl fmt::Debug for Hash256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Hash256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Hash256;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 lower-case hexadecimal digits")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Hash256, E> {
                Hash256::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_hashed_as_by_the_general_hasher() {
        let message: Vec<u8> = (0..=u8::MAX).cycle().take(600).collect();
        for length in 0..=message.len() {
            let (message, _) = message.split_at(length);
            let (first, rest) = message.split_at(length / 3);
            let (second, third) = rest.split_at(rest.len() / 2);
            let parts = [first, second, third];
            let expected = Sha256::digest(Sha256::digest(message));
            assert_eq!(
                Hash256::of(&parts).0,
                <[u8; 32]>::from(expected),
                "{length}"
            );
        }
        let [left, right] = [b"left".as_slice(), b"right"].map(|text| Hash256::of(&[text]));
        let both = Hash256::of_long(&[&left.0, &right.0]);
        assert_eq!(Hash256::of_pair(&left, &right), both);
    }

    #[test]
    fn the_text_form_is_reversed() {
        let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Bitcoin);
        let header = bitcoin::consensus::serialize(&genesis.header);
        let (first, second) = header.split_at(11);
        let hash = Hash256::of(&[first, second]);
        assert_eq!(hash.to_string(), genesis.block_hash().to_string());
        assert_eq!(Hash256::parse(&hash.to_string()), Some(hash));
        assert_eq!(Hash256::parse(&hash.to_string().to_uppercase()), None);
        assert_eq!(Hash256::parse("00"), None);
        assert_eq!(Hash256::parse(&"g".repeat(64)), None);
    }
}
