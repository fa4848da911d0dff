//! Units: all or nothing, typed refusals, panics, group commit, durability, retries.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use tokio::sync::Barrier;

use super::bed::{Bed, drive, on_both};
use crate::sql::statements;
use crate::{Options, Store, StoreError, Tx, Unit};

statements! {
    INSERT = "INSERT INTO settings (key, value) VALUES ($1, $2)";
    COUNT = "SELECT COUNT(*) FROM settings";
    LOCK = "SELECT value FROM settings WHERE key = $1", for_update;
    FILL = "INSERT INTO settings (key, value) VALUES ($1, $1)";
    UPDATE = "UPDATE settings SET value = $2 WHERE key = $1";
    BROKEN = "SELECT CAST($1 AS BIGINT) FROM no_such_table";
    JOURNAL_MODE = (lite "PRAGMA journal_mode", pg "SHOW fsync");
    SYNCHRONOUS = (lite "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", pg "SHOW synchronous_commit");
    FOREIGN_KEYS = (lite "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", pg "SHOW transaction_isolation");
    READ_ONLY = (lite "SELECT CAST(query_only AS TEXT) FROM pragma_query_only", pg "SHOW transaction_read_only");
}

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("refused")]
    Domain,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a unit does after it has written its row.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Succeed,
    Refuse,
    Panic,
    IgnoreFailure,
}

struct Write(&'static str, Then);

/// Writes one row.
struct Fill(usize);

impl Unit for Fill {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "fill";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.execute(FILL, &[self.0.to_string().as_str().into()])
            .await
            .map(drop)
    }
}

impl Unit for Write {
    type Output = i64;
    type Error = Refusal;
    const NAME: &'static str = "write";

    async fn run(&self, tx: &mut Tx) -> Result<i64, Refusal> {
        tx.execute(INSERT, &[self.0.into(), "x".into()]).await?;
        match self.1 {
            Then::Succeed => {}
            Then::Refuse => return Err(Refusal::Domain),
            Then::Panic => panic!("as the test wants it"),
            Then::IgnoreFailure => {
                assert!(tx.execute(BROKEN, &[1.into()]).await.is_err());
                return Ok(0);
            }
        }
        Ok(tx.fetch_one::<(i64,)>(COUNT, &[]).await?.0)
    }
}

async fn count(store: &Store) -> i64 {
    let mut conn = store.read().await.unwrap();
    conn.fetch_one::<(i64,)>(COUNT, &[]).await.unwrap().0
}

async fn a_unit_is_all_or_nothing(_: &Bed, store: Store) {
    assert_eq!(store.write(Write("a", Then::Succeed)).await.unwrap(), 1);
    // Sent together, so on SQLite they are one group.
    let (refused, ignored, panicked, kept) = tokio::join!(
        store.write(Write("b", Then::Refuse)),
        store.write(Write("c", Then::IgnoreFailure)),
        AssertUnwindSafe(store.write(Write("d", Then::Panic))).catch_unwind(),
        store.write(Write("e", Then::Succeed)),
    );
    assert!(matches!(refused, Err(Refusal::Domain)));
    assert!(matches!(
        ignored,
        Err(Refusal::Store(StoreError::FailureIgnored("write")))
    ));
    let panic = panicked.expect_err("the panic reaches the caller");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"as the test wants it"));
    assert_eq!(kept.unwrap(), 2);
    assert_eq!(count(&store).await, 2);
}

async fn errors_say_what_the_caller_can_do(_: &Bed, store: Store) {
    store.write(Write("a", Then::Succeed)).await.unwrap();
    let twice = store.write(Write("a", Then::Succeed)).await;
    assert!(matches!(
        twice,
        Err(Refusal::Store(StoreError::Conflict("INSERT")))
    ));
    let mut conn = store.read().await.unwrap();
    let broken = conn.fetch::<(i64,)>(BROKEN, &[1.into()]).await;
    assert!(matches!(
        broken,
        Err(StoreError::Refused {
            statement: "BROKEN",
            ..
        })
    ));
    let missing = conn.fetch::<(String,)>(LOCK, &[]).await;
    assert!(matches!(
        missing,
        Err(StoreError::BindCount {
            expected: 1,
            given: 0,
            ..
        })
    ));
    let wrong_type = conn.fetch::<(String,)>(COUNT, &[]).await;
    assert!(matches!(wrong_type, Err(StoreError::Damaged(_))));
}

