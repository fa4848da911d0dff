//! Connections that read: shared by more readers than there are, and replaced when they are broken.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::bed::{Bed, NOW, drive, on_both, unit};
use crate::{Options, Store, StoreError, settings};

async fn value(store: &Store) -> Result<Option<String>, StoreError> {
    let mut conn = store.read().await?;
    settings::get(&mut conn, "name").await
}

async fn set(store: &Store, value: &'static str) {
    let written = unit!(store, [], |tx| settings::set(tx, "name", value).await);
    written.await.unwrap();
}

async fn more_read_than_there_are_connections(_: &Bed, store: Store) {
    set(&store, "paywatch").await;
    let reads = join_all((0..100).map(|_| value(&store))).await;
    for read in reads {
        assert_eq!(read.unwrap().as_deref(), Some("paywatch"));
    }
}

/// A future that is dropped leaves its statement half-way; nobody else may get its answer.
async fn a_read_that_is_broken_off_breaks_no_other(_: &Bed, store: Store) {
    set(&store, "paywatch").await;
    let mut broken_off = 0;
    for _ in 0..20 {
        let mut conns = Vec::new();
        for _ in 0..3 {
            conns.push(store.read().await.unwrap());
        }
        for conn in &mut conns {
            let ended = settings::get(conn, "other").now_or_never();
            broken_off += usize::from(ended.is_none());
        }
        drop(conns);
        let reads = join_all((0..8).map(|_| value(&store))).await;
        for read in reads {
            assert_eq!(read.unwrap().as_deref(), Some("paywatch"));
        }
    }
    assert!(broken_off != 0, "all of them had time to end");
}

async fn a_reader_waits_for_a_connection_for_a_while(bed: &Bed, _: Store) {
    let options = Options {
        read_connections: 2,
        acquire_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let (store, writer) = Store::open(&bed.url, options).await.unwrap();
    drive(writer, async {
        let held = [store.read().await.unwrap(), store.read().await.unwrap()];
        assert!(matches!(
            store.read().await,
            Err(StoreError::Unavailable { .. })
        ));
        drop(held);
        assert!(value(&store).await.is_ok());
        store.close().await;
        assert!(store.read().await.is_err(), "closed");
    })
    .await;
}

on_both!(
    more_read_than_there_are_connections,
    a_read_that_is_broken_off_breaks_no_other,
    a_reader_waits_for_a_connection_for_a_while,
);

#[tokio::test]
async fn reads_on_postgres_go_on_after_a_restart_of_the_server() {
    let mut bed = Bed::pg().await;
    crate::migrate(&bed.url, NOW).await.unwrap();
    let options = Options {
        acquire_timeout: Duration::from_millis(500),
        ..Options::default()
    };
    let (store, writer) = Store::open(&bed.url, options).await.unwrap();
    drive(writer, async {
        set(&store, "paywatch").await;
        assert!(value(&store).await.is_ok());
        let super::bed::Guard::Pg(server) = &mut bed.guard else {
            unreachable!("a Postgres bed");
        };
        let server = Arc::get_mut(server).expect("a server of its own");
        server.kill().unwrap();
        for _ in 0..5 {
            let during = value(&store).await;
            assert!(matches!(during, Err(StoreError::Unavailable { .. })));
        }
        server.restart().await.unwrap();
        for _ in 0..5 {
            let after = value(&store).await.unwrap();
            assert_eq!(after.as_deref(), Some("paywatch"));
        }
    })
    .await;
}
