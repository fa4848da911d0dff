//! Which headers of a chain are kept: those that a reorganisation may undo, and those that the chain may yet
//! call final.

use std::collections::BTreeMap;
use std::ops::Range;

use paywatch_domain::{BlockRef, Mark, limits};

/// Up to where the headers of a chain were thinned out, and up to where they may be.
#[derive(Debug, Default)]
pub(super) struct KeptHeaders {
    /// The height of the lowest mark that was last said, [`u64::MAX`] where none was; `None` before the first
    /// poll, when everything may be needed yet.
    marked: Option<u64>,
    /// Below this height they were thinned out before.
    thinned_to: u64,
}

impl KeptHeaders {
    /// Takes what the node says of its marks. A mark is compared with the header of its height, so none above
    /// the lowest mark is thrown away.
    pub(super) fn hear(&mut self, marks: &BTreeMap<Mark, BlockRef>) {
        let lowest = marks.values().map(|block| block.height).min();
        self.marked = Some(lowest.unwrap_or(u64::MAX));
    }

    /// The heights to thin out with an event that puts blocks onto `fork` up to `to`, of a chain of which
    /// `depth_max` blocks may be undone.
    pub(super) fn thin(&mut self, fork: u64, to: u64, depth_max: u64) -> Range<u64> {
        let window = to.saturating_sub(depth_max);
        let marked = self.marked.unwrap_or(0);
        let keep_from = window.min(marked.max(to.saturating_sub(limits::HEADERS_KEPT_MAX)));
        let from = self.thinned_to.min(fork);
        self.thinned_to = keep_from;
        from..keep_from
    }
}

#[cfg(test)]
mod tests {
    use paywatch_domain::BlockHash;

    use super::*;

    fn marks(height: u64) -> BTreeMap<Mark, BlockRef> {
        let hash = BlockHash::new("hash");
        BTreeMap::from([(Mark::Finalized, BlockRef { height, hash })])
    }

    #[test]
    fn what_may_be_undone_or_called_final_is_kept() {
        let mut kept = KeptHeaders::default();
        assert!(kept.thin(0, 2_000, 100).is_empty(), "nothing is known yet");
        assert_eq!(kept.thin(99_000, 100_000, 100), 0..50_000, "but not all");
        kept.hear(&marks(99_500));
        assert_eq!(kept.thin(100_000, 100_010, 100), 50_000..99_500);
        kept.hear(&marks(100_005));
        assert_eq!(kept.thin(100_010, 100_020, 100), 99_500..99_920);
        // A branch: headers below the window were stored again.
        assert_eq!(kept.thin(99_900, 100_030, 100), 99_900..99_930);
        // A node that says less has no headers brought back, and none thrown away.
        kept.hear(&marks(10));
        assert!(kept.thin(100_030, 100_040, 100).is_empty());
        kept.hear(&BTreeMap::new());
        assert_eq!(kept.thin(100_040, 100_050, 100), 50_040..99_950);
    }
}
