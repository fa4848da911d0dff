//! Blocks of the shapes that chains have, read through the transport by the rules that `chains.toml` ships for them:
//! what is paid, and which lies are found. What Ethereum has too is built by another implementation
//! (`alloy-consensus`); what only those chains have is encoded here after the sources that each file names.

mod arbitrum;
mod ethereum;
mod op_stack;
mod polygon;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bloom, Log, keccak256};
use alloy_rlp::Encodable;
use paywatch_chain::{Block, SourceError};
use paywatch_chain_evm::{
    Config, EvmSource, ReceiptCheck, Rules, TransactionCheck, WithdrawalCheck,
};
use paywatch_testkit::Liar;
use serde_json::{Value, json};

use super::built::account;
use super::shape::{Built, Entry};
use super::source::{assets, config, credits, read};
use super::transfers::watching;

/// Of the shop.
pub(crate) fn us() -> Address {
    account(0xbbbb)
}

/// Of the token that is listed.
pub(crate) fn usdc() -> Address {
    account(0x0dc0)
}

/// The rules of each chain of the EVM in `chains.toml`.
fn shipped() -> Vec<(String, Rules)> {
    let file = include_str!("../../../../../../chains.toml");
    let file: toml::Table = toml::from_str(file).unwrap();
    let chains = file["chains"].as_table().unwrap().iter();
    let rules = chains.filter_map(|(name, chain)| {
        let evm = chain.get("evm")?;
        let setting = |key| evm.get(key).and_then(toml::Value::as_str).unwrap_or("root");
        let rules = Rules {
            transactions: match setting("transactions") {
                "root" => TransactionCheck::Root,
                _ => TransactionCheck::Hash,
            },
            receipts: match setting("receipts") {
                "root" => ReceiptCheck::Root,
                _ => ReceiptCheck::Bloom,
            },
            withdrawals: match setting("withdrawals") {
                "root" => WithdrawalCheck::Root,
                _ => WithdrawalCheck::None,
            },
            native_logs: evm.get("native_logs").is_some_and(|it| it == &true.into()),
        };
        Some((name.clone(), rules))
    });
    rules.collect()
}

fn rules_of(chain: &str) -> Rules {
    let mut all = shipped().into_iter();
    all.find(|(name, _)| name == chain).unwrap().1
}

#[test]
fn the_rules_that_are_shipped_are_those_that_are_tested() {
    let whole = Rules::default();
    let no_withdrawals = Rules {
        withdrawals: WithdrawalCheck::None,
        ..whole
    };
    let by_hash = Rules {
        transactions: TransactionCheck::Hash,
        ..whole
    };
    let by_bloom = Rules {
        receipts: ReceiptCheck::Bloom,
        ..by_hash
    };
    let expected = [
        ("anvil", whole),
        ("arbitrum", by_hash),
        ("base", no_withdrawals),
        ("bnb", whole),
        ("ethereum", whole),
        ("optimism", no_withdrawals),
        ("polygon", by_bloom),
    ];
    let mut shipped = shipped();
    shipped.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        shipped,
        expected.map(|(name, rules)| (name.to_owned(), rules))
    );
}

/// What answers like a node whose last block is this one, with the answers of tracers by their names.
pub(crate) fn script(
    built: &Built,
    traces: &Value,
) -> impl Fn(&str, &Value) -> Option<Value> + Send + Sync + 'static {
    let (built, traces) = (built.clone(), traces.clone());
    let hash = built.at.hash.to_string();
    let mut header = built.block.clone();
    header["transactions"] = json!([]);
    let six = B256::with_last_byte(6);
    move |method, params| {
        let is_asked = params.to_string().contains(&hash);
        let answer = match method {
            "eth_chainId" => json!("0x7a69"),
            "web3_clientVersion" => json!("a script"),
            "eth_syncing" => json!(false),
            "eth_blockNumber" => built.block["number"].clone(),
            "eth_getBlockByNumber" => header.clone(),
            "eth_getBlockByHash" if is_asked => built.block.clone(),
            "eth_getBlockReceipts" if is_asked => built.receipts.clone(),
            "debug_traceBlockByHash" if is_asked => {
                traces.get(params[1]["tracer"].as_str()?)?.clone()
            }
            "eth_call" if params[0]["data"] == "0x313ce567" => json!(six),
            _ => return None,
        };
        Some(answer)
    }
}

