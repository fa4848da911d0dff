//! What a person reads, or a program with `--json`.
#![expect(clippy::print_stdout, reason = "this is where the command line prints")]

use anyhow::Context as _;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// One JSON document instead of tables and sentences.
    pub(crate) json: bool,
}

impl Output {
    /// Prints a sentence, or `value` as JSON.
    pub(crate) fn say(self, value: &Value, sentence: impl FnOnce() -> String) {
        if self.json {
            println!("{value}");
        } else {
            println!("{}", sentence());
        }
    }

    /// Prints a sentence for people beside what was asked for.
    pub(crate) fn note(self, sentence: &str) {
        if !self.json {
            println!("{sentence}");
        }
    }

    /// Prints rows as a table, or `value` as JSON.
    pub(crate) fn table(self, value: &Value, head: &[&str], rows: Vec<Vec<String>>) {
        if self.json {
            println!("{value}");
            return;
        }
        if rows.is_empty() {
            println!("nothing yet");
            return;
        }
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(head.iter().map(|name| name.to_uppercase()));
        table.add_rows(rows);
        println!("{}", table.to_string().trim_end());
    }
}

/// A field of an answer as text; a dash where there is none.
pub(crate) fn text(value: &Value, field: &str) -> String {
    match value.pointer(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// The rows of a list.
pub(crate) fn data(page: &Value) -> anyhow::Result<&Vec<Value>> {
    page["data"].as_array().context("the answer is not a list")
}
