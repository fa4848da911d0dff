//! Addresses as text: the checksum of ERC-55 (<https://eips.ethereum.org/EIPS/eip-55>).

use alloy_primitives::Address;

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not 0x and 40 hexadecimal digits.
    #[error("an address is 0x and 40 hexadecimal digits")]
    Malformed,
    /// Small and capital letters that are not those of the checksum: a typing error.
    #[error(
        "the checksum of the address does not fit (its small and capital letters); a character is \
         wrong, or copy it again from where it came from"
    )]
    Checksum,
}

/// Reads an address. Letters of both sizes must be those of the checksum; letters of one size carry
/// none and are accepted.
pub fn parse_address(text: &str) -> Result<Address, AddressError> {
    let digits = text.strip_prefix("0x").ok_or(AddressError::Malformed)?;
    if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(AddressError::Malformed);
    }
    let address: Address = text.parse().map_err(|_| AddressError::Malformed)?;
    let has = |of: fn(&u8) -> bool| digits.as_bytes().iter().any(of);
    let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    if mixed && address_text(address) != text {
        return Err(AddressError::Checksum);
    }
    Ok(address)
}

/// The address with its checksum.
pub fn address_text(address: Address) -> String {
    address.to_checksum(None)
}
