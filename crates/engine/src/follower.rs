//! The follower: which block next, is it connected, what was undone.
//!
//! Without IO: it says what it wants, takes answers, and hands out one chain event at a time. What it
//! hands out becomes true for it only when the event has been applied.

use std::collections::VecDeque;

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

/// Above `fork` the chain is now `blocks`. Connecting, catching up, a reorganisation and a bare
/// rollback (no blocks) are this one event.
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
    /// No common block within the window.
    #[error(
        "the chain was reorganised below height {lowest}, deeper than the limit; nothing is guessed: \
         compare the node with another one; the chain stays halted and takes no invoices"
    )]
    TooDeep {
        /// The lowest height that is still held.
        lowest: u64,
    },
    /// A rule of the follower itself does not hold.
    #[error("the follower's own state is broken: {0}")]
    Broken(&'static str),
}

#[derive(Debug)]
enum State {
    /// Reading blocks on top of `fork`. While `fork` is the cursor this is plain following.
    Reading {
        fork: Option<BlockRef>,
        blocks: Vec<Block>,
    },
    /// Looking for the highest block that the node and we share, at this height next.
    Searching { height: u64 },
}

/// Follows one chain from its window of recent headers.
#[derive(Debug)]
pub struct Follower {
    /// Headers believed canonical, lowest first; the last one is the cursor.
    window: VecDeque<Header>,
    /// How many headers are kept below the cursor.
    depth_max: u64,
    tip: Option<BlockRef>,
    state: State,
}

impl Follower {
    /// Follows on from `window`, lowest first; empty for a chain that was never read.
    pub fn new(window: Vec<Header>, depth_max: u64) -> Result<Self, Halt> {
        let linked = window.iter().zip(window.iter().skip(1)).all(|(low, high)| {
            high.parent == low.at.hash && Some(high.at.height) == low.at.height.checked_add(1)
        });
        if !linked {
            return Err(Halt::Broken("the stored window of headers is not linked"));
        }
        let window = VecDeque::from(window);
        let fork = window.back().map(|header| header.at.clone());
        let state = State::Reading {
            fork,
            blocks: Vec::new(),
        };
        Ok(Self {
            window,
            depth_max,
            tip: None,
            state,
        })
    }

    /// The last block that was applied.
    pub fn cursor(&self) -> Option<&BlockRef> {
        self.window.back().map(|header| &header.at)
    }

    /// Whether everything up to the tip that was last observed has been applied.
    pub fn is_at_tip(&self) -> bool {
        self.tip.is_some() && self.cursor() == self.tip.as_ref()
    }

    /// The node's tip as last observed.
    pub fn tip(&self) -> Option<&BlockRef> {
        self.tip.as_ref()
    }

    /// Takes the node's tip from a poll.
    pub fn observe(&mut self, tip: BlockRef) -> Result<(), Halt> {
        let top = self.top().cloned();
        self.tip = Some(tip.clone());
        let State::Reading { fork, blocks } = &mut self.state else {
            return Ok(());
        };
        if top.is_none_or(|top| top.height < tip.height || top == tip) {
            return Ok(());
        }
        // The node's chain ends at or below our top, and not with our top.
        blocks.retain(|block| block.at.height <= tip.height);
        if let Some(last) = blocks.last() {
            if last.at != tip {
                self.search();
            }
            return Ok(());
        }
        let Some(header) = self
            .window
            .iter()
            .rev()
            .find(|header| header.at.height == tip.height)
        else {
            return Err(self.too_deep());
        };
        if header.at == tip {
            *fork = Some(tip);
        } else {
            self.search();
        }
        Ok(())
    }

    /// What to ask the node next.
    pub fn want(&self) -> Want {
        let Some(tip) = &self.tip else {
            return Want::Nothing;
        };
        match &self.state {
            State::Searching { height } => Want::Hash(*height),
            State::Reading { .. } => {
                let from = match self.top() {
                    Some(top) => top.height.saturating_add(1),
                    None => tip.height.saturating_sub(self.depth_max),
                };
                if tip.height < from {
                    Want::Nothing
                } else {
                    Want::Blocks {
                        from,
                        to: tip.height,
                    }
                }
            }
        }
    }

    /// Takes the node's hash at a height that was wanted; `None` above the node's tip.
    pub fn hash(&mut self, height: u64, hash: Option<&BlockHash>) -> Result<(), Halt> {
        if !matches!(self.state, State::Searching { height: wanted } if wanted == height) {
            return Ok(());
        }
        let ours = self
            .window
            .iter()
            .rev()
            .find(|header| header.at.height == height);
        let Some(ours) = ours else {
            return Err(self.too_deep());
        };
        self.state = if hash == Some(&ours.at.hash) {
            State::Reading {
                fork: Some(ours.at.clone()),
                blocks: Vec::new(),
            }
        } else {
            State::Searching {
                height: height.checked_sub(1).ok_or_else(|| self.too_deep())?,
            }
        };
        Ok(())
    }

