//! Between columns and domain types: lists go in as one JSON text, columns come out checked.

use std::fmt::Display;
use std::str::FromStr;

use paywatch_domain::{BlockHash, BlockRef, Mode, Role, UnixMillis};
use paywatch_wire::json_text;
use serde::Serialize;

use crate::StoreError;

/// A list for `json_each`: a JSON array of objects.
pub(crate) fn list<T: Serialize>(rows: impl IntoIterator<Item = T>) -> String {
    let rows: Vec<T> = rows.into_iter().collect();
    json_text(&rows)
}

#[derive(Serialize)]
struct Id {
    id: i64,
}

/// A list of keys; the statement reads `value->>'id'`.
pub(crate) fn ids<K: Into<i64>>(keys: impl IntoIterator<Item = K>) -> String {
    list(keys.into_iter().map(|key| Id { id: key.into() }))
}

/// A number of the domain as a BIGINT. Heights, versions and counts are far below its end.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn damaged(column: &'static str, value: impl Display) -> StoreError {
    StoreError::Damaged(format!("{column}: {value}"))
}

/// A column whose text is parsed.
pub(crate) fn parsed<T: FromStr>(column: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| damaged(column, text))
}

/// A column whose text is one of a few words.
pub(crate) fn word<T>(
    column: &'static str,
    text: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    parse(text).ok_or_else(|| damaged(column, text))
}

pub(crate) fn mode(text: &str) -> Result<Mode, StoreError> {
    word("mode", text, Mode::parse)
}

/// A column that counts, and is therefore not negative.
pub(crate) fn count<T: TryFrom<i64>>(column: &'static str, value: i64) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| damaged(column, value))
}

/// A column that may be NULL and otherwise counts.
pub(crate) fn optional_count<T: TryFrom<i64>>(
    column: &'static str,
    value: Option<i64>,
) -> Result<Option<T>, StoreError> {
    value.map(|value| count(column, value)).transpose()
}

/// Height and hash, which are NULL together.
pub(crate) fn block(
    height: Option<i64>,
    hash: Option<&str>,
) -> Result<Option<BlockRef>, StoreError> {
    match (height, hash) {
        (Some(height), Some(hash)) => Ok(Some(BlockRef {
            height: count("height", height)?,
            hash: BlockHash::new(hash),
        })),
        (None, None) => Ok(None),
        (Some(height), None) => Err(damaged("hash", format!("missing at height {height}"))),
        (None, Some(hash)) => Err(damaged("height", format!("missing at hash {hash}"))),
    }
}

/// The columns of a role. Form and address of a sibling are NULL together, and no sibling is a stray; the
/// database checks that.
#[derive(sqlx::FromRow)]
pub(crate) struct RoleColumns {
    sibling_form: Option<String>,
    sibling_address: Option<String>,
    stray_decimals: Option<i64>,
}

impl RoleColumns {
    pub(crate) fn role(&self) -> Result<Role, StoreError> {
        if let Some(decimals) = self.stray_decimals {
            let decimals = count("transfers.stray_decimals", decimals)?;
            return Ok(Role::Stray { decimals });
        }
        Ok(sibling_role(
            self.sibling_form.as_deref(),
            self.sibling_address.as_deref(),
        ))
    }
}

/// Whose key it is: the option's own, or another form of it.
pub(crate) fn sibling_role(form: Option<&str>, address: Option<&str>) -> Role {
    match (form, address) {
        (Some(form), Some(address)) => Role::Sibling {
            form: form.into(),
            address: address.into(),
        },
        (_, None) | (None, Some(_)) => Role::Payment,
    }
}

/// Form and address of a sibling.
pub(crate) fn sibling(role: &Role) -> (Option<&str>, Option<&str>) {
    match role {
        Role::Payment | Role::Stray { .. } => (None, None),
        Role::Sibling { form, address } => (Some(form), Some(address)),
    }
}

/// The decimals of a stray.
pub(crate) fn stray(role: &Role) -> Option<u8> {
    match role {
        Role::Stray { decimals } => Some(*decimals),
        Role::Payment | Role::Sibling { .. } => None,
    }
}

pub(crate) fn optional_time(value: Option<i64>) -> Option<UnixMillis> {
    value.map(UnixMillis)
}
