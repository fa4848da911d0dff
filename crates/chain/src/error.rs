//! What can go wrong between a node and us, and whether asking again helps.

use std::time::Duration;

use paywatch_domain::{BlockRef, ChainName};

/// Whether asking again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Soon: a network fault, a node that is starting, a block it does not have yet.
    Soon,
    /// Not before somebody changed the node or the configuration; asked again at a slow pace.
    AfterChange,
}

/// Why a chain cannot be read now. The cursor stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The node does not answer, or breaks off.
    #[error("node of {chain} is unreachable: {detail}")]
    Unreachable {
        /// Which chain.
        chain: ChainName,
        /// What was tried and what happened.
        detail: String,
    },
    /// The node refuses our credentials or the method.
    #[error(
        "node of {chain} refuses the request: {detail}; check user, password and allowed methods"
    )]
    Refused {
        /// Which chain.
        chain: ChainName,
        /// The node's words.
        detail: String,
    },
    /// The node wants fewer requests, or our own budget for it is used up.
    #[error("node of {chain} is busy: {detail}")]
    Busy {
        /// Which chain.
        chain: ChainName,
        /// Who said so.
        detail: String,
        /// How long to leave it alone, when that is known.
        retry_after: Option<Duration>,
    },
    /// The node is another network's.
    #[error("node of {chain} is on another network: expected {expected}, found {found}")]
    WrongNetwork {
        /// Which chain.
        chain: ChainName,
        /// The genesis or chain id that is configured.
        expected: String,
        /// What the node says.
        found: String,
    },
    /// The chain is not what its configuration says.
    #[error("{chain} is not configured as the chain is: {detail}")]
    Misconfigured {
        /// Which chain.
        chain: ChainName,
        /// What differs, and what to change.
        detail: String,
    },
    /// The node is still reading history; what it says of "now" is not now.
    #[error("node of {chain} is still synchronising: {done} of {total} blocks")]
    Synchronising {
        /// Which chain.
        chain: ChainName,
        /// Blocks it has.
        done: u64,
        /// Headers it knows of.
        total: u64,
    },
    /// The node's chain ends below a block that was read before, and shows no other branch: it, or the endpoint
    /// that answers now, does not know of the blocks above.
    #[error(
        "node of {chain} is behind: its chain ends at height {found}, and {read} was read before; nothing is \
         undone until it shows other blocks"
    )]
    Behind {
        /// Which chain.
        chain: ChainName,
        /// The height of the node's last block.
        found: u64,
        /// The height that was read.
        read: u64,
    },
    /// The node has thrown away blocks that we have not read.
    #[error(
        "node of {chain} is pruned up to height {pruned_height} and block {wanted} is needed; \
         connect a node that still has it"
    )]
    Pruned {
        /// Which chain.
        chain: ChainName,
        /// The lowest block it still has.
        pruned_height: u64,
        /// The block that is needed.
        wanted: u64,
    },
    /// The node does not have a block that it should have. "I do not have it" is not "empty".
    #[error("node of {chain} does not have block {} at height {}", block.hash, block.height)]
    Missing {
        /// Which chain.
        chain: ChainName,
        /// The block.
        block: BlockRef,
    },
    /// The block is there and is not part of the node's chain any more.
    #[error("block {} at height {} of {chain} is stale", block.hash, block.height)]
    Stale {
        /// Which chain.
        chain: ChainName,
        /// The block.
        block: BlockRef,
    },
    /// An answer that fails its proof: damaged, incomplete, or a lie.
    #[error("node of {chain} gave a block {} at height {} that fails its proof: {detail}", block.hash, block.height)]
    Unproven {
        /// Which chain.
        chain: ChainName,
        /// The block that was asked for.
        block: BlockRef,
        /// Which check failed.
        detail: String,
    },
    /// Too few of several endpoints answer for what they say to be believed.
    #[error(
        "{answering} of {members} endpoints of {chain} answer and {agree} have to agree: {detail}"
    )]
    TooFew {
        /// Which chain.
        chain: ChainName,
        /// How many answer.
        answering: usize,
        /// How many there are.
        members: usize,
        /// How many have to agree.
        agree: usize,
        /// What is wrong with the others, by their names.
        detail: String,
    },
    /// Endpoints contradict each other further down than blocks need to spread.
    #[error(
        "endpoints of {chain} contradict each other at height {height}: {detail}; nothing is read until {agree} of them agree"
    )]
    Disagreement {
        /// Which chain.
        chain: ChainName,
        /// Where they do.
        height: u64,
        /// How many have to agree.
        agree: usize,
        /// Which endpoint says which hash.
        detail: String,
    },
    /// An answer that cannot be understood.
    #[error("node of {chain} gave an answer that cannot be read: {detail}")]
    Malformed {
        /// Which chain.
        chain: ChainName,
        /// What was asked and what is wrong.
        detail: String,
    },
}

impl SourceError {
    /// Whether asking again helps.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { .. }
            | Self::Busy { .. }
            | Self::Synchronising { .. }
            | Self::Behind { .. }
            | Self::Missing { .. }
            | Self::Stale { .. }
            | Self::Unproven { .. }
            | Self::TooFew { .. }
            | Self::Disagreement { .. }
            | Self::Malformed { .. } => Retry::Soon,
            Self::Refused { .. }
            | Self::WrongNetwork { .. }
            | Self::Misconfigured { .. }
            | Self::Pruned { .. } => Retry::AfterChange,
        }
    }

    /// A stable name for health, metrics and the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "node_unreachable",
            Self::Refused { .. } => "node_refused",
            Self::Busy { .. } => "node_busy",
            Self::WrongNetwork { .. } => "wrong_network",
            Self::Misconfigured { .. } => "asset_misconfigured",
            Self::Synchronising { .. } => "node_synchronising",
            Self::Behind { .. } => "node_behind",
            Self::Pruned { .. } => "node_pruned",
            Self::Missing { .. } => "block_missing",
            Self::Stale { .. } => "block_stale",
            Self::Unproven { .. } => "block_unproven",
            Self::TooFew { .. } => "too_few_endpoints",
            Self::Disagreement { .. } => "endpoints_disagree",
            Self::Malformed { .. } => "node_answer_malformed",
        }
    }
}
