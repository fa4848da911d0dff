//! What is known of endpoints, for people.

use std::fmt;

use paywatch_domain::BlockRef;

use crate::error::SourceError;

/// How an endpoint is, as it was last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has not been asked yet.
    Unasked,
    /// It answers.
    Well,
    /// It gives no answer that could be used; its last error says why.
    Lost,
    /// It answers, and what it gave for a block failed its proof a short time ago.
    Distrusted,
    /// It belongs to another network. It is never used.
    WrongNetwork,
}

impl Condition {
    /// A stable name for the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unasked => "unasked",
            Self::Well => "well",
            Self::Lost => "lost",
            Self::Distrusted => "distrusted",
            Self::WrongNetwork => "wrong_network",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unasked => "not asked yet",
            Self::Well => "answers",
            Self::Lost => "does not answer usably",
            Self::Distrusted => "gave a block that fails its proof",
            Self::WrongNetwork => "is on another network",
        })
    }
}

/// What is known of one endpoint, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Host and port.
    pub name: String,
    /// How it is.
    pub condition: Condition,
    /// Whether it is asked first, as long as it is well.
    pub is_leading: bool,
    /// Whether it is left out of polls, because it gave no answer a short time ago.
    pub is_resting: bool,
    /// What it gives besides what all of its family do, in words.
    pub offers: Option<String>,
    /// Its software and version, once it has told them.
    pub version: Option<String>,
    /// The last block of its chain when it last answered.
    pub tip: Option<BlockRef>,
    /// How many blocks that is behind the highest that any endpoint has.
    pub lag_blocks: Option<u64>,
    /// Requests that failed since the start.
    pub errors: u64,
    /// The last of them.
    pub last_error: Option<SourceError>,
}
