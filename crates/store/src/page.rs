//! Pages of lists: newest first, before or after a row that the caller has seen.

use std::fmt::Display;

use crate::bind::Bind;
use crate::conn::Conn;
use crate::error::StoreError;
use crate::sql::Sql;

/// Where a page begins, by the public id of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor<I> {
    /// At the newest row.
    Newest,
    /// With the rows that are older than this one.
    After(I),
    /// With the rows that are newer than this one, those next to it.
    Before(I),
}

/// One page, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether there are more in the direction of the cursor.
    pub has_more: bool,
}

impl<T> Listed<T> {
    /// The same page of something else.
    pub(crate) fn try_map<U, E>(self, map: impl FnMut(T) -> Result<U, E>) -> Result<Listed<U>, E> {
        Ok(Listed {
            rows: self.rows.into_iter().map(map).collect::<Result<_, _>>()?,
            has_more: self.has_more,
        })
    }
}

/// A cursor whose row was found.
pub(crate) struct Window {
    bound: i64,
    is_older: bool,
    limit: u32,
}

impl Window {
    /// Finds the row of a cursor by `find`, which takes `scope` and then the public id, and answers
    /// its key. A row out of scope is not found.
    pub(crate) async fn find<I: Display>(
        conn: &mut Conn,
        cursor: &Cursor<I>,
        limit: u32,
        find: Sql,
        scope: &[Bind<'_>],
    ) -> Result<Self, StoreError> {
        let (id, is_older) = match cursor {
            Cursor::Newest => {
                return Ok(Self {
                    bound: i64::MAX,
                    is_older: true,
                    limit,
                });
            }
            Cursor::After(id) => (id.to_string(), true),
            Cursor::Before(id) => (id.to_string(), false),
        };
        let binds = [scope, &[Bind::Text(&id)]].concat();
        let row = conn.fetch_optional::<(i64,)>(find, &binds).await?;
        let (bound,) = row.ok_or(StoreError::NoSuchCursor)?;
        Ok(Self {
            bound,
            is_older,
            limit,
        })
    }

    /// Fetches the page. Both statements take `scope`, the key of the cursor's row, how many rows to
    /// answer, and then `filter`; `older` answers rows below the key downwards, `newer` rows above it
    /// upwards.
    pub(crate) async fn fetch<R: crate::Row>(
        &self,
        conn: &mut Conn,
        (older, newer): (Sql, Sql),
        scope: &[Bind<'_>],
        filter: &[Bind<'_>],
    ) -> Result<Listed<R>, StoreError> {
        let sql = if self.is_older { older } else { newer };
        let bounds = [
            Bind::Int(self.bound),
            Bind::Int(i64::from(self.limit).saturating_add(1)),
        ];
        let binds = [scope, &bounds, filter].concat();
        let mut rows = conn.fetch::<R>(sql, &binds).await?;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = limit < rows.len();
        rows.truncate(limit);
        if !self.is_older {
            rows.reverse();
        }
        Ok(Listed { rows, has_more })
    }
}
