//! Money that no block shows, found by balances.
//!
//! Goal: what comes is told once and what goes changes nothing, whatever is read again; what nothing
//! explains is for a person. Method: as for all stories.

use paywatch_chain::{Credit, Outflow};
use paywatch_domain::{Amount, InvoiceId, Position};

use crate::chain::payment;
use crate::house::House;
use crate::scenarios::{expect, stories};

stories!(
    evm_money_that_no_block_shows_is_paid_once,
    evm_outflows_of_the_owner_lower_nothing,
    evm_outflows_that_leave_the_chain_are_forgotten,
    evm_money_that_blocks_tell_of_later_is_not_counted_twice,
    evm_money_that_blocks_tell_of_in_part_stays_whole,
    evm_money_from_before_the_invoice_is_nobodys,
    evm_balances_whose_past_nobody_knows_are_for_a_person,
    evm_balances_that_nothing_explains_are_told_once,
    evm_balances_are_not_asked_for_with_every_block,
    evm_money_found_in_a_block_that_leaves_the_chain_is_found_again,
    evm_what_one_endpoint_has_told_another_that_sees_less_takes_not_away,
    evm_nothing_expires_before_balances_were_looked_at,
    evm_invoices_in_other_assets_expire_without_a_look,
    evm_nobody_waits_for_a_look_where_blocks_show_everything_again,
    evm_a_look_that_fails_is_shown_until_one_succeeds,
);

/// A block that is older than an invoice by so much is from before it, in milliseconds.
const WELL_BEFORE_MS: i64 = 20_000;
const OPENED: &str = "exception.opened";
/// From one look at balances to the next.
const LOOK_MS: i64 = 31_000;

/// An invoice on a chain whose blocks do not show everything, with its key; its address was looked at.
async fn open(house: &mut House) -> (InvoiceId, Vec<u8>) {
    house.pass(WELL_BEFORE_MS).await;
    house.chain.node().held.get_or_insert_default();
    let (id, key) = house.invoice(100_000, 3_600).await;
    look(house).await;
    (id, key)
}

/// One block and the time for a look, which is at the block below: the last that is final.
async fn look(house: &mut House) {
    house.mine(Vec::new()).await;
    house.pass(LOOK_MS).await;
}

/// The height of the next block.
fn next(house: &House) -> u64 {
    u64::try_from(house.chain.node().blocks.len()).unwrap()
}

/// Amount, role, transaction and place of every transfer that stands.
async fn standing(house: &House, id: InvoiceId) -> Vec<(String, String, String, String)> {
    let shown = house.show(id).await;
    let standing = shown.transfers.into_iter();
    let standing = standing.filter(|one| one.certainty != "gone");
    standing
        .map(|one| (one.amount_atomic, one.role, one.tx_id, one.position))
        .collect()
}

fn found(key: &[u8], amount: u64, role: &str, window: &str) -> (String, String, String, String) {
    let address = format!("0x{}", hex::encode(key));
    let kind = if role == "payment" { "balance" } else { role };
    (
        amount.to_string(),
        role.into(),
        format!("balance:{window}:{address}"),
        format!("{kind}:{address}"),
    )
}

fn sent(key: &[u8], nonce: u64, amount: Option<u64>) -> Outflow {
    Outflow {
        key: key.into(),
        nonce,
        amount: amount.map(Amount::from_atomic),
    }
}

/// Mines a block in which the owner of the address sends this.
async fn mine_sent(house: &mut House, outflow: Outflow) -> u64 {
    let at = {
        let mut node = house.chain.node();
        let at = node.mine(Vec::new(), house.now);
        node.blocks.last_mut().unwrap().outflows.push(outflow);
        at
    };
    house.poll().await;
    at.height
}

