//! What webhooks to an endpoint are signed with, and how it is kept: encrypted under the master key and bound to
//! its endpoint.
//!
//! There are always two halves, made together and replaced together: a secret that the merchant has too
//! (`v1` of Standard Webhooks), and the seed of an ed25519 key of which the merchant has the public half
//! alone (`v1a`), for those who asked for that. Both are random and stored. Neither comes from the master
//! key, so replacing that changes no signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use paywatch_domain::{EndpointId, Entropy};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::fmt;

use crate::secrets::{MasterKey, NONCE_BYTES, SecretError};

/// What it is encrypted for; the context is the endpoint's public id.
const PURPOSE: &str = "webhook-secret";
/// Bytes of each half.
const HALF_BYTES: usize = 32;
/// What a public key begins with when it is written down (Standard Webhooks).
const PUBLIC_PREFIX: &str = "whpk_";
/// What a shared secret begins with when it is written down (Standard Webhooks).
const SHARED_PREFIX: &str = "whsec_";

/// What webhooks to an endpoint are signed with. Prints as a placeholder.
#[derive(Clone)]
pub struct EndpointSecret {
    shared: [u8; HALF_BYTES],
    seed: [u8; HALF_BYTES],
}

impl EndpointSecret {
    /// A new one.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let (mut shared, mut seed) = ([0; HALF_BYTES], [0; HALF_BYTES]);
        entropy.fill(&mut shared);
        entropy.fill(&mut seed);
        Self { shared, seed }
    }

    /// As it is stored; the nonce must be random.
    ///
    /// # Errors
    /// `TooLong` never happens.
    pub fn seal(
        &self,
        master: &MasterKey,
        endpoint: EndpointId,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Vec<u8>, SecretError> {
        let plain = [self.shared, self.seed].concat();
        master.encrypt(PURPOSE, endpoint.to_string().as_bytes(), nonce, &plain)
    }

    /// Reads what [`seal`](Self::seal) made for the same endpoint.
    ///
    /// # Errors
    /// `NotReadable` when another master key encrypted it, or the row was changed.
    pub fn open(
        master: &MasterKey,
        endpoint: EndpointId,
        sealed: &[u8],
    ) -> Result<Self, SecretError> {
        let plain = master.decrypt(PURPOSE, endpoint.to_string().as_bytes(), sealed)?;
        let half = |half: Option<&[u8]>| half.and_then(|half| half.try_into().ok());
        let (shared, seed) = (half(plain.get(..HALF_BYTES)), half(plain.get(HALF_BYTES..)));
        let (shared, seed) = shared.zip(seed).ok_or(SecretError::NotReadable)?;
        Ok(Self { shared, seed })
    }

    /// The secret of `v1`, which the merchant has too.
    pub fn shared(&self) -> &[u8] {
        &self.shared
    }

    /// The secret of `v1` as the merchant gets it: `whsec_` and base64.
    pub fn reveal_shared(&self) -> String {
        format!("{SHARED_PREFIX}{}", STANDARD.encode(self.shared))
    }

    /// The public key of `v1a` as the merchant gets it: `whpk_` and base64.
    ///
    /// # Errors
    /// `NotReadable` never happens: every seed is that of a key.
    pub fn public_key(&self) -> Result<String, SecretError> {
        let key = self.key()?;
        let encoded = STANDARD.encode(key.public_key());
        Ok(format!("{PUBLIC_PREFIX}{encoded}"))
    }

    /// The signature of `v1a` over bytes: ed25519 (RFC 8032), 64 bytes.
    ///
    /// # Errors
    /// As in [`public_key`](Self::public_key).
    pub fn sign(&self, content: &[u8]) -> Result<impl AsRef<[u8]> + use<>, SecretError> {
        Ok(self.key()?.sign(content))
    }

    fn key(&self) -> Result<Ed25519KeyPair, SecretError> {
        Ed25519KeyPair::from_seed_unchecked(&self.seed).map_err(|_| SecretError::NotReadable)
    }
}

impl fmt::Debug for EndpointSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointSecret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first vector of RFC 8032, section 7.1: seed, public key, signature of nothing.
    const VECTOR: (&str, &str, &str) = (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );

    fn secret(seed: &str) -> EndpointSecret {
        EndpointSecret {
            shared: [7; 32],
            seed: hex::decode(seed).unwrap().try_into().unwrap(),
        }
    }

    #[test]
    fn the_known_vector_comes_out() {
        let (seed, public, signature) = VECTOR;
        let secret = secret(seed);
        let expected = format!("whpk_{}", STANDARD.encode(hex::decode(public).unwrap()));
        assert_eq!(secret.public_key().unwrap(), expected);
        assert_eq!(hex::encode(secret.sign(b"").unwrap()), signature);
    }

    #[test]
    fn it_opens_for_its_endpoint_only_and_is_not_printed() {
        let (master, endpoint) = (MasterKey::from_bytes([1; 32]), EndpointId::from_bits(5));
        let secret = secret(VECTOR.0);
        let sealed = secret.seal(&master, endpoint, [4; 24]).unwrap();
        let opened = EndpointSecret::open(&master, endpoint, &sealed).unwrap();
        assert_eq!(opened.reveal_shared(), secret.reveal_shared());
        assert_eq!(opened.public_key().unwrap(), secret.public_key().unwrap());
        assert_eq!(format!("{opened:?}"), "EndpointSecret(hidden)");

        let other = MasterKey::from_bytes([9; 32]);
        for (master, endpoint) in [(&master, EndpointId::from_bits(6)), (&other, endpoint)] {
            let refused = EndpointSecret::open(master, endpoint, &sealed);
            assert!(matches!(refused, Err(SecretError::NotReadable)));
        }
        let context = endpoint.to_string();
        let short = master.encrypt(PURPOSE, context.as_bytes(), [4; 24], &[2; 63]);
        let refused = EndpointSecret::open(&master, endpoint, &short.unwrap());
        assert!(matches!(refused, Err(SecretError::NotReadable)));
    }
}
