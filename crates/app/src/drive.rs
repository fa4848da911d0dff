//! The drive loop: steps workers, waits for them, stops them. The only place that selects.

use std::future::Future;

use paywatch_chain::Source;
use paywatch_domain::{Clock, UnixMillis};
use paywatch_engine::housekeeping::Housekeeper;
use paywatch_engine::worker::{ChainWorker, Step};
use paywatch_rates::{Collector, Fetch};
use paywatch_webhook::{Deliverer, HttpSend};
use tokio_util::sync::CancellationToken;

use crate::system::{SystemClock, sleep_until};

/// Something that is driven in steps.
pub(crate) trait Worker {
    /// Does what can be done now; says when to step again at the latest, `None` for at once.
    fn step(&mut self, now: UnixMillis) -> impl Future<Output = Option<UnixMillis>> + Send;
    /// Waits until something arrives. Dropping it loses nothing.
    fn ready(&mut self) -> impl Future<Output = ()> + Send;
    /// Lets go of what others wait for.
    fn stop(&mut self) -> impl Future<Output = ()> + Send;
}

impl<S: Source> Worker for ChainWorker<S> {
    async fn step(&mut self, now: UnixMillis) -> Option<UnixMillis> {
        match Self::step(self, now).await {
            Step::Progress => None,
            Step::Idle { wake_at } => Some(wake_at),
        }
    }

    async fn ready(&mut self) {
        Self::ready(self).await;
    }

    async fn stop(&mut self) {
        Self::stop(self).await;
    }
}

/// How long to wait after the database did not answer a worker, in milliseconds.
const RETRY_MS: i64 = 1_000;

impl<S: HttpSend> Worker for Deliverer<S> {
    async fn step(&mut self, now: UnixMillis) -> Option<UnixMillis> {
        match Self::step(self, now).await {
            Ok(paywatch_webhook::Step::Progress) => None,
            Ok(paywatch_webhook::Step::Idle { wake_at, .. }) => Some(wake_at),
            Err(error) => {
                tracing::error!(%error, "webhooks wait for the database; none is lost");
                Some(now.plus_ms(RETRY_MS))
            }
        }
    }

    async fn ready(&mut self) {
        Self::ready(self).await;
    }

    async fn stop(&mut self) {
        if let Err(error) = Self::stop(self).await {
            tracing::warn!(%error, "some webhooks could not be recorded; they are sent again");
        }
    }
}

impl<F: Fetch> Worker for Collector<F> {
    async fn step(&mut self, now: UnixMillis) -> Option<UnixMillis> {
        match Self::step(self, now).await {
            Ok(wake_at) => Some(wake_at),
            Err(error) => {
                tracing::error!(%error, "rates wait for the database");
                Some(now.plus_ms(RETRY_MS))
            }
        }
    }

    async fn ready(&mut self) {
        Self::ready(self).await;
    }

    async fn stop(&mut self) {}
}

impl Worker for Housekeeper {
    async fn step(&mut self, now: UnixMillis) -> Option<UnixMillis> {
        Some(Self::step(self, now).await)
    }

    async fn ready(&mut self) {
        std::future::pending::<()>().await;
    }

    async fn stop(&mut self) {}
}

/// Drives a worker until it is told to stop.
pub(crate) async fn drive(mut worker: impl Worker, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let Some(wake_at) = worker.step(SystemClock.now()).await else {
            // Lets others have the thread between two steps of a long catch-up.
            tokio::task::yield_now().await;
            continue;
        };
        tokio::select! {
            () = worker.ready() => {}
            () = sleep_until(wake_at) => {}
            () = stop.cancelled() => {}
        }
    }
    worker.stop().await;
}
