//! Connections that read, one statement at a time.
//!
//! A pool that asks each connection whether it still stands, when it is taken and when it is given back, goes to the
//! database two more times for each read. Here a connection that was used a moment ago is believed to stand, and
//! one that was left in the middle of a statement is replaced.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{ConnectOptions, Connection, Database};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// How long a connection may have been idle without being asked.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

type OptionsOf<DB> = <<DB as Database>::Connection as Connection>::Options;
type Place<DB> = Arc<Mutex<Option<Opened<DB>>>>;

/// A fixed number of connections, opened when they are first needed.
pub(crate) struct Lanes<DB: Database> {
    connect: OptionsOf<DB>,
    places: Vec<Place<DB>>,
    /// As many as there are places, so that whoever has one finds a place.
    free: Arc<Semaphore>,
    /// How long a caller waits for a connection.
    patience: Duration,
}

/// An open connection.
struct Opened<DB: Database> {
    conn: DB::Connection,
    /// Whether the last statement came to its end.
    is_settled: bool,
    used_at: Instant,
}

/// A connection on loan.
pub(crate) struct Lane<DB: Database> {
    // Before the permit, so that the place is free when the next one looks for it.
    opened: OwnedMappedMutexGuard<Option<Opened<DB>>, Opened<DB>>,
    _permit: OwnedSemaphorePermit,
}

impl<DB: Database> Lanes<DB>
where
    OptionsOf<DB>: ConnectOptions<Connection = DB::Connection>,
{
    pub(crate) fn new(connect: OptionsOf<DB>, connections: u32, patience: Duration) -> Self {
        let count = usize::try_from(connections.max(1)).unwrap_or(1);
        Self {
            connect,
            places: (0..count).map(|_| Place::<DB>::default()).collect(),
            free: Arc::new(Semaphore::new(count)),
            patience,
        }
    }

    /// A connection that stands, as far as can be known.
    pub(crate) async fn take(&self) -> Result<Lane<DB>, sqlx::Error> {
        let waiting = timeout(self.patience, self.ready());
        waiting.await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    async fn ready(&self) -> Result<Lane<DB>, sqlx::Error> {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        let mut place = self.free_place().await;
        if !stands(&mut place).await {
            // The old one is closed before another is opened.
            *place = None;
            *place = Some(Opened {
                conn: self.connect.connect().await?,
                is_settled: true,
                used_at: Instant::now(),
            });
        }
        let opened = OwnedMutexGuard::try_map(place, Option::as_mut);
        let opened = opened.map_err(|_| sqlx::Error::PoolClosed)?;
        Ok(Lane {
            opened,
            _permit: permit,
        })
    }

    async fn free_place(&self) -> OwnedMutexGuard<Option<Opened<DB>>> {
        loop {
            for place in &self.places {
                if let Ok(place) = Arc::clone(place).try_lock_owned() {
                    return place;
                }
            }
            // One was given back behind this look at it.
            tokio::task::yield_now().await;
        }
    }

    /// Closes every connection when it is given back.
    pub(crate) async fn close(&self) {
        self.free.close();
        for place in &self.places {
            if let Some(opened) = place.lock().await.take()
                && let Err(error) = opened.conn.close().await
            {
                tracing::debug!(%error, "a connection that reads was not closed cleanly");
            }
        }
    }
}

async fn stands<DB: Database>(place: &mut Option<Opened<DB>>) -> bool {
    let Some(opened) = place else {
        return false;
    };
    if !opened.is_settled {
        return false;
    }
    if opened.used_at.elapsed() < TRUSTED_IDLE {
        return true;
    }
    opened.is_settled = false;
    opened.is_settled = opened.conn.ping().await.is_ok();
    opened.is_settled
}

impl<DB: Database> Lane<DB> {
    /// Says that a statement came to its end; else the connection is not used again.
    pub(crate) fn settle(&mut self) {
        self.opened.is_settled = true;
        self.opened.used_at = Instant::now();
    }
}

impl<DB: Database> Deref for Lane<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.opened.conn
    }
}

impl<DB: Database> DerefMut for Lane<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        self.opened.is_settled = false;
        &mut self.opened.conn
    }
}
