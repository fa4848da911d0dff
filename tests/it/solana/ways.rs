//! From an invoice to verified webhooks, for each way in which invoices get their addresses.

use super::house::{ACCOUNT, FINALIZED, SOL, SolanaHouse, Way};
use crate::support::shop::Invoice;
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Landed, other_solana_addresses, read_solana_pay, solana_pool};
use serde_json::{Value, json};

/// More slots than surfpool keeps unfinalized.
const FINALIZING: u64 = 40;
/// Lamports of a quarter of the coin.
const QUARTER: u64 = SOL / 4;

/// Pays what a payer's wallet reads in the payment URI of an invoice, and nothing that stands elsewhere.
async fn pay_as_read(house: &SolanaHouse, invoice: &Invoice) -> Result<Landed> {
    let read = read_solana_pay(std::slice::from_ref(&invoice.payment_uri)).await?;
    let read = read.first().context("one URI")?;
    let mut work = json!({ "to": read["recipient"] });
    if let Some(references) = read["reference"].as_array() {
        work["references"] = json!(references);
    }
    if read["splToken"].is_null() {
        ensure!(read["amount"] == json!(0.25), "{read}");
        work["lamports"] = json!(QUARTER);
        return house.node.act("pay", work).await;
    }
    ensure!(
        read["splToken"] == json!(house.usdc) && read["amount"].as_f64() == Some(25.0),
        "{read}"
    );
    work["mint"] = json!(house.usdc);
    work["amount"] = json!(25_000_000);
    house.node.act("send_tokens", work).await
}

/// Goal: an invoice in SOL and one in a token, of a wallet of each kind, are confirming when the payment is
/// confirmed and paid when it is finalized, not before. Method: what the npm package of Solana Pay reads in the
/// payment URI is paid; every webhook is verified by the libraries of others.
#[tokio::test(flavor = "multi_thread")]
async fn sol_and_a_token_pay_invoices_of_each_kind_of_wallet() -> Result<()> {
    let house = SolanaHouse::final_by(FINALIZED).await?;
    let mut paid = Vec::new();
    for way in Way::ALL {
        let wallet = house.wallet(way).await?;
        for (symbol, amount, due) in [("sol", "0.25", "0.250000000"), ("usdc", "25", "25.000000")] {
            let invoice = house.invoice_of(&wallet, symbol, amount).await?;
            if matches!(way, Way::Account) {
                let other = other_solana_addresses(ACCOUNT, &[invoice.index]).await?;
                assert_eq!(other, std::slice::from_ref(&invoice.address));
            }
            let landed = pay_as_read(&house, &invoice).await?;
            assert_eq!(landed.error, Value::Null, "{way:?} {symbol}");
            paid.push((invoice, landed, due));
        }
    }
    house.node.pass(2).await?;
    for (invoice, landed, _) in &paid {
        let shown = house.until(invoice, "confirming").await?;
        assert_eq!(shown["transfers"][0]["tx_id"], json!(landed.signature));
        assert_eq!(house.told(invoice).await?, ["created", "confirming"]);
    }
    house.node.pass(FINALIZING).await?;
    for (invoice, landed, due) in &paid {
        let shown = house.until(invoice, "paid").await?;
        assert_eq!(shown["options"][0]["tally"]["final"], *due, "{shown}");
        assert_eq!(shown["transfers"].as_array().map(Vec::len), Some(1));
        assert_eq!(shown["transfers"][0]["block_height"], landed.slot);
        house
            .expect_told(invoice, &["created", "confirming", "paid"])
            .await?;
    }
    Ok(())
}

/// Goal: a wallet of each kind is added and confirmed by the command line, which shows the addresses to compare, and
/// its invoice is paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_of_each_kind_is_added_by_the_command_line() -> Result<()> {
    let house = SolanaHouse::new().await?;
    let people = house.people(3).await?;
    house.write("pool", &solana_pool(&people[..2]))?;
    house.node.pay(&people[2], SOL).await?;
    let first = other_solana_addresses(ACCOUNT, &[0]).await?;
    for (kind, material, first) in [
        ("ed25519_xpub", ACCOUNT, &first[0]),
        ("address_pool", "--pool pool", &people[0]),
        ("solana_pay", &people[2], &people[2]),
    ] {
        let (is_good, said) = house
            .line(&format!("--json wallet add {material} --family solana"))
            .await?;
        ensure!(is_good, "{said}");
        let wallet: Value = serde_json::from_str(said.trim())?;
        let id = wallet["id"].as_str().context("an id")?;
        ensure!(
            wallet["kind"] == kind && wallet["state"] == "pending",
            "{wallet}"
        );
        let shown = wallet["first_addresses"][0]["address"].as_str();
        ensure!(
            shown.is_some_and(|shown| shown.starts_with(&**first)),
            "{wallet}"
        );
        let (is_good, said) = house.line(&format!("wallet confirm {id}")).await?;
        ensure!(is_good, "{said}");
        let (_, said) = house.line("wallet list").await?;
        ensure!(said.contains(id) && said.contains(kind), "{said}");
        let invoice = house.invoice_of(id, "sol", "0.25").await?;
        let landed = pay_as_read(&house, &invoice).await?;
        house.pass(2, landed.slot).await?;
        house.until(&invoice, "paid").await?;
    }
    Ok(())
}

/// Goal: money for the one wallet of Solana Pay is the invoice's whose reference the payment names, and
/// nobody's without one.
#[tokio::test(flavor = "multi_thread")]
async fn a_reference_says_which_invoice_is_paid() -> Result<()> {
    let house = SolanaHouse::new().await?;
    let wallet = house.wallet(Way::Pay).await?;
    let (one, other) = (
        house.invoice_of(&wallet, "sol", "0.25").await?,
        house.invoice_of(&wallet, "sol", "0.25").await?,
    );
    let (recipient, _) = one.address.split_once('?').context("a reference")?;
    let plain = house.node.pay(recipient, QUARTER).await?;
    assert_eq!(plain.error, Value::Null);
    let landed = pay_as_read(&house, &other).await?;
    house.pass(2, landed.slot).await?;
    house.until(&other, "paid").await?;
    house
        .expect_told(&other, &["created", "confirming", "paid"])
        .await?;
    assert_eq!(house.shown(&one).await?["status"], "created");
    assert_eq!(house.told(&one).await?, ["created"]);
    Ok(())
}
