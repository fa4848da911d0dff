//! The least that a new address can be paid.

use super::house::{CHAIN, SolanaHouse, Way};
use anyhow::Result;
use serde_json::json;

/// Goal: an invoice whose payment would fail, because a new address has to hold its rent, is refused with the
/// least that is possible; one of exactly that is paid. Tokens and the one wallet of Solana Pay know no least.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_below_the_rent_of_a_new_address_is_refused() -> Result<()> {
    let house = SolanaHouse::new().await?;
    let account = house.wallet(Way::Account).await?;
    let pay = house.wallet(Way::Pay).await?;
    let pool = house.wallet(Way::Pool).await?;
    let asset = format!("sol@{CHAIN}");
    for wallet in [&account, &pool] {
        let small = json!({ "asset": asset, "amount": "0.000890879", "wallet_id": wallet });
        let body = json!({ "options": [small], "expires_in_s": 3600 });
        let refused = house.api.post("/v1/invoices", &body).await?;
        assert_eq!(refused.status, 422, "{}", refused.text);
        let problem = refused.json()?;
        let error = &problem["errors"][0];
        assert_eq!(error["pointer"], "/options/0/amount", "{problem}");
        assert_eq!(error["code"], "amount_below_minimum", "{problem}");
        let detail = error["detail"].to_string();
        assert!(detail.contains("0.000890880"), "{detail}");
    }
    house.invoice_of(&pay, "sol", "0.000890879").await?;
    house.invoice_of(&account, "usdc", "0.01").await?;
    let least = house.invoice_of(&account, "sol", "0.00089088").await?;
    let paid = house.node.pay(&least.address, 890_880).await?;
    house.pass(2, paid.slot).await?;
    house.until(&least, "paid").await?;
    house
        .expect_told(&least, &["created", "confirming", "paid"])
        .await
}
