//! The follower against random forks and a naive model that fetches everything again.
//!
//! Goal: whatever the node does between two questions, the events hand out exactly the node's chain,
//! every block connects, and a reorganisation says one result. Method: a tree of blocks, a node whose
//! best chain jumps around in it, answers that may be older than the next question.

use paywatch_chain::Block;
use paywatch_domain::{BlockHash, BlockRef, UnixMillis};
use paywatch_engine::follower::{Follower, Halt, Header, Want};
use proptest::prelude::*;

fn block_ref(height: u64, branch: u32) -> BlockRef {
    BlockRef {
        height,
        hash: BlockHash::new(&format!("{height}/{branch}")),
    }
}

fn block(at: BlockRef, parent: BlockHash) -> Block {
    Block {
        at,
        parent,
        time: UnixMillis(0),
        bytes: 1,
        credits: Vec::new(),
        spent: Vec::new(),
        outflows: Vec::new(),
        unseen: None,
    }
}

/// The node: its best chain from height 0.
struct Node {
    chain: Vec<BlockRef>,
    branches: u32,
}

impl Node {
    fn new(length: u64) -> Self {
        Self {
            chain: (0..length).map(|height| block_ref(height, 0)).collect(),
            branches: 0,
        }
    }

    /// Drops `undo` blocks and mines `mine` others.
    fn reorganise(&mut self, undo: usize, mine: usize) {
        self.branches += 1;
        self.chain
            .truncate(self.chain.len().saturating_sub(undo).max(1));
        for _ in 0..mine {
            let height = u64::try_from(self.chain.len()).unwrap();
            self.chain.push(block_ref(height, self.branches));
        }
    }

    fn tip(&self) -> BlockRef {
        self.chain.last().unwrap().clone()
    }

    fn at(&self, height: u64) -> Option<&BlockRef> {
        self.chain.get(usize::try_from(height).unwrap())
    }

    fn block(&self, height: u64) -> Option<Block> {
        let parent = height.checked_sub(1).and_then(|below| self.at(below));
        let parent = parent.map_or_else(|| BlockHash::new("none"), |parent| parent.hash.clone());
        Some(block(self.at(height)?.clone(), parent))
    }
}

/// One question and its answer; says whether there was anything to ask.
fn ask(follower: &mut Follower, node: &Node) -> Result<bool, Halt> {
    match follower.want() {
        Want::Nothing => Ok(false),
        Want::Hash(height) => {
            follower.hash(height, node.at(height).map(|block| &block.hash))?;
            Ok(true)
        }
        Want::Blocks { from, .. } => match node.block(from) {
            Some(block) => follower.block(block).map(|()| true),
            None => follower.observe(&node.tip()).map(|()| true),
        },
    }
}

/// Applies what is ready to the naive copy of the chain, and checks the event's promises.
fn apply(follower: &mut Follower, copy: &mut Vec<BlockRef>) {
    while let Some(event) = follower.take() {
        assert_eq!(
            event.from.as_ref(),
            copy.last(),
            "an event starts at the cursor"
        );
        assert!(
            event.undoes() || !event.blocks.is_empty(),
            "an event says something"
        );
        let lowest = copy.first().map(|block| block.height);
        while copy.last().is_some() && copy.last() != event.fork.as_ref() {
            copy.pop();
        }
        let fork = event.fork.as_ref();
        let is_below_all = copy.is_empty() && fork.map(|fork| fork.height + 1) == lowest;
        assert!(
            copy.last() == fork || is_below_all,
            "the fork was on the chain, or right below all of it"
        );
        assert!(!is_below_all || !event.blocks.is_empty());
        for block in &event.blocks {
            if let Some(below) = copy.last() {
                assert_eq!(
                    (&below.hash, below.height + 1),
                    (&block.parent, block.at.height)
                );
            }
            copy.push(block.at.clone());
        }
        follower.applied(&event).unwrap();
    }
}

