//! Events: fan-out, versions without doubles, and reading in the order of commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join, join_all};
use paywatch_domain::{EventId, EventType, Mode};
use tokio::sync::Notify;

use super::bed::{Bed, NOW, on_both, unit};
use super::scene::Scene;
use crate::events::{self, NewEvent};
use crate::sql::statements;
use crate::{Cursor, Store, StoreError, endpoints, invoices};

statements! {
    DELIVERIES = "SELECT d.endpoint, v.seq, d.due_at FROM deliveries AS d JOIN events AS v ON v.seq = d.event
        ORDER BY d.id";
    /// The second event was committed before the first.
    RESTORE = "UPDATE events SET ",
        (lite "seq = seq", pg "xid = 1000000 + CASE seq WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE seq END");
}

/// Endpoint, event and due time of every delivery.
async fn deliveries(store: &Store) -> Vec<(i64, i64, Option<i64>)> {
    let mut conn = store.read().await.unwrap();
    conn.fetch(DELIVERIES, &[]).await.unwrap()
}

async fn ids_after(scene: &Scene, after: i64) -> Vec<EventId> {
    let mut conn = scene.store.read().await.unwrap();
    let rows = events::after(&mut conn, scene.merchant, Mode::Test, after, 100).await;
    rows.unwrap().into_iter().map(|row| row.id).collect()
}

async fn an_event_goes_to_every_endpoint_that_asks_for_it(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let all = scene.endpoint(1, &[]).await;
    let paid = scene
        .endpoint(2, &[EventType::Paid, EventType::Created])
        .await;
    scene.endpoint(3, &[EventType::Expired]).await;
    let off = scene.endpoint(4, &[]).await;
    unit!(store, [], |tx| endpoints::disable(tx, off, "test", NOW)
        .await)
    .await
    .unwrap();
    let invoice = scene.invoice(1).await;
    scene
        .append(vec![scene.event(1, Some((invoice, 1)))])
        .await
        .unwrap();
    let due = NOW.plus_ms(1).0;
    assert_eq!(
        deliveries(&store).await,
        [(all.0, 1, Some(due)), (paid.0, 1, Some(due))]
    );
    let mut live = scene.event(2, None);
    live.mode = Mode::Live;
    let mut only = scene.event(3, None);
    only.only = Some(all);
    only.kind = EventType::EndpointTest;
    scene.append(vec![live, only]).await.unwrap();
    let due = NOW.plus_ms(3).0;
    assert_eq!(deliveries(&store).await[2..], [(all.0, 3, Some(due))]);
}

async fn only_the_head_of_a_queue_is_due(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    scene.endpoint(1, &[]).await;
    let (one, two) = (scene.invoice(1).await, scene.invoice(2).await);
    let events = vec![
        scene.event(1, Some((one, 1))),
        scene.event(2, Some((one, 2))),
        scene.event(3, Some((two, 1))),
        scene.event(4, None),
        scene.event(5, None),
    ];
    scene.append(events).await.unwrap();
    scene
        .append(vec![scene.event(6, Some((two, 2)))])
        .await
        .unwrap();
    let due: Vec<bool> = deliveries(&store)
        .await
        .iter()
        .map(|row| row.2.is_some())
        .collect();
    assert_eq!(due, [true, false, true, true, true, false]);
}

async fn a_version_is_said_once(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let invoice = scene.invoice(1).await;
    scene
        .append(vec![scene.event(1, Some((invoice, 1)))])
        .await
        .unwrap();
    let twice = scene.append(vec![scene.event(2, Some((invoice, 1)))]).await;
    assert!(
        matches!(twice, Err(StoreError::Conflict("event_version"))),
        "{twice:?}"
    );
    assert_eq!(ids_after(&scene, 0).await, [EventId::from_bits(1)]);
}

async fn events_are_read_back_byte_for_byte_and_by_cursor(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let invoice = scene.invoice(1).await;
    let other = scene.invoice(2).await;
    for version in 1..=4 {
        scene
            .append(vec![scene.event(version, Some((invoice, version)))])
            .await
            .unwrap();
    }
    scene
        .append(vec![scene.event(5, Some((other, 1)))])
        .await
        .unwrap();
    let mut conn = store.read().await.unwrap();
    let rows = events::after(&mut conn, scene.merchant, Mode::Test, 0, 2)
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].body, scene.event(1, None).body);
    assert_eq!((rows[0].kind, rows[0].version), (EventType::Paid, Some(1)));
    assert_eq!(rows[0].invoice, Some(invoice));
    let rest = ids_after(&scene, rows[1].seq).await;
    assert_eq!(rest, [3, 4, 5].map(EventId::from_bits));
    let elsewhere = events::after(&mut conn, scene.merchant, Mode::Live, rows[1].seq, 2).await;
    assert!(matches!(elsewhere, Err(StoreError::NoSuchCursor)));
    let history = events::of_invoice(&mut conn, invoice, &Cursor::Newest, 3)
        .await
        .unwrap();
    let versions: Vec<u64> = history.rows.iter().filter_map(|row| row.version).collect();
    assert_eq!((versions, history.has_more), (vec![4, 3, 2], true));
    let before = Cursor::Before(EventId::from_bits(2));
    let newer = events::of_invoice(&mut conn, invoice, &before, 1)
        .await
        .unwrap();
    assert_eq!((newer.rows[0].version, newer.has_more), (Some(3), true));
    let foreign = Cursor::After(EventId::from_bits(5));
    let foreign = events::of_invoice(&mut conn, invoice, &foreign, 1).await;
    assert!(matches!(foreign, Err(StoreError::NoSuchCursor)));
}

