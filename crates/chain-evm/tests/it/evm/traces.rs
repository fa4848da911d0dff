//! What contracts pay, from every kind of trace: tables of cases, and traces that contradict the block.

use alloy_primitives::{Address, U256};
use paywatch_chain_evm::{Fault, Inflows, ProvenBlock};
use serde_json::{Value, json};

use super::built::{Built, Plan, account, build, payer};

/// A contract that is called, and what it calls.
const CONTRACT: u64 = 0xc0de;
const OTHER: u64 = 0x07e4;
const US: u64 = 0xbbbb;

/// A call: type, from, to, value, whether it failed, and the calls inside of it.
struct Call(&'static str, u64, u64, u64, bool, Vec<Call>);

fn call(from: u64, to: u64, value: u64, inside: Vec<Call>) -> Call {
    Call("CALL", from, to, value, false, inside)
}

fn failed(from: u64, to: u64, value: u64, inside: Vec<Call>) -> Call {
    Call("CALL", from, to, value, true, inside)
}

/// As `callTracer` shows it.
fn tree(call: &Call, from: Address) -> Value {
    let Call(kind, _, to, value, failed, inside) = call;
    let inside: Vec<Value> = inside
        .iter()
        .map(|call| tree(call, account(call.1)))
        .collect();
    let mut frame = json!({"type": kind, "from": from, "to": account(*to), "input": "0x"});
    if *kind != "STATICCALL" {
        frame["value"] = json!(U256::from(*value));
    }
    if *failed {
        frame["error"] = json!("execution reverted");
    }
    if !inside.is_empty() {
        frame["calls"] = json!(inside);
    }
    frame
}

/// As `trace_block` shows it.
fn flat(call: &Call, from: Address, place: &[usize], built: &Built, items: &mut Vec<Value>) {
    let Call(kind, _, to, value, failed, inside) = call;
    let (to, value) = (account(*to), U256::from(*value));
    let mut item = match *kind {
        "CREATE" | "CREATE2" => json!({
            "type": "create",
            "action": {"from": from, "value": value, "init": "0x"},
            "result": {"address": to},
        }),
        "SELFDESTRUCT" => json!({
            "type": "suicide",
            "action": {"address": from, "refundAddress": to, "balance": value},
        }),
        kind => json!({
            "type": "call",
            "action": {"from": from, "to": to, "value": value, "callType": kind.to_lowercase()},
        }),
    };
    if *failed {
        item["error"] = json!("Reverted");
        item["result"] = json!(null);
    }
    item["blockHash"] = json!(built.at.hash.as_str());
    item["subtraces"] = json!(inside.len());
    item["traceAddress"] = json!(place);
    item["transactionHash"] = json!(built.hash(0));
    item["transactionPosition"] = json!(0);
    items.push(item);
    for (number, call) in inside.iter().enumerate() {
        let place = [place, &[number]].concat();
        flat(call, account(call.1), &place, built, items);
    }
}

fn of_calls(built: &Built, traces: &Value) -> Result<Inflows, Fault> {
    Inflows::from_calls(&built.prove().unwrap(), traces.to_string().as_bytes())
}

fn of_flat(built: &Built, items: &Value) -> Result<Inflows, Fault> {
    Inflows::from_block_trace(&built.prove().unwrap(), items.to_string().as_bytes())
}

fn trees(built: &Built, call: &Call) -> Value {
    json!([{"txHash": built.hash(0), "result": tree(call, payer())}])
}

fn items(built: &Built, call: &Call) -> Value {
    let mut items = Vec::new();
    flat(call, payer(), &[], built, &mut items);
    json!(items)
}

fn to_us(inflows: &Inflows) -> Option<U256> {
    let mut found = inflows.of(0).filter(|(to, _)| *to == account(US));
    found.next().map(|(_, value)| value)
}

/// A call to us, from the contract that is called.
fn pay(value: u64) -> Call {
    call(CONTRACT, US, value, vec![])
}

/// A call of the contract to another one, which pays us 5.
fn nested(kind: &'static str, failed: bool) -> Call {
    let inside = vec![call(OTHER, US, 5, vec![])];
    Call(kind, CONTRACT, OTHER, 9, failed, inside)
}

/// Both kinds of traces of these calls of a contract must say that so much came to us.
fn gained<const N: usize>(cases: [(Vec<Call>, Option<u64>); N]) {
    let built = build(&[Plan::pay(account(CONTRACT), 100)], &[]);
    for (number, (inside, expected)) in cases.into_iter().enumerate() {
        let call = call(0, CONTRACT, 100, inside);
        let by_tree = of_calls(&built, &trees(&built, &call)).unwrap();
        assert_eq!(to_us(&by_tree), expected.map(U256::from), "{number}");
        let by_list = of_flat(&built, &items(&built, &call)).unwrap();
        assert_eq!(by_tree, by_list, "{number}");
    }
}

#[test]
fn what_contracts_pay_is_found() {
    let kind = |kind, value| Call(kind, CONTRACT, US, value, false, vec![]);
    let to_itself = call(US, US, 2, vec![]);
    gained([
        (vec![pay(7)], Some(7)),
        (vec![pay(7), pay(8)], Some(15)),
        (vec![pay(0)], None),
        (vec![call(CONTRACT, OTHER, 7, vec![])], None),
        (vec![nested("CALL", false)], Some(5)),
        (vec![kind("SELFDESTRUCT", 11)], Some(11)),
        (vec![kind("CREATE", 12)], Some(12)),
        (vec![kind("CREATE2", 13)], Some(13)),
        (vec![call(CONTRACT, US, 3, vec![to_itself])], Some(3)),
        // The value of these is their caller's, or none.
        (vec![nested("DELEGATECALL", false)], Some(5)),
        (vec![kind("DELEGATECALL", 100)], None),
        (vec![kind("CALLCODE", 100)], None),
        (vec![kind("STATICCALL", 0)], None),
    ]);
}

#[test]
fn what_was_undone_is_not_found() {
    let undone = || failed(CONTRACT, US, 7, vec![]);
    let deep = call(OTHER, CONTRACT, 0, vec![pay(5)]);
    let destroyed = Call("SELFDESTRUCT", OTHER, US, 11, false, vec![]);
    let created = Call("CREATE", OTHER, US, 12, false, vec![]);
    gained([
        (vec![undone()], None),
        (vec![undone(), pay(8)], Some(8)),
        (vec![nested("CALL", true)], None),
        (vec![nested("DELEGATECALL", true), pay(1)], Some(1)),
        (
            vec![failed(CONTRACT, OTHER, 9, vec![deep]), pay(1)],
            Some(1),
        ),
        (vec![failed(CONTRACT, OTHER, 0, vec![destroyed])], None),
        (vec![failed(CONTRACT, OTHER, 0, vec![created])], None),
        (vec![Call("CREATE2", CONTRACT, US, 13, true, vec![])], None),
    ]);
}

#[test]
fn a_transaction_that_failed_paid_nobody() {
    let built = build(&[Plan::pay(account(CONTRACT), 100).failing()], &[]);
    let call = failed(0, CONTRACT, 100, vec![call(CONTRACT, US, 7, vec![])]);
    for inflows in [
        of_calls(&built, &trees(&built, &call)),
        of_flat(&built, &items(&built, &call)),
    ] {
        assert_eq!(inflows.unwrap().of(0).count(), 0);
    }
}

#[test]
fn an_empty_error_is_none() {
    let built = contract_called();
    let call = call(0, CONTRACT, 100, vec![pay(7)]);
    let tree = with(&trees(&built, &call), "/0/result/calls/0/error", json!(""));
    let list = with(&items(&built, &call), "/1/error", json!(""));
    for inflows in [of_calls(&built, &tree), of_flat(&built, &list)] {
        assert_eq!(to_us(&inflows.unwrap()), Some(U256::from(7)));
    }
}

/// The machine allows 1024 calls inside of each other; a payer can make a block with them.
#[test]
fn a_thousand_calls_inside_of_each_other_are_read() {
    let mut nested = pay(7);
    for _ in 0..1022 {
        nested = call(CONTRACT, CONTRACT, 0, vec![nested]);
    }
    let built = build(&[Plan::pay(account(CONTRACT), 100)], &[]);
    let mut text = String::new();
    let mut open = 0;
    let mut next = Some(&call(0, CONTRACT, 100, vec![nested]));
    while let Some(call) = next {
        let from = if open == 0 { payer() } else { account(call.1) };
        let alone = tree(&Call(call.0, call.1, call.2, call.3, call.4, vec![]), from).to_string();
        text.push_str(alone.strip_suffix('}').unwrap());
        next = call.5.first();
        text.push_str(if next.is_some() { ",\"calls\":[" } else { "}" });
        open += 1;
    }
    text.push_str(&"]}".repeat(open - 1));
    let answer = format!("[{{\"txHash\":\"{}\",\"result\":{text}}}]", built.hash(0));
    let inflows = Inflows::from_calls(&built.prove().unwrap(), answer.as_bytes()).unwrap();
    assert_eq!(to_us(&inflows), Some(U256::from(7)));
}

type Read = fn(&ProvenBlock, &[u8]) -> Result<Inflows, Fault>;

/// The answer with another value at a place.
fn with(answer: &Value, place: &str, new: Value) -> Value {
    let mut answer = answer.clone();
    let (parent, field) = place.rsplit_once('/').unwrap();
    answer.pointer_mut(parent).unwrap()[field] = new;
    answer
}

/// The right answer must be read, and each of the others be refused with these words.
fn contradicts<const N: usize>(read: Read, right: &Value, cases: [(Value, &str); N]) {
    let built = contract_called();
    let proven = built.prove().unwrap();
    assert!(read(&proven, right.to_string().as_bytes()).is_ok());
    for (answer, words) in cases {
        let fault = read(&proven, answer.to_string().as_bytes()).unwrap_err();
        assert!(fault.to_string().contains(words), "{words}: {fault}");
    }
}

fn contract_called() -> Built {
    build(&[Plan::pay(account(CONTRACT), 100)], &[])
}

const ZERO: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn trees_that_contradict_the_block_are_refused() {
    let right = trees(&contract_called(), &call(0, CONTRACT, 100, vec![pay(7)]));
    let cases = [
        (json!(null), "null"),
        (json!([]), "0 traces for 1"),
        (json!([right[0], right[0]]), "2 traces for 1"),
        (
            with(&right, "/0/txHash", json!(ZERO)),
            "another transaction",
        ),
        (with(&right, "/0/result", json!(null)), "no result"),
        (
            with(&right, "/0/error", json!("timeout")),
            "not traced: timeout",
        ),
        (
            with(&right, "/0/result/to", json!(account(US))),
            "another account",
        ),
        (
            with(&right, "/0/result/value", json!("0x1")),
            "another value",
        ),
        (
            with(&right, "/0/result/error", json!("out of gas")),
            "otherwise than the receipt",
        ),
        (with(&right, "/0/result/type", json!("LEAP")), "type LEAP"),
        (
            with(&right, "/0/result/calls", json!([{}])),
            "cannot be read",
        ),
    ];
    contradicts(Inflows::from_calls, &right, cases);
}

#[test]
fn lists_that_contradict_the_block_are_refused() {
    let right = items(&contract_called(), &call(0, CONTRACT, 100, vec![pay(7)]));
    let moved = with(&right[1], "/traceAddress", json!([3, 0]));
    let cases = [
        (json!(null), "null"),
        (json!([]), "0 traces for 1"),
        (json!([right[0]]), "calls are missing"),
        (json!([right[1]]), "no outermost call"),
        (json!([right[0], moved]), "inside of one that is missing"),
        (
            json!([right[0], right[1], right[1]]),
            "two calls are at one place",
        ),
        (with(&right, "/0/blockHash", json!(ZERO)), "another block"),
        (
            with(&right, "/0/transactionHash", json!(ZERO)),
            "another transaction",
        ),
        (
            with(&right, "/0/error", json!("Reverted")),
            "otherwise than the receipt",
        ),
        (
            with(&right, "/1/action/callType", json!("leap")),
            "type call leap",
        ),
        (
            with(&right, "/1/transactionPosition", json!(null)),
            "of no transaction",
        ),
    ];
    contradicts(Inflows::from_block_trace, &right, cases);
}

#[test]
fn balances_that_contradict_the_block_are_refused() {
    let hash = contract_called().hash(0);
    let right = json!([{"txHash": hash, "result": {"pre": {}, "post": {}}}]);
    let cases = [
        (json!(null), "null"),
        (json!([]), "0 traces for 1"),
        (
            with(&right, "/0/txHash", json!(ZERO)),
            "another transaction",
        ),
        (
            with(&right, "/0/error", json!("timeout")),
            "not traced: timeout",
        ),
        (with(&right, "/0/result", json!(null)), "no result"),
        (
            with(&right, "/0/result/post", json!(null)),
            "cannot be read",
        ),
    ];
    contradicts(Inflows::from_balances, &right, cases);
}

/// Rewards for who makes blocks stand in the list too and are of no transaction.
#[test]
fn rewards_are_no_payment() {
    let built = build(&[], &[]);
    let reward = json!([{
        "type": "reward",
        "action": {"author": account(US), "rewardType": "block", "value": "0x5"},
        "blockHash": built.at.hash.as_str(),
        "result": null,
        "subtraces": 0,
        "traceAddress": [],
    }]);
    let inflows = of_flat(&built, &reward).unwrap();
    assert_eq!(inflows.of(0).count(), 0);
}

#[test]
fn balances_tell_what_remained() {
    let us = account(US);
    let balance = |value: u64| json!({"balance": U256::from(value)});
    let cases: [(&str, Value, Value, Option<u64>); 7] = [
        (
            "a new account",
            json!({}),
            json!({us.to_string(): balance(7)}),
            Some(7),
        ),
        (
            "a richer one",
            json!({us.to_string(): balance(5)}),
            json!({us.to_string(): balance(7)}),
            Some(2),
        ),
        (
            "an empty one",
            json!({us.to_string(): {}}),
            json!({us.to_string(): balance(7)}),
            Some(7),
        ),
        (
            "a poorer one",
            json!({us.to_string(): balance(7)}),
            json!({us.to_string(): balance(5)}),
            None,
        ),
        (
            "one that is gone",
            json!({us.to_string(): balance(7)}),
            json!({}),
            None,
        ),
        (
            "its nonce alone",
            json!({us.to_string(): balance(7)}),
            json!({us.to_string(): {"nonce": 3}}),
            None,
        ),
        (
            "somebody else",
            json!({}),
            json!({account(1).to_string(): balance(7)}),
            None,
        ),
    ];
    let built = build(&[Plan::pay(account(CONTRACT), 100)], &[]);
    let proven = built.prove().unwrap();
    for (name, pre, post, expected) in cases {
        let answer = json!([{"txHash": built.hash(0), "result": {"pre": pre, "post": post}}]);
        let inflows = Inflows::from_balances(&proven, answer.to_string().as_bytes()).unwrap();
        assert_eq!(to_us(&inflows), expected.map(U256::from), "{name}");
    }
}

/// Who makes the block gets its fees in the same balance; only the value that was sent counts.
#[test]
fn fees_are_no_payment() {
    let miner = account(0xfee);
    let gained = |plan: Plan| {
        let built = build(&[plan], &[]);
        let answer =
            json!([{"result": {"pre": {}, "post": {miner.to_string(): {"balance": "0x3e8"}}}}]);
        let proven = built.prove().unwrap();
        let inflows = Inflows::from_balances(&proven, answer.to_string().as_bytes()).unwrap();
        inflows.of(0).collect::<Vec<_>>()
    };
    assert_eq!(gained(Plan::pay(account(1), 100)), []);
    assert_eq!(gained(Plan::pay(miner, 100).failing()), []);
    assert_eq!(gained(Plan::pay(miner, 100)), [(miner, U256::from(100))]);
}
