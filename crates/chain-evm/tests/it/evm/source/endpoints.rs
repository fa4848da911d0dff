//! Endpoints that offer less than anvil does: what they give is still proven.

use std::collections::BTreeSet;

use anyhow::Result;
use paywatch_chain::Source;
use paywatch_chain_evm::{Config, EvmSource, TraceKind};
use paywatch_domain::BlockRef;
use paywatch_testkit::{Anvil, Argument, Deployed, Exchange, Liar, Told};
use serde_json::{Value, json};

use super::support::{account, assets, config, credits, read, source, tip, to, watching};

/// A node with a block in which a contract pays two accounts and somebody pays a third one.
async fn paid() -> Result<(Anvil, BlockRef, [String; 3])> {
    let node = Anvil::start().await?;
    let batch = Deployed::new(&node, "BatchPayer", 0).await?;
    let accounts = ["1", "2", "3"].map(account);
    node.pay(&accounts[2], 700).await?;
    let payees = Argument::Accounts(accounts[..2].to_vec());
    batch
        .call(&node, "pay", &[payees, Argument::Numbers(vec![3, 4])], 7)
        .await?;
    node.mine(1).await?;
    let block = tip(&node).await?;
    Ok((node, block, accounts))
}

fn amounts(credits: &[(String, String, String, String)]) -> Vec<&str> {
    credits
        .iter()
        .map(|(_, _, amount, _)| amount.as_str())
        .collect()
}

/// The node has no such method, in the words of several endpoints.
fn refusals(exchange: &Exchange) -> [Value; 4] {
    let id = exchange.reply["id"].clone();
    let error = |code: i64, message: &str| json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}});
    [
        error(-32601, "the method does not exist/is not available"),
        error(-32600, "this request is not available on the Free tier"),
        error(-32053, "method is not whitelisted"),
        error(35, "Please upgrade to a paid plan"),
    ]
}

#[tokio::test]
async fn what_is_not_offered_is_done_without() -> Result<()> {
    let (node, block, accounts) = paid().await?;
    let watched = watching(&[&accounts[0], &accounts[1], &accounts[2]]);
    for words in 0..4 {
        let cases: [(&'static [&'static str], Option<TraceKind>, usize); 5] = [
            (&["trace_block"], Some(TraceKind::Balances), 3),
            (&["debug_traceBlockByHash"], Some(TraceKind::Flat), 3),
            (&["debug_traceBlockByHash", "trace_block"], None, 1),
            (&["eth_getBlockReceipts"], Some(TraceKind::Flat), 3),
            (
                &["eth_syncing", "web3_clientVersion"],
                Some(TraceKind::Flat),
                3,
            ),
        ];
        for (missing, trace, found) in cases {
            let liar = Liar::start(&node, move |exchange| {
                if missing.contains(&exchange.method.as_str()) {
                    return refusals(&exchange)[words].clone();
                }
                exchange.reply
            });
            let liar = liar.await?;
            let source = source(&liar.url());
            source.health().await?;
            let offered = source.capabilities().unwrap();
            assert_eq!(offered.trace(), trace, "{missing:?}");
            assert_eq!(
                offered.block_receipts,
                !missing.contains(&"eth_getBlockReceipts")
            );
            assert!(offered.batches, "{missing:?}");
            let words = trace.map_or("no traces".to_owned(), |kind| kind.to_string());
            assert!(offered.to_string().contains(&words), "{offered}");
            liar.take_asked();
            let read = read(&source, &block, &watched).await?;
            assert_eq!(read.credits.len(), found, "{missing:?}");
            let asked = liar.take_asked();
            assert!(
                !asked
                    .iter()
                    .any(|method| missing.contains(&method.as_str()))
            );
        }
    }
    Ok(())
}

