//! Deliveries: claims, order, release of the next, health of endpoints.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use paywatch_domain::{DeliveryId, EventId, Mode, UnixMillis};
use tokio::sync::Notify;

use super::bed::{Bed, NOW, on_both, unit};
use super::scene::Scene;
use crate::deliveries::{
    self, Claimed, DeliveryState, EndpointHealth, EndpointMax, Outcome, Recorded,
};
use crate::{Conn, Cursor, Store, endpoints, events};

/// Later than everything that the scenes make due.
const LATER: UnixMillis = UnixMillis(NOW.0 + 10_000);

/// Half as much for endpoints that fail.
fn at_most(healthy: u32) -> EndpointMax {
    EndpointMax {
        healthy,
        failing: healthy.div_ceil(2),
    }
}

async fn claim(store: &Store, now: UnixMillis, limit: u32, endpoint_max: u32) -> Vec<Claimed> {
    unit!(store, [], |tx| {
        let lease_until = now.plus_ms(60_000);
        deliveries::claim(tx, now, limit, at_most(endpoint_max), lease_until).await
    })
    .await
    .unwrap()
}

fn outcome(claimed: &Claimed, at: UnixMillis, outcome: Outcome) -> Recorded {
    let is_delivered = outcome == Outcome::Delivered;
    Recorded {
        delivery: claimed.delivery,
        started_at: at,
        duration_ms: 5,
        status_code: is_delivered.then_some(200),
        error: (!is_delivered).then(|| "refused\0".to_owned()),
        answer: "ok\0".into(),
        outcome,
    }
}

async fn record(store: &Store, recorded: Vec<Recorded>, now: UnixMillis) -> Vec<EndpointHealth> {
    unit!(store, [recorded], |tx| deliveries::record(
        tx, &recorded, now
    )
    .await)
    .await
    .unwrap()
}

fn events_of(claimed: &[Claimed]) -> Vec<EventId> {
    claimed.iter().map(|one| one.event_id).collect()
}

fn event_ids(numbers: &[u128]) -> Vec<EventId> {
    numbers.iter().copied().map(EventId::from_bits).collect()
}

/// Two invoices with three and one events to one endpoint.
async fn scene(store: &Store) -> Scene {
    let scene = Scene::new(store.clone()).await;
    scene.endpoint(1, &[]).await;
    let (one, two) = (scene.invoice(1).await, scene.invoice(2).await);
    let events = vec![
        scene.event(1, Some((one, 1))),
        scene.event(2, Some((one, 2))),
        scene.event(3, Some((one, 3))),
        scene.event(4, Some((two, 1))),
    ];
    scene.append(events).await.unwrap();
    scene
}

async fn next_due(conn: &mut Conn, now: UnixMillis) -> Option<UnixMillis> {
    deliveries::outlook(conn, now, at_most(3))
        .await
        .unwrap()
        .next
}

async fn a_claim_holds_until_it_runs_out(_: &Bed, store: Store) {
    let scene = scene(&store).await;
    assert!(
        claim(&store, NOW, 10, 10).await.is_empty(),
        "nothing is due yet"
    );
    let claimed = claim(&store, LATER, 10, 10).await;
    assert_eq!(
        events_of(&claimed),
        event_ids(&[1, 4]),
        "the heads of both queues"
    );
    let first = &claimed[0];
    assert_eq!(first.body, scene.event(1, None).body);
    assert_eq!(
        (first.url.as_str(), first.secret.as_slice()),
        ("https://shop.test/1", &[1][..])
    );
    assert_eq!((first.attempt_count, first.mode), (0, Mode::Test));
    assert_eq!(
        (first.merchant, first.merchant_id),
        (scene.merchant, super::scene::merchant_id())
    );
    assert!(
        claim(&store, LATER, 10, 10).await.is_empty(),
        "they are under way"
    );
    let mut conn = store.read().await.unwrap();
    let next = next_due(&mut conn, LATER).await;
    assert_eq!(next, Some(LATER.plus_ms(60_000)), "when the claims run out");
    let again = claim(&store, LATER.plus_ms(60_000), 10, 10).await;
    assert_eq!(again.len(), 2, "whoever had them is gone");
    let unclaimed = unit!(store, [], |tx| deliveries::unclaim_all(tx).await);
    assert_eq!(unclaimed.await.unwrap(), 2);
    assert_eq!(
        claim(&store, LATER, 1, 10).await.len(),
        1,
        "no more than asked for"
    );
}

