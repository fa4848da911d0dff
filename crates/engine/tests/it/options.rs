//! Invoices with several options, on two chains, each with a worker of its own.
//!
//! Goal: what is said does not depend on which chain is read first, one chain that cannot be read stops
//! only what waits for it, and no index is taken for nothing. Method: as for all stories.

use std::collections::BTreeSet;

use paywatch_domain::{InvoiceId, limits};
use paywatch_engine::commands::CommandError;
use paywatch_engine::high_water::HighWater as _;
use paywatch_wire::Invoice;
use serde_json::{Value, json};

use crate::chain::{asset, payment, payment_of, second_asset};
use crate::house::{House, REORG_DEPTH_MAX};
use crate::scenarios::{expect, stories};

stories!(
    the_order_in_which_chains_are_read_changes_nothing,
    two_workers_pay_one_invoice_at_the_same_time,
    money_that_came_first_stays_in_the_lead,
    too_little_beside_next_to_nothing_can_be_accepted,
    one_chain_down_keeps_an_invoice_from_expiring,
    one_chain_down_keeps_no_invoice_from_being_paid,
    a_chain_that_is_not_read_refuses_its_option_and_takes_no_index,
    options_that_cannot_be_served_are_named,
    several_indexes_are_taken_once,
    terms_are_kept_as_they_were_agreed,
);

const DUE_SAT: u64 = 100_000;

fn body(assets: &[&str]) -> Value {
    let options = assets
        .iter()
        .map(|asset| json!({ "asset": asset, "amount": "0.00100000" }));
    json!({ "options": options.collect::<Vec<_>>(), "expires_in_s": 900 })
}

fn both() -> Value {
    body(&[&asset().to_string(), &second_asset().to_string()])
}

/// An invoice with an option on each chain: its id and the watch keys.
async fn two_ways(house: &mut House) -> (InvoiceId, [Vec<u8>; 2]) {
    let (invoice, _) = house.create(&both(), None).await.unwrap();
    let key = |place: usize| {
        let address = invoice["options"][place]["address"].as_str();
        address.unwrap().as_bytes().to_vec()
    };
    (
        invoice["id"].as_str().unwrap().parse().unwrap(),
        [key(0), key(1)],
    )
}

/// Puts money into the mempool of one of the chains.
fn send(house: &House, place: usize, key: &[u8], sat: u64) {
    let tx = format!("{}-{sat}", String::from_utf8_lossy(key));
    let outpoint = format!("in-{tx}:0");
    if place == 0 {
        let paid = payment(&tx, key, sat, &outpoint);
        house.chain.node().pool.push(paid);
    } else {
        let paid = payment_of(second_asset(), &tx, key, sat, &outpoint);
        house.second_node().pool.push(paid);
    }
}

/// Mines everything that waits on one of the chains.
fn mine(house: &House, place: usize) {
    let now = house.now;
    let mut node = if place == 0 {
        house.chain.node()
    } else {
        house.second_node()
    };
    let waiting = node.pool.clone();
    node.mine(waiting, now);
}

/// Mines blocks without anything on the second chain.
fn mine_empty(house: &House, count: usize) {
    for _ in 0..count {
        house.second_node().mine(Vec::new(), house.now);
    }
}

/// What an invoice says apart from its ids.
fn gist(invoice: &Invoice) -> Value {
    let mut options = invoice.options.iter();
    let paid = options.position(|option| Some(&option.id) == invoice.paid_option.as_ref());
    let options = invoice.options.iter().map(|option| {
        let tally = &option.tally;
        let sums = (&tally.seen, &tally.confirming, &tally.finalized);
        json!([
            option.asset,
            option.status,
            option.payable,
            sums,
            tally.remaining,
            tally.excess
        ])
    });
    let options: Vec<Value> = options.collect();
    json!([
        invoice.status,
        invoice.payable,
        paid,
        options,
        invoice.waiting_for
    ])
}

async fn the_order_in_which_chains_are_read_changes_nothing(mut house: House) {
    house.follow_second().await;
    for sums in [
        [DUE_SAT, DUE_SAT],
        [40_000, DUE_SAT],
        [DUE_SAT, 60_000],
        [40_000, 60_000],
        [1, DUE_SAT],
    ] {
        let mut told: Vec<Vec<Value>> = Vec::new();
        for goes_first in [false, true] {
            house.second.as_mut().unwrap().goes_first = goes_first;
            let (id, keys) = two_ways(&mut house).await;
            for (place, key) in keys.iter().enumerate() {
                send(&house, place, key, sums[place]);
            }
            house.poll().await;
            let mut states = vec![gist(&house.show(id).await)];
            for _ in 0..3 {
                mine(&house, 0);
                mine(&house, 1);
                house.poll().await;
                states.push(gist(&house.show(id).await));
            }
            told.push(states);
        }
        assert_eq!(told[0], told[1], "{sums:?}");
        let paid = &told[0][3][2];
        let expected = sums.iter().position(|sum| *sum == DUE_SAT);
        assert_eq!(paid, &json!(expected), "{sums:?} {told:#?}");
    }
}

