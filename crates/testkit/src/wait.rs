//! Waiting for something to become true, with a limit and a reason.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer. When `limit` passes first, the error names
/// `what` was waited for and the last failure. An error of `ask` counts as "not yet".
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        let answer = ask().await;
        if let Ok(Some(value)) = answer {
            return Ok(value);
        }
        if started.elapsed() >= limit {
            match answer {
                Err(error) => return Err(error.context(format!("waited {limit:?} for {what}"))),
                Ok(_) => bail!("waited {limit:?} in vain for {what}"),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for a time.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}
