//! Accounts with an extended public key (BIP32-Ed25519,
//! <https://input-output-hk.github.io/adrestia/static/Ed25519_BIP.pdf>). The root is made of the words as
//! Icarus does it (<https://github.com/cardano-foundation/CIPs/blob/master/CIP-0003/Icarus.md>).

use anyhow::{Context as _, Result, anyhow, bail};
use bech32::{Bech32, Hrp};
use ed25519_bip32::{DerivationScheme, XPrv};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};

use crate::address;
use crate::signer::Signer;
use crate::words::Words;

/// Below it steps are not hardened.
const HARDENED: u32 = 0x8000_0000;
/// Purpose and coin (BIP44, SLIP-44).
const PURPOSE: [u32; 2] = [44, 501];
/// Rounds of the root's key stretching.
const ROUNDS: u32 = 4096;

/// The account at `m/44'/501'/account'`.
pub(crate) struct Account {
    key: XPrv,
}

impl Account {
    /// An account of a root.
    pub(crate) fn of(words: &Words, account: u32) -> Result<Self> {
        let [purpose, coin] = PURPOSE;
        let mut key = root(&words.entropy())?;
        for step in [purpose, coin, account] {
            if HARDENED <= step {
                bail!("account {step} is not possible: below {HARDENED}");
            }
            key = child(&key, HARDENED | step);
        }
        Ok(Self { key })
    }

    /// The public key, as `paywatch wallet add` takes it (`acct_xvk` of
    /// <https://github.com/cardano-foundation/CIPs/tree/master/CIP-0005>).
    pub(crate) fn xpub(&self) -> Result<String> {
        let name = Hrp::parse("acct_xvk").context("the name of the key")?;
        bech32::encode::<Bech32>(name, self.key.public().as_ref()).context("the key as text")
    }

    /// Path and address at an index, as the watcher shows them.
    pub(crate) fn shown(&self, index: u32) -> Result<(String, String)> {
        let hash: [u8; 32] = Sha256::digest(self.key.public().as_ref()).into();
        let fingerprint = hex::encode(hash.get(..4).unwrap_or_default());
        let address = address::text(&self.signer(index)?.public());
        Ok((format!("{fingerprint}/0/{index}"), address))
    }

    /// What signs for the address at `/0/index`.
    pub(crate) fn signer(&self, index: u32) -> Result<Signer> {
        if HARDENED <= index {
            bail!("index {index} is not possible: below {HARDENED}");
        }
        Ok(Signer::Extended(child(&child(&self.key, 0), index)))
    }
}

fn child(key: &XPrv, step: u32) -> XPrv {
    key.derive(DerivationScheme::V2, step)
}

fn root(entropy: &[u8]) -> Result<XPrv> {
    let mut bytes = [0; 96];
    stretch(entropy, &mut bytes)?;
    Ok(XPrv::normalize_bytes_force3rd(bytes))
}

/// PBKDF2 with HMAC-SHA512 and an empty password (<https://www.rfc-editor.org/rfc/rfc8018#section-5.2>).
fn stretch(salt: &[u8], out: &mut [u8]) -> Result<()> {
    let mac = || {
        let mac = Hmac::<Sha512>::new_from_slice(&[]);
        mac.map_err(|_| anyhow!("a key of no bytes is refused"))
    };
    for (number, block) in (1_u32..).zip(out.chunks_mut(64)) {
        let mut first = mac()?;
        first.update(salt);
        first.update(&number.to_be_bytes());
        let mut last: [u8; 64] = first.finalize().into_bytes().into();
        let mut sum = last;
        for _ in 1..ROUNDS {
            let mut next = mac()?;
            next.update(&last);
            last = next.finalize().into_bytes().into();
            for (sum, byte) in sum.iter_mut().zip(last) {
                *sum ^= byte;
            }
        }
        for (out, byte) in block.iter_mut().zip(sum) {
            *out = byte;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of CIP-3 without passphrase.
    #[test]
    fn a_solana_root_is_the_published_one() {
        let words = "eight country switch draw meat scout mystery blade tip drift useless good keep usage title";
        let root = root(&Words::parse(words).unwrap().entropy()).unwrap();
        let expected = "c065afd2832cd8b087c4d9ab7011f481ee1e0721e78ea5dd609f3ab3f156d245d176bd8fd4ec60b4731c3918a2a72a0226c0cd119ec35b47e4d55884667f552a23f7fdcd4a10c6cd2c7393ac61d877873e248f417634aa3d812af327ffe9d620";
        assert_eq!(root.to_string(), expected);
    }

    /// Payment and stake key of CIP-19 come from these words by m/1852'/1815'/0'/0/0.
    #[test]
    fn a_solana_account_derives_like_the_published_one() {
        let words = "test walk nut penalty hip pave soap entry language right filter choice";
        let mut key = root(&Words::parse(words).unwrap().entropy()).unwrap();
        for step in [HARDENED + 1852, HARDENED + 1815, HARDENED, 0, 0] {
            key = child(&key, step);
        }
        let public = hex::encode(key.public().public_key());
        assert_eq!(
            public,
            "73fea80d424276ad0978d4fe5310e8bc2d485f5f6bb3bf87612989f112ad5a7d"
        );
    }
}
