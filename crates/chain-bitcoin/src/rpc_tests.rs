//! Nodes that take their time: every wait has an end.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::hash::Hash256;

/// How long an answer may take here, and by when it must have been given up.
const PATIENCE: Duration = Duration::from_millis(300);
const LIMIT: Duration = Duration::from_secs(10);

/// A client of a node that is only this listener.
async fn listen() -> (TcpListener, Rpc) {
    // An error only means that one was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, Rpc::new(&url, Credentials::None).unwrap())
}

/// Sends `head` to the first request and then, if anything, a space after each pause.
async fn serve(listener: TcpListener, head: &str, pause: Option<Duration>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    let _length = stream.read(&mut request).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    while let Some(pause) = pause {
        paywatch_testkit::sleep(pause).await;
        if stream.write_all(b" ").await.is_err() {
            break;
        }
    }
    std::future::pending::<()>().await;
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
        let (listener, rpc) = listen().await;
        let asked = rpc.call_within::<u64>("getblockcount", &[], PATIENCE);
        let answer = tokio::select! {
            answer = tokio::time::timeout(LIMIT, asked) => answer,
            () = serve(listener, head, pause) => panic!("it serves without end"),
        };
        let error = answer.expect("the wait has an end").unwrap_err();
        assert!(
            matches!(error, CallError::Unreachable(_)),
            "{head:?}: {error:?}"
        );
    }
}

/// A node that has thrown blocks away does not tell which of them held a transaction: that is an answer, not
/// a failure to be asked about again. A block that was named is taken at people's word until it is read.
#[tokio::test]
async fn a_block_that_was_thrown_away_is_unknown_unless_it_was_named() {
    const BODY: &str = r#"{"result":null,"error":{"code":-1,"message":"Block not available (pruned data)"},"id":1}"#;
    let head = format!(
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let transaction = Hash256::of(&[b"transaction"]);
    for named in [None, Some(Hash256::of(&[b"block"]))] {
        let (listener, rpc) = listen().await;
        let answer = tokio::select! {
            answer = rpc.block_of(transaction, named) => answer,
            () = serve(listener, &head, None) => panic!("it serves without end"),
        };
        assert_eq!(answer.unwrap(), named);
    }
}

/// A connection that is closed instead of answered is a node that cannot be reached.
#[tokio::test]
async fn a_closed_connection_is_no_answer() {
    let (listener, rpc) = listen().await;
    let closing = async {
        loop {
            drop(listener.accept().await.unwrap());
        }
    };
    let error = tokio::select! {
        answer = rpc.call::<u64>("getblockcount", &[]) => answer.unwrap_err(),
        () = closing => panic!("it closes without end"),
    };
    assert!(matches!(error, CallError::Unreachable(_)), "{error:?}");
}
