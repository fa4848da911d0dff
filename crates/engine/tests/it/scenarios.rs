//! Whole stories on both databases.
//!
//! Goal: status, sums and events are right in every story, and the same on SQLite and Postgres. Method:
//! the real worker, commands and store; a chain in memory; a clock that the test moves.

use std::time::Duration;

use paywatch_chain::Credit;
use paywatch_domain::{InvoiceId, Position, UnixMillis, limits};
use paywatch_engine::commands::CommandError;
use paywatch_engine::worker::Step;
use paywatch_store::chains;
use paywatch_wire::ProgressForm;
use serde_json::json;
use sqlx::Connection as _;

use crate::chain::payment;
use crate::house::House;

/// Runs each story on both databases.
macro_rules! stories {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                $crate::house::on_sqlite(super::$name).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                $crate::house::on_postgres(super::$name).await;
            })+
        }
    };
}

pub(crate) use stories;

stories!(
    an_exact_payment_is_seen_confirmed_and_paid,
    a_reorganisation_takes_a_paid_invoice_back_until_the_money_returns,
    a_double_spend_in_the_new_branch_leaves_nothing,
    a_node_that_is_behind_undoes_nothing,
    nothing_expires_while_the_node_cannot_be_read,
    an_invoice_says_what_it_waits_for_when_its_chain_stays_unread,
    a_payment_mined_during_downtime_is_in_time_by_its_block,
    a_fee_bump_after_expiry_inherits_when_the_money_was_first_seen,
    an_evicted_payment_is_told_and_can_come_back,
    a_flood_of_replacements_is_told_a_few_times,
    money_to_another_form_of_the_key_is_an_exception_until_it_goes_away,
    a_block_reward_is_final_when_it_can_be_spent,
    a_replacement_that_pays_us_nothing_is_kept_as_one,
    a_node_that_forgot_its_mempool_takes_nothing_back,
    what_nobody_sends_again_is_gone_in_the_end,
    a_forgotten_payment_ends_when_a_block_spends_its_coins,
    a_forgotten_payment_ends_when_another_transaction_spends_its_coins,
    a_lying_node_is_waited_out,
    the_last_millisecond_is_in_time,
    catching_up_is_shown_block_by_block,
    late_money_is_late,
    a_canceled_invoice_stays_canceled,
    dust_is_counted_and_told_to_nobody,
    one_chain_has_one_follower,
    a_reorganisation_beyond_the_limit_halts_the_chain,
    a_reorganisation_of_more_blocks_than_one_run_is_still_one_event,
    a_payment_mined_below_the_height_of_creation_counts,
    a_replacement_that_is_mined_unseen_is_counted_once,
    an_old_block_time_does_not_bring_back_an_expired_invoice,
    a_changed_address_in_the_database_is_not_believed,
    a_restart_in_between_changes_nothing,
    the_branch_that_takes_a_payment_away_spends_its_coins,
    the_coins_are_spent_after_the_branch_took_the_payment_away,
    a_payment_that_lost_its_block_comes_back,
);

pub(crate) async fn expect(house: &House, id: InvoiceId, status: &str, said: &[&str]) {
    let invoice = house.show(id).await;
    assert_eq!(invoice.status, status, "{invoice:#?}");
    assert_eq!(house.said(id).await, said);
    assert_eq!(invoice.version, u64::try_from(said.len()).unwrap());
}

async fn an_exact_payment_is_seen_confirmed_and_paid(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    expect(&house, id, "created", &["created"]).await;
    house
        .chain
        .node()
        .pool
        .push(payment("a", &key, 100_000, "in:0"));
    house.poll().await;
    expect(&house, id, "detected", &["created", "detected"]).await;
    let paid = house.chain.node().pool.clone();
    house.mine(paid).await;
    expect(
        &house,
        id,
        "confirming",
        &["created", "detected", "confirming"],
    )
    .await;
    house.mine(Vec::new()).await;
    let said = ["created", "detected", "confirming", "paid"];
    expect(&house, id, "paid", &said).await;
    let invoice = house.show(id).await;
    let option = &invoice.options[0];
    assert_eq!(
        (&*option.tally.finalized, &*option.tally.remaining),
        ("0.00100000", "0")
    );
    assert_eq!(invoice.transfers.len(), 1);
    for _ in 0..5 {
        house.mine(Vec::new()).await;
    }
    house.pass(1_000_000).await;
    let invoice = house.show(id).await;
    assert!(!invoice.payable);
    let said = ["created", "detected", "confirming", "paid", "updated"];
    expect(&house, id, "paid", &said).await;
}

