//! What a merchant does with every webhook before believing it: check its signature.
//!
//! Standard Webhooks (<https://github.com/standard-webhooks/standard-webhooks>): HMAC-SHA256 over
//! `id.timestamp.body`, in base64, under the secret's bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A webhook older or newer than this many seconds is refused: somebody may have recorded it.
const TOLERANCE_S: u64 = 300;

/// The headers that a signature covers, as they came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    /// `webhook-id`, the same on every attempt.
    pub(crate) id: &'a str,
    /// `webhook-timestamp`, of this attempt, in seconds since 1970.
    pub(crate) timestamp: &'a str,
    /// `webhook-signature`: one or several of `v1,BASE64`, separated by spaces.
    pub(crate) signatures: &'a str,
    /// The body, byte for byte.
    pub(crate) body: &'a [u8],
}

impl Signed<'_> {
    /// Nothing, or why this webhook is not believed. `now_s` is the merchant's own clock.
    pub(crate) fn verify(self, secret: &str, now_s: u64) -> Result<(), &'static str> {
        let key = secret.strip_prefix("whsec_").unwrap_or(secret);
        let key = STANDARD
            .decode(key)
            .map_err(|_| "the secret is no base64")?;
        let sent_s: u64 = self
            .timestamp
            .parse()
            .map_err(|_| "the timestamp is no number")?;
        if sent_s.abs_diff(now_s) > TOLERANCE_S {
            return Err("the timestamp is too far from now");
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| "the secret is empty")?;
        for part in [
            self.id.as_bytes(),
            b".",
            self.timestamp.as_bytes(),
            b".",
            self.body,
        ] {
            mac.update(part);
        }
        // Several signatures come while a secret is exchanged; one that fits is enough. The
        // comparison takes the same time wherever they differ.
        let fits = self
            .signatures
            .split(' ')
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
            .any(|signature| mac.clone().verify_slice(&signature).is_ok());
        if fits {
            Ok(())
        } else {
            Err("no signature fits")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the specification publishes.
    #[test]
    fn only_what_was_signed_is_believed() {
        const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        const SENT_S: u64 = 1_614_265_330;
        let good = Signed {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp: "1614265330",
            signatures: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            body: br#"{"test": 2432232314}"#,
        };
        assert_eq!(good.verify(SECRET, SENT_S), Ok(()));
        let rotated = format!("v1,AAAA v2,x {}", good.signatures);
        let several = Signed {
            signatures: &rotated,
            ..good
        };
        assert_eq!(several.verify(SECRET, SENT_S + 299), Ok(()));
        let changed = [
            Signed {
                id: "msg_other",
                ..good
            },
            Signed {
                body: br#"{"test": 2432232315}"#,
                ..good
            },
            Signed {
                signatures: "v1,AAAA",
                ..good
            },
            Signed {
                signatures: "",
                ..good
            },
        ];
        for bad in changed {
            assert_eq!(bad.verify(SECRET, SENT_S), Err("no signature fits"));
        }
        assert!(
            good.verify("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", SENT_S)
                .is_err()
        );
        assert!(good.verify(SECRET, SENT_S + 301).is_err());
        assert!(
            Signed {
                timestamp: "now",
                ..good
            }
            .verify(SECRET, SENT_S)
            .is_err()
        );
    }
}
