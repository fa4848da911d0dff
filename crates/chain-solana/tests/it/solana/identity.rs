//! Who answers: the right cluster, in step, with the mints as they are configured.

use anyhow::Result;
use paywatch_chain::{Located, Retry, Source};
use paywatch_chain_solana::{Assets, Config, Power, SolanaSource};
use paywatch_domain::{BlockHint, TxId};
use paywatch_testkit::{SolanaCluster as Cluster, Surfnet};
use serde_json::json;

use super::support::{assets, block, config, source};

const MAINNET: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d";

#[tokio::test]
async fn solana_another_cluster_is_refused() -> Result<()> {
    let cluster = Cluster::start("abc").await?;
    // A CAIP-2 id holds the first 32 letters (https://namespaces.chainagnostic.org/solana/caip2).
    for (genesis, is_right) in [
        (MAINNET, true),
        (&MAINNET[..32], true),
        ("EtWTRABZaYq6iMfe", false),
    ] {
        let source = SolanaSource::new(Config {
            genesis: Some(genesis.to_owned()),
            ..config(cluster.url())
        })?;
        let health = source.health().await;
        assert_eq!(health.is_ok(), is_right, "{genesis}");
        if let Err(error) = health {
            assert_eq!(
                (error.code(), error.retry()),
                ("wrong_network", Retry::AfterChange)
            );
            assert!(error.to_string().contains(MAINNET), "{error}");
            let error = source.fetch(block(101, "b")).await.unwrap_err();
            assert_eq!(error.code(), "wrong_network");
        }
    }
    Ok(())
}

/// What a node that lags says of "now" is not now.
#[tokio::test]
async fn solana_a_node_that_is_behind_is_not_believed() -> Result<()> {
    let cluster = Cluster::start("abc").await?;
    let source = source(cluster.url());
    assert_eq!(source.health().await?.version, "solana-core 4.1.2");
    cluster.lie(|method, _| (method == "getHealth").then_some(Err(-32005)));
    let error = source.health().await.unwrap_err();
    assert_eq!(error.code(), "node_synchronising");
    assert!(error.to_string().contains("102 of 144"), "{error}");
    // Whoever does not tell is taken to be in step.
    for code in [-32601, -32000] {
        cluster.lie(move |method, _| (method == "getHealth").then_some(Err(code)));
        assert_eq!(source.health().await?.tip, block(102, "c"));
    }
    Ok(())
}

#[tokio::test]
async fn solana_an_endpoint_is_identified_once() -> Result<()> {
    let cluster = Cluster::start("abc").await?;
    let source = source(cluster.url());
    for _ in 0..3 {
        source.health().await?;
    }
    let asked = cluster.take_asked();
    let count = |method: &str| {
        asked
            .iter()
            .filter(|asked| asked.starts_with(method))
            .count()
    };
    assert_eq!(
        (count("getVersion"), count("getHealth"), count("getBlock ")),
        (1, 3, 3)
    );
    Ok(())
}

#[tokio::test]
async fn solana_transactions_are_located() -> Result<()> {
    let cluster = Cluster::start("ab-cd").await?;
    let source = source(cluster.url());
    let sent = TxId::new("signature");
    for (statuses, expected) in [
        (
            Ok(json!({"value": [{"slot": 103}]})),
            Located::Block(block(103, "c")),
        ),
        (
            Ok(json!({"value": [{"slot": 102}]})),
            Located::Block(block(102, "b+1")),
        ),
        (Ok(json!({"value": [{"slot": 105}]})), Located::Nowhere),
        (Ok(json!({"value": [null]})), Located::Nowhere),
        (Err(-32602), Located::Nowhere),
    ] {
        cluster.lie(move |method, _| (method == "getSignatureStatuses").then(|| statuses.clone()));
        assert_eq!(source.locate(sent.clone(), None).await?, expected);
    }
    let named = source.locate(sent, Some(BlockHint::Height(104))).await?;
    assert_eq!(named, Located::Block(block(104, "d")));
    Ok(())
}

#[tokio::test]
async fn solana_mints_are_what_the_configuration_says() -> Result<()> {
    let node = Surfnet::start().await?;
    let plain = node.mint(6).await?;
    let fee: String = node
        .act(
            "mint",
            json!({"decimals": 2, "program": "token_2022", "fee_bps": 500}),
        )
        .await?;
    let clawed = node.mint_with(6, &["permanent_delegate"]).await?;
    let nobody = node.person().await?;
    let delegate = &[Power::PermanentDelegate][..];
    for (mint, decimals, powers, words) in [
        (&plain, 6, &[][..], ""),
        (&plain, 9, &[], "mint .* says 6"),
        (&fee, 2, &[], ""),
        (&clawed, 6, &[], "has permanent_delegate"),
        (&clawed, 6, &[Power::TransferHook], "has permanent_delegate"),
        (&clawed, 6, delegate, ""),
        (&plain, 6, delegate, ""),
        (&nobody, 6, &[], "there is nothing"),
        (
            &node.payer().to_owned(),
            6,
            &[],
            "belongs to the program 1111",
        ),
    ] {
        let source = SolanaSource::new(Config {
            assets: assets(&[("usdc", mint, decimals, powers)]),
            ..config(&node.url())
        })?;
        let health = source.health().await;
        let Err(error) = health else {
            assert_eq!(words, "", "{mint} with {decimals} decimals is taken");
            continue;
        };
        let text = error.to_string();
        assert_eq!(
            (error.code(), error.retry()),
            ("asset_misconfigured", Retry::AfterChange)
        );
        assert!(
            text.contains("usdc@surfpool") && text.contains(&**mint),
            "{text}"
        );
        let mut parts = words.split(" .* ");
        assert!(
            !words.is_empty() && parts.all(|words| text.contains(words)),
            "{text}"
        );
    }
    Ok(())
}

#[test]
fn solana_lists_of_assets_that_cannot_be_are_refused() {
    use paywatch_domain::{Amount, Asset, AssetKind};
    use std::collections::{BTreeMap, BTreeSet};
    const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
    let asset = |symbol: &str, mint: Option<&str>| Asset {
        name: format!("{symbol}@solana").parse().unwrap(),
        kind: mint.map_or(AssetKind::Native, |mint| AssetKind::Token(mint.into())),
        decimals: 6,
        dust: Amount::ZERO,
        caip19: "".into(),
    };
    let sol = || asset("sol", None);
    let of_sol = BTreeMap::from([(sol().name, BTreeSet::from([Power::Pausable]))]);
    for (assets, allowed, words) in [
        (vec![sol(), asset("usdc", Some(MINT))], BTreeMap::new(), ""),
        (
            vec![asset("usdc", Some(MINT))],
            BTreeMap::new(),
            "native coin",
        ),
        (vec![sol(), asset("gas", None)], BTreeMap::new(), "the same"),
        (
            vec![sol(), asset("a", Some(MINT)), asset("b", Some(MINT))],
            BTreeMap::new(),
            "the same",
        ),
        (
            vec![sol(), asset("usdc", Some("0xA0b86991"))],
            BTreeMap::new(),
            "base58",
        ),
        (
            vec![sol(), asset("usdc", Some(&MINT.replace('E', "0")))],
            BTreeMap::new(),
            "base58",
        ),
        (vec![sol()], of_sol, "sol@solana has no mint"),
    ] {
        match Assets::new(&assets, allowed) {
            Ok(_) => assert_eq!(words, "", "{assets:?}"),
            Err(error) => {
                let text = error.to_string();
                assert!(!words.is_empty() && text.contains(words), "{text}");
            }
        }
    }
}
