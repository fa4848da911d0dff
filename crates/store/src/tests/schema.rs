//! Migrations: applied once, refused when they do not fit, and the same on both databases.

use std::collections::BTreeSet;

use super::bed::{Bed, NOW, on_both};
use crate::sql::statements;
use crate::{Options, SchemaError, Store, StoreError, Tx, Unit, migrate};

statements! {
    COLUMNS =
        (lite "SELECT m.name AS table_name, c.name AS column_name FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c
            WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%'",
         pg "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'");
    INDEXES =
        (lite "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%'",
         pg "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%_key' AND indexname NOT LIKE '%_pkey'");
    NULLABLE =
        (lite "SELECT m.name AS table_name, c.name AS column_name FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c
            WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND c.\"notnull\" = 0 AND c.pk = 0",
         pg "SELECT c.table_name::text, c.column_name::text FROM information_schema.columns AS c
            JOIN information_schema.tables AS t ON t.table_name = c.table_name AND t.table_schema = c.table_schema
            WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.is_nullable = 'YES'");
    EDIT_CHECKSUM = "UPDATE schema_versions SET checksum = 'edited'";
    ADD_VERSION = "INSERT INTO schema_versions (version, name, checksum, applied_at) VALUES (9999, '9999_later', 'x', 0)";
}

struct Change(crate::Sql);

impl Unit for Change {
    type Output = u64;
    type Error = StoreError;
    const NAME: &'static str = "change";

    async fn run(&self, tx: &mut Tx) -> Result<u64, StoreError> {
        tx.execute(self.0, &[]).await
    }
}

async fn a_migration_is_applied_once(bed: &Bed, _: Store) {
    assert_eq!(
        migrate(&bed.url, NOW).await.unwrap(),
        [],
        "the bed has migrated"
    );
}

async fn an_edited_migration_is_refused(bed: &Bed, store: Store) {
    assert_eq!(store.write(Change(EDIT_CHECKSUM)).await.unwrap(), 1);
    for error in [
        migrate(&bed.url, NOW).await.unwrap_err(),
        Store::open(&bed.url, Options::default()).await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, StoreError::Schema(SchemaError::Changed { name }) if name == "0001_foundation"),
            "{error}"
        );
    }
}

async fn a_newer_schema_is_refused(bed: &Bed, store: Store) {
    store.write(Change(ADD_VERSION)).await.unwrap();
    for error in [
        migrate(&bed.url, NOW).await.unwrap_err(),
        Store::open(&bed.url, Options::default()).await.unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                StoreError::Schema(SchemaError::Newer { found: 9999, .. })
            ),
            "{error}"
        );
    }
}

async fn an_empty_database_is_refused(bed: &Bed) {
    let error = Store::open(&bed.url, Options::default()).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Schema(SchemaError::Outdated { found: 0, .. })
        ),
        "{error}"
    );
    assert!(error.to_string().contains("paywatch migrate"));
    let applied = migrate(&bed.url, NOW).await.unwrap();
    assert_eq!(applied[0].name, "0001_foundation");
}

#[tokio::test]
async fn an_empty_database_is_refused_until_it_is_migrated() {
    an_empty_database_is_refused(&Bed::lite()).await;
    an_empty_database_is_refused(&Bed::pg().await).await;
}

#[tokio::test]
async fn two_processes_can_migrate_at_once() {
    for bed in [Bed::lite(), Bed::pg().await] {
        let (one, two) = tokio::join!(migrate(&bed.url, NOW), migrate(&bed.url, NOW));
        let mut counts = [one.unwrap().len(), two.unwrap().len()];
        counts.sort_unstable();
        assert_eq!(counts, [0, 1], "{}", bed.url);
    }
}

#[tokio::test]
async fn a_url_that_names_no_database_is_refused() {
    for url in [
        "",
        "mysql://x",
        "sqlite:",
        "sqlite::memory:",
        "postgres://a:secret@[/b",
    ] {
        let error = Store::open(url, Options::default()).await.unwrap_err();
        assert!(matches!(error, StoreError::Url(_)), "{url}: {error:?}");
        assert!(!format!("{error:?}").contains("secret"));
    }
}

async fn pairs(bed: &Bed, sql: crate::Sql) -> BTreeSet<(String, String)> {
    let (store, _writer) = bed.open().await;
    let mut conn = store.read().await.unwrap();
    conn.fetch(sql, &[]).await.unwrap().into_iter().collect()
}

async fn names(bed: &Bed, sql: crate::Sql) -> BTreeSet<String> {
    let (store, _writer) = bed.open().await;
    let mut conn = store.read().await.unwrap();
    let rows = conn.fetch::<(String,)>(sql, &[]).await.unwrap();
    rows.into_iter().map(|(name,)| name).collect()
}

/// Goal: one SQL text fits both. Method: compare the catalogues.
#[tokio::test]
async fn both_migrations_make_the_same_tables_columns_and_indexes() {
    let (lite, pg) = (Bed::lite(), Bed::pg().await);
    let mut expected = pairs(&lite, COLUMNS).await;
    assert!(100 < expected.len());
    // Which transaction wrote a row matters only where several write at once.
    for table in ["events", "watched"] {
        expected.insert((table.into(), "xid".into()));
    }
    assert_eq!(pairs(&pg, COLUMNS).await, expected);
    assert_eq!(names(&pg, INDEXES).await, names(&lite, INDEXES).await);
    assert_eq!(pairs(&pg, NULLABLE).await, pairs(&lite, NULLABLE).await);
}

on_both!(
    a_migration_is_applied_once,
    an_edited_migration_is_refused,
    a_newer_schema_is_refused,
);
