//! Ethereum, and BNB Chain by the same rules: logs of the coin's moves (<https://eips.ethereum.org/EIPS/eip-7708>),
//! withdrawals (<https://eips.ethereum.org/EIPS/eip-4895>), and plain payments that fail, as those with gas of old
//! do where an account must be made (<https://eips.ethereum.org/EIPS/eip-2780>).

use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, U256};
use paywatch_chain_evm::Rules;
use serde_json::{Value, json};

use super::{Lie, amounts, paid, read_by, refused, rules_of, us, usdc, without_last};
use crate::evm::built::{Plan, account, build, payer, token_log};
use crate::evm::shape::Built;

const CHAINS: [&str; 2] = ["ethereum", "bnb"];

fn system() -> Address {
    "0xfffffffffffffffffffffffffffffffffffffffe"
        .parse()
        .unwrap()
}

/// A plain payment, a contract that pays twice and moves a token, a payment that fails, and two
/// withdrawals; the coin's moves are logged.
fn block() -> Built {
    let contract = account(0xc0de);
    let moved = |from, to, value| token_log(system(), from, to, value);
    let plain = Plan {
        logs: vec![moved(payer(), us(), 5)],
        ..Plan::pay(us(), 5)
    };
    let batch = Plan::logs(vec![
        moved(contract, us(), 2),
        token_log(usdc(), payer(), us(), 25),
        moved(contract, us(), 3),
        moved(contract, account(1), 4),
    ]);
    let withdrawal = |index, address| Withdrawal {
        index,
        validator_index: 3,
        address,
        amount: 2,
    };
    build(
        &[plain, batch, Plan::pay(us(), 7).failing()],
        &[withdrawal(70, us()), withdrawal(71, account(1))],
    )
}

/// The same payments by every tracer.
fn traces() -> Value {
    let balance = |value: u64| json!({us().to_string(): {"balance": U256::from(value)}});
    let contract = account(0xc0de);
    let call = |from: Address, to: Address, value: u64| json!({"type": "CALL", "from": from, "to": to, "value": U256::from(value)});
    let mut batch = call(payer(), contract, 0);
    batch["calls"] = json!([
        call(contract, us(), 2),
        call(contract, us(), 3),
        call(contract, account(1), 4)
    ]);
    let mut failed = call(payer(), us(), 7);
    failed["error"] = json!("out of gas");
    let calls = [call(payer(), us(), 5), batch, failed];
    json!({
        "prestateTracer": [
            {"result": {"pre": {}, "post": balance(5)}},
            {"result": {"pre": balance(5), "post": balance(10)}},
            {"result": {"pre": {}, "post": {}}},
        ],
        "callTracer": calls.map(|call| json!({"result": call})),
    })
}

#[tokio::test]
async fn the_coin_is_counted_once_and_is_no_token() {
    let (built, both) = (block(), traces());
    let alone = |name: &str| json!({name: both[name]});
    for chain in CHAINS {
        let shipped = rules_of(chain);
        let logging = Rules {
            native_logs: true,
            ..shipped
        };
        let all = [
            ("eth", "5"),
            ("eth", "5"),
            ("usdc", "25"),
            ("eth", "2000000000"),
        ];
        let none = json!({});
        let (balances, calls) = (alone("prestateTracer"), alone("callTracer"));
        for (rules, traces) in [
            (logging, &none),
            (logging, &balances),
            (logging, &calls),
            (shipped, &balances),
            (shipped, &calls),
        ] {
            let read = read_by(rules, &built, traces, &[us()]).await.unwrap();
            assert_eq!(paid(&read), amounts(all), "{chain} {rules:?} {traces}");
            assert_eq!(read.credits[3].tx_id.as_str(), "withdrawal:70");
        }
        // Without logs that count, and without traces, what the contract paid is for balances to tell.
        let read = read_by(shipped, &built, &none, &[us()]).await.unwrap();
        let seen = [("eth", "5"), ("usdc", "25"), ("eth", "2000000000")];
        assert_eq!(paid(&read), amounts(seen), "{chain}");
    }
}

#[tokio::test]
async fn a_plain_payment_that_fails_is_none() {
    let built = build(&[Plan::pay(us(), 7).failing()], &[]);
    let call =
        json!({"type": "CALL", "from": payer(), "to": us(), "value": "0x7", "error": "out of gas"});
    for traces in [
        json!({}),
        json!({"callTracer": [{"result": call}]}),
        json!({"prestateTracer": [{"result": {"pre": {}, "post": {}}}]}),
    ] {
        let read = read_by(rules_of("ethereum"), &built, &traces, &[us()]).await;
        assert_eq!(paid(&read.unwrap()), [], "{traces}");
    }
}

#[tokio::test]
async fn lies_about_withdrawals_and_failures_are_found() {
    let withdrawals = "root of its withdrawals";
    let lies: [Lie; 7] = [
        (withdrawals, |told| {
            told.block["withdrawals"][1]["address"] = json!(us());
        }),
        (withdrawals, |told| {
            told.block["withdrawals"][0]["amount"] = json!("0x3");
        }),
        (withdrawals, |told| {
            told.block["withdrawals"].as_array_mut().unwrap().pop();
        }),
        ("do not go together", |told| {
            told.block["withdrawals"] = json!(null);
        }),
        ("root of its receipts", |told| {
            told.receipts[2]["status"] = json!("0x1");
        }),
        ("root of its receipts", |told| {
            let more = json!(B256::with_last_byte(9));
            told.receipts[1]["logs"][0]["data"] = more;
        }),
        ("root of its transactions", without_last),
    ];
    for chain in CHAINS {
        refused(rules_of(chain), &block(), &lies).await;
    }
}
