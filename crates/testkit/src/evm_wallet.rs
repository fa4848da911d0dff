//! A merchant's EVM wallet: the public half that the watcher gets, its addresses by another
//! implementation, and what its owner signs.

use crate::evm_addresses::other_evm_addresses;
use crate::javascript;
use anyhow::{Context, Result};
use bitcoin::Network;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::Secp256k1;
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("../verifiers/evm_sign.cjs");

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

    /// A transaction, as ethers takes it, signed by the account at this index: what nodes take as
    /// `eth_sendRawTransaction`.
    pub async fn sign(&self, index: u32, transaction: &Value) -> Result<String> {
        let signed = self.ask(index, "transaction", transaction).await?;
        let raw = signed.as_str().map(str::to_owned);
        raw.context("ethers gives a transaction")
    }

    /// What lets the account at this index be a contract (EIP-7702), for the list `authorizationList` of a
    /// transaction; `delegation` has the contract's `address`, the account's `nonce` and the `chainId`.
    pub async fn delegate(&self, index: u32, delegation: &Value) -> Result<Value> {
        self.ask(index, "delegation", delegation).await
    }

    async fn ask(&self, index: u32, what: &str, of: &Value) -> Result<Value> {
        let path = [0, index].map(ChildNumber::from_normal_idx);
        let path = path.into_iter().collect::<Result<Vec<_>, _>>()?;
        let key = self.account.derive_priv(&Secp256k1::new(), &path)?;
        let key = key.private_key.display_secret().to_string();
        let work = json!({ "key": format!("0x{key}"), what: of });
        let said = javascript::ask("ethers", SCRIPT, &work).await?;
        serde_json::from_slice(&said).context("read the answer of ethers")
    }
}
