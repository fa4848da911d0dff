//! New blocks are heard of, with announcements and without.

use std::time::Duration;

use alloy_primitives::bytes::Bytes;
use anyhow::Result;
use futures_util::{SinkExt, StreamExt};
use paywatch_chain::Source;
use paywatch_chain::rpc::Credentials;
use paywatch_chain_evm::{Config, EvmSource};
use paywatch_testkit::{Anvil, Liar};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use super::support::{config, source, tip};

/// Far beyond what a busy machine needs; waits end when something happens.
const LIMIT: Duration = Duration::from_mins(1);
/// As long as no test takes.
const LONG: Duration = Duration::from_hours(1);

/// Waits for another tip while a block is made; fails when nobody wakes it.
async fn woken(source: &EvmSource, node: &Anvil) -> Result<()> {
    let before = tip(node).await?;
    let waiting = source.wait_for_change(&before, LONG);
    let (done, mined) = tokio::join!(tokio::time::timeout(LIMIT, waiting), node.mine(1));
    mined?;
    done?;
    assert_ne!(source.health().await?.tip, before);
    Ok(())
}

#[tokio::test]
async fn a_new_block_is_heard_of_by_asking() -> Result<()> {
    let node = Anvil::start().await?;
    let source = source(&node.url());
    for _ in 0..2 {
        woken(&source, &node).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_wait_in_vain_ends_in_time_and_asks_little() -> Result<()> {
    let node = Anvil::start().await?;
    let liar = Liar::start(&node, |exchange| exchange.reply).await?;
    let source = source(&liar.url());
    let before = tip(&node).await?;
    for target in [Some(&node), None] {
        if target.is_none() {
            node.kill()?;
            drop(liar.take_asked());
        }
        let waiting = source.wait_for_change(&before, Duration::from_millis(2_500));
        tokio::time::timeout(LIMIT, waiting).await?;
        let asked = liar.take_asked().len();
        assert!(asked <= 2, "{asked} questions in three seconds");
        if target.is_none() {
            assert!(
                asked <= 1,
                "an endpoint that fails is left to the next poll"
            );
        }
    }
    Ok(())
}

/// Once the announcements are there, nothing is asked while waiting; a connection that breaks is renewed.
#[tokio::test]
async fn a_new_block_is_announced() -> Result<()> {
    let node = Anvil::start().await?;
    let liar = Liar::start(&node, |exchange| exchange.reply).await?;
    let source = EvmSource::new(Config {
        websocket: Some(node.websocket_url()),
        ..config(&liar.url())
    })?;
    // The beginning of the announcements ends the first wait: what came before is not known.
    let before = tip(&node).await?;
    let waiting = source.wait_for_change(&before, LONG);
    tokio::time::timeout(LIMIT, waiting).await?;
    for _ in 0..3 {
        liar.take_asked();
        let before = tip(&node).await?;
        let waiting = source.wait_for_change(&before, LONG);
        let (done, mined) = tokio::join!(tokio::time::timeout(LIMIT, waiting), node.mine(1));
        mined?;
        done?;
        assert_eq!(liar.take_asked(), [] as [&str; 0]);
    }
    // Several blocks at once, or one that nobody waited for, are one piece of news.
    node.mine(4).await?;
    let last = tip(&node).await?;
    let waiting = source.wait_for_change(&last, Duration::from_millis(1_500));
    tokio::time::timeout(LIMIT, waiting).await?;

    node.restart().await?;
    woken(&source, &node).await?;
    woken(&source, &node).await?;
    Ok(())
}

#[tokio::test]
async fn without_its_announcements_an_endpoint_is_polled() -> Result<()> {
    let node = Anvil::start().await?;
    let nobody = format!("ws://127.0.0.1:{}", paywatch_testkit::free_port()?);
    let deaf = Liar::start(&node, |exchange| exchange.reply).await?;
    for websocket in [nobody, deaf.url().replace("http", "ws")] {
        let source = EvmSource::new(Config {
            websocket: Some(websocket),
            ..config(&node.url())
        })?;
        woken(&source, &node).await?;
    }
    Ok(())
}

/// Accepts one connection, answers the subscription with `answer` and then says the rest, with nobody else
/// after it; gives the address, and the request with which the connection began.
async fn announcer(answer: &str, rest: Vec<Message>) -> Result<(String, JoinHandle<String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}", listener.local_addr()?);
    let answer = Message::text(answer);
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 4096];
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            let length = stream.peek(&mut bytes).await.unwrap();
            request = String::from_utf8_lossy(&bytes[..length]).into_owned();
        }
        let mut stream = tokio_tungstenite::accept_async(stream).await.unwrap();
        let asked = stream.next().await.unwrap().unwrap();
        assert!(asked.to_text().unwrap().contains("newHeads"));
        for message in std::iter::once(answer).chain(rest) {
            // The other side may have had enough.
            let _ = stream.send(message).await;
        }
        request
    });
    Ok((url, server))
}

const SUBSCRIBED: &str = r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#;

fn head(hash: &str) -> Message {
    let params = json!({"subscription": "0x1", "result": {"hash": hash}});
    let said = json!({"jsonrpc": "2.0", "method": "eth_subscription", "params": params});
    Message::text(said.to_string())
}

/// Whatever is announced is only a reason to look, and what cannot be read is none.
#[tokio::test]
async fn announcements_are_hints() -> Result<()> {
    let node = Anvil::start().await?;
    let before = tip(&node).await?;
    let rest = vec![
        Message::text("not JSON"),
        Message::text("[".repeat(10_000)),
        Message::binary(vec![0; 100]),
        Message::Ping(Bytes::new()),
        head(before.hash.as_str()),
        Message::text(r#"{"params":{"result":{"hash":7}}}"#),
        head(&format!("0x{}", "99".repeat(32))),
    ];
    let (url, server) = announcer(SUBSCRIBED, rest).await?;
    let source = EvmSource::new(Config {
        websocket: Some(url),
        credentials: Credentials::User {
            user: "user".to_owned(),
            password: "password".to_owned(),
        },
        ..config(&node.url())
    })?;
    for _ in 0..2 {
        let waiting = source.wait_for_change(&before, LONG);
        tokio::time::timeout(LIMIT, waiting).await?;
    }
    let request = server.await?.to_lowercase();
    assert!(request.contains("\nauthorization: basic dxnlcjpwyxnzd29yza==\r"));
    // The announcer is gone: the endpoint is polled.
    woken(&source, &node).await?;
    Ok(())
}

#[tokio::test]
async fn announcements_that_cannot_be_used_are_done_without() -> Result<()> {
    let node = Anvil::start().await?;
    let refused = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}"#;
    let huge = vec![Message::text("x".repeat(2 * 1024 * 1024))];
    let chatter = vec![Message::text("{}"); 20];
    for (answer, rest) in [(refused, vec![]), (SUBSCRIBED, huge), ("{}", chatter)] {
        let (url, _server) = announcer(answer, rest).await?;
        let source = EvmSource::new(Config {
            websocket: Some(url),
            ..config(&node.url())
        })?;
        for _ in 0..2 {
            woken(&source, &node).await?;
        }
    }
    Ok(())
}