async fn a_reorganisation_takes_a_paid_invoice_back_until_the_money_returns(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let paid = payment("a", &key, 100_000, "in:0");
    house.mine(vec![paid.clone()]).await;
    house.mine(Vec::new()).await;
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
    {
        let now = house.now;
        let mut node = house.chain.node();
        node.drop_blocks(2);
        node.pool.push(paid.clone());
        for _ in 0..3 {
            node.mine(Vec::new(), now);
        }
        node.pool = vec![paid.clone()];
    }
    house.poll().await;
    house.poll().await;
    let said = [
        "created",
        "confirming",
        "paid",
        "reverted",
        "exception.opened",
        "detected",
    ];
    expect(&house, id, "detected", &said).await;
    let reverted = &house.data_of("invoice.reverted").await[0]["reverted"];
    assert_eq!(
        (&reverted[0]["was_final"], &reverted[0]["is_final"]),
        (&json!("0.00100000"), &json!("0")),
        "{reverted}"
    );
    house.mine(vec![paid]).await;
    house.mine(Vec::new()).await;
    let said = [
        "created",
        "confirming",
        "paid",
        "reverted",
        "exception.opened",
        "detected",
        "confirming",
        "paid",
        "exception.resolved",
    ];
    expect(&house, id, "paid", &said).await;
    // When it was first true stays, and so does what was said of it then.
    let told = house.data_of("invoice.paid").await;
    let first = told[0]["invoice"]["transfers"][0]["final_at"].clone();
    assert!(first.is_string(), "{first}");
    assert_eq!(told[1]["invoice"]["transfers"][0]["final_at"], first);
    assert_eq!(json!(house.show(id).await.transfers[0].final_at), first);
    let before = house.data_of("invoice.confirming").await;
    assert!(before[0]["invoice"]["transfers"][0]["final_at"].is_null());
    assert!(before[0].get("reverted").is_none());
    assert_eq!(
        house.show(id).await.transfers.len(),
        1,
        "the same transfer, counted once"
    );
}

async fn a_double_spend_in_the_new_branch_leaves_nothing(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    {
        let now = house.now;
        let mut node = house.chain.node();
        node.drop_blocks(2);
        node.mine(vec![payment("b", b"somebody else", 100_000, "in:0")], now);
        node.mine(Vec::new(), now);
    }
    house.poll().await;
    expect(
        &house,
        id,
        "created",
        &[
            "created",
            "confirming",
            "paid",
            "reverted",
            "exception.opened",
        ],
    )
    .await;
    let invoice = house.show(id).await;
    assert_eq!(invoice.transfers[0].certainty, "gone");
    assert_eq!(invoice.options[0].tally.remaining, "0.00100000");
}

async fn a_node_that_is_behind_undoes_nothing(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let (open, _) = house.invoice(100_000, 20).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    let dropped = house.chain.node().drop_blocks(1);
    house.poll().await;
    let said = ["created", "confirming", "paid"];
    expect(&house, id, "paid", &said).await;
    for _ in 0..10 {
        house.pass(5_000).await;
        house.poll().await;
    }
    expect(&house, id, "paid", &said).await;
    // What the node does not know of, nobody can be late for.
    expect(&house, open, "created", &["created"]).await;
    let problem = house.row().await.problem.expect("a problem is shown");
    assert_eq!(&*problem.code, "node_behind");
    assert!(problem.text.contains("is behind"), "{}", problem.text);

    house.chain.node().blocks.extend(dropped);
    house.poll().await;
    expect(&house, id, "paid", &said).await;
    expect(&house, open, "expired", &["created", "expired"]).await;
    assert!(house.row().await.problem.is_none());
}

async fn nothing_expires_while_the_node_cannot_be_read(mut house: House) {
    let (id, _) = house.invoice(100_000, 10).await;
    house.chain.node().is_down = true;
    for _ in 0..20 {
        house.pass(5_000).await;
    }
    expect(&house, id, "created", &["created"]).await;
    assert!(!house.show(id).await.payable, "by the clock it is over");
    let row = chains::all(&mut house.store.read().await.unwrap())
        .await
        .unwrap()
        .remove(0);
    assert_eq!(row.problem.unwrap().code, "node_unreachable");
    house.chain.node().is_down = false;
    house.pass(20_000).await;
    house.poll().await;
    expect(&house, id, "expired", &["created", "expired"]).await;
    let row = chains::all(&mut house.store.read().await.unwrap())
        .await
        .unwrap()
        .remove(0);
    assert!(row.problem.is_none());
}

