//! The follower: which block next, is it connected, what was undone.
//!
//! Without IO: it says what it wants, takes answers, and hands out one chain event at a time. What it
//! hands out becomes true for it only when the event has been applied.

mod event;

use std::collections::VecDeque;

use paywatch_chain::Block;
use paywatch_domain::{BlockHash, BlockRef};

pub use event::{ChainEvent, Halt, Header, Want};

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

/// Follows one chain from the headers that were kept of it.
#[derive(Debug)]
pub struct Follower {
    /// Headers believed canonical, lowest first and with gaps further down; the last one is the cursor.
    window: VecDeque<Header>,
    /// How many blocks below the cursor may be undone.
    depth_max: u64,
    /// Whether the next event may undo more than that, because an operator has looked.
    is_resumed: bool,
    tip: Option<BlockRef>,
    /// The lowest block that the node can give, as far as it was told.
    lowest: u64,
    state: State,
}

impl Follower {
    /// Follows on from `window`, lowest first; empty for a chain that was never read. Where heights follow
    /// each other, blocks must be linked.
    pub fn new(window: Vec<Header>, depth_max: u64) -> Result<Self, Halt> {
        let linked = window.iter().zip(window.iter().skip(1)).all(|(low, high)| {
            let next = low.at.height.saturating_add(1);
            next < high.at.height || (next == high.at.height && high.parent == low.at.hash)
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
            is_resumed: false,
            tip: None,
            lowest: 0,
            state,
        })
    }

    /// Takes the lowest block that the node can give: a chain that was never read begins no lower. Young chains, and
    /// nodes that began with a snapshot, have fewer blocks than may be undone.
    pub fn begin_from(&mut self, lowest: u64) {
        self.lowest = lowest;
    }

    /// The same after an operator has looked at a halt: the next event may undo any number of blocks. When
    /// not even the lowest header is the node's, the node's block just below it is trusted as the fork,
    /// as blocks are at the first start.
    #[must_use]
    pub fn resumed(self) -> Self {
        Self {
            is_resumed: true,
            ..self
        }
    }

    /// The last block that was applied.
    pub fn cursor(&self) -> Option<&BlockRef> {
        self.window.back().map(|header| &header.at)
    }

    /// Whether everything up to the tip that was last observed has been applied.
    pub fn is_at_tip(&self) -> bool {
        self.tip.is_some() && self.cursor() == self.tip.as_ref()
    }

    /// The block on which the branch stands that is read, which is the cursor unless blocks are to be undone;
    /// `None` before the first block, and while the fork is looked for.
    pub fn fork(&self) -> Option<&BlockRef> {
        match &self.state {
            State::Reading { fork, .. } => fork.as_ref(),
            State::Searching { .. } => None,
        }
    }

    /// The node's tip as last observed.
    pub fn tip(&self) -> Option<&BlockRef> {
        self.tip.as_ref()
    }

    /// Takes the node's tip from a poll. A tip that is held, or lies below everything that is held, is not a
    /// branch: the node is behind, and nothing is undone before it shows other blocks.
    pub fn observe(&mut self, tip: &BlockRef) -> Result<(), Halt> {
        let top = self.top().cloned();
        let is_behind = self.is_behind_with(tip);
        let is_held = is_behind || self.cursor() == Some(tip);
        let height = tip.height;
        self.tip = Some(tip.clone());
        if is_held {
            self.read_on();
            return Ok(());
        }
        let State::Reading { blocks, .. } = &mut self.state else {
            return Ok(());
        };
        if top.is_none_or(|top| top.height < height || top == *tip) {
            return Ok(());
        }
        // The node's chain ends at or below our top, and not with our top.
        blocks.retain(|block| block.at.height <= height);
        match blocks.last() {
            Some(last) if last.at == *tip => Ok(()),
            Some(_) | None => self.search(height),
        }
    }

    /// Whether the node's tip as last observed is a block below the cursor that is held too, or lies below
    /// everything that is held: what stands above it is not undone by that, only not known to this node.
    pub fn is_behind(&self) -> bool {
        self.tip
            .as_ref()
            .is_some_and(|tip| self.is_behind_with(tip))
    }

    fn is_behind_with(&self, tip: &BlockRef) -> bool {
        let is_held = self.is_held(Some(tip)) && self.cursor() != Some(tip);
        let lowest = self.window.front().map(|header| header.at.height);
        is_held || lowest.is_some_and(|lowest| tip.height < lowest)
    }