async fn the_next_of_a_queue_waits_for_the_one_before(_: &Bed, store: Store) {
    let _scene = scene(&store).await;
    let claimed = claim(&store, LATER, 10, 10).await;
    let recorded = vec![
        outcome(&claimed[0], LATER, Outcome::Delivered),
        outcome(&claimed[1], LATER, Outcome::Exhausted),
    ];
    record(&store, recorded, LATER).await;
    let second = claim(&store, LATER, 10, 10).await;
    assert_eq!(events_of(&second), event_ids(&[2]));
    // Two failures hold the third event back, the third failure lets it pass.
    let mut now = LATER;
    let mut head = second;
    for failure in 1..=3 {
        let retry = Outcome::Retry {
            due_at: now.plus_ms(100),
        };
        record(&store, vec![outcome(&head[0], now, retry)], now).await;
        now = now.plus_ms(100);
        head = claim(&store, now, 10, 10).await;
        let expected: &[u128] = if failure < 3 { &[2] } else { &[3, 2] };
        assert_eq!(
            events_of(&head),
            event_ids(expected),
            "after failure {failure}"
        );
        let retried = head
            .iter()
            .find(|one| one.event_id == EventId::from_bits(2));
        assert_eq!(retried.unwrap().attempt_count, failure);
    }
    // The one that was overtaken arrives; nothing else is released by that.
    let recorded = head
        .iter()
        .map(|one| outcome(one, now, Outcome::Delivered))
        .collect();
    record(&store, recorded, now).await;
    assert!(claim(&store, now.plus_s(1000), 10, 10).await.is_empty());
    let mut conn = store.read().await.unwrap();
    let backlog = deliveries::backlog(&mut conn).await.unwrap();
    assert_eq!((backlog.count, backlog.oldest_due_at), (0, None));
}

async fn an_event_after_a_failed_one_waits_too(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    scene.endpoint(1, &[]).await;
    let invoice = scene.invoice(1).await;
    scene
        .append(vec![scene.event(1, Some((invoice, 1)))])
        .await
        .unwrap();
    let head = claim(&store, LATER, 10, 10).await;
    let retry = Outcome::Retry {
        due_at: LATER.plus_ms(500),
    };
    record(&store, vec![outcome(&head[0], LATER, retry)], LATER).await;
    scene
        .append(vec![scene.event(2, Some((invoice, 2)))])
        .await
        .unwrap();
    assert!(claim(&store, LATER, 10, 10).await.is_empty());
    let mut conn = store.read().await.unwrap();
    let next = next_due(&mut conn, LATER).await;
    assert_eq!(next, Some(LATER.plus_ms(500)));
    let backlog = deliveries::backlog(&mut conn).await.unwrap();
    assert_eq!(backlog.oldest_due_at, Some(LATER.plus_ms(500)));
}

async fn attempts_are_kept_and_shown(_: &Bed, store: Store) {
    let scene = scene(&store).await;
    let claimed = claim(&store, LATER, 10, 10).await;
    let retry = Outcome::Retry { due_at: LATER };
    record(&store, vec![outcome(&claimed[0], LATER, retry)], LATER).await;
    let claimed = claim(&store, LATER, 10, 10).await;
    record(
        &store,
        vec![outcome(&claimed[0], LATER, Outcome::Delivered)],
        LATER,
    )
    .await;
    let mut conn = store.read().await.unwrap();
    let page = deliveries::page(&mut conn, scene.merchant, Mode::Test, &Cursor::Newest, 10).await;
    let page = page.unwrap();
    assert_eq!(page.rows.len(), 4);
    let oldest = page.rows.last().unwrap();
    assert_eq!(
        (oldest.state, oldest.attempt_count),
        (DeliveryState::Delivered, 2)
    );
    assert_eq!(
        (oldest.due_at, oldest.finished_at),
        (None, Some(LATER.plus_ms(5)))
    );
    let got = deliveries::get(&mut conn, scene.merchant, Mode::Test, oldest.id)
        .await
        .unwrap();
    assert_eq!(got.as_ref(), Some(oldest));
    let attempts = deliveries::attempts(&mut conn, oldest.key).await.unwrap();
    let codes: Vec<Option<u16>> = attempts.iter().map(|attempt| attempt.status_code).collect();
    assert_eq!(codes, [None, Some(200)]);
    assert_eq!(attempts[0].error.as_deref(), Some("refused\u{fffd}"));
    assert_eq!(
        (attempts[1].number, attempts[1].error.as_deref()),
        (2, None)
    );
    assert_eq!(attempts[1].answer, "ok\u{fffd}");
}

