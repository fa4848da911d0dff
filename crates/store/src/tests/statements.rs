//! Every statement of the crate, shown to both databases.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Column, Either, Executor, SqlSafeStr, Statement, TypeInfo};

use super::bed::Bed;
use crate::conn;
use crate::dialect::Dialect;

/// Goal: no statement is found broken in production. Method: prepare each, and compare what the
/// database says about it with what this crate can bind and read.
#[tokio::test]
async fn every_statement_is_understood_by_both_databases() {
    for bed in [Bed::lite(), Bed::pg().await] {
        let (store, _writer) = bed.open().await;
        let mut link = store.read().await.unwrap();
        let mut seen = 0;
        for sql in crate::statements() {
            let (count, columns) = match &mut link.inner {
                conn::Either::Lite(lite) => {
                    let text = sql.text(Dialect::Lite).into_sql_str();
                    let statement = lite.prepare(text).await;
                    let statement = statement.unwrap_or_else(|e| panic!("{}: {e}", sql.name()));
                    (parameters(statement.parameters()), Vec::new())
                }
                conn::Either::Pg(pg) => {
                    let text = sql.text(Dialect::Pg).into_sql_str();
                    let statement = pg.prepare(text).await;
                    let statement = statement.unwrap_or_else(|e| panic!("{}: {e}", sql.name()));
                    let columns = statement.columns().iter();
                    let columns = columns.map(|column| column.type_info().name().to_owned());
                    (parameters(statement.parameters()), columns.collect())
                }
            };
            assert_eq!(count, sql.binds(), "{}: values", sql.name());
            for column in columns {
                assert!(
                    ["TEXT", "INT8", "BYTEA"].contains(&column.as_str()),
                    "{} answers a column of type {column}",
                    sql.name()
                );
            }
            seen += 1;
        }
        assert!(0 < seen);
    }
}

fn parameters<T>(parameters: Option<Either<&[T], usize>>) -> usize {
    match parameters {
        Some(Either::Left(types)) => types.len(),
        Some(Either::Right(count)) => count,
        None => 0,
    }
}

#[test]
fn no_two_statements_have_one_name_in_a_module_and_none_is_empty() {
    let texts: Vec<&str> = crate::statements()
        .map(|sql| sql.text(Dialect::Pg))
        .collect();
    let distinct: BTreeSet<&str> = texts.iter().copied().collect();
    assert_eq!(texts.len(), distinct.len(), "a statement is declared twice");
    assert!(texts.iter().all(|text| !text.trim().is_empty()));
}

/// Amounts are text, and text sorts wrongly: no statement may compute with them.
#[test]
fn no_statement_computes_with_amounts() {
    for sql in crate::statements() {
        let text = sql.text(Dialect::Pg);
        for word in [
            "SUM(",
            "AVG(",
            "MAX(amount",
            "MIN(amount",
            "ORDER BY amount",
            "amount <",
            "amount >",
        ] {
            assert!(!text.contains(word), "{} has {word}", sql.name());
        }
    }
}

/// What was agreed about an invoice and what was seen stays as it was written. `*` is every column; after
/// a backup was restored, internal numbers may be given anew.
const IMMUTABLE: [(&str, &[&str]); 7] = [
    (
        "invoices",
        &[
            "public_id",
            "merchant",
            "mode",
            "order_id",
            "terms",
            "metadata",
            "created_at",
            "expires_at",
            "late_until",
            "seal",
        ],
    ),
    ("options", &["*"]),
    ("watched", &["family", "key", "option"]),
    (
        "transfers",
        &[
            "invoice",
            "option",
            "chain",
            "asset",
            "amount",
            "tx_id",
            "position",
            "sighted_at",
        ],
    ),
    ("spends", &["*"]),
    ("operator_facts", &["*"]),
    (
        "events",
        &["invoice", "version", "type", "body", "created_at"],
    ),
];

/// What does change seals, and nothing else: the same promise under another master key.
const RESEALING: [(&str, &str); 2] = [("SEAL_INVOICES", "seal"), ("SEAL_OPTIONS", "seal")];

