//! What stands around every handler: request id, size of the body, panics, log line, metrics.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{FutureExt, StreamExt};
use http::{Method, header};
use paywatch_domain::limits;
use tracing::Instrument;

use crate::fault::Fault;
use crate::request_id::{CurrentRequest, X_REQUEST_ID};
use crate::state::ApiState;

/// A body that is too large is read and thrown away up to this size, so that a client that writes
/// before it reads gets to see why it was refused.
const DISCARDED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long that may take.
const DISCARD_MAX: Duration = Duration::from_secs(10);

/// The outermost layer.
pub(crate) async fn around(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let started_at = state.now();
    let id = state.with_entropy(|entropy| CurrentRequest::of(request.headers(), entropy));
    request.extensions_mut().insert(id.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route
        .as_ref()
        .map_or("unknown", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!("request", request_id = %id.0, %method, route);

    let handled = AssertUnwindSafe(handle(request, next)).catch_unwind();
    let response = handled
        .instrument(span.clone())
        .await
        .unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let _entered = span.enter();
            tracing::error!(panic = text.unwrap_or_default(), "a handler panicked");
            axum::response::IntoResponse::into_response(Fault::Internal)
        });
    let mut response = with_problem(response, &id);
    response.headers_mut().insert(X_REQUEST_ID, id.header());

    let status = response.status().as_u16();
    let took_ms = state.now().ms_since(started_at).max(0);
    let took = Duration::from_millis(u64::try_from(took_ms).unwrap_or_default());
    span.in_scope(|| tracing::info!(status, took_ms, "answered"));
    let labels = [
        ("method", known_method(&method).to_owned()),
        ("route", route),
        ("status", status.to_string()),
    ];
    metrics::counter!("pw_http_requests_total", &labels).increment(1);
    metrics::histogram!("pw_http_request_duration_seconds", &labels).record(took);
    response
}

/// A label has few values, whatever clients think of.
fn known_method(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::POST,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
    ];
    if known.contains(method) {
        method.as_str()
    } else {
        "other"
    }
}

async fn handle(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let max = limits::BODY_BYTES_MAX;
    if length.is_some_and(|length| u64::try_from(max).is_ok_and(|max| max < length)) {
        if length.is_some_and(|length| length <= DISCARDED_BYTES_MAX) {
            discard(request.into_body()).await;
        }
        return axum::response::IntoResponse::into_response(Fault::BodyTooLarge { max });
    }
    next.run(request).await
}

/// Reads and forgets; what is left then is the connection's to close.
async fn discard(body: Body) {
    let mut pieces = body.into_data_stream();
    let reading = async { while let Some(Ok(_)) = pieces.next().await {} };
    let _ = tokio::time::timeout(DISCARD_MAX, reading).await;
}

/// Says a fault as a problem; other answers pass.
fn with_problem(mut response: Response, id: &CurrentRequest) -> Response {
    let Some(fault) = response.extensions_mut().remove::<Fault>() else {
        return response;
    };
    let mut problem = fault.render(&id.0);
    // The router names the methods that a path takes.
    if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow);
    }
    problem
}
