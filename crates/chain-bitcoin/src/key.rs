//! Extended public keys (BIP32) with the version bytes of BIP32 and SLIP-132.

use std::sync::LazyLock;

use bitcoin::bip32::{ChainCode, ChildNumber, Fingerprint, Xpub};
use bitcoin::secp256k1::{PublicKey, Secp256k1, VerifyOnly};
use bitcoin::{NetworkKind, base58};
use paywatch_chain::KeyError;

use crate::address::ScriptType;
use crate::network::Network;

/// What libsecp256k1 needs to add points of the curve; making it is not free. It derives three times as
/// fast as the curves that are written in Rust.
pub(crate) static CURVE: LazyLock<Secp256k1<VerifyOnly>> =
    LazyLock::new(Secp256k1::verification_only);

/// A form of an extended public key (SLIP-132,
/// <https://github.com/satoshilabs/slips/blob/master/slip-0132.md>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyForm {
    /// The version, which is what the text begins with.
    version: [u8; 4],
    /// The first four letters.
    pub(crate) prefix: &'static str,
    /// Whether it is for test networks.
    pub(crate) test: bool,
    /// Which script it is meant for, where the form says that.
    pub(crate) hint: Option<ScriptType>,
}

const fn form(version: u32, prefix: &'static str, test: bool, hint: Option<ScriptType>) -> KeyForm {
    KeyForm {
        version: version.to_be_bytes(),
        prefix,
        test,
        hint,
    }
}

const FORMS: [KeyForm; 10] = [
    form(0x0488_b21e, "xpub", false, None),
    form(0x049d_7cb2, "ypub", false, Some(ScriptType::P2shP2wpkh)),
    form(0x04b2_4746, "zpub", false, Some(ScriptType::P2wpkh)),
    form(0x0295_b43f, "Ypub", false, Some(ScriptType::P2shP2wsh)),
    form(0x02aa_7ed3, "Zpub", false, Some(ScriptType::P2wsh)),
    form(0x0435_87cf, "tpub", true, None),
    form(0x044a_5262, "upub", true, Some(ScriptType::P2shP2wpkh)),
    form(0x045f_1cf6, "vpub", true, Some(ScriptType::P2wpkh)),
    form(0x0242_89ef, "Upub", true, Some(ScriptType::P2shP2wsh)),
    form(0x0257_5483, "Vpub", true, Some(ScriptType::P2wsh)),
];

/// An extended public key that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicNode {
    /// The form it was given in.
    pub(crate) form: KeyForm,
    /// The key.
    pub(crate) key: Xpub,
}

/// Whether `text` begins like an extended public key.
pub(crate) fn looks_extended(text: &str) -> bool {
    let start = text.get(..4);
    FORMS.iter().any(|form| Some(form.prefix) == start)
}

impl PublicNode {
    /// Reads an extended public key for the main network or for test networks. Private keys were
    /// refused before; what slipped through is refused here.
    pub(crate) fn parse(text: &str, test: bool) -> Result<Self, KeyError> {
        let malformed = |detail: &str| KeyError::Malformed {
            detail: detail.to_owned(),
        };
        let bytes = base58::decode_check(text).map_err(|_| not_base58(text))?;
        let fields =
            Fields::read(&bytes).ok_or_else(|| malformed("an extended key has 78 bytes"))?;
        if fields.key.first() == Some(&0) {
            return Err(KeyError::Private {
                what: "an extended private key",
            });
        }
        let form = FORMS
            .into_iter()
            .find(|form| form.version == fields.version)
            .ok_or_else(|| KeyError::Unsupported {
                detail: "an extended key of another coin or purpose (unknown version bytes); \
                         give an xpub, ypub or zpub (tpub, upub or vpub for test networks)"
                    .to_owned(),
            })?;
        let rootless = fields.parent_fingerprint != [0; 4] || fields.child_number != [0; 4];
        if fields.depth == 0 && rootless {
            return Err(malformed(
                "the key says that it is a root and that it has a parent",
            ));
        }
        let public_key = PublicKey::from_slice(&fields.key)
            .map_err(|_| malformed("its public key is not a point of the curve"))?;
        if form.test != test {
            return Err(KeyError::WrongNetwork {
                expected: Network::mode_words(test).to_owned(),
                found: format!("{} ({})", Network::mode_words(form.test), form.prefix),
            });
        }
        let key = Xpub {
            network: if test {
                NetworkKind::Test
            } else {
                NetworkKind::Main
            },
            depth: fields.depth,
            parent_fingerprint: Fingerprint::from(fields.parent_fingerprint),
            child_number: ChildNumber::from(u32::from_be_bytes(fields.child_number)),
            public_key,
            chain_code: ChainCode::from(fields.chain_code),
        };
        Ok(Self { form, key })
    }

    /// The text in the form that descriptors use (BIP380): `xpub` or `tpub`.
    pub(crate) fn standard(&self) -> String {
        self.key.to_string()
    }
}

/// The fields of a serialised extended key.
struct Fields {
    version: [u8; 4],
    depth: u8,
    parent_fingerprint: [u8; 4],
    child_number: [u8; 4],
    chain_code: [u8; 32],
    key: [u8; 33],
}

impl Fields {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<4>()?;
        let (depth, rest) = rest.split_first()?;
        let (parent_fingerprint, rest) = rest.split_first_chunk::<4>()?;
        let (child_number, rest) = rest.split_first_chunk::<4>()?;
        let (chain_code, key) = rest.split_first_chunk::<32>()?;
        Some(Self {
            version: *version,
            depth: *depth,
            parent_fingerprint: *parent_fingerprint,
            child_number: *child_number,
            chain_code: *chain_code,
            key: key.try_into().ok()?,
        })
    }
}

