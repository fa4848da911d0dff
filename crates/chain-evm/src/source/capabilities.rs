//! What an endpoint offers beside what every node does: found out by asking, not by its name.

use std::collections::BTreeSet;
use std::fmt;

use alloy_primitives::{B256, U64};
use paywatch_chain::SourceError;
use paywatch_chain::rpc::{Call, CallError, NodeError};
use serde_json::{Value, json};

use super::EvmSource;
use super::headers::Head;
use crate::fault::Fault;
use crate::inflows::Inflows;
use crate::proof::ProvenBlock;
use crate::rules::{Rules, TransactionCheck};

/// A way in which nodes tell what contracts paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TraceKind {
    /// A flat list of calls: what nodes with an index of them answer without running the block again.
    Flat,
    /// Balances before and after each transaction: right whatever moved the coin.
    Balances,
    /// Trees of calls: long.
    Calls,
}

impl TraceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Flat, Self::Balances, Self::Calls];

    /// All of them, as a source is configured.
    pub fn all() -> BTreeSet<Self> {
        BTreeSet::from(Self::ALL)
    }

    /// All of them, in the order in which they are used. Every one tells the same of what calls move, so the
    /// one that costs a node least comes first. Transactions of a chain's own types may move coin without
    /// a call, which only balances show: there they do.
    fn preferred(rules: Rules) -> [Self; 3] {
        match rules.transactions {
            TransactionCheck::Root => Self::ALL,
            TransactionCheck::Hash => [Self::Balances, Self::Flat, Self::Calls],
        }
    }

    /// What asks for the trace of a block.
    pub(super) fn call(self, hash: B256, height: u64) -> Call<'static> {
        let by_tracer = |tracer: Value| ("debug_traceBlockByHash", vec![json!(hash), tracer]);
        match self {
            Self::Balances => {
                by_tracer(json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true}}))
            }
            // Its items name the block's hash; it cannot be asked by it everywhere.
            Self::Flat => ("trace_block", vec![json!(U64::from(height))]),
            Self::Calls => by_tracer(json!({"tracer": "callTracer"})),
        }
    }

    pub(super) fn read(self, block: &ProvenBlock, answer: &[u8]) -> Result<Inflows, Fault> {
        match self {
            Self::Balances => Inflows::from_balances(block, answer),
            Self::Flat => Inflows::from_block_trace(block, answer),
            Self::Calls => Inflows::from_calls(block, answer),
        }
    }
}

impl fmt::Display for TraceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Balances => "debug_traceBlockByHash with prestateTracer",
            Self::Flat => "trace_block",
            Self::Calls => "debug_traceBlockByHash with callTracer",
        })
    }
}

/// How `eth_getBlockReceipts` takes the hash of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReceiptsBy {
    /// As an object (EIP-1898).
    Object,
    /// As text.
    Text,
}

impl ReceiptsBy {
    pub(super) fn call(self, hash: B256) -> Call<'static> {
        let named = match self {
            Self::Object => json!({ "blockHash": hash }),
            Self::Text => json!(hash),
        };
        ("eth_getBlockReceipts", vec![named])
    }
}

/// What an endpoint offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// All receipts of a block in one call. Without it each is asked for alone.
    pub block_receipts: bool,
    /// The traces that it gives and that may be used, the one that is used first. Without any, blocks do not
    /// show payments by contracts, unless the chain logs them; balances do.
    pub traces: Vec<TraceKind>,
    /// Whether `eth_call` can be run with code that is not on the chain.
    pub state_overrides: bool,
    /// Whether it takes several calls in one request.
    pub batches: bool,
}

impl Capabilities {
    /// The trace that is used.
    pub fn trace(&self) -> Option<TraceKind> {
        self.traces.first().copied()
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trace() {
            Some(kind) => write!(f, "payments by contracts by {kind}")?,
            None => f.write_str(
                "no traces: payments by contracts are seen by balances, once they are final",
            )?,
        }
        f.write_str(if self.block_receipts {
            "; receipts of a block in one call"
        } else {
            "; receipts one by one"
        })?;
        if !self.batches {
            f.write_str("; no batches")?;
        }
        Ok(())
    }
}

/// Code that returns the number 42, for the question whether it would be run.
const ANSWERING_CODE: &str = "0x602a60005260206000f3";
/// Nobody's account.
pub(super) const NOBODY: &str = "0x00000000000000000000000000000000000c0de5";

impl EvmSource {
    /// Asks for each thing with the last block.
    pub(super) async fn probe(
        &self,
        tip: &Head,
    ) -> Result<(Capabilities, Option<ReceiptsBy>), SourceError> {
        let mut receipts = None;
        for form in [ReceiptsBy::Object, ReceiptsBy::Text] {
            if self.offers(form.call(tip.hash)).await? {
                receipts = Some(form);
                break;
            }
        }
        let mut traces = Vec::new();
        let preferred = TraceKind::preferred(self.rules);
        for kind in preferred.iter().filter(|kind| self.traces.contains(kind)) {
            if self.offers(kind.call(tip.hash, tip.at.height)).await? {
                traces.push(*kind);
            }
        }
        let overridden = vec![
            json!({"to": NOBODY, "data": "0x"}),
            json!("latest"),
            json!({NOBODY: {"code": ANSWERING_CODE}}),
        ];
        let answer = self.endpoint.ask_one(("eth_call", overridden)).await;
        let state_overrides = match answer {
            Ok(answer) => answer.get().trim_matches('"').ends_with("2a"),
            Err(CallError::Node(_) | CallError::Refused(_)) => false,
            Err(other) => return Err(self.failed(other)),
        };
        // Two calls that every node has: refused together, they are asked for one by one from now on.
        let simple = [("eth_chainId", Vec::new()), ("eth_blockNumber", Vec::new())];
        self.ask(&simple).await?;
        let capabilities = Capabilities {
            block_receipts: receipts.is_some(),
            traces,
            state_overrides,
            batches: self.endpoint.takes_batches(),
        };
        Ok((capabilities, receipts))
    }

    /// Whether the endpoint answers such a call. An error that does not say so is none of "no": what is
    /// taken for missing is missed until the next connection.
    async fn offers(&self, call: Call<'_>) -> Result<bool, SourceError> {
        let method = call.0.to_owned();
        match self.endpoint.ask_one(call).await {
            Ok(_) => Ok(true),
            Err(CallError::Refused(_)) => Ok(false),
            Err(CallError::Node(error)) if refuses(&error) => Ok(false),
            Err(CallError::Node(NodeError { code, message })) => Err(self.malformed(format!(
                "{method}: error {code}: {message}; neither an answer nor a refusal"
            ))),
            Err(other) => Err(self.failed(other)),
        }
    }
}

/// Whether an endpoint says in its own words that it does not do something.
fn refuses(error: &NodeError) -> bool {
    /// Not a request, and not parameters, that it knows (<https://www.jsonrpc.org/specification#error_object>);
    /// not supported (<https://eips.ethereum.org/EIPS/eip-1474#error-codes>).
    const CODES: [i64; 4] = [-32600, -32601, -32602, -32004];
    const WORDS: [&str; 9] = [
        "support",
        "not allowed",
        "not enabled",
        "disabled",
        "permission",
        "unauthorized",
        "upgrade",
        " plan",
        " tier",
    ];
    let message = error.message.to_lowercase();
    let has_no_method = message.contains("method") && message.contains("not");
    CODES.contains(&error.code) || has_no_method || WORDS.iter().any(|word| message.contains(word))
}
