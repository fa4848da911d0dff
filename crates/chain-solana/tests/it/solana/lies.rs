//! Blocks with parts that are missing or contradict each other: every lie is an error with a name.

use anyhow::Result;
use paywatch_chain::Retry;
use paywatch_testkit::SolanaCluster as Cluster;
use serde_json::{Value, json};

use super::support::{block, credits, payment, read, source, watching};

/// The code of the error, words of it, the pointer to what is changed, and to what; `null` for "left out".
type Lie = (&'static str, &'static str, &'static str, Value);

fn lies() -> Vec<Lie> {
    let unread = "node_answer_malformed";
    let wrong = "block_unproven";
    let balance =
        json!({"accountIndex": 1, "mint": "m", "owner": "shop", "uiTokenAmount": {"amount": "-1"}});
    let mut ownerless = balance.clone();
    ownerless["owner"].take();
    let meta = |field: &str| format!("/transactions/0/meta/{field}").leak() as &str;
    let keys = "/transactions/0/transaction/accountKeys";
    vec![
        (unread, "transactions", "/transactions", Value::Null),
        (unread, "invalid type", "/transactions/0/meta", json!(false)),
        (unread, "meta", "/transactions/0/meta", Value::Null),
        (unread, "err", meta("err"), Value::Null),
        (unread, "preBalances", meta("preBalances"), Value::Null),
        (unread, "postBalances", meta("postBalances"), Value::Null),
        (
            unread,
            "preTokenBalances",
            meta("preTokenBalances"),
            Value::Null,
        ),
        (
            unread,
            "postTokenBalances",
            meta("postTokenBalances"),
            Value::Null,
        ),
        (unread, "invalid", meta("postBalances"), json!([1.5, 2])),
        (unread, "invalid", meta("postBalances"), json!([-1, 2])),
        (unread, "accountKeys", keys, Value::Null),
        (
            unread,
            "invalid type",
            meta("postTokenBalances"),
            json!([ownerless]),
        ),
        (
            unread,
            "previousBlockhash",
            "/previousBlockhash",
            Value::Null,
        ),
        (unread, "parentSlot", "/parentSlot", Value::Null),
        (wrong, "two balances", meta("postBalances"), json!([1])),
        (wrong, "two balances", meta("preBalances"), json!([])),
        (wrong, "two balances", keys, json!([])),
        (
            wrong,
            "no signature",
            "/transactions/0/transaction/signatures",
            json!([]),
        ),
        (
            wrong,
            "no number",
            meta("postTokenBalances"),
            json!([balance]),
        ),
        ("block_stale", "", "/blockhash", json!("x")),
    ]
}

#[tokio::test]
async fn solana_what_is_wrong_in_a_block_has_a_name() -> Result<()> {
    let cluster = Cluster::start("abcde").await?;
    let transactions = json!([payment("sig", "shop", 7)]);
    cluster.fill(102, transactions.clone());
    let source = source(cluster.url());
    let (at, watched) = (block(102, "c"), watching(&["shop"]));
    let honest = json!({
        "blockhash": "c", "previousBlockhash": "b", "parentSlot": 101, "blockTime": 1_700_000_000,
        "transactions": transactions,
    });
    for (code, words, place, value) in lies() {
        let mut lie = honest.clone();
        if value.is_null() {
            let (parent, field) = place.rsplit_once('/').unwrap();
            let parent = lie.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            parent.remove(field).unwrap();
        } else {
            *lie.pointer_mut(place).unwrap() = value.clone();
        }
        cluster.lie(move |method, params| {
            let is_read = method == "getBlock" && params[1]["transactionDetails"] == "accounts";
            is_read.then(|| Ok(lie.clone()))
        });
        let error = read(&source, &at, &watched).await.unwrap_err();
        assert_eq!(
            (error.code(), error.retry()),
            (code, Retry::Soon),
            "{place}: {error}"
        );
        assert!(
            error.to_string().contains(words),
            "{place} {value}: {error}"
        );
        cluster.be_honest();
        let block = read(&source, &at, &watched).await?;
        assert_eq!(credits(&block), [("shop".into(), "sol".into(), "7".into())]);
    }
    Ok(())
}

/// What was fetched for one block is no other.
#[tokio::test]
async fn solana_a_block_is_scanned_as_the_one_that_was_fetched() -> Result<()> {
    use paywatch_chain::Source;
    let cluster = Cluster::start("ab-cd").await?;
    let source = source(cluster.url());
    for (fetched, other) in [
        (block(101, "b"), block(102, "b+1")),
        (block(102, "b+1"), block(101, "b")),
    ] {
        let raw = source.fetch(fetched).await?;
        let error = source.scan(&other, raw, &watching(&[])).unwrap_err();
        assert_eq!(error.code(), "block_unproven", "{error}");
    }
    Ok(())
}

/// A block whose time is missing, or of the wrong century, is asked for it.
#[tokio::test]
async fn solana_a_wrong_time_is_asked_for_again() -> Result<()> {
    let cluster = Cluster::start("abcde").await?;
    let source = source(cluster.url());
    for time in [json!(null), json!(1_795_301)] {
        for (answer, expected) in [
            (Ok(json!(1_700_000_000)), 1_700_000_000_000),
            (Err(-32004), 0),
        ] {
            let (time, answer) = (time.clone(), answer.clone());
            cluster.lie(move |method, params| match method {
                "getBlockTime" => Some(answer.clone()),
                "getBlock" if params[0] == 102 => Some(Ok(json!({
                    "blockhash": "c", "previousBlockhash": "b", "parentSlot": 101, "blockTime": time,
                    "transactions": [],
                }))),
                _ => None,
            });
            let block = read(&source, &block(102, "c"), &watching(&[])).await?;
            assert_eq!(block.time.0, expected);
        }
    }
    Ok(())
}
