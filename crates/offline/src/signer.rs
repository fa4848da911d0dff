//! A private key, whichever way it was made.

use ed25519_bip32::XPrv;
use ed25519_dalek::{Signer as _, SigningKey};

/// Signs for one address.
pub(crate) enum Signer {
    /// Of an account with an extended public key. Never give it away: with the account's public key it
    /// is the account's private key.
    Extended(XPrv),
    /// Of a common wallet.
    Seed(SigningKey),
}

impl Signer {
    /// The bytes of the address.
    pub(crate) fn public(&self) -> [u8; 32] {
        match self {
            Self::Extended(key) => key.public().public_key(),
            Self::Seed(key) => key.verifying_key().to_bytes(),
        }
    }

    /// The signature over a message.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        match self {
            Self::Extended(key) => *key.sign::<()>(message).to_bytes(),
            Self::Seed(key) => key.sign(message).to_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::extended::Account;
    use crate::standard;
    use crate::words::Words;
    use ed25519_dalek::{Signature, VerifyingKey};

    /// By the library of the other way, strictly, as validators do it.
    #[test]
    fn solana_signatures_of_both_ways_are_valid() {
        let words = Words::draw(24).unwrap();
        let account = Account::of(&words, 3).unwrap();
        let wallet = standard::Wallet::of(&words).unwrap();
        for number in 0..50_u8 {
            let message = vec![number; usize::from(number)];
            for signer in [
                account.signer(u32::from(number)).unwrap(),
                wallet.signer(u32::from(number)).unwrap(),
            ] {
                let key = VerifyingKey::from_bytes(&signer.public()).unwrap();
                let signature = Signature::from_bytes(&signer.sign(&message));
                assert!(key.verify_strict(&message, &signature).is_ok());
                assert!(key.verify_strict(b"another", &signature).is_err());
            }
        }
    }
}
