//! Requests to the endpoint, and what its ways of not giving a block mean.
//!
//! The numbers are those of Agave
//! (<https://github.com/anza-xyz/agave/blob/master/rpc-client-api/src/custom_error.rs>); other software says
//! the same with them, or nothing. None of them is a proof of anything.

use std::sync::atomic::Ordering;
use std::time::Duration;

use paywatch_chain::SourceError;
use paywatch_chain::rpc::{CallError, NodeError, Received, read, words};
use paywatch_domain::BlockRef;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::SolanaSource;
use crate::fault::Fault;

/// What blocks are read with: two thirds of the stake have voted for them.
pub(super) const CONFIRMED: &str = "confirmed";
/// The highest version that fits into the byte that tells it: one transaction of a version that was not
/// asked for, and the whole block is refused.
pub(super) const VERSION_FIRST: u8 = 127;
/// The highest that can be asked for.
const VERSION_LAST: u8 = u8::MAX;
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// What is wanted of a block's transactions.
#[derive(Clone, Copy)]
pub(super) enum Details {
    /// Nothing: its links alone.
    Links,
    /// Keys and balances.
    Accounts,
}

/// How an answer to the request for the block of a slot is read; `None` where it is `null`.
type Reader<T> = fn(u64, Received) -> Result<Option<T>, Fault>;

/// A block as it was read, or why it was not given.
pub(super) type Given<T> = Result<T, Absence>;

/// Why a block was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// `null`, or not available, or not available yet.
    NotNow,
    /// Thrown away.
    CleanedUp,
    /// The node says that the slot was skipped, or that it began with a snapshot above it. Nodes say so of
    /// slots that do have a block.
    SaidSkipped,
    /// The node has not come so far.
    Behind,
    /// It holds a transaction of a version that is higher than what can be asked for.
    Version(NodeError),
    /// The node keeps no transactions.
    NoHistory,
    /// What the node asks for old blocks does not answer.
    Storage(NodeError),
    /// Another error.
    Other(NodeError),
}

impl From<NodeError> for Absence {
    fn from(error: NodeError) -> Self {
        match error.code {
            -32004 | -32014 => Self::NotNow,
            -32001 => Self::CleanedUp,
            -32007 | -32009 => Self::SaidSkipped,
            -32005 | -32016 => Self::Behind,
            -32015 => Self::Version(error),
            -32011 => Self::NoHistory,
            -32019 => Self::Storage(error),
            _ => Self::Other(error),
        }
    }
}

impl SolanaSource {
    /// Asks one thing and reads the answer; an error of the node's own is a fault of the node.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[Value],
    ) -> Result<T, SourceError> {
        let answer = self.call(method, params).await?;
        answer.map_err(|error| self.told(method, &error))
    }

    /// Asks one thing and reads the answer, or the node's own error.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[Value],
    ) -> Result<Result<T, NodeError>, SourceError> {
        let raw = match self.client.call_raw(method, params, ANSWER).await {
            Ok(raw) => raw,
            Err(CallError::Node(error)) => return Ok(Err(error)),
            Err(other) => return Err(self.failed(other)),
        };
        let answer = read(&raw);
        answer
            .map(Ok)
            .map_err(|detail| self.malformed(format!("{method}: {detail}")))
    }

    /// Asks for the block of a slot and reads it.
    pub(super) async fn ask_block<T: Send + 'static>(
        &self,
        block: &BlockRef,
        details: Details,
        read: Reader<T>,
    ) -> Result<Given<T>, SourceError> {
        let version = self.version.load(Ordering::Relaxed);
        let given = self.ask_block_with(block, details, version, read).await?;
        if version < VERSION_LAST && matches!(given, Err(Absence::Version(_))) {
            self.version.store(VERSION_LAST, Ordering::Relaxed);
            return self
                .ask_block_with(block, details, VERSION_LAST, read)
                .await;
        }
        Ok(given)
    }

    async fn ask_block_with<T: Send + 'static>(
        &self,
        block: &BlockRef,
        details: Details,
        version: u8,
        read: Reader<T>,
    ) -> Result<Given<T>, SourceError> {
        let details = match details {
            Details::Links => "none",
            Details::Accounts => "accounts",
        };
        let options = json!({
            "commitment": CONFIRMED,
            "encoding": "json",
            "maxSupportedTransactionVersion": version,
            "rewards": false,
            "transactionDetails": details,
        });
        let slot = block.height;
        let params = [json!(slot), options];
        let answer = self.client.receive("getBlock", &params, ANSWER).await;
        let answer = answer.map_err(|error| self.failed(error))?;
        match self.compute.run(move || read(slot, answer)).await {
            Ok(read) => Ok(read.ok_or(Absence::NotNow)),
            Err(Fault::Call(CallError::Node(error))) => Ok(Err(error.into())),
            Err(Fault::Call(error)) => Err(self.failed(error)),
            Err(fault) => Err(fault.into_source(self.chain.clone(), block.clone())),
        }
    }

    /// Why a block that the chain has was not given.
    pub(super) async fn not_given(&self, block: BlockRef, absence: Absence) -> SourceError {
        let chain = self.chain.clone();
        let lowest = self.lowest().await;
        let is_below = lowest.is_some_and(|lowest| block.height < lowest);
        match absence {
            _ if is_below || absence == Absence::CleanedUp => SourceError::Pruned {
                chain,
                pruned_height: lowest.unwrap_or_else(|| block.height.saturating_add(1)),
                wanted: block.height,
            },
            Absence::NotNow | Absence::SaidSkipped | Absence::Behind | Absence::CleanedUp => {
                SourceError::Missing { chain, block }
            }
            Absence::NoHistory => SourceError::Refused {
                chain,
                detail: "it keeps no transactions; a validator needs the option \
                         --enable-rpc-transaction-history"
                    .to_owned(),
            },
            Absence::Storage(error) => SourceError::Unreachable {
                chain,
                detail: words(&error.message),
            },
            Absence::Version(error) | Absence::Other(error) => self.told("getBlock", &error),
        }
    }

    /// The lowest slot of which the node has a block, if it tells.
    pub(super) async fn lowest(&self) -> Option<u64> {
        self.ask("getFirstAvailableBlock", &[]).await.ok()
    }

    /// An error of the node's own that means nothing more to us.
    pub(super) fn told(&self, method: &str, error: &NodeError) -> SourceError {
        let message = words(&error.message);
        self.malformed(format!("{method}: error {}: {message}", error.code))
    }

    /// A failed call as the engine knows it.
    fn failed(&self, error: CallError) -> SourceError {
        if matches!(error, CallError::Unreachable(_)) {
            self.forget();
        }
        error.into_source(self.chain.clone())
    }
}
