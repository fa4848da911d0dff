//! Around a chain's lease: going on from what is stored, and stopping with a reason.

use paywatch_store::chains::Lease;

use super::Parts;
use crate::follower::{Follower, Halt, Header};
use crate::units::HaltChain;

/// A follower that goes on from where the chain was left.
pub(super) fn resume(window: Vec<Header>, depth_max: u64, lease: &Lease) -> Result<Follower, Halt> {
    let follower = Follower::new(window, depth_max)?;
    if follower.cursor() == lease.cursor.as_ref() {
        Ok(follower)
    } else {
        Err(Halt::Broken("the stored headers do not end at the cursor"))
    }
}

/// Keeps the reason of a halt; the cursor stays.
pub(super) async fn halt_chain(parts: &Parts, lease: &Lease, reason: &impl std::fmt::Display) {
    let unit = HaltChain {
        chain: parts.spec.name.clone(),
        fence: lease.fence,
        reason: reason.to_string(),
    };
    if let Err(error) = parts.store.write(unit).await {
        tracing::error!(%error, "the halt could not be recorded; it will be found again");
    }
}
