//! What a bitcoind says that another node would not.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::hash::Hash256;

/// A client of a node that is only this listener.
async fn listen() -> (TcpListener, Rpc) {
    // An error only means that one was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (
        listener,
        Rpc::new(&url, Credentials::None, Budget::unlimited()).unwrap(),
    )
}

/// Answers the first request with an error of the node and this code.
async fn refuse(listener: &TcpListener, code: i64, message: &str) {
    let body =
        format!(r#"{{"result":null,"error":{{"code":{code},"message":"{message}"}},"id":1}}"#);
    let length = body.len();
    let head = format!("HTTP/1.1 500 Internal Server Error\r\ncontent-length: {length}\r\n\r\n");
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    let _length = stream.read(&mut request).await.unwrap();
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .unwrap();
    std::future::pending::<()>().await;
}

/// A node that has thrown blocks away does not tell which of them held a transaction: that is an answer, not
/// a failure to be asked about again. A block that was named is taken at people's word until it is read.
#[tokio::test]
async fn a_block_that_was_thrown_away_is_unknown_unless_it_was_named() {
    let transaction = Hash256::of(&[b"transaction"]);
    for named in [None, Some(Hash256::of(&[b"block"]))] {
        let (listener, rpc) = listen().await;
        let answer = tokio::select! {
            answer = rpc.block_of(transaction, named) => answer,
            () = refuse(&listener, -1, "Block not available (pruned data)") => panic!("it serves without end"),
        };
        assert_eq!(answer.unwrap(), named);
    }
}

/// A node that is starting refuses single calls and whole batches alike: it cannot be reached yet.
#[tokio::test]
async fn a_node_that_is_starting_cannot_be_reached() {
    let calls = [("getblockcount", Vec::new())];
    for is_batch in [false, true] {
        let (listener, rpc) = listen().await;
        let asked = async {
            if is_batch {
                rpc.batch(&calls).await.map(|_| ())
            } else {
                rpc.call::<u64>("getblockcount", &[]).await.map(|_| ())
            }
        };
        let error = tokio::select! {
            answer = asked => answer.unwrap_err(),
            () = refuse(&listener, -28, "Loading block index") => panic!("it serves without end"),
        };
        let expected = CallError::Unreachable("it is starting: Loading block index".to_owned());
        assert_eq!(error, expected);
    }
}
