//! Nodes that answer wrongly: every lie is an error with a name, and none is a block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use bitcoin::consensus::{deserialize, serialize};
use paywatch_chain::{Block, Source, SourceError};
use paywatch_chain_bitcoin::{BitcoinSource, Config, Network};
use paywatch_domain::BlockRef;
use paywatch_testkit::{Bitcoind, Payer};
use serde_json::{Value, json};

use crate::liar::{Answer, Liar};
use crate::support::{address, block_at, by_rest, config, read, read_pool, tip, watching};

const BLOCK: &str = "/rest/block/";

/// Changes a whole answer.
type Lie = fn(Answer) -> Answer;
/// Changes the bytes of a block.
type Change = Box<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;

/// A node with a block that pays the invoices 1 and 2.
async fn paid() -> Result<(Bitcoind, BlockRef)> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    payer.pay(&[(&address(1).address, 5_000)]).await?;
    payer.pay(&[(&address(2).address, 6_000)]).await?;
    node.mine(1).await?;
    let at = tip(&node).await?;
    let honest = read(&by_rest(&node), &at, &watching(&[1, 2])).await?;
    assert_eq!(honest.credits.len(), 2);
    Ok((node, at))
}

/// Reads `at` from the node through a server that changes the answers named `what`.
async fn told(
    node: &Bitcoind,
    at: &BlockRef,
    what: &'static str,
    lie: impl Fn(Answer) -> Answer + Send + Sync + 'static,
) -> Result<Block, SourceError> {
    let liar = Liar::start(node, move |name, answer| {
        if name.starts_with(what) {
            lie(answer)
        } else {
            answer
        }
    })
    .await
    .unwrap();
    let config = config(&liar.url());
    let source = BitcoinSource::new(Config {
        rest: what.starts_with("/rest"),
        ..config
    });
    read(&source.unwrap(), at, &watching(&[1, 2])).await
}

