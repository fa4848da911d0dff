//! Seals and secrets: what the master key protects in a database that is not trusted.
//!
//! Every use has a subkey of its own, derived from the master key by HMAC, so that a seal made for
//! one purpose says nothing for another.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;

/// Bytes of the master key and of a seal.
const KEY_BYTES: usize = 32;
/// Random bytes that each encryption takes.
pub const NONCE_BYTES: usize = 24;
/// The first byte of everything encrypted here, for the day when the form changes.
const FORM: u8 = 1;

/// Why a secret cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text is not a key.
    #[error("the master key must be 32 bytes as 64 hexadecimal digits or as base64")]
    NotAKey,
    /// Another key encrypted it, or it was changed, or moved from another row.
    #[error("a stored secret cannot be decrypted: another master key, or the database was changed")]
    NotReadable,
    /// The secret is too long to be encrypted.
    #[error("the secret is too long to be encrypted")]
    TooLong,
}

/// The key above all: seals what addresses are made from, and encrypts secrets at rest. It is read
/// from a file or the environment and never stored in the database.
///
/// While it is being replaced, the keys before it still verify and decrypt; nothing new is made with them.
#[derive(Clone)]
pub struct MasterKey {
    current: [u8; KEY_BYTES],
    retired: Vec<[u8; KEY_BYTES]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl FromStr for MasterKey {
    type Err = SecretError;

    /// Reads 64 hexadecimal digits or base64; spaces and line ends around it are ignored.
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let bytes = if text.len() == 2 * KEY_BYTES {
            hex::decode(text).map_err(|_| SecretError::NotAKey)?
        } else {
            STANDARD
                .decode(text)
                .or_else(|_| URL_SAFE_NO_PAD.decode(text))
                .map_err(|_| SecretError::NotAKey)?
        };
        let bytes = bytes.try_into().map_err(|_| SecretError::NotAKey)?;
        Ok(Self::from_bytes(bytes))
    }
}

impl MasterKey {
    /// A key of these bytes, which must be random.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self {
            current: bytes,
            retired: Vec::new(),
        }
    }

    /// The same key, with others that it took the place of.
    #[must_use]
    pub fn with_retired(self, retired: impl IntoIterator<Item = Self>) -> Self {
        let retired = retired.into_iter().map(|key| key.current);
        let retired = self.retired.iter().copied().chain(retired).collect();
        Self { retired, ..self }
    }

    /// Whether keys that it took the place of are still good.
    pub fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    /// The key as hexadecimal text, to write it to a new key file.
    pub fn to_hex(&self) -> String {
        hex::encode(self.current)
    }

    /// A seal over `fields`: HMAC-SHA256 under the subkey of `purpose`. Each field goes in with its
    /// length, so that no two lists of fields have the same seal.
    pub fn mac(&self, purpose: &str, fields: &[&[u8]]) -> [u8; KEY_BYTES] {
        let key = subkey(&self.current, "seal", purpose);
        hmac(&key, fields).finalize().into_bytes().into()
    }

    /// Whether `seal` is the seal over `fields`, under this key or one before it; in constant time for each.
    pub fn verify(&self, purpose: &str, fields: &[&[u8]], seal: &[u8]) -> bool {
        self.all().any(|key| {
            let key = subkey(key, "seal", purpose);
            hmac(&key, fields).verify_slice(seal).is_ok()
        })
    }

    /// Encrypts with XChaCha20-Poly1305 under the subkey of `purpose`. `context` names the row that
    /// the secret belongs to and is needed again to decrypt; `nonce` must be random.
    pub fn encrypt(
        &self,
        purpose: &str,
        context: &[u8],
        nonce: [u8; NONCE_BYTES],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        let payload = Payload {
            msg: plaintext,
            aad: context,
        };
        let sealed = cipher(&self.current, purpose)
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SecretError::TooLong)?;
        Ok([&[FORM], nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts what [`encrypt`](Self::encrypt) made for the same purpose and context.
    pub fn decrypt(
        &self,
        purpose: &str,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        let (form, rest) = sealed.split_first().ok_or(SecretError::NotReadable)?;
        let (nonce, msg) = rest
            .split_at_checked(NONCE_BYTES)
            .ok_or(SecretError::NotReadable)?;
        if *form != FORM {
            return Err(SecretError::NotReadable);
        }
        let opened = self.all().find_map(|key| {
            let payload = Payload { msg, aad: context };
            let cipher = cipher(key, purpose);
            cipher.decrypt(XNonce::from_slice(nonce), payload).ok()
        });
        opened.ok_or(SecretError::NotReadable)
    }

    /// The key that is used, and then those before it.
    fn all(&self) -> impl Iterator<Item = &[u8; KEY_BYTES]> {
        std::iter::once(&self.current).chain(&self.retired)
    }
}

fn cipher(key: &[u8; KEY_BYTES], purpose: &str) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&subkey(key, "encrypt", purpose).into())
}

