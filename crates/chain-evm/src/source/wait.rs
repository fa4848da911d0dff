//! Waiting until the endpoint's tip is another one: announced, or found by asking now and then.

use std::future::pending;
use std::time::Duration;

use futures_util::future::{Either, select};
use paywatch_domain::BlockRef;
use tokio::time::timeout;

use super::EvmSource;
use super::websocket::Heads;

/// Between two questions. Each costs a request, and chains make blocks every second or so.
const PACE: Duration = Duration::from_secs(1);

impl EvmSource {
    /// Ends when the tip may be another one than `tip`.
    pub(super) async fn changed(&self, tip: &BlockRef) {
        let polled = std::pin::pin!(self.polled(tip));
        match &self.heads {
            None => polled.await,
            Some(heads) => {
                let announced = std::pin::pin!(heads.announced(tip));
                match select(announced, polled).await {
                    Either::Left(((), _)) | Either::Right(((), _)) => {}
                }
            }
        }
    }

    async fn polled(&self, tip: &BlockRef) {
        loop {
            let _paused = timeout(PACE, pending::<()>()).await;
            if self.heads.as_ref().is_some_and(Heads::is_open) {
                continue;
            }
            match self.tip().await {
                Ok(head) if head.at == *tip => {}
                Ok(_) => return,
                // An endpoint that is down is asked again by the poll that follows, not here.
                Err(_) => pending().await,
            }
        }
    }
}
