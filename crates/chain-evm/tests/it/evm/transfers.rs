//! Which transfers of a proven block are credited, and which are not.

use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Log, U256};
use paywatch_chain::{Block, WatchTable};
use paywatch_chain_evm::{Assets, AssetsError, Inflows, Rules, scan};
use paywatch_domain::{Amount, Asset, AssetKind};

use super::built::{Built, Plan, TRANSFER, account, build, log, payer, text, token_log};

const PAYER: u64 = 0xaaaa;
const US: u64 = 0xbbbb;
const USDC: u64 = 0x0dc0;
const SYSTEM: &str = "0xfffffffffffffffffffffffffffffffffffffffe";

fn us() -> Address {
    account(US)
}

fn asset(name: &str, kind: AssetKind) -> Asset {
    Asset {
        name: name.parse().unwrap(),
        kind,
        decimals: 6,
        dust: Amount::ZERO,
        caip19: "".into(),
    }
}

fn token(name: &str, contract: &str) -> Asset {
    asset(name, AssetKind::Token(contract.into()))
}

pub(crate) fn assets() -> Assets {
    let contract = account(USDC).to_string();
    let listed = [
        asset("eth@ethereum", AssetKind::Native),
        token("usdc@ethereum", &contract),
    ];
    Assets::new(&listed).unwrap()
}

/// Asset, amount, position and transaction of each credit.
pub(crate) fn credits(block: &Block) -> Vec<(String, String, String, String)> {
    let credits = block.credits.iter();
    let parts = credits.map(|credit| {
        (
            credit.asset.to_string(),
            credit.amount.decimal(0),
            credit.position.to_string(),
            credit.tx_id.to_string(),
        )
    });
    parts.collect()
}

pub(crate) fn watching(accounts: &[Address]) -> WatchTable {
    let mut watched = WatchTable::new(0x1234_5678_9abc_def0_0fed_cba9_8765_4321);
    for account in accounts {
        watched.insert(account.as_slice());
    }
    watched
}

fn scanned(rules: Rules, built: &Built) -> Block {
    let proven = built.prove_by(rules).unwrap();
    let inflows = Inflows::without_trace(rules, &proven);
    scan(&proven, &assets(), &inflows, &watching(&[us()]))
}

/// Asset, amount and position of what is credited for one transaction.
fn credited(plan: Plan) -> Vec<(String, String, String)> {
    let built = build(&[plan], &[]);
    let credits = credits(&scanned(Rules::default(), &built));
    credits
        .into_iter()
        .map(|(asset, amount, position, tx_id)| {
            assert_eq!(tx_id, built.hash(0));
            (asset, amount, position)
        })
        .collect()
}

fn one(asset: &str, amount: &str, position: &str) -> Vec<(String, String, String)> {
    vec![(asset.to_owned(), amount.to_owned(), position.to_owned())]
}

fn native() -> String {
    format!("native:{}", us().to_string().to_lowercase())
}

#[test]
fn plain_payments_count_when_they_succeeded() {
    assert_eq!(
        credited(Plan::pay(us(), 5)),
        one("eth@ethereum", "5", &native())
    );
    for plan in [
        Plan::pay(us(), 5).failing(),
        Plan::pay(us(), 0),
        Plan::pay(account(1), 5),
        Plan {
            to: None,
            ..Plan::pay(us(), 5)
        },
    ] {
        assert_eq!(credited(plan), []);
    }
}

#[test]
fn what_an_account_sends_to_itself_is_nothing() {
    let built = build(&[Plan::pay(payer(), 5)], &[]);
    let proven = built.prove().unwrap();
    let inflows = Inflows::without_trace(Rules::default(), &proven);
    let block = scan(&proven, &assets(), &inflows, &watching(&[payer()]));
    assert_eq!(block.credits, []);
    let log = token_log(account(USDC), us(), us(), 5);
    assert_eq!(credited(Plan::logs(vec![log])), []);
}

/// A contract that is not configured has no name that can be asked for, whatever it calls itself.
#[test]
fn a_transfer_of_another_contract_is_not_of_a_listed_token() {
    let foreign = token_log(account(0xfa4e), account(PAYER), us(), 7);
    let name = "unlisted:0x000000000000000000000000000000000000fa4e@ethereum";
    assert_eq!(credited(Plan::logs(vec![foreign])), one(name, "7", "log:0"));
    let system = token_log(SYSTEM.parse().unwrap(), account(PAYER), us(), 7);
    assert_eq!(credited(Plan::logs(vec![system])), []);
}

