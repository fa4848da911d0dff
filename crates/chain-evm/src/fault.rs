//! What can be wrong with a node's answer.

use alloy_primitives::{B256, Bloom};
use paywatch_chain::SourceError;
use paywatch_domain::{BlockRef, ChainName};

/// Why an answer is not taken. Each says what differs; none of them is ever an empty block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// `null`: the node does not have it, or does not have it yet.
    #[error("{what}: the node answers null; it does not have it (yet)")]
    Absent {
        /// What was asked for.
        what: &'static str,
    },
    /// An answer of another shape, or one with parts missing.
    #[error("{what}: the answer cannot be read: {detail}")]
    Unreadable {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The header is not that of the block that was asked for.
    #[error("its header hashes to {computed}")]
    BlockHash {
        /// The hash over the header that was given.
        computed: B256,
    },
    /// The header is of another height.
    #[error("its header is of height {found}")]
    Height {
        /// The height that it claims.
        found: u64,
    },
    /// A part belongs to another block, transaction or place: answers of two nodes or moments.
    #[error("{what} {number} is not of this block or stands at another place: {detail}")]
    Misplaced {
        /// Which kind of part.
        what: &'static str,
        /// Its number in the answer.
        number: usize,
        /// What differs.
        detail: String,
    },
    /// Parts are missing, or there are too many.
    #[error("{found} {what} for {expected} transactions")]
    Count {
        /// Which kind of part.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// A transaction of a type that is not known, on a chain where all must be.
    #[error(
        "transaction {number} is of type {kind:#x}, which is not known; where a chain has types of \
         its own, its setting for transactions must be the weaker check by hash"
    )]
    TransactionType {
        /// Its number in the block.
        number: usize,
        /// Its type (EIP-2718).
        kind: u64,
    },
    /// A transaction that was changed, or is called by another's hash.
    #[error("transaction {number} is called {claimed} and hashes to {computed}")]
    TransactionHash {
        /// Its number in the block.
        number: usize,
        /// The hash that the node gives.
        claimed: B256,
        /// The hash over what the node gives.
        computed: B256,
    },
    /// Parts were changed, left out, added or reordered.
    #[error("the root of its {what} is {header} in the header and {computed} as given")]
    Root {
        /// Of which parts.
        what: &'static str,
        /// The root to which the block's hash commits.
        header: B256,
        /// The root over what was given.
        computed: B256,
    },
    /// Withdrawals without a root, or a root without withdrawals.
    #[error("its withdrawals and the root of them do not go together")]
    Withdrawals,
    /// The bloom of a receipt is not that of its logs.
    #[error("the bloom of receipt {number} is not that of its logs")]
    ReceiptBloom {
        /// Its number in the block.
        number: usize,
    },
    /// The logs are not those of the bloom to which the block's hash commits.
    #[error("the bloom of its header is not that of its logs")]
    Bloom {
        /// The bloom over the logs that were given.
        computed: Box<Bloom>,
    },
    /// Logs that are not numbered upwards, or are marked as removed.
    #[error("log {number} of the block is {detail}")]
    Log {
        /// Its place among all logs of the block.
        number: usize,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A trace that contradicts what was proven.
    #[error("the trace of transaction {number} contradicts the block: {detail}")]
    Trace {
        /// The transaction's number in the block.
        number: usize,
        /// What differs.
        detail: String,
    },
}

impl Fault {
    /// The fault as the port knows it: all of them are asked for again.
    pub fn into_source(self, chain: ChainName, block: BlockRef) -> SourceError {
        match self {
            Self::Absent { .. } => SourceError::Missing { chain, block },
            Self::Unreadable { .. } => SourceError::Malformed {
                chain,
                detail: format!("block {} at height {}: {self}", block.hash, block.height),
            },
            _ => SourceError::Unproven {
                chain,
                block,
                detail: self.to_string(),
            },
        }
    }
}
