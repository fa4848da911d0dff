//! Fetching a block with everything that its proof needs, and finding out why one is not given.
//!
//! All parts are asked for by the block's hash, in one request where the endpoint takes batches: the parts
//! of a block are of one server and one moment, and the proof tells where they are not.

use std::sync::Arc;

use alloy_primitives::B256;
use paywatch_chain::SourceError;
use paywatch_chain::rpc::NodeError;
use paywatch_domain::BlockRef;
use serde_json::json;
use serde_json::value::RawValue;

use super::capabilities::TraceKind;
use super::endpoint::CallAnswer;
use super::headers::is_unknown;
use super::identity::Known;
use super::receipts::Receipts;
use super::{EvmSource, RawBlock};
use crate::fault::Fault;
use crate::inflows::Inflows;

/// Why a part of a block is not there.
pub(super) enum Gap {
    /// The answer is wrong, or is none.
    Fault(Fault),
    /// The endpoint said an error.
    Told(NodeError),
    /// It could not be asked.
    Failed(SourceError),
}

impl From<Fault> for Gap {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<SourceError> for Gap {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

/// The answers of which a block is proven.
struct Parts {
    block: Box<RawValue>,
    receipts: Receipts,
    trace: Option<(TraceKind, Box<RawValue>)>,
}

impl EvmSource {
    /// Reads a block and proves it.
    pub(super) async fn fetch_block(&self, block: BlockRef) -> Result<RawBlock, SourceError> {
        let hash = self.hash_of(&block)?;
        let known = self.identified().await?;
        let mut fetched = self.fetch_with(&block, hash, &known).await;
        if let Err(Gap::Failed(SourceError::Refused { .. })) = fetched {
            // It offers less than it did when it was asked: it is asked again.
            self.forget();
            let now = self.identified().await?;
            if now.capabilities != known.capabilities {
                fetched = self.fetch_with(&block, hash, &now).await;
            }
        }
        match fetched {
            Ok(raw) => Ok(raw),
            Err(Gap::Failed(error)) => Err(error),
            Err(gap) => Err(self.not_given(block, gap).await?),
        }
    }

    async fn fetch_with(
        &self,
        block: &BlockRef,
        hash: B256,
        known: &Arc<Known>,
    ) -> Result<RawBlock, Gap> {
        let parts = self.fetch_parts(block, hash, known).await?;
        let (rules, at) = (self.rules, block.clone());
        let proven = self.compute.run(move || {
            let answer = parts.block.get().as_bytes();
            let block = parts.receipts.prove(rules, &at, answer)?;
            let inflows = match parts.trace {
                Some((kind, trace)) if !block.transactions.is_empty() => {
                    kind.read(&block, trace.get().as_bytes())?
                }
                _ => Inflows::without_trace(rules, &block),
            };
            Ok::<_, Fault>(RawBlock { block, inflows })
        });
        Ok(proven.await?)
    }

    async fn fetch_parts(
        &self,
        block: &BlockRef,
        hash: B256,
        known: &Arc<Known>,
    ) -> Result<Parts, Gap> {
        let trace = known.capabilities.trace();
        let mut calls = vec![("eth_getBlockByHash", vec![json!(hash), json!(true)])];
        calls.extend(known.receipts.map(|form| form.call(hash)));
        calls.extend(trace.map(|kind| kind.call(hash, block.height)));
        let mut answers = self.ask(&calls).await?.into_iter();
        let answer = given("block", answers.next())?;
        let receipts = match known.receipts {
            Some(_) => Receipts::OfBlock(given("receipts", answers.next())?),
            None => self.fetch_receipts(hash, &answer).await?,
        };
        let trace = match trace {
            Some(kind) => {
                let first = (kind, given("trace", answers.next()));
                self.any_trace(block, hash, known, &answer, first).await?
            }
            None => None,
        };
        Ok(Parts {
            block: answer,
            receipts,
            trace,
        })
    }

    /// The best trace that the endpoint gives for this block: a tracer may run out of time where another
    /// does not.
    async fn any_trace(
        &self,
        block: &BlockRef,
        hash: B256,
        known: &Arc<Known>,
        answer: &RawValue,
        (kind, first): (TraceKind, Result<Box<RawValue>, Gap>),
    ) -> Result<Option<(TraceKind, Box<RawValue>)>, Gap> {
        let gap = match first {
            Ok(trace) => return Ok(Some((kind, trace))),
            Err(gap) => gap,
        };
        if super::receipts::is_empty(answer)? {
            return Ok(None);
        }
        for other in known
            .capabilities
            .traces
            .iter()
            .filter(|other| **other != kind)
        {
            let answers = self.ask(&[other.call(hash, block.height)]).await?;
            if let Ok(trace) = given("trace", answers.into_iter().next()) {
                return Ok(Some((*other, trace)));
            }
        }
        Err(gap)
    }

    /// Why a block that the chain should have was not given, or not proven.
    pub(super) async fn not_given(
        &self,
        block: BlockRef,
        gap: Gap,
    ) -> Result<SourceError, SourceError> {
        let chain = self.chain.clone();
        let here = self.head_at(block.height).await?;
        if here.is_some_and(|here| here.at.hash != block.hash) {
            return Ok(SourceError::Stale { chain, block });
        }
        Ok(match gap {
            Gap::Fault(fault) => fault.into_source(chain, block),
            Gap::Told(error) if is_pruned(&error) => SourceError::Pruned {
                chain,
                // It does not say from where on it has everything.
                pruned_height: block.height.saturating_add(1),
                wanted: block.height,
            },
            Gap::Told(error) if is_unknown(error.code, &error.message) => {
                SourceError::Missing { chain, block }
            }
            Gap::Told(error) => self.told(error),
            Gap::Failed(error) => error,
        })
    }
}

/// An answer that is one.
pub(super) fn given(what: &'static str, answer: Option<CallAnswer>) -> Result<Box<RawValue>, Gap> {
    match answer {
        Some(Ok(answer)) if answer.get() != "null" => Ok(answer),
        Some(Err(error)) => Err(Gap::Told(error)),
        Some(Ok(_)) | None => Err(Fault::Absent { what }.into()),
    }
}

/// Whether an error says that history, or the state that a trace begins with, was thrown away.
fn is_pruned(error: &NodeError) -> bool {
    /// <https://github.com/ethereum/execution-apis/issues/649>
    const PRUNED_HISTORY: i64 = 4444;
    const WORDS: [&str; 4] = [
        "pruned",
        "missing trie node",
        "historical state",
        "state is not available",
    ];
    let message = error.message.to_lowercase();
    error.code == PRUNED_HISTORY || WORDS.iter().any(|word| message.contains(word))
}