async fn evm_money_that_no_block_shows_is_paid_once(mut house: House) {
    let (id, key) = open(&mut house).await;
    let height = next(&house);
    house.chain.node().hold(&key, height, 100_000, 0);
    house.mine(Vec::new()).await;
    house.pass(LOOK_MS).await;
    expect(&house, id, "created", &["created"]).await;
    look(&mut house).await;
    let window = format!("{}-{height}", height - 1);
    assert_eq!(
        standing(&house, id).await,
        [found(&key, 100_000, "payment", &window)]
    );
    expect(&house, id, "paid", &["created", "paid"]).await;
    // Nothing is told again, whoever looks.
    house.restart().await;
    look(&mut house).await;
    look(&mut house).await;
    expect(&house, id, "paid", &["created", "paid"]).await;
    // More comes, seen and unseen.
    let height = next(&house);
    house.chain.node().hold(&key, height, 130_000, 0);
    let paid = payment("a", &key, 10_000, "in:0");
    house.mine(vec![paid]).await;
    look(&mut house).await;
    let amounts: Vec<String> = standing(&house, id)
        .await
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(amounts, ["100000", "10000", "20000"]);
    assert_eq!(house.show(id).await.status, "overpaid");
}

async fn evm_outflows_of_the_owner_lower_nothing(mut house: House) {
    let (id, key) = open(&mut house).await;
    let height = next(&house);
    house.chain.node().hold(&key, height, 100_000, 0);
    house.mine(Vec::new()).await;
    look(&mut house).await;
    let said = ["created", "paid"];
    expect(&house, id, "paid", &said).await;
    let taken = mine_sent(&mut house, sent(&key, 0, Some(100_000))).await;
    house.chain.node().hold(&key, taken, 0, 1);
    look(&mut house).await;
    look(&mut house).await;
    expect(&house, id, "paid", &said).await;
    // In one go: something comes by a contract, and the owner takes a part of it.
    let taken = mine_sent(&mut house, sent(&key, 1, Some(3_000))).await;
    house.chain.node().hold(&key, taken, 7_000, 2);
    look(&mut house).await;
    let amounts: Vec<String> = standing(&house, id)
        .await
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(amounts, ["100000", "10000"]);
    // Of what a call took nobody knows how much came back.
    let taken = mine_sent(&mut house, sent(&key, 2, None)).await;
    house.chain.node().hold(&key, taken, 1_000, 3);
    look(&mut house).await;
    assert_eq!(standing(&house, id).await.len(), 2);
}

async fn evm_outflows_that_leave_the_chain_are_forgotten(mut house: House) {
    let (id, key) = open(&mut house).await;
    let height = next(&house);
    house.chain.node().hold(&key, height, 100_000, 0);
    house.mine(Vec::new()).await;
    look(&mut house).await;
    mine_sent(&mut house, sent(&key, 0, Some(40_000))).await;
    house.chain.node().drop_blocks(1);
    house.mine(Vec::new()).await;
    // Another transaction takes its number.
    let taken = mine_sent(&mut house, sent(&key, 0, Some(60_000))).await;
    house.chain.node().hold(&key, taken, 40_000, 1);
    look(&mut house).await;
    look(&mut house).await;
    expect(&house, id, "paid", &["created", "paid"]).await;
    assert_eq!(standing(&house, id).await.len(), 1);
}

/// A payment that a block tells of, as an endpoint with traces reads it.
fn traced(key: &[u8], amount: u64) -> Credit {
    Credit {
        position: Position::new("native:0x"),
        ..payment("traced", key, amount, "in:0")
    }
}

/// Finds money by its balance, and lets another endpoint read the block in which `told` of it came.
async fn reread(house: &mut House, told: u64) -> (InvoiceId, Vec<u8>, u64) {
    let (id, key) = open(house).await;
    let height = next(house);
    house.chain.node().hold(&key, height, 100_000, 0);
    house.mine(Vec::new()).await;
    look(house).await;
    assert_eq!(house.show(id).await.status, "paid");
    let place = usize::try_from(height).unwrap();
    house.chain.node().blocks[place]
        .credits
        .push(traced(&key, told));
    house.rescan(height - 1, Some(height)).await.unwrap();
    house.poll().await;
    (id, key, height)
}

