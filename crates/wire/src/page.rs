//! One page of a list, newest first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Whether there are more in the direction that was read.
    pub has_more: bool,
    /// What to give to read on in the same direction: as `starting_after` or `ending_before`, for the
    /// stream of events as `after`; `null` at the end.
    pub next_cursor: Option<String>,
}
