//! How an endpoint's secret is kept: encrypted under the master key, bound to its endpoint.

use paywatch_domain::{EndpointId, UnixMillis};
use paywatch_store::MasterKey;
use paywatch_store::deliveries::Claimed;

use crate::error::WebhookError;
use crate::sign::Secret;

/// What the secrets of endpoints are encrypted for; the context is the endpoint's public id, the
/// plaintext the bytes of the secret.
pub const SECRET_PURPOSE: &str = "webhook-secret";

/// Decrypts the secret in an endpoint's row.
///
/// # Errors
/// `SecretUnreadable` when another master key encrypted it, or the row was changed.
pub fn open_secret(
    key: &MasterKey,
    endpoint: EndpointId,
    sealed: &[u8],
) -> Result<Secret, WebhookError> {
    let context = endpoint.to_string();
    let opened = key.decrypt(SECRET_PURPOSE, context.as_bytes(), sealed);
    Secret::from_bytes(&opened.map_err(WebhookError::SecretUnreadable)?)
}

/// Decrypts the secrets that sign a delivery now: after a rotation the one before signs too, as long as the
/// merchant asked for.
///
/// # Errors
/// `SecretUnreadable` as for [`open_secret`].
pub(crate) fn open_secrets(
    key: &MasterKey,
    claimed: &Claimed,
    now: UnixMillis,
) -> Result<Vec<Secret>, WebhookError> {
    let old = claimed.old_secret.as_ref();
    let old = old.filter(|(_, until)| now < *until).map(|(old, _)| old);
    [&claimed.secret]
        .into_iter()
        .chain(old)
        .map(|sealed| open_secret(key, claimed.endpoint_id, sealed))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_endpoint_only() {
        let key = MasterKey::from_bytes([1; 32]);
        let endpoint = EndpointId::from_bits(5);
        let context = endpoint.to_string();
        let sealed = key
            .encrypt(SECRET_PURPOSE, context.as_bytes(), [4; 24], &[2; 32])
            .unwrap();
        assert_eq!(
            open_secret(&key, endpoint, &sealed).unwrap().as_bytes(),
            [2; 32]
        );

        let moved = open_secret(&key, EndpointId::from_bits(6), &sealed);
        assert!(matches!(moved, Err(WebhookError::SecretUnreadable(_))));
        let other = open_secret(&MasterKey::from_bytes([9; 32]), endpoint, &sealed);
        assert!(matches!(other, Err(WebhookError::SecretUnreadable(_))));
    }
}
