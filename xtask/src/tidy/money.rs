//! Amounts in SQL. They are decimal text of up to 78 digits: SQL would order `9` after `10` and
//! round a sum, so it only stores them. The columns are those whose comment in a migration says so.

use super::Finding;
use super::migrations;
use super::sources;
use super::tree::Tree;

/// Words in the comment of a column that holds an amount.
const MARKS: &[&str] = &["amount", "atomic unit"];
const FUNCTIONS: &[&str] = &["SUM", "AVG", "MIN", "MAX", "TOTAL", "CAST"];
const COMPARISONS: &[&str] = &["<", ">", "<=", ">=", "<>", "!=", "BETWEEN"];
/// Equality after one of these is a comparison; after SET it is not.
const CONDITIONS: &[&str] = &["WHERE", "AND", "OR", "ON", "NOT"];
/// What ends the list of an ORDER BY.
const AFTER_ORDER: &[&str] = &["LIMIT", "OFFSET", "FOR", "RETURNING", ")", ";"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let columns = amount_columns(tree);
    let mut findings = Vec::new();
    let sources = tree.below("crates/store/src/", ".rs");
    for file in sources.filter(|file| !sources::is_test(&file.path)) {
        for (line, sql) in statements(&file.text) {
            for (offset, column, what) in misuses(&sql, &columns) {
                let advice = format!("SQL {what} the amount {column}; do it in Rust");
                findings.push(Finding::new(&file.path, line + offset, advice));
            }
        }
    }
    findings
}

/// The names of the TEXT columns that hold amounts.
fn amount_columns(tree: &Tree) -> Vec<String> {
    let mut names: Vec<String> = migrations::migrations(tree)
        .flat_map(|file| migrations::columns(&file.text))
        .filter(|column| column.definition.trim_start().starts_with("TEXT"))
        .filter(|column| MARKS.iter().any(|mark| column.comment.contains(mark)))
        .map(|column| column.name.to_owned())
        .collect();
    names.push("amount".to_owned());
    names.sort();
    names.dedup();
    names
}

/// The pieces of a Rust file between quotes that hold a statement: first line, text. Which side of
/// a quote is the string is not asked: SQL words in capitals stand in strings only.
fn statements(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut line = 1;
    for piece in source.split('"') {
        let is_sql = [
            "SELECT ",
            "INSERT ",
            "UPDATE ",
            "DELETE ",
            " WHERE ",
            "ORDER BY ",
        ]
        .iter()
        .any(|word| piece.contains(word));
        if is_sql {
            found.push((line, piece.to_owned()));
        }
        line += piece.matches('\n').count();
    }
    found
}

/// Where a statement does more with an amount than storing it: line, column, what it does.
fn misuses<'a>(sql: &str, columns: &'a [String]) -> Vec<(usize, &'a str, &'static str)> {
    let tokens = tokens(sql);
    let word = |index: usize| tokens.get(index).map_or("", |(_, token)| token.as_str());
    let mut found = Vec::new();
    let mut ordering = false;
    for (index, (line, token)) in tokens.iter().enumerate() {
        if token == "BY" && index > 0 && word(index - 1) == "ORDER" {
            ordering = true;
        } else if AFTER_ORDER.contains(&token.as_str()) {
            ordering = false;
        }
        let Some(column) = columns.iter().find(|column| *column == token) else {
            continue;
        };
        // `t.amount` is three tokens; the comparison stands before the first of them.
        let start = if index >= 2 && word(index - 1) == "." {
            index - 2
        } else {
            index
        };
        let before = if start > 0 { word(start - 1) } else { "" };
        let earlier = if start > 1 { word(start - 2) } else { "" };
        let after = word(index + 1);
        let what = if before == "(" && FUNCTIONS.contains(&earlier) {
            "computes with"
        } else if COMPARISONS.contains(&after)
            || COMPARISONS.contains(&before)
            || (after == "=" && CONDITIONS.contains(&before))
        {
            "compares"
        } else if ordering {
            "orders by"
        } else {
            continue;
        };
        found.push((*line, column.as_str(), what));
    }
    found
}

/// Words, operators and marks of a statement with their line; texts in single quotes are left out.
fn tokens(sql: &str) -> Vec<(usize, String)> {
    let mut tokens: Vec<(usize, String)> = Vec::new();
    let mut line = 0;
    let mut quoted = false;
    let mut last = ' ';
    for character in sql.chars() {
        if character == '\n' {
            line += 1;
        }
        if character == '\'' {
            quoted = !quoted;
        } else if !quoted && !character.is_whitespace() {
            let same = kind(last) == kind(character) && kind(character) != 0;
            match tokens.last_mut() {
                Some((_, token)) if same => token.push(character),
                _ => tokens.push((line, character.to_string())),
            }
        }
        last = if quoted { ' ' } else { character };
    }
    tokens
}

/// Characters of one kind other than 0 join into one token.
fn kind(character: char) -> u8 {
    match character {
        '<' | '>' | '=' | '!' | '-' => 1,
        _ if character.is_alphanumeric() || character == '_' => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "CREATE TABLE t (\n amount TEXT NOT NULL, -- atomic units\n due TEXT, -- amount asked for\n\
                         state TEXT, -- due or not\n due_at BIGINT -- amount of time\n);\n";

    fn found(sql: &str) -> Vec<String> {
        let source = format!("//! A.\nconst A: &str = \"{sql}\";\n");
        let tree = Tree::of(&[
            ("migrations/sqlite/1.sql", TABLE),
            ("crates/store/src/sql.rs", source.as_str()),
        ]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_amount_may_be_stored_and_read() {
        for sql in [
            "SELECT amount, due FROM t WHERE state = 'due' ORDER BY due_at LIMIT 5",
            "UPDATE t SET amount = $1, due = $2 WHERE id = $3",
            "INSERT INTO t (amount) SELECT value->>'amount' FROM json_each($1) WHERE true",
            "SELECT MIN(due_at) FROM t WHERE due_at < $1 AND state = 'amount'",
        ] {
            assert!(found(sql).is_empty(), "{sql}: {:?}", found(sql));
        }
    }

    #[test]
    fn an_amount_may_not_be_computed_compared_or_ordered() {
        for (sql, what) in [
            ("SELECT SUM(amount) FROM t", "computes with"),
            ("SELECT MAX(o.due) FROM t o", "computes with"),
            ("SELECT id FROM t WHERE amount < $1", "compares"),
            ("SELECT id FROM t WHERE $1 >= t.due", "compares"),
            ("SELECT id FROM t WHERE due = $1", "compares"),
            (
                "SELECT id FROM t WHERE id = $1 ORDER BY id, t.amount DESC",
                "orders by",
            ),
        ] {
            let findings = found(sql);
            assert_eq!(findings.len(), 1, "{sql}: {findings:?}");
            assert!(
                findings[0].starts_with("crates/store/src/sql.rs:2: SQL "),
                "{findings:?}"
            );
            assert!(findings[0].contains(what), "{findings:?}");
        }
    }
}
