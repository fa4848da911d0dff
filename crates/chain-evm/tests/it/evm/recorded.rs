//! A block that anvil 1.7.1 made (rules of Prague), as it answered: a plain payment, a contract that
//! pays two accounts, one that goes on after a call that paid and failed, one that destroys itself, a
//! token, and a payment to a contract that fails. `balances` are what anvil said that the payees had.

use std::collections::BTreeMap;

use paywatch_chain::WatchTable;
use paywatch_chain_evm::address::parse_address;
use paywatch_chain_evm::{Assets, Inflows, ProvenBlock, Rules, prove, scan};
use paywatch_domain::{Amount, Asset, AssetKind, BlockHash, BlockRef};
use serde_json::Value;

use super::built::text;

fn recorded() -> Value {
    serde_json::from_str(include_str!("fixtures/anvil-payments.json")).unwrap()
}

fn proven(recorded: &Value) -> ProvenBlock {
    let at = BlockRef {
        height: 2,
        hash: BlockHash::new(&text(&recorded["block"]["hash"])),
    };
    let [block, receipts] = ["block", "receipts"].map(|part| recorded[part].to_string());
    prove(Rules::default(), &at, block.as_bytes(), receipts.as_bytes()).unwrap()
}

fn assets(recorded: &Value) -> Assets {
    let asset = |name: &str, kind| Asset {
        name: name.parse().unwrap(),
        kind,
        decimals: 6,
        dust: Amount::ZERO,
        caip19: "".into(),
    };
    let token = AssetKind::Token(text(&recorded["token"]).into());
    let listed = [
        asset("eth@anvil", AssetKind::Native),
        asset("usdc@anvil", token),
    ];
    Assets::new(&listed).unwrap()
}

#[test]
fn every_kind_of_trace_gives_what_the_payees_have() {
    let recorded = recorded();
    let block = proven(&recorded);
    let assets = assets(&recorded);
    let balances = recorded["balances"].as_object().unwrap();
    let mut watched = WatchTable::new(7);
    for payee in balances.keys() {
        watched.insert(parse_address(payee).unwrap().as_slice());
    }
    let answer = |part: &str| recorded[part].to_string();
    let by_calls = Inflows::from_calls(&block, answer("calls").as_bytes()).unwrap();
    let by_list = Inflows::from_block_trace(&block, answer("list").as_bytes()).unwrap();
    let by_balances = Inflows::from_balances(&block, answer("changes").as_bytes()).unwrap();
    let credits = |inflows: &Inflows| scan(&block, &assets, inflows, &watched).credits;
    assert_eq!(credits(&by_calls), credits(&by_list));
    assert_eq!(credits(&by_calls), credits(&by_balances));

    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    let mut tokens = Vec::new();
    for credit in credits(&by_calls) {
        if credit.asset.symbol() == "usdc" {
            tokens.push((credit.amount.decimal(0), credit.position.to_string()));
        } else {
            let payee = hex::encode_prefixed(&credit.key);
            let sum = sums.entry(payee).or_default();
            *sum = sum.checked_add(credit.amount).unwrap();
        }
    }
    let sums: BTreeMap<String, String> = sums
        .into_iter()
        .map(|(payee, sum)| (payee, sum.decimal(0)))
        .collect();
    let expected = balances
        .iter()
        .map(|(payee, sum)| (payee.clone(), text(sum)));
    assert_eq!(sums, expected.collect());
    assert_eq!(tokens, [("1000000".to_owned(), "log:0".to_owned())]);
}

/// Without a trace the plain payment is found, and what contracts paid is not.
#[test]
fn without_a_trace_plain_payments_are_found() {
    let recorded = recorded();
    let block = proven(&recorded);
    let inflows = Inflows::without_trace(Rules::default(), &block);
    let mut watched = WatchTable::new(7);
    for payee in recorded["balances"].as_object().unwrap().keys() {
        watched.insert(parse_address(payee).unwrap().as_slice());
    }
    let credits = scan(&block, &assets(&recorded), &inflows, &watched).credits;
    let amounts: Vec<String> = credits.iter().map(|one| one.amount.decimal(0)).collect();
    assert_eq!(amounts, ["1000000000000000000", "1000000"]);
}
