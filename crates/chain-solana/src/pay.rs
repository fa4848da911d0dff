//! Solana Pay (<https://docs.solanapay.com/spec>): one wallet is paid, and a reference key in the
//! transaction says for which invoice.

use base58ck as base58;
use hmac::{Hmac, KeyInit as _, Mac as _};
use paywatch_chain::KeyError;
use paywatch_domain::Entropy;
use sha2::{Digest, Sha256};

use crate::address::{AddressError, address_text, parse_address};
use crate::scan::watched_key;

/// What stands between a wallet's address and its salt.
const SALT: &str = "?salt=";
/// What stands between a wallet's address and the reference of an invoice.
const REFERENCE: &str = "?reference=";
/// Fewest and most bytes of a salt.
const SALT_BYTES: std::ops::RangeInclusive<usize> = 16..=32;
/// Distinct bytes in a salt: 16 that are drawn have fewer less than once in a hundred million times.
const DISTINCT_MIN: usize = 8;

/// A wallet that is paid with references.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PayWallet {
    recipient: [u8; 32],
    /// Whoever knows it knows which payments are for whom.
    salt: Vec<u8>,
}

/// Whether a text is meant to be such a wallet: an address, with a salt or without.
pub(crate) fn is_meant(text: &str) -> bool {
    let recipient = text
        .split_once('?')
        .map_or(text, |(recipient, _)| recipient);
    parse_address(recipient) != Err(AddressError::Malformed)
}

/// The wallet of a bare address with a salt that is drawn; other texts stay what they are.
pub(crate) fn salted(text: &str, entropy: &mut dyn Entropy) -> String {
    let text = text.trim();
    if parse_address(text).is_err() {
        return text.to_owned();
    }
    let mut salt = [0; 32];
    entropy.fill(&mut salt);
    format!("{text}{SALT}{}", base58::encode(&salt))
}

/// The parts of an address with a reference; `None` for a plain address.
pub(crate) fn split(address: &str) -> Option<(&str, &str)> {
    address.split_once(REFERENCE)
}

impl PayWallet {
    /// Reads `ADDRESS?salt=SALT`, the salt in base58.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let (address, rest) = text.split_at(text.find('?').unwrap_or(text.len()));
        let recipient = parse_address(address).map_err(|error| match error {
            AddressError::OffCurve => KeyError::OffCurve {
                address: address.to_owned(),
            },
            AddressError::Malformed => KeyError::Malformed {
                detail: error.to_string(),
            },
        })?;
        let salt = match rest.strip_prefix(SALT) {
            Some(salt) => salt,
            None if rest.is_empty() => {
                return Err(guessable(
                    "it needs a secret salt; `?salt=` and one follow the address",
                ));
            }
            None => {
                return Err(KeyError::Unsupported {
                    detail: format!("what follows the address; only {SALT} can"),
                });
            }
        };
        let salt = base58::decode(salt).map_err(|_| KeyError::Malformed {
            detail: "the salt is not base58; leave it away, and one is drawn".to_owned(),
        })?;
        check_salt(&salt, &recipient)?;
        Ok(Self { recipient, salt })
    }

    /// The text that is stored. Reads back as the same.
    pub(crate) fn canonical(&self) -> String {
        let salt = base58::encode(&self.salt);
        format!("{}{SALT}{salt}", self.recipient_text())
    }

    /// The wallet's address.
    pub(crate) fn recipient_text(&self) -> String {
        address_text(&self.recipient)
    }

    /// A hash over the address: wallets of one address are one, whatever their salts.
    pub(crate) fn node_id(&self) -> [u8; 32] {
        let hash = Sha256::new().chain_update(b"solana-pay");
        hash.chain_update(self.recipient).finalize().into()
    }

    /// The reference at `index`: nobody without the salt knows it before it is shown.
    pub(crate) fn reference(&self, index: u32) -> Result<String, KeyError> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.salt);
        let mut mac = mac.map_err(|_| KeyError::Index { index })?;
        mac.update(&index.to_be_bytes());
        let reference: [u8; 32] = mac.finalize().into_bytes().into();
        Ok(base58::encode(&reference))
    }

    /// What payers get with a reference: the part of a Solana Pay URI behind its scheme, so that nobody
    /// takes it for an address to which money can be sent without the reference.
    pub(crate) fn address(&self, reference: &str) -> String {
        format!("{}{REFERENCE}{reference}", self.recipient_text())
    }

    /// What blocks are scanned for.
    pub(crate) fn watch_key(&self, reference: &str) -> String {
        watched_key(&self.recipient_text(), reference)
    }
}

/// Whether a salt is one that was drawn.
fn check_salt(salt: &[u8], recipient: &[u8; 32]) -> Result<(), KeyError> {
    if !SALT_BYTES.contains(&salt.len()) {
        return Err(guessable(
            "it must have 16 to 32 bytes; leave it away, and one is drawn",
        ));
    }
    let mut seen = [false; 256];
    for byte in salt {
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    }
    let distinct = seen.iter().filter(|seen| **seen).count();
    let steps: Vec<u8> = salt
        .iter()
        .zip(salt.iter().skip(1))
        .map(|(one, next)| next.wrapping_sub(*one))
        .collect();
    let is_counted = steps
        .iter()
        .zip(steps.iter().skip(1))
        .all(|(one, next)| one == next);
    let is_typed = salt.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if distinct < DISTINCT_MIN || is_counted || is_typed || salt == recipient {
        return Err(guessable(
            "it is not random bytes; leave it away, and one is drawn",
        ));
    }
    Ok(())
}

fn guessable(detail: &'static str) -> KeyError {
    KeyError::Guessable {
        what: "salt of the references",
        detail,
    }
}