async fn two_workers_pay_one_invoice_at_the_same_time(mut house: House) {
    house.follow_second().await;
    let (id, keys) = two_ways(&mut house).await;
    for round in 1..=20 {
        for (place, key) in keys.iter().enumerate() {
            send(&house, place, key, 600 + round);
        }
        house.now = house.now.plus_ms(1_001);
        house.settle_together().await;
        mine(&house, 0);
        mine(&house, 1);
        house.now = house.now.plus_ms(1_001);
        house.settle_together().await;
    }
    for _ in 0..2 {
        mine(&house, 0);
        mine(&house, 1);
        house.now = house.now.plus_ms(1_001);
        house.settle_together().await;
    }
    let invoice = house.show(id).await;
    assert_eq!(invoice.transfers.len(), 40);
    for option in &invoice.options {
        assert_eq!(
            option.tally.finalized, "0.00012210",
            "each was counted once"
        );
    }
    assert!(house.said(id).await.len() > 25, "versions have no gaps");
}

async fn money_that_came_first_stays_in_the_lead(mut house: House) {
    house.follow_second().await;
    let (id, keys) = two_ways(&mut house).await;
    send(&house, 1, &keys[1], DUE_SAT);
    house.poll().await;
    let invoice = house.show(id).await;
    let payable: Vec<bool> = invoice
        .options
        .iter()
        .map(|option| option.payable)
        .collect();
    assert_eq!(payable, [false, true], "nobody is asked to pay twice");
    mine(&house, 1);
    house.poll().await;
    mine(&house, 1);
    house.poll().await;
    let said = ["created", "detected", "confirming", "paid"];
    expect(&house, id, "paid", &said).await;
    let second = house.show(id).await.options[1].id.clone();
    assert_eq!(house.show(id).await.paid_option, Some(second.clone()));
    send(&house, 0, &keys[0], DUE_SAT);
    house.poll().await;
    for _ in 0..3 {
        mine(&house, 0);
        house.poll().await;
    }
    let invoice = house.show(id).await;
    assert_eq!(
        (&*invoice.status, invoice.paid_option),
        ("paid", Some(second))
    );
    assert_eq!(
        invoice.options[0].status, "paid",
        "and it has its own status"
    );
    let open = invoice.exceptions.iter().map(|exception| {
        let about = (
            &*exception.kind,
            exception.option_id.as_deref().unwrap(),
            exception.amount.as_deref().unwrap(),
        );
        (about, &*exception.state)
    });
    let about = ("other_option", &*invoice.options[0].id, "0.00100000");
    assert_eq!(open.collect::<Vec<_>>(), [(about, "open")]);
    let said = house.said(id).await;
    let opened = said.iter().filter(|kind| *kind == "exception.opened");
    assert_eq!(opened.count(), 1, "told once: {said:?}");
}

/// A few satoshi at one option lead, and must not take the merchant's choice about the rest away.
async fn too_little_beside_next_to_nothing_can_be_accepted(mut house: House) {
    house.follow_second().await;
    let (id, keys) = two_ways(&mut house).await;
    send(&house, 0, &keys[0], 1_000);
    house.poll().await;
    send(&house, 1, &keys[1], DUE_SAT - 5_000);
    for _ in 0..4 {
        mine(&house, 0);
        mine(&house, 1);
        house.poll().await;
    }
    house.pass(1_000_000).await;
    house.poll().await;
    let invoice = house.show(id).await;
    let mut open = invoice.exceptions.iter();
    let beside = open.find(|one| one.kind == "other_option").unwrap();
    assert_eq!(
        beside.option_id.as_ref(),
        Some(&invoice.options[1].id),
        "{invoice:#?}"
    );
    let accept = serde_json::json!({ "action": "accept_partial", "reason": "close enough" });
    house.resolve(&beside.id, &accept).await.unwrap();
    let paid = house.show(id).await;
    assert_eq!(
        (&*paid.status, paid.paid_option),
        ("paid", Some(invoice.options[1].id.clone()))
    );
}

