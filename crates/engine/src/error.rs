//! Why the engine cannot go on, by what the caller can do.

use paywatch_store::StoreError;

use crate::follower::Halt;

/// What stops one piece of the engine's work.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database; the work was rolled back and may be tried again.
    #[error(transparent)]
    Store(StoreError),
    /// Another process follows the chain now; what was read is thrown away.
    #[error("another process follows this chain now")]
    LeaseLost,
    /// The chain cannot be followed any further without a person.
    #[error(transparent)]
    Halt(#[from] Halt),
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LeaseLost => Self::LeaseLost,
            error => Self::Store(error),
        }
    }
}