async fn a_slow_endpoint_does_not_hold_up_the_others(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let slow = scene.endpoint(1, &[]).await;
    for number in 1..=9 {
        let mut event = scene.event(number, None);
        event.only = Some(slow);
        scene.append(vec![event]).await.unwrap();
    }
    let quick = scene.endpoint(2, &[]).await;
    let mut event = scene.event(10, None);
    event.only = Some(quick);
    scene.append(vec![event]).await.unwrap();
    let mut conn = store.read().await.unwrap();
    let is_claimable = async |conn: &mut _, now| {
        let outlook = deliveries::outlook(conn, now, at_most(3)).await;
        outlook.unwrap().is_claimable
    };
    assert!(!is_claimable(&mut conn, NOW).await, "nothing is due yet");
    assert!(is_claimable(&mut conn, LATER).await);
    let claimed = claim(&store, LATER, 5, 3).await;
    let of = |claimed: &[Claimed], endpoint| {
        claimed
            .iter()
            .filter(|one| one.endpoint == endpoint)
            .count()
    };
    assert_eq!(
        (of(&claimed, slow), of(&claimed, quick)),
        (2, 1),
        "a share for each"
    );
    let claimed = claim(&store, LATER, 5, 3).await;
    assert_eq!(
        (of(&claimed, slow), of(&claimed, quick)),
        (1, 0),
        "three under way are enough"
    );
    assert!(claim(&store, LATER, 5, 3).await.is_empty());
    assert!(!is_claimable(&mut conn, LATER).await, "no slot is free");
    assert!(is_claimable(&mut conn, LATER.plus_ms(60_000)).await);
    let next = next_due(&mut conn, LATER).await;
    assert_eq!(
        next,
        Some(LATER.plus_ms(60_000)),
        "what waits for a slot is not next"
    );
}

async fn two_claims_at_once_never_have_the_same(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    scene.endpoint(1, &[]).await;
    for number in 1..=20 {
        scene.append(vec![scene.event(number, None)]).await.unwrap();
    }
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        let (one, two) = join(claim(&store, LATER, 4, 100), claim(&store, LATER, 4, 100)).await;
        for claimed in one.iter().chain(&two) {
            assert!(
                seen.insert(claimed.delivery),
                "{:?} twice",
                claimed.delivery
            );
        }
    }
    assert!(12 <= seen.len());
}

async fn an_endpoint_that_fails_gets_less_at_a_time(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    scene.endpoint(1, &[]).await;
    for number in 1..=9 {
        scene.append(vec![scene.event(number, None)]).await.unwrap();
    }
    let claimed = claim(&store, LATER, 10, 6).await;
    assert_eq!(claimed.len(), 6);
    let retry = Outcome::Retry { due_at: LATER };
    let failed = claimed[..5].iter().map(|one| outcome(one, LATER, retry));
    record(&store, failed.collect(), LATER).await;
    let mut conn = store.read().await.unwrap();
    let outlook = async |conn: &mut _| deliveries::outlook(conn, LATER, at_most(6)).await.unwrap();
    assert!(outlook(&mut conn).await.is_claimable);
    let again = claim(&store, LATER, 10, 6).await;
    assert_eq!(
        again.len(),
        2,
        "three at a time, and one is still under way"
    );
    assert!(!outlook(&mut conn).await.is_claimable);
    record(
        &store,
        vec![outcome(&claimed[5], LATER, Outcome::Delivered)],
        LATER,
    )
    .await;
    assert!(outlook(&mut conn).await.is_claimable);
    assert_eq!(claim(&store, LATER, 10, 6).await.len(), 4, "six again");
}

