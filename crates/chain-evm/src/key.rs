//! Extended public keys (BIP32) at the places where EVM wallets have them (BIP44).

use std::sync::LazyLock;

use alloy_primitives::{Address, keccak256};
use bitcoin::NetworkKind;
use bitcoin::bip32::{self, ChildNumber, Xpub};
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use paywatch_chain::{KeyError, private_material};
use paywatch_domain::limits;
use sha2::{Digest, Sha256};

use crate::address::parse_address;

/// What libsecp256k1 needs to add points of the curve; making it is not free.
static CURVE: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// Letters that extended public keys of Bitcoin alone begin with (SLIP-132).
const OF_BITCOIN: [&str; 8] = [
    "ypub", "zpub", "Ypub", "Zpub", "upub", "vpub", "Upub", "Vpub",
];

/// A public key whose children are handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WalletNode {
    /// The key that was given.
    given: Xpub,
    /// What leads from it to the children, as text: `/0` or nothing.
    steps: &'static str,
    /// The key whose children are handed out.
    parent: Xpub,
}

impl WalletNode {
    /// Reads the xpub of an account (`m/44'/60'/0'`, whose addresses are at `/0/*`) or of its receiving
    /// addresses (`m/44'/60'/0'/0`, at `/*`), with or without that ending.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        // Before anything else, so that no other error can speak of a private key.
        if let Some(what) = private_material(text) {
            return Err(KeyError::Private { what });
        }
        let text = text.trim();
        if limits::KEY_CHARS_MAX < text.len() {
            return Err(malformed(&format!(
                "longer than {} characters",
                limits::KEY_CHARS_MAX
            )));
        }
        let (key, ending) = text.split_at(text.find('/').unwrap_or(text.len()));
        let given = read(key)?;
        let steps = match (given.depth, given.child_number) {
            (3, ChildNumber::Hardened { .. }) => "/0",
            (4, ChildNumber::Normal { index: 0 }) => "",
            (depth, number) => return Err(misplaced(depth, number)),
        };
        if ending.contains(['h', 'H', '\'']) {
            return Err(KeyError::Hardened {
                step: ending.to_owned(),
            });
        }
        if !ending.is_empty() && ending.strip_suffix("/*") != Some(steps) {
            return Err(unsupported(&format!(
                "another path behind the key than {steps}/*; leave the path away"
            )));
        }
        let parent = match steps {
            "" => given,
            _ => child(&given, 0)?,
        };
        Ok(Self {
            given,
            steps,
            parent,
        })
    }

    /// The text that is stored. Reads back as the same.
    pub(crate) fn canonical(&self) -> String {
        format!("{}{}/*", self.given, self.steps)
    }

    /// A hash over the public key and the chain code of the node whose children are handed out: the
    /// same for every text that leads to these children, in every chain family.
    pub(crate) fn node_id(&self) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.parent.public_key.serialize())
            .chain_update(self.parent.chain_code.as_bytes())
            .finalize()
            .into()
    }

    /// The fingerprint of the key that was given.
    pub(crate) fn fingerprint(&self) -> String {
        hex::encode(self.given.fingerprint().to_bytes())
    }

    /// The address at `index`: the end of the hash over the public key
    /// (<https://ethereum.github.io/yellowpaper/paper.pdf>, appendix F).
    pub(crate) fn address(&self, index: u32) -> Result<Address, KeyError> {
        let point = child(&self.parent, index)?
            .public_key
            .serialize_uncompressed();
        // The first byte only tells that the point is written in full.
        let (_, coordinates) = point.split_first().ok_or(KeyError::Index { index })?;
        Ok(Address::from_word(keccak256(coordinates)))
    }

    /// The path to the address at `index`: from the root where the key is an account's, else from the
    /// key, which is named by its fingerprint.
    pub(crate) fn path(&self, index: u32) -> String {
        match self.given.child_number {
            ChildNumber::Hardened { index: account } => {
                format!("m/44h/60h/{account}h{}/{index}", self.steps)
            }
            ChildNumber::Normal { .. } => format!("{}/{index}", self.fingerprint()),
        }
    }
}

fn read(text: &str) -> Result<Xpub, KeyError> {
    let start = text.get(..4).unwrap_or_default();
    if parse_address(text).is_ok() {
        return Err(unsupported(
            "an address, which would be the same for every invoice; give the xpub of the account",
        ));
    }
    if text.starts_with(['[', '(']) || text.contains('(') {
        return Err(unsupported(
            "a descriptor; give the bare xpub of the account at m/44'/60'/0'",
        ));
    }
    if OF_BITCOIN.contains(&start) {
        return Err(unsupported(&format!(
            "a {start} is made for Bitcoin; give the xpub of the account at m/44'/60'/0'"
        )));
    }
    let key: Xpub = text.parse().map_err(|error| match error {
        bip32::Error::Base58(_) if matches!(start, "xpub" | "tpub") => KeyError::Checksum {
            detail: format!("in the {start}"),
        },
        bip32::Error::UnknownVersion(_) => {
            unsupported("an extended key of another coin; give the xpub at m/44'/60'/0'")
        }
        _ => malformed("give the xpub of the account at m/44'/60'/0' (or of m/44'/60'/0'/0)"),
    })?;
    if key.network != NetworkKind::Main {
        return Err(unsupported(
            "a tpub is made for Bitcoin's test networks; EVM chains use the xpub on all networks",
        ));
    }
    Ok(key)
}

/// Why a key at another place of the tree is not taken.
fn misplaced(depth: u8, number: ChildNumber) -> KeyError {
    let place = match (depth, number) {
        (0, _) => "the root of a wallet, from which hardened steps lead to the account".to_owned(),
        (4, ChildNumber::Normal { .. }) => "a branch that is not of receiving addresses".to_owned(),
        (5, _) => "the key of one address".to_owned(),
        _ => format!("a key at depth {depth} that is not an account's"),
    };
    unsupported(&format!(
        "{place}; give the xpub of the account at m/44'/60'/0' (or of m/44'/60'/0'/0)"
    ))
}

fn child(key: &Xpub, step: u32) -> Result<Xpub, KeyError> {
    ChildNumber::from_normal_idx(step)
        .and_then(|step| key.ckd_pub(&CURVE, step))
        .map_err(|_| KeyError::Index { index: step })
}

fn malformed(detail: &str) -> KeyError {
    KeyError::Malformed {
        detail: detail.to_owned(),
    }
}

fn unsupported(detail: &str) -> KeyError {
    KeyError::Unsupported {
        detail: detail.to_owned(),
    }
}
