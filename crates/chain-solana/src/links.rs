//! Parent links, and the names that slots have by them.
//!
//! The height of a block is its slot, and a chain here has a block at every height. A slot that was skipped
//! has an empty one, whose hash is the hash of the last block below it, a plus sign, and how many slots it is
//! above that. So the hash of every slot between a block and its parent follows from the block's own links,
//! and a slot is a skipped one only because a block above says so.

use paywatch_chain::rpc::Received;
use paywatch_domain::{BlockHash, UnixMillis};
use serde::Deserialize;

use crate::fault::Fault;

/// What stands between the hash of a block and the distance from it.
const SKIPPED: char = '+';
/// When Solana began, in seconds: no block is older.
const FIRST_BLOCK_S: i64 = 1_584_000_000;

/// A block without its transactions, as `getBlock` gives it (<https://solana.com/docs/rpc/http/getblock>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its slot.
    pub slot: u64,
    /// Its hash.
    pub hash: Box<str>,
    /// The slot of the block that it stands on.
    pub parent_slot: u64,
    /// The hash of that block.
    pub parent_hash: Box<str>,
    /// The time that it claims; `None` where the node does not tell.
    pub time: Option<UnixMillis>,
}

/// The fields of an answer to `getBlock` that link blocks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Links<'a> {
    #[serde(borrow)]
    pub(crate) blockhash: &'a str,
    pub(crate) previous_blockhash: &'a str,
    pub(crate) parent_slot: u64,
    pub(crate) block_time: Option<i64>,
}

/// Reads an answer to `getBlock` of this slot; `None` where it is `null`.
pub(crate) fn read_header(slot: u64, answer: &Received) -> Result<Option<Header>, Fault> {
    let links = answer.result::<Option<Links<'_>>>()?;
    Ok(links.map(|links| Header::new(slot, &links)))
}

impl Header {
    /// The block of this slot as its links tell.
    pub(crate) fn new(slot: u64, links: &Links<'_>) -> Self {
        // surfpool calls the slot of a block with transactions its parent's.
        let parent_slot = if links.parent_slot < slot {
            links.parent_slot
        } else {
            slot.saturating_sub(1)
        };
        let seconds = links.block_time.filter(|time| FIRST_BLOCK_S <= *time);
        Self {
            slot,
            hash: links.blockhash.into(),
            parent_slot,
            parent_hash: links.previous_blockhash.into(),
            time: seconds.map(|seconds| UnixMillis(seconds.saturating_mul(1000))),
        }
    }

    /// The hash of a slot: its own, that of its parent, or of one between them, which was skipped; `None`
    /// for a slot of which it tells nothing.
    pub fn hash_of(&self, slot: u64) -> Option<BlockHash> {
        if slot == self.slot {
            return Some(BlockHash::new(&self.hash));
        }
        let above = slot.checked_sub(self.parent_slot)?;
        (slot < self.slot).then(|| skipped(&self.parent_hash, above))
    }

    /// The hash of the slot below.
    pub fn below(&self) -> BlockHash {
        let gap = self.slot.saturating_sub(self.parent_slot);
        skipped(&self.parent_hash, gap.saturating_sub(1))
    }
}

/// The hash of the slot that is so many slots above a block, when there is no block between.
fn skipped(hash: &str, above: u64) -> BlockHash {
    match above {
        0 => BlockHash::new(hash),
        above => BlockHash::new(&format!("{hash}{SKIPPED}{above}")),
    }
}

/// The hash of the slot below one that was skipped; `None` for the hash of a block.
pub fn below_skipped(hash: &BlockHash) -> Option<BlockHash> {
    let (block, above) = hash.as_str().split_once(SKIPPED)?;
    let above: u64 = above.parse().ok()?;
    Some(skipped(block, above.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(slot: u64, parent_slot: u64) -> Header {
        let links = Links {
            blockhash: "c",
            previous_blockhash: "p",
            parent_slot,
            block_time: Some(1_795_301),
        };
        Header::new(slot, &links)
    }

    #[test]
    fn solana_slots_have_names_by_links() {
        let hashes = |header: &Header, slots: std::ops::RangeInclusive<u64>| {
            let hashes = slots.map(|slot| header.hash_of(slot));
            let hashes = hashes.map(|hash| hash.map_or("-".to_owned(), |hash| hash.to_string()));
            hashes.collect::<Vec<_>>().join(" ")
        };
        for (slot, parent_slot, expected, below) in [
            (10, 9, "- - - p c -", "p"),
            (10, 8, "- - p p+1 c -", "p+1"),
            (10, 7, "- p p+1 p+2 c -", "p+2"),
            // surfpool.
            (10, 10, "- - - p c -", "p"),
            (10, 12, "- - - p c -", "p"),
        ] {
            let header = header(slot, parent_slot);
            assert_eq!(hashes(&header, 6..=11), expected, "parent {parent_slot}");
            assert_eq!(header.below().as_str(), below);
            assert_eq!(header.hash_of(9), Some(header.below()));
            assert_eq!(header.time, None, "no block is from 1970");
        }
        assert_eq!(header(0, 0).below().as_str(), "p");
    }

    #[test]
    fn solana_skipped_slots_lead_down_to_a_block() {
        for (hash, expected) in [
            ("p+2", Some("p+1")),
            ("p+1", Some("p")),
            ("p+0", None),
            ("p", None),
            ("p+", None),
            ("p+x", None),
            ("p+1+1", None),
        ] {
            let below = below_skipped(&BlockHash::new(hash));
            let below = below.as_ref().map(BlockHash::as_str);
            assert_eq!(below, expected, "{hash}");
        }
    }
}