async fn an_endpoint_that_only_fails_is_known(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let endpoint = scene.endpoint(1, &[]).await;
    for number in 1..=3 {
        scene.append(vec![scene.event(number, None)]).await.unwrap();
    }
    let claimed = claim(&store, LATER, 10, 10).await;
    let retry = Outcome::Retry { due_at: LATER };
    let at = |ms| LATER.plus_ms(ms);
    let failed = |index: usize, ms| outcome(&claimed[index], at(ms), retry);
    let health = record(&store, vec![failed(1, 20), failed(0, 10)], LATER).await;
    assert_eq!(health[0].failing_since, Some(at(15)), "the first failure");
    assert_eq!(
        (health[0].endpoint, health[0].merchant),
        (endpoint, scene.merchant)
    );
    let claimed = claim(&store, LATER, 10, 10).await;
    let failed = outcome(&claimed[0], at(30), retry);
    let health = record(&store, vec![failed], LATER).await;
    assert_eq!(health[0].failing_since, Some(at(15)), "still the first");
    let claimed = claim(&store, LATER, 10, 10).await;
    let mixed = vec![outcome(&claimed[0], at(50), Outcome::Delivered)];
    let health = record(&store, mixed, LATER).await;
    assert_eq!(health[0].failing_since, None, "a success");
}

async fn a_disabled_endpoint_gets_nothing_more(_: &Bed, store: Store) {
    let scene = scene(&store).await;
    let claimed = claim(&store, LATER, 10, 10).await;
    let endpoint = claimed[0].endpoint;
    let id = claimed[0].endpoint_id;
    for expected in [true, false] {
        let off = unit!(store, [], |tx| endpoints::disable(
            tx, endpoint, "410", LATER
        )
        .await);
        assert_eq!(off.await.unwrap(), expected);
    }
    // One was under way and arrives, the other one fails.
    let retry = Outcome::Retry { due_at: LATER };
    let recorded = vec![
        outcome(&claimed[0], LATER, Outcome::Delivered),
        outcome(&claimed[1], LATER, retry),
    ];
    assert!(
        record(&store, recorded, LATER).await.is_empty(),
        "its health is no matter"
    );
    assert!(claim(&store, LATER.plus_s(100), 10, 10).await.is_empty());
    let mut conn = store.read().await.unwrap();
    let page = deliveries::page(&mut conn, scene.merchant, Mode::Test, &Cursor::Newest, 10).await;
    let states: Vec<DeliveryState> = page.unwrap().rows.iter().map(|row| row.state).collect();
    let (dropped, arrived) = (DeliveryState::Dropped, DeliveryState::Delivered);
    assert_eq!(states, [dropped, dropped, dropped, arrived]);
    let off = endpoints::get(&mut conn, scene.merchant, Mode::Test, id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (off.is_enabled, off.disabled_reason.as_deref()),
        (false, Some("410"))
    );
    let on = unit!(store, [], |tx| endpoints::enable(tx, endpoint).await);
    assert!(on.await.unwrap());
    assert!(
        claim(&store, LATER.plus_s(100), 10, 10).await.is_empty(),
        "dropped is dropped"
    );
}

