//! Every kind of key material that is refused, with its code and what the merchant reads.

use paywatch_chain::Derivation;

use crate::derivation::{TPUB, XPUB, XPUB_44, YPUB, ZPUB, derivation};

const XPRV: &str = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
const WIF: &str = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1";

/// Changes one character in the middle of a text.
fn mistyped(text: &str) -> String {
    let (before, after) = text.split_at(60);
    let mut letters = after.chars();
    let changed = if letters.next() == Some('7') {
        '8'
    } else {
        '7'
    };
    format!("{before}{changed}{}", letters.as_str())
}

/// One line per refusal: what is given, the code, words that the message must have.
#[test]
fn refusals() {
    let phrase = "abandon ".repeat(11) + "about";
    let descriptor = format!("wpkh({XPUB}/0/*)");
    let good = derivation().parse(&descriptor, false).unwrap().canonical;
    let (_, checksum) = good.split_once('#').unwrap();
    let with = |body: &str| body.replace("KEY", XPUB);
    let table = [
        (
            XPRV.to_owned(),
            "private_key_refused",
            "an extended private key",
        ),
        (
            mistyped(XPRV),
            "private_key_refused",
            "an extended private key",
        ),
        (
            format!("wpkh({XPRV}/0/*)"),
            "private_key_refused",
            "an extended private key",
        ),
        (
            format!("wpkh([73c5da0a/84h/0h/0h]{XPRV}/0/*)#{checksum}"),
            "private_key_refused",
            "never",
        ),
        (
            WIF.to_owned(),
            "private_key_refused",
            "wallet import format",
        ),
        (
            format!("wpkh({WIF})"),
            "private_key_refused",
            "wallet import format",
        ),
        (phrase.clone(), "private_key_refused", "a seed phrase"),
        ("0f".repeat(32), "private_key_refused", "hexadecimal"),
        (
            TPUB.to_owned(),
            "key_wrong_network",
            "for a test network (tpub) and the chain is the main",
        ),
        (mistyped(XPUB), "key_checksum", "in the xpub"),
        (mistyped(ZPUB), "key_checksum", "in the zpub"),
        (
            format!("{descriptor}#qqqqqqqq"),
            "key_checksum",
            "behind the #",
        ),
        (
            format!("{}#{checksum}", with("wpkh(KEY/1/*)")),
            "key_checksum",
            "behind the #",
        ),
        (format!("{descriptor}#"), "key_checksum", "behind the #"),
        (with("wpkh(KEY/0h/*)"), "key_hardened_step", "(0h)"),
        (with("wpkh(KEY/0'/*)"), "key_hardened_step", "(0h)"),
        (with("wpkh(KEY/0/*h)"), "key_hardened_step", "(*h)"),
        (with("wpkh(KEY/<0;1h>/*)"), "key_hardened_step", "(1h)"),
        (with("wpkh(KEY/<0>/*)"), "key_malformed", "like <0;1>"),
        (with("wpkh(KEY/<0;0>/*)"), "key_malformed", "like <0;1>"),
        (with("wpkh(KEY/<0;1/*)"), "key_malformed", "like <0;1>"),
        (with("wpkh(KEY/<;1>/*)"), "key_malformed", "not like /0/*"),
        (
            with("wpkh(KEY/<0;1>/<2;3>/*)"),
            "key_malformed",
            "at one step only",
        ),
        (
            with("tr(KEY/0/*,{pk(KEY/0/*),pk(KEY/0/*)})"),
            "key_unsupported",
            "give tr(KEY/0/*)",
        ),
        (
            with("tr(KEY/0/*,KEY/0/*)"),
            "key_unsupported",
            "give tr(KEY/0/*) with one key",
        ),
        (
            with("sh(pkh(KEY/0/*))"),
            "key_unsupported",
            "sh(wpkh(KEY/0/*))",
        ),
        (
            with("combo(KEY/0/*)"),
            "key_unsupported",
            "give wpkh(KEY/0/*)",
        ),
        (
            with("wsh(multi(1,KEY/0/*))"),
            "key_unsupported",
            "give wsh(sortedmulti(",
        ),
        (
            with("sh(wsh(sortedmulti(1,KEY/0/*)))"),
            "key_unsupported",
            "give wsh(sortedmulti(",
        ),
        (
            with("wsh(pk(KEY/0/*))"),
            "key_unsupported",
            "of its own kind",
        ),
        (
            with("wsh(sortedmulti(2,KEY/0/*))"),
            "key_malformed",
            "at most the number of keys",
        ),
        (
            with("wsh(sortedmulti(0,KEY/0/*))"),
            "key_malformed",
            "at least 1",
        ),
        (with("wsh(sortedmulti(1))"), "key_malformed", "at least 1"),
        (
            with("wsh(sortedmulti(+1,KEY/0/*))"),
            "key_malformed",
            "begins with how many",
        ),
        (
            with("wsh(sortedmulti(KEY/0/*,KEY/0/*))"),
            "key_malformed",
            "begins with how many",
        ),
        (
            with("wsh(sortedmulti(1,KEY/0/*,KEY/0/*))"),
            "key_malformed",
            "occurs twice",
        ),
        (
            with("wsh(sortedmulti(1,KEY/0/*,KEY/1/*))"),
            "key_malformed",
            "occurs twice",
        ),
        (
            format!("wsh(sortedmulti(1,{XPUB}/0/*,{XPUB_44}/0/0/*))"),
            "key_malformed",
            "the same number of steps",
        ),
        (
            format!("wsh(sortedmulti(1,{XPUB}/<0;1>/*,{XPUB_44}/<0;1;2>/*))"),
            "key_malformed",
            "the same number of them",
        ),
        (
            format!("wsh(sortedmulti(1{}))", format!(",{XPUB}/0/*").repeat(21)),
            "key_malformed",
            "at most 20",
        ),
        (
            format!("wsh(sortedmulti(1,{XPUB}/0/*,{TPUB}/0/*))"),
            "key_wrong_network",
            "for a test network (tpub)",
        ),
        (
            format!("wsh(sortedmulti(2,{XPUB}/0/*,{XPRV}/0/*))"),
            "private_key_refused",
            "an extended private key",
        ),
        (
            format!("tr({WIF})"),
            "private_key_refused",
            "wallet import format",
        ),
        (
            format!("wsh(sortedmulti(2,{XPUB}/0/*,{phrase}))"),
            "private_key_refused",
            "a seed phrase",
        ),
        (
            format!("tr({ZPUB}/0/*)"),
            "key_unsupported",
            "give wpkh(zpub) or a plain xpub",
        ),
        (
            format!("pkh({YPUB}/0/*)"),
            "key_unsupported",
            "give sh(wpkh(ypub)) or a plain xpub",
        ),
        (with("wpkh(KEY/0)"), "key_unsupported", "one fixed address"),
        (with("wpkh(KEY)"), "key_unsupported", "one fixed address"),
        (with("KEY/0/*"), "key_unsupported", "needs a descriptor"),
        (
            format!("wpkh({YPUB}/0/*)"),
            "key_unsupported",
            "a ypub inside of wpkh",
        ),
        (
            format!("sh(wpkh({ZPUB}/0/*))"),
            "key_unsupported",
            "give wpkh(zpub)",
        ),
        (
            with("wpkh([73c5da0a/84h/0h]KEY/0/*)"),
            "key_malformed",
            "does not lead to this key",
        ),
        (
            with("wpkh([73c5da0a/84h/0h/1h]KEY/0/*)"),
            "key_malformed",
            "does not lead to this key",
        ),
        (
            with("wpkh([73c5da/84h/0h/0h]KEY/0/*)"),
            "key_malformed",
            "square brackets",
        ),
        (
            with("wpkh([73c5da0aKEY/0/*)"),
            "key_malformed",
            "square brackets",
        ),
        (
            with("wpkh(KEY/2147483648/*)"),
            "key_malformed",
            "not like /0/*",
        ),
        (with("wpkh(KEY//*)"), "key_malformed", "not like /0/*"),
        (
            with("wpkh(KEY/0/*"),
            "key_malformed",
            "brackets of the descriptor",
        ),
        (
            with("spend(KEY/0/*)"),
            "key_malformed",
            "brackets of the descriptor",
        ),
        (XPUB.replace('A', "0"), "key_malformed", "does not occur"),
        (
            XPUB.get(..90).unwrap().to_owned(),
            "key_checksum",
            "in the xpub",
        ),
        (
            "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu".to_owned(),
            "key_malformed",
            "give an extended",
        ),
        (String::new(), "key_malformed", "give an extended"),
        ("x".repeat(5_000), "key_malformed", "longer than"),
    ];
    let derivation = derivation();
    for (text, code, words) in table {
        let error = derivation.parse(&text, false).unwrap_err();
        let message = error.to_string();
        assert_eq!(error.code(), code, "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
        for part in text.split(|letter: char| !letter.is_ascii_alphanumeric()) {
            assert!(
                part.len() < 12 || !message.contains(part),
                "echoed: {message}"
            );
        }
    }
    let wrong = derivation.parse(ZPUB, true).unwrap_err().to_string();
    let expected = "the key is for the main network (zpub) and the chain is a test network";
    assert_eq!(wrong, expected);
}

/// Multisig keys of SLIP-132 are recognised and refused, whatever their prefix promises.
#[test]
fn multisig_keys_are_refused() {
    // The key of XPUB with the versions of Ypub, Zpub (main) and Upub, Vpub (test).
    for (version, prefix, test) in [
        (0x0295_b43f_u32, "Ypub", false),
        (0x02aa_7ed3, "Zpub", false),
        (0x0242_89ef, "Upub", true),
        (0x0257_5483, "Vpub", true),
    ] {
        let text = reversioned(XPUB, version);
        assert!(text.starts_with(prefix), "{text}");
        let error = derivation().parse(&text, test).unwrap_err();
        assert_eq!(error.code(), "key_unsupported");
        let said = error.to_string();
        assert!(said.contains("several signers"), "{said}");
        assert!(
            said.contains("wsh(sortedmulti(2,KEY/0/*,KEY/0/*))"),
            "{said}"
        );
        // Inside of the function that they are made for they are keys like others.
        let (one, other) = (reversioned(XPUB, version), reversioned(XPUB_44, version));
        let inside = format!("wsh(sortedmulti(1,{one}/0/*,{other}/0/*))");
        let inside = derivation().parse(&inside, test);
        if prefix.starts_with(['Z', 'V']) {
            let plain = inside.unwrap().canonical;
            assert!(
                plain.contains(if test { "tpub" } else { "xpub" }),
                "{plain}"
            );
        } else {
            let said = inside.unwrap_err().to_string();
            assert!(said.contains("give the plain keys"), "{said}");
        }
    }
}

/// The test forms of SLIP-132 are the plain key with other version bytes.
#[test]
fn upub_and_vpub_are_read_on_test_networks() {
    let derivation = derivation();
    for (version, prefix, function) in [
        (0x044a_5262, "upub", "sh(wpkh(tpub"),
        (0x045f_1cf6, "vpub", "wpkh(tpub"),
    ] {
        let text = reversioned(TPUB, version);
        assert!(text.starts_with(prefix), "{text}");
        let key = derivation.parse(&text, true).unwrap();
        assert_eq!(key.kind, prefix);
        assert!(key.canonical.starts_with(function), "{}", key.canonical);
        assert!(key.canonical.contains(TPUB), "{}", key.canonical);
        assert_eq!(
            derivation.parse(&text, false).unwrap_err().code(),
            "key_wrong_network"
        );
    }
}

fn reversioned(text: &str, version: u32) -> String {
    let mut bytes = bitcoin::base58::decode_check(text).unwrap();
    bytes.splice(..4, version.to_be_bytes());
    bitcoin::base58::encode_check(&bytes)
}
