//! Long computations, away from the thread that waits for nodes.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

/// Something to compute.
pub type Work = Box<dyn FnOnce() + Send>;

/// Starts computations, on whatever threads the program has for them. An adapter is given one, so that
/// it knows no threads itself: a simulator computes in place and is the same in every run.
#[derive(Clone)]
pub struct Compute(Arc<dyn Fn(Work) + Send + Sync>);

impl Compute {
    /// Starts each computation by calling `start`, which runs it once or, when the program ends, never.
    pub fn new(start: impl Fn(Work) + Send + Sync + 'static) -> Self {
        Self(Arc::new(start))
    }

    /// Computes at once, on the thread that asks.
    pub fn in_place() -> Self {
        Self::new(|work| work())
    }

    /// Computes something and waits for it. A panic is raised again here; what is never run is waited
    /// for without end.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (send, done) = oneshot::channel();
        (self.0)(Box::new(move || {
            // Whoever asked may have gone away.
            let _ = send.send(catch_unwind(AssertUnwindSafe(work)));
        }));
        match done.await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compute")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_computed_comes_back_from_any_thread() {
        let threads = Compute::new(|work| drop(std::thread::spawn(work)));
        for compute in [Compute::in_place(), threads] {
            assert_eq!(compute.run(|| 6 * 7).await, 42);
        }
    }

    #[tokio::test]
    #[should_panic(expected = "the sum is wrong")]
    async fn a_panic_is_raised_where_the_result_is_awaited() {
        let threads = Compute::new(|work| drop(std::thread::spawn(work)));
        threads.run(|| panic!("the sum is wrong")).await;
    }
}
