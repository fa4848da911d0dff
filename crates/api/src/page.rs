//! One page of a list as it is answered.

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
