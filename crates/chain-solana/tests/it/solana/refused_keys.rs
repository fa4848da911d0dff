//! Keys that are refused, each with what to do.

use paywatch_chain::Derivation;
use paywatch_chain_solana::address::address_text;

use super::addresses::{ACCOUNT, WALLET, chain, derivation, off_curve};

const XPUB: &str = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";

#[test]
fn a_private_key_in_any_form_is_refused() {
    let bytes: Vec<String> = (0..64_u32)
        .map(|number| (number * 37 % 256).to_string())
        .collect();
    let base58 = base58ck::encode(&[0x5c; 64]);
    let digits = "5c".repeat(64);
    for (text, words) in [
        (base58.as_str(), "private key of Solana"),
        (&base58[..86], "private key of Solana"),
        (&format!("{base58}?salt=abc"), "private key of Solana"),
        (&format!("[{}]", bytes.join(",")), "list of numbers"),
        (&format!("[{}]", bytes[..32].join(", ")), "list of numbers"),
        (&bytes.join("\n"), "list of numbers"),
        (&digits, "hexadecimal"),
        (&digits[..64], "hexadecimal"),
        (&format!("0x{}", &digits[..64]), "hexadecimal"),
        (
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
            "seed phrase",
        ),
        (
            &ACCOUNT.replacen("acct_xvk", "acct_xsk", 1),
            "extended private key",
        ),
        (
            "root_xsk1vpsky8a5cqgpl6e3aahjl4cp3g7jq2k",
            "extended private key",
        ),
        (
            "addr_sk1vpsky8a5cqgpl6e3aahjl4cp3g7jq2k",
            "extended private key",
        ),
        (
            "xprv9yeny6n2dNUokQFykGoZU6BDLeKbEBUoBeCFe2VF6MXdrHrprMYRc4tddncDRxrJCy7GtPDk68zRcgWtGFveqdCV5NyhZwVgMoZVbTm78vx",
            "extended private key",
        ),
    ] {
        for test in [false, true] {
            let error = derivation().parse(text, test).unwrap_err();
            assert_eq!(error.code(), "private_key_refused", "{text}: {error}");
            let said = error.to_string();
            assert!(said.contains(words), "{text}: {said}");
            assert!(!said.contains(text));
        }
    }
}

#[test]
fn other_keys_are_refused_with_what_to_give_instead() {
    let root = "root_xvk1xl7lm056eptyd8uds0rxc4ugqfrvmzlhlpft7ku5xdh72dwqalyqwgcspprcf3essxpdh0d3gjdjwpjcdu0ltjl38527ndh83s2lqecznehf4";
    let leaf = "addr_xvk1n4qseu45xwmkmh64h258gprqxt8vtdhuvnlmzcf8dgs4vzz4jrecg7f8fdzfmz3ng3murlwm2wr4a4lu2cyeru0fmh0hpfg27kyugaqsdw240";
    let bare = "acct_vk1qw4wfnu24pgkffqmrqad7e0rg3uzjhytk5uln00upw2xgs3quw4q9mhjyk";
    let off_curve = address_text(&off_curve());
    let mut wrong = ACCOUNT.to_owned();
    wrong.replace_range(40..41, if &ACCOUNT[40..41] == "q" { "p" } else { "q" });
    let point = format!("02{}", "ab".repeat(32));
    let cases: [(&str, &str, &str); 20] = [
        (XPUB, "key_unsupported", "another curve"),
        (
            &XPUB.replacen("xpub", "zpub", 1),
            "key_unsupported",
            "another curve",
        ),
        (
            &format!("wpkh({XPUB}/0/*)"),
            "key_unsupported",
            "another curve",
        ),
        (
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "key_unsupported",
            "EVM",
        ),
        (&point, "key_unsupported", "EVM"),
        (
            "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
            "key_unsupported",
            "Bitcoin",
        ),
        (
            "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
            "key_malformed",
            "acct_xvk",
        ),
        (root, "key_unsupported", "root of a wallet"),
        (leaf, "key_unsupported", "not an account's"),
        (bare, "key_unsupported", "without chain code"),
        (&wrong, "key_checksum", "acct_xvk"),
        (&ACCOUNT[..80], "key_checksum", "acct_xvk"),
        (&format!("{ACCOUNT}/0/*"), "key_malformed", "acct_xvk"),
        (&off_curve, "address_off_curve", "no private key can sign"),
        (
            &format!("{off_curve}?salt=abc"),
            "address_off_curve",
            "no private key can sign",
        ),
        (
            &format!("{WALLET}?salt=0OIl"),
            "key_malformed",
            "not base58",
        ),
        (
            &format!("{WALLET}?reference=abc"),
            "key_unsupported",
            "what follows",
        ),
        ("", "key_malformed", "acct_xvk"),
        ("please", "key_malformed", "acct_xvk"),
        (&"x".repeat(20_000), "key_malformed", "longer than"),
    ];
    for (text, code, words) in cases {
        for test in [false, true] {
            let error = derivation().parse(text, test).unwrap_err();
            assert_eq!(error.code(), code, "{text}: {error}");
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
    }
    let beyond = derivation().derive(ACCOUNT, 0x8000_0000, &chain("solana"));
    assert_eq!(beyond.unwrap_err().code(), "key_index_exhausted");
    let unknown = derivation().derive(ACCOUNT, 0, &chain("bitcoin"));
    assert_eq!(unknown.unwrap_err().code(), "key_unsupported");
}
