//! Extended public keys of ed25519 (BIP32-Ed25519,
//! <https://input-output-hk.github.io/adrestia/static/Ed25519_BIP.pdf>): a public key and a chain code,
//! whose children anybody can derive and only the owner can spend from.

use bech32::Bech32;
use bech32::primitives::decode::{CheckedHrpstring, UncheckedHrpstring};
use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_bip32::{DerivationScheme, XPub};
use paywatch_chain::KeyError;
use sha2::{Digest, Sha256};

use crate::address::address_text;

/// What the text of an account's key begins with
/// (CIP-5, <https://github.com/cardano-foundation/CIPs/tree/master/CIP-0005>).
const ACCOUNT: &str = "acct_xvk";

/// What to give.
const ADVICE: &str =
    "give the acct_xvk that paywatch-offline prints for the account at m/44'/501'/0'";

/// The key of an account, with the one below it whose children are handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountKey {
    /// The text that is stored.
    text: String,
    /// The key that was given.
    given: XPub,
    /// The key of the branch of receiving addresses.
    parent: XPub,
}

impl AccountKey {
    /// Reads the key of an account (`m/44'/501'/0'`, whose addresses are at `/0/*`).
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let unchecked = UncheckedHrpstring::new(text).map_err(|_| malformed())?;
        let name = unchecked.hrp().to_lowercase();
        match &*name {
            ACCOUNT => {}
            "root_xvk" => {
                return Err(unsupported(
                    "the root of a wallet, from which hardened steps lead to the account",
                ));
            }
            other if other.ends_with("_xvk") => {
                return Err(unsupported("an extended key that is not an account's"));
            }
            other if other.ends_with("_vk") => {
                return Err(unsupported(
                    "a key without chain code, which has no children",
                ));
            }
            _ => return Err(malformed()),
        }
        let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| KeyError::Checksum {
            detail: format!("in the {ACCOUNT}"),
        })?;
        let bytes: Vec<u8> = checked.byte_iter().collect();
        let given = XPub::from_slice(&bytes).map_err(|_| malformed())?;
        if !is_of_main_group(given.public_key()) {
            return Err(KeyError::Malformed {
                detail: format!("the {ACCOUNT} holds no point of the curve; {ADVICE}"),
            });
        }
        let parent = child(&given, 0)?;
        // The text may be in capital letters.
        let text = text.to_ascii_lowercase();
        Ok(Self {
            text,
            given,
            parent,
        })
    }

    /// The text that is stored. Reads back as the same.
    pub(crate) fn canonical(&self) -> String {
        self.text.clone()
    }

    /// A hash over the public key and the chain code of the node whose children are handed out.
    pub(crate) fn node_id(&self) -> [u8; 32] {
        Sha256::digest(self.parent.as_ref()).into()
    }

    /// The beginning of a hash over the key that was given: eight digits by which people tell keys apart.
    pub(crate) fn fingerprint(&self) -> String {
        let hash: [u8; 32] = Sha256::digest(self.given.as_ref()).into();
        hex::encode(hash.get(..4).unwrap_or_default())
    }

    /// The address at `index`.
    pub(crate) fn address(&self, index: u32) -> Result<String, KeyError> {
        Ok(address_text(&child(&self.parent, index)?.public_key()))
    }

    /// The path to the address at `index`, from the key, which is named by its fingerprint: the key does
    /// not say which account it is of.
    pub(crate) fn path(&self, index: u32) -> String {
        format!("{}/0/{index}", self.fingerprint())
    }
}

/// Whether these bytes are a point of the group in which keys lie, so that sums of them are keys too.
fn is_of_main_group(bytes: [u8; 32]) -> bool {
    let point = CompressedEdwardsY(bytes).decompress();
    point.is_some_and(|point| !point.is_small_order() && point.is_torsion_free())
}

/// The public half of a step that is not hardened. The first version of the scheme is broken; this is the
/// second.
fn child(key: &XPub, index: u32) -> Result<XPub, KeyError> {
    key.derive(DerivationScheme::V2, index)
        .map_err(|_| KeyError::Index { index })
}

fn malformed() -> KeyError {
    KeyError::Malformed {
        detail: format!(
            "{ADVICE}; a file of addresses made by a wallet; or the address of one wallet that payers of \
             Solana Pay pay to"
        ),
    }
}

fn unsupported(what: &str) -> KeyError {
    KeyError::Unsupported {
        detail: format!("{what}; {ADVICE}"),
    }
}
