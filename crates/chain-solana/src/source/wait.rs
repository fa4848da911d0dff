//! Waiting until the endpoint's last block is another one: announced, or found by asking now and then.

use std::future::pending;
use std::time::Duration;

use futures_util::future::{Either, select};
use paywatch_chain::rpc::{Announcements, Subscription};
use paywatch_domain::BlockRef;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::SolanaSource;
use super::answers::CONFIRMED;

/// Between two questions: a little more than a slot takes.
const PACE: Duration = Duration::from_millis(500);
/// A slot that the node has begun with: those that are confirmed follow (<https://solana.com/docs/rpc/websocket/slotsubscribe>).
pub(super) const SLOTS: Subscription = Subscription {
    request: r#"{"jsonrpc":"2.0","id":1,"method":"slotSubscribe"}"#,
    block: |announced| {
        let slot: Slot = serde_json::from_str(announced).ok()?;
        Some(slot.slot.to_string())
    },
};

#[derive(Deserialize)]
struct Slot {
    slot: u64,
}

impl SolanaSource {
    /// Ends when the last block may be another one than `tip`.
    pub(super) async fn changed(&self, tip: &BlockRef) {
        let polled = std::pin::pin!(self.polled(tip));
        match &self.slots {
            None => polled.await,
            Some(slots) => {
                let known = tip.height.to_string();
                let announced = std::pin::pin!(slots.announced(&known));
                match select(announced, polled).await {
                    Either::Left(((), _)) | Either::Right(((), _)) => {}
                }
            }
        }
    }

    async fn polled(&self, tip: &BlockRef) {
        loop {
            let _paused = timeout(PACE, pending::<()>()).await;
            if self.slots.as_ref().is_some_and(Announcements::is_open) {
                continue;
            }
            let options = [json!({ "commitment": CONFIRMED })];
            match self.ask::<u64>("getSlot", &options).await {
                Ok(slot) if slot == tip.height => {}
                Ok(_) => return,
                // An endpoint that is down is asked again by the poll that follows, not here.
                Err(_) => pending().await,
            }
        }
    }
}