/// Goal: nothing stays due to an endpoint that is disabled while an event is stored. Method: a unit is
/// held open after it has read the endpoints; disabling has to wait for it, and then drops all.
#[tokio::test]
async fn disabling_waits_for_events_that_are_being_stored_on_postgres() {
    super::bed::run(Bed::pg().await, async |_: &Bed, store: Store| {
        let scene = Scene::new(store.clone()).await;
        let (one, two) = (scene.endpoint(1, &[]).await, scene.endpoint(2, &[]).await);
        // Its delivery goes elsewhere, so that no foreign key locks the first endpoint.
        let mut first = scene.event(1, None);
        first.only = Some(two);
        let mut second = scene.event(2, None);
        second.only = Some(one);
        let (read, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let append = unit!(store, [first, second, read, go_on], |tx| {
            events::append(tx, &[first], &mut || 1).await?;
            read.notify_one();
            go_on.notified().await;
            events::append(tx, &[second], &mut || 2).await
        });
        let disable = async {
            read.notified().await;
            let off = unit!(store, [], |tx| endpoints::disable(tx, one, "410", LATER)
                .await);
            let mut off = pin!(off);
            let soon = tokio::time::timeout(Duration::from_millis(300), off.as_mut());
            assert!(soon.await.is_err(), "disabling waits");
            go_on.notify_one();
            off.await
        };
        let (append, off) = join(append, disable).await;
        append.unwrap();
        assert!(off.unwrap());
        let claimed = claim(&store, LATER, 10, 10).await;
        assert_eq!(events_of(&claimed), event_ids(&[1]));
        let mut conn = store.read().await.unwrap();
        let backlog = deliveries::backlog(&mut conn).await.unwrap();
        assert_eq!(backlog.count, 1, "nothing is due to the disabled one");
    })
    .await;
}

async fn a_redelivery_is_outside_of_the_order(_: &Bed, store: Store) {
    let scene = scene(&store).await;
    let claimed = claim(&store, LATER, 10, 10).await;
    record(
        &store,
        vec![outcome(&claimed[0], LATER, Outcome::Delivered)],
        LATER,
    )
    .await;
    let (id, new_id) = (claimed[0].id, DeliveryId::from_bits(77));
    let merchant = scene.merchant;
    let again = unit!(store, [], |tx| {
        deliveries::redeliver(tx, merchant, Mode::Test, id, new_id, LATER).await
    });
    assert!(again.await.unwrap());
    let other_mode = unit!(store, [], |tx| {
        let new_id = DeliveryId::from_bits(78);
        deliveries::redeliver(tx, merchant, Mode::Live, id, new_id, LATER).await
    });
    assert!(!other_mode.await.unwrap());
    let claimed = claim(&store, LATER, 10, 10).await;
    assert_eq!(
        events_of(&claimed),
        event_ids(&[2, 1]),
        "beside the next of its queue"
    );
    let redelivered = &claimed[1];
    assert_eq!((redelivered.id, redelivered.invoice), (new_id, None));
    assert_eq!(
        redelivered.body,
        scene.event(1, None).body,
        "the same bytes"
    );
}

/// Goal: no delivery is ever stuck. Method: one side appends events to one invoice while the other one
/// claims and records; in the end everything has arrived, in order.
async fn appending_and_recording_at_once_leaves_nothing_behind(_: &Bed, store: Store) {
    const EVENTS: u64 = 30;
    let scene = Scene::new(store.clone()).await;
    scene.endpoint(1, &[]).await;
    let invoice = scene.invoice(1).await;
    let writer = async {
        for version in 1..=EVENTS {
            scene
                .append(vec![scene.event(version, Some((invoice, version)))])
                .await
                .unwrap();
        }
    };
    let deliverer = async {
        let mut arrived = Vec::new();
        let mut idle = 0;
        while arrived.len() < 30 && idle < 3000 {
            let claimed = claim(&store, LATER, 10, 10).await;
            idle = if claimed.is_empty() { idle + 1 } else { 0 };
            let done = claimed
                .iter()
                .map(|one| outcome(one, LATER, Outcome::Delivered));
            let done: Vec<Recorded> = done.collect();
            arrived.extend(events_of(&claimed));
            if !done.is_empty() {
                record(&store, done, LATER).await;
            }
        }
        arrived
    };
    let ((), arrived) = join(writer, deliverer).await;
    let expected: Vec<u128> = (1..=u128::from(EVENTS)).collect();
    assert_eq!(arrived, event_ids(&expected), "all of them, in order");
}

on_both!(
    a_claim_holds_until_it_runs_out,
    the_next_of_a_queue_waits_for_the_one_before,
    an_event_after_a_failed_one_waits_too,
    attempts_are_kept_and_shown,
    a_slow_endpoint_does_not_hold_up_the_others,
    two_claims_at_once_never_have_the_same,
    an_endpoint_that_fails_gets_less_at_a_time,
    an_endpoint_that_only_fails_is_known,
    a_disabled_endpoint_gets_nothing_more,
    a_redelivery_is_outside_of_the_order,
    appending_and_recording_at_once_leaves_nothing_behind,
);
