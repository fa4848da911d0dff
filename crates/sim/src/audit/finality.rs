//! When money in a block is final, and whether the marks by which it is were ever said.

use paywatch_domain::{Finality, Mark, Marks};

use super::scene::Scene;

/// Whether a chain has said this of the block at a height; what is finalized is safe and confirmed too.
fn is_marked(marks: Marks, mark: Mark, height: u64) -> bool {
    let own = match mark {
        Mark::Safe => marks.safe,
        Mark::Confirmed => marks.confirmed,
        Mark::Finalized => None,
    };
    let said = [own, marks.finalized];
    said.into_iter().flatten().any(|said| height <= said)
}

/// Whether money in the block at `height` is final by a rule.
pub(super) fn is_final(rule: &Finality, height: u64, tip: u64, marks: Marks) -> bool {
    match rule {
        Finality::Depth(depth) => height + u64::from(*depth) <= tip + 1,
        Finality::Tag(tag) => is_marked(marks, tag.mark(), height),
        Finality::Commitment(commitment) => is_marked(marks, commitment.mark(), height),
        Finality::Any(all) => all.iter().any(|one| is_final(one, height, tip, marks)),
        Finality::Unconfirmed(_) => false,
    }
}

/// What is stored of a mark was said of a block on which the watcher stands, or of one above a block on
/// which it stands still.
pub(super) fn marks_were_said(scene: &Scene<'_>) -> Result<(), String> {
    for (chain, node) in scene.nodes.iter().enumerate() {
        let (Some(row), Some(cursor)) = (scene.row(chain), scene.cursor(chain)) else {
            continue;
        };
        let stored = [
            (Mark::Safe, row.marks.safe),
            (Mark::Confirmed, row.marks.confirmed),
            (Mark::Finalized, row.marks.finalized),
        ];
        for (mark, height) in stored {
            // Below the first block that was ever read no money counts.
            let Some(height) = height.filter(|height| row.first_height <= Some(*height)) else {
                continue;
            };
            let said = node.marking.said.get(&mark).into_iter().flatten();
            // The newest are the likeliest.
            let mut shared = said
                .rev()
                .map(|said| node.ledger.fork_of(cursor, *said))
                .map(|shared| node.ledger.block(shared).at.height);
            if !shared.any(|shared| height <= shared) {
                let name = node.plan.name;
                return Err(format!("nobody said that {name} is {mark} up to {height}"));
            }
        }
    }
    Ok(())
}
