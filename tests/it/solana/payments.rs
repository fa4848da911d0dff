//! Money that comes, in every way in which it can move.

use super::house::{SOL, SolanaHouse};
use anyhow::Result;
use paywatch_testkit::{Landed, Surfnet};
use serde_json::{Value, json};

/// Lamports that an account for tokens has to hold.
const TOKEN_RENT: &str = "0.00203928";

/// The asset, the amount, and what the payer does with what.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, Value)]);

/// Goal: whatever moves the money, the invoice that it comes to is paid with it: by balances before and after,
/// never by instructions. Method: each action of the payer has an invoice of its own.
#[tokio::test(flavor = "multi_thread")]
async fn money_counts_however_it_moves() -> Result<()> {
    let house = SolanaHouse::new().await?;
    let usdc = |amount: u64| json!({ "mint": house.usdc, "amount": amount });
    let cases: [Case<'_>; 8] = [
        ("usdc", "25", &[("send_tokens", usdc(25_000_000))]),
        // The second instruction names no mint.
        (
            "usdc",
            "25",
            &[
                ("send_tokens", usdc(1)),
                ("send_tokens_plainly", usdc(24_999_999)),
            ],
        ),
        ("usdc", "25", &[("send_tokens_twice", usdc(12_500_000))]),
        // An account that no wallet would have chosen, and one that was somebody else's.
        ("usdc", "25", &[("issue_elsewhere", usdc(25_000_000))]),
        ("usdc", "25", &[("hand_over", usdc(25_000_000))]),
        ("usdc", "25", &[("issue", usdc(25_000_000))]),
        // The rent of a closed account, and an address that only a lookup table names.
        ("sol", TOKEN_RENT, &[("close", usdc(0))]),
        (
            "sol",
            "0.25",
            &[("pay_by_table", json!({ "lamports": SOL / 4 }))],
        ),
    ];
    let mut paid = Vec::new();
    for (symbol, amount, actions) in &cases {
        let invoice = house.invoice(symbol, amount).await?;
        let mut last = 0;
        for (action, work) in *actions {
            let landed = house.act(action, &invoice, work.clone()).await?;
            assert_eq!(landed.error, Value::Null, "{action}");
            last = landed.slot;
        }
        house.pass(2, last).await?;
        paid.push((invoice, actions));
    }
    for (invoice, actions) in &paid {
        let shown = house.until(invoice, "paid").await?;
        let transfers = shown["transfers"].as_array().map(Vec::len);
        assert_eq!(transfers, Some(actions.len()), "{shown}");
        assert_eq!(shown["options"][0]["tally"]["excess"], "0", "{shown}");
    }
    Ok(())
}

/// Goal: of a token with a fee counts what arrived, not what was sent.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_token_with_a_fee_counts_what_arrived() -> Result<()> {
    let node = Surfnet::start().await?;
    let work = json!({ "decimals": 6, "program": "token_2022", "fee_bps": 500 });
    let fee: String = node.act("mint", work).await?;
    let house = SolanaHouse::on(node, |chain| chain.with_token("fee", 6, &fee)).await?;
    let (short, whole) = (
        house.invoice("fee", "100").await?,
        house.invoice("fee", "95").await?,
    );
    let sent = || json!({ "mint": fee, "amount": 100_000_000 });
    house.act("send_tokens", &short, sent()).await?;
    let landed = house.act("send_tokens", &whole, sent()).await?;
    house.pass(2, landed.slot).await?;
    let shown = house.until(&short, "underpaid").await?;
    assert_eq!(
        shown["options"][0]["tally"]["final"], "95.000000",
        "{shown}"
    );
    house.until(&whole, "paid").await?;
    house
        .expect_told(&whole, &["created", "confirming", "paid"])
        .await
}

/// Goal: one transaction that pays several invoices, in coin and in a token, pays each with what came to it.
#[tokio::test(flavor = "multi_thread")]
async fn one_transaction_pays_several_invoices() -> Result<()> {
    let house = SolanaHouse::new().await?;
    let mut invoices = Vec::new();
    let mut payments = Vec::new();
    for number in 1..=4_u64 {
        let coin = house.invoice("sol", &format!("0.{number}")).await?;
        payments.push(json!({ "to": coin.address, "lamports": number * SOL / 10 }));
        invoices.push(coin);
    }
    for number in 1..=2_u64 {
        let token = house.invoice("usdc", &number.to_string()).await?;
        let amount = number * 1_000_000;
        payments.push(json!({ "to": token.address, "mint": house.usdc, "amount": amount }));
        invoices.push(token);
    }
    let landed: Landed = house
        .node
        .act("pay_many", json!({ "payments": payments }))
        .await?;
    house.pass(2, landed.slot).await?;
    for invoice in &invoices {
        let shown = house.until(invoice, "paid").await?;
        assert_eq!(shown["transfers"].as_array().map(Vec::len), Some(1));
        assert_eq!(shown["transfers"][0]["tx_id"], json!(landed.signature));
        house
            .expect_told(invoice, &["created", "confirming", "paid"])
            .await?;
    }
    Ok(())
}

/// Goal: a transaction that failed although it names the address, one that brings and takes back, and one that
/// brings too little for a new address, tell nothing of a payment; the invoice can still be paid.
#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_stay_pays_nothing() -> Result<()> {
    let house = SolanaHouse::new().await?;
    let coin = house.invoice("sol", "0.25").await?;
    let token = house.invoice("usdc", "25").await?;
    let failed = json!({ "lamports": SOL / 4 });
    let failed = house.act("fail", &coin, failed).await?;
    assert_ne!(failed.error, Value::Null);
    let too_little = json!({ "lamports": 890_879 });
    let too_little = house.act("pay", &coin, too_little).await?;
    let why = too_little.error.to_string();
    assert!(why.contains("InsufficientFundsForRent"), "{why}");
    let back = json!({ "mint": house.usdc, "amount": 25_000_000 });
    let back = house.act("send_and_take_back", &token, back).await?;
    house.pass(2, back.slot).await?;
    for invoice in [&coin, &token] {
        let shown = house.shown(invoice).await?;
        assert_eq!(shown["status"], "created", "{shown}");
        assert_eq!(shown["transfers"], json!([]), "{shown}");
        house.expect_told(invoice, &["created"]).await?;
    }
    let paid = json!({ "lamports": SOL / 4 });
    let paid = house.act("pay", &coin, paid).await?;
    house.pass(2, paid.slot).await?;
    house.until(&coin, "paid").await?;
    Ok(())
}
