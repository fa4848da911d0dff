//! Keys as common wallets make them (SLIP-10,
//! <https://github.com/satoshilabs/slips/blob/master/slip-0010.md>): every step is hardened, so that no
//! address can be derived without the private key.

use anyhow::{Result, anyhow, bail};
use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha512;

use crate::signer::Signer;
use crate::words::Words;

const HARDENED: u32 = 0x8000_0000;

/// A key and the chain code of its children.
struct Node {
    key: [u8; 32],
    chain_code: [u8; 32],
}

impl Node {
    fn root(seed: &[u8]) -> Result<Self> {
        Self::of(b"ed25519 seed", &[seed])
    }

    fn child(&self, step: u32) -> Result<Self> {
        let step = (HARDENED | step).to_be_bytes();
        Self::of(&self.chain_code, &[&[0], &self.key, &step])
    }

    fn of(key: &[u8], data: &[&[u8]]) -> Result<Self> {
        let mac = Hmac::<Sha512>::new_from_slice(key);
        let mut mac = mac.map_err(|_| anyhow!("a key of this length is refused"))?;
        for part in data {
            mac.update(part);
        }
        let both: [u8; 64] = mac.finalize().into_bytes().into();
        let (mut key, mut chain_code) = ([0; 32], [0; 32]);
        let (left, right) = both.split_at(32);
        key.copy_from_slice(left);
        chain_code.copy_from_slice(right);
        Ok(Self { key, chain_code })
    }
}

/// The keys of one root: `m/44'/501'`.
pub(crate) struct Wallet(Node);

impl Wallet {
    /// The wallet of a root.
    pub(crate) fn of(words: &Words) -> Result<Self> {
        let root = Node::root(&words.seed())?;
        Ok(Self(root.child(44)?.child(501)?))
    }

    /// What signs for the address at `m/44'/501'/index'/0'`.
    pub(crate) fn signer(&self, index: u32) -> Result<Signer> {
        if HARDENED <= index {
            bail!("index {index} is not possible: below {HARDENED}");
        }
        let node = self.0.child(index)?.child(0)?;
        Ok(Signer::Seed(SigningKey::from_bytes(&node.key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address;

    /// Test vector 1 of SLIP-10 for ed25519: the root, and `m/0H/1H/2H/2H/1000000000H`.
    #[test]
    fn solana_keys_are_those_of_the_standard() {
        let seed: Vec<u8> = (0..16).collect();
        let mut node = Node::root(&seed).unwrap();
        assert_eq!(
            hex::encode(node.key),
            "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7"
        );
        assert_eq!(
            hex::encode(node.chain_code),
            "90046a93de5380a72b5e45010748567d5ea02bbf6522f979e05c0d8d8ca9fffb"
        );
        for step in [0, 1, 2, 2, 1_000_000_000] {
            node = node.child(step).unwrap();
        }
        assert_eq!(
            hex::encode(node.key),
            "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793"
        );
    }

    /// What common wallets show for these words.
    #[test]
    fn solana_addresses_are_those_of_common_wallets() {
        let words = Words::parse(&format!("{}about", "abandon ".repeat(11))).unwrap();
        let wallet = Wallet::of(&words).unwrap();
        for (index, expected) in [
            (0, "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk"),
            (1, "Hh8QwFUA6MtVu1qAoq12ucvFHNwCcVTV7hpWjeY1Hztb"),
            (2, "7WktogJEd2wQ9eH2oWusmcoFTgeYi6rS632UviTBJ2jm"),
        ] {
            let signer = wallet.signer(index).unwrap();
            assert_eq!(address::text(&signer.public()), expected);
        }
        assert!(wallet.signer(HARDENED).is_err());
    }
}
