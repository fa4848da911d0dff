//! Reads merchants' public keys and hands out their addresses.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use paywatch_chain::{Derivation, DerivedAddress, KeyError, Sibling, WalletKey, private_material};
use paywatch_domain::{Amount, Asset, ChainName, Family, TxId, limits};

use crate::address::{Lock, ScriptType, address};
use crate::descriptor::Descriptor;
use crate::hash::Hash256;
use crate::network::Network;

/// Parsed keys that are remembered; above this all are forgotten and read again when needed.
const REMEMBERED_MAX: usize = 256;

/// Addresses of Bitcoin and its test networks, by BIP32 public derivation.
#[derive(Debug)]
pub struct BitcoinDerivation {
    chains: BTreeMap<ChainName, Network>,
    /// Stored keys that were read before: reading one costs two operations on the curve.
    remembered: Mutex<HashMap<String, Arc<Descriptor>>>,
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

    fn descriptor(&self, canonical: &str, test: bool) -> Result<Arc<Descriptor>, KeyError> {
        let remembered = || {
            self.remembered
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let known = remembered().get(canonical).cloned();
        if let Some(descriptor) = known.filter(|descriptor| descriptor.is_test() == test) {
            return Ok(descriptor);
        }
        let descriptor = Arc::new(read(canonical, test)?);
        let mut remembered = remembered();
        if REMEMBERED_MAX <= remembered.len() {
            remembered.clear();
        }
        remembered.insert(canonical.to_owned(), Arc::clone(&descriptor));
        Ok(descriptor)
    }
}

fn read(text: &str, test: bool) -> Result<Descriptor, KeyError> {
    // Before anything else, so that no other error can speak of a private key.
    if let Some(what) = private_material(text) {
        return Err(KeyError::Private { what });
    }
    if limits::KEY_CHARS_MAX < text.len() {
        return Err(KeyError::Malformed {
            detail: format!("longer than {} characters", limits::KEY_CHARS_MAX),
        });
    }
    Descriptor::parse(text.trim(), test)
}

/// The script of a type under a lock, with its address.
fn output(script: ScriptType, lock: &Lock, network: Network) -> Option<(String, Vec<u8>)> {
    let script = script.script(lock)?;
    Some((address(&script, network)?, script.into_bytes()))
}

impl Derivation for BitcoinDerivation {
    fn family(&self) -> Family {
        Family::Bitcoin
    }

    fn parse(&self, text: &str, test: bool) -> Result<WalletKey, KeyError> {
        let descriptor = read(text, test)?;
        Ok(WalletKey {
            kind: if text.contains('(') {
                "descriptor"
            } else {
                descriptor.prefix()
            },
            canonical: descriptor.canonical(),
            node: hex::encode(descriptor.node_id()),
            fingerprint: descriptor.fingerprint(),
        })
    }

    fn derive(
        &self,
        canonical: &str,
        index: u32,
        chain: &ChainName,
    ) -> Result<DerivedAddress, KeyError> {
        let network = self.network(chain)?;
        let descriptor = self.descriptor(canonical, network.is_test())?;
        let own = output(descriptor.script, &descriptor.lock(index)?, network);
        let (address, key) = own.ok_or(KeyError::Index { index })?;
        Ok(DerivedAddress {
            address,
            key,
            path: descriptor.path(index, network.coin_type()),
        })
    }

    fn siblings(
        &self,
        canonical: &str,
        index: u32,
        chain: &ChainName,
    ) -> Result<Vec<Sibling>, KeyError> {
        let network = self.network(chain)?;
        let descriptor = self.descriptor(canonical, network.is_test())?;
        let lock = descriptor.lock(index)?;
        let sibling = |script: ScriptType| {
            let (address, key) = output(script, &lock, network)?;
            let form = script.as_str();
            Some(Sibling { form, address, key })
        };
        let siblings = descriptor.script.siblings().map(sibling);
        siblings
            .collect::<Option<_>>()
            .ok_or(KeyError::Index { index })
    }

    /// BIP21: `bitcoin:ADDRESS?amount=BTC`.
    fn payment_uri(&self, asset: &Asset, address: &str, amount: Amount) -> String {
        format!(
            "bitcoin:{address}?amount={}",
            amount.decimal(asset.decimals)
        )
    }

    fn transaction_id(&self, text: &str) -> Option<TxId> {
        let text = text.to_ascii_lowercase();
        Hash256::parse(&text).map(|_| TxId::new(&text))
    }
}
