//! Endpoints that answer wrongly: every lie is an error with a name and a retry, and none is a block.

use std::collections::BTreeSet;

use anyhow::Result;
use paywatch_chain::{Block, Retry, Source, SourceError};
use paywatch_chain_evm::{Config, EvmSource, TraceKind};
use paywatch_domain::BlockRef;
use paywatch_testkit::{Anvil, Argument, Deployed, Exchange, Liar, Told};
use serde_json::{Value, json};

use super::support::{account, config, credits, read, source, tip, to, watching};

const BLOCK: &str = "eth_getBlockByHash";
const RECEIPTS: &str = "eth_getBlockReceipts";
const HEADER: &str = "eth_getBlockByNumber";
const FLAT: &str = "trace_block";
const BALANCES: &str = "debug_traceBlockByHash";

/// Changes a reply.
type Lie = fn(Exchange) -> Told;

/// A node with a block that pays a shop 700 and logs 5 of a token that is not listed, and a later one.
async fn paid() -> Result<(Anvil, BlockRef)> {
    let node = Anvil::start().await?;
    let token = Deployed::new(&node, "Token", 0).await?;
    let shop = account("5");
    node.pay(&shop, 700).await?;
    token
        .call(&node, "mint", &[to(&shop), Argument::Number(5)], 0)
        .await?;
    node.mine(1).await?;
    let block = tip(&node).await?;
    node.mine(1).await?;
    Ok((node, block))
}

/// Reads a block through a server that changes the replies to one method, once it was found right.
async fn told(
    node: &Anvil,
    block: &BlockRef,
    method: &'static str,
    lie: Lie,
) -> Result<Block, SourceError> {
    let begun = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let lies = std::sync::Arc::clone(&begun);
    let liar = Liar::start(node, move |exchange| {
        if exchange.method == method && lies.load(std::sync::atomic::Ordering::Relaxed) {
            lie(exchange)
        } else {
            Told::Reply(exchange.reply)
        }
    });
    let liar = liar.await.unwrap();
    // The kind of trace that is lied about is the one that is read.
    let traces = match method {
        BALANCES => BTreeSet::from([TraceKind::Balances, TraceKind::Calls]),
        _ => TraceKind::all(),
    };
    let config = Config {
        traces,
        ..config(&liar.url())
    };
    let source = EvmSource::new(config).unwrap();
    source.health().await?;
    begun.store(true, std::sync::atomic::Ordering::Relaxed);
    read(&source, block, &watching(&[&account("5")])).await
}

/// A lie about a part of the result.
fn edited(mut exchange: Exchange, edit: impl Fn(&mut Value)) -> Told {
    edit(&mut exchange.reply["result"]);
    Told::Reply(exchange.reply)
}

