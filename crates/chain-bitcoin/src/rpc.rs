//! How bitcoind is asked: JSON-RPC for what is small, REST for blocks and headers.
//!
//! JSON-RPC: <https://github.com/bitcoin/bitcoin/blob/master/doc/JSON-RPC-interface.md>, REST:
//! <https://github.com/bitcoin/bitcoin/blob/master/doc/REST-interface.md>.

use std::time::Duration;

use paywatch_chain::rpc::{Answer, Budget, CallError, Client, Config, Version};
use paywatch_chain::rpc::{Call, Credentials, NodeError, SetupError};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// Errors with which the node says that the height, block or transaction that was asked for does not
/// exist; codes in <https://github.com/bitcoin/bitcoin/blob/master/src/rpc/protocol.h>.
pub(crate) const NOT_FOUND: [i64; 2] = [-5, -8];
/// The error of a node that is starting.
const WARMING_UP: i64 = -28;

/// Calls to one node.
#[derive(Debug)]
pub(crate) struct Rpc {
    client: Client,
}

impl Rpc {
    /// A client for the node at `url`.
    pub(crate) fn new(
        url: &str,
        credentials: Credentials,
        budget: Budget,
    ) -> Result<Self, SetupError> {
        let client = Client::new(Config {
            url: url.to_owned(),
            version: Version::V1,
            credentials,
            budget,
        })?;
        Ok(Self { client })
    }

    /// Calls one method.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[Value],
    ) -> Result<T, CallError> {
        let answer = self.client.call(method, params).await;
        answer.map_err(started)
    }

    /// Calls one method that may take its time.
    pub(crate) async fn call_within<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[Value],
        answer: Duration,
    ) -> Result<T, CallError> {
        let answer = self.client.call_within(method, params, answer).await;
        answer.map_err(started)
    }

    /// Calls several methods in one request; an answer for each, in the same order.
    pub(crate) async fn batch(
        &self,
        calls: &[Call<'_>],
    ) -> Result<Vec<Result<Box<RawValue>, NodeError>>, CallError> {
        let answers = self.client.batch(calls).await.map_err(started)?;
        for answer in &answers {
            if let Err(error) = answer
                && error.code == WARMING_UP
            {
                return Err(started(CallError::Node(error.clone())));
            }
        }
        Ok(answers)
    }

    /// Reads a REST path, at most `bytes_max` of it. Every status is an answer.
    pub(crate) async fn rest(&self, path: &str, bytes_max: usize) -> Result<Answer, CallError> {
        self.client.get(path, bytes_max).await
    }
}

/// A node that is starting is one that cannot be reached yet.
fn started(error: CallError) -> CallError {
    match error {
        CallError::Node(NodeError { code, message }) if code == WARMING_UP => {
            CallError::Unreachable(format!("it is starting: {message}"))
        }
        other => other,
    }
}

#[cfg(test)]
#[path = "rpc_tests.rs"]
mod tests;