async fn one_chain_down_keeps_an_invoice_from_expiring(mut house: House) {
    house.follow_second().await;
    let (id, _) = two_ways(&mut house).await;
    house.second_node().is_down = true;
    for _ in 0..4 {
        house.pass(300_000).await;
    }
    let invoice = house.show(id).await;
    assert_eq!((&*invoice.status, invoice.payable), ("created", false));
    assert!(invoice.waiting_for.is_empty(), "not for so short a time");
    house.pass(limits::WAITING_FOR_AFTER_MS).await;
    house.housekeeper().step(house.now).await;
    expect(&house, id, "created", &["created", "updated"]).await;
    let waiting = house.show(id).await.waiting_for;
    assert_eq!(waiting, [second_asset().chain().to_string()]);
    house.pass(5_000).await;
    house.housekeeper().step(house.now).await;
    expect(&house, id, "created", &["created", "updated"]).await;
    house.second_node().is_down = false;
    house.pass(5_000).await;
    expect(&house, id, "expired", &["created", "updated", "expired"]).await;
    assert!(house.show(id).await.waiting_for.is_empty());
}

async fn one_chain_down_keeps_no_invoice_from_being_paid(mut house: House) {
    house.follow_second().await;
    let (id, keys) = two_ways(&mut house).await;
    house.second_node().is_down = true;
    house.pass(60_000).await;
    send(&house, 0, &keys[0], DUE_SAT);
    house.poll().await;
    for _ in 0..4 {
        house.pass(300_000).await;
    }
    for _ in 0..2 {
        mine(&house, 0);
        house.poll().await;
    }
    let said = ["created", "detected", "confirming", "paid"];
    expect(&house, id, "paid", &said).await;
    house.pass(limits::WAITING_FOR_AFTER_MS).await;
    house.housekeeper().step(house.now).await;
    let waiting = house.show(id).await.waiting_for;
    assert_eq!(waiting, [second_asset().chain().to_string()]);
    // What was paid on the other chain meanwhile, in time by its block, is found when it comes back.
    let paid_at = house.now.plus_ms(-limits::WAITING_FOR_AFTER_MS - 1_200_000);
    let late = payment_of(second_asset(), "late", &keys[1], 30_000, "late:0");
    {
        let mut node = house.second_node();
        node.is_down = false;
        node.mine(vec![late], paid_at);
        node.mine(Vec::new(), paid_at);
    }
    house.pass(60_000).await;
    let invoice = house.show(id).await;
    assert_eq!((&*invoice.status, invoice.payable), ("paid", false));
    assert_eq!(invoice.paid_option, Some(invoice.options[0].id.clone()));
    assert_eq!(invoice.options[1].status, "underpaid");
    assert!(invoice.waiting_for.is_empty());
}

/// The pointers and codes of a refusal.
fn faults(refused: Result<(Value, bool), CommandError>) -> (&'static str, Vec<(String, String)>) {
    let (kind, errors) = match refused {
        Err(CommandError::Fields(errors)) => ("fields", errors),
        Err(CommandError::Unavailable(errors)) => ("unavailable", errors),
        other => panic!("{other:?}"),
    };
    let errors = errors.into_iter().map(|error| (error.pointer, error.code));
    (kind, errors.collect())
}

fn fault(pointer: &str, code: &str) -> (String, String) {
    (pointer.into(), code.into())
}

async fn a_chain_that_is_not_read_refuses_its_option_and_takes_no_index(mut house: House) {
    let never_read = faults(house.create(&both(), None).await);
    let on_second = vec![fault("/options/1", "chain_unavailable")];
    assert_eq!(never_read, ("unavailable", on_second.clone()));
    house.follow_second().await;
    house.create(&both(), None).await.unwrap();
    house.second_node().is_down = true;
    house.pass(30_000).await;
    house.create(&both(), None).await.unwrap();
    house.pass(31_000).await;
    let lagging = faults(house.create(&both(), None).await);
    assert_eq!(lagging, ("unavailable", on_second.clone()));
    house
        .create(&body(&[&asset().to_string()]), None)
        .await
        .unwrap();
    house.second_node().is_down = false;
    house.pass(5_000).await;
    house.create(&both(), None).await.unwrap();
    // A reorganisation beyond the limit halts the second chain only.
    let deep = usize::try_from(REORG_DEPTH_MAX).unwrap() + 1;
    mine_empty(&house, deep);
    house.poll().await;
    house.second_node().drop_blocks(deep);
    mine_empty(&house, deep + 1);
    house.poll().await;
    let before = house.next_index().await;
    let halted = faults(house.create(&both(), None).await);
    assert_eq!(halted, ("unavailable", on_second));
    assert_eq!(
        house.next_index().await,
        before,
        "no index is taken for nothing"
    );
    house
        .create(&body(&[&asset().to_string()]), None)
        .await
        .unwrap();
}