async fn readers_cannot_write(_: &Bed, store: Store) {
    let mut conn = store.read().await.unwrap();
    let refused = conn.execute(INSERT, &["a".into(), "x".into()]).await;
    assert!(refused.is_err());
    drop(conn);
    let mut conn = store.snapshot().await.unwrap();
    assert!(
        conn.execute(INSERT, &["a".into(), "x".into()])
            .await
            .is_err()
    );
    drop(conn);
    assert_eq!(count(&store).await, 0);
}

async fn a_snapshot_sees_one_state(_: &Bed, store: Store) {
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.fetch_one::<(i64,)>(COUNT, &[]).await.unwrap().0, 0);
    store.write(Write("a", Then::Succeed)).await.unwrap();
    assert_eq!(snapshot.fetch_one::<(i64,)>(COUNT, &[]).await.unwrap().0, 0);
    drop(snapshot);
    assert_eq!(count(&store).await, 1);
}

/// Looks from outside while it is in its transaction.
struct Peek {
    name: String,
    store: Store,
    seen: Arc<Mutex<Vec<(i64, i64)>>>,
}

impl Unit for Peek {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "peek";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.execute(INSERT, &[(&self.name).into(), "x".into()])
            .await?;
        let inside = tx.fetch_one::<(i64,)>(COUNT, &[]).await?.0;
        let mut outside = self.store.read().await?;
        let outside = outside.fetch_one::<(i64,)>(COUNT, &[]).await?.0;
        self.seen.lock().unwrap().push((inside, outside));
        Ok(())
    }
}

#[tokio::test]
async fn units_that_wait_together_share_one_commit_on_sqlite() {
    super::bed::run(Bed::lite(), async |_: &Bed, store: Store| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let units = (0..100).map(|number| {
            store.write(Peek {
                name: number.to_string(),
                store: store.clone(),
                seen: Arc::clone(&seen),
            })
        });
        for result in join_all(units).await {
            result.unwrap();
        }
        let seen = seen.lock().unwrap();
        let inside: Vec<i64> = seen.iter().map(|(inside, _)| *inside).collect();
        assert_eq!(
            inside,
            (1..=100).collect::<Vec<i64>>(),
            "in the order of arrival"
        );
        let mut commits: Vec<i64> = seen.iter().map(|(_, outside)| *outside).collect();
        commits.dedup();
        assert_eq!(commits, [0, 64], "a hundred units are two groups");
    })
    .await;
}

async fn what_was_sent_is_finished_and_then_the_store_is_closed(bed: &Bed, _: Store) {
    let (store, writer) = Store::open(&bed.url, Options::default()).await.unwrap();
    let sent = store.write(Write("sent", Then::Succeed));
    let (sent, ()) = join(sent, writer.run(std::future::ready(()))).await;
    // Sent before the writer saw the shutdown, because it was polled first.
    assert_eq!(sent.unwrap(), 1);
    let late = store.write(Write("late", Then::Succeed)).await;
    assert!(matches!(late, Err(Refusal::Store(StoreError::Closed))));
}

/// Reads how its own connection is set up.
struct Settings;

impl Unit for Settings {
    type Output = [String; 4];
    type Error = StoreError;
    const NAME: &'static str = "settings";

    async fn run(&self, tx: &mut Tx) -> Result<[String; 4], StoreError> {
        let mut values = Vec::new();
        for statement in [JOURNAL_MODE, SYNCHRONOUS, FOREIGN_KEYS, READ_ONLY] {
            values.push(tx.fetch_one::<(String,)>(statement, &[]).await?.0);
        }
        Ok(values.try_into().expect("four of them"))
    }
}

/// The same without a flush.
struct Unflushed;

impl Unit for Unflushed {
    type Output = [String; 4];
    type Error = StoreError;
    const NAME: &'static str = "unflushed";
    const FLUSHED: bool = false;

    async fn run(&self, tx: &mut Tx) -> Result<[String; 4], StoreError> {
        Settings.run(tx).await
    }
}