/// One server at one moment answers for a whole block.
#[tokio::test]
async fn a_block_is_one_request() -> Result<()> {
    let (node, block, _) = paid().await?;
    let alone = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let asked_alone = std::sync::Arc::clone(&alone);
    let liar = Liar::start(&node, move |exchange| {
        if !exchange.in_batch {
            asked_alone.lock().unwrap().push(exchange.method);
        }
        exchange.reply
    });
    let liar = liar.await?;
    let source = source(&liar.url());
    source.health().await?;
    alone.lock().unwrap().clear();
    liar.take_asked();
    source.fetch(block).await?;
    let parts = ["eth_getBlockByHash", "eth_getBlockReceipts", "trace_block"];
    assert_eq!(liar.take_asked(), parts);
    assert!(alone.lock().unwrap().is_empty());
    Ok(())
}

/// What an endpoint cannot do just now is not taken for what it never does.
#[tokio::test]
async fn a_trace_that_fails_once_is_not_given_up() -> Result<()> {
    let (node, ..) = paid().await?;
    let liar = Liar::start(&node, |exchange| match exchange.method.as_str() {
        "trace_block" => exchange.with_error(-32000, "execution timed out"),
        _ => exchange.reply,
    });
    let liar = liar.await?;
    let source = source(&liar.url());
    let error = source.health().await.unwrap_err();
    assert_eq!(error.code(), "node_answer_malformed");
    assert!(error.to_string().contains("execution timed out"), "{error}");
    assert_eq!(source.capabilities(), None);
    Ok(())
}

/// A tracer that runs out of time at one block is replaced there by another kind.
#[tokio::test]
async fn another_trace_is_read_where_the_best_one_fails() -> Result<()> {
    let (node, block, accounts) = paid().await?;
    let height = json!([format!("{:#x}", block.height)]);
    let liar = Liar::start(&node, move |exchange| {
        if exchange.method == "trace_block" && exchange.params == height {
            return exchange.with_error(-32000, "execution timeout");
        }
        exchange.reply
    });
    let liar = liar.await?;
    node.mine(1).await?;
    let source = source(&liar.url());
    let read = read(&source, &block, &watching(&[&accounts[0], &accounts[1]])).await?;
    assert_eq!(amounts(&credits(&read)), ["3", "4"]);
    let offered = source.capabilities().unwrap();
    assert_eq!(offered.trace(), Some(TraceKind::Flat));
    Ok(())
}

/// What was taken away is found out when it is missed.
#[tokio::test]
async fn an_endpoint_that_offers_less_than_before_is_asked_again() -> Result<()> {
    let (node, block, accounts) = paid().await?;
    let withdrawn = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_withdrawn = std::sync::Arc::clone(&withdrawn);
    let liar = Liar::start(&node, move |exchange| {
        let is_withdrawn = is_withdrawn.load(std::sync::atomic::Ordering::Relaxed);
        match exchange.method.as_str() {
            "trace_block" | "eth_getBlockReceipts" if is_withdrawn => {
                exchange.with_error(-32601, "Method not found")
            }
            _ => exchange.reply,
        }
    });
    let liar = liar.await?;
    let source = source(&liar.url());
    source.health().await?;
    withdrawn.store(true, std::sync::atomic::Ordering::Relaxed);
    let read = read(&source, &block, &watching(&[&accounts[0], &accounts[1]])).await?;
    assert_eq!(amounts(&credits(&read)), ["3", "4"]);
    let offered = source.capabilities().unwrap();
    assert_eq!(offered.trace(), Some(TraceKind::Balances));
    assert!(!offered.block_receipts);
    Ok(())
}

