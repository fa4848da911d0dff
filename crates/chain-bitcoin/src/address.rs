//! From a public key to the output script and the address of each supported type.

use std::sync::LazyLock;

use bitcoin::hashes::{Hash, hash160};
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use bitcoin::{Address, PubkeyHash, ScriptBuf, WPubkeyHash, XOnlyPublicKey};

use crate::network::Network;

/// What the library needs to add points of the curve; making it is not free.
static CURVE: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// Which script pays to a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScriptType {
    /// The hash of a key, from before segwit (BIP44): `1...`.
    P2pkh,
    /// Native segwit (BIP84, BIP141): `bc1q...`.
    P2wpkh,
    /// Segwit inside of a script hash (BIP49): `3...`.
    P2shP2wpkh,
    /// Taproot, spent by its key alone (BIP86, BIP341): `bc1p...`.
    P2tr,
}

impl ScriptType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::P2pkh, Self::P2wpkh, Self::P2shP2wpkh, Self::P2tr];

    /// The name of the script in small letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P2pkh => "p2pkh",
            Self::P2wpkh => "p2wpkh",
            Self::P2shP2wpkh => "p2sh-p2wpkh",
            Self::P2tr => "p2tr",
        }
    }

    /// The purpose of the derivation path that wallets use for it (BIP43).
    pub(crate) fn purpose(self) -> u32 {
        match self {
            Self::P2pkh => 44,
            Self::P2wpkh => 84,
            Self::P2shP2wpkh => 49,
            Self::P2tr => 86,
        }
    }

    /// The descriptor around a key expression (BIP381, BIP382, BIP386).
    pub(crate) fn descriptor(self, key: &str) -> String {
        match self {
            Self::P2pkh => format!("pkh({key})"),
            Self::P2wpkh => format!("wpkh({key})"),
            Self::P2shP2wpkh => format!("sh(wpkh({key}))"),
            Self::P2tr => format!("tr({key})"),
        }
    }

    /// The output script that pays to a compressed public key. `None` where the bytes are no point
    /// of the curve.
    pub(crate) fn script(self, public_key: &[u8; 33]) -> Option<ScriptBuf> {
        let hash = hash160::Hash::hash(public_key);
        let native = || ScriptBuf::new_p2wpkh(&WPubkeyHash::from_raw_hash(hash));
        Some(match self {
            Self::P2pkh => ScriptBuf::new_p2pkh(&PubkeyHash::from_raw_hash(hash)),
            Self::P2wpkh => native(),
            Self::P2shP2wpkh => ScriptBuf::new_p2sh(&native().script_hash()),
            Self::P2tr => {
                // BIP341: the first byte only tells which of two points it is.
                let (_, x) = public_key.split_first()?;
                let internal = XOnlyPublicKey::from_slice(x).ok()?;
                ScriptBuf::new_p2tr(&CURVE, internal, None)
            }
        })
    }
}

/// The address of a script that [`ScriptType::script`] made; `None` for scripts without an address.
pub(crate) fn address(script: &ScriptBuf, network: Network) -> Option<String> {
    Address::from_script(script, network.library())
        .ok()
        .map(|address| address.to_string())
}
