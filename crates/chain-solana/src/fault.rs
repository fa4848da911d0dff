//! What can be wrong with a node's answer.

use paywatch_chain::SourceError;
use paywatch_chain::rpc::CallError;
use paywatch_domain::{BlockRef, ChainName};

/// Why an answer is not taken. None of them is ever an empty block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An error of the node's own, an answer of another shape, or one with parts missing.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A transaction whose parts do not go together.
    #[error("transaction {number} contradicts itself: {detail}")]
    Transaction {
        /// Its number in the block.
        number: usize,
        /// What differs.
        detail: &'static str,
    },
}

impl Fault {
    /// The fault as the port knows it: the block is asked for again.
    pub fn into_source(self, chain: ChainName, block: BlockRef) -> SourceError {
        match self {
            Self::Call(error) => error.into_source(chain),
            Self::Transaction { .. } => SourceError::Unproven {
                chain,
                block,
                detail: self.to_string(),
            },
        }
    }
}
