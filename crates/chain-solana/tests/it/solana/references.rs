//! One wallet with a reference for each invoice, and payment URIs as payers' wallets read them.

use std::collections::BTreeSet;

use anyhow::Result;
use paywatch_chain::{Derivation, KeyError};
use paywatch_chain_solana::address::parse_bytes;
use paywatch_domain::{Amount, AssetKind, Entropy};
use paywatch_testkit::read_solana_pay;
use serde_json::json;

use super::addresses::{ACCOUNT, WALLET, asset, chain, derivation};

/// 32 bytes that look drawn.
pub(crate) const SALT: [u8; 32] = [
    0x1f, 0xa2, 0x07, 0xc4, 0x90, 0x3b, 0xee, 0x58, 0x61, 0xd3, 0x0c, 0xb9, 0x74, 0x2e, 0xf5, 0x86,
    0x13, 0xad, 0x4b, 0xd8, 0x6f, 0x92, 0x35, 0xe1, 0x80, 0x5c, 0xf9, 0x27, 0xb0, 0x4d, 0x6a, 0xce,
];

/// Draws these bytes.
pub(crate) struct Drawn(pub(crate) [u8; 32]);

impl Entropy for Drawn {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0);
    }
}

#[test]
fn an_address_alone_gets_a_salt_and_each_index_its_own_reference() -> Result<()> {
    let derivation = derivation();
    let text = derivation.completed(&format!(" {WALLET}\n"), &mut Drawn(SALT));
    let key = derivation.parse(&text, false)?;
    assert_eq!(key.kind, "solana_pay");
    assert_eq!(derivation.parse(&key.canonical, false)?, key);
    assert_eq!(
        derivation.completed(&key.canonical, &mut Drawn([9; 32])),
        key.canonical,
        "a salt is kept"
    );
    let solana = chain("solana");
    let mut references = BTreeSet::new();
    for index in [0, 1, 2, 255, 256, 0x7fff_ffff, u32::MAX] {
        let derived = derivation.derive(&key.canonical, index, &solana)?;
        let (recipient, reference) = derived.address.split_once("?reference=").unwrap();
        assert_eq!(recipient, WALLET);
        assert!(parse_bytes(reference).is_ok(), "{reference}");
        assert_eq!(derived.key, format!("{WALLET}/{reference}").into_bytes());
        assert_eq!(derived.path, format!("reference/{index}"));
        assert!(!derived.address.contains(&key.canonical));
        assert!(references.insert(reference.to_owned()));
    }
    Ok(())
}

#[test]
fn one_wallet_is_one_whatever_its_salt() -> Result<()> {
    let derivation = derivation();
    let mut other_salt = SALT;
    other_salt.reverse();
    let [one, other] = [SALT, other_salt].map(|salt| {
        let text = derivation.completed(WALLET, &mut Drawn(salt));
        derivation.parse(&text, false).unwrap()
    });
    assert_ne!(one.canonical, other.canonical);
    assert_eq!(one.node, other.node, "so that another merchant is refused");
    let solana = chain("solana");
    assert!(derivation.is_same(&one.canonical, &other.canonical, &solana)?);
    assert!(!derivation.is_same(&one.canonical, ACCOUNT, &solana)?);
    let first = |key: &str| derivation.derive(key, 0, &solana).unwrap().address;
    assert_ne!(first(&one.canonical), first(&other.canonical));
    Ok(())
}

#[test]
fn a_salt_that_can_be_guessed_is_refused() {
    let derivation = derivation();
    let counted: Vec<u8> = (0..32).collect();
    let down: Vec<u8> = (0..32).map(|step| 200_u8.wrapping_sub(step * 7)).collect();
    let two: Vec<u8> = [0xab, 0xcd].repeat(8);
    let cases: [(&str, Vec<u8>); 9] = [
        ("16 to 32 bytes", SALT[..15].to_vec()),
        ("16 to 32 bytes", [&SALT[..], &[1]].concat()),
        ("not random", vec![7; 16]),
        ("not random", vec![0; 32]),
        ("not random", counted),
        ("not random", down),
        ("not random", two),
        ("not random", b"our shop's salt!".to_vec()),
        ("not random", parse_bytes(WALLET).unwrap().to_vec()),
    ];
    for (words, salt) in cases {
        let text = format!("{WALLET}?salt={}", base58ck::encode(&salt));
        let error = derivation.parse(&text, false).unwrap_err();
        assert_eq!(error.code(), "key_guessable", "{salt:?}: {error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let shortest = format!("{WALLET}?salt={}", base58ck::encode(&SALT[..16]));
    assert!(derivation.parse(&shortest, false).is_ok());
    let none = derivation.parse(WALLET, false).unwrap_err();
    assert!(matches!(none, KeyError::Guessable { .. }), "{none}");
}

#[tokio::test]
async fn payment_uris_say_what_solana_pay_reads() -> Result<()> {
    let derivation = derivation();
    let mint = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
    let sol = asset("sol@solana", AssetKind::Native, 9);
    let usdc = asset("usdc@solana", AssetKind::Token(mint.into()), 6);
    let text = derivation.completed(WALLET, &mut Drawn(SALT));
    let pay = derivation.parse(&text, false)?.canonical;
    let solana = chain("solana");
    let derived = derivation.derive(ACCOUNT, 3, &solana)?.address;
    let pooled = derivation.pooled(WALLET, 0, &solana)?.address;
    let paid = derivation.derive(&pay, 5, &solana)?.address;
    let reference = paid.split_once("?reference=").unwrap().1;
    let cases = [
        (
            &sol,
            &derived,
            "0.000000001",
            format!("solana:{derived}?amount=0.000000001"),
        ),
        (
            &sol,
            &pooled,
            "1.5",
            format!("solana:{WALLET}?amount=1.500000000"),
        ),
        (
            &usdc,
            &pooled,
            "12.34",
            format!("solana:{WALLET}?amount=12.340000&spl-token={mint}"),
        ),
        (
            &sol,
            &paid,
            "20",
            format!("solana:{WALLET}?amount=20.000000000&reference={reference}"),
        ),
        (
            &usdc,
            &paid,
            "123456.789012",
            format!("solana:{WALLET}?amount=123456.789012&spl-token={mint}&reference={reference}"),
        ),
    ];
    let mut uris = Vec::new();
    for (asset, address, amount, expected) in &cases {
        let amount = Amount::parse(amount, asset.decimals)?;
        let uri = derivation.payment_uri(asset, address, amount);
        assert_eq!(uri, *expected);
        uris.push(uri);
    }
    let read = read_solana_pay(&uris).await?;
    for ((asset, address, amount, _), read) in cases.iter().zip(&read) {
        let amount: f64 = amount.parse()?;
        let (recipient, reference) = match address.split_once("?reference=") {
            Some((recipient, reference)) => (recipient, Some(json!([reference]))),
            None => (address.as_str(), None),
        };
        assert_eq!(read["recipient"], recipient);
        assert_eq!(read["amount"].as_f64(), Some(amount));
        assert_eq!(read.get("reference"), reference.as_ref());
        let mint = (asset.kind != AssetKind::Native).then(|| json!(mint));
        assert_eq!(read.get("splToken"), mint.as_ref());
    }
    Ok(())
}
