//! The outside world as the rest of the house sees it: the clock, randomness, waiting.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use paywatch_chain::Compute;
use paywatch_domain::{Clock, Entropy, UnixMillis};

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The system's randomness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// When the system gives no randomness: ids that can be guessed are worse than a stop.
    fn fill(&mut self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            panic!("the system gives no randomness: {error}");
        }
    }
}

/// Milliseconds of a clock that never goes back, for durations.
pub(crate) fn monotonic_clock() -> Arc<dyn Fn() -> u64 + Send + Sync> {
    let start = Instant::now();
    Arc::new(move || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// Computes on the threads that the runtime keeps for long work.
pub(crate) fn compute() -> Compute {
    Compute::new(|work| drop(tokio::task::spawn_blocking(work)))
}

/// Waits until a time of the clock.
pub(crate) async fn sleep_until(wake_at: UnixMillis) {
    let wait_ms = u64::try_from(wake_at.ms_since(SystemClock.now())).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
}
