//! What of a chain is read at a time for a request, and what proves that it belongs to the chain.
//!
//! A node proves that a block is whole, not that it is of our chain: blocks of the lowest difficulty cost
//! nothing. So a piece ends with a block whose header is kept. Its hash proves every block that it stands
//! upon, and nothing of the piece is stored before that block was read.

use paywatch_chain::SourceError;
use paywatch_domain::{BlockRef, ChainName};
use paywatch_store::{Conn, StoreError, blocks};

/// Blocks that are read and recorded as a whole.
pub(super) struct Piece {
    /// The highest of them.
    pub(super) to: u64,
    /// That block as the chain is followed. `None` below the lowest header that is kept.
    pub(super) seal: Option<BlockRef>,
}

/// Why a request does not go on.
pub(super) struct Obstacle {
    /// For people.
    pub(super) text: String,
    /// Whether waiting does not help.
    pub(super) is_lasting: bool,
}

impl Obstacle {
    /// The node's chain ends below a block that is wanted.
    pub(super) fn shorter(height: u64) -> Self {
        Self {
            text: format!("the node's chain ends below block {height}; it is asked again"),
            is_lasting: false,
        }
    }

    /// The node gives a block that the chain does not hold.
    pub(super) fn foreign(at: &BlockRef) -> Self {
        Self {
            text: format!(
                "block {} that the node gives at height {} does not belong to the chain that is followed; it is asked again",
                at.hash, at.height
            ),
            is_lasting: false,
        }
    }

    /// The chain was reorganised to below a block that is wanted, or its headers have moved on.
    pub(super) fn not_followed(height: u64) -> Self {
        Self {
            text: format!("block {height} is not followed now; it is read when it is again"),
            is_lasting: false,
        }
    }
}

impl From<SourceError> for Obstacle {
    /// What nobody can give any more ends a request.
    fn from(error: SourceError) -> Self {
        Self {
            text: error.to_string(),
            is_lasting: matches!(error, SourceError::Pruned { .. }),
        }
    }
}

/// The piece that begins at a height. Below the lowest header that is kept nothing is proven: it is read
/// where `may_be_unproven`, as for the scan of a wallet, which only ever raises a counter.
pub(super) async fn piece(
    conn: &mut Conn,
    chain: &ChainName,
    (from, to): (u64, u64),
    may_be_unproven: bool,
) -> Result<Result<Piece, Obstacle>, StoreError> {
    let last = from.saturating_add(blocks::KEPT_EVERY.saturating_sub(1));
    let kept = blocks::between(conn, chain, from, last).await?;
    let wanted = kept.iter().rfind(|kept| kept.height <= to);
    if let Some(seal) = wanted.or(kept.first()) {
        return Ok(Ok(Piece {
            to: seal.height,
            seal: Some(seal.clone()),
        }));
    }
    let is_unproven = blocks::lowest(conn, chain)
        .await?
        .is_some_and(|lowest| from < lowest);
    Ok(match (is_unproven, may_be_unproven) {
        (true, true) => Ok(Piece {
            to: last.min(to),
            seal: None,
        }),
        (true, false) => Err(Obstacle {
            text: format!("no header from block {from} on is kept; nothing proves what it holds"),
            is_lasting: true,
        }),
        (false, _) => Err(Obstacle::not_followed(from)),
    })
}
