//! Addresses that say whose they are. Pure, and as cheap as can be: a chain's real keys have tests of
//! their own.

use paywatch_chain::{Derivation, DerivedAddress, KeyError, Sibling, WalletKey};
use paywatch_domain::{Amount, Asset, ChainName, Family};

/// Derives the addresses of one family.
#[derive(Clone, Copy, Debug)]
pub struct SimDerivation(pub Family);

/// The other form of an address, which the same key can spend.
pub fn sibling(address: &str) -> String {
    format!("other-{address}")
}

impl Derivation for SimDerivation {
    fn family(&self) -> Family {
        self.0
    }

    fn parse(&self, text: &str, _: bool) -> Result<WalletKey, KeyError> {
        let node = text.bytes().fold(7_u64, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        Ok(WalletKey {
            kind: "simulated",
            canonical: text.into(),
            node: format!("{}{node:016x}", self.0.as_str()),
            fingerprint: "00000000".into(),
        })
    }

    fn derive(&self, key: &str, index: u32, _: &ChainName) -> Result<DerivedAddress, KeyError> {
        let address = format!("{key}-{index}");
        Ok(DerivedAddress {
            key: address.clone().into(),
            address,
            path: format!("m/{index}"),
        })
    }

    fn siblings(&self, key: &str, index: u32, _: &ChainName) -> Result<Vec<Sibling>, KeyError> {
        if self.0 != Family::Bitcoin {
            return Ok(Vec::new());
        }
        let address = sibling(&format!("{key}-{index}"));
        Ok(vec![Sibling {
            form: "p2tr",
            key: address.clone().into(),
            address,
        }])
    }

    fn payment_uri(&self, asset: &Asset, address: &str, amount: Amount) -> String {
        format!("sim:{address}?amount={}", amount.decimal(asset.decimals))
    }
}
