//! Addresses: public keys of ed25519 as text
//! (<https://solana.com/docs/core/accounts#account-address>).

use base58ck as base58;
use curve25519_dalek::edwards::CompressedEdwardsY;
use sha2::{Digest, Sha256};

/// The program that makes the accounts in which wallets keep tokens.
const ASSOCIATED_TOKEN_PROGRAM: &str = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL";
/// Letters of the shortest address and of the longest.
const CHARS: std::ops::RangeInclusive<usize> = 32..=44;

/// Why a text is not an address that a wallet can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not 32 bytes in base58.
    #[error("an address is 32 bytes in base58: 32 to 44 letters and digits")]
    Malformed,
    /// No private key can sign for it: the address of a program, of an account of tokens, or a mistake.
    #[error(
        "this address is not on the curve, so no private key can sign for it: it belongs to a program \
         or is an account of tokens; give the wallet's own address"
    )]
    OffCurve,
}

/// Reads 32 bytes of base58, whatever they are: an address, a mint, a reference. They have one text form
/// only, and it has no checksum.
pub fn parse_bytes(text: &str) -> Result<[u8; 32], AddressError> {
    if !CHARS.contains(&text.len()) {
        return Err(AddressError::Malformed);
    }
    let bytes = base58::decode(text).map_err(|_| AddressError::Malformed)?;
    bytes.try_into().map_err(|_| AddressError::Malformed)
}

/// Reads an address that a private key can sign for.
pub fn parse_address(text: &str) -> Result<[u8; 32], AddressError> {
    let bytes = parse_bytes(text)?;
    if is_key(&bytes) {
        Ok(bytes)
    } else {
        Err(AddressError::OffCurve)
    }
}

/// The text of an address.
pub fn address_text(bytes: &[u8; 32]) -> String {
    base58::encode(bytes)
}

/// The account in which wallets keep an owner's tokens of a mint, as text: a program derives it, so that it is on no
/// curve (<https://spl.solana.com/associated-token-account>). `None` when program or mint is none.
pub fn associated_account(owner: &[u8; 32], program: &str, mint: &str) -> Option<String> {
    let seeds = [*owner, parse_bytes(program).ok()?, parse_bytes(mint).ok()?];
    let maker = parse_bytes(ASSOCIATED_TOKEN_PROGRAM).ok()?;
    (0..=u8::MAX).rev().find_map(|bump| {
        let mut hash = Sha256::new();
        for seed in &seeds {
            hash.update(seed);
        }
        hash.update([bump]);
        hash.update(maker);
        hash.update(b"ProgramDerivedAddress");
        let derived: [u8; 32] = hash.finalize().into();
        let is_on_curve = CompressedEdwardsY(derived).decompress().is_some();
        (!is_on_curve).then(|| address_text(&derived))
    })
}

/// Whether a private key can have this public one: a point of the curve that is not one of the eight for
/// which anybody can sign (the text of only ones, which is the system program, is among them).
fn is_key(bytes: &[u8; 32]) -> bool {
    let point = CompressedEdwardsY(*bytes).decompress();
    point.is_some_and(|point| !point.is_small_order())
}
