//! Tokens whose mints can take money back, hold it up or show it as more: refused, or taken with open eyes.

use super::house::{ACCOUNT, CONFIRMED, SolanaHouse};
use crate::support::shop::Shop;
use anyhow::{Result, ensure};
use paywatch_testkit::{FollowedChain, Landed, Surfnet, Watcher, WatcherOptions};
use serde_json::{Value, json};

/// A symbol, what its mint is made with, and what `allow` calls that.
const TOKENS: [(&str, &str, &str); 8] = [
    ("claw", "permanent_delegate", "permanent_delegate"),
    ("hook", "transfer_hook", "transfer_hook"),
    ("conf", "confidential_transfer", "confidential_transfer"),
    ("stop", "pausable", "pausable"),
    ("stay", "non_transferable", "non_transferable"),
    ("cold", "frozen_accounts", "frozen_accounts"),
    ("five", "scaled_amounts", "scaled_amounts"),
    ("more", "interest", "scaled_amounts"),
];

/// Goal: a chain with such a token is not followed, the operator is told what the mint can do, and nobody is asked
/// to pay with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_mint_can_do_more_is_refused() -> Result<()> {
    let node = Surfnet::start().await?;
    let mut chains = Vec::new();
    for (symbol, extension, _) in TOKENS {
        let mint = node.mint_with(6, &[extension]).await?;
        chains.push(FollowedChain::solana(symbol, &node).with_token(symbol, 6, &mint));
    }
    let shop = Shop::new(Watcher::start_on(&chains, &WatcherOptions::default()).await?).await?;
    let wallet = json!({ "chain_family": "solana", "key": ACCOUNT });
    let wallet = shop.api.post("/v1/wallets", &wallet).await?.value()?;
    shop.confirm(&wallet).await?;
    let doctor = shop.watcher.run(&["doctor"]).await?;
    let doctor_said = String::from_utf8(doctor.stdout)?;
    ensure!(!doctor.status.success(), "{doctor_said}");
    for (symbol, _, word) in TOKENS {
        let said = shop.until_problem(symbol, "asset_misconfigured").await?;
        let why = format!("of {symbol}@{symbol} has {word}: what was received can be taken back");
        for said in [&said, &doctor_said] {
            ensure!(said.contains(&why) && said.contains("`allow`"), "{said}");
        }
        assert_eq!(shop.chain(symbol).await?["cursor"], Value::Null);
        for asset in ["sol", symbol] {
            let option = json!({ "asset": format!("{asset}@{symbol}"), "amount": "25" });
            let body = json!({ "options": [option], "expires_in_s": 60 });
            let refused = shop.api.post("/v1/invoices", &body).await?;
            assert_eq!(refused.code(), "chain_unavailable", "{}", refused.text);
        }
    }
    Ok(())
}

/// Goal: tokens that the operator allows pay invoices with what arrived in raw units, whatever wallets show; where the
/// mint stops a payment nothing is told of one.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_allowed_pays_in_raw_units() -> Result<()> {
    let node = Surfnet::start().await?;
    let mut mints = Vec::new();
    for (symbol, extension, word) in TOKENS {
        mints.push((symbol, word, node.mint_with(6, &[extension]).await?));
    }
    let house = SolanaHouse::on(node, |chain| {
        let each = mints.iter();
        each.fold(chain.final_by(CONFIRMED), |chain, (symbol, word, mint)| {
            chain.with_token_that_may(symbol, 6, mint, &[word])
        })
    })
    .await?;
    let mut paid = Vec::new();
    let mut last = 0;
    for (symbol, word, mint) in &mints {
        let invoice = house.invoice(symbol, "25").await?;
        let work = json!({ "mint": mint, "amount": 25_000_000 });
        let action = match *word {
            "non_transferable" => "issue",
            _ => "send_tokens",
        };
        if *word == "frozen_accounts" {
            let stopped = house.act(action, &invoice, work.clone()).await;
            ensure!(stopped.is_err(), "{stopped:?}");
            house.act("thaw", &invoice, work.clone()).await?;
            assert_eq!(house.shown(&invoice).await?["transfers"], json!([]));
        }
        let landed: Landed = house.act(action, &invoice, work).await?;
        last = landed.slot;
        paid.push(invoice);
    }
    house.pass(2, last).await?;
    for invoice in &paid {
        let shown = house.until(invoice, "paid").await?;
        assert_eq!(
            shown["options"][0]["tally"]["final"], "25.000000",
            "{shown}"
        );
        assert_eq!(
            shown["transfers"][0]["amount_atomic"], "25000000",
            "{shown}"
        );
        house
            .expect_told(invoice, &["created", "confirming", "paid"])
            .await?;
    }
    Ok(())
}
