//! Tokens whose mints can do more to money than to move it: real mints of a real node.

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use paywatch_chain::{Retry, Source};
use paywatch_chain_solana::mint::TOKEN_PROGRAM;
use paywatch_chain_solana::{Config, Power, SolanaSource};
use paywatch_testkit::{Landed, SolanaCluster, Surfnet};
use serde_json::{Value, json};

use super::support::{assets, block, config, credits, payment, read, read_at, watching};

/// What the mints of a node are made with, and what that lets them do.
const EXTENSIONS: [(&str, Power); 8] = [
    ("permanent_delegate", Power::PermanentDelegate),
    ("transfer_hook", Power::TransferHook),
    ("confidential_transfer", Power::ConfidentialTransfer),
    ("pausable", Power::Pausable),
    ("non_transferable", Power::NonTransferable),
    ("frozen_accounts", Power::FrozenAccounts),
    ("scaled_amounts", Power::ScaledAmounts),
    ("interest", Power::ScaledAmounts),
];
const AMOUNT: u64 = 1_000_003;

/// A source for which one mint is a token that may do these things.
fn allowing(node: &Surfnet, mint: &str, allowed: &[Power]) -> Result<SolanaSource> {
    Ok(SolanaSource::new(Config {
        assets: assets(&[("odd", mint, 6, allowed)]),
        ..config(&node.url())
    })?)
}

#[tokio::test]
async fn solana_mints_that_can_do_more_are_refused_unless_that_is_allowed() -> Result<()> {
    let node = Surfnet::start().await?;
    for (extension, power) in EXTENSIONS {
        let mint = node.mint_with(6, &[extension]).await?;
        let others: Vec<Power> = Power::ALL.into_iter().filter(|it| *it != power).collect();
        for allowed in [&[][..], &others] {
            let error = allowing(&node, &mint, allowed)?.health().await.unwrap_err();
            let (code, retry) = (error.code(), error.retry());
            assert_eq!((code, retry), ("asset_misconfigured", Retry::AfterChange));
            let text = error.to_string();
            ensure!(
                text.contains(&format!("{mint} of odd@surfpool has {power}:")),
                "{text}"
            );
        }
        allowing(&node, &mint, &[power])?.health().await?;
    }
    // Everything is named at once, and what does nothing to money is not asked about.
    let all = EXTENSIONS[..4].iter().map(|(extension, _)| *extension);
    let all: Vec<&str> = all.chain(["close_authority"]).collect();
    let mint = node.mint_with(6, &all).await?;
    let error = allowing(&node, &mint, &[Power::Pausable])?
        .health()
        .await
        .unwrap_err();
    let text = error.to_string();
    ensure!(
        text.contains("has permanent_delegate, transfer_hook, confidential_transfer:"),
        "{text}"
    );
    let harmless = node.mint_with(6, &["close_authority"]).await?;
    allowing(&node, &harmless, &[])?.health().await?;
    Ok(())
}

/// What arrives is told in raw units, whatever the mint can do; what a mint stops does not arrive.
#[tokio::test]
async fn solana_tokens_that_are_allowed_bring_raw_amounts() -> Result<()> {
    let node = Surfnet::start().await?;
    for (extension, power) in EXTENSIONS {
        let mint = node.mint_with(6, &[extension]).await?;
        let source = allowing(&node, &mint, &[power])?;
        let shop = node.person().await?;
        let work = json!({"mint": mint, "to": shop, "amount": AMOUNT});
        let sent = node.act::<Landed>("send_tokens", work.clone()).await;
        let landed = match power {
            Power::NonTransferable => {
                let text = sent.unwrap_err().to_string();
                ensure!(text.contains(r#""Custom\":37"#), "{text}");
                node.act("issue", work).await?
            }
            Power::FrozenAccounts => {
                let text = sent.unwrap_err().to_string();
                ensure!(text.contains(r#""Custom\":17"#), "{text}");
                node.act::<Landed>("thaw", work.clone()).await?;
                let landed = node.act("send_tokens", work.clone()).await?;
                // What is there stays told, and nothing more comes.
                node.act::<Landed>("freeze", work.clone()).await?;
                let text = node.act::<Landed>("send_tokens", work).await;
                ensure!(text.is_err(), "{text:?}");
                landed
            }
            _ => sent?,
        };
        let block = read_at(&source, landed.slot, &watching(&[&shop])).await?;
        let expected = [(shop, "odd".to_owned(), AMOUNT.to_string())];
        assert_eq!(credits(&block), expected, "{extension}");
    }
    Ok(())
}

/// A validator shows amounts of such a mint as wallets do. The one that counts is the raw one.
#[tokio::test]
async fn solana_amounts_are_raw_whatever_is_shown_beside_them() -> Result<()> {
    const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
    let cluster = SolanaCluster::start("abcde").await?;
    let source = SolanaSource::new(Config {
        assets: assets(&[("odd", MINT, 6, &[])]),
        ..config(cluster.url())
    })?;
    // A mint with 6 decimals that is initialised, and nothing more.
    let mut mint = [0_u8; 82];
    (mint[44], mint[45]) = (6, 1);
    let account = json!({"owner": TOKEN_PROGRAM, "data": [STANDARD.encode(mint), "base64"]});
    cluster.lie(move |method, _| {
        (method == "getAccountInfo").then(|| Ok(json!({ "value": account })))
    });
    for (amount, shown, text) in [
        ("1000000", json!(5.0), "5"),
        ("1000000", Value::Null, "5.000000000000000001"),
        // The highest raw amount, which no shown one can hold.
        (
            "18446744073709551615",
            json!(9.223_372_036_854_776e13),
            "1e400",
        ),
    ] {
        let mut paid = payment("sig", "payer's", 0);
        paid["meta"]["postTokenBalances"] = json!([{
            "accountIndex": 1, "mint": MINT, "owner": "shop",
            "uiTokenAmount": {"amount": amount, "decimals": 6, "uiAmount": shown, "uiAmountString": text},
        }]);
        cluster.fill(102, json!([paid]));
        let read = read(&source, &block(102, "c"), &watching(&["shop"])).await?;
        assert_eq!(
            credits(&read),
            [("shop".into(), "odd".into(), amount.into())]
        );
    }
    Ok(())
}