fn subkey(key: &[u8; KEY_BYTES], kind: &str, purpose: &str) -> [u8; KEY_BYTES] {
    let fields = [
        b"paywatch/1".as_slice(),
        kind.as_bytes(),
        purpose.as_bytes(),
    ];
    hmac(key, &fields).finalize().into_bytes().into()
}

fn hmac(key: &[u8; KEY_BYTES], fields: &[&[u8]]) -> Hmac<Sha256> {
    // A key shorter than the block of the hash is filled up with zeros (RFC 2104, section 2).
    let mut block = [0; 64];
    block[..KEY_BYTES].copy_from_slice(key);
    let mut hmac = Hmac::<Sha256>::new(&block.into());
    for field in fields {
        let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
        hmac.update(&length.to_le_bytes());
        hmac.update(field);
    }
    hmac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MasterKey {
        MasterKey::from_bytes([7; 32])
    }

    #[test]
    fn a_key_is_read_from_hex_and_base64_and_never_printed() {
        let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let expected = MasterKey::from_bytes(bytes).to_hex();
        let url_safe = URL_SAFE_NO_PAD.encode(bytes);
        for text in [expected.as_str(), &STANDARD.encode(bytes), &url_safe] {
            let read: MasterKey = format!(" {text}\n").parse().unwrap();
            assert_eq!(read.to_hex(), expected, "{text}");
        }
        for text in [
            "",
            "abc",
            &"g".repeat(64),
            &"a".repeat(62),
            &STANDARD.encode([0; 31]),
        ] {
            assert_eq!(
                text.parse::<MasterKey>().err(),
                Some(SecretError::NotAKey),
                "{text}"
            );
        }
        assert_eq!(format!("{:?}", key()), "MasterKey(..)");
    }

    #[test]
    fn a_seal_depends_on_key_purpose_and_the_borders_of_fields() {
        let seal = key().mac("option", &[b"ab", b"c"]);
        assert!(key().verify("option", &[b"ab", b"c"], &seal));
        let others = [
            MasterKey::from_bytes([8; 32]).mac("option", &[b"ab", b"c"]),
            key().mac("wallet", &[b"ab", b"c"]),
            key().mac("option", &[b"a", b"bc"]),
            key().mac("option", &[b"abc"]),
            key().mac("option", &[b"ab", b"c", b""]),
        ];
        assert!(others.iter().all(|other| *other != seal));
        assert!(!key().verify("option", &[b"ab", b"d"], &seal));
        assert!(!key().verify("option", &[b"ab", b"c"], &seal[..31]));
    }

    #[test]
    fn a_secret_opens_only_with_its_key_purpose_and_context() {
        let sealed = key()
            .encrypt("webhook", b"whe_1", [3; 24], b"secret")
            .unwrap();
        assert_eq!(
            key().decrypt("webhook", b"whe_1", &sealed).as_deref(),
            Ok(b"secret".as_slice())
        );
        let other = MasterKey::from_bytes([8; 32]);
        let mut changed = sealed.clone();
        changed[30] ^= 1;
        for wrong in [
            other.decrypt("webhook", b"whe_1", &sealed),
            key().decrypt("answer", b"whe_1", &sealed),
            key().decrypt("webhook", b"whe_2", &sealed),
            key().decrypt("webhook", b"whe_1", &changed),
            key().decrypt("webhook", b"whe_1", &sealed[..20]),
            key().decrypt("webhook", b"whe_1", &[]),
        ] {
            assert_eq!(wrong, Err(SecretError::NotReadable));
        }
    }

    #[test]
    fn a_retired_key_reads_and_makes_nothing_new() {
        let (old, new) = (key(), MasterKey::from_bytes([8; 32]));
        let both = new.clone().with_retired([old.clone()]);
        assert!(both.has_retired() && !new.has_retired());
        let seal = old.mac("option", &[b"a"]);
        let secret = old.encrypt("webhook", b"whe_1", [3; 24], b"s").unwrap();
        assert!(both.verify("option", &[b"a"], &seal) && !new.verify("option", &[b"a"], &seal));
        assert_eq!(
            both.decrypt("webhook", b"whe_1", &secret).as_deref(),
            Ok(b"s".as_slice())
        );
        assert_eq!(both.mac("option", &[b"a"]), new.mac("option", &[b"a"]));
        let made = both.encrypt("webhook", b"whe_1", [4; 24], b"s").unwrap();
        assert!(new.decrypt("webhook", b"whe_1", &made).is_ok());
        assert!(old.decrypt("webhook", b"whe_1", &made).is_err());
    }
}
