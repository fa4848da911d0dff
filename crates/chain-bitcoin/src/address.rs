//! From a public key to the output script and the address of each supported type.

use bitcoin::hashes::{Hash, hash160};
use bitcoin::opcodes::all::OP_CHECKMULTISIG;
use bitcoin::script::Builder;
use bitcoin::{Address, PubkeyHash, ScriptBuf, WPubkeyHash, XOnlyPublicKey};

use crate::key::CURVE;
use crate::network::Network;

/// Which script pays to a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ScriptType {
    /// The hash of a key, from before segwit (BIP44): `1...`.
    P2pkh,
    /// Native segwit (BIP84, BIP141): `bc1q...`.
    P2wpkh,
    /// Segwit inside of a script hash (BIP49): `3...`.
    P2shP2wpkh,
    /// Taproot, spent by its key alone (BIP86, BIP341): `bc1p...`.
    P2tr,
    /// Several keys in a segwit script (BIP141, BIP383): `bc1q...`, longer.
    P2wsh,
    /// The same inside of a script hash; no wallet is of this form, it is a sibling only.
    P2shP2wsh,
}

/// What has to be satisfied to spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// A signature of this compressed public key.
    Key([u8; 33]),
    /// This script.
    Script(ScriptBuf),
}

impl ScriptType {
    const OF_ONE_KEY: [Self; 4] = [Self::P2pkh, Self::P2wpkh, Self::P2shP2wpkh, Self::P2tr];
    const OF_A_SCRIPT: [Self; 2] = [Self::P2wsh, Self::P2shP2wsh];

    /// Whether several keys stand behind it.
    pub(crate) fn is_multisig(self) -> bool {
        Self::OF_A_SCRIPT.contains(&self)
    }

    /// The other types that whoever can spend this one can spend too.
    pub(crate) fn siblings(self) -> impl Iterator<Item = Self> {
        let family: &[Self] = if self.is_multisig() {
            &Self::OF_A_SCRIPT
        } else {
            &Self::OF_ONE_KEY
        };
        family.iter().copied().filter(move |other| *other != self)
    }

    /// The name of the script in small letters.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::P2pkh => "p2pkh",
            Self::P2wpkh => "p2wpkh",
            Self::P2shP2wpkh => "p2sh-p2wpkh",
            Self::P2tr => "p2tr",
            Self::P2wsh => "p2wsh",
            Self::P2shP2wsh => "p2sh-p2wsh",
        }
    }

    /// The purpose of the derivation path that wallets use for an account key of it (BIP43). Keys of
    /// several signers have no account key at a fixed depth.
    pub(crate) fn purpose(self) -> Option<u32> {
        match self {
            Self::P2pkh => Some(44),
            Self::P2wpkh => Some(84),
            Self::P2shP2wpkh => Some(49),
            Self::P2tr => Some(86),
            Self::P2wsh | Self::P2shP2wsh => None,
        }
    }

    /// The descriptor around what it takes: a key expression, or a number and several (BIP381,
    /// BIP382, BIP383, BIP386).
    pub(crate) fn descriptor(self, inner: &str) -> String {
        match self {
            Self::P2pkh => format!("pkh({inner})"),
            Self::P2wpkh => format!("wpkh({inner})"),
            Self::P2shP2wpkh => format!("sh(wpkh({inner}))"),
            Self::P2tr => format!("tr({inner})"),
            Self::P2wsh => format!("wsh(sortedmulti({inner}))"),
            Self::P2shP2wsh => format!("sh(wsh(sortedmulti({inner})))"),
        }
    }

    /// The output script that holds money under a lock. `None` where the two do not belong together
    /// or a key is no point of the curve.
    pub(crate) fn script(self, lock: &Lock) -> Option<ScriptBuf> {
        let nested = |script: ScriptBuf| ScriptBuf::new_p2sh(&script.script_hash());
        Some(match (self, lock) {
            (Self::P2pkh, Lock::Key(key)) => {
                ScriptBuf::new_p2pkh(&PubkeyHash::from_raw_hash(hash160::Hash::hash(key)))
            }
            (Self::P2wpkh, Lock::Key(key)) => {
                ScriptBuf::new_p2wpkh(&WPubkeyHash::from_raw_hash(hash160::Hash::hash(key)))
            }
            (Self::P2shP2wpkh, Lock::Key(_)) => nested(Self::P2wpkh.script(lock)?),
            (Self::P2tr, Lock::Key(key)) => {
                // BIP341: the first byte only tells which of two points it is.
                let (_, x) = key.split_first()?;
                let internal = XOnlyPublicKey::from_slice(x).ok()?;
                ScriptBuf::new_p2tr(&CURVE, internal, None)
            }
            (Self::P2wsh, Lock::Script(script)) => ScriptBuf::new_p2wsh(&script.wscript_hash()),
            (Self::P2shP2wsh, Lock::Script(_)) => nested(Self::P2wsh.script(lock)?),
            _ => return None,
        })
    }
}

