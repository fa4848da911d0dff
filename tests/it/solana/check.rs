//! Invoices that people check: what the node left out of its blocks, or the database lost, is found again.

use super::house::{SOL, SolanaHouse, Way};
use crate::support::PATIENCE;
use crate::support::command_at;
use crate::support::shop::Invoice;
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Exchange, Landed, Liar, Surfnet, eventually};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Checks an invoice; the request once it is over.
async fn checked(house: &SolanaHouse, invoice: &Invoice) -> Result<Value> {
    let path = format!("/v1/invoices/{}/check", invoice.id);
    let asked = house.api.post(&path, &json!({})).await?.value()?;
    let id = asked["id"].as_str().context("a request has an id")?;
    let path = format!("/v1/requests/{id}");
    eventually("the check", PATIENCE, async || {
        let request = house.api.get(&path).await?.value()?;
        Ok((!request["finished_at"].is_null()).then_some(request))
    })
    .await
}

/// A server before a node that empties its blocks as long as it is told to.
struct Emptying {
    is_on: Arc<AtomicBool>,
    _server: Liar,
}

impl Emptying {
    fn stop(&self) {
        self.is_on.store(false, Ordering::Relaxed);
    }
}

/// A house whose node leaves out what its blocks hold.
async fn emptied() -> Result<(SolanaHouse, Emptying)> {
    let node = Surfnet::start().await?;
    let is_on = Arc::new(AtomicBool::new(true));
    let is_emptying = Arc::clone(&is_on);
    let lie = move |mut exchange: Exchange| {
        let block = exchange.reply["result"].get_mut("transactions");
        if let Some(transactions) = block.filter(|_| is_emptying.load(Ordering::Relaxed)) {
            *transactions = json!([]);
        }
        exchange.reply
    };
    let server = Liar::before(&node.url(), lie).await?;
    let house = SolanaHouse::on(node, |chain| chain.through(&server.url())).await?;
    let emptying = Emptying {
        is_on,
        _server: server,
    };
    Ok((house, emptying))
}

/// Goal: nothing in Solana proves that a block holds all its transactions. What a node left out of them is found
/// by its signatures when the invoice is checked, whether it came to the address, to an account of a token or with a
/// reference; an invoice that nothing paid stays as it is. Method: a server before the node empties the blocks, for a while.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_left_out_is_found_by_a_check() -> Result<()> {
    let (house, emptying) = emptied().await?;
    let coin = house.invoice("sol", "0.25").await?;
    let token = house.invoice("usdc", "25").await?;
    let loose = house.invoice("usdc", "25").await?;
    let unpaid = house.invoice("sol", "0.25").await?;
    let wallet = house.wallet(Way::Pay).await?;
    let referred = house.invoice_of(&wallet, "sol", "0.25").await?;
    let usdc = |amount: u64| json!({ "mint": house.usdc, "amount": amount });
    let lamports = || json!({ "lamports": SOL / 4 });
    house.act("pay", &coin, lamports()).await?;
    house.act("send_tokens", &token, usdc(1)).await?;
    house
        .act("send_tokens_plainly", &token, usdc(24_999_999))
        .await?;
    house
        .act("issue_elsewhere", &loose, usdc(25_000_000))
        .await?;
    house.act("fail", &unpaid, lamports()).await?;
    let (recipient, reference) = referred.address.split_once("?reference=").context("one")?;
    let work = json!({ "to": recipient, "lamports": SOL / 4, "references": [reference] });
    let last: Landed = house.node.act("pay", work).await?;
    house.pass(40, last.slot + 30).await?;
    let all = [(&coin, 1), (&token, 2), (&loose, 1), (&referred, 1)];
    for (invoice, _) in all {
        assert_eq!(house.shown(invoice).await?["status"], "created");
    }

    emptying.stop();
    for (invoice, payments) in all {
        let request = checked(&house, invoice).await?;
        assert_eq!(request["state"], "done", "{request}");
        assert_eq!(request["findings"]["placed"], payments, "{request}");
        assert_eq!(request["blocks_done"], request["blocks_total"], "{request}");
        let shown = house.until(invoice, "paid").await?;
        assert_eq!(shown["transfers"].as_array().map(Vec::len), Some(payments));
        house.expect_told(invoice, &["created", "paid"]).await?;
    }
    let request = checked(&house, &unpaid).await?;
    assert_eq!(
        (&request["state"], &request["findings"]["placed"]),
        (&json!("done"), &json!(0))
    );
    assert_eq!(house.told(&unpaid).await?, ["created"]);
    // The same by the command line, of what is on record: nobody is told anything.
    let line = format!("invoice check {}", coin.id);
    let (status, said, complaint) = command_at(&house.watcher, &house.api, &line).await?;
    ensure!(status == Some(0), "{said} {complaint}");
    house.expect_told(&coin, &["created", "paid"]).await
}

/// Goal: a transaction that nobody saw is put on an invoice's record by its signature.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_attached_by_its_signature() -> Result<()> {
    let (house, emptying) = emptied().await?;
    let invoice = house.invoice("sol", "0.25").await?;
    let lamports = json!({ "lamports": SOL / 4 });
    let paid = house.act("pay", &invoice, lamports).await?;
    house.pass(3, paid.slot).await?;
    emptying.stop();
    let line = format!("invoice attach {} {}", invoice.id, paid.signature);
    let (status, said, complaint) = command_at(&house.watcher, &house.api, &line).await?;
    ensure!(status == Some(0), "{said} {complaint}");
    let shown = house.until(&invoice, "paid").await?;
    assert_eq!(shown["transfers"][0]["tx_id"], json!(paid.signature));
    Ok(())
}
