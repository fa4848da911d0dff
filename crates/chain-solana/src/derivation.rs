//! Reads what merchants register for Solana, and hands out its addresses.

use std::collections::BTreeSet;

use paywatch_chain::{
    AddressPool, Derivation, DerivedAddress, KeyError, Sibling, WalletKey, private_material,
};
use paywatch_domain::{Amount, Asset, AssetKind, ChainName, Entropy, Family, TxId, limits};

use crate::key::AccountKey;
use crate::pay::{self, PayWallet};
use crate::scan::WITH;
use crate::{pool, uri};

/// What an account without data has to hold (<https://solana.com/docs/core/accounts#rent>): 128 bytes that
/// every account has, two years, 3,480 lamports a byte and year.
const RENT_MIN_LAMPORTS: u64 = 128 * 2 * 3_480;
/// Bytes of a transaction's first signature, which is its id.
const SIGNATURE_BYTES: usize = 64;

/// Addresses of Solana in three ways: from an extended public key, from a file of addresses, or one
/// address with references. They are the same on every network of Solana.
#[derive(Debug)]
pub struct SolanaDerivation {
    chains: BTreeSet<ChainName>,
}

impl SolanaDerivation {
    /// Derives for these chains.
    pub fn new(chains: impl IntoIterator<Item = ChainName>) -> Self {
        Self {
            chains: chains.into_iter().collect(),
        }
    }

    fn check_chain(&self, chain: &ChainName) -> Result<(), KeyError> {
        if self.chains.contains(chain) {
            return Ok(());
        }
        Err(KeyError::Unsupported {
            detail: format!("{chain} is not a configured Solana chain"),
        })
    }
}

/// What addresses are made of without a table.
enum Material {
    Account(AccountKey),
    Pay(PayWallet),
}

impl Material {
    fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        // 32 bytes of base58 are public, or nobody can tell; some of them look like something else.
        if pay::is_meant(text) {
            return PayWallet::parse(text).map(Self::Pay);
        }
        if pool::is_pool(text) {
            let detail =
                "the name of a pool, which holds no address; its file is registered".to_owned();
            return Err(KeyError::Unsupported { detail });
        }
        // Before anything else, so that no other error can speak of a private key.
        if let Some(what) = private_material(text) {
            return Err(KeyError::Private { what });
        }
        if limits::KEY_CHARS_MAX < text.len() {
            let detail = format!("longer than {} characters", limits::KEY_CHARS_MAX);
            return Err(KeyError::Malformed { detail });
        }
        refuse_other_families(text)?;
        AccountKey::parse(text).map(Self::Account)
    }
}

/// Public keys of other chains, which have no addresses here.
fn refuse_other_families(text: &str) -> Result<(), KeyError> {
    const ADVICE: &str = "Solana has another curve, so that no address of it can be derived from this; \
                          give the acct_xvk of paywatch-offline, a file of addresses, or one address for \
                          Solana Pay";
    let small = text.to_ascii_lowercase();
    let is_extended = small.get(1..4) == Some("pub") && !small.contains('_');
    let is_descriptor = text.contains('(') || text.starts_with('[');
    let is_segwit = ["bc1", "tb1", "bcrt1"]
        .iter()
        .any(|start| small.starts_with(start));
    let is_point =
        matches!(text.len(), 66 | 130) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let what = if is_extended || is_descriptor {
        "an extended public key or descriptor of Bitcoin or of an EVM chain"
    } else if small.starts_with("0x") || is_point {
        "an address or public key of an EVM chain"
    } else if is_segwit {
        "an address of Bitcoin"
    } else {
        return Ok(());
    };
    Err(KeyError::Unsupported {
        detail: format!("{what}; {ADVICE}"),
    })
}

impl Derivation for SolanaDerivation {
    fn family(&self) -> Family {
        Family::Solana
    }

