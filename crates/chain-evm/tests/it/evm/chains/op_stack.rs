//! Base and Optimism: deposits from the chain below, fees for it, and a root of something else where
//! Ethereum has the root of withdrawals.
//!
//! Deposits: <https://specs.optimism.io/protocol/deposits.html>; the nonce and the version in the root of
//! receipts: <https://specs.optimism.io/protocol/canyon/overview.html>; the root of a contract's storage:
//! <https://specs.optimism.io/protocol/isthmus/exec-engine.html>; `blobGasUsed` without blobs:
//! <https://docs.base.org/base-chain/specs/upgrades/jovian/exec-engine>. The names in answers are those of
//! <https://github.com/ethereum-optimism/op-geth> (`internal/ethapi/api.go`).

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_rlp::Encodable;
use paywatch_domain::Amount;
use serde_json::{Value, json};

use super::{
    Lie, Own, amounts, header, paid, read_by, refused, rules_of, telling, us, usdc, without_last,
};
use crate::evm::built::{Plan, account, payer, planned, token_log};
use crate::evm::shape::{Built, Entry, assemble};

const CHAINS: [&str; 2] = ["base", "optimism"];

/// Somebody whose deposit fails.
fn unlucky() -> Address {
    account(0xcccc)
}

struct Deposit {
    from: Address,
    to: Address,
    mint: u64,
    value: u64,
    succeeds: bool,
}

/// A deposit; before Canyon its receipt has a nonce in answers, and none under the root.
fn deposit(number: u8, deposit: &Deposit, before_canyon: bool) -> Entry {
    let (source, to) = (B256::repeat_byte(number), TxKind::Call(deposit.to));
    let (mint, value) = (U256::from(deposit.mint), U256::from(deposit.value));
    let (gas, is_system, data) = (1_000_000_u64, false, Bytes::from(vec![number; 5]));
    let fields: [&dyn Encodable; 8] = [
        &source,
        &deposit.from,
        &to,
        &mint,
        &value,
        &gas,
        &is_system,
        &data,
    ];
    let nonce = 0x0012_3456_u64 + u64::from(number);
    let mut answer = json!({
        "sourceHash": source, "from": deposit.from, "to": deposit.to, "value": value, "input": data,
        "gas": format!("{gas:#x}"), "nonce": format!("{nonce:#x}"),
    });
    if 0 < deposit.mint {
        answer["mint"] = json!(mint);
    }
    let mut receipt = json!({ "depositNonce": format!("{nonce:#x}") });
    if !before_canyon {
        receipt["depositReceiptVersion"] = json!("0x1");
        answer["depositReceiptVersion"] = json!("0x1");
    }
    let tail = [nonce, 1];
    Own {
        kind: 0x7e,
        fields: &fields,
        answer,
        succeeds: deposit.succeeds,
        logs: vec![],
        receipt,
        tail: if before_canyon { &[] } else { &tail },
    }
    .entry()
}

/// What receipts of signed transactions tell of fees.
fn fees() -> Value {
    json!({
        "gasUsed": "0x5208", "effectiveGasPrice": "0x3b9aca00", "l1Fee": "0x77", "l1GasUsed": "0x640",
        "l1GasPrice": "0x3", "l1BaseFeeScalar": "0x8dd", "l1BlobBaseFee": "0x1",
        "l1BlobBaseFeeScalar": "0x101c12", "operatorFeeScalar": "0x0", "operatorFeeConstant": "0x0",
        "daFootprintGasScalar": "0x190", "blobGasUsed": "0x9c40",
    })
}

/// What the chain does itself, a deposit that is also created here, one that fails, a plain payment, and
/// one with a token.
fn block(before_canyon: bool) -> Built {
    let attributes = Deposit {
        from: "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001"
            .parse()
            .unwrap(),
        to: "0x4200000000000000000000000000000000000015"
            .parse()
            .unwrap(),
        mint: 0,
        value: 0,
        succeeds: true,
    };
    let ours = Deposit {
        from: us(),
        to: us(),
        mint: 1_000,
        value: 1_000,
        succeeds: true,
    };
    let failing = Deposit {
        from: unlucky(),
        to: us(),
        mint: 500,
        value: 500,
        succeeds: false,
    };
    let token = Plan::logs(vec![token_log(usdc(), payer(), us(), 25)]);
    let entries = [
        deposit(1, &attributes, before_canyon),
        deposit(2, &ours, before_canyon),
        deposit(3, &failing, before_canyon),
        telling(planned(&token, 1), &fees()),
        telling(planned(&Plan::pay(us(), 5), 0), &fees()),
    ];
    let header = Header {
        withdrawals_root: Some(B256::repeat_byte(0x57)),
        blob_gas_used: Some(80_000),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::repeat_byte(0x22)),
        requests_hash: Some(B256::repeat_byte(0x33)),
        extra_data: Bytes::from(vec![1; 17]),
        ..header()
    };
    assemble(header, &entries, Some(&[]))
}

