//! Headers by height or tag: hashed here, and linked to each other.

use alloy_primitives::{B256, U64};
use paywatch_chain::SourceError;
use paywatch_chain::rpc::Call;
use paywatch_domain::{BlockHash, BlockRef, Mark};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::EvmSource;
use super::endpoint::CallAnswer;
use crate::header::Header;

/// A block of which the header was hashed.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) at: BlockRef,
    pub(super) hash: B256,
    parent: B256,
}

/// What the node calls the block.
#[derive(Deserialize)]
struct Name {
    hash: B256,
}

/// What asks for a header, by height or tag.
pub(super) fn header_call(place: &Value) -> Call<'static> {
    ("eth_getBlockByNumber", vec![place.clone(), json!(false)])
}

/// A height as nodes take it.
pub(super) fn height_text(height: u64) -> Value {
    json!(U64::from(height))
}

impl EvmSource {
    /// Reads an answer; `None` for `null`.
    pub(super) fn read_head(&self, answer: &RawValue) -> Result<Option<Head>, SourceError> {
        let text = answer.get();
        if text == "null" {
            return Ok(None);
        }
        let unread = |error: serde_json::Error| self.malformed(format!("a header: {error}"));
        let header: Header = serde_json::from_str(text).map_err(unread)?;
        let name: Name = serde_json::from_str(text).map_err(unread)?;
        let hash = header.hash();
        if name.hash != hash {
            let name = name.hash;
            return Err(self.malformed(format!("a header is called {name} and hashes to {hash}")));
        }
        Ok(Some(Head {
            at: BlockRef {
                height: header.number.to(),
                hash: BlockHash::new(&hash.to_string()),
            },
            hash,
            parent: header.parent_hash,
        }))
    }

    /// The block of this height; `None` for `null`.
    pub(super) async fn head_at(&self, height: u64) -> Result<Option<Head>, SourceError> {
        let answer = self
            .endpoint
            .ask_one(header_call(&height_text(height)))
            .await;
        let answer = answer.map_err(|error| self.failed(error))?;
        let head = self.read_head(&answer)?;
        head.map(|head| self.at_height(height, head)).transpose()
    }

    /// The last block.
    pub(super) async fn tip(&self) -> Result<Head, SourceError> {
        let answer = self.endpoint.ask_one(header_call(&json!("latest"))).await;
        let answer = answer.map_err(|error| self.failed(error))?;
        self.read_head(&answer)?
            .ok_or_else(|| self.malformed("it has no last block".to_owned()))
    }

    fn at_height(&self, height: u64, head: Head) -> Result<Head, SourceError> {
        if head.at.height == height {
            return Ok(head);
        }
        let found = head.at.height;
        Err(self.malformed(format!("asked for height {height} it gave height {found}")))
    }

    /// The hashes from one height on, as many as one request brings. Only what is above the tip may be
    /// missing; the tip is asked for first, so that it cannot be above what is missing rightly.
    pub(super) async fn linked_hashes(
        &self,
        from: u64,
        to: u64,
    ) -> Result<Vec<BlockHash>, SourceError> {
        if to < from {
            return Ok(Vec::new());
        }
        let most = self.endpoint.batch_max().saturating_sub(1).max(1);
        let last = to.min(
            from.saturating_add(u64::try_from(most).unwrap_or(1))
                .saturating_sub(1),
        );
        let mut calls = vec![("eth_blockNumber", Vec::new())];
        calls.extend((from..=last).map(|height| header_call(&height_text(height))));
        let mut answers = self.ask(&calls).await?.into_iter();
        let tip = self.read_tip(answers.next())?;
        let mut hashes = Vec::new();
        let mut parent: Option<B256> = None;
        for (height, answer) in (from..).zip(answers) {
            let answer = answer.map_err(|error| self.told(error))?;
            let Some(head) = self.read_head(&answer)? else {
                if height <= tip {
                    let detail =
                        format!("it has no header of height {height}, and its tip is {tip}");
                    return Err(self.malformed(detail));
                }
                break;
            };
            let head = self.at_height(height, head)?;
            if parent.is_some_and(|parent| parent != head.parent) {
                let detail =
                    format!("its header of height {height} does not stand on the one below");
                return Err(self.malformed(detail));
            }
            parent = Some(head.hash);
            hashes.push(head.at.hash);
        }
        Ok(hashes)
    }

    fn read_tip(&self, answer: Option<CallAnswer>) -> Result<u64, SourceError> {
        let answer = answer.ok_or_else(|| self.malformed("it gave no height".to_owned()))?;
        let answer = answer.map_err(|error| self.told(error))?;
        let tip: U64 = serde_json::from_str(answer.get())
            .map_err(|error| self.malformed(format!("its height: {error}")))?;
        Ok(tip.to())
    }

    /// The blocks of the tags that the chain has. A node on a young chain has none of them yet.
    pub(super) async fn tagged(&self) -> Result<BTreeMap<Mark, BlockRef>, SourceError> {
        let tags: Vec<(Mark, &str)> = self
            .marks
            .iter()
            .filter_map(|mark| Some((*mark, tag(*mark)?)))
            .collect();
        let calls: Vec<_> = tags
            .iter()
            .map(|(_, tag)| header_call(&json!(tag)))
            .collect();
        let answers = self.ask(&calls).await?;
        let mut marks = BTreeMap::new();
        for ((mark, _), answer) in tags.into_iter().zip(answers) {
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) if is_unknown(error.code, &error.message) => continue,
                Err(error) => return Err(self.told(error)),
            };
            if let Some(head) = self.read_head(&answer)? {
                marks.insert(mark, head.at);
            }
        }
        Ok(marks)
    }
}

/// How a mark is called on EVM chains.
fn tag(mark: Mark) -> Option<&'static str> {
    match mark {
        Mark::Safe => Some("safe"),
        Mark::Finalized => Some("finalized"),
        Mark::Confirmed => None,
    }
}

/// Whether an error says that there is no such block
/// (<https://github.com/ethereum/execution-apis/blob/main/src/engine/common.md#errors>).
pub(super) fn is_unknown(code: i64, message: &str) -> bool {
    const UNKNOWN_BLOCK: i64 = -39001;
    const NOT_FOUND: i64 = -32001;
    let message = message.to_lowercase();
    matches!(code, UNKNOWN_BLOCK | NOT_FOUND)
        || message.contains("not found")
        || message.contains("unknown block")
}
