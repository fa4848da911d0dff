//! `trace_block`: a flat list of calls, each with its place in the tree.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256};
use serde::Deserialize;

use super::{Inflows, Outermost, add, add_mints, check_count, check_outermost, fault};
use crate::fault::Fault;
use crate::json::{quantity, read};
use crate::proof::ProvenBlock;

/// What the answer is called in faults.
const WHAT: &str = "block trace";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    action: Action<'a>,
    block_hash: B256,
    /// Empty in some nodes where there is none.
    error: Option<String>,
    result: Option<Created>,
    subtraces: usize,
    trace_address: Vec<usize>,
    transaction_hash: Option<B256>,
    transaction_position: Option<usize>,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action<'a> {
    call_type: Option<&'a str>,
    from: Option<Address>,
    to: Option<Address>,
    #[serde(default, deserialize_with = "quantity")]
    value: Option<U256>,
    /// The contract that ends.
    address: Option<Address>,
    refund_address: Option<Address>,
    #[serde(default, deserialize_with = "quantity")]
    balance: Option<U256>,
}

#[derive(Deserialize)]
struct Created {
    address: Option<Address>,
}

impl Item<'_> {
    fn failed(&self) -> bool {
        self.error.as_ref().is_some_and(|error| !error.is_empty())
    }
}

impl Inflows {
    /// From the list of all calls of a block. What a call that failed did, and all below it, is undone:
    /// nodes mark only the call that failed.
    pub fn from_block_trace(block: &ProvenBlock, answer: &[u8]) -> Result<Self, Fault> {
        let items: Vec<Item<'_>> = read(WHAT, answer)?;
        let mut trees: BTreeMap<usize, Tree<'_>> = BTreeMap::new();
        for item in items {
            let number = match (item.kind, item.transaction_position) {
                // What the chain itself pays to who makes blocks.
                ("reward", None) => continue,
                (_, Some(number)) => number,
                (_, None) => return Err(fault(0, "a call is of no transaction")),
            };
            if item.block_hash != block.hash {
                return Err(fault(number, "it is of another block"));
            }
            let tree = trees.entry(number).or_default();
            if tree.insert(item.trace_address.clone(), item).is_some() {
                return Err(fault(number, "two calls are at one place"));
            }
        }
        check_count(block, trees.len())?;
        let mut by_transaction = trees
            .into_iter()
            .map(|(number, tree)| walk(block, number, &tree))
            .collect::<Result<Vec<_>, _>>()?;
        add_mints(block, &mut by_transaction);
        Ok(Self {
            by_transaction,
            is_whole: true,
        })
    }
}

/// The calls of a transaction by their place: the outermost one first, each before those inside of it.
type Tree<'a> = BTreeMap<Vec<usize>, Item<'a>>;

fn walk(
    block: &ProvenBlock,
    number: usize,
    tree: &Tree<'_>,
) -> Result<BTreeMap<Address, U256>, Fault> {
    let outermost = tree
        .get(&[][..])
        .ok_or_else(|| fault(number, "it has no outermost call"))?;
    check_outermost(
        block,
        number,
        &Outermost {
            hash: outermost.transaction_hash,
            to: outermost.action.to,
            value: outermost.action.value.unwrap_or_default(),
            failed: outermost.failed(),
        },
    )?;
    check_whole(number, tree)?;
    let mut inflows = BTreeMap::new();
    let mut failed: BTreeSet<&[usize]> = BTreeSet::new();
    for (place, item) in tree {
        let above = place.split_last().map(|(_, above)| above);
        if item.failed() || above.is_some_and(|above| failed.contains(above)) {
            failed.insert(place);
            continue;
        }
        if let Some((from, to, value)) = moved(item).map_err(|detail| fault(number, detail))? {
            add(&mut inflows, from, to, value);
        }
    }
    Ok(inflows)
}

/// Every call is inside of one that is there, and has as many inside of it as it says.
fn check_whole(number: usize, tree: &Tree<'_>) -> Result<(), Fault> {
    let mut inside: BTreeMap<&[usize], usize> = BTreeMap::new();
    for place in tree.keys() {
        if let Some((_, above)) = place.split_last() {
            if !tree.contains_key(above) {
                return Err(fault(number, "a call is inside of one that is missing"));
            }
            let count = inside.entry(above).or_default();
            *count = count.saturating_add(1);
        }
    }
    let whole = tree
        .iter()
        .all(|(place, item)| inside.get(&place[..]).copied().unwrap_or(0) == item.subtraces);
    if whole {
        Ok(())
    } else {
        Err(fault(number, "calls are missing from it"))
    }
}

/// From whom to whom an item moved how much. The value of a delegated call is its caller's, shown
/// again; a `callcode` sends to itself.
fn moved(item: &Item<'_>) -> Result<Option<(Address, Address, U256)>, String> {
    let action = &item.action;
    let (from, to, value) = match (item.kind, action.call_type) {
        ("call", Some("call")) => (action.from, action.to, action.value),
        ("call", Some("delegatecall" | "staticcall" | "callcode")) => return Ok(None),
        ("create", _) => {
            let created = item.result.as_ref().and_then(|created| created.address);
            (action.from, created, action.value)
        }
        ("suicide", _) => (action.address, action.refund_address, action.balance),
        (kind, call) => {
            return Err(format!(
                "a call of type {kind} {}",
                call.unwrap_or_default()
            ));
        }
    };
    match (from, to, value) {
        (Some(from), Some(to), Some(value)) => Ok(Some((from, to, value))),
        _ => Err(format!("a part of a call of type {} is missing", item.kind)),
    }
}
