//! Recognises private material, so that it can be refused before anything else looks at it.
//!
//! Deliberately generous: a typing error in a private key leaves it almost as secret as before. What
//! is public never has these forms.

use base58ck as base58;

/// Fewest and most words that are taken for a seed phrase: BIP39 has 12 to 24, SLIP-39 up to 33, and
/// one may have been forgotten.
const PHRASE_WORDS: std::ops::RangeInclusive<usize> = 11..=33;

/// Fewest numbers in a row that are taken for a key in bytes: it has 32 or 64, and some may be missing.
const KEY_NUMBERS: usize = 24;

/// What private material `text` contains, in words for people; `None` when it contains none.
pub fn private_material(text: &str) -> Option<&'static str> {
    if has_phrase(text) {
        return Some("a seed phrase");
    }
    let whole = text.trim();
    if is_hexadecimal(whole) && matches!(hexadecimal(whole).len(), 32 | 64 | 128) {
        return Some("a private key or seed in hexadecimal");
    }
    if has_key_numbers(whole) {
        return Some("a private key as a list of numbers");
    }
    // CIP-5: the names of everything private end like this.
    let small = whole.to_ascii_lowercase();
    if ["_sk1", "_xsk1"].iter().any(|name| small.contains(name)) {
        return Some("an extended private key");
    }
    let taproot = ["tr(", "rawtr("]
        .iter()
        .any(|function| whole.starts_with(function));
    text.split(|letter: char| !letter.is_ascii_alphanumeric())
        .find_map(|word| private_word(word, taproot))
}

/// `taproot`: 64 hexadecimal digits are a public key there, and a private one elsewhere.
fn private_word(word: &str, taproot: bool) -> Option<&'static str> {
    let start = word.get(..4).unwrap_or_default().to_ascii_lowercase();
    if let Some(first) = start.strip_suffix("prv")
        && matches!(first, "x" | "y" | "z" | "t" | "u" | "v")
    {
        return Some("an extended private key");
    }
    if !taproot && is_hexadecimal(word) && hexadecimal(word).len() == 64 {
        return Some("a private key or seed in hexadecimal");
    }
    if 40 <= word.len() && start.starts_with("ms1") {
        return Some("a share of a seed");
    }
    let is_base58 = word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() && !b"0OIl".contains(&byte));
    if !is_base58 {
        return None;
    }
    match (word.len(), word.as_bytes().first()) {
        (51, Some(b'5' | b'9')) | (52, Some(b'K' | b'L' | b'c')) => {
            return Some("a private key in wallet import format");
        }
        // 64 bytes, which on Solana are a private key with its public one.
        (85..=89, _) => return Some("a private key of Solana"),
        (58, Some(b'6')) if start.starts_with("6p") => return Some("an encrypted private key"),
        _ => {}
    }
    match base58::decode_check(word).ok()?.as_slice() {
        [0x80 | 0xef, key @ ..] if matches!(key.len(), 32 | 33) => {
            Some("a private key in wallet import format")
        }
        // The version may be of any coin: a private key begins with a zero byte, a public one never.
        extended if extended.len() == 78 && extended.get(45) == Some(&0) => {
            Some("an extended private key")
        }
        _ => None,
    }
}

fn is_hexadecimal(word: &str) -> bool {
    hexadecimal(word)
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
}

fn hexadecimal(word: &str) -> &str {
    word.strip_prefix("0x").unwrap_or(word)
}

/// A row of numbers that are bytes, as files of keys hold them.
fn has_key_numbers(text: &str) -> bool {
    let is_between =
        |letter: char| letter.is_whitespace() || matches!(letter, ',' | '[' | ']' | '"');
    let mut count = 0_usize;
    for number in text.split(is_between).filter(|part| !part.is_empty()) {
        count = match number.parse::<u8>() {
            Ok(_) => count.saturating_add(1),
            Err(_) => 0,
        };
        if KEY_NUMBERS <= count {
            return true;
        }
    }
    false
}

