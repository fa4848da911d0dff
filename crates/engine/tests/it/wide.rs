//! Transactions as wide as the rules of relay allow.
//!
//! Goal: whoever pays one address with thousands of outputs costs what he sends, not inputs times outputs, and
//! blocks nothing.
//! Method: the real worker, commands and store on both databases; were each input held against each output,
//! none of these stories would end.

use paywatch_chain::{Credit, Vetting};
use paywatch_domain::{Position, TxId, limits};

use crate::chain::payment;
use crate::house::House;
use crate::scenarios::stories;

const INPUTS: usize = 700;
const OUTPUTS: usize = 1_600;
const SAT: u64 = 1_000;
const PRICE: u64 = 1_600_000;
/// Outputs of one transaction of a flood.
const FLOOD: usize = 2_500;

stories!(
    a_wide_transaction_is_replaced_by_another,
    a_wide_transaction_is_replaced_by_one_that_pays_us_nothing,
    payments_that_are_dropped_block_nothing,
    dust_beyond_what_is_read_blocks_nothing,
);

/// A transaction of many inputs that pays one key with many outputs.
fn wide(tx: &str, key: &[u8]) -> Vec<Credit> {
    let inputs = (0..INPUTS).map(|number| format!("in:{number}").into());
    let one = Credit {
        spends: inputs.collect(),
        ..payment(tx, key, SAT, "in:0")
    };
    let outputs = (0..OUTPUTS).map(|number| Credit {
        position: Position::new(&format!("vout:{number}")),
        ..one.clone()
    });
    outputs.collect()
}

/// Of what is gone not all of so many are shown.
fn shown_gone() -> usize {
    let most = usize::try_from(limits::INVOICE_GONE_MAX).unwrap();
    most.min(OUTPUTS)
}

/// What keeps every rule.
fn vetting(tx: &str) -> Vetting {
    Vetting {
        tx_id: TxId::new(tx),
        has_parents: false,
        fee_rate: 2_000,
        fee_rate_next: Some(1_000),
    }
}

async fn a_wide_transaction_is_replaced_by_another(mut house: House) {
    let (id, key) = house.invoice(PRICE, 10).await;
    house.chain.node().pool = wide("a", &key);
    house.chain.node().vettings = vec![vetting("a"), vetting("b")];
    house.poll().await;
    assert_eq!(house.show(id).await.status, "detected");
    house.pass(20_000).await;
    house.chain.node().pool = wide("b", &key);
    house.poll().await;
    let invoice = house.show(id).await;
    assert_eq!(invoice.status, "detected");
    assert_eq!(invoice.transfers.len(), OUTPUTS + shown_gone());
    for transfer in &invoice.transfers {
        let is_live = &*transfer.tx_id == "b";
        let certainty = if is_live { "seen" } else { "gone" };
        assert_eq!(transfer.certainty, certainty);
        assert!(transfer.in_time, "a replacement inherits the sighting");
    }
    // A block takes the first of them after all, and the second cannot come any more.
    house.mine(wide("a", &key)).await;
    house.mine(Vec::new()).await;
    let invoice = house.show(id).await;
    assert_eq!(invoice.status, "paid");
    for transfer in &invoice.transfers {
        assert_eq!(transfer.certainty == "gone", &*transfer.tx_id == "b");
    }
}

async fn a_wide_transaction_is_replaced_by_one_that_pays_us_nothing(mut house: House) {
    let (id, key) = house.invoice(PRICE, 900).await;
    house.chain.node().pool = wide("a", &key);
    house.poll().await;
    let mut other = wide("b", b"somebody else");
    other.truncate(1);
    house.chain.node().pool = other;
    house.pass(6_000).await;
    let invoice = house.show(id).await;
    assert_eq!(invoice.status, "created");
    assert!(invoice.transfers.iter().all(|one| one.certainty == "gone"));
    assert_eq!(invoice.transfers.len(), shown_gone());
}

/// A transaction with many outputs of `sat` to one key.
fn many(tx: &str, key: &[u8], sat: u64) -> Vec<Credit> {
    let one = payment(tx, key, sat, &format!("in:{tx}"));
    let outputs = (0..FLOOD).map(|number| Credit {
        position: Position::new(&format!("vout:{number}")),
        ..one.clone()
    });
    outputs.collect()
}

/// One more transaction than it takes to be above the limit of an invoice.
fn flood_count() -> usize {
    limits::INVOICE_TRANSFERS_MAX / FLOOD + 1
}

async fn payments_that_are_dropped_block_nothing(mut house: House) {
    let (id, key) = house.invoice(100_000, 9_000).await;
    for number in 0..flood_count() {
        house.chain.node().pool = many(&format!("t{number}"), &key, 600);
        house.poll().await;
    }
    house.chain.node().pool.clear();
    house.poll().await;
    let shown = house.show(id).await;
    assert_eq!(shown.status, "created");
    let most = usize::try_from(limits::INVOICE_GONE_MAX).unwrap();
    assert_eq!(shown.transfers.len(), most, "the newest are shown");
    let is_newest = |tx_id: &str| tx_id == format!("t{}", flood_count() - 1);
    assert!(shown.transfers.iter().all(|one| is_newest(&one.tx_id)));
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(house.show(id).await.status, "paid");
    // What was left out and comes back is read again.
    house.mine(many("t0", &key, 600)).await;
    house.mine(Vec::new()).await;
    let shown = house.show(id).await;
    assert_eq!(shown.status, "overpaid");
    let sat = 100_000 + 600 * u64::try_from(FLOOD).unwrap();
    let finalized = paywatch_domain::Amount::from_atomic(sat).decimal(8);
    assert_eq!(shown.options[0].tally.finalized, finalized);
}

async fn dust_beyond_what_is_read_blocks_nothing(mut house: House) {
    let (id, key) = house.invoice(100_000, 9_000).await;
    for number in 0..flood_count() {
        house.mine(many(&format!("t{number}"), &key, 1)).await;
    }
    let shown = house.show(id).await;
    assert_eq!(shown.status, "created");
    assert_eq!(shown.transfers.len(), limits::INVOICE_DUST_MAX);
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    let shown = house.show(id).await;
    assert_eq!(shown.options[0].tally.finalized, "0.00101000");
    assert_eq!(house.said(id).await[..2], ["created", "confirming"]);
}