async fn an_invoice_says_what_it_waits_for_when_its_chain_stays_unread(mut house: House) {
    let (id, _) = house.invoice(100_000, 10).await;
    let (other, _) = house.invoice(100_000, 3_000).await;
    let mut housekeeper = house.housekeeper();
    house.chain.node().is_down = true;
    house.pass(3_600_000).await;
    housekeeper.step(house.now).await;
    expect(&house, id, "created", &["created"]).await;
    house.pass(10_001).await;
    housekeeper.step(house.now).await;
    expect(&house, id, "created", &["created", "updated"]).await;
    assert_eq!(house.show(id).await.waiting_for, ["bitcoin-regtest"]);
    assert_eq!(
        house.said(other).await,
        ["created"],
        "its hour has not passed"
    );

    // Told once, by whomever.
    housekeeper.step(house.now).await;
    house.housekeeper().step(house.now).await;
    expect(&house, id, "created", &["created", "updated"]).await;
    house.chain.node().is_down = false;
    house.pass(60_000).await;
    house.poll().await;
    expect(&house, id, "expired", &["created", "updated", "expired"]).await;
    assert!(house.show(id).await.waiting_for.is_empty());
}

async fn a_payment_mined_during_downtime_is_in_time_by_its_block(mut house: House) {
    let (id, key) = house.invoice(100_000, 10).await;
    house.chain.node().is_down = true;
    house.pass(5_000).await;
    let mined_at = house.now;
    house
        .chain
        .node()
        .mine(vec![payment("a", &key, 100_000, "in:0")], mined_at);
    house.pass(100_000).await;
    let now = house.now;
    house.chain.node().mine(Vec::new(), now);
    house.chain.node().is_down = false;
    house.pass(20_000).await;
    house.poll().await;
    let said = house.said(id).await;
    assert_eq!(
        said,
        ["created", "paid", "updated"],
        "paid, then the window closes"
    );
    assert!(house.show(id).await.transfers[0].in_time);
}