async fn options_that_cannot_be_served_are_named(mut house: House) {
    house.follow_second().await;
    let regtest = asset().to_string();
    let foreign = body(&[&regtest, "eth@sepolia"]);
    let missing = vec![fault("/options/1/wallet_id", "wallet_missing")];
    assert_eq!(
        faults(house.create(&foreign, None).await),
        ("fields", missing)
    );
    let mut other_family = foreign.clone();
    other_family["options"][1]["wallet_id"] = json!(house.wallet.to_string());
    let wrong = vec![fault("/options/1/wallet_id", "wallet_other_family")];
    assert_eq!(
        faults(house.create(&other_family, None).await),
        ("fields", wrong)
    );
    let mut unknown = both();
    for place in 0..2 {
        unknown["options"][place]["wallet_id"] = json!("wal_00000000000000000000000000");
    }
    let all = vec![
        fault("/options/0/wallet_id", "wallet_unknown"),
        fault("/options/1/wallet_id", "wallet_unknown"),
    ];
    assert_eq!(faults(house.create(&unknown, None).await), ("fields", all));
    assert_eq!(house.next_index().await, 0, "no index was taken");
}

async fn several_indexes_are_taken_once(mut house: House) {
    house.follow_second().await;
    let (first, replayed) = house.create(&both(), Some("one")).await.unwrap();
    assert!(!replayed);
    let address = |invoice: &Value, place: usize| {
        let text = invoice["options"][place]["address"].as_str();
        text.unwrap().to_owned()
    };
    assert_ne!(
        address(&first, 0),
        address(&first, 1),
        "an address of its own for each"
    );
    assert_eq!(house.next_index().await, 2);
    let again = house.create(&both(), Some("one")).await.unwrap();
    assert_eq!(again, (first.clone(), true));
    assert_eq!(
        house.next_index().await,
        2,
        "an answer that is repeated takes nothing"
    );
    let mut other = both();
    other["order_id"] = json!("A-1");
    let reused = house.create(&other, Some("one")).await;
    assert!(matches!(reused, Err(CommandError::IdempotencyReused)));
    // As after a restored backup: the mark outside the database is ahead of the counter.
    let node = format!("{:x}", "shop".len());
    assert_eq!(house.marks.read(&node).unwrap(), 2, "raised behind both");
    house.marks.raise(&node, 40).await.unwrap();
    let mut seen = BTreeSet::from([address(&first, 0), address(&first, 1)]);
    for expected in [42, 44, 46] {
        let (invoice, _) = house.create(&both(), None).await.unwrap();
        assert!(seen.insert(address(&invoice, 0)) && seen.insert(address(&invoice, 1)));
        assert_eq!(house.next_index().await, expected);
        assert_eq!(house.marks.read(&node).unwrap(), expected);
    }
}

async fn terms_are_kept_as_they_were_agreed(mut house: House) {
    house.follow_second().await;
    let mut asked = both();
    asked["order_id"] = json!("A-1001");
    asked["late_window_s"] = json!(77);
    asked["metadata"] = json!({ "b": 1.5, "a": [1, null] });
    asked["tolerance"] = json!({ "under_percent": "0.5", "over_amount": "0.00002" });
    asked["options"][1]["amount"] = json!("0.002");
    asked["price"] = json!({ "amount": "49.99", "currency": "USD" });
    let depths = json!({ "bitcoin-regtest": { "depth": 1 }, "btc@bitcoin-signet": { "depth": 4 } });
    asked["policy"] = json!({ "tiers": [
        { "up_to": { "amount": "10.00", "currency": "USD" }, "finality": { "bitcoin-regtest": { "depth": 9 } } },
        { "finality": depths },
    ] });
    let (made, _) = house.create(&asked, None).await.unwrap();
    let id: InvoiceId = made["id"].as_str().unwrap().parse().unwrap();
    for _ in 0..3 {
        mine(&house, 0);
        mine(&house, 1);
        house.pass(400_000).await;
    }
    house.restart().await;
    let shown = serde_json::to_value(house.show(id).await).unwrap();
    assert_eq!(shown["status"], "expired");
    for field in [
        "order_id",
        "price",
        "policy",
        "metadata",
        "created_at",
        "expires_at",
        "late_until",
    ] {
        assert_eq!(shown[field], made[field], "{field}");
    }
    assert_eq!(shown["metadata"], asked["metadata"]);
    assert_eq!(shown["policy"]["tiers"][1]["finality"], depths);
    for (place, (depth, least, most)) in [(1, 99_500, 102_000), (4, 199_000, 202_000)]
        .into_iter()
        .enumerate()
    {
        let option = &shown["options"][place];
        assert_eq!(option["finality"], json!({ "depth": depth }));
        for field in [
            "id",
            "asset",
            "caip19",
            "address",
            "amount_atomic",
            "wallet_id",
            "payment_uri",
        ] {
            assert_eq!(option[field], made["options"][place][field], "{field}");
        }
        let bounds = house.bounds(id, place).await;
        assert_eq!(bounds, (least, most));
    }
}