/// Goal: no statement changes the terms of an invoice, its options or a fact. Method: what each `UPDATE`
/// sets, and what each upsert sets; nothing deletes their rows.
#[test]
fn no_statement_changes_what_was_agreed_or_seen() {
    let mut checked = 0;
    for sql in crate::statements() {
        for dialect in [Dialect::Lite, Dialect::Pg] {
            let words: Vec<&str> = sql.text(dialect).split_whitespace().collect();
            let (is_delete, table) = match words.as_slice() {
                ["UPDATE", table, ..] | ["INSERT", "INTO", table, ..] => (false, *table),
                ["DELETE", "FROM", table, ..] => (true, *table),
                _ => continue,
            };
            let Some((_, columns)) = IMMUTABLE.iter().find(|(name, _)| *name == table) else {
                continue;
            };
            checked += 1;
            assert!(!is_delete, "{} deletes from {table}", sql.name());
            for column in columns_set(&words) {
                let is_kept = columns.contains(&"*") || columns.contains(&column);
                let is_kept = is_kept && !RESEALING.contains(&(sql.name(), column));
                assert!(!is_kept, "{} sets {table}.{column}", sql.name());
            }
        }
    }
    assert!(
        IMMUTABLE.len() <= checked,
        "each of them is written at least once"
    );
}

/// The columns behind `SET`, up to the clause that follows.
fn columns_set<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let set = words.iter().skip_while(|word| **word != "SET").skip(1);
    let set = set.take_while(|word| !["FROM", "WHERE", "RETURNING"].contains(word));
    let set: Vec<&str> = set.copied().collect();
    let named = set.windows(2).filter(|pair| pair[1] == "=");
    named.map(|pair| pair[0]).collect()
}

#[test]
fn a_column_that_is_set_is_found() {
    let find = |text: &'static str| columns_set(&text.split_whitespace().collect::<Vec<_>>());
    let text = "UPDATE invoices SET status = n.status, terms = $1 FROM (SELECT 1 AS said) AS n WHERE id = 1";
    assert_eq!(find(text), ["status", "terms"]);
    let upsert = "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = $1 WHERE c = 2";
    assert_eq!(find(upsert), ["b"]);
    assert!(find("SELECT a FROM t WHERE a = 1").is_empty());
}

/// Tables that grow with use. The others have a few rows per merchant or chain.
const GROWING: [&str; 18] = [
    "attempts",
    "audit",
    "awaited",
    "blocks",
    "deliveries",
    "events",
    "exceptions",
    "gaps",
    "idempotency",
    "invoices",
    "looks",
    "operator_facts",
    "options",
    "outflows",
    "placements",
    "spends",
    "transfers",
    "watched",
];

/// Columns with few distinct values: an index that is searched by these alone answers a large part of
/// its table.
const COARSE: [&str; 13] = [
    "asset",
    "chain",
    "family",
    "kind",
    "left_at",
    "log",
    "merchant",
    "mode",
    "state",
    "status",
    "type",
    "wallet",
    "window_closed",
];

/// Statements that read all that one index holds for a coarse column, and why that is not much.
const BOUNDED: [(&str, &str); 6] = [
    ("deliveries_claimed", "partial: what is under way"),
    (
        "placements_in_mempool (chain=?)",
        "partial: what stands in the mempool",
    ),
    (
        "awaited_by_position (chain=? AND kind=?)",
        "its least position: the first row alone",
    ),
    (
        "options_by_wallet (wallet=?)",
        "its highest index: the last row alone; or which of its indexes were paid, asked by people",
    ),
    (
        "sqlite_autoindex_blocks_1 (chain=?)",
        "the lowest header that is kept: the first row alone",
    ),
    (
        "sqlite_autoindex_audit_1 (log>?)",
        "the name of the next log: the first row alone",
    ),
];

