//! Values that go into a statement: the few types that both databases have in common.

use paywatch_domain::UnixMillis;
use sqlx::{Arguments, Database, Encode, Type};

/// One value for one placeholder. NULL carries its type, because Postgres wants to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind<'a> {
    /// BIGINT.
    Int(i64),
    /// BIGINT or NULL.
    OptInt(Option<i64>),
    /// TEXT; lists travel as the text of a JSON array of objects.
    Text(&'a str),
    /// TEXT or NULL.
    OptText(Option<&'a str>),
    /// BLOB or BYTEA.
    Bytes(&'a [u8]),
    /// BLOB or BYTEA or NULL.
    OptBytes(Option<&'a [u8]>),
}

impl From<i64> for Bind<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Option<i64>> for Bind<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::OptInt(value)
    }
}

impl From<UnixMillis> for Bind<'_> {
    fn from(value: UnixMillis) -> Self {
        Self::Int(value.0)
    }
}

impl<'a> From<&'a str> for Bind<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Bind<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<Option<&'a str>> for Bind<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::OptText(value)
    }
}

impl<'a> From<&'a [u8]> for Bind<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a> From<&'a Vec<u8>> for Bind<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<'a> From<Option<&'a [u8]>> for Bind<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        Self::OptBytes(value)
    }
}

/// The values in the form of one database.
pub(crate) fn arguments<'a, DB>(binds: &[Bind<'a>]) -> Result<DB::Arguments, sqlx::Error>
where
    DB: Database,
    i64: Encode<'a, DB> + Type<DB>,
    Option<i64>: Encode<'a, DB> + Type<DB>,
    &'a str: Encode<'a, DB> + Type<DB>,
    Option<&'a str>: Encode<'a, DB> + Type<DB>,
    &'a [u8]: Encode<'a, DB> + Type<DB>,
    Option<&'a [u8]>: Encode<'a, DB> + Type<DB>,
{
    let mut arguments = DB::Arguments::default();
    for bind in binds {
        match *bind {
            Bind::Int(value) => arguments.add(value),
            Bind::OptInt(value) => arguments.add(value),
            Bind::Text(value) => arguments.add(value),
            Bind::OptText(value) => arguments.add(value),
            Bind::Bytes(value) => arguments.add(value),
            Bind::OptBytes(value) => arguments.add(value),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}
