//! Money that came another way than shops expect: to another form of an invoice's key, and as the reward
//! of a block.

use crate::support::{House, PATIENCE, tally};
use anyhow::{Context, Result};
use paywatch_testkit::eventually;
use serde_json::{Value, json};

/// A wallet shows another form of the key, and the customer pays there: nothing counts, and the merchant
/// is told where the money is. When a double spend takes it away, that is told too.
#[tokio::test]
async fn money_to_another_form_of_the_key_is_told_and_never_credited() -> Result<()> {
    let house = House::new().await?;
    let invoice = house.invoice(100_000).await?;
    let siblings = house.wallet.siblings(0)?;
    let outputs: Vec<(&str, u64)> = siblings
        .iter()
        .map(|address| (&**address, 100_000))
        .collect();
    let txid = house.payer.pay(&outputs).await?;
    let open = |shown: &Value, count: usize| {
        let exceptions = shown["exceptions"].as_array().into_iter().flatten();
        let open = exceptions.filter(|exception| exception["state"] == "open");
        open.count() == count
    };
    let mut shown = Value::Null;
    eventually("three exceptions", PATIENCE, async || {
        shown = house.shown(&invoice).await?;
        Ok(open(&shown, 3).then_some(()))
    })
    .await?;
    assert_eq!(
        (&shown["status"], tally(&shown, "seen")?),
        (&json!("created"), 0)
    );
    for (transfer, address) in shown["transfers"]
        .as_array()
        .context("transfers")?
        .iter()
        .zip(&siblings)
    {
        assert_eq!(
            (
                &transfer["role"],
                &transfer["address"],
                &transfer["counted"]
            ),
            (&json!("sibling"), &json!(address), &json!(false))
        );
    }
    let mut exceptions = shown["exceptions"].as_array().into_iter().flatten();
    let exception = exceptions
        .find(|exception| exception["address"] == json!(siblings[2]))
        .context("each address has its exception")?;
    assert_eq!(exception["kind"], "recoverable");
    let detail = exception["detail"].as_str().context("a detail")?;
    assert!(
        detail.contains(&siblings[2]) && detail.contains("m/84h/1h/0h/0/0"),
        "{detail}"
    );
    let told = [&["created"][..], &["exception.opened"; 3]].concat();
    house.expect_told(&invoice, &told).await?;

    house
        .payer
        .double_spend(txid, Some((&invoice.address, 100_000)))
        .await?;
    house.mine(2).await?;
    let paid = house.until(&invoice, "paid").await?;
    assert!(open(&paid, 0), "{paid}");
    house.until_told(&invoice).await?;
    Ok(())
}

/// A miner pays with the reward of a block: it is final when the chain lets it be spent.
#[tokio::test]
async fn a_block_reward_is_paid_after_a_hundred_blocks() -> Result<()> {
    let house = House::new().await?;
    let invoice = house.invoice(100_000).await?;
    house.node.mine_to(&invoice.address, 1).await?;
    house.node.mine(98).await?;
    house.until_caught_up().await?;
    let young = house.until(&invoice, "confirming").await?;
    let finality = &young["transfers"][0]["finality"];
    assert_eq!(
        *finality,
        json!({ "kind": "depth", "have": 99, "need": 100 })
    );
    house.node.mine(1).await?;
    house.until(&invoice, "overpaid").await?;
    house
        .expect_told(
            &invoice,
            &["created", "confirming", "overpaid", "exception.opened"],
        )
        .await
}
