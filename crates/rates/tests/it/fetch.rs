//! Goal: whatever a source answers costs a bounded time and memory, and says nothing unless it is a whole, small
//! answer with success. Method: a real server on this machine, one path for each misbehaviour.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{StreamExt as _, stream};
use paywatch_domain::limits::RATE_ANSWER_BYTES_MAX;
use paywatch_rates::{AnswerProblem, Fetch as _, HttpFetch, Source};
use paywatch_webhook::EgressRules;

/// Bytes of one piece of a body.
const CHUNK: usize = 16 * 1024;

#[derive(Clone, Default)]
struct Seen {
    followed: Arc<AtomicUsize>,
    chunks: Arc<AtomicUsize>,
}

async fn hundred_megabytes(State(seen): State<Seen>) -> Response {
    let chunks = stream::repeat_with(move || {
        seen.chunks.fetch_add(1, Ordering::SeqCst);
        Ok::<_, io::Error>(Bytes::from_static(&[b' '; CHUNK]))
    });
    Body::from_stream(chunks.take(100 * 1024 * 1024 / CHUNK)).into_response()
}

async fn announces_too_much() -> Response {
    let body = vec![b' '; RATE_ANSWER_BYTES_MAX + 1];
    ([(header::CONTENT_LENGTH, body.len().to_string())], body).into_response()
}

async fn stalls() -> Response {
    let start = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"{\"a\":"))]);
    Body::from_stream(start.chain(stream::pending())).into_response()
}

async fn breaks_off() -> Response {
    let pieces = [
        Ok(Bytes::from_static(b"{\"a\":")),
        Err(io::Error::other("broken")),
    ];
    Body::from_stream(stream::iter(pieces)).into_response()
}

async fn guarded(headers: HeaderMap) -> (StatusCode, &'static str) {
    match headers.get("x-api-key") {
        Some(key) if key == "secret" => (StatusCode::OK, "{\"a\":5}"),
        Some(_) | None => (StatusCode::FORBIDDEN, ""),
    }
}

async fn server() -> (String, Seen) {
    let seen = Seen::default();
    let router = Router::new()
        .route("/good", get(|| async { "{\"a\":5}" }))
        .route("/guarded", get(guarded))
        .route("/empty", get(|| async { "" }))
        .route(
            "/large",
            get(|| async { vec![b' '; RATE_ANSWER_BYTES_MAX] }),
        )
        .route("/too-large", get(announces_too_much))
        .route("/endless", get(hundred_megabytes))
        .route("/hang", get(std::future::pending::<()>))
        .route("/stalls", get(stalls))
        .route("/breaks-off", get(breaks_off))
        .route(
            "/error",
            get(|| async { (StatusCode::BAD_GATEWAY, "{\"a\":5}") }),
        )
        .route(
            "/busy",
            get(|| async { (StatusCode::TOO_MANY_REQUESTS, "{\"a\":5}") }),
        )
        .route(
            "/redirect",
            get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/followed")]) }),
        )
        .route(
            "/followed",
            get(|State(seen): State<Seen>| async move {
                seen.followed.fetch_add(1, Ordering::SeqCst);
                "{\"a\":5}"
            }),
        )
        .with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    #[allow(
        clippy::disallowed_methods,
        reason = "the server is not part of what is tested"
    )]
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, seen)
}

fn source(url: &str) -> Arc<Source> {
    Arc::new(Source {
        name: "bourse".into(),
        url: url.parse().unwrap(),
        headers: HeaderMap::from_iter([(
            "x-api-key".parse().unwrap(),
            HeaderValue::from_static("secret"),
        )]),
        pointers: BTreeMap::new(),
        times: BTreeMap::new(),
    })
}

fn client(networks: &[&str]) -> HttpFetch {
    // Another test of this process may have been first, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let rules = EgressRules {
        networks_allowed: networks.iter().map(|text| text.parse().unwrap()).collect(),
        http_allowed: false,
    };
    HttpFetch::new(rules, Duration::from_millis(700)).unwrap()
}

#[tokio::test]
async fn every_misbehaviour_has_its_word() {
    let (url, seen) = server().await;
    let fetch = client(&["127.0.0.0/8"]);
    let table = [
        ("/good", Ok(7)),
        ("/guarded", Ok(7)),
        ("/empty", Ok(0)),
        ("/large", Ok(RATE_ANSWER_BYTES_MAX)),
        ("/too-large", Err(AnswerProblem::TooLarge)),
        ("/endless", Err(AnswerProblem::TooLarge)),
        ("/hang", Err(AnswerProblem::Timeout)),
        ("/stalls", Err(AnswerProblem::Timeout)),
        ("/breaks-off", Err(AnswerProblem::Unreachable)),
        ("/error", Err(AnswerProblem::Status)),
        ("/busy", Err(AnswerProblem::Status)),
        ("/nothing-there", Err(AnswerProblem::Status)),
        ("/redirect", Err(AnswerProblem::Redirected)),
    ];
    for (path, expected) in table {
        let answer = fetch.fetch(source(&format!("{url}{path}"))).await;
        assert_eq!(answer.map(|body| body.len()), expected, "{path}");
    }
    assert_eq!(
        seen.followed.load(Ordering::SeqCst),
        0,
        "a redirect is not followed"
    );
    let bytes = seen.chunks.load(Ordering::SeqCst) * CHUNK;
    assert!(
        bytes < 32 * 1024 * 1024,
        "most of an endless body is never taken: {bytes}"
    );
    let gone = fetch.fetch(source("http://127.0.0.1:1/")).await;
    assert_eq!(gone, Err(AnswerProblem::Unreachable));
}

#[tokio::test]
async fn only_allowed_networks_are_asked() {
    let (url, _) = server().await;
    let refused = Err(AnswerProblem::RefusedAddress);
    let fetch = client(&[]);
    assert_eq!(fetch.fetch(source(&format!("{url}/good"))).await, refused);
    let encrypted = url.replace("http://", "https://");
    assert_eq!(fetch.fetch(source(&encrypted)).await, refused);
    // A name that leads to this machine.
    let port = url.rsplit(':').next().unwrap();
    let named = format!("https://localhost:{port}/good");
    assert_eq!(fetch.fetch(source(&named)).await, refused);
    let named = format!("http://localhost:{port}/good");
    let other = client(&["10.0.0.0/8"]);
    assert_eq!(other.fetch(source(&named)).await, refused);
}

#[test]
fn a_source_keeps_its_address_and_its_headers_to_itself() {
    let source = source("https://rates.example/secret-path");
    let shown = format!("{source:?}");
    assert!(!shown.contains("secret"), "{shown}");
}