fn settle(follower: &mut Follower, node: &Node, copy: &mut Vec<BlockRef>) -> Result<(), Halt> {
    for _ in 0..10_000 {
        follower.observe(&node.tip())?;
        while ask(follower, node)? {}
        apply(follower, copy);
        if follower.is_at_tip() {
            return Ok(());
        }
    }
    panic!("the follower does not settle");
}

#[derive(Clone, Debug)]
enum Act {
    Observe,
    Ask(usize),
    Apply,
    Reorganise { undo: usize, mine: usize },
    Restart,
    Resume,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => Just(Act::Observe),
        4 => (1..8_usize).prop_map(Act::Ask),
        3 => Just(Act::Apply),
        3 => (0..6_usize, 0..8_usize).prop_map(|(undo, mine)| Act::Reorganise { undo, mine }),
        1 => Just(Act::Restart),
        1 => Just(Act::Resume),
    ];
    proptest::collection::vec(act, 1..80)
}

/// Acts with reorganisations that go far deeper than the limit.
fn deep_acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => Just(Act::Observe),
        4 => (1..20_usize).prop_map(Act::Ask),
        4 => Just(Act::Apply),
        2 => (0..8_usize, 0..30_usize).prop_map(|(undo, mine)| Act::Reorganise { undo, mine }),
        1 => (0..60_usize, 0..80_usize).prop_map(|(undo, mine)| Act::Reorganise { undo, mine }),
        1 => Just(Act::Restart),
        2 => Just(Act::Resume),
    ];
    proptest::collection::vec(act, 1..100)
}

const DEPTH_MAX: u64 = 500;

/// How deep the chains of the model with halts are followed, and every how many blocks it keeps a header.
const SHALLOW: u64 = 6;
const STEP: u64 = 9;

/// The headers that are kept of a chain: those of the window, every few and the first.
fn kept(copy: &[BlockRef]) -> Vec<Header> {
    let window_from = copy
        .last()
        .map_or(0, |top| top.height.saturating_sub(SHALLOW));
    let first = copy.first().map_or(0, |first| first.height);
    let mut headers = window(copy);
    headers.retain(|header| {
        let height = header.at.height;
        window_from <= height || height % STEP == 0 || height == first
    });
    headers
}

/// The lowest header from which on up to the top none is missing.
fn unbroken(headers: &[Header]) -> u64 {
    let heights = headers.iter().rev().map(|header| header.at.height);
    let top = headers.last().map_or(0, |header| header.at.height);
    let run = (0..=top).rev().zip(heights);
    let unbroken = run.take_while(|(expected, height)| expected == height);
    unbroken.last().map_or(0, |(lowest, _)| lowest)
}

/// The chain that the model with halts follows: it restarts and resumes from what is kept.
struct Shallow {
    node: Node,
    copy: Vec<BlockRef>,
    /// `None` while it is halted.
    follower: Option<Follower>,
    /// The lowest height down to which the follower holds every header. A chain that became shorter does
    /// not move it down: the limit counts from the highest block that was recorded.
    floor: u64,
    halts: usize,
}

impl Shallow {
    /// What a follower says; a halt must be right.
    fn judge(&mut self, result: &Result<bool, Halt>) {
        match result {
            Ok(_) => {}
            Err(Halt::TooDeep { .. }) => {
                let top = self.copy.last().unwrap().height;
                let limit = top.saturating_sub(SHALLOW).max(self.floor);
                let ours = self.copy.iter().find(|block| block.height == limit);
                assert!(
                    ours.is_none() || self.node.at(limit) != ours,
                    "halted although {limit} is shared"
                );
                self.follower = None;
                self.halts += 1;
            }
            Err(halt @ (Halt::Broken(_) | Halt::Final { .. })) => panic!("{halt}"),
        }
    }

