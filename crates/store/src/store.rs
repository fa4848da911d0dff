//! The store: one handle to read and to send units, over either database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, Notify, mpsc};

use crate::conn::{Conn, Either, Link};
use crate::dialect::{Dialect, Place, lite_reader, lite_readers, pg_readers, pg_writers};
use crate::error::{SchemaError, StoreError};
use crate::lanes::Lanes;
use crate::migrate;
use crate::probe::Probe;
use crate::unit::{Errand, Job, Unit};
use crate::writer::{Lite, Pg, QUEUE_MAX, Target, Writer};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections that read, and as many again that read several statements of one state.
    pub read_connections: u32,
    /// Units at a time on Postgres; SQLite has one writer.
    pub write_connections: u32,
    /// How long a statement waits for a lock of somebody else.
    pub busy_timeout: Duration,
    /// How long a caller waits for a connection.
    pub acquire_timeout: Duration,
    /// For the simulator alone, on SQLite: who watches. One connection reads instead of several, and
    /// nothing waits for the disk.
    pub probe: Option<Arc<dyn Probe>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            read_connections: 4,
            write_connections: 8,
            busy_timeout: Duration::from_secs(10),
            acquire_timeout: Duration::from_secs(10),
            probe: None,
        }
    }
}

/// Reads the database and sends units to its [`Writer`]. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    readers: Readers,
    jobs: mpsc::Sender<Box<dyn Job>>,
    delivery_stored: Arc<Notify>,
    probe: Option<Arc<dyn Probe>>,
}

#[derive(Clone)]
enum Readers {
    One(Arc<Mutex<SqliteConnection>>),
    Lite(Arc<Lanes<Sqlite>>, SqlitePool),
    Pg(Arc<Lanes<Postgres>>, PgPool),
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens `sqlite:path` or `postgres://user:password@host/database`, whose schema must be the one
    /// that this program was built with: see [`migrate`](crate::migrate).
    pub async fn open(url: &str, options: Options) -> Result<(Self, Writer), StoreError> {
        let (jobs, received) = mpsc::channel(QUEUE_MAX);
        let probe = options.probe.clone();
        let (readers, target) = match Place::parse(url)? {
            Place::Lite(path) => {
                refuse_missing(&path)?;
                let readers = if probe.is_some() {
                    let opened = lite_reader(&path, &options).await;
                    let conn = opened.map_err(|error| StoreError::step("open", error))?;
                    Readers::One(Arc::new(Mutex::new(conn)))
                } else {
                    let (lanes, snapshots) = lite_readers(&path, &options);
                    Readers::Lite(Arc::new(lanes), snapshots)
                };
                (readers, Target::Lite(Box::new(Lite::new(path, options))))
            }
            Place::Pg(place) => {
                let (lanes, snapshots) = pg_readers(&place, &options);
                let readers = Readers::Pg(Arc::new(lanes), snapshots);
                let writers = pg_writers(&place, &options);
                (
                    readers,
                    Target::Pg(Pg::new(writers, options.write_connections)),
                )
            }
        };
        let store = Self {
            readers,
            jobs,
            delivery_stored: Arc::default(),
            probe,
        };
        migrate::verify(&mut store.read().await?).await?;
        let writer = Writer {
            jobs: received,
            target,
        };
        Ok((store, writer))
    }

    /// Sends a unit to the writer and waits until it is committed or rolled back.
    ///
    /// A unit that was sent is run even if the caller stops waiting. A panic in the unit rolls it
    /// back and is raised again here.
    pub async fn write<U: Unit>(&self, unit: U) -> Result<U::Output, U::Error> {
        let (errand, answer) = Errand::new(unit, Arc::clone(&self.delivery_stored));
        if self.jobs.send(Box::new(errand)).await.is_err() {
            return Err(StoreError::Closed.into());
        }
        match answer.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    /// Waits until a unit of this process has committed new deliveries; returns at once when one has
    /// since the last wait. Other processes are not heard: whoever sends looks now and then as well.
    pub async fn delivery_stored(&self) {
        self.delivery_stored.notified().await;
    }

    /// A connection that can only read. Each statement sees the latest commits.
    pub async fn read(&self) -> Result<Conn, StoreError> {
        let inner = match &self.readers {
            Readers::One(conn) => Ok(Either::Lite(Link::Shared(
                Arc::clone(conn).lock_owned().await,
            ))),
            Readers::Lite(lanes, _) => lanes.take().await.map(Link::Lane).map(Either::Lite),
            Readers::Pg(lanes, _) => lanes.take().await.map(Link::Lane).map(Either::Pg),
        };
        self.opened(inner, "acquire")
    }

    /// A connection that can only read, and whose statements all see the same commits. Drop it soon:
    /// it keeps old rows alive.
    pub async fn snapshot(&self) -> Result<Conn, StoreError> {
        let inner = match &self.readers {
            // Whoever simulates does one thing at a time.
            Readers::One(_) => return self.read().await,
            Readers::Lite(_, pool) => pool
                .begin_with(Dialect::Lite.begin_snapshot())
                .await
                .map(|transaction| Either::Lite(Link::Transaction(transaction))),
            Readers::Pg(_, pool) => pool
                .begin_with(Dialect::Pg.begin_snapshot())
                .await
                .map(|transaction| Either::Pg(Link::Transaction(transaction))),
        };
        self.opened(inner, "snapshot")
    }

    fn opened(
        &self,
        inner: Result<Either, sqlx::Error>,
        step: &'static str,
    ) -> Result<Conn, StoreError> {
        inner
            .map(|inner| Conn::new(inner).probed(self.probe.clone()))
            .map_err(|error| StoreError::step(step, error))
    }

    /// Closes the connections that read. The writer closes its own when it has nothing left to do.
    pub async fn close(&self) {
        match &self.readers {
            Readers::One(_) => {}
            Readers::Lite(lanes, pool) => {
                lanes.close().await;
                pool.close().await;
            }
            Readers::Pg(lanes, pool) => {
                lanes.close().await;
                pool.close().await;
            }
        }
    }
}

/// A file that is not there is a database that was never migrated.
fn refuse_missing(path: &Path) -> Result<(), SchemaError> {
    if path.exists() {
        return Ok(());
    }
    Err(SchemaError::Outdated {
        found: 0,
        needed: migrate::newest(),
    })
}
