//! Reads merchants' public keys and hands out their addresses.

use std::collections::BTreeMap;

use paywatch_chain::{Derivation, DerivedAddress, KeyError, Sibling, WalletKey};
use paywatch_domain::{Amount, Asset, ChainName, Family, TxId};

use crate::address::address_text;
use crate::key::WalletNode;
use crate::uri;

/// Addresses of every EVM chain, by BIP32 public derivation. A key has the same addresses on all of
/// them, test networks included.
#[derive(Debug)]
pub struct EvmDerivation {
    chains: BTreeMap<ChainName, u64>,
}

impl EvmDerivation {
    /// Derives for these chains, each with its chain id (EIP-155).
    pub fn new(chains: impl IntoIterator<Item = (ChainName, u64)>) -> Self {
        Self {
            chains: chains.into_iter().collect(),
        }
    }
}

impl Derivation for EvmDerivation {
    fn family(&self) -> Family {
        Family::Evm
    }

    fn parse(&self, text: &str, _: bool) -> Result<WalletKey, KeyError> {
        let node = WalletNode::parse(text)?;
        Ok(WalletKey {
            kind: "xpub",
            canonical: node.canonical(),
            node: hex::encode(node.node_id()),
            fingerprint: node.fingerprint(),
        })
    }

    fn derive(
        &self,
        canonical: &str,
        index: u32,
        chain: &ChainName,
    ) -> Result<DerivedAddress, KeyError> {
        if !self.chains.contains_key(chain) {
            return Err(KeyError::Unsupported {
                detail: format!("{chain} is not a configured EVM chain"),
            });
        }
        let node = WalletNode::parse(canonical)?;
        let address = node.address(index)?;
        Ok(DerivedAddress {
            address: address_text(address),
            key: address.to_vec(),
            path: node.path(index),
        })
    }

    /// None: a key has one address, whatever is sent to it.
    fn siblings(&self, _: &str, _: u32, _: &ChainName) -> Result<Vec<Sibling>, KeyError> {
        Ok(Vec::new())
    }

    fn payment_uri(&self, asset: &Asset, address: &str, amount: Amount) -> String {
        match self.chains.get(asset.name.chain()) {
            Some(&chain_id) => uri::payment_uri(chain_id, &asset.kind, address, amount),
            // Without the chain it would be a payment on Ethereum.
            None => address.to_owned(),
        }
    }

    fn transaction_id(&self, text: &str) -> Option<TxId> {
        let digits = text.strip_prefix("0x")?;
        let is_hash = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| TxId::new(&text.to_ascii_lowercase()))
    }
}
