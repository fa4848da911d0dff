//! Migrations: the same files for both databases, and a comment on every column.

use super::Finding;
use super::tree::{File, Tree};

const LITE: &str = "migrations/sqlite/";
const PG: &str = "migrations/postgres/";

/// What begins a line of a table that is no column.
const CONSTRAINTS: &[&str] = &[
    "UNIQUE",
    "PRIMARY",
    "CHECK",
    "FOREIGN",
    "CONSTRAINT",
    "EXCLUDE",
    "LIKE",
    ")",
];

/// A column of a table in a migration.
pub(super) struct Column<'a> {
    pub(super) line: usize,
    pub(super) name: &'a str,
    /// The type and the constraints on the line.
    pub(super) definition: &'a str,
    pub(super) comment: &'a str,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = missing(tree, LITE, PG);
    findings.extend(missing(tree, PG, LITE));
    for file in migrations(tree) {
        for column in columns(&file.text) {
            if column.comment.is_empty() {
                let advice = format!("say with -- what the column {} is for", column.name);
                findings.push(Finding::new(&file.path, column.line, advice));
            }
        }
    }
    findings
}

pub(super) fn migrations(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.below("migrations/", ".sql")
}

fn missing(tree: &Tree, here: &str, there: &str) -> Vec<Finding> {
    tree.below(here, ".sql")
        .map(|file| file.path.replacen(here, there, 1))
        .filter(|path| tree.text(path).is_none())
        .map(|path| Finding::new(&path, 1, "write the migration for this database too"))
        .collect()
}

/// The columns of every `CREATE TABLE`, one on each line.
pub(super) fn columns(sql: &str) -> Vec<Column<'_>> {
    let mut columns = Vec::new();
    let mut depth = 0;
    let mut above = "";
    for (number, line) in (1..).zip(sql.lines()) {
        let (code, comment) = match line.split_once("--") {
            Some((code, comment)) => (code.trim(), comment.trim()),
            None => (line.trim(), ""),
        };
        let starts_table = depth == 0 && code.to_uppercase().starts_with("CREATE TABLE");
        let inside = depth == 1 && !code.is_empty();
        if inside && let Some((name, definition)) = code.split_once(' ') {
            let first = name.split('(').next().unwrap_or_default().to_uppercase();
            if !CONSTRAINTS.contains(&first.as_str()) {
                let comment = if comment.is_empty() { above } else { comment };
                columns.push(Column {
                    line: number,
                    name,
                    definition,
                    comment,
                });
            }
        }
        if starts_table || depth > 0 {
            depth += code.matches('(').count();
            depth = depth.saturating_sub(code.matches(')').count());
        }
        above = if code.is_empty() { comment } else { "" };
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
-- Tenants.
CREATE TABLE merchants (
    id INTEGER PRIMARY KEY, -- internal key
    -- shown to operators
    name TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('live', 'test')), -- which chains
    UNIQUE (id, name),
    CHECK (name <> '')
);
CREATE INDEX merchants_by_name ON merchants (name);
";

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn columns_are_told_from_constraints() {
        let names: Vec<&str> = columns(GOOD).iter().map(|column| column.name).collect();
        assert_eq!(names, ["id", "name", "mode"]);
    }

    #[test]
    fn a_column_without_comment_and_a_missing_file_are_found() {
        let bad = GOOD.replace(" -- internal key", "");
        assert_eq!(
            found(&[("migrations/sqlite/0001_a.sql", &bad)]),
            [
                "migrations/postgres/0001_a.sql:1: write the migration for this database too",
                "migrations/sqlite/0001_a.sql:3: say with -- what the column id is for",
            ]
        );
    }
}
