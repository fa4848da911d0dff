//! Polygon: state that comes from Ethereum is a transaction at the end of a block. Since PIP-74 it is of type
//! 0x7f and stands under the roots and in the bloom; before that it was listed like a signed one, under a hash of
//! its own and outside of everything that the block's hash commits to.
//!
//! <https://github.com/0xPolygon/Polygon-Improvement-Proposals/blob/main/PIPs/PIP-74.md>; answers of before:
//! <https://github.com/0xPolygon/bor> (`internal/ethapi/api.go`, `core/types/bor_receipt.go`), which traces it only
//! when it is asked to (`eth/tracers/api.go`).

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::RlpEncodable;
use serde_json::{Value, json};

use super::{Lie, Own, amounts, header, paid, read_by, refused, rules_of, us, usdc, without_last};
use crate::evm::built::{Plan, account, payer, planned, token_log};
use crate::evm::shape::{Built, Entry, assemble};

#[derive(RlpEncodable)]
struct StateSync {
    id: u64,
    contract: Address,
    data: Bytes,
    transaction: B256,
}

/// A token that was locked on Ethereum.
fn minted() -> Vec<alloy_primitives::Log> {
    vec![token_log(usdc(), Address::ZERO, us(), 9)]
}

fn signed() -> [Entry; 2] {
    let token = Plan::logs(vec![token_log(usdc(), payer(), us(), 25)]);
    [planned(&Plan::pay(us(), 5), 0), planned(&token, 1)]
}

fn nobody() -> Value {
    json!({"from": Address::ZERO, "to": Address::ZERO, "value": "0x0"})
}

fn since_pip_74() -> Built {
    let sync = StateSync {
        id: 3_141_592,
        contract: account(0x1001),
        data: Bytes::from(vec![7; 96]),
        transaction: B256::repeat_byte(0x1e),
    };
    let state = Own {
        kind: 0x7f,
        fields: &[&sync],
        answer: nobody(),
        succeeds: true,
        logs: minted(),
        receipt: json!({"gasUsed": "0x0", "effectiveGasPrice": "0x0"}),
        tail: &[],
    };
    let [first, second] = signed();
    assemble(header(), &[first, second, state.entry()], None)
}

fn before_pip_74() -> Built {
    let mut transaction = json!({"type": "0x0", "gas": "0x0", "gasPrice": "0x0", "nonce": "0x0", "input": "0x",
        "v": "0x0", "r": "0x0", "s": "0x0", "hash": B256::ZERO});
    super::merge(&mut transaction, &nobody());
    let state = Entry {
        transaction,
        bytes: None,
        receipt: json!({"type": "0x0", "status": "0x1", "cumulativeGasUsed": "0x0", "gasUsed": "0x0"}),
        receipt_bytes: None,
        logs: minted(),
    };
    let [first, second] = signed();
    let mut built = assemble(header(), &[first, second, state], None);
    let number = built.at.height.to_be_bytes();
    let block: B256 = built.at.hash.as_str().parse().unwrap();
    let hash = keccak256([b"matic-bor-receipt-", &number[..], &block[..]].concat());
    built.block["transactions"][2]["hash"] = json!(hash);
    built.receipts[2]["transactionHash"] = json!(hash);
    built.receipts[2]["logs"][0]["transactionHash"] = json!(hash);
    built
}

/// Balances before and after each of so many transactions; the first one pays the shop.
fn traces(count: usize) -> Value {
    let balance = json!({us().to_string(): {"balance": U256::from(5)}});
    let mut all = vec![json!({"result": {"pre": {}, "post": {}}}); count];
    all[0]["result"]["post"] = balance;
    json!({ "prestateTracer": all })
}

#[tokio::test]
async fn state_that_is_under_the_roots_pays() {
    for traces in [json!({}), traces(3)] {
        let read = read_by(rules_of("polygon"), &since_pip_74(), &traces, &[us()]).await;
        let expected = amounts([("eth", "5"), ("usdc", "25"), ("usdc", "9")]);
        assert_eq!(paid(&read.unwrap()), expected, "{traces}");
    }
    // A trace of it shows what the chain does, not what it says of itself.
    let call = |from: Address, to: Address, value: u64| json!({"result": {"type": "CALL", "from": from, "to": to, "value": U256::from(value)}});
    let system = account(0xffff_fffe);
    let calls = [
        call(payer(), us(), 5),
        call(payer(), account(0xc0de), 0),
        call(system, account(0x1001), 0),
    ];
    let traces = json!({ "callTracer": calls });
    let read = read_by(rules_of("polygon"), &since_pip_74(), &traces, &[us()]).await;
    assert_eq!(paid(&read.unwrap()).len(), 3);
}

/// Nothing proves it, so nothing of it counts; the rest of the block is read.
#[tokio::test]
async fn state_that_is_outside_of_the_roots_pays_nothing() {
    for traces in [json!({}), traces(2), traces(3)] {
        let read = read_by(rules_of("polygon"), &before_pip_74(), &traces, &[us()]).await;
        let expected = amounts([("eth", "5"), ("usdc", "25")]);
        assert_eq!(paid(&read.unwrap()), expected, "{traces}");
    }
    let read = read_by(rules_of("ethereum"), &before_pip_74(), &json!({}), &[us()]).await;
    let error = read.unwrap_err();
    assert!(error.to_string().contains("type 0x0"), "{error}");
}

#[tokio::test]
async fn lies_that_a_bloom_and_hashes_show_are_found() {
    let of_both: [Lie; 6] = [
        ("transaction 0 is called", |told| {
            told.block["transactions"][0]["value"] = json!("0x6");
        }),
        ("2 receipts for 3", |told| {
            told.receipts.as_array_mut().unwrap().pop();
        }),
        ("bloom of receipt 1", |told| {
            told.receipts[1]["logs"] = json!([]);
        }),
        ("bloom of receipt 1", |told| {
            told.receipts[1]["logs"][0]["address"] = json!(account(1));
        }),
        ("another transaction", |told| {
            told.receipts[1]["logs"][0]["transactionHash"] = json!(B256::ZERO);
        }),
        ("it says type", |told| {
            told.receipts[2]["type"] = json!("0x2");
        }),
    ];
    for built in [since_pip_74(), before_pip_74()] {
        refused(rules_of("polygon"), &built, &of_both).await;
    }
    // Under the bloom it cannot be left out.
    let left_out: [Lie; 1] = [("bloom of its header", without_last)];
    refused(rules_of("polygon"), &since_pip_74(), &left_out).await;
    // What nobody signed pays nobody by itself.
    let paying: [Lie; 1] = [("transaction 2 is called", |told| {
        told.block["transactions"][2]["value"] = json!("0x5");
        told.block["transactions"][2]["to"] = json!(us());
    })];
    refused(rules_of("polygon"), &before_pip_74(), &paying).await;
}
