//! `debug_traceBlockByHash` with `callTracer`: one tree of calls for each transaction.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Inflows, Outermost, add, add_mints, check_count, check_outermost, fault};
use crate::fault::Fault;
use crate::json::{quantity, read};
use crate::proof::ProvenBlock;

/// What the answer is called in faults.
const WHAT: &str = "call traces";
/// Brackets inside of each other: two for each call, of which 1,024 can be inside of the outermost one
/// (<https://ethereum.github.io/yellowpaper/paper.pdf>, section 8), and some for what else a call has. Each call is read
/// with all that is inside of it, so depth is time.
const NESTED_MAX: usize = 2 * 1024 + 32;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace<'a> {
    tx_hash: Option<B256>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<String>,
}

/// One call. Those inside of it are kept as text: they may be nested a thousand times.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    from: Address,
    to: Option<Address>,
    #[serde(default, deserialize_with = "quantity")]
    value: Option<U256>,
    /// Empty in some nodes where there is none.
    error: Option<String>,
    #[serde(borrow, default)]
    calls: Vec<&'a RawValue>,
}

impl Inflows {
    /// From the trees of calls of a block. What a call that failed did, and all below it, is undone:
    /// nodes mark only the call that failed.
    pub fn from_calls(block: &ProvenBlock, answer: &[u8]) -> Result<Self, Fault> {
        let traces: Vec<Trace<'_>> = read(WHAT, answer)?;
        check_count(block, traces.len())?;
        let mut by_transaction = traces
            .into_iter()
            .enumerate()
            .map(|(number, trace)| walk(block, number, &trace))
            .collect::<Result<Vec<_>, _>>()?;
        add_mints(block, &mut by_transaction);
        Ok(Self {
            by_transaction,
            is_whole: true,
        })
    }
}

fn walk(
    block: &ProvenBlock,
    number: usize,
    trace: &Trace<'_>,
) -> Result<BTreeMap<Address, U256>, Fault> {
    let root = match (trace.result, &trace.error) {
        (Some(root), None) => root,
        (_, Some(error)) => return Err(fault(number, format!("it was not traced: {error}"))),
        (None, None) => return Err(fault(number, "it has no result")),
    };
    let mut inflows = BTreeMap::new();
    if NESTED_MAX < nested(root.get()) {
        return Err(fault(number, "its calls are nested deeper than any can be"));
    }
    let mut open = vec![root];
    let mut is_outermost = true;
    while let Some(text) = open.pop() {
        let frame: Frame<'_> = read(WHAT, text.get().as_bytes())?;
        let failed = frame.error.is_some_and(|error| !error.is_empty());
        if std::mem::take(&mut is_outermost) {
            let creates = frame.kind.starts_with("CREATE");
            let outermost = Outermost {
                hash: trace.tx_hash,
                to: frame.to.filter(|_| !creates),
                value: frame.value.unwrap_or_default(),
                failed,
            };
            check_outermost(block, number, &outermost)?;
        }
        if failed {
            continue;
        }
        if moves(frame.kind)
            .ok_or_else(|| fault(number, format!("a call of type {}", frame.kind)))?
        {
            let to = frame.to.ok_or_else(|| fault(number, "a call to nobody"))?;
            add(
                &mut inflows,
                frame.from,
                to,
                frame.value.unwrap_or_default(),
            );
        }
        open.extend(frame.calls);
    }
    Ok(inflows)
}

/// How many brackets are open at most, outside of strings.
fn nested(text: &str) -> usize {
    let (mut open, mut most, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                open = open.saturating_add(1);
                most = most.max(open);
            }
            b'}' | b']' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// Whether a call of this type moves its value. That of a delegated call is its caller's, shown again;
/// a `CALLCODE` sends to itself.
fn moves(kind: &str) -> Option<bool> {
    match kind {
        "CALL" | "CREATE" | "CREATE2" | "SELFDESTRUCT" => Some(true),
        "DELEGATECALL" | "STATICCALL" | "CALLCODE" => Some(false),
        _ => None,
    }
}