#[tokio::test]
async fn a_changed_block_is_unproven() -> Result<()> {
    let (node, at) = paid().await?;
    let other = block_at(&node, at.height - 1).await?;
    let path = format!("/rest/block/{}.bin", other.hash);
    let answer = paywatch_testkit::http_client()?.get(format!("{}{path}", node.url()));
    let other_block = answer.send().await?.bytes().await?.to_vec();
    let flip = |place: usize| {
        move |mut block: Vec<u8>| {
            let end = block.len() - 1;
            block[place.min(end)] ^= 1;
            block
        }
    };
    let decoded = |change: fn(&mut bitcoin::Block)| -> Change {
        Box::new(move |bytes| {
            let mut block: bitcoin::Block = deserialize(&bytes).unwrap();
            change(&mut block);
            serialize(&block)
        })
    };
    let lies: Vec<(&str, Change)> = vec![
        ("header is that of", Box::new(flip(0))),
        ("header is that of", Box::new(flip(40))),
        ("header is that of", Box::new(flip(75))),
        ("header is that of", Box::new(move |_| other_block.clone())),
        ("merkle root", Box::new(flip(usize::MAX))),
        (
            "1 bytes too many",
            Box::new(|block| [block, vec![0]].concat()),
        ),
        (
            "cannot be read",
            Box::new(|block| block[..block.len() - 1].to_vec()),
        ),
        ("shorter than a block header", Box::new(|_| vec![0; 10])),
        ("merkle root", decoded(|block| drop(block.txdata.pop()))),
        ("merkle root", decoded(|block| block.txdata.swap(1, 2))),
        ("coinbase", decoded(|block| block.txdata.clear())),
        (
            "header is that of",
            decoded(|block| {
                block.header.bits = bitcoin::CompactTarget::from_consensus(0x2100_ffff);
            }),
        ),
        (
            "merkle root",
            decoded(|block| {
                block.txdata[1].output[0].value = bitcoin::Amount::from_sat(50_000);
            }),
        ),
    ];
    for (words, lie) in lies {
        let error = told(&node, &at, BLOCK, move |(status, body)| (status, lie(body)));
        let error = error.await.unwrap_err();
        assert!(matches!(error, SourceError::Unproven { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn answers_that_are_no_block_have_names() -> Result<()> {
    let (node, at) = paid().await?;
    let lies: [(&str, &str, Lie); 17] = [
        (BLOCK, "block_missing", |_| (200, Vec::new())),
        (BLOCK, "block_missing", |_| (404, b"not found".to_vec())),
        (BLOCK, "node_unreachable", |_| (503, b"Loading".to_vec())),
        (BLOCK, "node_unreachable", |_| (500, Vec::new())),
        (BLOCK, "node_refused", |_| (403, Vec::new())),
        (BLOCK, "node_answer_malformed", |(_, block)| (302, block)),
        (BLOCK, "node_answer_malformed", |_| {
            (200, vec![0; 65 * 1024 * 1024])
        }),
        ("getblock", "node_answer_malformed", |_| {
            (200, b"{}".to_vec())
        }),
        ("getblock", "node_answer_malformed", |(status, body)| {
            (status, body[..body.len() / 2].to_vec())
        }),
        ("getblock", "node_answer_malformed", |_| {
            (200, "[".repeat(100_000).into_bytes())
        }),
        ("getblock", "node_answer_malformed", |answer| {
            edited(answer, |body| body["id"] = json!(4_000_000))
        }),
        ("getblock", "node_answer_malformed", |answer| {
            edited(answer, |body| body["result"] = json!(12))
        }),
        ("getblock", "node_answer_malformed", |answer| {
            edited(answer, |body| body["id"] = json!(body["id"].to_string()))
        }),
        ("getblock", "node_answer_malformed", |answer| {
            edited(answer, |body| body["result"] = json!({"hex": "00"}))
        }),
        ("getblock", "node_answer_malformed", |(status, body)| {
            (
                status,
                [b"{\"result\":".to_vec(), vec![b' '; 129 << 20], body].concat(),
            )
        }),
        ("getblock", "node_answer_malformed", |(status, body)| {
            (status, [b"[".to_vec(), body, b"]".to_vec()].concat())
        }),
        ("getblock", "node_refused", |_| {
            failing(-32601, "Method not found")
        }),
    ];
    for (what, code, lie) in lies {
        let error = told(&node, &at, what, lie).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    Ok(())
}

fn edited((status, body): Answer, edit: impl Fn(&mut Value)) -> Answer {
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    edit(&mut body);
    (status, body.to_string().into_bytes())
}

fn failing(code: i64, message: &str) -> Answer {
    let error = json!({"code": code, "message": message});
    let body = json!({"result": null, "error": error, "id": 0});
    (500, body.to_string().into_bytes())
}

/// What a node says of itself decides the error.
#[tokio::test]
async fn health_of_nodes_that_are_not_ready() -> Result<()> {
    let node = Bitcoind::start().await?;
    node.mine(10).await?;
    let info = "getblockchaininfo";
    let lies: [(&str, &str, Lie); 13] = [
        (info, "node_synchronising", |answer| {
            edited(answer, |body| body["result"]["headers"] = json!(12))
        }),
        (info, "", |answer| {
            edited(answer, |body| body["result"]["headers"] = json!(11))
        }),
        (info, "wrong_network", |answer| {
            edited(answer, |body| body["result"]["chain"] = json!("main"))
        }),
        ("getblockhash", "wrong_network", |answer| {
            edited(answer, |body| body["result"] = json!("07".repeat(32)))
        }),
        (info, "node_unreachable", |_| {
            failing(-28, "Loading block index")
        }),
        (info, "node_refused", |_| {
            failing(-32601, "Method not found")
        }),
        (info, "node_unreachable", |_| {
            (503, b"Work queue depth exceeded".to_vec())
        }),
        (info, "node_refused", |_| (404, b"<html>".to_vec())),
        ("getnetworkinfo", "", |_| (403, Vec::new())),
        (info, "node_answer_malformed", |answer| {
            edited(answer, |body| body["result"]["blocks"] = json!("10"))
        }),
        (info, "node_answer_malformed", |answer| {
            edited(answer, |body| body["result"]["blocks"] = json!(-10))
        }),
        (info, "node_answer_malformed", |answer| {
            edited(answer, |body| {
                body["result"]["bestblockhash"] = json!("0x12");
            })
        }),
        (info, "node_answer_malformed", |answer| {
            edited(answer, |body| body["result"] = json!("[".repeat(100_000)))
        }),
    ];
    for (what, code, lie) in lies {
        let liar = Liar::start(
            &node,
            move |name, answer| {
                if name == what { lie(answer) } else { answer }
            },
        )
        .await?;
        let source = BitcoinSource::new(config(&liar.url()))?;
        let health = source.health().await;
        let found = health.as_ref().err().map_or("", SourceError::code);
        assert_eq!(found, code, "{health:?}");
    }
    Ok(())
}

/// A transaction that leaves the mempool between the list and its body is left out; a body that is
/// another transaction's is refused.
#[tokio::test]
async fn a_mempool_that_changes_or_lies() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    payer.pay(&[(&address(1).address, 5_000)]).await?;
    payer.pay(&[(&address(2).address, 6_000)]).await?;
    let liar = Liar::start(&node, |name, answer| match name {
        "getrawtransaction" => edited(answer, |body| {
            let id = body[0]["id"].clone();
            let error = json!({"code": -5, "message": "No such mempool transaction"});
            body[0] = json!({"result": null, "error": error, "id": id});
        }),
        _ => answer,
    })
    .await?;
    let source = BitcoinSource::new(config(&liar.url()))?;
    let pool = read_pool(&source, &watching(&[1, 2])).await?;
    assert_eq!(pool.credits.len(), 1);
    assert_eq!(pool.tip, tip(&node).await?);

    let liar = Liar::start(&node, |name, answer| match name {
        "getrawtransaction" => edited(answer, |body| {
            let other = body[1]["result"].clone();
            body[0]["result"] = other;
        }),
        _ => answer,
    })
    .await?;
    let source = BitcoinSource::new(config(&liar.url()))?;
    let error = source.fetch_pool().await.err().unwrap();
    assert_eq!(error.code(), "node_answer_malformed", "{error}");
    assert!(
        error.to_string().contains("not that transaction"),
        "{error}"
    );

    let liar = Liar::start(&node, |name, answer| match name {
        "getblockchaininfo" => edited(answer, |body| {
            if body.is_array() {
                body[3]["result"] = json!("07".repeat(32));
            }
        }),
        _ => answer,
    })
    .await?;
    let source = BitcoinSource::new(config(&liar.url()))?;
    let error = source.fetch_pool().await.err().unwrap();
    assert!(error.to_string().contains("kept changing"), "{error}");
    Ok(())
}

/// While a node loads the mempool that it saved, its list is empty or a part: nothing is concluded
/// from it. Once it is loaded the list counts again.
#[tokio::test]
async fn a_mempool_that_is_not_loaded_yet() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    payer.pay(&[(&address(1).address, 5_000)]).await?;
    let loading = Arc::new(AtomicBool::new(false));
    let is_loading = Arc::clone(&loading);
    let liar = Liar::start(&node, move |name, answer| {
        if name == "getblockchaininfo" && is_loading.load(Ordering::SeqCst) {
            edited(answer, |body| {
                if body.is_array() {
                    body[1]["result"]["loaded"] = json!(false);
                    body[2]["result"] = json!([]);
                }
            })
        } else {
            answer
        }
    })
    .await?;
    let source = BitcoinSource::new(config(&liar.url()))?;
    let watched = watching(&[1]);
    assert_eq!(read_pool(&source, &watched).await?.credits.len(), 1);
    loading.store(true, Ordering::SeqCst);
    let error = source.fetch_pool().await.err().unwrap();
    assert_eq!(error.code(), "node_unreachable", "{error}");
    assert!(
        error.to_string().contains("still loading its mempool"),
        "{error}"
    );
    loading.store(false, Ordering::SeqCst);
    assert_eq!(read_pool(&source, &watched).await?.credits.len(), 1);
    Ok(())
}

/// A node of a public network that is reading history says so, and one whose history does not hold
/// the checkpoint is another network's.
#[tokio::test]
async fn history_that_is_not_there() -> Result<()> {
    let node = Bitcoind::start().await?;
    for (network, blocks, downloading, code) in [
        (Network::Signet, 5, true, "node_synchronising"),
        (Network::Signet, 5, false, ""),
        (Network::Mainnet, 5, false, "node_synchronising"),
        (Network::Mainnet, 938_343, false, "wrong_network"),
    ] {
        let liar = Liar::start(&node, move |name, answer| match name {
            "getblockchaininfo" => edited(answer, |body| {
                let chain = if network.is_test() { "signet" } else { "main" };
                body["result"]["chain"] = json!(chain);
                body["result"]["blocks"] = json!(blocks);
                body["result"]["headers"] = json!(blocks);
                body["result"]["initialblockdownload"] = json!(downloading);
            }),
            "getblockhash" => edited(answer, |body| {
                *body = json!({"result": network.genesis(), "error": null, "id": body["id"]});
            }),
            _ => answer,
        })
        .await?;
        let source = BitcoinSource::new(Config {
            network,
            ..config(&liar.url())
        })?;
        let health = source.health().await;
        let found = health.as_ref().err().map_or("", SourceError::code);
        assert_eq!(found, code, "{health:?}");
    }
    Ok(())
}
