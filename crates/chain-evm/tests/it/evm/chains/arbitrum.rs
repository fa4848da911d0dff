//! Arbitrum One: six types of transactions that nobody signs. Their fields, their names in answers and the
//! encoding of receipts are those of <https://github.com/OffchainLabs/go-ethereum> (`core/types/arb_types.go`,
//! `internal/ethapi/api.go`, `core/types/receipt.go`).

use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bytes, TxKind, U256};
use alloy_rlp::Encodable;
use paywatch_domain::Amount;
use serde_json::{Value, json};

use super::{
    Lie, Own, amounts, header, paid, read_by, refused, rules_of, telling, us, usdc, without_last,
};
use crate::evm::built::{Plan, account, log, payer, planned, token_log};
use crate::evm::shape::{Built, Entry, assemble};

const CHAIN_ID: u64 = 42_161;

/// Whose messages come from Ethereum.
fn bridge() -> Address {
    account(0xb41d)
}

/// What every receipt tells beside the fields of Ethereum.
fn told() -> Value {
    json!({"gasUsed": "0x5208", "effectiveGasPrice": "0x989680", "gasUsedForL1": "0x12c",
        "l1BlockNumber": "0x15d6f00", "timeboosted": false})
}

fn own(kind: u8, fields: &[&dyn Encodable], answer: Value, succeeds: bool) -> Entry {
    let mut answer = answer;
    answer["chainId"] = json!(U256::from(CHAIN_ID));
    let ticket = log(
        account(0x6e),
        vec![B256::repeat_byte(0x7c), B256::ZERO],
        vec![],
    );
    Own {
        kind,
        fields,
        answer,
        succeeds,
        logs: if kind == 0x69 { vec![ticket] } else { vec![] },
        receipt: told(),
        tail: &[],
    }
    .entry()
}

/// What the chain does at the start of each block, and coin that comes from Ethereum.
fn internal_and_deposit() -> [Entry; 2] {
    let (id, request) = (CHAIN_ID, B256::repeat_byte(1));
    let system: Address = "0x00000000000000000000000000000000000a4b05"
        .parse()
        .unwrap();
    let data = Bytes::from(vec![0x6b; 36]);
    let (to, value) = (us(), U256::from(1_000));
    [
        own(
            0x6a,
            &[&id, &data],
            json!({"from": system, "to": system, "input": data}),
            true,
        ),
        own(
            0x64,
            &[&id, &request, &bridge(), &to, &value],
            json!({"from": bridge(), "to": to, "value": value, "requestId": request}),
            true,
        ),
    ]
}

/// A message from Ethereum that is to be executed here, and its execution.
fn retryable() -> [Entry; 2] {
    let (id, request, from) = (CHAIN_ID, B256::repeat_byte(2), bridge());
    let [zero, deposit, value, cap] = [0, 90_000, 30, 1_000].map(U256::from);
    let (gas, nonce, data, retry_to) = (50_000_u64, 0_u64, Bytes::new(), TxKind::Call(us()));
    let submission: [&dyn Encodable; 13] = [
        &id, &request, &from, &cap, &deposit, &cap, &gas, &retry_to, &value, &from, &zero, &from,
        &data,
    ];
    let retry: [&dyn Encodable; 12] = [
        &id, &nonce, &from, &cap, &gas, &retry_to, &value, &data, &request, &from, &zero, &zero,
    ];
    [
        own(
            0x69,
            &submission,
            json!({"from": from, "to": account(0x6e), "value": "0x0", "requestId": request,
                "l1BaseFee": cap, "depositValue": deposit, "retryTo": us(), "retryValue": value,
                "retryData": data, "beneficiary": from, "refundTo": from, "maxSubmissionFee": zero,
                "maxFeePerGas": cap, "gas": "0xc350"}),
            true,
        ),
        own(
            0x68,
            &retry,
            json!({"from": from, "to": us(), "value": value, "ticketId": request, "refundTo": from,
                "maxRefund": zero, "submissionFeeRefund": zero, "maxFeePerGas": cap, "gas": "0xc350"}),
            true,
        ),
    ]
}

/// Transactions of accounts, and of contracts, that were sent on Ethereum; the second one fails.
fn sent_below() -> [Entry; 2] {
    let (id, request, from) = (CHAIN_ID, B256::repeat_byte(3), bridge());
    let [cap, value] = [1_000, 4].map(U256::from);
    let (gas, nonce, data, to) = (50_000_u64, 3_u64, Bytes::new(), TxKind::Call(us()));
    let unsigned: [&dyn Encodable; 8] = [&id, &from, &nonce, &cap, &gas, &to, &value, &data];
    let contract: [&dyn Encodable; 8] = [&id, &request, &from, &cap, &gas, &to, &value, &data];
    [
        own(
            0x65,
            &unsigned,
            json!({"from": from, "to": us(), "value": value, "nonce": "0x3", "gas": "0xc350"}),
            true,
        ),
        own(
            0x66,
            &contract,
            json!({"from": from, "to": us(), "value": value, "requestId": request, "gas": "0xc350"}),
            false,
        ),
    ]
}

