//! A merchant's wallet: the public half that the watcher gets, and what only its owner knows.

use anyhow::Result;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Address, Network, base58};

/// Version bytes of `vpub`, a key for P2WPKH on test networks
/// (<https://github.com/satoshilabs/slips/blob/master/slip-0132.md>).
const VPUB: [u8; 4] = [0x04, 0x5f, 0x1c, 0xf6];

/// The account `m/84'/1'/0'` of a fixed seed (BIP84, test networks).
#[derive(Debug)]
pub struct WalletKey {
    account: Xpriv,
}

impl WalletKey {
    /// The wallet of a number. The same number is the same wallet.
    pub fn new(number: u8) -> Result<Self> {
        let master = Xpriv::new_master(Network::Regtest, &[number; 32])?;
        let path: DerivationPath = "m/84'/1'/0'".parse()?;
        let account = master.derive_priv(&Secp256k1::new(), &path)?;
        Ok(Self { account })
    }

    /// The account's public key as wallets export it for P2WPKH.
    pub fn vpub(&self) -> String {
        let mut bytes = self.public().encode();
        bytes[..4].copy_from_slice(&VPUB);
        base58::encode_check(&bytes)
    }

    /// The account's public key in the plain form of BIP32.
    pub fn tpub(&self) -> String {
        self.public().to_string()
    }

    /// The account's private key, which no watcher may ever accept.
    pub fn tprv(&self) -> String {
        self.account.to_string()
    }

    /// The private key in wallet import format, which no watcher may ever accept.
    pub fn wif(&self) -> String {
        self.account.to_priv().to_wif()
    }

    /// The address that the owner's wallet shows at `m/84'/1'/0'/0/index`.
    pub fn address(&self, index: u32) -> Result<String> {
        let steps = [
            ChildNumber::from_normal_idx(0)?,
            ChildNumber::from_normal_idx(index)?,
        ];
        let key = self.public().derive_pub(&Secp256k1::new(), &steps)?;
        Ok(Address::p2wpkh(&key.to_pub(), Network::Regtest).to_string())
    }

    /// The other addresses of the key at `m/84'/1'/0'/0/index`: P2PKH, P2SH-P2WPKH and P2TR.
    pub fn siblings(&self, index: u32) -> Result<[String; 3]> {
        let secp = Secp256k1::new();
        let steps = [
            ChildNumber::from_normal_idx(0)?,
            ChildNumber::from_normal_idx(index)?,
        ];
        let key = self.public().derive_pub(&secp, &steps)?;
        let (network, inner) = (Network::Regtest, key.to_x_only_pub());
        Ok([
            Address::p2pkh(key.to_pub(), network).to_string(),
            Address::p2shwpkh(&key.to_pub(), network).to_string(),
            Address::p2tr(&secp, inner, None, network).to_string(),
        ])
    }

    /// The private key of that address in wallet import format, with which its owner spends.
    pub fn wif_at(&self, index: u32) -> Result<String> {
        let steps = [
            ChildNumber::from_normal_idx(0)?,
            ChildNumber::from_normal_idx(index)?,
        ];
        let key = self.account.derive_priv(&Secp256k1::new(), &steps)?;
        Ok(key.to_priv().to_wif())
    }

    fn public(&self) -> Xpub {
        Xpub::from_priv(&Secp256k1::new(), &self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_the_same_key() -> Result<()> {
        let wallet = WalletKey::new(7)?;
        assert!(wallet.vpub().starts_with("vpub") && wallet.tpub().starts_with("tpub"));
        let plain = base58::decode_check(&wallet.tpub())?;
        let slip132 = base58::decode_check(&wallet.vpub())?;
        assert_eq!(plain[4..], slip132[4..]);
        assert!(wallet.address(0)?.starts_with("bcrt1q"));
        assert_ne!(wallet.address(0)?, wallet.address(1)?);
        assert_ne!(wallet.address(0)?, WalletKey::new(8)?.address(0)?);
        Ok(())
    }
}