/// Every lie about one method: the code of the error, words of it, and the lie.
async fn refused<const N: usize>(method: &'static str, lies: [(&str, &str, Lie); N]) -> Result<()> {
    let (node, block) = paid().await?;
    let honest = told(&node, &block, method, |exchange| exchange.reply.into()).await?;
    assert_eq!(credits(&honest).len(), 2);
    for (code, words, lie) in lies {
        let error = told(&node, &block, method, lie).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let slow = code == "node_pruned";
        assert_eq!(error.retry() == Retry::AfterChange, slow, "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_in_a_block_has_a_name() -> Result<()> {
    let lies: [(&str, &str, Lie); 7] = [
        ("block_missing", "", |exchange| {
            exchange.with_result(Value::Null).into()
        }),
        ("block_missing", "", |exchange| {
            exchange.with_error(-32000, "header not found").into()
        }),
        ("node_pruned", "connect a node", |exchange| {
            exchange
                .with_error(4444, "pruned history unavailable")
                .into()
        }),
        ("block_unproven", "hashes to", |exchange| {
            edited(exchange, |block| block["timestamp"] = json!("0x1"))
        }),
        ("block_unproven", "transactions", |exchange| {
            edited(exchange, |block| {
                block["transactions"].as_array_mut().unwrap().pop();
            })
        }),
        ("block_unproven", "transactions", |exchange| {
            edited(exchange, |block| block["transactions"] = json!([]))
        }),
        ("node_answer_malformed", "cannot be read", |exchange| {
            edited(exchange, |block| block["transactions"] = json!(["0x00"]))
        }),
    ];
    refused(BLOCK, lies).await
}

#[tokio::test]
async fn what_is_wrong_in_receipts_has_a_name() -> Result<()> {
    let lies: [(&str, &str, Lie); 8] = [
        // The header is newer than the receipts.
        ("block_missing", "", |exchange| {
            exchange.with_result(Value::Null).into()
        }),
        ("block_unproven", "0 receipts for 2", |exchange| {
            exchange.with_result(json!([])).into()
        }),
        ("node_answer_malformed", "cannot be read", |exchange| {
            exchange.with_result(json!([null, null])).into()
        }),
        ("block_unproven", "1 receipts for 2", |exchange| {
            edited(exchange, |receipts| {
                receipts.as_array_mut().unwrap().pop();
            })
        }),
        ("block_unproven", "bloom", |exchange| {
            edited(exchange, |receipts| receipts[1]["logs"] = json!([]))
        }),
        ("block_unproven", "root of its receipts", |exchange| {
            edited(exchange, |receipts| receipts[0]["status"] = json!("0x0"))
        }),
        ("block_unproven", "another transaction", |exchange| {
            edited(exchange, |receipts| {
                receipts[1]["logs"][0]["transactionHash"] = receipts[0]["transactionHash"].clone();
            })
        }),
        ("block_unproven", "it says block", |exchange| {
            edited(exchange, |receipts| {
                receipts[0]["blockHash"] = json!(format!("0x{}", "12".repeat(32)));
            })
        }),
    ];
    refused(RECEIPTS, lies).await
}

#[tokio::test]
async fn what_is_wrong_in_a_trace_has_a_name() -> Result<()> {
    let lies: [(&str, &str, Lie); 3] = [
        ("block_unproven", "0 traces for 2", |exchange| {
            exchange.with_result(json!([])).into()
        }),
        ("block_unproven", "not traced", |exchange| {
            edited(exchange, |traces| {
                traces[0] = json!({"error": "out of time"});
            })
        }),
        ("node_answer_malformed", "cannot be read", |exchange| {
            exchange.with_result(json!({"traces": 7})).into()
        }),
    ];
    refused(BALANCES, lies).await?;
    let lies: [(&str, &str, Lie); 4] = [
        ("block_unproven", "0 traces for 2", |exchange| {
            exchange.with_result(json!([])).into()
        }),
        ("block_unproven", "it is of another block", |exchange| {
            edited(exchange, |items| {
                items[0]["blockHash"] = json!(format!("0x{}", "12".repeat(32)));
            })
        }),
        ("block_unproven", "it ends otherwise", |exchange| {
            edited(exchange, |items| items[0]["error"] = json!("Reverted"))
        }),
        ("node_answer_malformed", "cannot be read", |exchange| {
            edited(exchange, |items| items[0] = json!({"error": "out of time"}))
        }),
    ];
    refused(FLAT, lies).await
}

/// Two nodes behind one address may answer from two branches.
#[tokio::test]
async fn receipts_of_another_block_are_found() -> Result<()> {
    let (node, block) = paid().await?;
    for _ in 0..2 {
        node.pay(&account("5"), 1).await?;
    }
    node.mine(1).await?;
    let other = json!([tip(&node).await?.hash.as_str()]);
    let other = node.rpc(RECEIPTS, other).await?;
    assert_eq!(other.as_array().map(Vec::len), Some(2));
    let liar = Liar::start(&node, move |exchange| match exchange.method.as_str() {
        RECEIPTS => exchange.with_result(other.clone()),
        _ => exchange.reply,
    });
    let liar = liar.await?;
    let error = read(&source(&liar.url()), &block, &watching(&[])).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), "block_unproven");
    assert!(error.to_string().contains("it says block"), "{error}");
    Ok(())
}

/// Another kind of trace stands in where one is missing.
#[tokio::test]
async fn a_trace_that_is_missing_is_replaced() -> Result<()> {
    let (node, block) = paid().await?;
    let read = told(&node, &block, FLAT, |exchange| {
        exchange.with_result(Value::Null).into()
    });
    assert_eq!(credits(&read.await?).len(), 2);
    Ok(())
}

#[tokio::test]
async fn answers_that_are_none_have_names() -> Result<()> {
    let (node, block) = paid().await?;
    let cases: [(&str, Lie); 12] = [
        ("node_answer_malformed", |mut exchange| {
            exchange.reply["id"] = json!(4_000_000);
            exchange.reply.into()
        }),
        ("node_answer_malformed", |mut exchange| {
            exchange.reply["id"] = json!(exchange.reply["id"].to_string());
            exchange.reply.into()
        }),
        // Left out of its batch.
        ("node_answer_malformed", |_| Value::Null.into()),
        ("node_answer_malformed", |_| {
            Told::Whole(200, None, b"[".to_vec())
        }),
        ("node_answer_malformed", |_| {
            Told::Whole(200, None, b"[]".to_vec())
        }),
        ("node_answer_malformed", |_| {
            Told::Whole(200, None, "[".repeat(100_000).into_bytes())
        }),
        ("node_answer_malformed", |_| {
            Told::Whole(200, None, vec![b' '; 129 << 20])
        }),
        ("node_answer_malformed", |_| {
            Told::Whole(302, Some(("location", "/")), Vec::new())
        }),
        ("node_unreachable", |_| {
            Told::Whole(502, None, b"<html>".to_vec())
        }),
        ("node_busy", |_| Told::Whole(503, None, Vec::new())),
        ("node_busy", |_| {
            Told::Whole(429, Some(("retry-after", "7")), Vec::new())
        }),
        ("node_busy", |exchange| {
            exchange.with_error(-32005, "daily limit").into()
        }),
    ];
    for (code, lie) in cases {
        let error = told(&node, &block, RECEIPTS, lie).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        if let SourceError::Busy {
            retry_after,
            detail,
            ..
        } = &error
            && detail.contains("429")
        {
            assert_eq!(retry_after.map(|pause| pause.as_secs()), Some(7));
        }
    }
    let error = told(&node, &block, BLOCK, |_| Told::Whole(401, None, Vec::new()));
    assert_eq!(error.await.unwrap_err().code(), "node_refused");
    Ok(())
}