async fn a_fee_bump_after_expiry_inherits_when_the_money_was_first_seen(mut house: House) {
    let (id, key) = house.invoice(100_000, 10).await;
    house.chain.node().pool = vec![payment("a", &key, 100_000, "in:0")];
    house.poll().await;
    house.pass(20_000).await;
    house.chain.node().pool = vec![payment("b", &key, 100_000, "in:0")];
    house.poll().await;
    let invoice = house.show(id).await;
    assert_eq!(invoice.status, "detected");
    let live = invoice
        .transfers
        .iter()
        .find(|transfer| transfer.certainty == "seen")
        .unwrap();
    assert_eq!((&*live.tx_id, live.in_time), ("b", true));
    house.mine(vec![payment("b", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(house.show(id).await.status, "paid");
}

async fn an_evicted_payment_is_told_and_can_come_back(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let paid = payment("a", &key, 100_000, "in:0");
    house.chain.node().pool = vec![paid.clone()];
    house.poll().await;
    house.chain.node().pool.clear();
    house.poll().await;
    expect(&house, id, "created", &["created", "detected", "updated"]).await;
    house.chain.node().pool = vec![paid];
    house.poll().await;
    expect(
        &house,
        id,
        "detected",
        &["created", "detected", "updated", "detected"],
    )
    .await;
}

/// Goal: a payer who replaces a payment again and again makes no flood of events, and hides nothing.
async fn a_flood_of_replacements_is_told_a_few_times(mut house: House) {
    let (id, key) = house.invoice(100_000, 9_000).await;
    let replace = |house: &mut House, number: u64| {
        let paid = payment(&format!("t{number}"), &key, 20_000 + number, "in:0");
        house.chain.node().pool = vec![paid];
    };
    let most = usize::try_from(limits::POOL_NEWS_MAX).unwrap();
    for number in 0..25 {
        replace(&mut house, number);
        house.poll().await;
    }
    let mut said = vec!["created", "detected"];
    said.resize(1 + most, "updated");
    expect(&house, id, "detected", &said).await;
    assert_eq!(house.last_seen(id).await, "0.00020009");
    // When the time has passed the last state is told, though nothing happens any more.
    house.pass(limits::POOL_NEWS_MS).await;
    house.poll().await;
    said.push("updated");
    expect(&house, id, "detected", &said).await;
    assert_eq!(house.last_seen(id).await, "0.00020024");
    // A new flood; what a block says is told at once.
    for number in 25..50 {
        replace(&mut house, number);
        house.poll().await;
    }
    said.resize(2 + 2 * most, "updated");
    expect(&house, id, "detected", &said).await;
    let paid = payment("t50", &key, 100_000, "in:0");
    house.mine(vec![paid]).await;
    said.push("confirming");
    expect(&house, id, "confirming", &said).await;
}

async fn money_to_another_form_of_the_key_is_an_exception_until_it_goes_away(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let sibling = [b"sibling-".as_slice(), &key].concat();
    let astray = payment("a", &sibling, 100_000, "in:0");
    house.chain.node().pool = vec![astray.clone()];
    house.poll().await;
    expect(&house, id, "created", &["created", "exception.opened"]).await;
    house.mine(vec![astray.clone()]).await;
    house.mine(Vec::new()).await;
    expect(&house, id, "created", &["created", "exception.opened"]).await;
    let invoice = house.show(id).await;
    let exception = &invoice.exceptions[0];
    assert_eq!(
        (
            &*exception.kind,
            &*exception.state,
            exception.amount.as_deref().unwrap(),
        ),
        ("recoverable", "open", "0.00100000")
    );
    let transfer = &invoice.transfers[0];
    assert_eq!((&*transfer.role, transfer.counted), ("sibling", false));
    assert_eq!(invoice.options[0].tally.seen, "0", "it is never credited");

    // Right money in the block that takes the wrong money away: two events of one fold, in this order.
    {
        let now = house.now;
        let mut node = house.chain.node();
        node.drop_blocks(2);
        node.mine(vec![payment("b", &key, 100_000, "in:0")], now);
        node.mine(Vec::new(), now);
        node.mine(Vec::new(), now);
    }
    house.poll().await;
    let said = ["created", "exception.opened", "paid", "exception.resolved"];
    expect(&house, id, "paid", &said).await;
    let invoice = house.show(id).await;
    assert_eq!(invoice.exceptions[0].state, "resolved");

    house.chain.node().pool = vec![payment("c", &sibling, 500, "in:7")];
    house.poll().await;
    expect(&house, id, "paid", &said).await;
    house.chain.node().pool = vec![payment("d", &sibling, 5_000, "in:8")];
    house.poll().await;
    let said = [&said[..], &["exception.opened"]].concat();
    expect(&house, id, "paid", &said).await;

    // Whatever comes on top is one change, however many transfers it is.
    let flood = (0..500).map(|number| Credit {
        position: Position::new(&format!("vout:{number}")),
        ..payment("e", &sibling, 1_000, "in:9")
    });
    house.chain.node().pool.extend(flood);
    house.poll().await;
    let said = [&said[..], &["updated"]].concat();
    expect(&house, id, "paid", &said).await;
    let invoice = house.show(id).await;
    let amounts: Vec<&str> = invoice
        .exceptions
        .iter()
        .map(|told| told.amount.as_deref().unwrap())
        .collect();
    assert_eq!(amounts, ["0.00100000", "0.00505000"]);
}

async fn a_block_reward_is_final_when_it_can_be_spent(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let reward = Credit {
        maturity: 100,
        spends: [].into(),
        ..payment("a", &key, 100_000, "in:0")
    };
    house.mine(vec![reward]).await;
    for _ in 0..98 {
        house.mine(Vec::new()).await;
    }
    expect(&house, id, "confirming", &["created", "confirming"]).await;
    let invoice = house.show(id).await;
    assert_eq!(
        invoice.transfers[0].finality,
        ProgressForm::Depth {
            have: 99,
            need: 100
        }
    );
    house.mine(Vec::new()).await;
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
}

async fn a_replacement_that_pays_us_nothing_is_kept_as_one(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.chain.node().pool = vec![payment("a", &key, 100_000, "in:0")];
    house.poll().await;
    house.chain.node().pool = vec![payment("b", b"somebody else", 100_000, "in:0")];
    house.poll().await;
    expect(
        &house,
        id,
        "created",
        &["created", "detected", "updated", "exception.opened"],
    )
    .await;
    assert_eq!(left_reasons(&house.url).await, ["replaced"]);
    house.chain.node().pool = vec![payment("a", &key, 100_000, "in:0")];
    house.poll().await;
    house.chain.node().pool.clear();
    house.poll().await;
    assert_eq!(left_reasons(&house.url).await, ["replaced", "evicted"]);
}

async fn a_node_that_forgot_its_mempool_takes_nothing_back(mut house: House) {
    let (id, key) = house.invoice(100_000, 10).await;
    let paid = payment("a", &key, 100_000, "in:0");
    house.chain.node().pool = vec![paid.clone()];
    house.poll().await;
    forget_mempool(&mut house).await;
    expect(&house, id, "detected", &["created", "detected"]).await;
    // A watcher that starts anew believes its node no more than the first did.
    house.restart().await;
    house.mine(Vec::new()).await;
    house.pass(20_000).await;
    let said = ["created", "detected", "updated"];
    expect(&house, id, "detected", &said).await;
    // It comes back after the expiry, and is the payment that was seen before it.
    house.chain.node().pool = vec![paid.clone()];
    house.poll().await;
    expect(&house, id, "detected", &said).await;
    house.mine(vec![paid]).await;
    house.mine(Vec::new()).await;
    let invoice = house.show(id).await;
    assert_eq!(invoice.status, "paid");
    assert_eq!(invoice.transfers.len(), 1);
    assert!(invoice.transfers[0].in_time);
    assert_eq!(left_reasons(&house.url).await, ["mined"]);
}

/// The node starts anew with nothing in its mempool.
async fn forget_mempool(house: &mut House) {
    {
        let mut node = house.chain.node();
        node.pool.clear();
        node.pool_age = Duration::ZERO;
    }
    house.poll().await;
}

async fn what_nobody_sends_again_is_gone_in_the_end(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.chain.node().pool = vec![payment("a", &key, 100_000, "in:0")];
    house.poll().await;
    forget_mempool(&mut house).await;
    // What came after the start, and left, was dropped.
    let (other, key) = house.invoice(100_000, 900).await;
    house.chain.node().pool = vec![payment("b", &key, 100_000, "in:1")];
    house.poll().await;
    house.chain.node().pool.clear();
    house.chain.node().pool_age = Duration::from_secs(2);
    house.poll().await;
    expect(
        &house,
        other,
        "created",
        &["created", "detected", "updated"],
    )
    .await;
    expect(&house, id, "detected", &["created", "detected"]).await;
    let kept_ms = u64::try_from(limits::FORGOTTEN_KEPT_MS).unwrap();
    house.now = house.now.plus_ms(limits::FORGOTTEN_KEPT_MS);
    house.chain.node().pool_age = Duration::from_millis(kept_ms + 10_000);
    house.mine(Vec::new()).await;
    let invoice = house.show(id).await;
    assert_eq!(invoice.status, "expired");
    assert_eq!(invoice.transfers[0].certainty, "gone");
    assert_eq!(left_reasons(&house.url).await, ["evicted", "evicted"]);
}

async fn a_forgotten_payment_ends_when_a_block_spends_its_coins(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.chain.node().pool = vec![payment("a", &key, 100_000, "in:0")];
    house.poll().await;
    forget_mempool(&mut house).await;
    house
        .mine(vec![payment("b", b"somebody else", 100_000, "in:0")])
        .await;
    expect(
        &house,
        id,
        "created",
        &["created", "detected", "updated", "exception.opened"],
    )
    .await;
    assert_eq!(left_reasons(&house.url).await, ["conflicted"]);
    // A block that is undone gives the coins back, and the payment can come again.
    {
        let now = house.now;
        let mut node = house.chain.node();
        node.drop_blocks(1);
        node.mine(vec![payment("a", &key, 100_000, "in:0")], now);
        node.mine(Vec::new(), now);
    }
    house.poll().await;
    let said = [
        "created",
        "detected",
        "updated",
        "exception.opened",
        "paid",
        "exception.resolved",
    ];
    expect(&house, id, "paid", &said).await;
}

async fn a_forgotten_payment_ends_when_another_transaction_spends_its_coins(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.chain.node().pool = vec![payment("a", &key, 100_000, "in:0")];
    house.poll().await;
    forget_mempool(&mut house).await;
    expect(&house, id, "detected", &["created", "detected"]).await;
    // No block comes, and the other transaction pays nobody whom we watch.
    house.chain.node().pool = vec![payment("b", b"somebody else", 100_000, "in:0")];
    house.pass(6_000).await;
    expect(
        &house,
        id,
        "created",
        &["created", "detected", "updated", "exception.opened"],
    )
    .await;
    assert_eq!(left_reasons(&house.url).await, ["replaced"]);
}

async fn a_lying_node_is_waited_out(mut house: House) {
    let (id, key) = house.invoice(100_000, 10).await;
    let cursor = the_chain(&house).await.cursor;
    house.chain.node().is_lying = true;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    for _ in 0..20 {
        house.pass(5_000).await;
    }
    let row = the_chain(&house).await;
    assert_eq!(row.cursor, cursor, "it is not taken for a block");
    assert_eq!(row.problem.unwrap().code, "block_unproven");
    assert_eq!(row.halted, None, "nobody has to help");
    expect(&house, id, "created", &["created"]).await;
    house.chain.node().is_lying = false;
    house.pass(20_000).await;
    house.poll().await;
    assert!(the_chain(&house).await.problem.is_none());
    let invoice = house.show(id).await;
    assert_eq!(invoice.status, "confirming");
    assert!(invoice.transfers[0].in_time, "by the time of its block");
}

/// The only chain, as `/v1/chains` shows it.
async fn the_chain(house: &House) -> chains::ChainRow {
    let mut rows = chains::all(&mut house.store.read().await.unwrap())
        .await
        .unwrap();
    rows.remove(0)
}

async fn the_last_millisecond_is_in_time(mut house: House) {
    let (mempool, first) = house.invoice(100_000, 10).await;
    let (block, second) = house.invoice(100_000, 10).await;
    house.pass(5_000).await;
    house.chain.node().pool = vec![payment("a", &first, 100_000, "in:0")];
    let expires_at = house.now.plus_ms(5_000);
    house
        .chain
        .node()
        .mine(vec![payment("b", &second, 100_000, "in:1")], expires_at);
    house.pass(5_000).await;
    assert_eq!(house.now, expires_at);
    for id in [mempool, block] {
        assert!(house.show(id).await.transfers[0].in_time);
    }
    let (mempool, first) = house.invoice(100_000, 10).await;
    let (block, second) = house.invoice(100_000, 10).await;
    house.pass(10_000).await;
    house.chain.node().pool = vec![payment("c", &first, 100_000, "in:2")];
    let now = house.now.plus_ms(1);
    house
        .chain
        .node()
        .mine(vec![payment("d", &second, 100_000, "in:3")], now);
    house.pass(1).await;
    house.poll().await;
    for id in [mempool, block] {
        let invoice = house.show(id).await;
        assert!(!invoice.transfers[0].in_time, "{invoice:#?}");
    }
}

async fn catching_up_is_shown_block_by_block(mut house: House) {
    const MISSED: u64 = 300;
    let (id, _) = house.invoice(100_000, 10).await;
    house.chain.node().is_down = true;
    house.pass(20_000).await;
    let now = house.now;
    for _ in 0..MISSED {
        house.chain.node().mine(Vec::new(), now);
    }
    house.chain.node().is_down = false;
    house.now = now.plus_ms(30_000);
    let mut lags = Vec::new();
    while lags.last() != Some(&0) {
        house.step().await;
        let row = the_chain(&house).await;
        let lag = row.tip_height.unwrap() - row.cursor.unwrap().height;
        if lags.last() != Some(&lag) {
            lags.push(lag);
            let status = house.show(id).await.status;
            assert!(lag == 0 || status == "created", "{status} at {lag} behind");
        }
        assert!(lags.len() < 400, "{lags:?}");
        if lags == [0] {
            // What was known before the node came back.
            lags.clear();
        }
    }
    assert_eq!(lags[0], MISSED, "{lags:?}");
    assert!(
        lags.is_sorted_by(|before, after| before > after),
        "{lags:?}"
    );
    assert!(3 < lags.len(), "it is shown on the way: {lags:?}");
    house.poll().await;
    expect(&house, id, "expired", &["created", "expired"]).await;
}

async fn left_reasons(url: &str) -> Vec<String> {
    const READ: &str = "SELECT left_reason FROM placements WHERE left_at IS NOT NULL ORDER BY id";
    if let Some(file) = url.strip_prefix("sqlite:") {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut conn = sqlx::SqliteConnection::connect_with(&options)
            .await
            .unwrap();
        sqlx::query_scalar(READ).fetch_all(&mut conn).await.unwrap()
    } else {
        let mut conn = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar(READ).fetch_all(&mut conn).await.unwrap()
    }
}

async fn late_money_is_late(mut house: House) {
    let (id, key) = house.invoice(100_000, 10).await;
    house.pass(20_000).await;
    expect(&house, id, "expired", &["created", "expired"]).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    expect(&house, id, "expired", &["created", "expired", "updated"]).await;
    house.mine(Vec::new()).await;
    expect(
        &house,
        id,
        "late_paid",
        &[
            "created",
            "expired",
            "updated",
            "late_paid",
            "exception.opened",
        ],
    )
    .await;
    assert!(!house.show(id).await.transfers[0].in_time);
}

async fn a_canceled_invoice_stays_canceled(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let canceled = house.cancel(id).await.unwrap();
    assert_eq!(canceled["status"], "canceled");
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(house.show(id).await.status, "canceled");
    let (paid, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("b", &key, 100_000, "in:1")]).await;
    house.mine(Vec::new()).await;
    match house.cancel(paid).await {
        Err(CommandError::Refused { status, code, .. }) => {
            assert_eq!((status, code), (409, "invoice_not_cancelable"));
        }
        other => panic!("a paid invoice was canceled: {other:?}"),
    }
    expect(&house, paid, "paid", &["created", "confirming", "paid"]).await;
}

async fn dust_is_counted_and_told_to_nobody(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 545, "in:0")]).await;
    house.mine(Vec::new()).await;
    expect(&house, id, "created", &["created"]).await;
    assert_eq!(
        house.show(id).await.options[0].tally.finalized,
        "0.00000545"
    );
}

