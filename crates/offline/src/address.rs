//! Addresses as text, and the accounts in which a wallet holds tokens.

use anyhow::{Context as _, Result, anyhow, bail};
use base58ck as base58;
use curve25519_dalek::edwards::CompressedEdwardsY;
use sha2::{Digest as _, Sha256};

/// The text of 32 bytes.
pub(crate) fn text(bytes: &[u8; 32]) -> String {
    base58::encode(bytes)
}

/// 32 bytes from their text; `what` names them in an error.
pub(crate) fn parse(what: &str, text: &str) -> Result<[u8; 32]> {
    let bytes = base58::decode(text).ok();
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.with_context(|| format!("{what}: {text} is not 32 bytes in base58"))
}

/// The address of a wallet: one that a private key can sign for.
pub(crate) fn parse_wallet(what: &str, text: &str) -> Result<[u8; 32]> {
    let bytes = parse(what, text)?;
    if !is_on_curve(&bytes) {
        bail!(
            "{what}: no private key can sign for {text}; it belongs to a program or holds tokens"
        );
    }
    Ok(bytes)
}

fn is_on_curve(bytes: &[u8; 32]) -> bool {
    let point = CompressedEdwardsY(*bytes).decompress();
    point.is_some_and(|point| !point.is_small_order())
}

/// The account in which a wallet holds a token
/// (<https://solana.com/docs/tokens/basics/create-token-account>): the first address of a row that is not
/// on the curve.
pub(crate) fn token_account(
    wallet: &[u8; 32],
    token_program: &[u8; 32],
    mint: &[u8; 32],
) -> Result<[u8; 32]> {
    let program = parse("the program", crate::message::ASSOCIATED_TOKEN_PROGRAM)?;
    let found = (0..=u8::MAX).rev().find_map(|bump| {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(wallet)
            .chain_update(token_program)
            .chain_update(mint)
            .chain_update([bump])
            .chain_update(program)
            .chain_update(b"ProgramDerivedAddress")
            .finalize()
            .into();
        let is_point = CompressedEdwardsY(hash).decompress().is_some();
        (!is_point).then_some(hash)
    });
    found.ok_or_else(|| anyhow!("this wallet can have no account for this token"))
}
