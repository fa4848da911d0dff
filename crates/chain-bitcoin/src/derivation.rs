//! Reads merchants' public keys and hands out their addresses.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bip32::{PublicKey, XPub};
use paywatch_chain::{Derivation, DerivedAddress, KeyError, Sibling, WalletKey};
use paywatch_domain::{ChainName, Family, limits};
use sha2::{Digest, Sha256};

use crate::address::{ScriptType, address};
use crate::descriptor::Descriptor;
use crate::key::child;
use crate::network::Network;
use crate::private::private_material;

/// Parsed keys that are remembered; above this all are forgotten and read again when needed.
const REMEMBERED_MAX: usize = 256;

/// Addresses of Bitcoin and its test networks, by BIP32 public derivation.
#[derive(Debug)]
pub struct BitcoinDerivation {
    chains: BTreeMap<ChainName, Network>,
    /// Stored keys that were read before: reading one costs two operations on the curve.
    remembered: Mutex<HashMap<String, Arc<Wallet>>>,
}

#[derive(Debug)]
struct Wallet {
    descriptor: Descriptor,
    /// The node whose children are handed out.
    parent: XPub,
}

impl BitcoinDerivation {
    /// Derives for these chains.
    pub fn new(chains: impl IntoIterator<Item = (ChainName, Network)>) -> Self {
        Self {
            chains: chains.into_iter().collect(),
            remembered: Mutex::default(),
        }
    }

    fn network(&self, chain: &ChainName) -> Result<Network, KeyError> {
        let network = self.chains.get(chain).copied();
        network.ok_or_else(|| KeyError::Unsupported {
            detail: format!("{chain} is not a configured Bitcoin chain"),
        })
    }

    fn wallet(&self, canonical: &str, test: bool) -> Result<Arc<Wallet>, KeyError> {
        let remembered = || {
            self.remembered
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let known = remembered().get(canonical).cloned();
        if let Some(wallet) = known.filter(|wallet| wallet.descriptor.node.form.test == test) {
            return Ok(wallet);
        }
        let wallet = Arc::new(Wallet::read(canonical, test)?);
        let mut remembered = remembered();
        if REMEMBERED_MAX <= remembered.len() {
            remembered.clear();
        }
        remembered.insert(canonical.to_owned(), Arc::clone(&wallet));
        Ok(wallet)
    }
}

impl Wallet {
    fn read(text: &str, test: bool) -> Result<Self, KeyError> {
        // Before anything else, so that no other error can speak of a private key.
        if let Some(what) = private_material(text) {
            return Err(KeyError::Private { what });
        }
        if limits::KEY_CHARS_MAX < text.len() {
            return Err(KeyError::Malformed {
                detail: format!("longer than {} characters", limits::KEY_CHARS_MAX),
            });
        }
        let descriptor = Descriptor::parse(text.trim(), test)?;
        let parent = descriptor.parent()?;
        Ok(Self { descriptor, parent })
    }
}

impl Derivation for BitcoinDerivation {
    fn family(&self) -> Family {
        Family::Bitcoin
    }

    fn parse(&self, text: &str, test: bool) -> Result<WalletKey, KeyError> {
        let Wallet { descriptor, parent } = Wallet::read(text, test)?;
        let is_function = text.contains('(');
        let node = Sha256::new()
            .chain_update(parent.to_bytes())
            .chain_update(parent.attrs().chain_code)
            .finalize();
        Ok(WalletKey {
            kind: if is_function {
                "descriptor"
            } else {
                descriptor.node.form.prefix
            },
            canonical: descriptor.canonical(),
            node: hex::encode(node),
            fingerprint: hex::encode(descriptor.fingerprint()),
        })
    }

    fn derive(
        &self,
        canonical: &str,
        index: u32,
        chain: &ChainName,
    ) -> Result<DerivedAddress, KeyError> {
        let network = self.network(chain)?;
        let wallet = self.wallet(canonical, network.is_test())?;
        let key = child(&wallet.parent, index)?;
        let script = wallet.descriptor.script;
        let script = script.script(&key.public_key().to_bytes());
        let script = script.ok_or(KeyError::Index { index })?;
        let address = address(&script, network).ok_or(KeyError::Index { index })?;
        Ok(DerivedAddress {
            address,
            key: script.into_bytes(),
            path: wallet.descriptor.path(index, network.coin_type()),
        })
    }

    fn siblings(
        &self,
        canonical: &str,
        index: u32,
        chain: &ChainName,
    ) -> Result<Vec<Sibling>, KeyError> {
        let network = self.network(chain)?;
        let wallet = self.wallet(canonical, network.is_test())?;
        let key = child(&wallet.parent, index)?.public_key().to_bytes();
        let others = ScriptType::ALL.into_iter();
        let others = others.filter(|script| *script != wallet.descriptor.script);
        let sibling = |form: ScriptType| {
            let script = form.script(&key)?;
            Some(Sibling {
                form: form.as_str(),
                address: address(&script, network)?,
                key: script.into_bytes(),
            })
        };
        let siblings = others.map(sibling).collect::<Option<_>>();
        siblings.ok_or(KeyError::Index { index })
    }

    /// BIP21: `bitcoin:ADDRESS?amount=BTC`.
    fn payment_uri(&self, _: &ChainName, address: &str, amount: &str) -> String {
        format!("bitcoin:{address}?amount={amount}")
    }
}