async fn one_chain_has_one_follower(mut house: House) {
    let mut rival = house.rival();
    assert!(matches!(rival.step(house.now).await, Step::Idle { .. }));
    assert!(matches!(rival.step(house.now).await, Step::Idle { .. }));
    // The first one falls silent for longer than its lease: the rival takes over, and what the first
    // one still wants to write is refused.
    let later = house.now.plus_ms(16_000);
    assert_eq!(rival.step(later).await, Step::Progress);
    let (id, key) = house.invoice(100_000, 900).await;
    house.now = later.plus_ms(1);
    let now = house.now;
    house
        .chain
        .node()
        .mine(vec![payment("a", &key, 100_000, "in:0")], now);
    house.settle().await;
    expect(&house, id, "created", &["created"]).await;
    house.now = now.plus_ms(16_000);
    house.settle().await;
    house.poll().await;
    expect(&house, id, "confirming", &["created", "confirming"]).await;
}

async fn a_reorganisation_beyond_the_limit_halts_the_chain(mut house: House) {
    mine_many(&mut house, 90).await;
    let (id, _) = house.invoice(100_000, 900).await;
    {
        let now = house.now;
        let mut node = house.chain.node();
        node.drop_blocks(80);
        for _ in 0..81 {
            node.mine(Vec::new(), now);
        }
    }
    house.poll().await;
    house.pass(2_000_000).await;
    let row = chains::all(&mut house.store.read().await.unwrap())
        .await
        .unwrap()
        .remove(0);
    assert!(row.halted.unwrap().contains("deeper than the limit"));
    assert_eq!(row.cursor.unwrap().height, 92, "the cursor stays");
    expect(&house, id, "created", &["created"]).await;
}