    fn completed(&self, text: &str, entropy: &mut dyn Entropy) -> String {
        pay::salted(text, entropy)
    }

    fn parse(&self, text: &str, _: bool) -> Result<WalletKey, KeyError> {
        Ok(match Material::parse(text)? {
            Material::Account(key) => WalletKey {
                kind: "ed25519_xpub",
                canonical: key.canonical(),
                node: hex::encode(key.node_id()),
                fingerprint: key.fingerprint(),
            },
            Material::Pay(wallet) => {
                let node = hex::encode(wallet.node_id());
                WalletKey {
                    kind: "solana_pay",
                    canonical: wallet.canonical(),
                    fingerprint: node.get(..8).unwrap_or_default().to_owned(),
                    node,
                }
            }
        })
    }

    fn derive(
        &self,
        canonical: &str,
        index: u32,
        chain: &ChainName,
    ) -> Result<DerivedAddress, KeyError> {
        self.check_chain(chain)?;
        Ok(match Material::parse(canonical)? {
            Material::Account(key) => {
                let address = key.address(index)?;
                DerivedAddress {
                    key: address.clone().into_bytes(),
                    address,
                    path: key.path(index),
                }
            }
            Material::Pay(wallet) => {
                let reference = wallet.reference(index)?;
                DerivedAddress {
                    address: wallet.address(&reference),
                    key: wallet.watch_key(&reference).into_bytes(),
                    path: format!("reference/{index}"),
                }
            }
        })
    }

    /// None: a key has one address, whatever is sent to it.
    fn siblings(&self, _: &str, _: u32, _: &ChainName) -> Result<Vec<Sibling>, KeyError> {
        Ok(Vec::new())
    }

    /// References of one address are told apart by a salt that nobody but us knows, so two of its salts
    /// are no two wallets.
    fn is_same(&self, one: &str, other: &str, chain: &ChainName) -> Result<bool, KeyError> {
        self.check_chain(chain)?;
        Ok(match (Material::parse(one)?, Material::parse(other)?) {
            (Material::Account(one), Material::Account(other)) => one == other,
            (Material::Pay(one), Material::Pay(other)) => {
                one.recipient_text() == other.recipient_text()
            }
            (Material::Account(_), Material::Pay(_)) | (Material::Pay(_), Material::Account(_)) => {
                false
            }
        })
    }

    /// A new account has to hold the rent of two years. The wallet of Solana Pay is there already, and an account
    /// for tokens is made and paid for by the payer.
    fn least_payment(&self, canonical: &str, asset: &Asset) -> Option<Amount> {
        let is_new = !pay::is_meant(canonical);
        (is_new && asset.kind == AssetKind::Native)
            .then_some(Amount::from_atomic(RENT_MIN_LAMPORTS))
    }

    fn recipient(&self, canonical: &str) -> Option<String> {
        match Material::parse(canonical) {
            Ok(Material::Pay(wallet)) => Some(wallet.recipient_text()),
            Ok(Material::Account(_)) | Err(_) => None,
        }
    }

    fn separator(&self) -> Option<u8> {
        Some(WITH)
    }

    fn pool(&self, text: &str) -> Result<AddressPool, KeyError> {
        pool::read(text)
    }

    fn pooled(
        &self,
        address: &str,
        position: u32,
        chain: &ChainName,
    ) -> Result<DerivedAddress, KeyError> {
        self.check_chain(chain)?;
        Ok(DerivedAddress {
            address: address.to_owned(),
            key: address.as_bytes().to_vec(),
            path: format!("pool/{position}"),
        })
    }

    fn payment_uri(&self, asset: &Asset, address: &str, amount: Amount) -> String {
        uri::payment_uri(asset, address, amount)
    }

    fn transaction_id(&self, text: &str) -> Option<TxId> {
        let bytes = base58ck::decode(text).ok()?;
        (bytes.len() == SIGNATURE_BYTES).then(|| TxId::new(text))
    }
}
