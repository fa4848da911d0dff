//! A merchant's EVM wallet: the public half that the watcher gets, and its addresses by another
//! implementation.

use crate::evm_addresses::other_evm_addresses;
use anyhow::Result;
use bitcoin::Network;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::Secp256k1;

/// The account `m/44'/60'/0'` of a fixed seed (BIP44).
#[derive(Debug)]
pub struct EvmWallet {
    account: Xpriv,
}

impl EvmWallet {
    /// The wallet of a number. The same number is the same wallet.
    pub fn new(number: u8) -> Result<Self> {
        let master = Xpriv::new_master(Network::Bitcoin, &[number; 32])?;
        let path: DerivationPath = "m/44'/60'/0'".parse()?;
        let account = master.derive_priv(&Secp256k1::new(), &path)?;
        Ok(Self { account })
    }

    /// The account's public key.
    pub fn xpub(&self) -> String {
        Xpub::from_priv(&Secp256k1::new(), &self.account).to_string()
    }

    /// The addresses that the owner's wallet shows at `m/44'/60'/0'/0/index`.
    pub async fn addresses(&self, indexes: &[u32]) -> Result<Vec<String>> {
        let receiving = [ChildNumber::from_normal_idx(0)?];
        let key = Xpub::from_priv(&Secp256k1::new(), &self.account);
        let key = key.derive_pub(&Secp256k1::new(), &receiving)?;
        other_evm_addresses(&key.to_string(), indexes).await
    }
}
