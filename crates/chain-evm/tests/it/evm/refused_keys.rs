//! Keys that are refused, each with what to do.

use paywatch_chain::Derivation;

use super::addresses::{ACCOUNT, RECEIVING, chain, derivation};

#[test]
fn other_keys_are_refused_with_what_to_give_instead() {
    let xprv = "xprv9yeny6n2dNUokQFykGoZU6BDLeKbEBUoBeCFe2VF6MXdrHrprMYRc4tddncDRxrJCy7GtPDk68zRcgWtGFveqdCV5NyhZwVgMoZVbTm78vx";
    let hex_key = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let phrase = format!("{}junk", "test ".repeat(11));
    let root = "xpub661MyMwAqRbcGCHqYL6cunEAC4sjobr4oEsADYNVSpvM1oCFfV98EVtMuHVmKomD5EWqhYwUPCkQdrti7hUGbmxaoTGLSkzhtBmR5tk9Jtu";
    let change = "xpub6DyUKdwoLWmULdVhXToyc8rVwMHsLwaGTg4etxktVXbiNkbmbtvHi4GwUZ691ucz6K2EsD88AJ8DcRXayRd5Xy7F1xVszQ1rYvrSwudXXFv";
    let leaf = "xpub6GJwaADoeFMvX8WJvWaNc9SGyGk5WNu1ot6qKxQxEuBpFy2LoHbetz41PgEcEg4n2bk3hWoHYJ69EqkjpoSv9KrinCnZV6y4Xo6VJZ6KHWT";
    let zpub = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";
    let tpub = "tpubDD7tXK8KeQ3YY83yWq755fHY2JW8Ha8Q765tknUM5rSvjPcGWfUppDFMpQ1ScziKfW3ZNtZvAD7M3u7bSs7HofjTD3KP3YxPK7X6hwV8Rk2";
    let wrong = ACCOUNT.replacen("xpub6Ce9", "xpub6Ce8", 1);
    let cases: [(&str, &str, &str); 19] = [
        (xprv, "private_key_refused", "extended private key"),
        (
            &format!("{xprv}/0/*"),
            "private_key_refused",
            "extended private key",
        ),
        (hex_key, "private_key_refused", "hexadecimal"),
        (
            hex_key.get(2..).unwrap(),
            "private_key_refused",
            "hexadecimal",
        ),
        (&phrase, "private_key_refused", "seed phrase"),
        (root, "key_unsupported", "root of a wallet"),
        (change, "key_unsupported", "receiving"),
        (leaf, "key_unsupported", "one address"),
        (zpub, "key_unsupported", "made for Bitcoin"),
        (tpub, "key_unsupported", "test networks"),
        (
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "key_unsupported",
            "an address",
        ),
        (
            &format!("wpkh({ACCOUNT}/0/*)"),
            "key_unsupported",
            "descriptor",
        ),
        (
            &format!("{ACCOUNT}/1/*"),
            "key_unsupported",
            "leave the path away",
        ),
        (
            &format!("{RECEIVING}/0/*"),
            "key_unsupported",
            "leave the path away",
        ),
        (
            &format!("{ACCOUNT}/0/*h"),
            "key_hardened_step",
            "cannot be derived",
        ),
        (&wrong, "key_checksum", "does not fit"),
        ("", "key_malformed", "m/44'/60'/0'"),
        ("please", "key_malformed", "m/44'/60'/0'"),
        (&"x".repeat(20_000), "key_malformed", "longer than"),
    ];
    for (text, code, words) in cases {
        for test in [false, true] {
            let error = derivation().parse(text, test).unwrap_err();
            assert_eq!(error.code(), code, "{text}: {error}");
            let said = error.to_string();
            assert!(said.contains(words), "{text}: {said}");
            assert!(code != "private_key_refused" || !said.contains(text.trim()));
        }
    }
    let canonical = derivation().parse(ACCOUNT, false).unwrap().canonical;
    let beyond = derivation().derive(&canonical, 0x8000_0000, &chain("base"));
    assert_eq!(beyond.unwrap_err().code(), "key_index_exhausted");
    let unknown = derivation().derive(&canonical, 0, &chain("bitcoin"));
    assert_eq!(unknown.unwrap_err().code(), "key_unsupported");
}
