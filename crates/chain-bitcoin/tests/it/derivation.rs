//! Published vectors, and the `bitcoin` crate as a second implementation.

use std::str::FromStr;

use bitcoin::bip32::{ChildNumber, Xpub};
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Address, CompressedPublicKey, KnownHrp};
use paywatch_chain::{Derivation, KeyError, Sibling};
use paywatch_chain_bitcoin::{BitcoinDerivation, Network};
use paywatch_domain::{Amount, Asset, AssetKind, ChainName, Family};

/// `m/84h/0h/0h` of the phrase `abandon … about` (BIP84), as zpub and as xpub.
pub(crate) const ZPUB: &str = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";
pub(crate) const XPUB: &str = "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V";
/// `m/49h/0h/0h` of the same phrase (SLIP-132).
pub(crate) const YPUB: &str = "ypub6Ww3ibxVfGzLrAH1PNcjyAWenMTbbAosGNB6VvmSEgytSER9azLDWCxoJwW7Ke7icmizBMXrzBx9979FfaHxHcrArf3zbeJJJUZPf663zsP";
/// `m/49h/1h/0h` of the same phrase (BIP49).
pub(crate) const TPUB: &str = "tpubDD7tXK8KeQ3YY83yWq755fHY2JW8Ha8Q765tknUM5rSvjPcGWfUppDFMpQ1ScziKfW3ZNtZvAD7M3u7bSs7HofjTD3KP3YxPK7X6hwV8Rk2";

/// `m/44h/0h/0h` of the same phrase.
pub(crate) const XPUB_44: &str = "xpub6BosfCnifzxcFwrSzQiqu2DBVTshkCXacvNsWGYJVVhhawA7d4R5WSWGFNbi8Aw6ZRc1brxMyWMzG3DSSSSoekkudhUd9yLb6qx39T9nMdj";
/// `m/86h/0h/0h` of the same phrase (BIP86).
pub(crate) const XPUB_86: &str = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ";

pub(crate) fn chain(network: Network) -> ChainName {
    network.as_str().parse().unwrap()
}

pub(crate) fn derivation() -> BitcoinDerivation {
    BitcoinDerivation::new(Network::ALL.map(|network| (chain(network), network)))
}

fn address(text: &str, index: u32, network: Network) -> String {
    let derivation = derivation();
    let key = derivation.parse(text, network.is_test()).unwrap();
    let derived = derivation.derive(&key.canonical, index, &chain(network));
    derived.unwrap().address
}

#[test]
fn bip84_vectors() {
    for key in [ZPUB, XPUB] {
        let first = address(key, 0, Network::Mainnet);
        assert_eq!(first, "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu");
        let second = address(key, 1, Network::Mainnet);
        assert_eq!(second, "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g");
    }
    let change = format!("wpkh({XPUB}/1/*)");
    let change = address(&change, 0, Network::Mainnet);
    assert_eq!(change, "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el");
}

#[test]
fn bip49_and_slip132_vectors() {
    let first = address(YPUB, 0, Network::Mainnet);
    assert_eq!(first, "37VucYSaXLCAsxYyAPfbSi9eh4iEcbShgf");
    let descriptor = format!("sh(wpkh({TPUB}/0/*))");
    let first = address(&descriptor, 0, Network::Testnet3);
    assert_eq!(first, "2Mww8dCYPUpKHofjgcXcBCEGmniw9CoaiD2");
}

/// The account keys of the phrase `abandon … about` in the forms of BIP44 and BIP86: index, address.
#[test]
fn bip44_and_bip86_vectors() {
    let legacy = format!("pkh([73c5da0a/44h/0h/0h]{XPUB_44}/<0;1>/*)");
    let taproot = format!("tr({XPUB_86}/<0;1>/*)");
    let change = format!("tr({XPUB_86}/1/*)");
    for (text, index, expected) in [
        (&legacy, 0, "1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA"),
        (&legacy, 1, "1Ak8PffB2meyfYnbXZR9EGfLfFZVpzJvQP"),
        (
            &taproot,
            0,
            "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
        ),
        (
            &taproot,
            1,
            "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh",
        ),
        (
            &change,
            0,
            "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7",
        ),
    ] {
        assert_eq!(address(text, index, Network::Mainnet), expected, "{text}");
    }
}

