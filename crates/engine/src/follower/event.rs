//! What goes into a follower and comes out of it.

use paywatch_chain::Block;
use paywatch_domain::{BlockHash, BlockRef};

/// A block that the follower believes to be on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which block.
    pub at: BlockRef,
    /// The block it stands on.
    pub parent: BlockHash,
}

/// Above `fork` the chain is now `blocks`, at least one. Connecting, catching up and a reorganisation are this
/// one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEvent {
    /// The highest block that stays; `None` for the very first event of a chain.
    pub fork: Option<BlockRef>,
    /// The cursor before the event.
    pub from: Option<BlockRef>,
    /// What stands above the fork now, lowest first.
    pub blocks: Vec<Block>,
}

impl ChainEvent {
    /// The cursor after the event.
    pub fn to(&self) -> Option<&BlockRef> {
        self.blocks
            .last()
            .map(|block| &block.at)
            .or(self.fork.as_ref())
    }

    /// Whether blocks that stood on the chain do not any more.
    pub fn undoes(&self) -> bool {
        self.fork != self.from
    }
}

/// What the follower wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// Nothing: it has read up to the tip that was last observed, or nothing was observed yet.
    Nothing,
    /// The node's hash at this height.
    Hash(u64),
    /// The node's blocks from one height to another, in order.
    Blocks {
        /// The lowest.
        from: u64,
        /// The highest, included.
        to: u64,
    },
}

/// Why a chain cannot be followed any further without a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// No common block within the limit, which counts from the highest block that was recorded: a chain that
    /// became shorter first does not make it deeper.
    #[error(
        "the chain was reorganised below height {lowest}, deeper than the limit; nothing is guessed: \
         look at the node and compare it with another one, then `paywatch chains resume CHAIN` takes \
         what the node says; until then the chain stays halted and takes no invoices"
    )]
    TooDeep {
        /// The lowest height down to which a common block was looked for.
        lowest: u64,
    },
    /// Blocks that the node had called final left the chain.
    #[error(
        "the chain was reorganised down to height {fork}, and the node had called it final up to {finalized}; \
         compare the node with another one, then `paywatch chains resume CHAIN` takes what it says"
    )]
    Final {
        /// The highest block that stays.
        fork: u64,
        /// Up to where the chain was final.
        finalized: u64,
    },
    /// A rule of the follower itself does not hold.
    #[error("the follower's own state is broken: {0}")]
    Broken(&'static str),
}
