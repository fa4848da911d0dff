//! Idempotency keys: one effect for one key, whatever happens in between.

use std::sync::Arc;

use futures_util::future::join;
use paywatch_domain::Mode;
use tokio::sync::Notify;

use super::bed::{Bed, NOW, on_both, unit};
use super::scene::Scene;
use crate::idempotency::{self, Begin, Scope};
use crate::{Store, StoreError, settings};

fn scope(scene: &Scene, key: &str) -> Scope {
    Scope {
        merchant: scene.merchant,
        mode: Mode::Test,
        path: "/v1/invoices".into(),
        key: key.into(),
    }
}

/// A request whose effect is a setting with the key's name.
async fn request(scene: &Scene, key: &str, body: u8, refuse: bool) -> Result<Begin, StoreError> {
    let scope = scope(scene, key);
    unit!(scene.store, [scope], |tx| {
        let begin = idempotency::begin(tx, &scope, &[body; 32], NOW).await?;
        if begin == Begin::Fresh {
            settings::set(tx, &scope.key, "done").await?;
            idempotency::finish(tx, &scope, 201, b"answer").await?;
            if refuse {
                return Err(StoreError::Damaged("refused".into()));
            }
        }
        Ok(begin)
    })
    .await
}

async fn the_first_answer_is_answered_again(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    assert_eq!(request(&scene, "a", 1, false).await.unwrap(), Begin::Fresh);
    let replay = Begin::Replay {
        status: 201,
        answer: b"answer".to_vec(),
    };
    assert_eq!(request(&scene, "a", 1, false).await.unwrap(), replay);
    assert_eq!(request(&scene, "a", 2, false).await.unwrap(), Begin::Reused);
    assert_eq!(request(&scene, "b", 2, false).await.unwrap(), Begin::Fresh);
}

async fn a_refusal_leaves_neither_key_nor_effect(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    assert!(request(&scene, "a", 1, true).await.is_err());
    let mut conn = store.read().await.unwrap();
    assert_eq!(settings::get(&mut conn, "a").await.unwrap(), None);
    assert_eq!(request(&scene, "a", 2, false).await.unwrap(), Begin::Fresh);
    assert!(settings::get(&mut conn, "a").await.unwrap().is_some());
}

async fn two_requests_at_the_same_moment_have_one_effect(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    for round in 0..10 {
        let key = round.to_string();
        let (one, two) = join(
            request(&scene, &key, 1, false),
            request(&scene, &key, 1, false),
        )
        .await;
        let answers = [one.unwrap(), two.unwrap()];
        let fresh = answers
            .iter()
            .filter(|begin| **begin == Begin::Fresh)
            .count();
        assert_eq!(fresh, 1, "{answers:?}");
        assert!(!answers.contains(&Begin::Reused), "{answers:?}");
    }
}

/// Goal: the second of two requests does not wait for the first. Method: the first one holds its key
/// until the second one is answered.
#[tokio::test]
async fn a_key_in_use_is_told_at_once_on_postgres() {
    super::bed::run(Bed::pg().await, async |_: &Bed, store: Store| {
        let scene = Scene::new(store.clone()).await;
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let held = scope(&scene, "a");
        let first = unit!(store, [held, begun, go_on], |tx| {
            let begin = idempotency::begin(tx, &held, &[1; 32], NOW).await?;
            begun.notify_one();
            go_on.notified().await;
            idempotency::finish(tx, &held, 201, b"answer").await?;
            Ok(begin)
        });
        let second = async {
            begun.notified().await;
            let second = request(&scene, "a", 1, false).await.unwrap();
            let other = request(&scene, "b", 1, false).await.unwrap();
            go_on.notify_one();
            (second, other)
        };
        let (first, (second, other)) = join(first, second).await;
        assert_eq!(first.unwrap(), Begin::Fresh);
        assert_eq!(second, Begin::Running);
        assert_eq!(other, Begin::Fresh, "another key is not in the way");
        let third = request(&scene, "a", 1, false).await.unwrap();
        assert!(matches!(third, Begin::Replay { status: 201, .. }));
    })
    .await;
}

async fn old_keys_are_forgotten(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    request(&scene, "a", 1, false).await.unwrap();
    let before = NOW;
    let swept = unit!(store, [], |tx| idempotency::sweep(tx, before).await);
    assert_eq!(swept.await.unwrap(), 0);
    let before = NOW.plus_ms(1);
    let swept = unit!(store, [], |tx| idempotency::sweep(tx, before).await);
    assert_eq!(swept.await.unwrap(), 1);
    assert_eq!(request(&scene, "a", 2, false).await.unwrap(), Begin::Fresh);
}

on_both!(
    the_first_answer_is_answered_again,
    a_refusal_leaves_neither_key_nor_effect,
    two_requests_at_the_same_moment_have_one_effect,
    old_keys_are_forgotten,
);
