//! Published vectors, and another implementation in another language.

use anyhow::Result;
use paywatch_chain::Derivation;
use paywatch_chain_evm::EvmDerivation;
use paywatch_chain_evm::address::{AddressError, address_text, parse_address};
use paywatch_domain::{Amount, Asset, AssetKind, ChainName, Family, TxId};
use paywatch_testkit::other_evm_addresses;

/// `m/44'/60'/0'` of the phrase `test … junk` that development nodes use, and its receiving branch.
pub(crate) const ACCOUNT: &str = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
pub(crate) const RECEIVING: &str = "xpub6DyUKdwoLWmUJ4Tn9Bbsdtx7B5Ws18mEN19e5HT52ikE53FiUheSQXrZUNPovqfyKmw4579A1Mm3GXXKM39N64uooBfJ4tNAzFsEbodRTx4";

pub(crate) fn chain(name: &str) -> ChainName {
    name.parse().unwrap()
}

pub(crate) fn derivation() -> EvmDerivation {
    EvmDerivation::new([(chain("ethereum"), 1), (chain("base"), 8453)])
}

#[test]
fn the_first_addresses_are_those_that_development_nodes_publish() {
    let derivation = derivation();
    assert_eq!(derivation.family(), Family::Evm);
    for text in [
        ACCOUNT.to_owned(),
        RECEIVING.to_owned(),
        format!("  {ACCOUNT}/0/*\n"),
        format!("{RECEIVING}/*"),
    ] {
        let key = derivation.parse(&text, false).unwrap();
        assert_eq!(
            derivation.parse(&key.canonical, true).unwrap(),
            key,
            "{text}"
        );
        for (index, expected) in [
            (0, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            (1, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        ] {
            for name in ["ethereum", "base"] {
                let derived = derivation
                    .derive(&key.canonical, index, &chain(name))
                    .unwrap();
                assert_eq!(derived.address, expected, "{text}");
                assert_eq!(derived.key, parse_address(expected).unwrap().to_vec());
            }
        }
        let siblings = derivation.siblings(&key.canonical, 0, &chain("ethereum"));
        assert_eq!(siblings, Ok(Vec::new()));
    }
}

#[test]
fn both_forms_of_a_key_share_their_counter() {
    let derivation = derivation();
    let account = derivation.parse(ACCOUNT, false).unwrap();
    let receiving = derivation.parse(RECEIVING, false).unwrap();
    assert_eq!(account.node, receiving.node);
    assert_ne!(account.canonical, receiving.canonical);
    let path = |canonical: &str| {
        let derived = derivation.derive(canonical, 7, &chain("base"));
        derived.unwrap().path
    };
    assert_eq!(path(&account.canonical), "m/44h/60h/0h/0/7");
    assert_eq!(
        path(&receiving.canonical),
        format!("{}/7", receiving.fingerprint)
    );
}

#[tokio::test]
async fn ethers_derives_the_same_addresses() -> Result<()> {
    let spread = (0..500).map(|step| 0x7fff_ffff - step * 4_294_967);
    let indexes: Vec<u32> = (0..500).chain(spread).collect();
    let theirs = other_evm_addresses(RECEIVING, &indexes).await?;
    assert_eq!(theirs.len(), 1000);
    let derivation = derivation();
    for key in [ACCOUNT, RECEIVING] {
        let canonical = derivation.parse(key, false)?.canonical;
        for (index, theirs) in indexes.iter().zip(&theirs) {
            let ours = derivation.derive(&canonical, *index, &chain("ethereum"))?;
            assert_eq!(ours.address, *theirs, "{index}");
        }
    }
    Ok(())
}

/// The list of ERC-55.
#[test]
fn checksums_are_those_of_the_standard() {
    for text in [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ] {
        let address = parse_address(text).unwrap();
        assert_eq!(address_text(address), text);
        let digits = text.strip_prefix("0x").unwrap();
        for same in [digits.to_lowercase(), digits.to_uppercase()] {
            assert_eq!(parse_address(&format!("0x{same}")), Ok(address));
        }
    }
}

#[test]
fn what_is_no_address_is_refused() {
    let right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    // One letter of another size, and one digit that is wrong.
    for text in [
        "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee",
    ] {
        assert_eq!(parse_address(text), Err(AddressError::Checksum), "{text}");
    }
    let capital = right.replacen("0x", "0X", 1);
    for text in [
        "",
        "0x",
        right.strip_prefix("0x").unwrap(),
        right.get(..41).unwrap(),
        &format!("{right}0"),
        &format!(" {right}"),
        &capital,
        "0xgaAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    ] {
        assert_eq!(parse_address(text), Err(AddressError::Malformed), "{text}");
    }
}

#[test]
fn payment_uris_name_chain_and_exact_amount() {
    let to = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let asset = |name: &str, kind, decimals| Asset {
        name: name.parse().unwrap(),
        kind,
        decimals,
        dust: Amount::ZERO,
        caip19: "".into(),
    };
    let usdc = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
    let eth = asset("eth@ethereum", AssetKind::Native, 18);
    let token = asset("usdc@base", AssetKind::Token(usdc.into()), 6);
    let elsewhere = asset("eth@arbitrum", AssetKind::Native, 18);
    let cases = [
        (
            &eth,
            "1.000000000000000001",
            format!("ethereum:{to}@1?value=1000000000000000001"),
        ),
        (
            &token,
            "12.34",
            format!("ethereum:{usdc}@8453/transfer?address={to}&uint256=12340000"),
        ),
        (&elsewhere, "1", to.to_owned()),
    ];
    for (asset, amount, expected) in cases {
        let amount = Amount::parse(amount, asset.decimals).unwrap();
        assert_eq!(derivation().payment_uri(asset, to, amount), expected);
    }
}

#[test]
fn transaction_ids_are_hashes_in_small_letters() {
    let derivation = derivation();
    let hash = format!("0x{}", "aB".repeat(32));
    let id = derivation.transaction_id(&hash);
    assert_eq!(id, Some(TxId::new(&hash.to_lowercase())));
    for text in [
        "",
        "0x",
        "0xzz",
        hash.get(..65).unwrap(),
        hash.get(2..).unwrap(),
    ] {
        assert_eq!(derivation.transaction_id(text), None, "{text}");
    }
}