/// Lies about headers: heights that are missing below the tip, and branches that are mixed.
#[tokio::test]
async fn headers_must_be_there_and_stand_on_each_other() -> Result<()> {
    let node = Anvil::start().await?;
    node.mine(5).await?;
    let cases: [(&str, Lie); 5] = [
        (
            "it has no header of height 3, and its tip is 5",
            |exchange| exchange.with_result(Value::Null).into(),
        ),
        ("is called", |exchange| {
            edited(exchange, |header| {
                header["hash"] = header["parentHash"].clone();
            })
        }),
        ("hashes to", |exchange| {
            edited(exchange, |header| header["gasUsed"] = json!("0x1"))
        }),
        ("a header: ", |exchange| {
            exchange.with_result(json!({"hash": 1})).into()
        }),
        ("error -32000: internal", |exchange| {
            exchange.with_error(-32000, "internal").into()
        }),
    ];
    for (words, lie) in cases {
        let liar = Liar::start(&node, move |exchange| {
            if exchange.method == HEADER && exchange.params[0] == "0x3" {
                return lie(exchange);
            }
            Told::Reply(exchange.reply)
        });
        let liar = liar.await?;
        let error = source(&liar.url()).hashes(1, 5).await.unwrap_err();
        assert_eq!(error.code(), "node_answer_malformed");
        assert!(error.to_string().contains(words), "{error}");
    }
    // A true header, of another height or another branch.
    let second = Anvil::start().await?;
    second.pay(&account("5"), 1).await?;
    second.mine(5).await?;
    let header = async |node: &Anvil, height: &str| node.rpc(HEADER, json!([height, false])).await;
    for (other, words) in [
        (
            header(&node, "0x4").await?,
            "asked for height 3 it gave height 4",
        ),
        (
            header(&second, "0x3").await?,
            "does not stand on the one below",
        ),
    ] {
        let liar = Liar::start(&node, move |exchange| {
            if exchange.method == HEADER && exchange.params[0] == "0x3" {
                return exchange.with_result(other.clone());
            }
            exchange.reply
        });
        let liar = liar.await?;
        let error = source(&liar.url()).hashes(1, 5).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    Ok(())
}

/// What a node says of itself decides the error.
#[tokio::test]
async fn health_of_nodes_that_are_not_ready() -> Result<()> {
    let node = Anvil::start().await?;
    node.mine(5).await?;
    let progress = |done: u64, total: u64| json!({"startingBlock": "0x0", "currentBlock": format!("{done:#x}"), "highestBlock": format!("{total:#x}")});
    let cases = [
        ("eth_syncing", json!(false), ""),
        ("eth_syncing", progress(5, 37), ""),
        ("eth_syncing", progress(5, 38), "node_synchronising"),
        ("eth_syncing", json!(true), ""),
        ("eth_chainId", json!("0x1"), "wrong_network"),
        ("eth_chainId", json!({}), "node_answer_malformed"),
        ("eth_chainId", json!("0x7a69"), ""),
        (HEADER, Value::Null, "node_answer_malformed"),
    ];
    for (method, result, code) in cases {
        let told = result.clone();
        let liar = Liar::start(&node, move |exchange| {
            if exchange.method == method {
                return exchange.with_result(told.clone());
            }
            exchange.reply
        });
        let liar = liar.await?;
        let said = source(&liar.url()).health().await;
        let found = said.as_ref().err().map_or("", SourceError::code);
        assert_eq!(found, code, "{method} {result}: {said:?}");
    }
    Ok(())
}

/// A provider that switches to another chain is found at the next poll.
#[tokio::test]
async fn an_endpoint_that_switches_chains_is_found() -> Result<()> {
    let node = Anvil::start().await?;
    let switched = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_switched = std::sync::Arc::clone(&switched);
    let liar = Liar::start(&node, move |exchange| match exchange.method.as_str() {
        "eth_chainId" if is_switched.load(std::sync::atomic::Ordering::Relaxed) => {
            exchange.with_result(json!("0x1"))
        }
        _ => exchange.reply,
    });
    let liar = liar.await?;
    let source = source(&liar.url());
    source.health().await?;
    switched.store(true, std::sync::atomic::Ordering::Relaxed);
    let block = tip(&node).await?;
    assert_eq!(source.health().await.unwrap_err().code(), "wrong_network");
    let error = source.fetch(block).await.unwrap_err();
    assert_eq!(
        error.code(),
        "wrong_network",
        "nothing is read of it any more"
    );
    Ok(())
}
