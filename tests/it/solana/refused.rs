//! Key material that cannot stand: each with a clear error, and nothing remains of it.

use super::house::{ACCOUNT, SolanaHouse};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::read_solana_transactions;
use serde_json::json;

/// The program of ordinary tokens.
const TOKEN_PROGRAM: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
/// The master public key and the master private key of BIP32's first test vector.
const XPUB: &str = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
const XPRV: &str = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
/// 64 bytes in base58, as wallets export a private key.
const SECRET: &str =
    "2r6vTes1ioKysbwMdJJxHqptFnTCKgVa5CjqjvnXv85D7i9PrAdYpEbCCc3LzWqAwxwHFrRWbUz39qUt7SS2cMvb";
/// The code of the error for a private key.
const PRIVATE: &str = "private_key_refused";
const WALLET: &str = "mvines9iiHiQTysrwkJjGf2gb9Ex9jXJX8ns3qwf2kN";

/// Offers a key over HTTP and by the binary: both times it is refused.
async fn refused(house: &SolanaHouse, key: &str, code: &str, says: &str) -> Result<()> {
    let body = json!({ "chain_family": "solana", "key": key });
    let refused = house.api.post("/v1/wallets", &body).await?;
    let answer = (refused.status, refused.code());
    assert_eq!(answer, (422, code.to_owned()), "{}", refused.text);
    let problem = refused.json()?;
    assert_eq!(problem["errors"][0]["pointer"], "/key", "{problem}");
    ensure!(refused.text.contains(says), "{says}: {problem}");
    let line = ["wallet", "add", key, "--family", "solana"];
    let (is_good, said) = house.words(&line).await?;
    ensure!(!is_good && said.contains(says), "{says}: {said}");
    if code == PRIVATE {
        for text in [&refused.text, &said, &house.watcher.log()] {
            ensure!(!text.contains(key), "a private key is repeated: {text}");
        }
    }
    Ok(())
}

/// Goal: keys of other families, private keys in every form, addresses that no key can sign for, and references that
/// can be guessed are refused by HTTP and by the binary, with what to give instead. No wallet is made, and nothing of
/// a private key stands in an answer or in the log.
#[tokio::test(flavor = "multi_thread")]
async fn key_material_that_cannot_stand_is_refused() -> Result<()> {
    let house = SolanaHouse::new().await?;
    let wallets = house.api.get("/v1/wallets").await?.text;
    let person = house.node.person().await?;
    let asked = [[person.as_str(), TOKEN_PROGRAM, house.usdc.as_str()]];
    let derived = read_solana_transactions(&[], &asked).await?;
    let off_curve = derived["accounts"][0].as_str().context("an account")?;
    let words = "abandon ".repeat(11) + "about";
    // As the file of a keypair holds it.
    let bytes: Vec<String> = (0..64).map(|byte| (byte * 37 % 256).to_string()).collect();
    let bytes = format!("[{}]", bytes.join(","));
    let digits = "5c".repeat(32);
    let cases = [
        (XPUB, "key_unsupported", "Solana has another curve"),
        (
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "key_unsupported",
            "an EVM chain",
        ),
        (
            "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
            "key_unsupported",
            "of Bitcoin",
        ),
        (SECRET, PRIVATE, "a private key of Solana"),
        (&bytes, PRIVATE, "a list of numbers"),
        (&words, PRIVATE, "a seed phrase"),
        (&digits, PRIVATE, "in hexadecimal"),
        (XPRV, PRIVATE, "an extended private key"),
        (
            &ACCOUNT.replacen("xvk", "xsk", 1),
            PRIVATE,
            "an extended private key",
        ),
        (
            &ACCOUNT[..ACCOUNT.len() - 7],
            "key_checksum",
            "the checksum does not fit",
        ),
        (&format!("{WALLET}x"), "key_malformed", "acct_xvk"),
        (off_curve, "address_off_curve", "no private key can sign"),
        (
            &format!("{WALLET}?salt=sLDDSz4DCdAn1W1xf36N2"),
            "key_guessable",
            "not random",
        ),
        (
            &format!("{WALLET}?salt=abc"),
            "key_guessable",
            "16 to 32 bytes",
        ),
    ];
    for (key, code, says) in cases {
        refused(&house, key, code, says).await?;
    }
    assert_eq!(house.api.get("/v1/wallets").await?.text, wallets);
    Ok(())
}
