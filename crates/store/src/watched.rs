//! The keys that scans look for, loaded without ever missing one that was committed late.

use std::collections::BTreeSet;

use paywatch_domain::{AssetName, ChainName, Family, Mode, OptionId, Role};
use serde::Serialize;

use crate::column::{damaged, list, mode, parsed, sibling_role};
use crate::keys::{InvoiceKey, OptionKey};
use crate::sql::statements;
use crate::{Conn, StoreError};

statements! {
    /// Many keys in one text: a row for each would cost more than reading it. The mark of the same
    /// statement sees the same commits.
    SINCE = "WITH page AS MATERIALIZED (
            SELECT mark, id, key FROM watched_marked
            WHERE family = $1 AND mark >= $2 AND (mark > $2 OR id > $3)
            ORDER BY mark, id LIMIT CAST($4 AS BIGINT)),
        last AS (SELECT mark, id FROM page ORDER BY mark DESC, id DESC LIMIT 1)
        SELECT (SELECT mark FROM watched_mark), (SELECT COUNT(*) FROM page),
            (SELECT string_agg(key, ' ') FROM page), last.mark, last.id
        FROM (SELECT 1 AS one) AS always LEFT JOIN last ON true";
    /// `CROSS JOIN` keeps SQLite to this order: to sort by id it would read the whole family.
    OWNERS = "SELECT w.key, w.sibling_form, w.sibling_address, o.id, o.public_id, o.invoice,
            o.chain, o.asset, o.mode
        FROM json_each($2) AS j CROSS JOIN watched AS w CROSS JOIN options AS o
        WHERE w.family = $1 AND w.key = j.value->>'key' AND o.id = w.option
        ORDER BY w.id";
}

/// Keys that one statement reads.
const KEYS_AT_ONCE: i64 = 4096;

/// Some of the keys: the mark, their number, themselves, and mark and id of the last.
type Page = (i64, i64, Option<String>, Option<i64>, Option<i64>);

/// How far a watch table was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchMark(i64);

impl WatchMark {
    /// Nothing was loaded.
    pub const START: Self = Self(0);
}

/// Hands to `insert` every key of a family that loads up to `mark` may not have seen; answers the mark for
/// the next load. A key can come twice; none is ever left out.
///
/// Rows are not committed in the order in which they are numbered. On Postgres the mark is the oldest
/// transaction that was still running when an earlier load began: whatever was not visible then
/// belongs to it or to a later one. On SQLite one writer commits in order.
pub async fn since(
    conn: &mut Conn,
    family: Family,
    mark: WatchMark,
    mut insert: impl FnMut(&[u8]),
) -> Result<WatchMark, StoreError> {
    // What is committed between two pages is read twice, not never: the mark is that of the first.
    let mut next = None;
    let mut behind = (mark.0, 0);
    let mut bytes = Vec::new();
    loop {
        let binds = [
            family.as_str().into(),
            behind.0.into(),
            behind.1.into(),
            KEYS_AT_ONCE.into(),
        ];
        let page: Page = conn.fetch_one(SINCE, &binds).await?;
        let (mark, count, keys, last_mark, last_id) = page;
        let next = *next.get_or_insert(WatchMark(mark));
        for key in keys.as_deref().unwrap_or_default().split_ascii_whitespace() {
            bytes.resize(key.len() / 2, 0);
            hex::decode_to_slice(key, &mut bytes).map_err(|_| damaged("watched.key", key))?;
            insert(&bytes);
        }
        let last = last_mark.zip(last_id);
        let Some(last) = last.filter(|_| KEYS_AT_ONCE <= count) else {
            return Ok(next);
        };
        behind = last;
    }
}

/// Whose a watched key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The key.
    pub key: Vec<u8>,
    /// Whether it is the option's own, or another form of it; no key is a stray's.
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
    /// Live or test money.
    pub mode: Mode,
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
    mode: String,
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
            role: sibling_role(row.sibling_form.as_deref(), row.sibling_address.as_deref()),
            option: OptionKey(row.id),
            option_id: parsed("options.public_id", &row.public_id)?,
            invoice: InvoiceKey(row.invoice),
            chain: parsed("options.chain", &row.chain)?,
            asset: parsed("options.asset", &row.asset)?,
            mode: mode(&row.mode)?,
        })
    });
    owners.collect()
}
