//! Transactions of versions that came after this was written: keys and balances are read all the same.

use anyhow::Result;
use paywatch_chain::Source;
use paywatch_testkit::{Landed, SolanaCluster, Surfnet};
use serde_json::{Value, json};

use super::support::{block, credits, payment, read, read_at, source, watching};

/// A payment in a transaction of a version.
fn versioned(id: &str, version: Value) -> Value {
    let mut paid = payment(id, "shop", 7);
    paid["version"] = version;
    paid
}

/// One transaction of a version that was not asked for, and a validator gives none of the block. A version 1 is
/// asked for from the start (SIMD-0385), and a higher one than can be expected after the first refusal.
#[tokio::test]
async fn solana_a_block_with_a_version_1_transaction_is_read_whole() -> Result<()> {
    let watched = watching(&["shop"]);
    for (version, requests) in [(0, 1), (1, 1), (127, 1), (128, 2), (255, 2)] {
        let cluster = SolanaCluster::start("abcde").await?;
        let source = source(cluster.url());
        source.health().await?;
        let versions = [json!("legacy"), json!(version), json!(0)];
        let paid = versions.into_iter().zip(["one", "two", "three"]);
        let paid: Vec<Value> = paid.map(|(version, id)| versioned(id, version)).collect();
        cluster.fill(102, json!(paid));
        cluster.take_asked();
        let read = read(&source, &block(102, "c"), &watched).await?;
        let ids: Vec<&str> = read
            .credits
            .iter()
            .map(|credit| credit.tx_id.as_str())
            .collect();
        assert_eq!(ids, ["one", "two", "three"], "version {version}");
        let credit = ("shop".to_owned(), "sol".to_owned(), "7".to_owned());
        assert_eq!(credits(&read), [credit.clone(), credit.clone(), credit]);
        let asked = cluster.take_asked();
        assert_eq!(asked, vec!["getBlock 102".to_owned(); requests]);
    }
    Ok(())
}

/// A real transaction of version 0 whose payee stands in a lookup table alone.
#[tokio::test]
async fn solana_a_payee_in_a_lookup_table_is_found_on_a_real_node() -> Result<()> {
    let node = Surfnet::start().await?;
    let source = source(&node.url());
    let shop = node.person().await?;
    let work = json!({"to": shop, "lamports": 2_000_000});
    let landed: Landed = node.act("pay_by_table", work).await?;
    let options = json!({"maxSupportedTransactionVersion": 0, "encoding": "json"});
    let sent = node
        .rpc("getTransaction", json!([landed.signature, options]))
        .await?;
    assert_eq!(sent["version"], 0, "{sent}");
    let keys = &sent["transaction"]["message"]["accountKeys"];
    assert!(!keys.to_string().contains(&shop), "{keys}");
    assert_eq!(sent["meta"]["loadedAddresses"]["writable"], json!([shop]));
    let read = read_at(&source, landed.slot, &watching(&[&shop])).await?;
    assert_eq!(credits(&read), [(shop, "sol".into(), "2000000".into())]);
    Ok(())
}
