//! From a public key to the output script and the address of each supported type.

use bitcoin::hashes::{Hash, hash160};
use bitcoin::{Address, ScriptBuf, WPubkeyHash};

use crate::network::Network;

/// Which script pays to a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScriptType {
    /// Native segwit (BIP84, BIP141): `bc1q...`.
    P2wpkh,
    /// Segwit inside of a script hash (BIP49): `3...`.
    P2shP2wpkh,
}

impl ScriptType {
    /// The purpose of the derivation path that wallets use for it (BIP43).
    pub(crate) fn purpose(self) -> u32 {
        match self {
            Self::P2wpkh => 84,
            Self::P2shP2wpkh => 49,
        }
    }

    /// The descriptor around a key expression (BIP382, BIP381).
    pub(crate) fn descriptor(self, key: &str) -> String {
        match self {
            Self::P2wpkh => format!("wpkh({key})"),
            Self::P2shP2wpkh => format!("sh(wpkh({key}))"),
        }
    }

    /// The output script that pays to a compressed public key.
    pub(crate) fn script(self, public_key: &[u8; 33]) -> ScriptBuf {
        let hash = WPubkeyHash::from_raw_hash(hash160::Hash::hash(public_key));
        let native = ScriptBuf::new_p2wpkh(&hash);
        match self {
            Self::P2wpkh => native,
            Self::P2shP2wpkh => ScriptBuf::new_p2sh(&native.script_hash()),
        }
    }
}

/// The address of a script that [`ScriptType::script`] made; `None` for scripts without an address.
pub(crate) fn address(script: &ScriptBuf, network: Network) -> Option<String> {
    Address::from_script(script, network.library())
        .ok()
        .map(|address| address.to_string())
}
