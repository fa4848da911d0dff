//! Files of addresses: good ones, and everything that keeps one from being taken.

use paywatch_chain::{Derivation, KeyError};
use paywatch_chain_solana::address::{address_text, parse_address};
use paywatch_domain::limits;
use sha2::{Digest, Sha256};

use super::addresses::{ACCOUNT, WALLET, chain, derivation, off_curve};
use super::references::{Drawn, SALT};

/// Addresses of one account.
fn addresses(count: u32) -> Vec<String> {
    let derived = (0..count).map(|index| derivation().derive(ACCOUNT, index, &chain("solana")));
    derived.map(|derived| derived.unwrap().address).collect()
}

/// Each line with its line feed.
fn ended(lines: &[impl AsRef<str>]) -> String {
    let lines = lines.iter().map(|line| line.as_ref().to_owned() + "\n");
    lines.collect()
}

/// A file as the offline tool writes it.
fn file(lines: &[impl AsRef<str>]) -> String {
    let body = ended(lines);
    let hash: [u8; 32] = Sha256::digest(body.as_bytes()).into();
    format!("{body}# sha256:{}\n", hex::encode(hash))
}

fn refused(text: &str) -> KeyError {
    derivation().pool(text).unwrap_err()
}

#[test]
fn a_file_is_read_in_its_order() {
    let lines = addresses(50);
    let text = file(&lines);
    let pool = derivation().pool(&text).unwrap();
    assert_eq!(pool.addresses, lines);
    assert_eq!(pool.key.kind, "address_pool");
    assert_eq!(pool.key.canonical, format!("pool:{}", pool.key.node));
    assert!(pool.key.node.starts_with(&pool.key.fingerprint));
    // What editors and transfers do to line ends changes nothing.
    for same in [
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("{text}\n\n"),
        text.replace("sha256:", "sha256: "),
    ] {
        assert_eq!(derivation().pool(&same).as_ref(), Ok(&pool));
    }
    let derived = derivation().pooled(&lines[7], 7, &chain("solana")).unwrap();
    assert_eq!(derived.address, lines[7]);
    assert_eq!(derived.key, lines[7].as_bytes());
    assert_eq!(derived.path, "pool/7");
    let name = derivation().derive(&pool.key.canonical, 0, &chain("solana"));
    assert_eq!(name.unwrap_err().code(), "key_unsupported");
}

#[test]
fn a_file_that_is_cut_off_or_changed_is_refused() {
    let lines = addresses(20);
    let whole = file(&lines);
    let body_end = whole.find('#').unwrap();
    for end in [0, 1, 44, body_end - 1, body_end, body_end + 3] {
        let error = refused(&whole[..end]);
        assert_eq!(error.code(), "pool_truncated", "{end}: {error}");
    }
    let without_line = ended(&whole.lines().skip(1).collect::<Vec<_>>());
    let mut swapped = lines.clone();
    swapped.swap(3, 4);
    let (_, checksum) = whole.split_at(body_end);
    let swapped = ended(&swapped);
    for changed in [
        without_line,
        format!("{swapped}{checksum}"),
        whole[..whole.len() - 2].to_owned(),
        whole.replacen(&lines[5], WALLET, 1),
    ] {
        assert_eq!(refused(&changed).code(), "key_checksum");
    }
    assert_eq!(
        refused(&file(&Vec::<String>::new())).code(),
        "pool_truncated"
    );
}

#[test]
fn a_line_that_cannot_stand_is_named() {
    let lines = addresses(10);
    let with = |line: &str| {
        let mut lines = lines.clone();
        lines[6] = line.to_owned();
        file(&lines)
    };
    let cases = [
        (with(&lines[2]), "address_duplicate", "stands in line 3"),
        (
            with(&address_text(&off_curve())),
            "address_off_curve",
            "on the curve",
        ),
        (
            with("11111111111111111111111111111111"),
            "address_off_curve",
            "program",
        ),
        (with(&lines[6][..40]), "address_malformed", "32 bytes"),
        (with(""), "address_malformed", "32 bytes"),
        (
            with(&format!("{} ", lines[6])),
            "address_malformed",
            "32 bytes",
        ),
        (
            with("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            "address_malformed",
            "32 bytes",
        ),
    ];
    for (text, code, words) in cases {
        let error = refused(&text);
        assert_eq!(error.code(), code, "{error}");
        let said = error.to_string();
        assert!(
            said.starts_with("line 7 ") && said.contains(words),
            "{said}"
        );
    }
}

#[test]
fn a_file_with_anything_private_is_refused_before_all_else() {
    let lines = addresses(4);
    let secret = base58ck::encode(&[0x5c; 64]);
    let array = format!("[{}]", ["17"; 64].join(","));
    let words = "test ".repeat(11) + "junk";
    for line in [
        secret,
        array,
        words.clone(),
        words.replace(' ', "\n"),
        "ab".repeat(32),
    ] {
        let mut lines = lines.clone();
        lines.insert(2, line.clone());
        // With a checksum that fits and without one.
        for text in [file(&lines), lines.join("\n")] {
            let error = refused(&text);
            assert_eq!(error.code(), "private_key_refused", "{error}");
            assert!(!error.to_string().contains(&line));
        }
    }
}

/// Addresses are random letters, so that some look like the beginning of something private.
#[test]
fn an_address_that_looks_private_is_an_address() {
    let looks = |start: &str| {
        let tail = (0..=u16::MAX).map(|number| format!("{number:x}"));
        let mut texts = tail.filter_map(|tail| {
            let tail = tail.replace('0', "z");
            let text = format!("{start}{}{tail}", &WALLET[start.len() + tail.len()..]);
            parse_address(&text).is_ok().then_some(text)
        });
        texts.next().unwrap()
    };
    let lines = [looks("ms1"), looks("xprv"), looks("Zprv")];
    assert_eq!(derivation().pool(&file(&lines)).unwrap().addresses, lines);
    for line in &lines {
        let text = derivation().completed(line, &mut Drawn(SALT));
        assert_eq!(derivation().parse(&text, false).unwrap().kind, "solana_pay");
    }
}

#[test]
fn a_file_has_a_largest_size() {
    let line = |number: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[31] = 1;
        address_text(&bytes)
    };
    let lines: Vec<String> = (0..=limits::POOL_ADDRESSES_MAX).map(line).collect();
    let error = refused(&file(&lines));
    assert_eq!(error.code(), "key_unsupported");
    assert!(error.to_string().contains("added later"), "{error}");
    let fits = file(&lines[1..]);
    assert!(fits.len() < limits::POOL_CHARS_MAX);
    assert_ne!(
        refused(&fits).code(),
        "key_unsupported",
        "not all of them are on the curve"
    );
}