/// The same payments, as tracers show them.
fn traces() -> Value {
    let balances = |before: u64, after: u64, of: Address| {
        let balance = |value| json!({of.to_string(): {"balance": U256::from(value)}});
        json!({"result": {"pre": balance(before), "post": balance(after)}})
    };
    let call = |from: Address, to: Address, value: u64| json!({"type": "CALL", "from": from, "to": to, "value": U256::from(value), "input": "0x"});
    let mut undone = call(unlucky(), us(), 500);
    undone["error"] = json!("execution reverted");
    let system: Address = "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001"
        .parse()
        .unwrap();
    let block = "0x4200000000000000000000000000000000000015"
        .parse()
        .unwrap();
    let calls = [
        call(system, block, 0),
        call(us(), us(), 1_000),
        undone,
        call(payer(), account(0xc0de), 0),
        call(payer(), us(), 5),
    ];
    json!({
        "prestateTracer": [
            {"result": {"pre": {}, "post": {}}},
            balances(0, 1_000, us()),
            balances(0, 500, unlucky()),
            {"result": {"pre": {}, "post": {}}},
            balances(1_000, 1_005, us()),
        ],
        "callTracer": calls.map(|call| json!({"result": call})),
    })
}

#[tokio::test]
async fn deposits_and_payments_are_read_whatever_is_traced() {
    let both = traces();
    let alone = |name: &str| json!({name: both[name]});
    for chain in CHAINS {
        let rules = rules_of(chain);
        for traces in [json!({}), alone("prestateTracer"), alone("callTracer")] {
            for built in [block(false), block(true)] {
                let watched = [us(), unlucky(), payer()];
                let read = read_by(rules, &built, &traces, &watched).await.unwrap();
                let ours = [("eth", "1000"), ("usdc", "25"), ("eth", "5")];
                assert_eq!(paid(&read), amounts(ours), "{chain} {traces}");
                // What was created for a deposit that failed stays with who sent it.
                let theirs = read
                    .credits
                    .iter()
                    .filter(|one| *one.key == *unlucky().as_slice());
                let theirs: Vec<String> = theirs.map(|one| one.amount.decimal(0)).collect();
                assert_eq!(theirs, ["500"], "{chain} {traces}");
                assert_eq!(*read.credits[0].tx_id.as_str(), built.hash(1));
            }
        }
    }
}

/// What the sender of a transaction pays for the chain below is part of what it took from its account; a
/// deposit takes nothing.
#[tokio::test]
async fn fees_for_the_chain_below_are_part_of_what_was_paid_out() {
    let watched = [us(), unlucky(), payer()];
    let built = block(false);
    let read = read_by(rules_of("base"), &built, &json!({}), &watched).await;
    let fee = 21_000 * 1_000_000_000 + 0x77;
    let found: Vec<_> = read.unwrap().outflows;
    let found: Vec<_> = found.iter().map(|one| (one.nonce, one.amount)).collect();
    let expected = [(1, fee), (0, fee + 5)];
    assert_eq!(
        found,
        expected.map(|(nonce, amount)| (nonce, Some(Amount::from_atomic(amount))))
    );
}

#[tokio::test]
async fn lies_about_deposits_and_receipts_are_found() {
    let receipts = "root of its receipts";
    let lies: [Lie; 11] = [
        (receipts, |told| told.receipts[2]["status"] = json!("0x1")),
        (receipts, |told| {
            told.receipts[1]["depositNonce"] = json!("0x1");
        }),
        (receipts, |told| {
            told.receipts[1]["depositReceiptVersion"] = json!(null);
        }),
        (receipts, |told| {
            told.receipts[3]["logs"][0]["data"] = json!(B256::with_last_byte(26));
        }),
        ("0 receipts for 5", |told| told.receipts = json!([])),
        ("transaction 1 is called", |told| {
            told.block["transactions"][1]["mint"] = json!("0x7d0");
        }),
        ("transaction 2 is called", |told| {
            told.block["transactions"][2]["mint"] = json!(null);
        }),
        ("transaction 1 is called", |told| {
            told.block["transactions"][1]["sourceHash"] = json!(B256::ZERO);
        }),
        ("transaction 1 is called", |told| {
            told.block["transactions"][1]["from"] = json!(account(1));
        }),
        ("root of its transactions", without_last),
        ("do not go together", |told| {
            told.block["withdrawals"] = json!([{
                "index": "0x1", "validatorIndex": "0x1", "address": us(), "amount": "0x1",
            }]);
        }),
    ];
    for chain in CHAINS {
        refused(rules_of(chain), &block(false), &lies).await;
    }
}
