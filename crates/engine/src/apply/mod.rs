//! Applying what a chain says: one transaction per chain event.

mod balances;
mod blocks;
mod credits;
mod poll;
mod rescan;

pub use balances::{ApplyBalances, Looked};
pub(crate) use balances::{coin, start};
pub use blocks::ApplyBlocks;
pub use poll::ApplyPoll;
pub use rescan::{Aim, ApplyRescan};

/// What one transaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Events that were said.
    pub events: usize,
    /// Credits to watched keys that were placed.
    pub credits: usize,
}
