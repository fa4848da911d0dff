//! Endpoints that mean harm, or do not know what they say: no answer takes the source longer or further than it
//! should, and none is read as something else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use paywatch_chain::{Block, Source, SourceError, WatchTable};
use paywatch_chain_evm::{Config, EvmSource, TraceKind};
use paywatch_testkit::{Exchange, Liar, Told};
use serde_json::{Value, json};

use super::support::{assets, config, read, source};
use crate::evm::built::{Plan, account, build, payer, token_log};
use crate::evm::chains::{script, us, usdc};
use crate::evm::shape::Built;
use crate::evm::transfers::watching;

const RECEIPTS: &str = "eth_getBlockReceipts";

/// A plain payment of 16, and one of 25 of a token.
fn block() -> Built {
    let token = token_log(usdc(), payer(), us(), 25);
    build(&[Plan::pay(us(), 16), Plan::logs(vec![token])], &[])
}

fn watched() -> WatchTable {
    watching(&[us(), payer()])
}

/// A script whose replies are lies from the moment on at which this is set.
async fn armed(
    built: &Built,
    lie: impl Fn(Exchange) -> Told + Send + Sync + 'static,
) -> Result<(Liar, Arc<AtomicBool>)> {
    let begun = Arc::new(AtomicBool::new(false));
    let lies = Arc::clone(&begun);
    let liar = Liar::scripted(script(built, &json!({})), move |exchange| {
        if lies.load(Ordering::Relaxed) {
            return lie(exchange);
        }
        Told::Reply(exchange.reply)
    });
    Ok((liar.await?, begun))
}

/// From then on each call is answered alone.
fn no_batches() -> Told {
    Told::Whole(400, None, b"no batches".to_vec())
}

/// An answer that comes a byte at a time is given up when the time for an answer is over; after that the
/// endpoint is asked who it is, and read.
#[tokio::test]
async fn an_answer_that_trickles_is_given_up() -> Result<()> {
    let built = block();
    let (liar, begun) = armed(&built, |exchange| match exchange.method.as_str() {
        RECEIPTS => Told::Trickle(Duration::from_millis(100)),
        _ => Told::Reply(exchange.reply),
    })
    .await?;
    let source = source(&liar.url());
    source.health().await?;
    begun.store(true, Ordering::Relaxed);
    let watched = watched();
    let asked = read(&source, &built.at, &watched);
    let error = tokio::time::timeout(Duration::from_mins(2), asked).await?;
    let error = error.unwrap_err();
    assert_eq!(error.code(), "node_unreachable", "{error}");
    assert_eq!(source.capabilities(), None);
    begun.store(false, Ordering::Relaxed);
    assert_eq!(read(&source, &built.at, &watched).await?.credits.len(), 2);
    Ok(())
}

/// Nothing is unpacked, so a few bytes cannot become many: an answer that would be right unpacked is none.
#[tokio::test]
async fn an_answer_that_is_packed_is_not_unpacked() -> Result<()> {
    let built = block();
    let (liar, begun) = armed(&built, |exchange| match exchange.method.as_str() {
        _ if exchange.in_batch => no_batches(),
        RECEIPTS => {
            let packed = gzip(exchange.reply.to_string().as_bytes());
            Told::Whole(200, Some(("content-encoding", "gzip")), packed)
        }
        _ => Told::Reply(exchange.reply),
    })
    .await?;
    let source = source(&liar.url());
    source.health().await?;
    begun.store(true, Ordering::Relaxed);
    let error = read(&source, &built.at, &watched()).await.unwrap_err();
    assert_eq!(error.code(), "node_answer_malformed", "{error}");
    assert!(error.to_string().contains("HTTP 200"), "{error}");
    Ok(())
}

/// Packed without making it smaller (<https://www.rfc-editor.org/rfc/rfc1952>).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let odd = sum & 1 == 1;
            sum = (sum >> 1) ^ if odd { 0xedb8_8320 } else { 0 };
        }
    }
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(bytes);
    packed.extend((!sum).to_le_bytes());
    packed.extend(u32::from(length).to_le_bytes());
    packed
}

/// Reads a block from a script with these traces.
async fn read_with(built: &Built, traces: &Value, kind: TraceKind) -> Result<Block, SourceError> {
    let node = Liar::scripted(script(built, traces), |exchange| exchange.reply);
    let node = node.await.unwrap();
    let source = EvmSource::new(Config {
        assets: assets(&[("usdc", &usdc().to_string(), 6)]),
        traces: BTreeSet::from([kind]),
        ..config(&node.url())
    });
    read(&source.unwrap(), &built.at, &watched()).await
}

/// Numbers that are none, or are written otherwise than nodes write them.
fn odd_numbers() -> [Value; 16] {
    [
        json!(16),
        json!(16.5),
        json!(-1),
        json!(1e300),
        json!("16"),
        json!("10"),
        json!("0x"),
        json!(""),
        json!("-0x1"),
        json!(" 0x10"),
        json!("0X10"),
        json!("0x1g"),
        json!(format!("0x1{}", "0".repeat(64))),
        json!(true),
        json!([]),
        json!({}),
    ]
}