pub(crate) async fn mine_many(house: &mut House, count: usize) {
    let now = house.now;
    for _ in 0..count {
        house.chain.node().mine(Vec::new(), now);
    }
    house.poll().await;
    house.poll().await;
}

async fn a_reorganisation_of_more_blocks_than_one_run_is_still_one_event(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    mine_many(&mut house, 67).await;
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
    {
        let now = house.now;
        let mut node = house.chain.node();
        node.drop_blocks(68);
        for _ in 0..67 {
            node.mine(Vec::new(), now);
        }
        node.mine(vec![payment("a", &key, 100_000, "in:0")], now);
        node.mine(Vec::new(), now);
    }
    house.poll().await;
    house.poll().await;
    // One result: the money is less deep for a moment and never gone.
    let said = house.said(id).await;
    assert!(
        said.len() <= 5 && said.last().unwrap() == "paid",
        "{said:?}"
    );
    assert!(!said.contains(&"updated".to_owned()), "{said:?}");
}

async fn a_payment_mined_below_the_height_of_creation_counts(mut house: House) {
    mine_many(&mut house, 5).await;
    let (id, key) = house.invoice(100_000, 900).await;
    {
        let now = house.now;
        let mut node = house.chain.node();
        node.drop_blocks(3);
        node.mine(vec![payment("a", &key, 100_000, "in:0")], now);
        for _ in 0..4 {
            node.mine(Vec::new(), now);
        }
    }
    house.poll().await;
    expect(&house, id, "paid", &["created", "paid"]).await;
}

