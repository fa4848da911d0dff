//! Wallets of every form, with Bitcoin Core as the second opinion on their addresses.

use crate::support::{House, Invoice};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::WalletKey;
use serde_json::{Value, json};

/// Registers and confirms a key; gives the wallet's id.
async fn register(house: &House, key: &str) -> Result<String> {
    let body = json!({ "chain_family": "bitcoin", "key": key });
    let created = house.api.post("/v1/wallets", &body).await?.value()?;
    let id = created["id"].as_str().context("a wallet has an id")?;
    let path = format!("/v1/wallets/{id}/confirm");
    house.api.post(&path, &json!({})).await?.value()?;
    Ok(id.to_owned())
}

/// Goal: an invoice of a wallet of each form is paid. Method: one invoice of each, paid together; what
/// each wallet exports leads Bitcoin Core to the same addresses.
#[tokio::test]
async fn a_wallet_of_each_form_is_paid() -> Result<()> {
    let house = House::new().await?;
    let key = |number| WalletKey::new(number).map(|key| key.tpub());
    let forms = [
        format!("pkh({}/0/*)", key(11)?),
        format!("sh(wpkh({}/0/*))", key(12)?),
        format!("wpkh({}/<0;1>/*)", key(13)?),
        format!("tr({}/<0;1>/*)", key(14)?),
        format!(
            "wsh(sortedmulti(2,{}/0/*,{}/0/*,{}/0/*))",
            key(15)?,
            key(16)?,
            key(17)?
        ),
    ];
    let mut wallets = Vec::new();
    for form in &forms {
        let wallet = register(&house, form).await?;
        let options = json!([
            { "asset": "btc@bitcoin-regtest", "amount": "0.001", "wallet_id": wallet },
        ]);
        let further = json!({ "options": options, "order_id": "=A" });
        let body = Invoice::request(100_000, further);
        let mut invoices = Vec::new();
        for _ in 0..2 {
            let made = house.api.post("/v1/invoices", &body).await?.value()?;
            invoices.push(Invoice::read(&made)?);
        }
        wallets.push((wallet, invoices));
    }
    // The second address of each wallet is paid: the first is a gap.
    let paid: Vec<(&str, u64)> = wallets
        .iter()
        .map(|(_, invoices)| (invoices[1].address.as_str(), 100_000))
        .collect();
    house.payer.pay(&paid).await?;
    house.mine(2).await?;
    for (form, (wallet, invoices)) in forms.iter().zip(&wallets) {
        let paid = house.until(&invoices[1], "paid").await;
        paid.with_context(|| form.clone())?;
        let wallet = house.api.get(&format!("/v1/wallets/{wallet}")).await?;
        let wallet = wallet.value()?;
        assert_eq!(wallet["highest_used_index"], 1, "{form}");
        assert_eq!(wallet["unused_gap"], 1, "{form}");
        assert_eq!(wallet["recommended_gap_limit"], 20, "{form}");
        let checked = check_exports(&house, &wallet, invoices).await;
        checked.with_context(|| form.clone())?;
    }
    Ok(())
}

async fn check_exports(house: &House, wallet: &Value, invoices: &[Invoice]) -> Result<()> {
    let id = wallet["id"].as_str().context("a wallet has an id")?;
    let export = async |form: &str| -> Result<String> {
        let path = format!("/v1/wallets/{id}/export?form={form}");
        let answer = house.api.get(&path).await?;
        ensure!(answer.status == 200, "{}", answer.text);
        Ok(answer.text)
    };
    let descriptor = export("descriptor").await?;
    let (requests, limit) = descriptor.split_once('\n').context("two lines")?;
    assert_eq!(limit, "gap limit: 20\n");
    let request: Value = serde_json::from_str::<Vec<Value>>(requests)?.remove(0);
    let asked = json!([request["desc"], request["range"]]);
    let theirs = house.node.rpc("deriveaddresses", asked).await?;
    let ours: Vec<&str> = invoices.iter().map(|one| one.address.as_str()).collect();
    assert_eq!(theirs, json!(ours), "Bitcoin Core derives the same");

    let csv = export("csv").await?;
    let rows: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(rows.len(), 4, "a head, two addresses, nothing: {csv}");
    for (index, (row, invoice)) in rows[1..].iter().zip(invoices).enumerate() {
        let status = if index == 1 { "paid" } else { "created" };
        ensure!(row.starts_with(&format!("{index},")), "{row}");
        let cells = format!(",{},{},'=A,{status},", invoice.address, invoice.id);
        ensure!(row.contains(&cells), "{row}");
    }
    let labels = export("bip329").await?;
    for (line, invoice) in labels.lines().zip(invoices) {
        let label: Value = serde_json::from_str(line)?;
        let expected = json!({
            "type": "addr",
            "ref": invoice.address,
            "label": format!("{} =A", invoice.id),
        });
        assert_eq!(label, expected);
    }
    assert_eq!(labels.lines().count(), invoices.len());
    Ok(())
}
