//! Files of addresses: one a line, and a last line with the hash over the lines before it.

use anyhow::{Result, bail};
use sha2::{Digest as _, Sha256};

use crate::address;
use crate::standard;
use crate::words::Words;

/// Addresses that the watcher takes in one file.
const ADDRESSES_MAX: u32 = 5_000;

/// The addresses at `m/44'/501'/index'/0'` for `count` indexes.
pub(crate) fn file(words: &Words, from: u32, count: u32) -> Result<String> {
    if count == 0 || ADDRESSES_MAX < count {
        bail!(
            "{count} addresses are not possible: 1 to {ADDRESSES_MAX} in a file, more with --from"
        );
    }
    let wallet = standard::Wallet::of(words)?;
    let mut text = String::new();
    for index in from..from.saturating_add(count) {
        text.push_str(&address::text(&wallet.signer(index)?.public()));
        text.push('\n');
    }
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    Ok(format!("{text}# sha256:{}\n", hex::encode(hash)))
}
