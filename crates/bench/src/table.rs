//! Rows of results, as a table for people and as JSON for programs.

use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::{Serialize, Serializer};

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// The ratio: this or more.
    AtLeast(f64),
    /// The ratio: this or less.
    AtMost(f64),
    /// The value itself: this or more.
    ValueAtLeast(f64),
    /// The value itself: this or less.
    ValueAtMost(f64),
    /// Nothing: it is there to be seen.
    None,
}

impl Goal {
    fn is_met(self, value: f64, ratio: f64) -> bool {
        match self {
            Self::AtLeast(least) => least <= ratio,
            Self::AtMost(most) => ratio <= most,
            Self::ValueAtLeast(least) => least <= value,
            Self::ValueAtMost(most) => value <= most,
            Self::None => true,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::ValueAtLeast(least) => write!(f, "value >= {least}"),
            Self::ValueAtMost(most) => write!(f, "value <= {most}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl Serialize for Goal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One result beside its baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    name: &'static str,
    value: f64,
    unit: &'static str,
    baseline: f64,
    ratio: f64,
    goal: Goal,
    met: bool,
}

impl Row {
    /// A row of two figures in the same unit.
    pub(crate) fn new(
        name: &'static str,
        unit: &'static str,
        value: f64,
        baseline: f64,
        goal: Goal,
    ) -> Self {
        let ratio = value / baseline;
        Self {
            name,
            value: rounded(value),
            unit,
            baseline: rounded(baseline),
            ratio: rounded(ratio),
            goal,
            met: goal.is_met(value, ratio),
        }
    }
}

/// Three digits after the point: more would be noise.
fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

/// The one of some durations that so many percent of them do not exceed.
pub(crate) fn percentile(durations: &[Duration], percent: usize) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let rank = sorted.len().saturating_mul(percent).div_ceil(100);
    let at = sorted.get(rank.saturating_sub(1)).copied();
    at.unwrap_or_default()
}

/// A duration in milliseconds.
pub(crate) fn in_ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The middle one of some durations; the longer of the two in the middle of an even number.
pub(crate) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    let middle = durations.len() / 2;
    durations.get(middle).copied().unwrap_or_default()
}

/// How many things a second, when `count` of them took `duration`.
pub(crate) fn per_second(count: u32, duration: Duration) -> f64 {
    f64::from(count) / duration.as_secs_f64()
}

/// The table.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["name", "value", "unit", "baseline", "ratio", "goal", "met"]);
    for row in rows {
        table.add_row([
            row.name.to_owned(),
            format!("{:.2}", row.value),
            row.unit.to_owned(),
            format!("{:.2}", row.baseline),
            format!("{:.2}", row.ratio),
            row.goal.to_string(),
            match (row.goal, row.met) {
                (Goal::None, _) => "-",
                (_, true) => "yes",
                (_, false) => "NO",
            }
            .to_owned(),
        ]);
    }
    for number in [1, 3, 4] {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_durations() {
        let durations: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&durations, 50), Duration::from_millis(100));
        assert_eq!(percentile(&durations, 99), Duration::from_millis(198));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn goals_are_met_from_either_side() {
        for (goal, value, met) in [
            (Goal::ValueAtMost(30.0), 30.0, true),
            (Goal::ValueAtMost(30.0), 31.0, false),
            (Goal::ValueAtLeast(30.0), 29.0, false),
            (Goal::AtLeast(0.4), 40.0, true),
            (Goal::AtLeast(0.4), 39.9, false),
            (Goal::AtMost(1.5), 150.0, true),
            (Goal::AtMost(1.5), 150.1, false),
        ] {
            let row = Row::new("a", "b", value, 100.0, goal);
            assert_eq!(row.met, met, "{row:?}");
        }
    }

    #[test]
    fn a_row_as_json_has_the_columns_of_the_table() {
        let row = Row::new("scan", "ms/block", 1.23456, 1.0, Goal::AtMost(1.5));
        let json = serde_json::to_value(&row).unwrap();
        let expected = serde_json::json!({
            "name": "scan", "value": 1.235, "unit": "ms/block", "baseline": 1.0, "ratio": 1.235,
            "goal": "<= 1.5", "met": true,
        });
        assert_eq!(json, expected);
        let shown = text(&[row]);
        let header = shown.lines().nth(1).unwrap();
        let columns: Vec<&str> = header.split(['│', '┆']).map(str::trim).collect();
        assert_eq!(
            columns[1..8],
            ["name", "value", "unit", "baseline", "ratio", "goal", "met"]
        );
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let seconds = |list: &[u64]| list.iter().copied().map(Duration::from_secs).collect();
        assert_eq!(median(seconds(&[9, 1, 5])), Duration::from_secs(5));
        assert_eq!(median(seconds(&[4, 2])), Duration::from_secs(4));
        assert_eq!(median(Vec::new()), Duration::ZERO);
    }
}
