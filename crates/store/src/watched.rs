//! The keys that scans look for, loaded without ever missing one that was committed late.

use std::collections::BTreeSet;

use paywatch_domain::{AssetName, ChainName, Family, OptionId, Role};
use serde::Serialize;

use crate::column::{damaged, list, parsed, role};
use crate::keys::{InvoiceKey, OptionKey};
use crate::sql::statements;
use crate::{Conn, StoreError};

statements! {
    MARK = "SELECT mark FROM watched_mark";
    SINCE = "SELECT key FROM watched_marked WHERE family = $1 AND mark >= $2";
    /// `CROSS JOIN` keeps SQLite to this order: to sort by id it would read the whole family.
    OWNERS = "SELECT w.key, w.sibling_form, w.sibling_address, o.id, o.public_id, o.invoice,
            o.chain, o.asset
        FROM json_each($2) AS j CROSS JOIN watched AS w CROSS JOIN options AS o
        WHERE w.family = $1 AND w.key = j.value->>'key' AND o.id = w.option
        ORDER BY w.id";
}

/// How far a watch table was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchMark(i64);

impl WatchMark {
    /// Nothing was loaded.
    pub const START: Self = Self(0);
}

/// Every key of a family that loads up to `mark` may not have seen, and the mark for the next load.
/// A key can come twice; none is ever left out.
///
/// Rows are not committed in the order in which they are numbered. On Postgres the mark is the oldest
/// transaction that was still running when an earlier load began: whatever was not visible then
/// belongs to it or to a later one. On SQLite one writer commits in order.
pub async fn since(
    conn: &mut Conn,
    family: Family,
    mark: WatchMark,
) -> Result<(Vec<Vec<u8>>, WatchMark), StoreError> {
    // The mark comes first: what is committed between the two statements is then read twice, not never.
    let (next,) = conn.fetch_one::<(i64,)>(MARK, &[]).await?;
    let binds = [family.as_str().into(), mark.0.into()];
    let rows = conn.fetch::<(String,)>(SINCE, &binds).await?;
    let keys = rows
        .into_iter()
        .map(|(key,)| hex::decode(&key).map_err(|_| damaged("watched.key", key)));
    Ok((keys.collect::<Result<_, _>>()?, WatchMark(next)))
}

/// Whose a watched key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The key.
    pub key: Vec<u8>,
    /// Whether it is the option's own, or another form of it.
    pub role: Role,
    /// The option.
    pub option: OptionKey,
    /// The option's public id.
    pub option_id: OptionId,
    /// Its invoice.
    pub invoice: InvoiceKey,
    /// The chain on which it is to be paid.
    pub chain: ChainName,
    /// What it is to be paid with.
    pub asset: AssetName,
}

#[derive(sqlx::FromRow)]
struct Raw {
    key: String,
    sibling_form: Option<String>,
    sibling_address: Option<String>,
    id: i64,
    public_id: String,
    invoice: i64,
    chain: String,
    asset: String,
}

#[derive(Serialize)]
struct KeyRow {
    key: String,
}

/// Whose these keys are. Keys that are not watched are left out.
pub async fn owners(
    conn: &mut Conn,
    family: Family,
    keys: &[&[u8]],
) -> Result<Vec<Owner>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    // A key that comes twice is one key.
    let keys: BTreeSet<&[u8]> = keys.iter().copied().collect();
    let keys = list(keys.into_iter().map(|key| KeyRow {
        key: hex::encode(key),
    }));
    let binds = [family.as_str().into(), (&keys).into()];
    let rows = conn.fetch::<Raw>(OWNERS, &binds).await?;
    let owners = rows.into_iter().map(|row| {
        Ok(Owner {
            key: hex::decode(&row.key).map_err(|_| damaged("watched.key", &row.key))?,
            role: role(row.sibling_form, row.sibling_address),
            option: OptionKey(row.id),
            option_id: parsed("options.public_id", &row.public_id)?,
            invoice: InvoiceKey(row.invoice),
            chain: parsed("options.chain", &row.chain)?,
            asset: parsed("options.asset", &row.asset)?,
        })
    });
    owners.collect()
}
