//! One page of a list as it is answered.

use paywatch_domain::TransferId;
use paywatch_store::{Cursor, Listed};
use paywatch_wire::Page;

/// Shows a page; `id` tells where to read on.
pub(crate) fn page<T, I>(
    listed: Listed<T>,
    cursor: &Cursor<I>,
    id: impl Fn(&T) -> String,
) -> Page<T> {
    let Listed { rows, has_more } = listed;
    let edge = match cursor {
        Cursor::Newest | Cursor::After(_) => rows.last(),
        Cursor::Before(_) => rows.first(),
    };
    let next_cursor = edge.filter(|_| has_more).map(id);
    Page {
        data: rows,
        has_more,
        next_cursor,
    }
}

/// The part of a whole list, newest first, that a cursor and a limit ask for. Behind a row that is not there
/// comes nothing.
pub(crate) fn within<T>(
    all: Vec<T>,
    cursor: &Cursor<TransferId>,
    limit: u32,
    id: impl Fn(&T) -> String,
) -> Listed<T> {
    let place = |edge: &TransferId| {
        let edge = edge.to_string();
        all.iter().position(|row| id(row) == edge)
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (from, to) = match cursor {
        Cursor::Newest => (0, limit.min(all.len())),
        Cursor::After(edge) => {
            let from = place(edge).map_or(all.len(), |place| place.saturating_add(1));
            (from, from.saturating_add(limit).min(all.len()))
        }
        Cursor::Before(edge) => {
            let to = place(edge).unwrap_or(0);
            (to.saturating_sub(limit), to)
        }
    };
    let has_more = match cursor {
        Cursor::Newest | Cursor::After(_) => to < all.len(),
        Cursor::Before(_) => 0 < from,
    };
    let count = to.saturating_sub(from);
    Listed {
        rows: all.into_iter().skip(from).take(count).collect(),
        has_more,
    }
}