async fn evm_money_that_blocks_tell_of_later_is_not_counted_twice(mut house: House) {
    let (id, key, height) = reread(&mut house, 100_000).await;
    let told = (
        "100000".into(),
        "payment".into(),
        "traced".into(),
        "native:0x".into(),
    );
    assert_eq!(standing(&house, id).await, [told]);
    expect(&house, id, "paid", &["created", "paid"]).await;
    // Again, by whomever, and the next look.
    house.rescan(height - 1, None).await.unwrap();
    house.poll().await;
    look(&mut house).await;
    house.chain.node().hold(&key, 0, 0, 0);
    look(&mut house).await;
    expect(&house, id, "paid", &["created", "paid"]).await;
    assert_eq!(standing(&house, id).await.len(), 1);
}

async fn evm_money_that_blocks_tell_of_in_part_stays_whole(mut house: House) {
    let (id, key, height) = reread(&mut house, 60_000).await;
    let shown = standing(&house, id).await;
    let amounts: Vec<&str> = shown.iter().map(|one| &*one.0).collect();
    assert_eq!(amounts, ["60000", "40000"]);
    expect(&house, id, "paid", &["created", "paid"]).await;
    // The rest is found as well.
    let place = usize::try_from(height).unwrap();
    let rest = Credit {
        tx_id: paywatch_domain::TxId::new("rest"),
        ..traced(&key, 40_000)
    };
    house.chain.node().blocks[place].credits.push(rest);
    house.rescan(height, Some(height)).await.unwrap();
    house.poll().await;
    let shown = standing(&house, id).await;
    let told: Vec<&str> = shown.iter().map(|one| &*one.2).collect();
    assert_eq!(told, ["traced", "rest"]);
    expect(&house, id, "paid", &["created", "paid"]).await;
}

/// An invoice that nobody looked at before three blocks had come, and the key of its address.
async fn unseen(house: &mut House) -> (InvoiceId, Vec<u8>) {
    house.chain.node().held.get_or_insert_default();
    house.pass(WELL_BEFORE_MS).await;
    let opened = house.invoice(100_000, 3_600).await;
    for _ in 0..3 {
        house.mine(Vec::new()).await;
    }
    opened
}

async fn evm_money_from_before_the_invoice_is_nobodys(mut house: House) {
    let (id, key) = unseen(&mut house).await;
    house.chain.node().hold(&key, 1, 70_000, 2);
    house.chain.node().hold(&key, 4, 75_000, 2);
    look(&mut house).await;
    assert_eq!(
        standing(&house, id).await,
        [found(&key, 5_000, "payment", "2-5")]
    );
    expect(&house, id, "underpaid", &["created", "underpaid"]).await;
}

async fn evm_balances_whose_past_nobody_knows_are_for_a_person(mut house: House) {
    let (id, key) = unseen(&mut house).await;
    house.chain.node().hold(&key, 1, 75_000, 0);
    house.chain.node().pruned.insert(2);
    look(&mut house).await;
    assert_eq!(
        standing(&house, id).await,
        [found(&key, 75_000, "unexplained", "2-5")]
    );
    expect(&house, id, "created", &["created", OPENED]).await;
    let told = house.show(id).await.exceptions.remove(0);
    assert_eq!(
        (&*told.kind, told.amount.as_deref(), told.tx_ids.len()),
        ("unattributed", Some("0.00075000"), 1)
    );
    // From now on its past is known.
    let height = next(&house);
    house.chain.node().hold(&key, height, 175_000, 0);
    house.mine(Vec::new()).await;
    look(&mut house).await;
    expect(&house, id, "paid", &["created", OPENED, "paid"]).await;
}