/// Goal: a reader never passes an event that is committed later. Method: the first event is inserted,
/// the second one committed; nothing may be seen until the first is committed too.
#[tokio::test]
async fn an_event_waits_for_those_that_may_still_come_before_it_on_postgres() {
    super::bed::run(Bed::pg().await, async |_: &Bed, store: Store| {
        let scene = Scene::new(store.clone()).await;
        let (inserted, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let late = vec![scene.event(1, None)];
        let late = unit!(store, [late, inserted, go_on], |tx| {
            events::append(tx, &late, &mut || 1).await?;
            inserted.notify_one();
            go_on.notified().await;
            Ok(())
        });
        let body = async {
            inserted.notified().await;
            scene.append(vec![scene.event(2, None)]).await.unwrap();
            let seen = ids_after(&scene, 0).await;
            go_on.notify_one();
            seen
        };
        let (late, seen) = join(late, body).await;
        late.unwrap();
        assert!(seen.is_empty(), "the second one waits for the first");
        assert_eq!(ids_after(&scene, 0).await, [1, 2].map(EventId::from_bits));
    })
    .await;
}

async fn a_reader_beside_many_writers_misses_nothing(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let finished = AtomicBool::new(false);
    let writers = async {
        let units = (1..=200_u64).map(|number| scene.append(vec![scene.event(number, None)]));
        for result in join_all(units).await {
            result.unwrap();
        }
        finished.store(true, Ordering::SeqCst);
    };
    let reader = async {
        let mut conn = store.read().await.unwrap();
        let (mut seen, mut after) = (Vec::new(), 0);
        loop {
            let was_finished = finished.load(Ordering::SeqCst);
            let rows = events::after(&mut conn, scene.merchant, Mode::Test, after, 7).await;
            let rows = rows.unwrap();
            after = rows.last().map_or(after, |row| row.seq);
            if rows.is_empty() && was_finished {
                return seen;
            }
            seen.extend(rows.into_iter().map(|row| row.id));
            tokio::task::yield_now().await;
        }
    };
    let ((), mut seen) = join(writers, reader).await;
    assert_eq!(seen.len(), 200);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 200, "each of them once");
}

async fn two_writers_of_one_invoice_number_its_events_without_gaps(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let invoice = scene.invoice(1).await;
    let units = (1..=20_u64).map(|number| {
        let event = scene.event(number, Some((invoice, 0)));
        unit!(store, [event], |tx| {
            invoices::lock(tx, &[invoice]).await?;
            let loaded = invoices::load(tx, &[invoice]).await?.remove(0);
            let version = loaded.dossier.map_err(StoreError::Damaged)?.version + 1;
            let event = NewEvent {
                version: Some(version),
                ..event
            };
            events::append(tx, std::slice::from_ref(&event), &mut || {
                u128::from(version)
            })
            .await?;
            let said = super::scene::said(1, paywatch_domain::Status::Paid, false);
            let spoken = invoices::Spoken {
                invoice,
                said: &said,
                version,
            };
            invoices::record(tx, &[spoken]).await
        })
    });
    for result in join_all(units).await {
        result.unwrap();
    }
    let mut conn = store.read().await.unwrap();
    let history = events::of_invoice(&mut conn, invoice, &Cursor::Newest, 100)
        .await
        .unwrap();
    let versions: Vec<u64> = history.rows.iter().filter_map(|row| row.version).collect();
    assert_eq!(versions, (1..=20).rev().collect::<Vec<u64>>());
}

/// Goal: a restored dump loses no event and keeps their order. Method: transaction numbers are moved
/// into the future, as another server would find them.
#[tokio::test]
async fn events_of_a_restored_database_keep_their_order_on_postgres() {
    super::bed::run(Bed::pg().await, async |bed: &Bed, store: Store| {
        let scene = Scene::new(store.clone()).await;
        for number in 1..=3 {
            scene.append(vec![scene.event(number, None)]).await.unwrap();
        }
        unit!(store, [], |tx| tx.execute(RESTORE, &[]).await)
            .await
            .unwrap();
        assert!(
            ids_after(&scene, 0).await.is_empty(),
            "all of them in the future"
        );
        let refused = Store::open(&bed.url, crate::Options::default()).await;
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, StoreError::Schema(crate::SchemaError::Restored)),
            "{refused}"
        );
        assert!(crate::migrate(&bed.url, NOW).await.unwrap().is_empty());
        Store::open(&bed.url, crate::Options::default())
            .await
            .unwrap();
        scene.append(vec![scene.event(4, None)]).await.unwrap();
        let expected = [2, 1, 3, 4].map(EventId::from_bits);
        assert_eq!(ids_after(&scene, 0).await, expected);
        assert_eq!(
            ids_after(&scene, 2).await,
            expected[1..],
            "cursors stay good"
        );
    })
    .await;
}

on_both!(
    an_event_goes_to_every_endpoint_that_asks_for_it,
    only_the_head_of_a_queue_is_due,
    a_version_is_said_once,
    events_are_read_back_byte_for_byte_and_by_cursor,
    a_reader_beside_many_writers_misses_nothing,
    two_writers_of_one_invoice_number_its_events_without_gaps,
);