/// The script that `threshold` of these keys satisfy, in the order of BIP67.
pub(crate) fn witness_script(threshold: usize, mut keys: Vec<[u8; 33]>) -> Option<ScriptBuf> {
    keys.sort_unstable();
    let count = i64::try_from(keys.len()).ok()?;
    let builder = Builder::new().push_int(i64::try_from(threshold).ok()?);
    let builder = keys.iter().fold(builder, Builder::push_slice);
    let builder = builder.push_int(count).push_opcode(OP_CHECKMULTISIG);
    Some(builder.into_script())
}

/// The address of a script that [`ScriptType::script`] made; `None` for scripts without an address.
pub(crate) fn address(script: &ScriptBuf, network: Network) -> Option<String> {
    Address::from_script(script, network.library())
        .ok()
        .map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of BIP67: keys in any order, the script, its address.
    #[test]
    fn bip67_vectors() {
        let vectors: [(&[&str], &str, &str); 2] = [
            (
                &[
                    "02ff12471208c14bd580709cb2358d98975247d8765f92bc25eab3b2763ed605f8",
                    "02fe6f0a5a297eb38c391581c4413e084773ea23954d93f7753db7dc0adc188b2f",
                ],
                "522102fe6f0a5a297eb38c391581c4413e084773ea23954d93f7753db7dc0adc188b2f2102ff12471208c14bd580709cb2358d98975247d8765f92bc25eab3b2763ed605f852ae",
                "39bgKC7RFbpoCRbtD5KEdkYKtNyhpsNa3Z",
            ),
            (
                &[
                    "02632b12f4ac5b1d1b72b2a3b508c19172de44f6f46bcee50ba33f3f9291e47ed0",
                    "027735a29bae7780a9755fae7a1c4374c656ac6a69ea9f3697fda61bb99a4f3e77",
                    "02e2cc6bd5f45edd43bebe7cb9b675f0ce9ed3efe613b177588290ad188d11b404",
                ],
                "522102632b12f4ac5b1d1b72b2a3b508c19172de44f6f46bcee50ba33f3f9291e47ed021027735a29bae7780a9755fae7a1c4374c656ac6a69ea9f3697fda61bb99a4f3e772102e2cc6bd5f45edd43bebe7cb9b675f0ce9ed3efe613b177588290ad188d11b40453ae",
                "3CKHTjBKxCARLzwABMu9yD85kvtm7WnMfH",
            ),
        ];
        for (keys, expected, expected_address) in vectors {
            let keys: Vec<[u8; 33]> = keys
                .iter()
                .map(|key| hex::decode(key).unwrap().try_into().unwrap())
                .collect();
            for keys in [keys.clone(), keys.into_iter().rev().collect()] {
                let script = witness_script(2, keys).unwrap();
                assert_eq!(hex::encode(script.as_bytes()), expected);
                let nested = ScriptBuf::new_p2sh(&script.script_hash());
                let found = address(&nested, Network::Mainnet);
                assert_eq!(found.as_deref(), Some(expected_address));
            }
        }
    }
}
