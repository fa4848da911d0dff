//! Standard Webhooks: the secret of an endpoint and the signature header of one attempt.
//!
//! Specification: <https://github.com/standard-webhooks/standard-webhooks>, section "Signature scheme".

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use paywatch_store::EndpointSecret;
use sha2::Sha256;

use crate::error::WebhookError;

/// What a secret begins with when it is written down.
pub const SECRET_PREFIX: &str = "whsec_";
/// Fewest bytes of a secret (Standard Webhooks: 192 bits).
pub const SECRET_BYTES_MIN: usize = 24;
/// Most bytes of a secret (Standard Webhooks: 512 bits).
pub const SECRET_BYTES_MAX: usize = 64;

/// The key that an endpoint's owner and paywatch share. Prints as a placeholder.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A new secret from 32 random bytes.
    pub fn generate(random: [u8; 32]) -> Self {
        Self(random.to_vec())
    }

    /// The secret with these bytes, for instance after they were decrypted.
    ///
    /// # Errors
    /// `SecretRefused` when there are fewer than 24 or more than 64 of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WebhookError> {
        if (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(WebhookError::SecretRefused("must be 24 to 64 bytes long"))
        }
    }

    /// The bytes, to be encrypted before they are stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text that is shown to the merchant once: `whsec_` and standard base64 with padding.
    pub fn reveal(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl FromStr for Secret {
    type Err = WebhookError;

    fn from_str(text: &str) -> Result<Self, WebhookError> {
        let encoded = text
            .strip_prefix(SECRET_PREFIX)
            .ok_or(WebhookError::SecretRefused("must begin with whsec_"))?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| WebhookError::SecretRefused("must be standard base64 with padding"))?;
        Self::from_bytes(&bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// What makes one signature of an attempt.
#[derive(Clone, Debug)]
pub enum Signer {
    /// `v1`: HMAC-SHA256 with what the endpoint's owner has too.
    Shared(Secret),
    /// `v1a`: ed25519, of which the owner has the public key alone.
    Asymmetric(EndpointSecret),
}

impl Signer {
    /// One part of the header, such as `v1,<base64>`. What is signed is `head` and then `body`.
    fn part(&self, head: &[u8], body: &[u8]) -> Result<String, WebhookError> {
        Ok(match self {
            Self::Shared(secret) => format!("v1,{}", STANDARD.encode(mac(&secret.0, head, body)?)),
            Self::Asymmetric(secret) => {
                let signature = secret.sign(&[head, body].concat());
                let signature = signature.map_err(WebhookError::SecretUnreadable)?;
                format!("v1a,{}", STANDARD.encode(signature))
            }
        })
    }
}

/// The value of `webhook-signature` for one attempt: a part for each signer, separated by single spaces.
///
/// `timestamp_s` is the time of this attempt in Unix seconds, `body` the exact bytes that are sent.
///
/// # Errors
/// `NotSignable` without a signer, or when `id` is empty or contains a full stop, which would make
/// the signed content ambiguous.
pub fn signature_header(
    id: &str,
    timestamp_s: i64,
    body: &[u8],
    signers: &[Signer],
) -> Result<String, WebhookError> {
    if id.is_empty() || id.contains('.') {
        return Err(WebhookError::NotSignable(
            "the id is empty or contains a full stop",
        ));
    }
    if signers.is_empty() {
        return Err(WebhookError::NotSignable("the endpoint has no secret"));
    }
    let head = format!("{id}.{timestamp_s}.");
    let parts = signers
        .iter()
        .map(|signer| signer.part(head.as_bytes(), body));
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join(" "))
}

fn mac(key: &[u8], head: &[u8], body: &[u8]) -> Result<impl AsRef<[u8]>, WebhookError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|_| WebhookError::NotSignable("the secret has an impossible length"))?;
    mac.update(head);
    mac.update(body);
    Ok(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors that the official libraries carry: secret, id, time, body, header.
    const VECTORS: [(&str, &str, i64, &str, &str); 2] = [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ];

    fn shared(byte: u8) -> Signer {
        Signer::Shared(Secret::generate([byte; 32]))
    }

    #[test]
    fn the_known_vectors_come_out() {
        for (secret, id, timestamp_s, body, expected) in VECTORS {
            let secrets = [Signer::Shared(secret.parse().unwrap())];
            let header = signature_header(id, timestamp_s, body.as_bytes(), &secrets).unwrap();
            assert_eq!(header, expected, "{id}");
        }
    }

    #[test]
    fn every_secret_signs_during_a_rotation() {
        let secrets = [Signer::Shared(VECTORS[0].0.parse().unwrap()), shared(7)];
        let (_, id, at, body, first) = VECTORS[0];
        let both = signature_header(id, at, body.as_bytes(), &secrets).unwrap();
        let second = signature_header(id, at, body.as_bytes(), &secrets[1..]).unwrap();
        assert_ne!(first, second);
        assert_eq!(both, format!("{first} {second}"));
    }

    #[test]
    fn whatever_is_signed_changes_the_signature() {
        let secrets = [shared(7)];
        let base = signature_header("evt_1", 10, b"{}", &secrets).unwrap();
        for (id, at, body) in [
            ("evt_2", 10, "{}"),
            ("evt_1", 11, "{}"),
            ("evt_1", 10, "{ }"),
        ] {
            assert_ne!(
                signature_header(id, at, body.as_bytes(), &secrets).unwrap(),
                base
            );
        }
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let secret = shared(1);
        for (id, secrets) in [
            ("", vec![secret.clone()]),
            ("evt_1.2", vec![secret]),
            ("evt_1", vec![]),
        ] {
            let refused = signature_header(id, 1, b"", &secrets);
            assert!(matches!(refused, Err(WebhookError::NotSignable(_))), "{id}");
        }
    }

    #[test]
    fn secrets_read_back_and_print_as_a_placeholder() {
        let secret = Secret::generate([0xab; 32]);
        let text = secret.reveal();
        assert!(text.starts_with("whsec_") && text.ends_with('='));
        assert_eq!(
            text.parse::<Secret>().unwrap().as_bytes(),
            secret.as_bytes()
        );
        let printed = format!("{secret:?}");
        assert_eq!(printed, "Secret(hidden)");
    }

    #[test]
    fn bad_secrets_are_refused() {
        let of_length = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1; bytes]));
        let bad = [
            String::new(),
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
            "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
            "whsec_".to_owned(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS".to_owned(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_".to_owned(),
            of_length(SECRET_BYTES_MIN - 1),
            of_length(SECRET_BYTES_MAX + 1),
        ];
        for text in bad {
            let refused = text.parse::<Secret>();
            assert!(
                matches!(refused, Err(WebhookError::SecretRefused(_))),
                "{text}"
            );
        }
        for bytes in [SECRET_BYTES_MIN, SECRET_BYTES_MAX] {
            assert!(of_length(bytes).parse::<Secret>().is_ok());
        }
    }
}
