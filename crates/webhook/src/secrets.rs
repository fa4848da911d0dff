//! Which keys sign a delivery now.

use paywatch_domain::UnixMillis;
use paywatch_store::deliveries::Claimed;
use paywatch_store::{EndpointSecret, MasterKey};

use crate::error::WebhookError;
use crate::sign::{Secret, Signer};

/// Decrypts what signs a delivery now: after a rotation what signed before it does too, as long as the merchant
/// asked for. Signatures that every library knows come first.
///
/// # Errors
/// `SecretUnreadable` when another master key encrypted it, or the row was changed.
pub(crate) fn signers(
    master: &MasterKey,
    claimed: &Claimed,
    now: UnixMillis,
) -> Result<Vec<Signer>, WebhookError> {
    let old = claimed.old_secret.as_ref();
    let old = old.filter(|(_, until)| now < *until).map(|(old, _)| old);
    let (mut signers, mut asymmetric) = (Vec::new(), Vec::new());
    for sealed in [&claimed.secret].into_iter().chain(old) {
        let secret = EndpointSecret::open(master, claimed.endpoint_id, sealed)
            .map_err(WebhookError::SecretUnreadable)?;
        signers.push(Signer::Shared(Secret::from_bytes(secret.shared())?));
        if claimed.is_asymmetric {
            asymmetric.push(Signer::Asymmetric(secret));
        }
    }
    signers.append(&mut asymmetric);
    Ok(signers)
}
