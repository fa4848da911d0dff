//! Nodes that take their time, are busy, or answer anything: every wait has an end, and every answer is
//! told from what it is not.

use std::num::NonZeroU32;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// How long an answer may take here, and by when it must have been given up.
const PATIENCE: Duration = Duration::from_millis(300);
const LIMIT: Duration = Duration::from_secs(10);

/// A client of a node that is only this listener.
async fn listen() -> (TcpListener, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/key?key", listener.local_addr().unwrap());
    (listener, Client::new(config(&url)).unwrap())
}

fn config(url: &str) -> Config {
    // An error only means that one was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Config {
        url: url.to_owned(),
        version: Version::V2,
        credentials: Credentials::None,
        budget: Budget::unlimited(),
    }
}

/// Sends `head` to the first request and then, if anything, a space after each pause.
async fn serve(listener: &TcpListener, head: &str, pause: Option<Duration>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    let _length = stream.read(&mut request).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    while let Some(pause) = pause {
        let _elapsed = tokio::time::timeout(pause, std::future::pending::<()>()).await;
        if stream.write_all(b" ").await.is_err() {
            break;
        }
    }
    std::future::pending::<()>().await;
}

/// What a call makes of one whole answer.
async fn answered(head: &str, body: &str) -> (Client, Result<u64, CallError>) {
    let (listener, client) = listen().await;
    let text = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let answer = tokio::select! {
        answer = client.call("count", &[]) => answer,
        () = serve(&listener, &text, None) => panic!("it serves without end"),
    };
    (client, answer)
}

/// A node that never answers, one that stops in the middle, and one whose answer trickles without an end
/// are given up when the time for an answer is over.
#[tokio::test]
async fn an_answer_that_does_not_end_is_given_up() {
    const ENDLESS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let drip = Duration::from_millis(20);
    for (head, pause) in [
        ("", None),
        ("HTTP/1.1 200 OK\r\n", None),
        ("HTTP/1.1 200 OK\r\nx:", Some(drip)),
        (ENDLESS, None),
        (ENDLESS, Some(drip)),
    ] {
        let (listener, client) = listen().await;
        let asked = client.call_within::<u64>("getblockcount", &[], PATIENCE);
        let answer = tokio::select! {
            answer = tokio::time::timeout(LIMIT, asked) => answer,
            () = serve(&listener, head, pause) => panic!("it serves without end"),
        };
        let error = answer.expect("the wait has an end").unwrap_err();
        assert!(
            matches!(error, CallError::Unreachable(_)),
            "{head:?}: {error:?}"
        );
        assert!(!format!("{error:?} {client:?}").contains("key"));
    }
}

/// A connection that is closed instead of answered is a node that cannot be reached.
#[tokio::test]
async fn a_closed_connection_is_no_answer() {
    let (listener, client) = listen().await;
    let closing = async {
        loop {
            drop(listener.accept().await.unwrap());
        }
    };
    let error = tokio::select! {
        answer = client.call::<u64>("getblockcount", &[]) => answer.unwrap_err(),
        () = closing => panic!("it closes without end"),
    };
    assert!(matches!(error, CallError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn every_status_has_its_own_error() {
    let fine = r#"{"jsonrpc":"2.0","id":0,"result":7}"#;
    let refusal = r#"{"id":0,"error":{"code":-8,"message":"no"}}"#;
    let busy = |retry_after| CallError::Busy {
        detail: "HTTP 429: the node is busy".to_owned(),
        retry_after,
    };
    let node = NodeError {
        code: -8,
        message: "no".to_owned(),
    };
    for (head, body, expected) in [
        ("200 OK", fine, Ok(7)),
        ("500 Oh", fine, Ok(7)),
        ("500 Oh", refusal, Err(CallError::Node(node))),
        (
            "401 No",
            fine,
            Err(CallError::Refused("HTTP 401".to_owned())),
        ),
        (
            "403 No",
            fine,
            Err(CallError::Refused("HTTP 403".to_owned())),
        ),
        ("429 Slow", "", Err(busy(None))),
        (
            "429 Slow\r\nretry-after: 2",
            "",
            Err(busy(Some(Duration::from_secs(2)))),
        ),
        (
            "429 Slow\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:37 GMT",
            "",
            Err(busy(Some(Duration::from_mins(1)))),
        ),
    ] {
        let (_, answer) = answered(&format!("HTTP/1.1 {head}"), body).await;
        assert_eq!(answer, expected, "{head}");
    }
    for (head, body, is_expected) in [
        (
            "200 OK",
            "<html>",
            (|error| matches!(error, CallError::Malformed(_))) as fn(&_) -> bool,
        ),
        ("404 None", "<html>", |error| {
            matches!(error, CallError::Refused(_))
        }),
        ("502 Bad", "<html>", |error| {
            matches!(error, CallError::Unreachable(_))
        }),
    ] {
        let (_, answer) = answered(&format!("HTTP/1.1 {head}"), body).await;
        assert!(
            is_expected(answer.as_ref().unwrap_err()),
            "{head}: {answer:?}"
        );
    }
}

/// A node that said when to come back is not asked before that: a call that cannot wait so long fails
/// without a request.
#[tokio::test]
async fn a_busy_node_is_left_alone() {
    let (client, answer) = answered("HTTP/1.1 503 Busy\r\nretry-after: 300", "").await;
    assert!(matches!(answer, Err(CallError::Busy { .. })), "{answer:?}");
    let again = client.call_within::<u64>("count", &[], PATIENCE);
    let again = tokio::time::timeout(LIMIT, again).await.unwrap();
    match again.unwrap_err() {
        CallError::Busy { retry_after, .. } => assert!(PATIENCE < retry_after.unwrap()),
        other => panic!("{other:?}"),
    }
}

/// A batch that costs more than the budget gives within the time for an answer is not sent.
#[tokio::test]
async fn a_batch_is_paid_by_its_calls() {
    let one = NonZeroU32::MIN;
    let client = Client::new(Config {
        budget: Budget::per_second(one, one),
        ..config("http://127.0.0.1:1")
    });
    let calls = vec![("count", Vec::new()); 60];
    let error = client.unwrap().batch(&calls).await.unwrap_err();
    assert!(matches!(error, CallError::Busy { .. }), "{error:?}");
}

/// An answer that is too long, or announces that it will be, is not kept.
#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let (listener, client) = listen().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n";
    let answer = tokio::select! {
        answer = client.get("/path", 100) => answer,
        () = serve(&listener, head, None) => panic!("it serves without end"),
    };
    assert!(matches!(answer, Err(CallError::Malformed(_))), "{answer:?}");
    let (listener, client) = listen().await;
    let head = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(200));
    let answer = tokio::select! {
        answer = client.get("/path", 100) => answer,
        () = serve(&listener, &head, None) => panic!("it serves without end"),
    };
    assert!(matches!(answer, Err(CallError::Malformed(_))), "{answer:?}");
}

#[test]
fn an_address_that_cannot_be_used_is_refused_and_never_shown() {
    for url in [
        "127.0.0.1:8545",
        "ws://127.0.0.1/secret",
        "http://user:secret@127.0.0.1",
        "http://secret@127.0.0.1",
        "http://[secret",
        "",
    ] {
        let error = Client::new(config(url)).unwrap_err();
        assert!(matches!(error, SetupError::Url { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let client = Client::new(config("https://node.example/v3/secret?key=secret")).unwrap();
    assert_eq!(client.place(), "node.example:443");
    assert_eq!(format!("{client:?}"), "Client(node.example:443)");
}