    /// Reads on above the cursor; what was read and not applied is thrown away.
    fn read_on(&mut self) {
        self.state = State::Reading {
            fork: self.cursor().cloned(),
            blocks: Vec::new(),
        };
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
                    None => self.first(tip.height),
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

    /// Where a chain begins that was never read.
    fn first(&self, tip: u64) -> u64 {
        let deepest = tip.saturating_sub(self.depth_max);
        deepest.max(self.lowest).min(tip)
    }

    /// Takes the node's hash at a height that was wanted; `None` above the node's tip, which is not known
    /// any more then.
    pub fn hash(&mut self, height: u64, hash: Option<&BlockHash>) -> Result<(), Halt> {
        if !matches!(self.state, State::Searching { height: wanted } if wanted == height) {
            return Ok(());
        }
        let ours = self
            .window
            .iter()
            .rev()
            .find(|header| header.at.height == height);
        let fork = match (ours, hash) {
            (Some(ours), hash) if hash == Some(&ours.at.hash) => ours.at.clone(),
            (Some(_), Some(_)) => {
                let below = height.checked_sub(1).ok_or_else(|| self.too_deep())?;
                return self.search(below);
            }
            // The node's chain ends below by now, which says nothing about this block: its tip must be
            // asked for again.
            (Some(_), None) => {
                self.tip = None;
                self.read_on();
                return Ok(());
            }
            // Below everything that is held.
            (None, Some(hash)) => BlockRef {
                height,
                hash: hash.clone(),
            },
            (None, None) => return Err(self.too_deep()),
        };
        self.state = State::Reading {
            fork: Some(fork),
            blocks: Vec::new(),
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
            Some(top) if block.parent != top.hash => self.search(u64::MAX),
            Some(_) | None => {
                blocks.push(block);
                Ok(())
            }
        }
    }

    /// Whether an event can be taken. A reorganisation is ready once the new branch reaches the old
    /// tip's height or the node's tip, so that it says one result.
    pub fn is_ready(&self) -> bool {
        let State::Reading { blocks, .. } = &self.state else {
            return false;
        };
        let height = |block: Option<&BlockRef>| block.map(|block| block.height);
        let is_whole =
            self.top() == self.tip.as_ref() || height(self.cursor()) <= height(self.top());
        !blocks.is_empty() && is_whole
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
        if !self.is_held(event.fork.as_ref()) && !self.is_resumed {
            return Err(Halt::Broken("an event's fork is not in the window"));
        }
        while self
            .cursor()
            .is_some_and(|cursor| Some(cursor) != event.fork.as_ref())
        {
            self.window.pop_back();
        }
        let mut below = event.fork.as_ref();
        for block in &event.blocks {
            if below.is_some_and(|below| below.hash != block.parent) {
                return Err(Halt::Broken("an event's block does not connect"));
            }
            below = Some(&block.at);
            self.window.push_back(Header {
                at: block.at.clone(),
                parent: block.parent.clone(),
            });
        }
        self.is_resumed = false;
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

    /// How many blocks stand between what was read and the node's tip; `None` while that is not known.
    pub fn remaining(&self) -> Option<u64> {
        let tip = self.tip.as_ref()?;
        let top = self.top()?;
        Some(tip.height.saturating_sub(top.height))
    }

    /// The lowest height that is worth keeping.
    fn keep_from(&self) -> u64 {
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

    /// Whether a block is held as canonical; so is "none", for a chain that was never read.
    fn is_held(&self, block: Option<&BlockRef>) -> bool {
        match block {
            Some(block) => self.window.iter().rev().any(|header| header.at == *block),
            None => self.window.is_empty(),
        }
    }

    /// Whether the chain may be undone down to this height.
    fn allows(&self, height: u64) -> bool {
        self.is_resumed || self.keep_from() <= height
    }

    /// Throws away what was read and not applied, and looks for the fork from the highest block that is
    /// held, at or below a height and the node's tip.
    fn search(&mut self, at_most: u64) -> Result<(), Halt> {
        let Some(lowest) = self.window.front().map(|header| header.at.height) else {
            self.state = State::Reading {
                fork: None,
                blocks: Vec::new(),
            };
            return Ok(());
        };
        let tip = self.tip.as_ref().map_or(u64::MAX, |tip| tip.height);
        let mut held = self.window.iter().rev().map(|header| header.at.height);
        let height = match held.find(|height| *height <= at_most.min(tip)) {
            Some(height) => Some(height),
            None => lowest.checked_sub(1).filter(|_| self.is_resumed),
        };
        let height = height.filter(|height| self.allows(*height));
        self.state = State::Searching {
            height: height.ok_or_else(|| self.too_deep())?,
        };
        Ok(())
    }

    fn too_deep(&self) -> Halt {
        let held = self.window.front().map_or(0, |header| header.at.height);
        let lowest = if self.is_resumed {
            held
        } else {
            held.max(self.keep_from())
        };
        Halt::TooDeep { lowest }
    }
}