/// The same account given in every form is one key with one counter and one canonical form.
#[test]
fn forms_of_one_key() {
    let derivation = derivation();
    let parse = |text: &str| derivation.parse(text, false).unwrap();
    let zpub = parse(ZPUB);
    assert_eq!(zpub.kind, "zpub");
    assert!(zpub.canonical.starts_with(&format!("wpkh({XPUB}/0/*)#")));
    let again = parse(&zpub.canonical);
    assert_eq!(again.kind, "descriptor");
    assert_eq!(again.canonical, zpub.canonical);
    let external = {
        let account = Xpub::from_str(XPUB).unwrap();
        let step = ChildNumber::from_normal_idx(0).unwrap();
        account.ckd_pub(&Secp256k1::new(), step).unwrap()
    };
    for text in [
        XPUB.to_owned(),
        format!("  {ZPUB}\n"),
        format!("[73c5da0a/84h/0h/0h]{XPUB}"),
        format!("wpkh([73C5DA0A/84'/0H/0h]{XPUB}/0/*)"),
        format!("wpkh({ZPUB}/0/*)"),
        format!("wpkh({external}/*)"),
        format!("wpkh({XPUB}/<0;1>/*)"),
        format!("tr({XPUB}/<0;1;2>/*)"),
        format!("pkh({external}/*)"),
    ] {
        let key = parse(&text);
        assert_eq!(key.node, zpub.node, "{text}");
        assert_eq!(parse(&key.canonical).canonical, key.canonical);
    }
    let with_origin = parse(&format!("wpkh([73c5da0a/84'/0'/0']{XPUB}/0/*)"));
    assert_eq!(with_origin.fingerprint, "73c5da0a");
    assert!(
        with_origin
            .canonical
            .starts_with("wpkh([73c5da0a/84h/0h/0h]xpub")
    );
    let xpub = Xpub::from_str(XPUB).unwrap();
    assert_eq!(zpub.fingerprint, xpub.fingerprint().to_string());
    assert_ne!(parse(&format!("wpkh({XPUB}/1/*)")).node, zpub.node);
    assert_ne!(parse(&format!("wpkh({XPUB}/<1;0>/*)")).node, zpub.node);
    let both = parse(&format!("wpkh({XPUB}/<0;1>/*)"));
    assert_eq!(both.canonical, zpub.canonical, "the receiving path alone");
    assert_ne!(parse(&format!("wpkh({XPUB}/*)")).node, zpub.node);
}

/// Texts of the same keys in another order or with other brackets are one wallet with one counter.
#[test]
fn forms_of_several_keys() {
    let derivation = derivation();
    let parse = |text: &str| derivation.parse(text, false).unwrap();
    let key = parse(&format!(
        "wsh(sortedmulti(2,{XPUB}/0/*,{XPUB_44}/0/*,{XPUB_86}/0/*))"
    ));
    assert_eq!(key.kind, "descriptor");
    assert_eq!(key.fingerprint, key.node[..8]);
    assert_eq!(parse(&key.canonical), key);
    for text in [
        format!("wsh(sortedmulti(2,{XPUB_86}/0/*,{XPUB}/0/*,{XPUB_44}/0/*))"),
        format!("wsh(sortedmulti(2,{XPUB}/<0;1>/*,{XPUB_44}/<0;1>/*,{XPUB_86}/<0;1>/*))"),
    ] {
        assert_eq!(parse(&text), key, "{text}");
    }
    let others = [
        format!("wsh(sortedmulti(3,{XPUB}/0/*,{XPUB_44}/0/*,{XPUB_86}/0/*))"),
        format!("wsh(sortedmulti(2,{XPUB},KEY/0/*,{XPUB_86}/0/*))").replace(
            &format!("{XPUB},KEY"),
            &format!("[73c5da0a/84h/0h/0h]{XPUB}/0/*,{XPUB_44}"),
        ),
    ];
    for text in others {
        assert_eq!(parse(&text).node, key.node, "{text}");
    }
    let fewer = parse(&format!("wsh(sortedmulti(2,{XPUB}/0/*,{XPUB_44}/0/*))"));
    assert_ne!(fewer.node, key.node);
    let single = parse(&format!("wsh(sortedmulti(1,{XPUB}/0/*))"));
    assert_ne!(single.node, parse(XPUB).node);
    let many: Vec<String> = (0..20)
        .map(|step| {
            let account = Xpub::from_str(XPUB).unwrap();
            let step = ChildNumber::from_normal_idx(step).unwrap();
            let key = account.ckd_pub(&Secp256k1::new(), step).unwrap();
            format!("[73c5da0a/84h/0h/0h/{step}]{key}/<0;1>/*")
        })
        .collect();
    let many = parse(&format!("wsh(sortedmulti(20,{}))", many.join(",")));
    let derived = derivation.derive(&many.canonical, 7, &chain(Network::Mainnet));
    assert!(derived.unwrap().path.starts_with("m/84h/0h/0h/0/0/7, "));
}

