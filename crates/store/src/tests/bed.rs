//! A fresh, migrated database of either kind, with its writer running beside the test.

use std::sync::Arc;

use futures_util::future::{BoxFuture, join};
use paywatch_domain::UnixMillis;
pub(crate) use paywatch_testkit::Postgres;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::{Options, Store, StoreError, Tx, Unit, Writer, migrate};

/// The time at which tests begin.
pub(crate) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// Keeps the database alive.
#[expect(dead_code, reason = "held for what dropping them does")]
pub(crate) enum Guard {
    Lite(TempDir),
    Pg(Arc<Postgres>),
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
        Self::pg_on(&Arc::new(server)).await
    }

    /// A new database of a server that runs already.
    pub(crate) async fn pg_on(server: &Arc<Postgres>) -> Self {
        Self {
            url: server.create_database().await.unwrap(),
            guard: Guard::Pg(Arc::clone(server)),
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
    // Test bodies are long, and their futures large.
    drive(writer, Box::pin(body(&bed, store))).await;
}

/// Stamps test bodies of the form `async fn(&Bed, Store)` for both databases. Those on Postgres share
/// one server, because starting it takes longer than all of them; each has its own database.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod lite {
            $(#[tokio::test]
            async fn $name() {
                use $crate::tests::bed;
                bed::run(bed::Bed::lite(), super::$name).await;
            })+
        }

        #[tokio::test]
        async fn the_same_on_postgres() {
            use $crate::tests::bed;
            let server = std::sync::Arc::new(bed::Postgres::start().await.unwrap());
            $(bed::note(stringify!($name));
            bed::run(bed::Bed::pg_on(&server).await, $name).await;)+
        }
    };
}

/// Names the body that runs, for the output of a test that fails.
pub(crate) fn note(name: &str) {
    println!("on Postgres: {name}");
}

pub(crate) use on_both;

/// A unit made of a function, for tests alone: elsewhere units have names.
struct Anonymous<F>(F);

impl<F, T> Unit for Anonymous<F>
where
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync + 'static,
    T: Send + 'static,
{
    type Output = T;
    type Error = StoreError;
    const NAME: &'static str = "test";

    async fn run(&self, tx: &mut Tx) -> Result<T, StoreError> {
        (self.0)(tx).await
    }
}

pub(crate) async fn write<T: Send + 'static>(
    store: &Store,
    run: impl for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync + 'static,
) -> Result<T, StoreError> {
    store.write(Anonymous(run)).await
}

/// Runs an expression as a unit: `unit!(store, [cloned, values], |tx| do_it(tx, &cloned).await)`.
macro_rules! unit {
    ($store:expr, [$($captured:ident),*], |$tx:ident| $body:expr) => {{
        $(let $captured = $captured.clone();)*
        $crate::tests::bed::write(&$store, move |$tx| {
            $(let $captured = $captured.clone();)*
            Box::pin(async move { $body })
        })
    }};
}

pub(crate) use unit;