/// Torture cases: forged, unindexed, ERC-721, zero, dirty and misshapen transfers.
#[test]
fn only_exact_transfers_of_listed_tokens_count() {
    let usdc = account(USDC);
    let right = |to: Address, value| token_log(usdc, account(PAYER), to, value);
    let [from, to] = [account(PAYER), us()].map(|account| account.into_word());
    let word = U256::from(7).to_be_bytes_vec();
    let shaped = |topics: &[B256], data: &[u8]| log(usdc, topics.to_vec(), data.to_vec());
    let mut dirty = to;
    dirty.0[0] = 1;
    let wrong: [(&str, Log); 11] = [
        ("to somebody else", right(account(1), 7)),
        ("of nothing", right(us(), 0)),
        ("another event", shaped(&[B256::ZERO, from, to], &word)),
        (
            "unindexed",
            shaped(&[TRANSFER], &[&from[..], &to[..], &word].concat()),
        ),
        (
            "half indexed",
            shaped(&[TRANSFER, from], &[&to[..], &word].concat()),
        ),
        (
            "of ERC-721",
            shaped(&[TRANSFER, from, to, B256::with_last_byte(7)], &[]),
        ),
        ("without topics", shaped(&[], &word)),
        (
            "to a dirty address",
            shaped(&[TRANSFER, from, dirty], &word),
        ),
        (
            "from a dirty address",
            shaped(&[TRANSFER, dirty, to], &word),
        ),
        ("without data", shaped(&[TRANSFER, from, to], &[])),
        (
            "of two words",
            shaped(&[TRANSFER, from, to], &word.repeat(2)),
        ),
    ];
    for (name, wrong) in wrong {
        assert_eq!(credited(Plan::logs(vec![wrong.clone()])), [], "{name}");
        // The place in the transaction counts every log; others do not hide a right one.
        let both = Plan::logs(vec![wrong, right(us(), 9)]);
        assert_eq!(credited(both), one("usdc@ethereum", "9", "log:1"), "{name}");
    }
    let failed = Plan::logs(vec![right(us(), 7)]).failing();
    assert_eq!(credited(failed), []);
    let largest = shaped(&[TRANSFER, from, to], &[0xff; 32]);
    let amount = Amount::MAX.decimal(0);
    assert_eq!(
        credited(Plan::logs(vec![largest])),
        one("usdc@ethereum", &amount, "log:0")
    );
}

#[test]
fn positions_are_unique_and_count_inside_of_the_transaction() {
    let pay = || token_log(account(USDC), account(PAYER), us(), 3);
    let built = build(
        &[Plan::logs(vec![pay()]), Plan::logs(vec![pay(), pay()])],
        &[],
    );
    let credits = credits(&scanned(Rules::default(), &built));
    let places: Vec<(&str, &str)> = credits.iter().map(|one| (&*one.3, &*one.2)).collect();
    let [first, second] = [built.hash(0), built.hash(1)];
    let expected = [(&*first, "log:0"), (&*second, "log:0"), (&*second, "log:1")];
    assert_eq!(places, expected);
}

#[test]
fn withdrawals_count_and_have_no_transaction() {
    let paid = |index, address, amount| Withdrawal {
        index,
        validator_index: 3,
        address,
        amount,
    };
    let built = build(
        &[],
        &[
            paid(70, us(), 2),
            paid(71, account(1), 2),
            paid(72, us(), 0),
            paid(73, us(), 1),
        ],
    );
    let block = scanned(Rules::default(), &built);
    let found: Vec<_> = credits(&block)
        .into_iter()
        .map(|one| (one.3, one.1))
        .collect();
    let expected = [
        ("withdrawal:70", "2000000000"),
        ("withdrawal:73", "1000000000"),
    ];
    assert_eq!(
        found,
        expected.map(|(id, amount)| (id.to_owned(), amount.to_owned()))
    );
}

/// EIP-7708: the logs hold the transaction's own value too, and are of no token.
#[test]
fn logs_of_native_moves_count_once_and_only_where_the_chain_has_them() {
    let system: Address = SYSTEM.parse().unwrap();
    let moved = |to, value| token_log(system, account(PAYER), to, value);
    let with = Rules {
        native_logs: true,
        ..Rules::default()
    };
    let plain = Plan {
        logs: vec![moved(us(), 5)],
        ..Plan::pay(us(), 5)
    };
    let batch = Plan::logs(vec![moved(us(), 2), moved(account(1), 9), moved(us(), 3)]);
    let before_the_fork = Plan::pay(us(), 4);
    let cases = [
        (plain.clone(), with, Some("5")),
        (plain.clone(), Rules::default(), Some("5")),
        (batch.clone(), with, Some("5")),
        (batch.clone(), Rules::default(), None),
        (before_the_fork, with, Some("4")),
        (batch.failing(), with, None),
    ];
    for (plan, rules, expected) in cases {
        let block = scanned(rules, &build(&[plan], &[]));
        let amounts: Vec<String> = credits(&block).into_iter().map(|one| one.1).collect();
        assert_eq!(amounts, Vec::from_iter(expected.map(str::to_owned)));
    }
}

#[test]
fn the_port_gets_the_block_as_its_header_says() {
    let built = build(&[Plan::pay(us(), 5)], &[]);
    let block = scanned(Rules::default(), &built);
    assert_eq!(block.at, built.at);
    assert_eq!(block.parent.as_str(), text(&built.block["parentHash"]));
    assert_eq!(block.time.0, 1_700_000_000_000);
    assert_eq!(&*block.credits[0].key, us().as_slice());
    let length = built.block.to_string().len() + built.receipts.to_string().len();
    assert_eq!(block.bytes, length);
}

#[test]
fn lists_of_assets_that_cannot_be_are_refused() {
    let eth = asset("eth@ethereum", AssetKind::Native);
    let usdc = token(
        "usdc@ethereum",
        "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
    );
    let same = token("usd@ethereum", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48");
    let cases = [
        (vec![usdc.clone()], "add it"),
        (
            vec![eth.clone(), asset("weth@ethereum", AssetKind::Native)],
            "keep one",
        ),
        (
            vec![eth.clone(), usdc.clone(), same],
            "usd@ethereum and usdc@ethereum",
        ),
        (vec![eth.clone(), token("x@ethereum", SYSTEM)], "no token"),
        (
            vec![
                eth.clone(),
                token("x@ethereum", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB49"),
            ],
            "checksum",
        ),
        (
            vec![eth.clone(), token("x@ethereum", "usdc")],
            "40 hexadecimal digits",
        ),
    ];
    for (listed, words) in cases {
        let error: AssetsError = Assets::new(&listed).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(Assets::new(&[eth, usdc]).is_ok());
}
