//! Double SHA-256 hashes: of blocks, of transactions, of the merkle tree.
//!
//! Hashed with `sha2`, which finds the processor's SHA instructions at run time.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};
use sha2::{Digest, Sha256};

/// A double SHA-256 hash in the order of the bytes on the wire; its text form is reversed, as
/// everywhere in Bitcoin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hash256([u8; 32]);

impl Hash256 {
    /// What a first block names as its parent, and a coinbase input as the transaction it spends.
    pub(crate) const ZERO: Self = Self([0; 32]);

    /// The hash of the concatenation of `parts`.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(Sha256::digest(hasher.finalize()).into())
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