/// Goal: nothing costs more because more was stored. Method: SQLite's plan of each statement reads no
/// growing table from end to end, and searches none by coarse columns alone.
#[tokio::test]
async fn no_statement_reads_a_growing_table_from_end_to_end() {
    let bed = Bed::lite();
    let (store, _writer) = bed.open().await;
    let mut link = store.read().await.unwrap();
    let conn::Either::Lite(lite) = &mut link.inner else {
        unreachable!("a SQLite bed");
    };
    let mut costly = Vec::new();
    let mut allowed = BTreeSet::new();
    for sql in crate::statements() {
        let text = sql.text(Dialect::Lite);
        // Checks of foreign keys show as scans of the referring tables, which inserts never run.
        let is_insert = text.starts_with("INSERT");
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
        let plan = sqlx::query_as::<_, (i64, i64, i64, String)>(explain);
        for (_, _, _, step) in plan.fetch_all(&mut **lite).await.unwrap() {
            if is_insert && step.starts_with("SCAN ") {
                continue;
            }
            if !is_costly(text, &step) {
                continue;
            }
            match BOUNDED.iter().find(|(what, _)| step.ends_with(what)) {
                Some((what, _)) => _ = allowed.insert(what),
                None => costly.push(format!("{}: {step}", sql.name())),
            }
        }
    }
    assert!(costly.is_empty(), "{costly:#?}");
    let unused = BOUNDED.iter().filter(|(what, _)| !allowed.contains(what));
    let unused: Vec<_> = unused.collect();
    assert!(unused.is_empty(), "nothing needs these: {unused:#?}");
}

#[test]
fn a_plan_that_reads_much_is_told_from_one_that_reads_little() {
    let text = "SELECT 1 FROM spends AS s, wallets AS w";
    for (step, expected) in [
        ("SCAN s", true),
        ("SCAN s USING INDEX spends_by_outpoint", true),
        ("SCAN w", false),
        ("SEARCH s USING INDEX spends_by_outpoint (chain=?)", true),
        (
            "SEARCH s USING INDEX spends_by_outpoint (chain=? AND outpoint=?)",
            false,
        ),
        ("SEARCH s USING INTEGER PRIMARY KEY (rowid=?)", false),
        ("SEARCH s USING AUTOMATIC COVERING INDEX (outpoint=?)", true),
        (
            "SEARCH w USING INDEX wallets_by_merchant (merchant=? AND mode=?)",
            false,
        ),
        ("USE TEMP B-TREE FOR ORDER BY", false),
    ] {
        assert_eq!(is_costly(text, step), expected, "{step}");
    }
}

/// Whether a step of a plan reads a large part of a growing table.
fn is_costly(text: &str, step: &str) -> bool {
    let (kind, rest) = step.split_once(' ').unwrap_or((step, ""));
    let name = rest.split(' ').next().unwrap_or_default();
    if !GROWING.contains(&table(text, name)) {
        return false;
    }
    match kind {
        "SCAN" => true,
        // SQLite makes such an index for one run, from the whole table.
        "SEARCH" if step.contains("AUTOMATIC") => true,
        "SEARCH" => {
            let bounds = step.rsplit_once('(').map_or("", |(_, bounds)| bounds);
            let bounds = bounds.trim_end_matches(')').split(" AND ");
            bounds
                .map(|bound| bound.split(['=', '<', '>']).next().unwrap_or_default())
                .all(|column| COARSE.contains(&column))
        }
        _ => false,
    }
}

/// The table behind an alias, or the name itself.
fn table<'a>(text: &'a str, name: &'a str) -> &'a str {
    let words: Vec<&str> = text.split_whitespace().collect();
    let alias = words
        .windows(3)
        .find(|window| window[1] == "AS" && window[2].trim_end_matches([',', ')']) == name);
    alias.map_or(name, |window| window[0])
}

/// SQLite plans a statement again, with every run of it, whose limit is a bare value: to plan it by the
/// number (<https://sqlite.org/compile.html#enable_qpsg>). That takes longer than most of them run.
#[test]
fn no_statement_is_planned_again_with_every_run() {
    for sql in crate::statements() {
        let text = sql.text(Dialect::Lite);
        assert!(!text.contains("LIMIT $"), "{}: CAST its limit", sql.name());
    }
}
