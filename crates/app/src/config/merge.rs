//! Laying tables over each other, and naming keys that nobody knows.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Problem;

/// Sections whose keys are names of the operator's choice.
const FREE: [&str; 1] = ["policies"];
const PREFIX: &str = "PAYWATCH__";

/// Reads a table; a text that is no TOML is a problem and an empty table.
pub(super) fn parse(text: &str, place: &str, problems: &mut Vec<Problem>) -> Table {
    text.parse().unwrap_or_else(|error: toml::de::Error| {
        let detail = error.to_string().trim_end().replace('\n', "\n    ");
        problems.push(Problem {
            place: place.to_owned(),
            detail,
        });
        Table::new()
    })
}

/// Lays `own` over `base`, section by section.
pub(super) fn overlay(base: &mut Table, own: Table, place: &str, problems: &mut Vec<Problem>) {
    for (section, value) in own {
        let place = format!("{place}: {section}");
        match (base.get_mut(&section), value) {
            (Some(Value::Table(known)), Value::Table(keys)) => {
                for (key, value) in keys {
                    if known.contains_key(&key) || FREE.contains(&section.as_str()) {
                        known.insert(key, value);
                    } else {
                        problems.push(unknown(format!("{place}.{key}"), known.keys()));
                    }
                }
            }
            (Some(_), _) => problems.push(Problem {
                place,
                detail: "must be a section, written as [section]".to_owned(),
            }),
            (None, _) => problems.push(unknown(place, base.keys())),
        }
    }
}

/// Lays the environment over the table: `PAYWATCH__SECTION__KEY`.
pub(super) fn environment(
    base: &mut Table,
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) {
    for (name, text) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let path = path.to_lowercase();
        let Some((section, key)) = path.split_once("__") else {
            problems.push(Problem {
                place: name.clone(),
                detail: "must be PAYWATCH__SECTION__KEY".to_owned(),
            });
            continue;
        };
        let mut own = Table::new();
        own.insert(key.to_owned(), value(text));
        let own = Table::from_iter([(section.to_owned(), Value::Table(own))]);
        overlay(base, own, name, problems);
    }
}

/// A value of the environment: as TOML where it is TOML, else as plain text.
fn value(text: &str) -> Value {
    let line: Option<Table> = format!("value = {text}").parse().ok();
    let value = line.and_then(|mut line| line.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn unknown<'a>(place: String, known: impl Iterator<Item = &'a String>) -> Problem {
    let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
    Problem {
        place,
        detail: format!("is not a known key; known are: {known}"),
    }
}
