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

/// Tables that grow with use. The others have a few rows per merchant or chain.
const GROWING: [&str; 12] = [
    "attempts",
    "awaited",
    "blocks",
    "deliveries",
    "events",
    "idempotency",
    "invoices",
    "operator_facts",
    "options",
    "placements",
    "transfers",
    "watched",
];

/// Goal: nothing costs more because more was stored. Method: SQLite's plan of each statement reads no
/// growing table from end to end.
#[tokio::test]
async fn no_statement_reads_a_growing_table_from_end_to_end() {
    let bed = Bed::lite();
    let (store, _writer) = bed.open().await;
    let mut link = store.read().await.unwrap();
    let conn::Either::Lite(lite) = &mut link.inner else {
        unreachable!("a SQLite bed");
    };
    for sql in crate::statements() {
        let text = sql.text(Dialect::Lite);
        // Checks of foreign keys show as scans of the referring tables, which inserts never run.
        if text.starts_with("INSERT") {
            continue;
        }
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
        let plan = sqlx::query_as::<_, (i64, i64, i64, String)>(explain);
        for (_, _, _, step) in plan.fetch_all(&mut **lite).await.unwrap() {
            // A partial index holds only what is under way.
            let Some(scanned) = step.strip_prefix("SCAN ") else {
                continue;
            };
            let name = scanned.split(' ').next().unwrap_or_default();
            let is_small =
                !GROWING.contains(&table(text, name)) || step.contains("deliveries_claimed");
            assert!(is_small, "{}: {step}", sql.name());
        }
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
