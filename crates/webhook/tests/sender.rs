//! The real sender against a real receiver on this machine.
#![allow(clippy::unwrap_used, reason = "a failed setup fails the test")]

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use paywatch_domain::UnixMillis;
use paywatch_domain::limits::ANSWER_BYTES_KEPT;
use paywatch_webhook::egress::Lookup;
use paywatch_webhook::{
    EgressRules, Envelope, Failure, HttpSend as _, MonotonicClock, Outcome, Request, RetryAfter,
    Secret, Sender, Signer,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use url::Url;

/// What the receiver saw.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<(HeaderMap, Bytes)>>,
    redirected: AtomicUsize,
    chunks: AtomicUsize,
}

type Shared = State<Arc<Seen>>;

async fn accept(State(seen): Shared, headers: HeaderMap, body: Bytes) -> &'static str {
    seen.requests.lock().unwrap().push((headers, body));
    "thank you"
}

async fn redirected(State(seen): Shared) {
    seen.redirected.fetch_add(1, Ordering::SeqCst);
}

async fn hang() {
    std::future::pending::<()>().await;
}

async fn endless(State(seen): Shared) -> Response {
    let chunks = stream::repeat_with(move || {
        seen.chunks.fetch_add(1, Ordering::SeqCst);
        Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 16 * 1024]))
    });
    Body::from_stream(chunks).into_response()
}

async fn stalls() -> Response {
    let start = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"begun"))]);
    Body::from_stream(start.chain(stream::pending())).into_response()
}

async fn receiver() -> (SocketAddr, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let router = Router::new()
        .route("/ok", post(accept))
        .route(
            "/error",
            post(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "broken") }),
        )
        .route("/gone", post(|| async { StatusCode::GONE }))
        .route(
            "/redirect",
            post(|| async { (StatusCode::FOUND, [(header::LOCATION, "/there")]) }),
        )
        .route("/there", post(redirected).get(redirected))
        .route("/hang", post(hang))
        .route("/endless", post(endless))
        .route("/stalls", post(stalls))
        .route("/busy", post(|| async { busy("7") }))
        .route(
            "/busy-until",
            post(|| async { busy("Fri, 15 Jan 2027 08:00:00 GMT") }),
        )
        .route("/busy-unclear", post(|| async { busy("later") }))
        .with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[allow(
        clippy::disallowed_methods,
        reason = "the receiver is not part of what is tested"
    )]
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

fn busy(value: &'static str) -> impl IntoResponse {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, value)],
    )
}

/// Each reading is 5 ms after the one before.
fn clock() -> MonotonicClock {
    let reading_ms = AtomicU64::new(1_000);
    Arc::new(move || reading_ms.fetch_add(5, Ordering::SeqCst))
}

fn install_provider() {
    // Another test of this process may have been first, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn rules(networks: &[&str]) -> EgressRules {
    let networks_allowed = networks.iter().map(|text| text.parse().unwrap()).collect();
    EgressRules {
        networks_allowed,
        http_allowed: false,
    }
}

fn local_sender() -> Sender {
    install_provider();
    Sender::new(rules(&["127.0.0.0/8"]), clock()).unwrap()
}

