//! Public ids: a prefix that names the kind, and 128 random bits.

use std::fmt;
use std::str::FromStr;

/// A source of random bytes. Injected; only the binary asks the operating system.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with unpredictable bytes.
    fn fill(&mut self, bytes: &mut [u8]);

    /// 128 random bits, what an id is made of.
    fn bits(&mut self) -> u128 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }
}

/// A text that is not an id of the kind that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id that starts with {prefix}_")]
pub struct IdError {
    /// What ids of this kind begin with.
    pub prefix: &'static str,
}

/// Crockford's base 32 in lower case: no letters that are mistaken for digits.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters that 128 bits take at 5 bits each.
const CHARS: u32 = 26;

fn encode(bits: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for place in (0..CHARS).rev() {
        let digit = bits.checked_shr(place.saturating_mul(5)).unwrap_or(0) & 31;
        let symbol = usize::try_from(digit)
            .ok()
            .and_then(|digit| ALPHABET.get(digit));
        write!(f, "{}", char::from(*symbol.unwrap_or(&b'0')))?;
    }
    Ok(())
}

fn decode(text: &str) -> Option<u128> {
    if u32::try_from(text.len()) != Ok(CHARS) {
        return None;
    }
    text.bytes().try_fold(0_u128, |bits, byte| {
        let digit = ALPHABET.iter().position(|symbol| *symbol == byte)?;
        let shifted = bits.checked_mul(32)?;
        shifted.checked_add(u128::try_from(digit).ok()?)
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What ids of this kind begin with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// An id made of 128 random bits.
            pub fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// A new id from `entropy`.
            pub fn random(entropy: &mut dyn Entropy) -> Self {
                Self(entropy.bits())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                encode(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or(IdError { prefix: $prefix })
            }
        }
    };
}

id!(/// A tenant.
    MerchantId, "mer");
id!(/// An API key's public part.
    KeyId, "key");
id!(/// A merchant's public key material for one chain family.
    WalletId, "wal");
id!(/// An invoice. The checkout link is public, so it must not be guessable.
    InvoiceId, "inv");
id!(/// One way to pay an invoice.
    OptionId, "opt");
id!(/// A fact: an amount credited to a watched address.
    TransferId, "trf");
id!(/// What a merchant is told; the `webhook-id`.
    EventId, "evt");
id!(/// Something that a person has to decide about an invoice.
    ExceptionId, "exc");
id!(/// A webhook endpoint.
    EndpointId, "whe");
id!(/// One event to one endpoint.
    DeliveryId, "dlv");
id!(/// One request to the API, or to the worker of a chain.
    RequestId, "req");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_refuses_others() {
        for bits in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let id = InvoiceId::from_bits(bits);
            assert_eq!(id.to_string().len(), 30);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        let wrong = [
            "",
            "inv_",
            "evt_00000000000000000000000000",
            "inv_0000000000000000000000000l",
        ];
        for text in wrong {
            assert_eq!(
                text.parse::<InvoiceId>(),
                Err(IdError { prefix: "inv" }),
                "{text}"
            );
        }
        assert!(
            "inv_zzzzzzzzzzzzzzzzzzzzzzzzzz"
                .parse::<InvoiceId>()
                .is_err(),
            "more than 128 bits"
        );
    }
}
