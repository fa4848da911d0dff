//! Units of one kind that wait at the same time are run as one, and fail alone.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::join_all;
use paywatch_domain::Mode;

use super::bed::{Bed, NOW, on_both, unit};
use super::scene::Scene;
use crate::counters::TakeIndexes;
use crate::idempotency::{self, Answered, Scope};
use crate::sql::statements;
use crate::{Store, StoreError, Tx, Unit, settings};

statements! {
    BROKEN = "SELECT CAST($1 AS BIGINT) FROM no_such_table";
}

/// Writes a setting; as one with others, all of them.
struct Tally {
    name: String,
    then: Then,
    /// How many were run as one, or 1 for each that was run alone.
    runs: Arc<Mutex<Vec<usize>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Succeed,
    Refuse,
    Panic,
    IgnoreFailure,
}

impl Tally {
    async fn write(&self, tx: &mut Tx) -> Result<String, StoreError> {
        settings::set(tx, &self.name, "x").await?;
        match self.then {
            Then::Succeed => Ok(self.name.clone()),
            Then::Refuse => Err(StoreError::Conflict("refused")),
            Then::Panic => panic!("as the test wants it"),
            Then::IgnoreFailure => {
                assert!(tx.execute(BROKEN, &[1.into()]).await.is_err());
                Ok(self.name.clone())
            }
        }
    }
}

impl Unit for Tally {
    type Output = String;
    type Error = StoreError;
    const NAME: &'static str = "tally";
    const TOGETHER: bool = true;

    async fn run(&self, tx: &mut Tx) -> Result<String, StoreError> {
        self.runs.lock().unwrap().push(1);
        self.write(tx).await
    }

    async fn run_together(units: &[&Self], tx: &mut Tx) -> Option<Vec<String>> {
        units[0].runs.lock().unwrap().push(units.len());
        let mut names = Vec::new();
        for unit in units {
            names.push(unit.write(tx).await.ok()?);
        }
        Some(names)
    }
}

/// Sends units at the same time; what each was answered, and in which portions they ran.
async fn send(store: &Store, units: &[(&str, Then)]) -> (Vec<Option<String>>, Vec<usize>) {
    let runs = Arc::new(Mutex::new(Vec::new()));
    let sent = units.iter().map(|(name, then)| {
        let (name, then) = ((*name).to_owned(), *then);
        let (store, runs) = (store.clone(), Arc::clone(&runs));
        // A panic of the unit comes back here.
        AssertUnwindSafe(async move { store.write(Tally { name, then, runs }).await.ok() })
            .catch_unwind()
    });
    let answers = join_all(sent).await.into_iter();
    let answers = answers.map(|answer| answer.ok().flatten()).collect();
    let runs = runs.lock().unwrap().clone();
    (answers, runs)
}

async fn kept(store: &Store, name: &str) -> bool {
    let mut conn = store.read().await.unwrap();
    settings::get(&mut conn, name).await.unwrap().is_some()
}

async fn units_of_one_kind_are_one_and_fail_alone(_: &Bed, store: Store) {
    use Then::{IgnoreFailure, Panic, Refuse, Succeed};
    for bad in [Refuse, Panic, IgnoreFailure] {
        let name = |number| format!("{number}-{}", bad as u8);
        let names: Vec<String> = (0..6).map(name).collect();
        let units = names.iter().enumerate().map(|(number, name)| {
            let then = if number == 3 { bad } else { Succeed };
            (name.as_str(), then)
        });
        let units: Vec<_> = units.collect();
        let (answers, runs) = send(&store, &units).await;
        for (number, (name, answer)) in names.iter().zip(answers).enumerate() {
            let is_good = number != 3;
            assert_eq!(answer, is_good.then(|| name.clone()));
            assert_eq!(kept(&store, name).await, is_good, "{name}");
        }
        let together: usize = runs.iter().copied().filter(|count| 1 < *count).sum();
        assert!(together != 0, "some waited together: {runs:?}");
    }
    let names: Vec<String> = (0..100).map(|number| format!("all-{number}")).collect();
    let units: Vec<_> = names.iter().map(|name| (name.as_str(), Succeed)).collect();
    let (answers, runs) = send(&store, &units).await;
    let expected: Vec<_> = names.iter().cloned().map(Some).collect();
    assert_eq!(answers, expected, "each gets its own answer");
    assert_eq!(runs.iter().sum::<usize>(), 100, "{runs:?}");
    assert!(runs.len() < 50, "most of them waited together: {runs:?}");
}

