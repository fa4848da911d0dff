//! Rates: the last word of each source, beside what was wrong since, and only as this installation wrote it.

use paywatch_domain::{Pair, RateValue, Told, UnixMillis};

use super::bed::{Bed, NOW, on_both, unit};
use crate::{MasterKey, Store, rates};

fn master() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

fn pair() -> Pair {
    "btc/USD".parse().unwrap()
}

async fn hear(store: &Store, source: Option<&str>, value: &str, at: UnixMillis) {
    let (source, value) = (source.map(str::to_owned), RateValue::parse(value).unwrap());
    let written = unit!(store, [source], |tx| {
        rates::heard(tx, &master(), &pair(), source.as_deref(), (value, at)).await
    });
    written.await.unwrap();
}

async fn fail(store: &Store, source: &str, problem: &str) {
    let (source, problem) = (source.to_owned(), problem.to_owned());
    let written = unit!(store, [source, problem], |tx| {
        rates::failed(tx, &pair(), &source, &problem).await
    });
    written.await.unwrap();
}

async fn told(store: &Store, master: &MasterKey) -> Vec<Told> {
    let mut conn = store.read().await.unwrap();
    rates::told(&mut conn, master, [&pair()]).await.unwrap()
}

fn row(source: Option<&str>, value: Option<(&str, UnixMillis)>, problem: Option<&str>) -> Told {
    Told {
        pair: pair(),
        source: source.map(Into::into),
        value: value.map(|(value, at)| (RateValue::parse(value).unwrap(), at)),
        problem: problem.map(Into::into),
    }
}

async fn the_last_word_of_each_source_is_kept(_: &Bed, store: Store) {
    assert!(told(&store, &master()).await.is_empty());
    hear(&store, Some("a"), "64987.5", NOW).await;
    hear(&store, None, "64987.5", NOW).await;
    fail(&store, "a", "timeout").await;
    fail(&store, "b", "not_a_rate").await;
    let expected = [
        row(None, Some(("64987.5", NOW)), None),
        row(Some("a"), Some(("64987.5", NOW)), Some("timeout")),
        row(Some("b"), None, Some("not_a_rate")),
    ];
    assert_eq!(told(&store, &master()).await, expected);

    let later = NOW.plus_ms(1000);
    hear(&store, Some("a"), "1e-30", later).await;
    let heard = &told(&store, &master()).await[1];
    assert_eq!(*heard, row(Some("a"), Some(("1e-30", later)), None));

    let other: Pair = "eth/USD".parse().unwrap();
    let mut conn = store.read().await.unwrap();
    let found = rates::told(&mut conn, &master(), [&other]).await.unwrap();
    assert!(found.is_empty(), "only the pairs that were asked for");
}

async fn a_rate_that_somebody_else_wrote_says_nothing(_: &Bed, store: Store) {
    hear(&store, Some("a"), "64987", NOW).await;
    let other = MasterKey::from_bytes([8; 32]);
    let expected = [row(Some("a"), None, Some("seal_broken"))];
    assert_eq!(told(&store, &other).await, expected);
}

on_both!(
    the_last_word_of_each_source_is_kept,
    a_rate_that_somebody_else_wrote_says_nothing,
);
