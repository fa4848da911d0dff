//! A fresh, migrated database of either kind, with its writer running beside the test.

use futures_util::future::join;
use paywatch_domain::UnixMillis;
use paywatch_testkit::Postgres;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::{Options, Store, Writer, migrate};

/// The time at which tests begin.
pub(crate) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// Keeps the database alive.
#[expect(dead_code, reason = "held for what dropping them does")]
pub(crate) enum Guard {
    Lite(TempDir),
    Pg(Postgres),
}

/// A database that is empty: nothing is migrated.
pub(crate) struct Bed {
    pub(crate) url: String,
    pub(crate) guard: Guard,
}

impl Bed {
    pub(crate) fn lite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("paywatch.db");
        Self {
            url: format!("sqlite:{}", path.display()),
            guard: Guard::Lite(folder),
        }
    }

    pub(crate) async fn pg() -> Self {
        let server = Postgres::start().await.unwrap();
        Self {
            url: server.create_database().await.unwrap(),
            guard: Guard::Pg(server),
        }
    }

    pub(crate) fn is_pg(&self) -> bool {
        matches!(self.guard, Guard::Pg(_))
    }

    pub(crate) async fn open(&self) -> (Store, Writer) {
        migrate(&self.url, NOW).await.unwrap();
        Store::open(&self.url, Options::default()).await.unwrap()
    }
}

/// Runs `body` with the writer beside it, and then stops the writer.
pub(crate) async fn drive<T>(writer: Writer, body: impl Future<Output = T>) -> T {
    let (stop, stopped) = oneshot::channel::<()>();
    let body = async move {
        let output = body.await;
        drop(stop);
        output
    };
    let shutdown = async move {
        let _ = stopped.await;
    };
    join(body, writer.run(shutdown)).await.0
}

/// Runs a test body on a fresh database.
pub(crate) async fn run(bed: Bed, body: impl AsyncFnOnce(&Bed, Store)) {
    let (store, writer) = bed.open().await;
    drive(writer, body(&bed, store)).await;
}

/// Stamps test bodies of the form `async fn(&Bed, Store)` for both databases.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod lite {
            $(#[tokio::test]
            async fn $name() {
                use $crate::tests::bed;
                bed::run(bed::Bed::lite(), super::$name).await;
            })+
        }

        mod pg {
            $(#[tokio::test]
            async fn $name() {
                use $crate::tests::bed;
                bed::run(bed::Bed::pg().await, super::$name).await;
            })+
        }
    };
}

pub(crate) use on_both;