    fn act(&mut self, act: &Act) {
        if let Act::Reorganise { undo, mine } = act {
            self.node.reorganise(*undo, *mine);
            return;
        }
        let headers = kept(&self.copy);
        let unbroken = unbroken(&headers);
        let kept = Follower::new(headers, SHALLOW).unwrap();
        let Some(mut follower) = self.follower.take() else {
            self.follower = matches!(act, Act::Resume).then(|| kept.resumed());
            self.floor = unbroken;
            return;
        };
        let result = match act {
            Act::Observe => follower.observe(&self.node.tip()).map(|()| true),
            Act::Ask(count) => (0..*count).try_fold(true, |_, _| ask(&mut follower, &self.node)),
            Act::Apply => {
                let before = self.copy.clone();
                apply(&mut follower, &mut self.copy);
                self.move_floor(&before);
                Ok(true)
            }
            Act::Restart => {
                follower = kept;
                self.floor = unbroken;
                Ok(true)
            }
            Act::Resume | Act::Reorganise { .. } => Ok(true),
        };
        self.follower = Some(follower);
        self.judge(&result);
    }

    /// What was recorded is not held any further down than the limit below the highest block.
    fn move_floor(&mut self, before: &[BlockRef]) {
        let mut shared = before
            .iter()
            .zip(&self.copy)
            .filter(|(old, new)| old == new);
        let fork = shared.next_back().map_or(0, |(block, _)| block.height);
        let top = self.copy.last().map_or(0, |block| block.height);
        self.floor = self.floor.min(fork).max(top.saturating_sub(SHALLOW));
    }

    /// Lets the node mine on, beyond where we stand, and resumes whenever that is needed: a chain that stays far
    /// shorter is waited for.
    fn finish(&mut self) {
        let top = self.copy.last().map_or(0, |top| top.height);
        let beyond = usize::try_from(top).unwrap() + 40;
        self.node.reorganise(0, beyond);
        for _ in 0..1_000 {
            for act in [Act::Resume, Act::Observe, Act::Ask(100), Act::Apply] {
                self.act(&act);
            }
            if self.follower.as_ref().is_some_and(Follower::is_at_tip) {
                return;
            }
        }
        panic!("the follower does not settle");
    }
}

