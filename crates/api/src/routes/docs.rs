//! `/v1/openapi.json` and `/docs`: what the API is, for programs and for people.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::{Map, Value};

use crate::describe::{Described, STYLE, get, reference};

/// `docs/openapi.json`, which a test compares with the code.
pub const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

static PAGE: LazyLock<String> =
    LazyLock::new(|| reference(&serde_json::from_str(DOCUMENT).unwrap_or_default()));

/// The page loads its style sheet from here, and nothing else from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Adds the routes.
pub(super) fn add(routes: Described) -> Described {
    routes
        .with(
            get(
                "/v1/openapi.json",
                "get_openapi",
                "What the API is, as OpenAPI 3.1",
            )
            .answers::<Map<String, Value>>(200, "This document."),
            document,
        )
        .with(
            get("/docs", "docs", "What the API is, as a page").answers_text(
                200,
                "The page.",
                &["text/html"],
            ),
            page,
        )
        .with(
            get("/docs/style.css", "docs_style", "How that page looks").answers_text(
                200,
                "The style sheet.",
                &["text/css"],
            ),
            style,
        )
}

async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, PAGE.as_str()).into_response()
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}