async fn evm_balances_that_nothing_explains_are_told_once(mut house: House) {
    let (id, key) = open(&mut house).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    look(&mut house).await;
    // The node tells of less than has come, and of no transaction.
    let told = ["created", "confirming", "paid", OPENED];
    look(&mut house).await;
    expect(&house, id, "paid", &told).await;
    assert_eq!(house.show(id).await.exceptions[0].kind, "unattributed");
    look(&mut house).await;
    expect(&house, id, "paid", &told).await;
    // Money that comes with a transaction of the address that no block tells of is not credited.
    let height = next(&house);
    house.chain.node().hold(&key, height, 9_000, 1);
    house.mine(Vec::new()).await;
    look(&mut house).await;
    let shown = standing(&house, id).await;
    let roles: Vec<&str> = shown.iter().map(|one| &*one.1).collect();
    assert_eq!(roles, ["payment", "unexplained", "unexplained"]);
    assert_eq!(house.show(id).await.status, "paid");
}

async fn evm_balances_are_not_asked_for_with_every_block(mut house: House) {
    open(&mut house).await;
    look(&mut house).await;
    house.chain.node().looked = (0, 0);
    for _ in 0..10 {
        house.mine(Vec::new()).await;
    }
    assert_eq!(house.chain.node().looked, (0, 0), "no time has passed");
    house.pass(LOOK_MS).await;
    let (_, addresses) = house.chain.node().looked;
    assert_eq!(addresses, 1, "one address, after one block");
    house.chain.node().looked = (0, 0);
    house.pass(LOOK_MS).await;
    assert_eq!(house.chain.node().looked, (0, 0), "no block has come");
    // Where blocks show everything nobody looks at any address.
    house.chain.node().held = None;
    look(&mut house).await;
    assert_eq!(house.chain.node().looked, (1, 0));
}

async fn evm_money_found_in_a_block_that_leaves_the_chain_is_found_again(mut house: House) {
    let (id, key) = open(&mut house).await;
    let height = next(&house);
    house.chain.node().hold(&key, height, 100_000, 0);
    house.mine(Vec::new()).await;
    look(&mut house).await;
    assert_eq!(house.show(id).await.status, "paid");
    house.chain.node().drop_blocks(2);
    house.mine(Vec::new()).await;
    house.mine(Vec::new()).await;
    house.mine(Vec::new()).await;
    assert_ne!(house.show(id).await.status, "paid");
    house.pass(LOOK_MS).await;
    let shown = standing(&house, id).await;
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(house.show(id).await.status, "paid");
}

async fn evm_what_one_endpoint_has_told_another_that_sees_less_takes_not_away(mut house: House) {
    let (id, key) = house.invoice(100_000, 3_600).await;
    let height = next(&house);
    let plain = Credit {
        position: Position::new("native:0x"),
        ..payment("plain", &key, 10_000, "in:1")
    };
    let token = Credit {
        asset: crate::chain::token(crate::chain::asset().chain()),
        ..payment("token", &key, 5_000, "in:2")
    };
    house
        .mine(vec![traced(&key, 90_000), plain.clone(), token])
        .await;
    house.mine(Vec::new()).await;
    assert_eq!(house.show(id).await.status, "paid");
    let place = usize::try_from(height).unwrap();
    let transactions = async |house: &House| {
        let shown = standing(house, id).await.into_iter();
        shown.map(|one| one.2).collect::<Vec<String>>()
    };
    // Another endpoint reads the block: it sees what transactions send, and tokens, which are not there.
    house.chain.node().blocks[place].credits = vec![plain.clone()];
    house.chain.node().hold(&key, height, 100_000, 0);
    house.rescan(height, Some(height)).await.unwrap();
    house.poll().await;
    assert_eq!(transactions(&house).await, ["traced", "plain"]);
    assert_eq!(house.show(id).await.status, "paid");
    look(&mut house).await;
    assert_eq!(transactions(&house).await, ["traced", "plain"]);
    // One that sees everything takes away what is not there.
    house.chain.node().held = None;
    house.rescan(height, Some(height)).await.unwrap();
    house.poll().await;
    assert_eq!(transactions(&house).await, ["plain"]);
}

