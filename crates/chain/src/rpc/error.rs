//! What can go wrong between a request and its result.

use std::error::Error as _;
use std::time::Duration;

use paywatch_domain::ChainName;
use serde::Deserialize;

use crate::error::SourceError;

/// Characters of a node's own words in an error.
const WORDS_CHARS_MAX: usize = 200;

/// Why a client cannot be made from its configuration. Names what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The node's address cannot be used.
    #[error("the node's url cannot be used: {detail}")]
    Url {
        /// What is wrong with it.
        detail: String,
    },
    /// The program has not chosen who encrypts.
    #[error("no TLS provider is installed; install rustls' ring provider when the program starts")]
    TlsProvider,
    /// The HTTP client cannot be made.
    #[error("no HTTP client can be made: {detail}")]
    Client {
        /// What went wrong.
        detail: String,
    },
}

/// Why a request brought no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No answer, or one that says that there is none now.
    #[error("{0}")]
    Unreachable(String),
    /// The node does not let us.
    #[error("{0}")]
    Refused(String),
    /// The node, or our own budget for it, wants fewer requests.
    #[error("{detail}")]
    Busy {
        /// Who said so.
        detail: String,
        /// How long to leave it alone, when that is known.
        retry_after: Option<Duration>,
    },
    /// An answer that is not what was asked for.
    #[error("{0}")]
    Malformed(String),
    /// The node's own error, by its code.
    #[error("error {}: {}", .0.code, words(&.0.message))]
    Node(NodeError),
}

impl CallError {
    /// The error as the engine knows it. What a node's own error means is the adapter's to say; one that means
    /// nothing to it is an answer that makes no sense.
    pub fn into_source(self, chain: ChainName) -> SourceError {
        match self {
            Self::Unreachable(detail) => SourceError::Unreachable { chain, detail },
            Self::Refused(detail) => SourceError::Refused { chain, detail },
            Self::Busy {
                detail,
                retry_after,
            } => SourceError::Busy {
                chain,
                detail,
                retry_after,
            },
            Self::Malformed(detail) => SourceError::Malformed { chain, detail },
            Self::Node(_) => SourceError::Malformed {
                chain,
                detail: self.to_string(),
            },
        }
    }
}

/// An error of the node's own. Some codes have a meaning everywhere
/// (<https://www.jsonrpc.org/specification#error_object>), the others are the node's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeError {
    /// Which error.
    pub code: i64,
    /// The node's words.
    pub message: String,
}

impl NodeError {
    /// There is no such method, or it is switched off.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// More was asked than the node gives at a time
    /// (<https://eips.ethereum.org/EIPS/eip-1474#error-codes>).
    pub const LIMIT_EXCEEDED: i64 = -32005;
}

/// A node's words, fit for a log line.
pub fn words(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(WORDS_CHARS_MAX)
        .collect()
}

/// An error with everything that caused it, without the address.
pub(super) fn chain_of(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    words(&text)
}