async fn indexes_that_are_taken_together_are_each_taken_once(_: &Bed, store: Store) {
    let take = |node: &str, count, end| TakeIndexes {
        node: node.into(),
        at_least: 5,
        count,
        end,
    };
    let units = (0..60).map(|number| {
        let node = if number % 3 == 0 { "a" } else { "b" };
        store.write(take(node, 1 + number % 2, 1_000))
    });
    let firsts = join_all(units).await.into_iter().map(Result::unwrap);
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for (number, first) in (0..).zip(firsts) {
        let taken = if number % 3 == 0 {
            &mut of_a
        } else {
            &mut of_b
        };
        taken.extend(first..=first + number % 2);
    }
    of_a.sort_unstable();
    of_b.sort_unstable();
    assert_eq!(of_a, (5..35).collect::<Vec<u32>>());
    assert_eq!(of_b, (5..65).collect::<Vec<u32>>());

    // Ten ask for the last four.
    let units = (0..10).map(|_| store.write(take("c", 1, 9)));
    let answers = join_all(units).await;
    let mut firsts: Vec<u32> = answers
        .iter()
        .filter_map(|one| one.as_ref().ok().copied())
        .collect();
    firsts.sort_unstable();
    assert_eq!(firsts, [5, 6, 7, 8]);
    let refused = answers
        .iter()
        .filter(|one| matches!(one, Err(StoreError::Conflict("node_exhausted"))));
    assert_eq!(refused.count(), 6);
}

async fn answers_are_kept_together_or_not_at_all(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let finish = async |keys: &[&str]| {
        let scopes: Vec<Scope> = keys
            .iter()
            .map(|key| Scope {
                merchant: scene.merchant,
                mode: Mode::Test,
                path: "/v1/invoices".into(),
                key: (*key).to_owned(),
            })
            .collect();
        unit!(store, [scopes], |tx| {
            assert!(idempotency::hold_all(tx, &scopes).await?);
            let answered = scopes.iter().map(|scope| Answered {
                scope,
                body_hash: &[7; 32],
                now: NOW,
                status: 201,
                answer: scope.key.clone().into_bytes(),
            });
            let answered: Vec<_> = answered.collect();
            if idempotency::finish_all(tx, &answered).await? {
                Ok(())
            } else {
                Err(StoreError::Conflict("used"))
            }
        })
        .await
        .is_ok()
    };
    assert!(finish(&["a", "b"]).await);
    assert!(!finish(&["c", "b"]).await, "one of them was used before");
    assert!(!finish(&["d", "d"]).await, "twice in one");
    let mut conn = store.read().await.unwrap();
    for (key, expected) in [("a", true), ("b", true), ("c", false), ("d", false)] {
        let scope = Scope {
            merchant: scene.merchant,
            mode: Mode::Test,
            path: "/v1/invoices".into(),
            key: key.into(),
        };
        let found = idempotency::find(&mut conn, &scope, &[7; 32])
            .await
            .unwrap();
        let replay = idempotency::Begin::Replay {
            status: 201,
            answer: key.into(),
        };
        assert_eq!(found, expected.then_some(replay), "{key}");
    }
}

on_both!(
    units_of_one_kind_are_one_and_fail_alone,
    indexes_that_are_taken_together_are_each_taken_once,
    answers_are_kept_together_or_not_at_all,
);
