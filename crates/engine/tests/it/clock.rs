//! A clock that jumps, and a node whose hints come without end.
//!
//! Goal: neither a wrong clock nor a wrong hint stops the polls, makes too many of them, or says what nobody
//! has looked at. Method: as in `scenarios`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::chain::payment;
use crate::house::House;
use crate::scenarios::{expect, stories};

stories!(
    a_clock_that_was_put_back_stops_no_poll,
    a_chain_that_was_covered_by_a_wrong_clock_sells_nothing,
    a_hint_that_always_comes_at_once_is_bounded,
);

const HOUR_MS: i64 = 3_600_000;

async fn a_clock_that_was_put_back_stops_no_poll(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let right = house.now;
    house.pass(HOUR_MS).await;
    expect(&house, id, "expired", &["created", "expired"]).await;
    assert!(right < house.row().await.covered_until.unwrap());
    house.pass(-HOUR_MS).await;
    assert_eq!(house.row().await.covered_until, Some(right), "at once");
    let now = house.now;
    let paid = payment("a", &key, 100_000, "in:0");
    house.chain.node().mine(vec![paid], now);
    house.poll().await;
    assert_eq!(house.show(id).await.status, "confirming");
    // The same while the node is away, whose errors set times to try again.
    house.chain.node().is_down = true;
    house.pass(HOUR_MS).await;
    assert!(house.row().await.problem.is_some());
    house.chain.node().is_down = false;
    house.pass(-HOUR_MS).await;
    house.poll().await;
    assert!(house.row().await.problem.is_none());
    house.mine(Vec::new()).await;
    assert_eq!(house.show(id).await.status, "paid");
}

async fn a_chain_that_was_covered_by_a_wrong_clock_sells_nothing(mut house: House) {
    let (id, _) = house.invoice(100_000, 900).await;
    house.pass(HOUR_MS).await;
    expect(&house, id, "expired", &["created", "expired"]).await;
    house.chain.node().is_down = true;
    house.pass(-HOUR_MS / 2).await;
    let body = serde_json::json!({
        "options": [{ "asset": crate::chain::asset().to_string(), "amount": "0.001" }],
    });
    let refused = house.create(&body, None).await;
    assert!(refused.is_err(), "nobody has looked: {refused:?}");
    assert_eq!(
        house.show(id).await.status,
        "created",
        "nor is it known whether it was paid in time"
    );
    house.chain.node().is_down = false;
    house.poll().await;
    house.create(&body, None).await.unwrap();
    assert_eq!(house.show(id).await.status, "expired");
}

async fn a_hint_that_always_comes_at_once_is_bounded(mut house: House) {
    house.chain.is_restless.store(true, Ordering::Relaxed);
    house.restart().await;
    house.poll().await;
    let waits = Arc::clone(&house.chain.waited);
    let waits = || waits.load(Ordering::Relaxed);
    let (waited, polled) = (waits(), house.chain.node().polled);
    house.settle().await;
    assert_eq!(waits(), waited, "no time has passed");
    for _ in 0..10 {
        house.pass(10).await;
    }
    let more = house.chain.node().polled - polled;
    assert!(
        (1..=3).contains(&more),
        "a hint makes a poll come sooner: {more}"
    );
    assert!(waits() <= waited + 3, "{} waits", waits() - waited);
}