async fn a_replacement_that_is_mined_unseen_is_counted_once(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.chain.node().pool = vec![payment("a", &key, 100_000, "in:0")];
    house.poll().await;
    house.mine(vec![payment("b", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    let said = ["created", "detected", "confirming", "paid"];
    expect(&house, id, "paid", &said).await;
    assert_eq!(left_reasons(&house.url).await, ["conflicted"]);
    let mut conn = house.store.read().await.unwrap();
    let events =
        paywatch_store::events::after(&mut conn, house.caller.merchant, house.caller.mode, 0, 100);
    for event in events.await.unwrap() {
        let body: serde_json::Value = serde_json::from_str(&event.body).unwrap();
        let excess = &body["data"]["invoice"]["options"][0]["tally"]["excess"];
        assert_eq!(
            excess,
            "0",
            "the money is told once in {}",
            event.kind.as_str()
        );
    }
}

async fn an_old_block_time_does_not_bring_back_an_expired_invoice(mut house: House) {
    let (id, key) = house.invoice(100_000, 10).await;
    house.pass(20_000).await;
    expect(&house, id, "expired", &["created", "expired"]).await;
    // The miner's clock is slow, and so was the node's answer.
    let long_ago = house.now.plus_ms(-60_000);
    house
        .chain
        .node()
        .mine(vec![payment("a", &key, 100_000, "in:0")], long_ago);
    house.pass(30_000).await;
    let now = house.now;
    house.chain.node().mine(Vec::new(), now);
    house.poll().await;
    let invoice = house.show(id).await;
    assert!(!invoice.transfers[0].in_time);
    assert_eq!(invoice.status, "late_paid");
}

async fn a_changed_address_in_the_database_is_not_believed(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    tamper(&house.url, "UPDATE options SET address = 'thief'").await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    match house.commands.invoice(&house.caller, id, house.now).await {
        Err(CommandError::Refused { code, .. }) => assert_eq!(code, "invoice_quarantined"),
        other => panic!("a changed address was shown: {other:?}"),
    }
    let said = ["created", "exception.opened"];
    assert_eq!(house.said(id).await, said, "no further claims");
    // The others go on.
    tamper(
        &house.url,
        "UPDATE options SET address = 'shop-0' WHERE address = 'thief'",
    )
    .await;
    let (other, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("b", &key, 100_000, "in:1")]).await;
    expect(&house, other, "confirming", &["created", "confirming"]).await;
}

/// Changes rows from outside; answers how many.
/// The first column of what a SQLite file answers.
pub(crate) async fn select(url: &str, statement: &'static str) -> Vec<String> {
    let file = url.strip_prefix("sqlite:").unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut conn = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    let rows = sqlx::query_scalar(statement).fetch_all(&mut conn).await;
    rows.unwrap()
}

pub(crate) async fn tamper(url: &str, statement: &'static str) -> u64 {
    if let Some(file) = url.strip_prefix("sqlite:") {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut conn = sqlx::SqliteConnection::connect_with(&options)
            .await
            .unwrap();
        let done = sqlx::query(statement).execute(&mut conn).await;
        done.unwrap().rows_affected()
    } else {
        let mut conn = sqlx::PgConnection::connect(url).await.unwrap();
        let done = sqlx::query(statement).execute(&mut conn).await;
        done.unwrap().rows_affected()
    }
}

async fn a_restart_in_between_changes_nothing(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let paid = payment("a", &key, 100_000, "in:0");
    house.chain.node().pool = vec![paid.clone()];
    house.poll().await;
    house.restart().await;
    house.mine(vec![paid]).await;
    house.restart().await;
    let now: UnixMillis = house.now;
    house.chain.node().mine(Vec::new(), now);
    house.restart().await;
    house.poll().await;
    let said = ["created", "detected", "confirming", "paid"];
    expect(&house, id, "paid", &said).await;
}

/// Drops the block of a payment that has one of two; `credits` of the other branch come in its place.
async fn reorganise(house: &mut House, credits: Vec<Credit>) {
    let now = house.now;
    {
        let mut node = house.chain.node();
        node.drop_blocks(1);
        node.mine(credits, now);
        node.mine(Vec::new(), now);
    }
    house.poll().await;
}

async fn the_branch_that_takes_a_payment_away_spends_its_coins(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let paid = payment("a", &key, 100_000, "in:0");
    house.mine(vec![paid.clone()]).await;
    expect(&house, id, "confirming", &["created", "confirming"]).await;
    let other = payment("b", b"somebody else", 100_000, "in:0");
    reorganise(&mut house, vec![other]).await;
    let said = ["created", "confirming", "updated", "exception.opened"];
    expect(&house, id, "created", &said).await;
    assert_eq!(house.last_cause(id).await, "reorg");
    let shown = house.show(id).await;
    assert_eq!(shown.transfers[0].certainty, "gone");
    assert_eq!(shown.exceptions[0].kind, "double_spent");
    let stake = shown.exceptions[0].amount_atomic.as_deref();
    assert_eq!(stake, Some("100000"));
    assert_eq!(left_reasons(&house.url).await, ["reorged", "conflicted"]);
    // The first branch wins in the end.
    house.chain.node().drop_blocks(2);
    let now = house.now;
    for credits in [vec![paid], Vec::new(), Vec::new()] {
        house.chain.node().mine(credits, now);
    }
    house.poll().await;
    let said = [&said[..], &["paid", "exception.resolved"]].concat();
    expect(&house, id, "paid", &said).await;
}

async fn the_coins_are_spent_after_the_branch_took_the_payment_away(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    reorganise(&mut house, Vec::new()).await;
    let said = ["created", "confirming", "updated"];
    expect(&house, id, "created", &said).await;
    house.restart().await;
    let other = payment("b", b"somebody else", 100_000, "in:0");
    house.mine(vec![other]).await;
    let said = [&said[..], &["exception.opened"]].concat();
    expect(&house, id, "created", &said).await;
    assert_eq!(house.show(id).await.exceptions[0].kind, "double_spent");
    // It is over: what else spends the same changes nothing.
    let third = payment("c", b"somebody else", 100_000, "in:0");
    house.mine(vec![third]).await;
    assert_eq!(left_reasons(&house.url).await, ["reorged", "conflicted"]);
    assert_eq!(house.said(id).await, said);
}

async fn a_payment_that_lost_its_block_comes_back(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let paid = payment("a", &key, 100_000, "in:0");
    house.mine(vec![paid.clone()]).await;
    reorganise(&mut house, vec![paid]).await;
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
    assert_eq!(left_reasons(&house.url).await, ["reorged"]);
}