#[test]
fn paths_for_people() {
    let derivation = derivation();
    let path = |text: &str, network: Network| {
        let key = derivation.parse(text, network.is_test()).unwrap();
        let derived = derivation.derive(&key.canonical, 7, &chain(network));
        derived.unwrap().path
    };
    let root = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
    let deeper = "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV";
    let given = format!("wpkh([73c5da0a/44h/0h/0h]{XPUB}/0/*)");
    assert_eq!(path(ZPUB, Network::Mainnet), "m/84h/0h/0h/0/7");
    assert_eq!(path(YPUB, Network::Mainnet), "m/49h/0h/0h/0/7");
    assert_eq!(path(TPUB, Network::Regtest), "m/84h/1h/0h/0/7");
    assert_eq!(path(&given, Network::Mainnet), "m/44h/0h/0h/0/7");
    assert_eq!(path(root, Network::Mainnet), "m/0/7");
    let taproot = format!("tr({XPUB_86}/0/*)");
    assert_eq!(path(&taproot, Network::Mainnet), "m/86h/0h/0h/0/7");
    let legacy = format!("pkh({XPUB_44}/0/*)");
    assert_eq!(path(&legacy, Network::Mainnet), "m/44h/0h/0h/0/7");
    let several = format!(
        "wsh(sortedmulti(1,[73c5da0a/44h/0h/0h]{XPUB_44}/0/*,[73c5da0a/84h/0h/0h]{XPUB}/0/*))"
    );
    let each = "m/44h/0h/0h/0/7, m/84h/0h/0h/0/7";
    assert_eq!(path(&several, Network::Mainnet), each);
    let steps = format!("wpkh({deeper}/5/6/*)");
    let named = path(&steps, Network::Mainnet);
    assert!(named.ends_with("/5/6/7") && named.len() == 8 + 6, "{named}");
}

/// Two implementations of the curve, of BIP32 and of the addresses agree on 200 indexes.
#[test]
fn a_second_implementation_agrees() {
    let derivation = derivation();
    let secp = Secp256k1::new();
    for (text, network, hrp) in [
        (XPUB, Network::Mainnet, KnownHrp::Mainnet),
        (TPUB, Network::Regtest, KnownHrp::Regtest),
        (TPUB, Network::Signet, KnownHrp::Testnets),
    ] {
        let key = derivation.parse(text, network.is_test()).unwrap();
        let nested = derivation.parse(&format!("sh(wpkh({text}/0/*))"), network.is_test());
        let nested = nested.unwrap();
        let account = Xpub::from_str(text).unwrap();
        let normal = |index| ChildNumber::from_normal_idx(index).unwrap();
        for index in (0..100).chain((0..100).map(|step| 0x7fff_ffff - step * 21_474_836)) {
            let path = [normal(0), normal(index)];
            let child = account.derive_pub(&secp, &path).unwrap();
            let public_key = CompressedPublicKey(child.public_key);
            let ours = derivation.derive(&key.canonical, index, &chain(network));
            let ours = ours.unwrap();
            let theirs = Address::p2wpkh(&public_key, hrp);
            assert_eq!(ours.address, theirs.to_string(), "{index}");
            assert_eq!(ours.key, theirs.script_pubkey().into_bytes(), "{index}");
            let ours = derivation.derive(&nested.canonical, index, &chain(network));
            let mode = if network.is_test() {
                bitcoin::NetworkKind::Test
            } else {
                bitcoin::NetworkKind::Main
            };
            let theirs = Address::p2shwpkh(&public_key, mode);
            assert_eq!(ours.unwrap().address, theirs.to_string(), "{index}");
        }
    }
}

