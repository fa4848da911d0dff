//! Transactions as wide as the rules of relay allow.
//!
//! Goal: whoever pays one address with thousands of outputs costs what he sends, not inputs times outputs.
//! Method: the real worker, commands and store on both databases; were each input held against each output,
//! none of these stories would end.

use paywatch_chain::{Credit, Vetting};
use paywatch_domain::{Position, TxId};

use crate::chain::payment;
use crate::house::House;
use crate::scenarios::stories;

const INPUTS: usize = 700;
const OUTPUTS: usize = 1_600;
const SAT: u64 = 1_000;
const PRICE: u64 = 1_600_000;

stories!(
    a_wide_transaction_is_replaced_by_another,
    a_wide_transaction_is_replaced_by_one_that_pays_us_nothing,
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
    assert_eq!(invoice.transfers.len(), 2 * OUTPUTS);
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
    assert_eq!(invoice.transfers.len(), OUTPUTS);
}
