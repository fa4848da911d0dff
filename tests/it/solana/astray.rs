//! Money at the right address that is not what the invoice asks for.

use super::house::{SOL, SolanaHouse};
use crate::support::PATIENCE;
use anyhow::Result;
use paywatch_testkit::eventually;
use serde_json::json;

/// Goal: an unknown mint, one that only calls itself USDC, wrapped SOL where SOL is asked for, and a listed
/// token where another is asked for, are exceptions with their amounts and count for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn another_mint_is_an_exception_and_never_money() -> Result<()> {
    let house = SolanaHouse::new().await?;
    // Decimals as of the real one; on a chain a name proves nothing.
    let fake = house.node.mint(6).await?;
    let invoice = house.invoice("usdc", "25").await?;
    let coin = house.invoice("sol", "0.25").await?;
    let tokens = |mint: &str| json!({ "mint": mint, "amount": 25_000_000 });
    house.act("send_tokens", &invoice, tokens(&fake)).await?;
    let lamports = json!({ "lamports": SOL / 4 });
    house.act("wrap", &coin, lamports).await?;
    let last = house.act("send_tokens", &coin, tokens(&house.usdc)).await?;
    house.pass(2, last.slot).await?;
    let wrong = |amount: &str| ("wrong_asset".to_owned(), amount.to_owned());
    for (invoice, expected) in [
        (&invoice, vec![wrong("25000000")]),
        (&coin, vec![wrong("25000000"), wrong("250000000")]),
    ] {
        let mut open = Vec::new();
        let waited = eventually("exceptions", PATIENCE, async || {
            open = house.open_exceptions(invoice).await?;
            Ok((open == expected).then_some(()))
        });
        waited
            .await
            .map_err(|error| error.context(format!("{open:?}")))?;
        let shown = house.shown(invoice).await?;
        assert_eq!(shown["status"], "created", "none of it counts: {shown}");
    }
    house
        .expect_told(&invoice, &["created", "exception.opened"])
        .await?;
    let paid = house
        .act("send_tokens", &invoice, tokens(&house.usdc))
        .await?;
    house.pass(2, paid.slot).await?;
    house.until(&invoice, "paid").await?;
    Ok(())
}