fn request(url: &str, timeout_ms: u64) -> Request {
    let signers = [Signer::Shared(secret())];
    let envelope = Envelope {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_s: 1_614_265_330,
        request_id: Some("req_1"),
        signers: &signers,
    };
    let body = Bytes::from_static(br#"{"test": 2432232314}"#);
    let url = Url::parse(url).unwrap();
    Request::signed(url, &envelope, body, Duration::from_millis(timeout_ms)).unwrap()
}

fn secret() -> Secret {
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap()
}

async fn send(path: &str, timeout_ms: u64) -> (Outcome, Arc<Seen>) {
    let (address, seen) = receiver().await;
    let request = request(&format!("http://{address}{path}"), timeout_ms);
    (local_sender().send(request).await, seen)
}

#[tokio::test]
async fn what_is_sent_is_what_was_signed() {
    let (outcome, seen) = send("/ok", 5_000).await;
    assert_eq!(outcome.duration_ms, 5, "measured by the injected clock");
    let answer = outcome.result.unwrap();
    assert_eq!((answer.status, answer.retry_after), (200, None));
    assert_eq!(answer.head, "thank you");
    let requests = seen.requests.lock().unwrap();
    let [(headers, body)] = requests.as_slice() else {
        panic!("one request: {requests:?}")
    };
    assert_eq!(body, r#"{"test": 2432232314}"#);
    let expected = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        (
            "webhook-signature",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        ("content-type", "application/json"),
        (
            "user-agent",
            concat!("paywatch/", env!("CARGO_PKG_VERSION")),
        ),
        ("x-request-id", "req_1"),
    ];
    for (name, value) in expected {
        let all: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(all, [value], "{name}");
    }
}

#[tokio::test]
async fn every_status_is_an_answer() {
    for (path, status, head) in [
        ("/error", 500, "broken"),
        ("/gone", 410, ""),
        ("/none", 404, ""),
    ] {
        let answer = send(path, 5_000).await.0.result.unwrap();
        assert_eq!(
            (answer.status, answer.head.as_ref()),
            (status, head.as_bytes()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (outcome, seen) = send("/redirect", 5_000).await;
    assert_eq!(outcome.result.unwrap().status, 302);
    assert_eq!(seen.redirected.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn retry_after_is_read() {
    let table = [
        ("/busy", Some(RetryAfter::Seconds(7))),
        (
            "/busy-until",
            Some(RetryAfter::At(UnixMillis(1_800_000_000_000))),
        ),
        ("/busy-unclear", None),
    ];
    for (path, expected) in table {
        let answer = send(path, 5_000).await.0.result.unwrap();
        assert_eq!(
            (answer.status, answer.retry_after),
            (503, expected),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_hanging_receiver_times_out() {
    assert_eq!(send("/hang", 200).await.0.result, Err(Failure::Timeout));
}

#[tokio::test]
async fn an_answer_that_stalls_keeps_its_status() {
    let answer = send("/stalls", 500).await.0.result.unwrap();
    assert_eq!(
        (answer.status, answer.head.as_ref()),
        (200, b"begun".as_slice())
    );
}

#[tokio::test]
async fn an_endless_body_is_capped() {
    let (outcome, seen) = send("/endless", 10_000).await;
    assert_eq!(outcome.result.unwrap().head.len(), ANSWER_BYTES_KEPT);
    // What the kernel buffers may still be written, then the closed connection ends it.
    let after_close = async {
        loop {
            let before = seen.chunks.load(Ordering::SeqCst);
            assert!(before < 4_096, "64 MB were sent to somebody who reads 1 KB");
            pause(100).await;
            if seen.chunks.load(Ordering::SeqCst) == before {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), after_close)
        .await
        .unwrap();
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test waits for the other side to settle"
)]
async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[tokio::test]
async fn refused_connections_and_bad_certificates_have_their_own_kind() {
    install_provider();
    let sender = local_sender();
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let refused = sender
        .send(request(&format!("http://{address}/"), 5_000))
        .await
        .result;
    assert!(matches!(refused, Err(Failure::Connect(_))), "{refused:?}");

    // A receiver that does not speak TLS.
    let (address, _) = receiver().await;
    let no_tls = sender
        .send(request(&format!("https://{address}/ok"), 5_000))
        .await
        .result;
    assert!(matches!(no_tls, Err(Failure::Tls(_))), "{no_tls:?}");
}

/// Accepts connections with a certificate that it made itself, and counts the handshakes that the
/// other side completed.
async fn self_signed_receiver() -> (SocketAddr, Arc<AtomicUsize>) {
    install_provider();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let completed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&completed);
    #[allow(
        clippy::disallowed_methods,
        reason = "the receiver is not part of what is tested"
    )]
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if acceptor.accept(stream).await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (address, completed)
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused() {
    let (address, completed) = self_signed_receiver().await;
    let result = local_sender()
        .send(request(&format!("https://{address}/"), 5_000))
        .await
        .result;
    assert!(matches!(result, Err(Failure::Tls(_))), "{result:?}");
    assert_eq!(completed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn literal_private_addresses_are_blocked_at_every_attempt() {
    install_provider();
    let (address, seen) = receiver().await;
    let sender = Sender::new(EgressRules::default(), clock()).unwrap();
    for url in [
        format!("https://{address}/ok"),
        "https://[::ffff:127.0.0.1]/".to_owned(),
    ] {
        let result = sender.send(request(&url, 5_000)).await.result;
        assert!(
            matches!(result, Err(Failure::Blocked(_))),
            "{url}: {result:?}"
        );
    }
    let plain = sender
        .send(request(&format!("http://{address}/ok"), 5_000))
        .await
        .result;
    assert!(matches!(plain, Err(Failure::Other(_))), "{plain:?}");
    assert!(seen.requests.lock().unwrap().is_empty());
}

/// Answers every name with the same addresses.
struct Fixed(Vec<SocketAddr>);

impl Lookup for Fixed {
    fn lookup(&self, _host: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let found = self.0.clone();
        Box::pin(async move { Ok(found) })
    }
}

fn fixed_sender(rules: EgressRules, addresses: &[&str]) -> Sender {
    install_provider();
    let found = addresses
        .iter()
        .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
        .collect();
    let lookup: Arc<dyn Lookup> = Arc::new(Fixed(found));
    Sender::with_lookup(rules, clock(), &lookup).unwrap()
}

#[tokio::test]
async fn names_that_lead_inside_are_blocked_when_they_are_resolved() {
    let (address, seen) = receiver().await;
    let port = address.port();
    // Rules, addresses, scheme and whether the guard stops the request.
    let table: [(&[&str], &[&str], &str); 4] = [
        (&[], &["127.0.0.1"], "https"),
        (&[], &["::ffff:127.0.0.1", "169.254.169.254"], "https"),
        (&["10.0.0.0/8"], &["127.0.0.1"], "http"),
        (&["10.0.0.0/8"], &["1.1.1.1"], "http"),
    ];
    for (networks, addresses, scheme) in table {
        let sender = fixed_sender(rules(networks), addresses);
        let url = format!("{scheme}://merchant.example:{port}/ok");
        let result = sender.send(request(&url, 5_000)).await.result;
        assert!(
            matches!(result, Err(Failure::Blocked(_))),
            "{addresses:?}: {result:?}"
        );
    }
    assert!(seen.requests.lock().unwrap().is_empty());

    // Of a mixed answer only the allowed address is used; the port is the URL's.
    let sender = fixed_sender(rules(&["127.0.0.0/8"]), &["10.0.0.1", "127.0.0.1"]);
    let url = format!("http://merchant.example:{port}/ok");
    let answer = sender.send(request(&url, 5_000)).await.result.unwrap();
    assert_eq!(answer.status, 200);
    let requests = seen.requests.lock().unwrap();
    assert_eq!(requests[0].0["host"], format!("merchant.example:{port}"));
}

#[tokio::test]
async fn a_name_without_address_is_a_failed_connection() {
    let sender = fixed_sender(EgressRules::default(), &[]);
    let result = sender
        .send(request("https://merchant.example/ok", 5_000))
        .await
        .result;
    assert!(matches!(result, Err(Failure::Connect(_))), "{result:?}");
}