async fn commits_survive_a_power_cut(bed: &Bed, store: Store) {
    let flushed = store.write(Settings).await.unwrap();
    let unflushed = store.write(Unflushed).await.unwrap();
    let again = store.write(Settings).await.unwrap();
    assert_eq!(
        flushed, again,
        "a unit without flush changes nothing for the next"
    );
    if bed.is_pg() {
        assert_eq!(flushed, ["on", "on", "read committed", "off"]);
        assert_eq!(unflushed, ["on", "off", "read committed", "off"]);
    } else {
        // 2 is FULL.
        assert_eq!(flushed, ["wal", "2", "1", "0"]);
        assert_eq!(unflushed, flushed, "a group has one flush");
    }
    let mut conn = store.read().await.unwrap();
    let (read_only,) = conn.fetch_one::<(String,)>(READ_ONLY, &[]).await.unwrap();
    assert_eq!(read_only, if bed.is_pg() { "on" } else { "1" });
}

/// Locks two rows, the second only when the other unit has its first.
struct Cross {
    first: &'static str,
    second: &'static str,
    meet: Arc<Barrier>,
    runs: Arc<AtomicU32>,
}

impl Unit for Cross {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "cross";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst);
        tx.fetch_one::<(String,)>(LOCK, &[self.first.into()])
            .await?;
        if run < 2 {
            self.meet.wait().await;
        }
        tx.fetch_one::<(String,)>(LOCK, &[self.second.into()])
            .await?;
        tx.execute(UPDATE, &[self.second.into(), self.first.into()])
            .await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_deadlock_on_postgres_is_run_again() {
    super::bed::run(Bed::pg().await, async |_: &Bed, store: Store| {
        for key in ["a", "b"] {
            store.write(Write(key, Then::Succeed)).await.unwrap();
        }
        let meet = Arc::new(Barrier::new(2));
        let runs = Arc::new(AtomicU32::new(0));
        let cross = |first, second| Cross {
            first,
            second,
            meet: Arc::clone(&meet),
            runs: Arc::clone(&runs),
        };
        let (one, two) = join(store.write(cross("a", "b")), store.write(cross("b", "a"))).await;
        one.unwrap();
        two.unwrap();
        assert!(2 < runs.load(Ordering::SeqCst), "one of them ran again");
    })
    .await;
}

#[tokio::test]
async fn units_on_postgres_survive_a_restart_of_the_server() {
    let mut bed = Bed::pg().await;
    crate::migrate(&bed.url, super::bed::NOW).await.unwrap();
    let options = Options {
        acquire_timeout: Duration::from_millis(500),
        ..Options::default()
    };
    let (store, writer) = Store::open(&bed.url, options).await.unwrap();
    drive(writer, async {
        store.write(Write("a", Then::Succeed)).await.unwrap();
        let super::bed::Guard::Pg(server) = &mut bed.guard else {
            unreachable!("a Postgres bed");
        };
        let server = Arc::get_mut(server).expect("a server of its own");
        server.kill().unwrap();
        let during = store.write(Write("b", Then::Succeed)).await;
        assert!(matches!(
            during,
            Err(Refusal::Store(StoreError::Unavailable { .. }))
        ));
        server.restart().await.unwrap();
        assert_eq!(store.write(Write("c", Then::Succeed)).await.unwrap(), 2);
    })
    .await;
}

on_both!(
    a_unit_is_all_or_nothing,
    errors_say_what_the_caller_can_do,
    readers_cannot_write,
    a_snapshot_sees_one_state,
    what_was_sent_is_finished_and_then_the_store_is_closed,
    commits_survive_a_power_cut,
);

/// The log is copied beside the writer, which makes no difference to what a clean end leaves behind.
#[tokio::test]
async fn a_file_that_was_closed_is_the_whole_database() {
    const COMMITS: usize = 100;
    let bed = Bed::lite();
    let (store, writer) = bed.open().await;
    let filled = async {
        for number in 0..COMMITS {
            store.write(Fill(number)).await.unwrap();
        }
        let rows = count(&store).await;
        store.close().await;
        rows
    };
    let rows = drive(writer, filled).await;
    let file = bed.url.trim_start_matches("sqlite:");
    let copy = format!("{file}.copy");
    std::fs::copy(file, &copy).unwrap();
    let (store, _writer) = Store::open(&format!("sqlite:{copy}"), Options::default())
        .await
        .unwrap();
    assert_eq!(count(&store).await, rows);
}