/// Reads a block through the transport.
async fn read_by(
    rules: Rules,
    built: &Built,
    traces: &Value,
    watched: &[Address],
) -> Result<Block, SourceError> {
    let node = Liar::scripted(script(built, traces), |exchange| exchange.reply);
    let node = node.await.unwrap();
    let source = EvmSource::new(Config {
        rules,
        assets: assets(&[("usdc", &usdc().to_string(), 6)]),
        ..config(&node.url())
    });
    read(&source.unwrap(), &built.at, &watching(watched)).await
}

/// Assets and amounts of what a block pays to the shop.
fn paid(block: &Block) -> Vec<(String, String)> {
    let us = us().to_string().to_lowercase();
    let credits = credits(block).into_iter();
    let ours = credits.filter(|(to, ..)| *to == us);
    ours.map(|(_, symbol, amount, _)| (symbol, amount))
        .collect()
}

fn amounts<const N: usize>(expected: [(&str, &str); N]) -> Vec<(String, String)> {
    let owned = |(symbol, amount): (&str, &str)| (symbol.to_owned(), amount.to_owned());
    expected.map(owned).to_vec()
}

/// Words of the fault, and a change to the answers.
type Lie = (&'static str, fn(&mut Built));

/// Each lie must be found with these words; a block without any is read.
async fn refused(rules: Rules, honest: &Built, lies: &[Lie]) {
    read_by(rules, honest, &json!({}), &[]).await.unwrap();
    for (number, (words, lie)) in lies.iter().enumerate() {
        let mut told = honest.clone();
        lie(&mut told);
        let read = read_by(rules, &told, &json!({}), &[]).await;
        let error = read.map(|_| words).unwrap_err();
        assert_eq!(error.code(), "block_unproven", "{number}: {error}");
        assert!(
            error.to_string().contains(words),
            "{number}: {words}: {error}"
        );
    }
}

/// Takes the last transaction away, with its receipt.
fn without_last(built: &mut Built) {
    for list in [&mut built.block["transactions"], &mut built.receipts] {
        assert!(list.as_array_mut().unwrap().pop().is_some());
    }
}

/// A header that has nothing of the later ones of Ethereum.
fn header() -> Header {
    Header {
        parent_hash: B256::repeat_byte(0x11),
        beneficiary: account(0xfee),
        number: 1_000,
        timestamp: 1_700_000_000,
        gas_limit: 30_000_000,
        gas_used: 200_000,
        base_fee_per_gas: Some(7),
        ..Header::default()
    }
}

/// A transaction of a type that only some chains have.
struct Own<'a> {
    kind: u8,
    /// What its hash is over, behind the type.
    fields: &'a [&'a dyn Encodable],
    /// What nodes answer beside its type and its hash.
    answer: Value,
    succeeds: bool,
    logs: Vec<Log>,
    /// Further fields of its receipt: as nodes answer them, and as its root is over them.
    receipt: Value,
    tail: &'a [u64],
}

impl Own<'_> {
    fn entry(self) -> Entry {
        let bytes = typed(self.kind, self.fields);
        let kind = format!("{:#x}", self.kind);
        let mut transaction = json!({
            "type": kind, "hash": keccak256(&bytes), "gas": "0x0", "gasPrice": "0x0", "nonce": "0x0",
            "input": "0x", "value": "0x0", "v": "0x0", "r": "0x0", "s": "0x0",
        });
        merge(&mut transaction, &self.answer);
        let used = 40_000_u64;
        let mut receipt = json!({
            "type": kind,
            "status": if self.succeeds { "0x1" } else { "0x0" },
            "cumulativeGasUsed": format!("{used:#x}"),
        });
        merge(&mut receipt, &self.receipt);
        let bloom: Bloom = self.logs.iter().collect();
        let mut fields: Vec<&dyn Encodable> = vec![&self.succeeds, &used, &bloom, &self.logs];
        fields.extend(self.tail.iter().map(|field| -> &dyn Encodable { field }));
        Entry {
            transaction,
            bytes: Some(bytes),
            receipt,
            receipt_bytes: Some(typed(self.kind, &fields)),
            logs: self.logs,
        }
    }
}

/// A type and a list (EIP-2718).
fn typed(kind: u8, fields: &[&dyn Encodable]) -> Vec<u8> {
    let mut payload = Vec::new();
    for field in fields {
        field.encode(&mut payload);
    }
    let mut bytes = vec![kind];
    let payload_length = payload.len();
    let list = true;
    alloy_rlp::Header {
        list,
        payload_length,
    }
    .encode(&mut bytes);
    bytes.extend(payload);
    bytes
}

fn merge(all: &mut Value, further: &Value) {
    for (name, value) in further.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
}

/// The same with further fields of its receipt.
fn telling(mut entry: Entry, further: &Value) -> Entry {
    merge(&mut entry.receipt, further);
    entry
}