/// Why a text that may have been meant as an extended key cannot be decoded.
fn not_base58(text: &str) -> KeyError {
    let foreign = text
        .bytes()
        .position(|byte| !byte.is_ascii_alphanumeric() || b"0OIl".contains(&byte));
    match foreign {
        None if looks_extended(text) => KeyError::Checksum {
            detail: format!("in the {}", text.get(..4).unwrap_or_default()),
        },
        Some(position) if looks_extended(text) => KeyError::Malformed {
            detail: format!(
                "character {} does not occur in an extended key",
                position.saturating_add(1)
            ),
        },
        _ => KeyError::Malformed {
            detail: "give an extended public key (xpub, ypub, zpub; tpub, upub, vpub for test \
                     networks) or a descriptor such as wpkh([fingerprint/84h/0h/0h]xpub/0/*)"
                .to_owned(),
        },
    }
}

/// The node `step` below `key`, for steps that are not hardened.
pub(crate) fn child(key: &Xpub, step: u32) -> Result<Xpub, KeyError> {
    ChildNumber::from_normal_idx(step)
        .and_then(|step| key.ckd_pub(&CURVE, step))
        .map_err(|_| KeyError::Index { index: step })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public vectors of BIP32: parent, step that is not hardened, child.
    #[test]
    fn bip32_public_derivation() {
        let vectors = [
            // Test vector 1: m/0h -> 1, m/0h/1/2h -> 2, -> 1000000000.
            (
                "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw",
                1,
                "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ",
            ),
            (
                "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5",
                2,
                "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
            ),
            (
                "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
                1_000_000_000,
                "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy",
            ),
            // Test vector 2: m -> 0, m/0/2147483647h -> 1.
            (
                "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB",
                0,
                "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH",
            ),
            (
                "xpub6ASAVgeehLbnwdqV6UKMHVzgqAG8Gr6riv3Fxxpj8ksbH9ebxaEyBLZ85ySDhKiLDBrQSARLq1uNRts8RuJiHjaDMBU4Zn9h8LZNnBC5y4a",
                1,
                "xpub6DF8uhdarytz3FWdA8TvFSvvAh8dP3283MY7p2V4SeE2wyWmG5mg5EwVvmdMVCQcoNJxGoWaU9DCWh89LojfZ537wTfunKau47EL2dhHKon",
            ),
        ];
        for (parent, step, expected) in vectors {
            let parent = PublicNode::parse(parent, false).unwrap();
            let child = child(&parent.key, step).unwrap();
            let child = PublicNode {
                form: parent.form,
                key: child,
            };
            assert_eq!(child.standard(), expected);
            assert_eq!(PublicNode::parse(expected, false).unwrap(), child);
        }
    }

    /// The keys of SLIP-132 for the phrase `abandon … about`: each converts to the plain form.
    #[test]
    fn slip132_forms_convert_to_the_plain_form() {
        let vectors = [
            (
                "ypub6Ww3ibxVfGzLrAH1PNcjyAWenMTbbAosGNB6VvmSEgytSER9azLDWCxoJwW7Ke7icmizBMXrzBx9979FfaHxHcrArf3zbeJJJUZPf663zsP",
                "xpub6C6nQwHaWbSrzs5tZ1q7m5R9cPK9eYpNMFesiXsYrgc1P8bvLLAet9JfHjYXKjToD8cBRswJXXbbFpXgwsswVPAZzKMa1jUp2kVkGVUaJa7",
                Some(ScriptType::P2shP2wpkh),
            ),
            (
                "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs",
                "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V",
                Some(ScriptType::P2wpkh),
            ),
        ];
        for (given, plain, hint) in vectors {
            let given = PublicNode::parse(given, false).unwrap();
            assert_eq!(given.form.hint, hint);
            assert_eq!(given.standard(), plain);
            assert_eq!(given.key, PublicNode::parse(plain, false).unwrap().key);
        }
    }

    /// Public keys of BIP32 test vector 5 (invalid extended keys).
    #[test]
    fn bip32_invalid_keys() {
        let vectors = [
            (
                "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6LBpB85b3D2yc8sfvZU521AAwdZafEz7mnzBBsz4wKY5fTtTQBm",
                "private_key_refused",
            ),
            (
                "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Txnt3siSujt9RCVYsx4qHZGc62TG4McvMGcAUjeuwZdduYEvFn",
                "key_malformed",
            ),
            (
                "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6N8ZMMXctdiCjxTNq964yKkwrkBJJwpzZS4HS2fxvyYUA4q2Xe4",
                "key_malformed",
            ),
            (
                "xpub661no6RGEX3uJkY4bNnPcw4URcQTrSibUZ4NqJEw5eBkv7ovTwgiT91XX27VbEXGENhYRCf7hyEbWrR3FewATdCEebj6znwMfQkhRYHRLpJ",
                "key_malformed",
            ),
            (
                "xpub661MyMwAuDcm6CRQ5N4qiHKrJ39Xe1R1NyfouMKTTWcguwVcfrZJaNvhpebzGerh7gucBvzEQWRugZDuDXjNDRmXzSZe4c7mnTK97pTvGS8",
                "key_malformed",
            ),
            (
                "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Q5JXayek4PRsn35jii4veMimro1xefsM58PgBMrvdYre8QyULY",
                "key_malformed",
            ),
        ];
        for (text, expected) in vectors {
            let error = PublicNode::parse(text, false).unwrap_err();
            assert_eq!(error.code(), expected, "{text}: {error}");
        }
    }
}
