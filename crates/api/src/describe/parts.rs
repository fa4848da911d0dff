//! What many routes share: headers, the key, and problems.

use paywatch_domain::limits;
use paywatch_wire::PROBLEM_MEDIA_TYPE;
use serde_json::{Map, Value, json};

use super::operation::{Method, Operation};

/// The name of the security scheme.
pub(super) const API_KEY: &str = "api_key";

/// A reference to one of the shared parts.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// Headers of answers.
pub(super) fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "The id of the request: in every log line, event and attempt that it causes.",
            "required": true,
            "schema": { "type": "string" },
        },
        "IdempotencyReplayed": {
            "description": "`true` when this is the answer that an earlier request with the same `Idempotency-Key` got.",
            "schema": { "type": "string", "enum": ["true"] },
        },
        "RetryAfter": {
            "description": "After how many seconds it is worth trying again.",
            "schema": { "type": "integer", "minimum": 0 },
        },
    })
}

/// Headers of requests.
pub(super) fn parameters() -> Value {
    json!({
        "RequestId": {
            "name": "x-request-id",
            "in": "header",
            "description": "An id of your own for the request; one is made where there is none.",
            "schema": { "type": "string", "pattern": "^[!-~]{1,128}$" },
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Makes repeating safe: the same key with the same body gets the first answer again, for at \
                least 24 hours. Bare or in quotes.",
            "schema": {
                "type": "string",
                "pattern": format!("^[!#-~]{{1,{}}}$", limits::IDEMPOTENCY_KEY_CHARS_MAX),
            },
        },
    })
}

/// How a request says whose it is.
pub(super) fn security_schemes() -> Value {
    json!({
        API_KEY: {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, `pw_live_…` or `pw_test_…`. It sees the merchant that it belongs to, and of that \
                one mode: live or test. What it may do is named by its scopes; each operation names the one it needs.",
        },
    })
}

/// What a problem of each status means where nothing more is said.
fn meaning(status: u16) -> &'static str {
    match status {
        400 => "A parameter, the `Idempotency-Key` or the JSON of the body cannot be read.",
        401 => "No API key, or one that is mistyped, unknown, expired or revoked.",
        403 => {
            "The key lacks the scope that is needed (`scope_missing`), or may not be used from this address."
        }
        404 => "No such thing for this key's merchant and mode.",
        408 => "The body did not arrive in time.",
        409 => {
            "A request with the same `Idempotency-Key` is still running (`idempotency_key_in_use`)."
        }
        413 => "The body is too large.",
        415 => "The body is not said to be JSON.",
        422 => {
            "Fields of the body cannot stand; `errors` names each. Or the `Idempotency-Key` was used with another body."
        }
        429 => "The key asks too often.",
        500 => "A mistake in this program; its log has the details under the request id.",
        503 => "The database is unavailable; repeat with the same `Idempotency-Key`.",
        _ => "It cannot be done.",
    }
}

const SHARED: [u16; 12] = [400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503];

fn problem(status: u16, text: &str) -> Value {
    let mut headers = json!({ "x-request-id": reference("headers", "RequestId") });
    if matches!(status, 409 | 429 | 503) {
        headers["retry-after"] = reference("headers", "RetryAfter");
    }
    json!({
        "description": text,
        "headers": headers,
        "content": { PROBLEM_MEDIA_TYPE: { "schema": reference("schemas", "Problem") } },
    })
}

/// Answers that many routes give.
pub(super) fn responses() -> Value {
    let shared =
        SHARED.map(|status| (format!("Problem{status}"), problem(status, meaning(status))));
    Value::Object(Map::from_iter(shared))
}

/// The statuses of the problems that a route can answer.
fn statuses(operation: &Operation) -> Vec<u16> {
    let is_open = operation.scopes.is_empty();
    let mut statuses = Vec::new();
    if !operation.parameters.is_empty() {
        statuses.push(400);
    }
    if operation.path.contains('{') {
        statuses.push(404);
    }
    if operation.method != Method::Get {
        statuses.extend([400, 408, 409, 413, 415, 422]);
    }
    if !is_open {
        statuses.extend([401, 403, 429, 500, 503]);
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// The problems of a route by status.
pub(super) fn problems(operation: &Operation) -> Map<String, Value> {
    let mut said = Map::new();
    for status in statuses(operation) {
        let shared = reference("responses", &format!("Problem{status}"));
        said.insert(status.to_string(), shared);
    }
    for (status, text) in &operation.refusals {
        let text = if said.contains_key(&status.to_string()) {
            format!("{text} {}", meaning(*status))
        } else {
            (*text).to_owned()
        };
        said.insert(status.to_string(), problem(*status, &text));
    }
    said
}