/// The time until the invoices of [`lapsed`] expire, in seconds.
const LIFE_S: u64 = 60;

/// An invoice in this asset whose expiry the chain was read past; the last block that is final is older. The
/// address got this by a contract in the block above that one.
async fn lapsed(house: &mut House, held: u64) -> (InvoiceId, Vec<u8>) {
    house.chain.node().held.get_or_insert_default();
    let (id, key) = house.invoice(100_000, LIFE_S).await;
    look(house).await;
    let height = next(house);
    house.chain.node().hold(&key, height, held, 0);
    house.mine(Vec::new()).await;
    house.pass(LOOK_MS).await;
    (id, key)
}

async fn evm_nothing_expires_before_balances_were_looked_at(mut house: House) {
    let (paid, _) = lapsed(&mut house, 100_000).await;
    house.poll().await;
    expect(&house, paid, "created", &["created"]).await;
    let covered = house.row().await.covered_until.unwrap();
    let expired_at = house.show(paid).await.expires_at;
    assert!(expired_at < paywatch_wire::time::rfc3339(covered));
    // The block in which it came becomes final.
    look(&mut house).await;
    expect(&house, paid, "paid", &["created", "paid"]).await;
    // Nothing came: said as soon as a block of later than expiry is final and was looked at.
    let (unpaid, _) = lapsed(&mut house, 0).await;
    house.restart().await;
    expect(&house, unpaid, "created", &["created"]).await;
    look(&mut house).await;
    expect(&house, unpaid, "created", &["created"]).await;
    look(&mut house).await;
    house.pass(5_001).await;
    expect(&house, unpaid, "expired", &["created", "expired"]).await;
}

async fn evm_invoices_in_other_assets_expire_without_a_look(mut house: House) {
    house.chain.node().held.get_or_insert_default();
    let token = crate::chain::token(crate::chain::asset().chain());
    let body = serde_json::json!({
        "options": [{ "asset": token.to_string(), "amount": "5" }],
        "expires_in_s": LIFE_S,
    });
    let (created, _) = house.create(&body, None).await.unwrap();
    let id = created["id"].as_str().unwrap().parse().unwrap();
    house.mine(Vec::new()).await;
    house.pass(LOOK_MS).await;
    house.pass(LOOK_MS).await;
    expect(&house, id, "expired", &["created", "expired"]).await;
}

async fn evm_nobody_waits_for_a_look_where_blocks_show_everything_again(mut house: House) {
    let (id, _) = lapsed(&mut house, 0).await;
    house.poll().await;
    expect(&house, id, "created", &["created"]).await;
    house.chain.node().held = None;
    look(&mut house).await;
    house.pass(5_001).await;
    expect(&house, id, "expired", &["created", "expired"]).await;
}

async fn evm_a_look_that_fails_is_shown_until_one_succeeds(mut house: House) {
    let (id, _) = open(&mut house).await;
    let code = async |house: &House| house.row().await.problem.map(|problem| problem.code);
    house.mine(Vec::new()).await;
    let height = next(&house) - 1;
    house.chain.node().pruned.insert(height);
    house.mine(Vec::new()).await;
    house.pass(LOOK_MS).await;
    for _ in 0..3 {
        assert_eq!(code(&house).await.as_deref(), Some("block_missing"));
        house.pass(5_001).await;
    }
    // The chain is read all the same.
    let cursor = house.row().await.cursor;
    house.chain.node().pruned.clear();
    house.mine(Vec::new()).await;
    assert!(cursor < house.row().await.cursor);
    house.pass(LOOK_MS).await;
    house.poll().await;
    assert_eq!(code(&house).await, None);
    expect(&house, id, "created", &["created"]).await;
}