    /// Takes the next block. A block that does not connect starts the search for the fork.
    pub fn block(&mut self, block: Block) -> Result<(), Halt> {
        let top = self.top().cloned();
        let State::Reading { blocks, .. } = &mut self.state else {
            return Ok(());
        };
        match top {
            Some(top) if Some(block.at.height) != top.height.checked_add(1) => {
                Err(Halt::Broken("a block came out of order"))
            }
            Some(top) if block.parent != top.hash => {
                self.search();
                Ok(())
            }
            Some(_) | None => {
                blocks.push(block);
                Ok(())
            }
        }
    }

    /// Whether an event can be taken. A reorganisation is ready once the new branch reaches the old
    /// tip's height or the node's tip, so that it says one result.
    pub fn is_ready(&self) -> bool {
        let State::Reading { fork, blocks } = &self.state else {
            return false;
        };
        let cursor = self.cursor();
        let changed = !blocks.is_empty() || fork.as_ref() != cursor;
        let height = |block: Option<&BlockRef>| block.map(|block| block.height);
        changed && (self.top() == self.tip.as_ref() || height(cursor) <= height(self.top()))
    }

    /// Takes out the event that is ready. It must be applied, and then told by [`Self::applied`]; after
    /// a failure to apply, the follower is made anew from the store.
    pub fn take(&mut self) -> Option<ChainEvent> {
        if !self.is_ready() {
            return None;
        }
        let from = self.cursor().cloned();
        let State::Reading { fork, blocks } = &mut self.state else {
            return None;
        };
        Some(ChainEvent {
            fork: fork.clone(),
            from,
            blocks: std::mem::take(blocks),
        })
    }

    /// Whether what was read so far may be handed out as it is: true on top of the cursor. A
    /// reorganisation must be read up to the old height first, however many blocks that takes.
    pub fn is_divisible(&self) -> bool {
        match &self.state {
            State::Reading { fork, .. } => fork.as_ref() == self.cursor(),
            State::Searching { .. } => false,
        }
    }

    /// How many blocks and bytes wait to be handed out.
    pub fn waiting(&self) -> (usize, usize) {
        match &self.state {
            State::Reading { blocks, .. } => {
                (blocks.len(), blocks.iter().map(|block| block.bytes).sum())
            }
            State::Searching { .. } => (0, 0),
        }
    }

    /// Takes over an event that was applied: it is the truth now.
    pub fn applied(&mut self, event: &ChainEvent) -> Result<(), Halt> {
        if event.from.as_ref() != self.cursor() {
            return Err(Halt::Broken("an event was applied to another cursor"));
        }
        while self
            .cursor()
            .is_some_and(|cursor| Some(cursor) != event.fork.as_ref())
        {
            self.window.pop_back();
        }
        if self.cursor() != event.fork.as_ref() {
            return Err(Halt::Broken("an event's fork is not in the window"));
        }
        for block in &event.blocks {
            if self
                .cursor()
                .is_some_and(|cursor| cursor.hash != block.parent)
            {
                return Err(Halt::Broken("an event's block does not connect"));
            }
            self.window.push_back(Header {
                at: block.at.clone(),
                parent: block.parent.clone(),
            });
        }
        let keep_from = self.keep_from();
        while self
            .window
            .front()
            .is_some_and(|header| header.at.height < keep_from)
        {
            self.window.pop_front();
        }
        if let State::Reading { fork, .. } = &mut self.state {
            *fork = self.window.back().map(|header| header.at.clone());
        }
        Ok(())
    }

    /// The lowest height that is worth keeping.
    pub fn keep_from(&self) -> u64 {
        self.cursor()
            .map_or(0, |cursor| cursor.height.saturating_sub(self.depth_max))
    }

    /// The last block read, applied or not.
    fn top(&self) -> Option<&BlockRef> {
        match &self.state {
            State::Reading { fork, blocks } => {
                blocks.last().map(|block| &block.at).or(fork.as_ref())
            }
            State::Searching { .. } => None,
        }
    }

    /// Throws away what was read and not applied, and looks for the fork from the top.
    fn search(&mut self) {
        let tip = self.tip.as_ref().map_or(u64::MAX, |tip| tip.height);
        self.state = match self.cursor() {
            Some(cursor) => State::Searching {
                height: cursor.height.min(tip),
            },
            None => State::Reading {
                fork: None,
                blocks: Vec::new(),
            },
        };
    }

    fn too_deep(&self) -> Halt {
        Halt::TooDeep {
            lowest: self.window.front().map_or(0, |header| header.at.height),
        }
    }
}