fn window(copy: &[BlockRef]) -> Vec<Header> {
    let parent = |index: usize| index.checked_sub(1).and_then(|below| copy.get(below));
    let header = |(index, at): (usize, &BlockRef)| Header {
        at: at.clone(),
        parent: parent(index).map_or_else(|| BlockHash::new("none"), |below| below.hash.clone()),
    };
    copy.iter().enumerate().map(header).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// The events always add up to the node's chain, whatever happened in between.
    #[test]
    fn events_add_up_to_the_chain_of_a_model_that_fetches_everything(acts in acts()) {
        let mut node = Node::new(5);
        let mut follower = Follower::new(Vec::new(), DEPTH_MAX).unwrap();
        let mut copy = Vec::new();
        for act in acts {
            match act {
                Act::Observe => follower.observe(&node.tip()).unwrap(),
                Act::Ask(count) => for _ in 0..count {
                    ask(&mut follower, &node).unwrap();
                },
                Act::Apply => apply(&mut follower, &mut copy),
                Act::Reorganise { undo, mine } => node.reorganise(undo, mine),
                Act::Restart | Act::Resume => {
                    follower = Follower::new(window(&copy), DEPTH_MAX).unwrap();
                }
            }
        }
        // A node that only lost blocks is behind until it has others.
        node.reorganise(0, 1);
        settle(&mut follower, &node, &mut copy).unwrap();
        prop_assert_eq!(copy, node.chain);
    }

    /// The same with a limit, and with reorganisations deeper than it: halts are right, and after resuming
    /// the events add up to the node's chain again.
    #[test]
    fn events_add_up_through_halts_and_resumes(length in 1..60_u64, acts in deep_acts()) {
        let mut shallow = Shallow {
            node: Node::new(length),
            copy: Vec::new(),
            follower: Some(Follower::new(Vec::new(), SHALLOW).unwrap()),
            floor: 0,
            halts: 0,
        };
        for act in &acts {
            shallow.act(act);
        }
        shallow.finish();
        let Shallow { node, copy, .. } = &shallow;
        let first = copy.first().unwrap().height;
        prop_assert_eq!(copy.as_slice(), &node.chain[usize::try_from(first).unwrap()..]);
    }

    /// A reorganisation that is read without disturbance is one event with the final result.
    #[test]
    fn a_reorganisation_is_one_event(undo in 1..7_usize, mine in 1..10_usize) {
        let mut node = Node::new(20);
        let mut follower = Follower::new(Vec::new(), DEPTH_MAX).unwrap();
        let mut copy = Vec::new();
        settle(&mut follower, &node, &mut copy).unwrap();
        node.reorganise(undo, mine);
        follower.observe(&node.tip()).unwrap();
        let mut first = None;
        while first.is_none() {
            prop_assert!(ask(&mut follower, &node).unwrap() || follower.is_ready());
            first = follower.take();
        }
        let event = first.unwrap();
        prop_assert!(event.undoes());
        prop_assert_eq!(event.fork.as_ref(), node.at(u64::try_from(19 - undo).unwrap()));
        prop_assert_eq!(event.blocks.len(), mine.min(undo), "up to the old height or the tip");
    }

    /// Deeper than the limit: a named end, and the cursor stays.
    #[test]
    fn a_reorganisation_deeper_than_the_limit_halts(undo in 4..19_usize, mine in 15..30_usize) {
        let mut node = Node::new(20);
        let mut follower = Follower::new(Vec::new(), 3).unwrap();
        let mut copy = Vec::new();
        settle(&mut follower, &node, &mut copy).unwrap();
        let cursor = follower.cursor().cloned();
        node.reorganise(undo, mine);
        let end = settle(&mut follower, &node, &mut copy);
        prop_assert_eq!(end, Err(Halt::TooDeep { lowest: 16 }));
        prop_assert_eq!(follower.cursor().cloned(), cursor);
    }
}

/// Goal: with permission the fork is found through the headers that were kept, or below all of them.
#[test]
fn a_resumed_follower_finds_the_fork_below_its_window() {
    // 50 blocks, followed from height 13 on: kept are 13, 18, 27, 36 and 43 to 49.
    for (undo, fork) in [(5, 44), (8, 36), (20, 27), (36, 13), (37, 12), (45, 12)] {
        let mut shallow = Shallow {
            node: Node::new(20),
            copy: Vec::new(),
            follower: Some(Follower::new(Vec::new(), SHALLOW).unwrap()),
            floor: 0,
            halts: 0,
        };
        for mine in [0, 30] {
            shallow.node.reorganise(0, mine);
            shallow.act(&Act::Observe);
            shallow.act(&Act::Ask(100));
            shallow.act(&Act::Apply);
        }
        assert_eq!(shallow.copy.first().unwrap().height, 13);
        assert_eq!(shallow.copy.last(), Some(&shallow.node.tip()));
        shallow.node.reorganise(undo, undo + 1);
        shallow.act(&Act::Observe);
        shallow.act(&Act::Ask(100));
        assert_eq!(shallow.halts, usize::from(6 < undo), "{undo}");
        shallow.act(&Act::Resume);
        shallow.act(&Act::Observe);
        shallow.act(&Act::Ask(100));
        let event = shallow.follower.as_mut().unwrap().take().unwrap();
        assert_eq!(event.fork.as_ref(), shallow.node.at(fork), "{undo}");
        assert_eq!(event.to(), Some(&shallow.node.tip()), "one event: {undo}");
    }
}

