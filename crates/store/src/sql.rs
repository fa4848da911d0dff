//! Statements: one text for both databases, and the fragments in which they differ.

use crate::dialect::Dialect;

/// One statement. Made by the `statements!` macro only, so that every one is in a list that a test
/// shows to both databases.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    name: &'static str,
    lite: &'static str,
    pg: &'static str,
    binds: usize,
}

impl Sql {
    pub(crate) const fn new(name: &'static str, lite: &'static str, pg: &'static str) -> Self {
        let binds = placeholders(lite);
        assert!(
            binds == placeholders(pg),
            "both texts have the same placeholders"
        );
        Self {
            name,
            lite,
            pg,
            binds,
        }
    }

    /// The name of the constant, for errors and traces.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many values it takes.
    pub fn binds(&self) -> usize {
        self.binds
    }

    /// The text for one database.
    pub(crate) fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Lite => self.lite,
            Dialect::Pg => self.pg,
        }
    }
}

/// The highest `n` among the placeholders `$n`.
const fn placeholders(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut highest) = (0, 0);
    while at < bytes.len() {
        let is_start = bytes[at] == b'$';
        at += 1;
        let mut number = 0;
        while is_start && at < bytes.len() && bytes[at].is_ascii_digit() {
            number = number * 10 + (bytes[at] - b'0') as usize;
            at += 1;
        }
        if highest < number {
            highest = number;
        }
    }
    highest
}

/// What a fragment is in SQLite: its one writer needs no row locks.
macro_rules! lite {
    (for_update) => {
        ""
    };
    (for_change) => {
        ""
    };
    (skip_locked) => {
        ""
    };
    (key_share) => {
        ""
    };
    ((lite $lite:literal, pg $pg:literal)) => {
        $lite
    };
    ($text:literal) => {
        $text
    };
}

/// What a fragment is in Postgres.
macro_rules! pg {
    (for_update) => {
        " FOR UPDATE"
    };
    (for_change) => {
        " FOR NO KEY UPDATE"
    };
    (skip_locked) => {
        " FOR UPDATE SKIP LOCKED"
    };
    (key_share) => {
        " FOR KEY SHARE"
    };
    ((lite $lite:literal, pg $pg:literal)) => {
        $pg
    };
    ($text:literal) => {
        $text
    };
}

/// Declares statements as constants and lists them all in `STATEMENTS`.
///
/// A statement is a sequence of string literals and of the fragments `for_update`, `for_change`,
/// `skip_locked`, `key_share` and `(lite "..", pg "..")`, separated by commas.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $($part:tt),+;)+) => {
        $(
            $(#[$doc])*
            const $name: $crate::sql::Sql = $crate::sql::Sql::new(
                stringify!($name),
                concat!($($crate::sql::lite!($part)),+),
                concat!($($crate::sql::pg!($part)),+),
            );
        )+

        /// Every statement of this module.
        // Tests declare statements of their own; elsewhere a list that nobody reads is a mistake.
        #[cfg_attr(test, allow(dead_code))]
        pub(crate) const STATEMENTS: &[$crate::sql::Sql] = &[$($name),+];
    };
}

pub(crate) use {lite, pg, statements};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_counted_by_the_highest() {
        for (text, count) in [
            ("SELECT 1", 0),
            ("SELECT $1, $1", 1),
            ("$12 $3", 12),
            ("$", 0),
        ] {
            assert_eq!(placeholders(text), count, "{text}");
        }
    }

    #[test]
    fn fragments_differ_by_database() {
        mod sample {
            statements! {
                LOCK = "SELECT id FROM t ORDER BY id", for_update;
                CLAIM = "UPDATE t SET a = $1 WHERE id IN (SELECT id FROM t", skip_locked, ")";
                TWO = "SELECT ", (lite "$1", pg "f($1)"), " AS a";
            }
        }
        let texts = |dialect: Dialect| -> Vec<&str> {
            sample::STATEMENTS
                .iter()
                .map(|sql| sql.text(dialect))
                .collect()
        };
        assert_eq!(
            texts(Dialect::Lite),
            [
                "SELECT id FROM t ORDER BY id",
                "UPDATE t SET a = $1 WHERE id IN (SELECT id FROM t)",
                "SELECT $1 AS a"
            ]
        );
        assert_eq!(
            texts(Dialect::Pg),
            [
                "SELECT id FROM t ORDER BY id FOR UPDATE",
                "UPDATE t SET a = $1 WHERE id IN (SELECT id FROM t FOR UPDATE SKIP LOCKED)",
                "SELECT f($1) AS a"
            ]
        );
        assert_eq!(sample::STATEMENTS[1].binds(), 1);
    }
}