#[tokio::test]
async fn an_endpoint_without_batches_is_asked_one_by_one() -> Result<()> {
    let (node, block, accounts) = paid().await?;
    for words in 0..3 {
        let liar = Liar::start(&node, move |exchange| {
            if !exchange.in_batch {
                return Told::Reply(exchange.reply);
            }
            let refused = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no batches"}});
            match words {
                0 => Told::Whole(200, None, refused.to_string().into_bytes()),
                1 => Told::Whole(400, None, b"batches are not supported".to_vec()),
                _ => Told::Whole(413, None, Vec::new()),
            }
        });
        let liar = liar.await?;
        let source = source(&liar.url());
        assert_eq!(source.health().await?.tip, block);
        assert!(!source.capabilities().unwrap().batches);
        let read = read(&source, &block, &watching(&[&accounts[0], &accounts[2]])).await?;
        assert_eq!(amounts(&credits(&read)), ["700", "3"]);
        assert_eq!(source.hashes(0, 2).await?.len(), 1);
        assert_eq!(source.hash_at(9).await?, None);
    }
    Ok(())
}

/// Changes a result.
type Edit = fn(&mut Value);

/// A block with more transactions than receipts are asked for is proven by its logs.
#[tokio::test]
async fn a_large_block_is_proven_by_its_logs_where_receipts_come_one_by_one() -> Result<()> {
    let node = Anvil::start().await?;
    let token = Deployed::new(&node, "Token", 0).await?;
    let batch = Deployed::new(&node, "BatchPayer", 0).await?;
    let [shop, till] = ["5", "6"].map(account);
    let mint = token.data("mint", &[to(&shop), Argument::Number(2)])?;
    let from = node.accounts().await?.remove(0);
    let send = async |to: &str, wei: &str, data: &str| {
        let gas = if data == "0x" { "0x5208" } else { "0x13880" };
        let sent = json!({"from": from, "to": to, "value": wei, "data": data, "gas": gas});
        node.send(sent).await.map(drop)
    };
    send(&shop, "0x7", "0x").await?;
    // It takes no coin: the transaction fails without a log.
    send(&batch.address, "0x9", "0x").await?;
    for number in 0..500 {
        match number % 5 {
            0 => send(&token.address, "0x0", &mint).await?,
            _ => send(&till, "0x0", "0x").await?,
        }
    }
    node.mine(1).await?;
    let block = tip(&node).await?;
    let lies: [(&str, Edit); 5] = [
        ("", |_| {}),
        ("logs are missing", |logs| {
            drop(logs.as_array_mut().unwrap().remove(3));
        }),
        ("bloom", |logs| logs.as_array_mut().unwrap().clear()),
        ("of another block", |logs| {
            logs[5]["blockHash"] = json!(format!("0x{}", "1".repeat(64)));
        }),
        ("bloom", |logs| {
            logs[5]["address"] = json!(format!("0x{}", "1".repeat(40)));
        }),
    ];
    for (words, lie) in lies {
        let liar = Liar::start(&node, move |mut exchange| match exchange.method.as_str() {
            "eth_getBlockReceipts" => exchange.with_error(-32601, "Method not found"),
            "eth_getLogs" => {
                lie(&mut exchange.reply["result"]);
                exchange.reply
            }
            _ => exchange.reply,
        });
        let liar = liar.await?;
        let source = EvmSource::new(Config {
            assets: assets(&[("usdc", &token.address, 6)]),
            // anvil needs minutes for the traces of so many.
            traces: BTreeSet::new(),
            ..config(&liar.url())
        })?;
        let read = read(&source, &block, &watching(&[&shop, &batch.address])).await;
        match read {
            Ok(read) => {
                assert_eq!(words, "");
                let found = credits(&read);
                let expected: Vec<&str> = std::iter::once("7").chain(["2"; 100]).collect();
                assert_eq!(amounts(&found), expected);
                let asked = liar.take_asked();
                let receipts = asked
                    .iter()
                    .filter(|method| *method == "eth_getTransactionReceipt");
                assert_eq!(receipts.count(), 2, "only of what paid without a log");
            }
            Err(error) => {
                assert!(!words.is_empty(), "{error}");
                assert!(error.to_string().contains(words), "{error}");
                assert_eq!(error.code(), "block_unproven");
            }
        }
    }
    Ok(())
}