/// Whatever stands where a number should, the block that is read is the right one, or none.
#[tokio::test]
async fn odd_numbers_are_refused_or_mean_the_same() -> Result<()> {
    let honest = block();
    let right = read_with(&honest, &json!({}), TraceKind::Balances).await?;
    assert_eq!(right.credits.len(), 2);
    let places = [
        "/block/number",
        "/block/timestamp",
        "/block/baseFeePerGas",
        "/block/transactions/0/value",
        "/block/transactions/0/nonce",
        "/block/transactions/0/type",
        "/block/transactions/1/transactionIndex",
        "/receipts/0/status",
        "/receipts/0/cumulativeGasUsed",
        "/receipts/1/transactionIndex",
        "/receipts/1/logs/0/logIndex",
    ];
    for place in places {
        for number in odd_numbers() {
            let mut answers = json!({"block": honest.block, "receipts": honest.receipts});
            *answers.pointer_mut(place).unwrap() = number.clone();
            let told = Built {
                at: honest.at.clone(),
                block: answers["block"].take(),
                receipts: answers["receipts"].take(),
            };
            match read_with(&told, &json!({}), TraceKind::Balances).await {
                Ok(read) => {
                    assert_eq!(read.credits, right.credits, "{place} {number}");
                    assert_eq!(read.time, right.time, "{place} {number}");
                }
                Err(error) => {
                    let code = error.code();
                    let codes = ["node_answer_malformed", "block_unproven"];
                    assert!(codes.contains(&code), "{place} {number}: {error}");
                }
            }
        }
    }
    Ok(())
}

/// What no proof holds is read in the one form that nodes must use.
#[tokio::test]
async fn odd_numbers_in_traces_are_refused() -> Result<()> {
    let built = build(&[Plan::pay(account(0xc0de), 100)], &[]);
    let of_balances = |number: &Value| {
        let after = json!({us().to_string(): {"balance": number}});
        json!({"prestateTracer": [{"result": {"pre": {}, "post": after}}]})
    };
    let of_calls = |number: &Value| {
        let inner = json!({"type": "CALL", "from": account(0xc0de), "to": us(), "value": number});
        json!({"callTracer": [{"result": {"type": "CALL", "from": payer(), "to": account(0xc0de),
            "value": "0x64", "calls": [inner]}}]})
    };
    let sixteen = json!("0x10");
    for (kind, right) in [
        (TraceKind::Balances, of_balances(&sixteen)),
        (TraceKind::Calls, of_calls(&sixteen)),
    ] {
        let read = read_with(&built, &right, kind).await?;
        assert_eq!(read.credits[0].amount.decimal(0), "16", "{kind}");
    }
    for number in odd_numbers() {
        for (kind, told) in [
            (TraceKind::Balances, of_balances(&number)),
            (TraceKind::Calls, of_calls(&number)),
        ] {
            let read = read_with(&built, &told, kind).await;
            let error = read.map(|block| block.credits).unwrap_err();
            assert_eq!(error.code(), "node_answer_malformed", "{kind} {number}");
        }
    }
    Ok(())
}

/// The reply with a call in which so many others are nested; the innermost one pays 7.
fn nested(id: &Value, depth: usize) -> Vec<u8> {
    let [payer, contract] = [payer(), account(0xc0de)].map(|account| account.to_string());
    let open = |from: &str, value: &str| {
        format!(r#"{{"type":"CALL","from":"{from}","to":"{contract}","value":"{value}","calls":["#)
    };
    let (outer, inner) = (open(&payer, "0x64"), open(&contract, "0x0"));
    let last = json!({"type": "CALL", "from": contract, "to": us(), "value": "0x7"});
    let inside = format!(
        "{}{last}{}",
        inner.repeat(depth - 1),
        "]}".repeat(depth - 1)
    );
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[{{"result":{outer}{inside}]}}}}]}}"#)
        .into_bytes()
}

/// Calls are not nested deeper than a machine of the chain can nest them; what claims that is not walked to
/// its end, which would take the longer the deeper it is.
#[tokio::test]
async fn calls_that_are_nested_deeper_than_any_can_be_are_refused() -> Result<()> {
    let built = build(&[Plan::pay(account(0xc0de), 100)], &[]);
    let traces = json!({"callTracer": []});
    for depth in [1, 1_024, 1_100, 100_000] {
        let node = Liar::scripted(script(&built, &traces), move |exchange| {
            let is_trace = exchange.method.starts_with("debug_");
            match is_trace {
                _ if exchange.in_batch => no_batches(),
                true => Told::Whole(200, None, nested(&exchange.reply["id"], depth)),
                false => Told::Reply(exchange.reply),
            }
        });
        let node = node.await?;
        let source = EvmSource::new(Config {
            traces: BTreeSet::from([TraceKind::Calls]),
            ..config(&node.url())
        })?;
        let read = read(&source, &built.at, &watched()).await;
        if depth <= 1_024 {
            assert_eq!(read?.credits[0].amount.decimal(0), "7", "{depth}");
            continue;
        }
        let error = read.map(|block| block.credits).unwrap_err();
        assert_eq!(error.code(), "block_unproven", "{depth}");
        assert!(error.to_string().contains("nested deeper"), "{error}");
    }
    Ok(())
}