fn block() -> Built {
    let token = Plan::logs(vec![token_log(usdc(), payer(), us(), 25)]);
    let mut entries = Vec::new();
    entries.extend(internal_and_deposit());
    entries.extend(retryable());
    entries.extend(sent_below());
    entries.push(telling(planned(&token, 1), &told()));
    entries.push(telling(planned(&Plan::pay(us(), 5), 0), &told()));
    let header = Header {
        difficulty: U256::from(1),
        nonce: B64::with_last_byte(7),
        extra_data: Bytes::from(vec![0x5e; 32]),
        mix_hash: B256::repeat_byte(0x1b),
        ..header()
    };
    let mut built = assemble(header, &entries, None);
    built.block["l1BlockNumber"] = json!("0x15d6f00");
    built.block["sendRoot"] = json!(B256::repeat_byte(0x5e));
    built.block["sendCount"] = json!("0x1b1b1b1b1b1b1b1b");
    built
}

#[tokio::test]
async fn transactions_of_every_type_are_read() {
    let read = read_by(rules_of("arbitrum"), &block(), &json!({}), &[us(), payer()]).await;
    let read = read.unwrap();
    let expected = [
        ("eth", "1000"),
        ("eth", "30"),
        ("eth", "4"),
        ("usdc", "25"),
        ("eth", "5"),
    ];
    assert_eq!(paid(&read), amounts(expected));
    // What is paid for data is part of the gas.
    let fee = 21_000 * 10_000_000;
    let outflows = read.outflows.iter().map(|one| one.amount);
    let expected = [fee, fee + 5].map(|amount| Some(Amount::from_atomic(amount)));
    assert_eq!(outflows.collect::<Vec<_>>(), expected);
}

/// As tracers show it, too.
#[tokio::test]
async fn transactions_of_every_type_are_traced() {
    let built = block();
    let transactions = built.block["transactions"].as_array().unwrap();
    let calls = transactions.iter().zip(built.receipts.as_array().unwrap());
    let calls: Vec<Value> = calls
        .map(|(transaction, receipt)| {
            let mut call = json!({"type": "CALL", "from": transaction["from"], "to": transaction["to"],
                "value": transaction["value"], "beforeEVMTransfers": [], "afterEVMTransfers": []});
            if receipt["status"] == "0x0" {
                call["error"] = json!("execution reverted");
            }
            json!({"txHash": transaction["hash"], "result": call})
        })
        .collect();
    let traces = json!({ "callTracer": calls });
    let traced = read_by(rules_of("arbitrum"), &built, &traces, &[us()]).await;
    let plain = read_by(rules_of("arbitrum"), &built, &json!({}), &[us()]).await;
    assert_eq!(traced.unwrap().credits, plain.unwrap().credits);
}

#[tokio::test]
async fn lies_about_receipts_and_signed_transactions_are_found() {
    let receipts = "root of its receipts";
    let lies: [Lie; 8] = [
        (receipts, |told| told.receipts[5]["status"] = json!("0x1")),
        (receipts, |told| told.receipts[7]["status"] = json!("0x0")),
        (receipts, |told| {
            told.receipts[6]["logs"][0]["data"] = json!(B256::with_last_byte(26));
        }),
        (receipts, without_last),
        ("7 receipts for 8", |told| {
            told.receipts.as_array_mut().unwrap().pop();
        }),
        ("it says type 0x65", |told| {
            told.receipts[1]["type"] = json!("0x65");
        }),
        ("bloom of receipt 6", |told| {
            told.receipts[6]["logs"] = json!([]);
        }),
        ("transaction 7 is called", |told| {
            told.block["transactions"][7]["value"] = json!("0x6");
        }),
    ];
    refused(rules_of("arbitrum"), &block(), &lies).await;
}

/// What such a transaction carries is the node's word, where no trace contradicts it.
#[tokio::test]
async fn the_value_of_a_deposit_is_not_proven() {
    let mut told = block();
    told.block["transactions"][1]["value"] = json!("0x7d0");
    let read = read_by(rules_of("arbitrum"), &told, &json!({}), &[us()]).await;
    assert_eq!(
        paid(&read.unwrap())[0],
        ("eth".to_owned(), "2000".to_owned())
    );
}
