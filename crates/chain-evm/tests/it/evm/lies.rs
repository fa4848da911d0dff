//! Answers that lie, are incomplete or mixed: each is refused with what differs.

use alloy_eips::eip4895::Withdrawal;
use paywatch_chain::SourceError;
use paywatch_chain_evm::{Fault, ReceiptCheck, Rules, TransactionCheck, WithdrawalCheck, prove};
use serde_json::{Value, json};

use super::addresses::chain;
use super::built::{Built, Plan, account, build, token_log};

fn honest() -> Built {
    let log = |value| token_log(account(0x70), account(1), account(2), value);
    let paid = Withdrawal {
        index: 77,
        validator_index: 3,
        address: account(4),
        amount: 1_000,
    };
    build(
        &[
            Plan::pay(account(9), 5),
            Plan::logs(vec![log(1), log(2)]),
            Plan::logs(vec![log(3)]),
            Plan::pay(account(9), 7).failing(),
        ],
        &[paid],
    )
}

/// A change to an answer. Paths begin with `/block` or `/receipts`.
enum Lie {
    Set(&'static str, Value),
    Remove(&'static str),
    /// Takes the last part off a list.
    Pop(&'static str),
    /// Exchanges two parts of a list.
    Swap(&'static str, usize, usize),
}
use Lie::{Pop, Remove, Set, Swap};

fn told(lies: &[Lie]) -> Built {
    let honest = honest();
    let mut answers = json!({"block": honest.block, "receipts": honest.receipts});
    for lie in lies {
        match lie {
            Set(path, value) => {
                let (parent, field) = path.rsplit_once('/').unwrap();
                match answers.pointer_mut(path) {
                    Some(there) => *there = value.clone(),
                    None => answers.pointer_mut(parent).unwrap()[field] = value.clone(),
                }
            }
            Remove(path) => {
                let (parent, field) = path.rsplit_once('/').unwrap();
                let object = answers.pointer_mut(parent).unwrap().as_object_mut();
                assert!(object.unwrap().remove(field).is_some(), "{path}");
            }
            Pop(path) => {
                let list = answers.pointer_mut(path).unwrap().as_array_mut();
                assert!(list.unwrap().pop().is_some(), "{path}");
            }
            Swap(path, one, other) => {
                let list = answers.pointer_mut(path).unwrap().as_array_mut();
                list.unwrap().swap(*one, *other);
            }
        }
    }
    Built {
        at: honest.at,
        block: answers["block"].take(),
        receipts: answers["receipts"].take(),
    }
}

/// Each of these lies must be refused with these words.
fn refused<const N: usize>(cases: [(Lie, &str); N]) {
    assert!(told(&[]).prove().is_ok());
    for (number, (lie, words)) in cases.into_iter().enumerate() {
        let fault = told(&[lie]).prove().map(|_| ()).unwrap_err().to_string();
        assert!(fault.contains(words), "{number}: {words}: {fault}");
    }
}

const ZERO: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";

fn zero() -> Value {
    json!(ZERO)
}

#[test]
fn headers_that_lie_are_refused() {
    refused([
        (Set("/block/stateRoot", zero()), "header hashes to"),
        (Set("/block/transactionsRoot", zero()), "header hashes to"),
        (Set("/block/receiptsRoot", zero()), "header hashes to"),
        (Set("/block/slotNumber", json!("0x1")), "header hashes to"),
        (Set("/block/number", json!("0x3e7")), "header hashes to"),
        (Set("/block/hash", zero()), "header hashes to"),
        (Remove("/block/requestsHash"), "header hashes to"),
        (Remove("/block/parentHash"), "parentHash"),
        (Set("/block/parentHash", json!(null)), "cannot be read"),
    ]);
    let mut built = honest();
    built.at.height = 999;
    assert!(matches!(built.prove(), Err(Fault::Height { found: 1000 })));
    built = honest();
    built.at.hash = paywatch_domain::BlockHash::new(ZERO);
    assert!(matches!(built.prove(), Err(Fault::BlockHash { .. })));
}

#[test]
fn transactions_that_lie_are_refused() {
    let root = "root of its transactions";
    refused([
        (Set("/block/transactions", json!([])), root),
        (Pop("/block/transactions"), root),
        (Set("/block/transactions", json!([ZERO])), "cannot be read"),
        (Remove("/block/transactions"), "transactions"),
        (Swap("/block/transactions", 1, 2), "transaction 1 is not of"),
        (
            Set("/block/transactions/0/value", json!("0x6")),
            "transaction 0 is called",
        ),
        (
            Set("/block/transactions/0/to", json!(account(8))),
            "transaction 0 is called",
        ),
        (
            Set("/block/transactions/0/hash", zero()),
            "transaction 0 is called",
        ),
        (
            Set("/block/transactions/0/blockHash", json!(null)),
            "transaction 0 is not of",
        ),
        (
            Set("/block/transactions/0/type", json!("0x66")),
            "type 0x66",
        ),
        (Remove("/block/transactions/0/r"), "r is missing"),
        (
            Set("/block/withdrawals", json!([])),
            "root of its withdrawals",
        ),
        (
            Set("/block/withdrawals/0/amount", json!("0x1")),
            "root of its withdrawals",
        ),
        (Set("/block/withdrawals", json!(null)), "do not go together"),
    ]);
}

#[test]
fn receipts_that_lie_are_refused() {
    let root = "root of its receipts";
    let logs = "/receipts/1/logs";
    refused([
        (Pop("/receipts"), "3 receipts for 4"),
        (Set("/receipts", json!([])), "0 receipts for 4"),
        (Swap("/receipts", 1, 2), "receipt 1 is not of"),
        (Set("/receipts/0/blockHash", zero()), "it says block"),
        (Set("/receipts/0/type", json!("0x1")), "it says type"),
        (Set("/receipts/3/status", json!("0x1")), root),
        (Remove("/receipts/3/status"), "status is missing"),
        (Set("/receipts/0/cumulativeGasUsed", json!("0x1")), root),
        (Set("/receipts/1/logs/0/data", zero()), root),
        (
            Set("/receipts/1/logs/0/topics/2", zero()),
            "bloom of receipt 1",
        ),
        (
            Set("/receipts/1/logs/0/address", json!(account(8))),
            "bloom of receipt 1",
        ),
        (Pop(logs), root),
        (Swap(logs, 0, 1), "not numbered upwards"),
        (
            Set("/receipts/1/logs/0/removed", json!(true)),
            "marked as removed",
        ),
        (
            Set("/receipts/1/logs/0/blockHash", zero()),
            "of another block",
        ),
        (
            Set("/receipts/1/logs/0/transactionHash", zero()),
            "of another transaction",
        ),
    ]);
}

/// All logs of a receipt left out, together with its bloom.
#[test]
fn logs_that_are_left_out_whole_do_not_fit_the_header() {
    let mut built = honest();
    let empty = format!("0x{}", "0".repeat(512));
    for number in [1, 2] {
        built.receipts[number]["logs"] = json!([]);
        built.receipts[number]["logsBloom"] = json!(empty);
    }
    assert!(matches!(built.prove().unwrap_err(), Fault::Bloom { .. }));
    let weak = Rules {
        receipts: ReceiptCheck::Bloom,
        ..Rules::default()
    };
    assert!(matches!(
        built.prove_by(weak).unwrap_err(),
        Fault::Bloom { .. }
    ));
}

#[test]
fn nothing_is_never_an_empty_block() {
    let built = honest();
    let [block, receipts] = [&built.block, &built.receipts].map(Value::to_string);
    let cases: [(&str, &str, &str); 8] = [
        ("null", &receipts, "node_lacks"),
        (" null ", &receipts, "node_lacks"),
        ("", &receipts, "node_lacks"),
        (&block, "null", "node_lacks"),
        ("{}", &receipts, "unreadable"),
        ("[]", &receipts, "unreadable"),
        (&block, "{}", "unreadable"),
        (
            &block,
            receipts.get(..receipts.len() / 2).unwrap(),
            "unreadable",
        ),
    ];
    for (block, receipts, expected) in cases {
        let proven = prove(
            Rules::default(),
            &built.at,
            block.as_bytes(),
            receipts.as_bytes(),
        );
        let fault = proven.map(|_| ()).unwrap_err();
        let kind = match fault
            .clone()
            .into_source(chain("ethereum"), built.at.clone())
        {
            SourceError::Missing { .. } => "node_lacks",
            SourceError::Malformed { .. } => "unreadable",
            other => panic!("{other}"),
        };
        assert_eq!(kind, expected, "{fault}");
    }
    let mut lie = honest();
    lie.block["transactions"] = json!([]);
    let fault = lie.prove().map(|_| ()).unwrap_err();
    let error = fault.into_source(chain("ethereum"), lie.at);
    assert_eq!(error.code(), "block_unproven");
}

/// What the settings of a chain leave unchecked, and what not.
#[test]
fn weaker_checks_are_chosen_by_name() {
    let weak = |change: fn(&mut Rules)| {
        let mut rules = Rules::default();
        change(&mut rules);
        rules
    };
    let by_hash = weak(|rules| rules.transactions = TransactionCheck::Hash);
    let by_bloom = weak(|rules| rules.receipts = ReceiptCheck::Bloom);
    let without = weak(|rules| rules.withdrawals = WithdrawalCheck::None);

    let mut unknown = honest();
    for part in [
        &mut unknown.block["transactions"][0],
        &mut unknown.receipts[0],
    ] {
        part["type"] = json!("0x66");
    }
    let fault = unknown.prove().map(|_| ()).unwrap_err();
    assert!(matches!(
        fault,
        Fault::TransactionType {
            number: 0,
            kind: 0x66
        }
    ));
    let both = Rules {
        receipts: ReceiptCheck::Bloom,
        ..by_hash
    };
    assert!(unknown.prove_by(both).is_ok());
    let mut changed = honest();
    changed.block["transactions"][0]["value"] = json!("0x6");
    assert!(matches!(
        changed.prove_by(by_hash),
        Err(Fault::TransactionHash { .. })
    ));

    let mut status = honest();
    status.receipts[3]["status"] = json!("0x1");
    assert!(status.prove().is_err());
    assert!(status.prove_by(by_bloom).is_ok());

    let mut other_root = honest();
    other_root.block["withdrawals"] = json!([]);
    assert!(other_root.prove().is_err());
    assert!(other_root.prove_by(without).is_ok());
    assert!(matches!(
        honest().prove_by(without),
        Err(Fault::Withdrawals)
    ));
}
