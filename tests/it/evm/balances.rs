//! An endpoint that gives no traces: what contracts pay is seen by balances.

use super::house::{CHAIN, EvmHouse, MILLI};
use crate::support::shop::Invoice;
use anyhow::{Result, ensure};
use paywatch_testkit::{Anvil, Argument, Deployed, FollowedChain, Liar};
use std::time::Duration;

/// Balances are looked at twice a minute at most.
const LOOK_PATIENCE: Duration = Duration::from_mins(2);

/// Lets a contract pay an invoice, and makes as many blocks as finality needs.
async fn paid_by(house: &EvmHouse, batch: &Deployed, invoice: &Invoice, wei: u128) -> Result<()> {
    let payees = [
        Argument::Accounts(vec![invoice.address.clone()]),
        Argument::Numbers(vec![wei]),
    ];
    batch.call(&house.node, "pay", &payees, wei).await?;
    house.mine(3).await
}

/// Goal: through an endpoint without traces, what a contract pays is found by the balance of the address
/// once it is final, and the owner's taking money out in between lowers nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_by_a_contract_is_found_without_traces() -> Result<()> {
    let node = Anvil::start().await?;
    let batch = Deployed::new(&node, "BatchPayer", 0).await?;
    let poor = Liar::without(&node, &["debug_", "trace_"]).await?;
    let chain = FollowedChain::evm(CHAIN, &node).through(&poor.url());
    let house = EvmHouse::on(node, &[chain]).await?;
    let doctor = house.watcher.run(&["doctor"]).await?;
    let said = String::from_utf8(doctor.stdout)?;
    ensure!(said.contains("no traces"), "{said}");
    let invoice = house.invoice("eth", "0.005").await?;
    let plain = house.invoice("eth", "0.001").await?;
    // At once: its block bears a whole second, which began before the invoice was made.
    paid_by(&house, &batch, &invoice, 3 * MILLI).await?;
    let part = house
        .until_within(LOOK_PATIENCE, &invoice, "underpaid")
        .await?;
    assert_eq!(part["options"][0]["tally"]["final"], "0.003000000000000000");
    house.send_from(&invoice, &plain.address, MILLI, 0).await?;
    house.mine(1).await?;
    let swept = house.shown(&invoice).await?;
    assert_eq!(swept["status"], "underpaid", "{swept}");
    assert_eq!(
        swept["options"][0]["tally"]["final"],
        "0.003000000000000000"
    );

    paid_by(&house, &batch, &invoice, 2 * MILLI).await?;
    let paid = house.until_within(LOOK_PATIENCE, &invoice, "paid").await?;
    assert_eq!(paid["options"][0]["tally"]["final"], "0.005000000000000000");
    let transfers = paid["transfers"].as_array().map_or(&[][..], |all| all);
    assert_eq!(transfers.len(), 2, "{paid}");
    for transfer in transfers {
        let [tx_id, position] = ["tx_id", "position"].map(|field| transfer[field].as_str());
        ensure!(tx_id.is_some_and(|id| id.starts_with("balance:")), "{paid}");
        let address = invoice.address.to_lowercase();
        assert_eq!(position, Some(&*format!("balance:{address}")), "{paid}");
    }
    assert_eq!(house.open_exceptions(&invoice).await?, []);
    // What was taken out paid another invoice, by a plain payment.
    let shown = house.until(&plain, "paid").await?;
    assert_eq!(
        shown["transfers"].as_array().map(Vec::len),
        Some(1),
        "{shown}"
    );
    Ok(())
}