/// The siblings of an address are the other forms of its key, each as the `bitcoin` crate and the
/// wallet of that form show it.
#[test]
fn siblings_are_the_other_forms_of_the_key() {
    let derivation = derivation();
    let mainnet = chain(Network::Mainnet);
    let secp = Secp256k1::new();
    let account = Xpub::from_str(XPUB).unwrap();
    for index in [0, 7, 0x7fff_ffff] {
        let path = [0, index].map(|step| ChildNumber::from_normal_idx(step).unwrap());
        let child = account.derive_pub(&secp, &path).unwrap();
        let key = CompressedPublicKey(child.public_key);
        let main = bitcoin::NetworkKind::Main;
        let every = [
            ("p2pkh", Address::p2pkh(key, main)),
            ("p2wpkh", Address::p2wpkh(&key, KnownHrp::Mainnet)),
            ("p2sh-p2wpkh", Address::p2shwpkh(&key, main)),
            (
                "p2tr",
                Address::p2tr(&secp, key.0.x_only_public_key().0, None, KnownHrp::Mainnet),
            ),
        ];
        for (own, text) in [
            ("p2pkh", format!("pkh({XPUB}/0/*)")),
            ("p2wpkh", format!("wpkh({XPUB}/0/*)")),
            ("p2sh-p2wpkh", format!("sh(wpkh({XPUB}/0/*))")),
            ("p2tr", format!("tr({XPUB}/0/*)")),
        ] {
            let canonical = derivation.parse(&text, false).unwrap().canonical;
            let siblings = derivation.siblings(&canonical, index, &mainnet).unwrap();
            let expected: Vec<_> = every
                .iter()
                .filter(|(form, _)| *form != own)
                .map(|(form, address)| Sibling {
                    form,
                    address: address.to_string(),
                    key: address.script_pubkey().into_bytes(),
                })
                .collect();
            assert_eq!(siblings, expected, "{own} {index}");
        }
    }
    let several = format!("wsh(sortedmulti(2,{XPUB}/0/*,{XPUB_44}/0/*))");
    let own = derivation.derive(&several, 3, &mainnet).unwrap();
    let siblings = derivation.siblings(&several, 3, &mainnet).unwrap();
    let nested = bitcoin::ScriptBuf::from_bytes(own.key);
    let nested = Address::p2sh(&nested, bitcoin::NetworkKind::Main).unwrap();
    let expected = Sibling {
        form: "p2sh-p2wsh",
        address: nested.to_string(),
        key: nested.script_pubkey().into_bytes(),
    };
    assert_eq!(siblings, [expected]);
    let beyond = derivation.siblings(&format!("wpkh({XPUB}/0/*)"), 0x8000_0000, &mainnet);
    assert_eq!(beyond, Err(KeyError::Index { index: 0x8000_0000 }));
}

#[test]
fn what_cannot_be_derived() {
    let derivation = derivation();
    assert_eq!(derivation.family(), Family::Bitcoin);
    let key = derivation.parse(XPUB, false).unwrap();
    let last = derivation.derive(&key.canonical, 0x7fff_ffff, &chain(Network::Mainnet));
    assert!(last.is_ok());
    let beyond = derivation.derive(&key.canonical, 0x8000_0000, &chain(Network::Mainnet));
    assert_eq!(beyond, Err(KeyError::Index { index: 0x8000_0000 }));
    let elsewhere = derivation.derive(&key.canonical, 0, &chain(Network::Regtest));
    assert_eq!(elsewhere.unwrap_err().code(), "key_wrong_network");
    let unknown = derivation.derive(&key.canonical, 0, &"dogecoin".parse().unwrap());
    assert_eq!(unknown.unwrap_err().code(), "key_unsupported");
}

#[test]
fn payment_uris() {
    let asset = Asset {
        name: "btc@regtest".parse().unwrap(),
        kind: AssetKind::Native,
        decimals: 8,
        dust: Amount::ZERO,
        caip19: "".into(),
    };
    let uri = derivation().payment_uri(
        &asset,
        "bcrt1qcr8te4kr609gcawutmrza0j4xv80jy8zeqchgx",
        Amount::from_atomic(76_924),
    );
    let expected = "bitcoin:bcrt1qcr8te4kr609gcawutmrza0j4xv80jy8zeqchgx?amount=0.00076924";
    assert_eq!(uri, expected);
}