/// A row of words without anything else between them, numbered or not, in any language.
fn has_phrase(text: &str) -> bool {
    let words = text
        .split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '(' | ')'))
        .map(|word| word.trim_matches(|letter: char| !letter.is_alphabetic()))
        .filter(|word| !word.is_empty());
    let mut count = 0_usize;
    for word in words {
        if word.chars().all(char::is_alphabetic) && word.chars().count() <= 12 {
            count = count.saturating_add(1);
        } else if PHRASE_WORDS.contains(&count) {
            return true;
        } else {
            count = 0;
        }
    }
    PHRASE_WORDS.contains(&count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const XPRV: &str = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";

    #[test]
    fn private_material_of_every_form_is_recognised() {
        let phrase = "abandon ".repeat(11) + "about";
        let numbered = (1..=12).fold(String::new(), |text, number| {
            text + &format!("{number}. abandon\n")
        });
        let numbers: Vec<String> = (0..64_u8)
            .map(|byte| byte.wrapping_mul(37).to_string())
            .collect();
        let of_another_coin = "Ltpv71G8qDifUiNetP6nmxPA5STrUVmv2J9YSmXajv8VsYBUyuPhvN9xCaQrfX2wo5xxJNtEazYCFRUu5FmokYMM79pcqz8pcdo4rNXAFPgyB4k";
        let texts: &[(&str, &str)] = &[
            (XPRV, "extended"),
            (XPRV.get(..50).unwrap(), "extended"),
            (of_another_coin, "extended"),
            (&XPRV.replace('9', "8"), "extended"),
            (&format!("wpkh([d34db33f/84h/0h/0h]{XPRV}/0/*)"), "extended"),
            (&format!("  \"{XPRV}\" "), "extended"),
            ("tprv8ZgxMBicQ", "extended"),
            ("ZPRVAWgYBBk7JR8Gj", "extended"),
            ("yprvABrGsX5C9jan", "extended"),
            ("uprv8tXDerPXZ1QsVNjUJ", "extended"),
            ("vprv9DMUxX4ShgxML", "extended"),
            (
                "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
                "import",
            ),
            (
                "wpkh(L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1)",
                "import",
            ),
            (
                "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY2",
                "import",
            ),
            (
                "cVt4o7BGAig1UXywgGSmARhxMdzP5qvQsxKkSsc1XEkw3tDTQFpy",
                "import",
            ),
            (
                "6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg",
                "encrypted",
            ),
            (
                "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35",
                "hexadecimal",
            ),
            (
                "0xE8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35",
                "hexadecimal",
            ),
            ("000102030405060708090a0b0c0d0e0f", "hexadecimal"),
            (
                "wpkh(e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35)",
                "hexadecimal",
            ),
            ("ms10testsxxxxxxxxxxxxxxxxxxxxxxxxxx4nzvca9cmczlw", "share"),
            (&phrase, "phrase"),
            (&phrase.to_uppercase(), "phrase"),
            (&phrase.replace(' ', ", "), "phrase"),
            (&format!("wsh(sortedmulti(2,{phrase},xpub))"), "phrase"),
            (
                &format!("wsh(sortedmulti(2,{phrase},xpub661My/0/*))"),
                "phrase",
            ),
            (&format!("wsh(sortedmulti(1,{XPRV}/0/*))"), "extended"),
            (
                &format!("tr([d34db33f/86h/0h/0h]{XPRV}/<0;1>/*)"),
                "extended",
            ),
            (&format!("pkh({XPRV}/0/*)#abcdefgh"), "extended"),
            (&numbered, "phrase"),
            (&"あいこくしん ".repeat(12), "phrase"),
            (
                "5MaiiCavjCmn9Hs1o3eznqDEhRwxo7pXiAYez7keQUviUkauRiTMD8DrESdrNjN8zd9mTmVhRvBJeg5vhyvgrAhG",
                "Solana",
            ),
            (&format!("[{}]", numbers.join(",")), "list of numbers"),
            (&numbers.join(" "), "list of numbers"),
            (
                &format!("key: [\n  {}", numbers.get(..31).unwrap().join(",\n  ")),
                "list of numbers",
            ),
            ("acct_xsk1hqqqq", "extended"),
            ("Root_XSK1HQQQQ", "extended"),
            ("addr_sk1hqqqq", "extended"),
        ];
        for (text, expected) in texts {
            let found = private_material(text).unwrap_or_else(|| panic!("accepted: {text}"));
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn public_material_is_left_alone() {
        for text in [
            "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
            "wpkh(0339a36013301597daef41fbe593a02cc513d0b55527ec2df1050e2e8ff49c85c2)",
            "tr(a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c)",
            "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
            "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
            "mvines9iiHiQTysrwkJjGf2gb9Ex9jXJX8ns3qwf2kN",
            "acct_xvk1hqqqq",
            "[1, 2, 3]",
            "",
            "please give me an invoice",
            "wpkh",
        ] {
            assert_eq!(private_material(text), None, "{text}");
        }
    }
}