#[test]
fn a_chain_that_was_never_read_starts_within_reach_of_the_limit() {
    let node = Node::new(50);
    let mut follower = Follower::new(Vec::new(), 10).unwrap();
    assert_eq!(
        follower.want(),
        Want::Nothing,
        "nothing is asked before the node's tip is known"
    );
    follower.observe(&node.tip()).unwrap();
    assert_eq!(follower.want(), Want::Blocks { from: 39, to: 49 });
}

#[test]
fn a_chain_that_was_never_read_starts_with_what_its_node_has() {
    let node = Node::new(50);
    for (lowest, from) in [(0, 39), (39, 39), (45, 45), (49, 49), (200, 49)] {
        let mut follower = Follower::new(Vec::new(), 10).unwrap();
        follower.begin_from(lowest);
        follower.observe(&node.tip()).unwrap();
        assert_eq!(follower.want(), Want::Blocks { from, to: 49 }, "{lowest}");
    }
    // Where it was read before, everything is wanted that follows.
    let mut follower = Follower::new(window(&node.chain[..20]), 10).unwrap();
    follower.begin_from(45);
    follower.observe(&node.tip()).unwrap();
    assert_eq!(follower.want(), Want::Blocks { from: 20, to: 49 });
}

#[test]
fn a_window_that_is_not_linked_is_refused() {
    let header = |height, branch, parent: &str| Header {
        at: block_ref(height, branch),
        parent: BlockHash::new(parent),
    };
    let window = vec![header(1, 0, "0/0"), header(2, 0, "1/9")];
    assert!(matches!(Follower::new(window, 10), Err(Halt::Broken(_))));
}

/// An endpoint that lags, or a node that lost blocks, does not say that they are gone.
#[test]
fn a_tip_below_what_was_read_undoes_nothing() {
    let mut node = Node::new(20);
    let mut copy = Vec::new();
    let mut follower = Follower::new(Vec::new(), 5).unwrap();
    settle(&mut follower, &node, &mut copy).unwrap();
    let before = copy.clone();
    // Held; held and as deep as can be; below everything that is held.
    for undo in [1, 5, 15] {
        let mut lagging = Node::new(20);
        lagging.reorganise(undo, 0);
        follower.observe(&lagging.tip()).unwrap();
        assert_eq!(
            (follower.want(), follower.take()),
            (Want::Nothing, None),
            "{undo}"
        );
        assert!(follower.is_behind() && !follower.is_at_tip(), "{undo}");
    }
    settle(&mut follower, &node, &mut copy).unwrap();
    assert!(!follower.is_behind() && copy == before);

    // Another branch whose first blocks are read already is left again.
    node.reorganise(2, 3);
    follower.observe(&node.tip()).unwrap();
    while follower.waiting().0 < 2 {
        assert!(ask(&mut follower, &node).unwrap());
    }
    follower.observe(before.last().unwrap()).unwrap();
    assert!(follower.is_at_tip() && follower.take().is_none());
    settle(&mut follower, &node, &mut copy).unwrap();
    assert_eq!(copy.last(), Some(&node.tip()));
}

/// Another node answers than the one whose tip was asked for, and lags behind it.
#[test]
fn a_node_without_a_block_says_nothing_about_it() {
    let mut node = Node::new(5);
    let mut follower = Follower::new(window(&node.chain), DEPTH_MAX).unwrap();
    let (cursor, forked) = (node.tip(), block_ref(5, 7));
    follower.observe(&forked).unwrap();
    follower
        .block(block(forked, BlockHash::new("other")))
        .unwrap();
    assert_eq!(follower.want(), Want::Hash(4));
    follower.hash(4, None).unwrap();
    assert_eq!((follower.tip(), follower.want()), (None, Want::Nothing));
    assert_eq!(follower.take(), None, "nothing is undone");
    node.reorganise(0, 1);
    let mut copy = node.chain[..5].to_vec();
    assert_eq!(copy.last(), Some(&cursor));
    settle(&mut follower, &node, &mut copy).unwrap();
    assert_eq!(copy, node.chain);
}
