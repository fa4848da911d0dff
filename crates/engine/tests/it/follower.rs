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
            None => follower.observe(node.tip()).map(|()| true),
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
        while copy.last().is_some() && copy.last() != event.fork.as_ref() {
            copy.pop();
        }
        assert_eq!(
            copy.last(),
            event.fork.as_ref(),
            "the fork was on the chain"
        );
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
        follower.observe(node.tip())?;
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
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => Just(Act::Observe),
        4 => (1..8_usize).prop_map(Act::Ask),
        3 => Just(Act::Apply),
        3 => (0..6_usize, 0..8_usize).prop_map(|(undo, mine)| Act::Reorganise { undo, mine }),
        1 => Just(Act::Restart),
    ];
    proptest::collection::vec(act, 1..80)
}

const DEPTH_MAX: u64 = 500;

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
                Act::Observe => follower.observe(node.tip()).unwrap(),
                Act::Ask(count) => for _ in 0..count {
                    ask(&mut follower, &node).unwrap();
                },
                Act::Apply => apply(&mut follower, &mut copy),
                Act::Reorganise { undo, mine } => node.reorganise(undo, mine),
                Act::Restart => follower = Follower::new(window(&copy), DEPTH_MAX).unwrap(),
            }
        }
        settle(&mut follower, &node, &mut copy).unwrap();
        prop_assert_eq!(copy, node.chain);
    }

    /// A reorganisation that is read without disturbance is one event with the final result.
    #[test]
    fn a_reorganisation_is_one_event(undo in 1..7_usize, mine in 0..10_usize) {
        let mut node = Node::new(20);
        let mut follower = Follower::new(Vec::new(), DEPTH_MAX).unwrap();
        let mut copy = Vec::new();
        settle(&mut follower, &node, &mut copy).unwrap();
        node.reorganise(undo, mine);
        follower.observe(node.tip()).unwrap();
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
    fn a_reorganisation_deeper_than_the_limit_halts(undo in 4..19_usize, mine in 1..30_usize) {
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

#[test]
fn a_chain_that_was_never_read_starts_within_reach_of_the_limit() {
    let node = Node::new(50);
    let mut follower = Follower::new(Vec::new(), 10).unwrap();
    assert_eq!(
        follower.want(),
        Want::Nothing,
        "nothing is asked before the node's tip is known"
    );
    follower.observe(node.tip()).unwrap();
    assert_eq!(follower.want(), Want::Blocks { from: 39, to: 49 });
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
