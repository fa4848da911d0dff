//! Deliveries as merchants see them.

use paywatch_store::deliveries::{Attempt as Try, Delivery as Row};
use paywatch_wire::time::rfc3339;
use paywatch_wire::{Attempt, Delivery};

/// Shows a delivery with its attempts, oldest first.
pub fn delivery_form(row: &Row, attempts: Vec<Try>) -> Delivery {
    let attempts = attempts.into_iter().map(|attempt| Attempt {
        number: attempt.number,
        started_at: rfc3339(attempt.started_at),
        duration_ms: u64::try_from(attempt.duration_ms).unwrap_or_default(),
        status_code: attempt.status_code,
        error: attempt.error,
        answer: attempt.answer,
    });
    Delivery {
        id: row.id.to_string(),
        object: "delivery".into(),
        event_id: row.event_id.to_string(),
        event_type: row.event_type.as_str().into(),
        endpoint_id: row.endpoint_id.to_string(),
        state: row.state.as_str().into(),
        attempt_count: row.attempt_count,
        due_at: row.due_at.map(rfc3339),
        created_at: rfc3339(row.created_at),
        finished_at: row.finished_at.map(rfc3339),
        attempts: attempts.collect(),
    }
}
