//! Published vectors, and another implementation in another language.

use anyhow::Result;
use paywatch_chain::Derivation;
use paywatch_chain_solana::SolanaDerivation;
use paywatch_chain_solana::address::{AddressError, address_text, parse_address, parse_bytes};
use paywatch_domain::{Amount, Asset, AssetKind, ChainName, Family, TxId};
use paywatch_testkit::other_solana_addresses;

/// The account of the phrase of CIP-19 at `m/1852'/1815'/0'`, whose first child is published there.
pub(crate) const PUBLISHED: &str = "acct_xvk1eame4ge0x5yrwpuqs5eyw89kfmjpgfkfh02xzdx6c2k9k2swcr5clf0u634tm82x6nv2j750x3j7938g70ya4k0lv6pr59s7etw2vpqgfmule";
/// The account `m/44'/501'/0'` of the phrase `abandon … about`.
pub(crate) const ACCOUNT: &str = "acct_xvk1qw4wfnu24pgkffqmrqad7e0rg3uzjhytk5uln00upw2xgs3quw4z45gdgaczvgaema9vd0jp6kw60s7q9jx7dcmthds4ckxw8asthegh0kvkq";
/// A wallet's address.
pub(crate) const WALLET: &str = "mvines9iiHiQTysrwkJjGf2gb9Ex9jXJX8ns3qwf2kN";

pub(crate) fn chain(name: &str) -> ChainName {
    name.parse().unwrap()
}

pub(crate) fn derivation() -> SolanaDerivation {
    SolanaDerivation::new([chain("solana"), chain("solana-devnet")])
}

/// The vector `addr_vk1w0l2sr2zgfm26ztc6nl9xy8ghsk5sh6ldwemlpmp9xylzy4dtf7st80zhd`, in hexadecimal, of
/// <https://github.com/cardano-foundation/CIPs/tree/master/CIP-0019#test-vectors>.
#[test]
fn the_first_address_is_the_published_key() -> Result<()> {
    let derivation = derivation();
    assert_eq!(derivation.family(), Family::Solana);
    let published = "73fea80d424276ad0978d4fe5310e8bc2d485f5f6bb3bf87612989f112ad5a7d";
    for text in [
        PUBLISHED.to_owned(),
        format!("  {PUBLISHED}\n"),
        PUBLISHED.to_uppercase(),
    ] {
        let key = derivation.parse(&text, false)?;
        assert_eq!(key.kind, "ed25519_xpub");
        assert_eq!(key.canonical, PUBLISHED);
        assert_eq!(derivation.parse(&key.canonical, true)?, key);
        for name in ["solana", "solana-devnet"] {
            let derived = derivation.derive(&key.canonical, 0, &chain(name))?;
            let bytes = parse_address(&derived.address)?;
            let digits = hex::encode(bytes);
            assert_eq!(digits, published);
            assert_eq!(derived.key, derived.address.as_bytes());
            assert_eq!(derived.path, format!("{}/0/0", key.fingerprint));
        }
        assert_eq!(
            derivation.siblings(&key.canonical, 0, &chain("solana")),
            Ok(Vec::new())
        );
    }
    Ok(())
}

#[tokio::test]
async fn another_implementation_derives_the_same_addresses() -> Result<()> {
    let spread = (0..500).map(|step| 0x7fff_ffff - step * 4_294_967);
    let indexes: Vec<u32> = (0..500).chain(spread).collect();
    let derivation = derivation();
    for key in [ACCOUNT, PUBLISHED] {
        let theirs = other_solana_addresses(key, &indexes).await?;
        assert_eq!(theirs.len(), 1000);
        let canonical = derivation.parse(key, false)?.canonical;
        for (index, theirs) in indexes.iter().zip(&theirs) {
            let ours = derivation.derive(&canonical, *index, &chain("solana"))?;
            assert_eq!(ours.address, *theirs, "{index}");
        }
    }
    Ok(())
}

#[test]
fn keys_are_told_apart_and_known_again() -> Result<()> {
    let derivation = derivation();
    let one = derivation.parse(ACCOUNT, false)?;
    let other = derivation.parse(PUBLISHED, false)?;
    assert_ne!(one.node, other.node);
    assert_ne!(one.fingerprint, other.fingerprint);
    let solana = chain("solana");
    assert!(derivation.is_same(&one.canonical, &one.canonical, &solana)?);
    assert!(!derivation.is_same(&one.canonical, &other.canonical, &solana)?);
    Ok(())
}

#[test]
fn addresses_are_points_that_a_key_can_have() {
    let system = "11111111111111111111111111111111";
    let cases = [
        (WALLET, None),
        ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", None),
        (system, Some(AddressError::OffCurve)),
        ("", Some(AddressError::Malformed)),
        (&system[1..], Some(AddressError::Malformed)),
        (&format!("{WALLET}1"), Some(AddressError::Malformed)),
        (&WALLET.replace('m', "0"), Some(AddressError::Malformed)),
        (&format!(" {WALLET}"), Some(AddressError::Malformed)),
    ];
    for (text, error) in cases {
        assert_eq!(parse_address(text).err(), error, "{text}");
        if let Ok(bytes) = parse_bytes(text) {
            assert_eq!(address_text(&bytes), text);
        }
    }
    let off_curve = address_text(&off_curve());
    assert_eq!(parse_address(&off_curve), Err(AddressError::OffCurve));
}

/// 32 bytes that are no point of the curve.
pub(crate) fn off_curve() -> [u8; 32] {
    let candidates = (2..=255_u8).map(|byte| {
        let mut bytes = [0; 32];
        bytes[0] = byte;
        bytes
    });
    let mut off = candidates.filter(|bytes| parse_address(&address_text(bytes)).is_err());
    off.next().unwrap()
}

pub(crate) fn asset(name: &str, kind: AssetKind, decimals: u8) -> Asset {
    Asset {
        name: name.parse().unwrap(),
        kind,
        decimals,
        dust: Amount::ZERO,
        caip19: "".into(),
    }
}

#[test]
fn transaction_ids_are_signatures() {
    let derivation = derivation();
    let signature =
        "5MaiiCavjCmn9Hs1o3eznqDEhRwxo7pXiAYez7keQUviUkauRiTMD8DrESdrNjN8zd9mTmVhRvBJeg5vhyvgrAhG";
    assert_eq!(
        derivation.transaction_id(signature),
        Some(TxId::new(signature))
    );
    for text in ["", WALLET, "0xabcd", &signature[..60]] {
        assert_eq!(derivation.transaction_id(text), None, "{text}");
    }
}
