//! The contracts of tests, in `tests/contracts`: compiled once per machine, deployed by
//! [`Anvil::deploy`](crate::Anvil::deploy).

use crate::{javascript, locate};
use anyhow::{Context, Result};
use bitcoin::hashes::{Hash, sha256};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const SCRIPT: &str = include_str!("../verifiers/contracts.cjs");

/// By file name, as the compiler wants them.
const SOURCES: [(&str, &str); 8] = [
    (
        "BatchPayer.sol",
        include_str!("../../../tests/contracts/BatchPayer.sol"),
    ),
    (
        "EntryPoint.sol",
        include_str!("../../../tests/contracts/EntryPoint.sol"),
    ),
    (
        "Forwarder.sol",
        include_str!("../../../tests/contracts/Forwarder.sol"),
    ),
    (
        "OddTokens.sol",
        include_str!("../../../tests/contracts/OddTokens.sol"),
    ),
    (
        "RevertingPayer.sol",
        include_str!("../../../tests/contracts/RevertingPayer.sol"),
    ),
    (
        "SelfDestructPayer.sol",
        include_str!("../../../tests/contracts/SelfDestructPayer.sol"),
    ),
    (
        "SharedWallet.sol",
        include_str!("../../../tests/contracts/SharedWallet.sol"),
    ),
    (
        "Token.sol",
        include_str!("../../../tests/contracts/Token.sol"),
    ),
];

/// A compiled contract.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The code that creates it, in hexadecimal digits.
    code: String,
    /// The selector of each method, by its signature.
    methods: BTreeMap<String, String>,
}

/// What a method or a constructor is given.
#[derive(Clone, Debug)]
pub enum Argument {
    /// An account, as `0x` and 40 hexadecimal digits.
    Account(String),
    /// A number.
    Number(u128),
    /// Any 32 bytes.
    Word([u8; 32]),
    /// A list of accounts.
    Accounts(Vec<String>),
    /// A list of numbers.
    Numbers(Vec<u128>),
    /// Any bytes.
    Bytes(Vec<u8>),
}

impl Contract {
    /// The contract of this name in any file of `tests/contracts`.
    pub async fn named(name: &str) -> Result<Self> {
        let mut compiled = compiled().await?;
        let mut contract = compiled[name].take();
        let methods = contract["methods"].take();
        Ok(Self {
            code: contract["code"]
                .as_str()
                .with_context(|| format!("no file of tests/contracts has a contract {name}"))?
                .to_owned(),
            methods: serde_json::from_value(methods).context("read the methods of a contract")?,
        })
    }

    /// The data of a transaction that creates the contract.
    pub fn creation(&self, arguments: &[Argument]) -> String {
        format!("0x{}{}", self.code, encode(arguments))
    }

    /// The data of a transaction that calls the method of this name.
    pub fn call(&self, method: &str, arguments: &[Argument]) -> Result<String> {
        let named = |(signature, _): &(&String, _)| {
            signature
                .strip_prefix(method)
                .is_some_and(|rest| rest.starts_with('('))
        };
        let (_, selector) = self
            .methods
            .iter()
            .find(named)
            .with_context(|| format!("the contract has no method {method}"))?;
        Ok(format!("0x{selector}{}", encode(arguments)))
    }
}

/// All contracts by name, compiled now or before.
async fn compiled() -> Result<Value> {
    let sources: serde_json::Map<String, Value> = SOURCES
        .iter()
        .map(|(name, text)| ((*name).to_owned(), json!({ "content": text })))
        .collect();
    let sources = Value::Object(sources);
    let hash = sha256::Hash::hash(format!("{SCRIPT}{sources}").as_bytes());
    let file = locate::cache()?.join(format!("contracts-{hash}.json"));
    if let Ok(known) = std::fs::read(&file) {
        return serde_json::from_slice(&known)
            .with_context(|| format!("read {}; delete it to compile again", file.display()));
    }
    let said = javascript::ask("solc", SCRIPT, &sources).await?;
    keep(&file, &said)?;
    serde_json::from_slice(&said).context("read the answer of solc")
}

/// The rename is the commit: whoever finds the file finds the whole of it.
fn keep(file: &Path, said: &[u8]) -> Result<()> {
    let folder = file.parent().context("the cache is a folder")?;
    let part = tempfile::NamedTempFile::new_in(folder)?;
    std::fs::write(part.path(), said)?;
    part.persist(file)?;
    Ok(())
}

/// Heads, then what they point to (<https://docs.soliditylang.org/en/latest/abi-spec.html>).
fn encode(arguments: &[Argument]) -> String {
    let (mut heads, mut tails) = (String::new(), String::new());
    for argument in arguments {
        let tail = match argument {
            Argument::Account(account) => {
                heads.push_str(&account_word(account));
                continue;
            }
            Argument::Number(number) => {
                heads.push_str(&word(*number));
                continue;
            }
            Argument::Word(bytes) => {
                heads.push_str(&hex(bytes));
                continue;
            }
            Argument::Accounts(accounts) => {
                let words = accounts.iter().map(|account| account_word(account));
                word(size(accounts.len())) + &words.collect::<String>()
            }
            Argument::Numbers(numbers) => {
                let words = numbers.iter().map(|number| word(*number));
                word(size(numbers.len())) + &words.collect::<String>()
            }
            Argument::Bytes(bytes) => {
                let padding = "00".repeat(bytes.len().next_multiple_of(32) - bytes.len());
                word(size(bytes.len())) + &hex(bytes) + &padding
            }
        };
        heads.push_str(&word(size(arguments.len() * 32 + tails.len() / 2)));
        tails.push_str(&tail);
    }
    heads + &tails
}

fn size(bytes: usize) -> u128 {
    u128::try_from(bytes).unwrap_or(u128::MAX)
}

fn word(number: u128) -> String {
    format!("{number:064x}")
}

fn account_word(account: &str) -> String {
    format!("{:0>64}", account.trim_start_matches("0x"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
