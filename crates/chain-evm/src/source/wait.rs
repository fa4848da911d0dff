//! Waiting until the endpoint's tip is another one: announced, or found by asking now and then.

use std::future::pending;
use std::time::Duration;

use futures_util::future::{Either, select};
use paywatch_chain::rpc::{Announcements, Subscription};
use paywatch_domain::BlockRef;
use serde::Deserialize;
use tokio::time::timeout;

use super::EvmSource;

/// Between two questions. Each costs a request, and chains make blocks every second or so.
const PACE: Duration = Duration::from_secs(1);
/// <https://geth.ethereum.org/docs/interacting-with-geth/rpc/pubsub#newheads>
pub(super) const NEW_HEADS: Subscription = Subscription {
    request: r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#,
    block: |announced| {
        let head: Head = serde_json::from_str(announced).ok()?;
        Some(head.hash)
    },
};

#[derive(Deserialize)]
struct Head {
    hash: String,
}

impl EvmSource {
    /// Ends when the tip may be another one than `tip`.
    pub(super) async fn changed(&self, tip: &BlockRef) {
        let polled = std::pin::pin!(self.polled(tip));
        match &self.heads {
            None => polled.await,
            Some(heads) => {
                let announced = std::pin::pin!(heads.announced(tip.hash.as_str()));
                match select(announced, polled).await {
                    Either::Left(((), _)) | Either::Right(((), _)) => {}
                }
            }
        }
    }

    async fn polled(&self, tip: &BlockRef) {
        loop {
            let _paused = timeout(PACE, pending::<()>()).await;
            if self.heads.as_ref().is_some_and(Announcements::is_open) {
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
