//! Requests and replies of JSON-RPC as they stand on the wire.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{CallError, NodeError, words};

/// One call of a batch: method and parameters.
pub type Call<'a> = (&'a str, Vec<Value>);

/// The version that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// What bitcoind speaks.
    V1,
    /// <https://www.jsonrpc.org/specification>.
    V2,
}

impl Version {
    fn word(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        }
    }
}

#[derive(Serialize)]
pub(super) struct Request<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a [Value],
}

impl<'a> Request<'a> {
    pub(super) fn new(version: Version, id: u64, method: &'a str, params: &'a [Value]) -> Self {
        Self {
            jsonrpc: version.word(),
            id,
            method,
            params,
        }
    }
}

/// What answers one request. A result of `null` is a result.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct Reply<T> {
    id: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    result: Option<T>,
    error: Option<NodeError>,
}

/// What answers a batch: a list, or one refusal of all of it.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct BatchReply(Box<RawValue>);

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl<T> Reply<T> {
    /// The result, or what is said instead.
    pub(super) fn result(self, id: u64, method: &str) -> Result<T, CallError> {
        if let Some(error) = self.error {
            return Err(refused(&error, method));
        }
        if self.id != Some(id) {
            return Err(CallError::Malformed(format!(
                "{method}: an answer to another request"
            )));
        }
        self.result
            .ok_or_else(|| CallError::Malformed(format!("{method}: neither result nor error")))
    }
}

impl BatchReply {
    /// The answer to each call, in the order of the calls; those of the node may stand in any order.
    /// `first` is the id of the first call, the others follow it.
    pub(super) fn results(
        self,
        first: u64,
        calls: &[Call<'_>],
    ) -> Result<Vec<Result<Box<RawValue>, NodeError>>, CallError> {
        let mut replies = self.replies(calls)?;
        if replies.len() != calls.len() {
            return Err(CallError::Malformed(format!(
                "{} answers to {} calls",
                replies.len(),
                calls.len()
            )));
        }
        // As many answers as calls: when each call finds the one of its place, every one is used once.
        replies.sort_by_key(|reply| reply.id);
        (first..)
            .zip(calls)
            .zip(replies)
            .map(|((id, (method, _)), reply)| {
                if reply.id != Some(id) {
                    return Err(CallError::Malformed(format!(
                        "{method}: no answer, or one too many"
                    )));
                }
                match reply.result(id, method) {
                    Ok(raw) => Ok(Ok(raw)),
                    Err(CallError::Node(error)) => Ok(Err(error)),
                    Err(other) => Err(other),
                }
            })
            .collect()
    }

    fn replies(&self, calls: &[Call<'_>]) -> Result<Vec<Reply<Box<RawValue>>>, CallError> {
        let text = self.0.get();
        let malformed =
            |error: serde_json::Error| CallError::Malformed(format!("a batch: {error}"));
        if text.starts_with('[') {
            return serde_json::from_str(text).map_err(malformed);
        }
        let reply: Reply<Box<RawValue>> = serde_json::from_str(text).map_err(malformed)?;
        let method = calls.first().map_or("a batch", |(method, _)| *method);
        Err(match reply.error {
            Some(error) => refused(&error, method),
            None => CallError::Malformed("one answer to a batch".to_owned()),
        })
    }
}

/// The node's own error as the caller knows it.
fn refused(error: &NodeError, method: &str) -> CallError {
    let message = words(&error.message);
    match error.code {
        NodeError::METHOD_NOT_FOUND => CallError::Refused(format!("it has no method {method}")),
        NodeError::LIMIT_EXCEEDED if !is_behind(&message) => CallError::Busy {
            detail: format!("{method}: {message}"),
            retry_after: None,
        },
        code => CallError::Node(NodeError { code, message }),
    }
}

/// Whether a node tells of itself, not of our requests: Solana has the same number for a node that lags
/// (<https://solana.com/docs/rpc/http/gethealth>).
fn is_behind(message: &str) -> bool {
    message.starts_with("Node is ")
}

/// Reads a raw result.
pub fn read<T: DeserializeOwned>(raw: &RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|error| words(&error.to_string()))
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
