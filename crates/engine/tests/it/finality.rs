//! Marks and money without a block, on both databases.
//!
//! Goal: what is said to be final follows the marks that the node gives and the rules of unconfirmed
//! acceptance, and nothing that a node says later takes it back while its blocks stand.

use paywatch_chain::{Credit, Source as _, Vetting};
use paywatch_domain::{
    BlockRef, Commitment, Finality, InvoiceId, Mark, Price, Tag, TxId, Unconfirmed,
};
use paywatch_store::blocks;

use crate::chain::payment;
use crate::house::{House, REORG_DEPTH_MAX};
use crate::requests::finish;
use crate::scenarios::{expect, mine_many, stories};

stories!(
    a_tag_makes_final_what_it_has_reached,
    each_commitment_has_its_own_mark,
    a_lower_mark_takes_nothing_back_and_is_shown,
    a_mark_of_another_chain_is_not_believed,
    a_mark_far_below_what_may_be_undone_is_believed,
    a_mark_that_cannot_be_compared_is_not_believed,
    a_mark_holds_for_no_other_branch,
    a_chain_that_loses_final_blocks_halts,
    a_chain_that_lost_final_blocks_goes_on_and_halts_again,
    money_without_a_block_is_final_after_its_time_although_nothing_happens,
    a_rule_that_is_not_kept_is_asked_about_again,
    money_that_replaced_another_payment_waits_for_a_block,
    a_double_spend_after_acceptance_reverts_the_invoice,
    what_a_node_forgets_too_early_is_not_accepted,
    time_in_which_nobody_looked_does_not_count,
    a_clock_that_ran_ahead_has_seen_nothing,
    an_accepted_payment_goes_back_to_the_mempool_with_its_block,
    an_accepted_payment_that_a_reorganisation_loses_is_reverted,
);

/// More blocks than a reorganisation may undo.
const FAR: usize = 75;
const _: () = assert!(REORG_DEPTH_MAX < 75, "far is further");
const CONFIRMING: [&str; 2] = ["created", "confirming"];
const PAID: [&str; 3] = ["created", "confirming", "paid"];

fn tip(house: &House) -> BlockRef {
    house.chain.node().blocks.last().unwrap().at.clone()
}

/// The node puts a mark on one of its blocks.
async fn mark(house: &mut House, mark: Mark, at: BlockRef) {
    house.chain.node().marks.insert(mark, at);
    house.poll().await;
}

/// An invoice that was paid in the last block.
async fn mined(house: &mut House, finality: Finality) -> (InvoiceId, BlockRef) {
    house.adopt(finality);
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    (id, tip(house))
}

async fn problem(house: &House) -> Option<String> {
    house.row().await.problem.map(|problem| problem.code)
}

async fn a_tag_makes_final_what_it_has_reached(mut house: House) {
    let below = tip(&house);
    let (id, block) = mined(&mut house, Finality::Tag(Tag::Safe)).await;
    mark(&mut house, Mark::Safe, below).await;
    house.mine(Vec::new()).await;
    expect(&house, id, "confirming", &CONFIRMING).await;
    mark(&mut house, Mark::Safe, block).await;
    expect(&house, id, "paid", &PAID).await;
    assert_eq!(house.last_cause(id).await, "block");
    assert_eq!(problem(&house).await, None);
    house.restart().await;
    expect(&house, id, "paid", &PAID).await;
}

async fn each_commitment_has_its_own_mark(mut house: House) {
    let finalized = Finality::Commitment(Commitment::Finalized);
    let (slow, block) = mined(&mut house, finalized).await;
    house.adopt(Finality::Commitment(Commitment::Confirmed));
    let (fast, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("b", &key, 100_000, "in:1")]).await;
    let above = tip(&house);
    mark(&mut house, Mark::Confirmed, above).await;
    expect(&house, slow, "confirming", &CONFIRMING).await;
    expect(&house, fast, "paid", &PAID).await;
    mark(&mut house, Mark::Finalized, block).await;
    expect(&house, slow, "paid", &PAID).await;
}

async fn a_lower_mark_takes_nothing_back_and_is_shown(mut house: House) {
    let below = tip(&house);
    let (id, block) = mined(&mut house, Finality::Tag(Tag::Finalized)).await;
    mark(&mut house, Mark::Finalized, block.clone()).await;
    expect(&house, id, "paid", &PAID).await;
    mark(&mut house, Mark::Finalized, below).await;
    assert_eq!(problem(&house).await.as_deref(), Some("mark_lowered"));
    expect(&house, id, "paid", &PAID).await;
    assert_eq!(house.row().await.marks.finalized, Some(block.height));
    // Following goes on, and the problem ends with the contradiction.
    let covered = house.row().await.covered_until;
    mark(&mut house, Mark::Finalized, block).await;
    assert_eq!(problem(&house).await, None);
    assert!(covered < house.row().await.covered_until);
}

async fn a_mark_of_another_chain_is_not_believed(mut house: House) {
    let (id, block) = mined(&mut house, Finality::Tag(Tag::Safe)).await;
    let elsewhere = BlockRef {
        hash: paywatch_domain::BlockHash::new("elsewhere"),
        ..block.clone()
    };
    mark(&mut house, Mark::Safe, elsewhere).await;
    assert_eq!(problem(&house).await.as_deref(), Some("mark_elsewhere"));
    expect(&house, id, "confirming", &CONFIRMING).await;
    let above = BlockRef {
        height: block.height + 5,
        ..block.clone()
    };
    mark(&mut house, Mark::Safe, above).await;
    assert_eq!(problem(&house).await.as_deref(), Some("mark_elsewhere"));
    expect(&house, id, "confirming", &CONFIRMING).await;
    mark(&mut house, Mark::Safe, block).await;
    expect(&house, id, "paid", &PAID).await;
}

/// A chain whose own finality takes more blocks than a reorganisation may undo: headers up to it are kept.
async fn a_mark_far_below_what_may_be_undone_is_believed(mut house: House) {
    let below = tip(&house);
    mark(&mut house, Mark::Finalized, below).await;
    let (id, block) = mined(&mut house, Finality::Tag(Tag::Finalized)).await;
    mine_many(&mut house, FAR).await;
    house.restart().await;
    mine_many(&mut house, FAR).await;
    expect(&house, id, "confirming", &CONFIRMING).await;
    mark(&mut house, Mark::Finalized, block).await;
    assert_eq!(problem(&house).await, None);
    expect(&house, id, "paid", &PAID).await;
    // What lies below it is thinned out with the next block.
    house.mine(Vec::new()).await;
    let kept = kept_headers(&house).await;
    assert!((2 * FAR..3 * FAR).contains(&kept), "{kept} headers");
}

/// A header that was thrown away may have been one of another branch.
async fn a_mark_that_cannot_be_compared_is_not_believed(mut house: House) {
    let (id, block) = mined(&mut house, Finality::Tag(Tag::Finalized)).await;
    mine_many(&mut house, FAR).await;
    mine_many(&mut house, FAR).await;
    mark(&mut house, Mark::Finalized, block).await;
    assert_eq!(problem(&house).await.as_deref(), Some("mark_too_low"));
    expect(&house, id, "confirming", &CONFIRMING).await;
    let above = tip(&house);
    mark(&mut house, Mark::Finalized, above).await;
    assert_eq!(problem(&house).await, None);
    expect(&house, id, "paid", &PAID).await;
}

async fn kept_headers(house: &House) -> usize {
    let mut conn = house.store.read().await.unwrap();
    let chain = house.chain.chain().clone();
    blocks::between(&mut conn, &chain, 0, u64::MAX >> 1)
        .await
        .unwrap()
        .len()
}

async fn a_mark_holds_for_no_other_branch(mut house: House) {
    let (id, block) = mined(&mut house, Finality::Tag(Tag::Safe)).await;
    mark(&mut house, Mark::Safe, block).await;
    expect(&house, id, "paid", &PAID).await;
    let paid = {
        let mut node = house.chain.node();
        node.marks.clear();
        node.drop_blocks(1).remove(0).credits
    };
    let now = house.now;
    house.chain.node().mine(paid, now);
    house.mine(Vec::new()).await;
    let said = [
        "created",
        "confirming",
        "paid",
        "reverted",
        "exception.opened",
    ];
    expect(&house, id, "confirming", &said).await;
}

async fn a_chain_that_loses_final_blocks_halts(mut house: House) {
    let (id, block) = mined(&mut house, Finality::Tag(Tag::Finalized)).await;
    mark(&mut house, Mark::Finalized, block).await;
    expect(&house, id, "paid", &PAID).await;
    let now = house.now;
    {
        let mut node = house.chain.node();
        node.drop_blocks(1);
        node.mine(Vec::new(), now);
        node.mine(Vec::new(), now);
    }
    house.poll().await;
    let halted = house.row().await.halted.unwrap();
    assert!(halted.contains("called it final"), "{halted}");
    expect(&house, id, "paid", &PAID).await;
    house.resume().await.unwrap();
    house.pass(3_000).await;
    assert_eq!(house.row().await.halted, None);
    let said = [
        "created",
        "confirming",
        "paid",
        "reverted",
        "exception.opened",
    ];
    expect(&house, id, "created", &said).await;
}

async fn a_chain_that_lost_final_blocks_goes_on_and_halts_again(mut house: House) {
    mine_many(&mut house, 90).await;
    let finalized = Finality::Tag(Tag::Finalized);
    let (id, block) = mined(&mut house, finalized.clone()).await;
    mark(&mut house, Mark::Finalized, block).await;
    expect(&house, id, "paid", &PAID).await;
    // One block at first, then more than are followed back; each time the node stands by its old mark.
    for undone in [1, 80] {
        let now = house.now;
        {
            let mut node = house.chain.node();
            node.drop_blocks(undone);
            for _ in 0..=undone {
                node.mine(Vec::new(), now);
            }
        }
        house.poll().await;
        assert!(house.row().await.halted.is_some(), "{undone}");
        house.restart().await;
        let asked = house.resume().await.unwrap();
        // A crash between the permission and the event keeps it.
        house.now = house.now.plus_ms(3_000);
        house.steps(2).await;
        house.restart().await;
        let done = finish(&mut house, &asked).await;
        assert_eq!(done.state, "done", "{undone}: {done:?}");
        let row = house.row().await;
        assert_eq!(row.halted, None, "{undone}");
        assert_eq!(row.cursor, Some(tip(&house)), "{undone}");
        assert_eq!(problem(&house).await.as_deref(), Some("mark_elsewhere"));
        // What is final on the new branch is believed again, and new money is.
        let (next, block) = mined(&mut house, finalized.clone()).await;
        mark(&mut house, Mark::Finalized, block.clone()).await;
        assert_eq!(problem(&house).await, None);
        assert_eq!(house.row().await.marks.finalized, Some(block.height));
        assert_eq!(house.show(next).await.status, "paid", "{undone}");
    }
    assert_eq!(house.show(id).await.status, "created");
    let told = house.said(id).await;
    let reverted = told.iter().filter(|kind| **kind == "reverted");
    assert_eq!(reverted.count(), 1, "{told:?}");
}

/// Up to 0.0015 without a block after ten seconds, else two blocks.
fn small() -> Finality {
    let rule = Unconfirmed {
        max: Price {
            amount: "0.0015".into(),
            currency: "BTC".into(),
        },
        seen_s: 10,
    };
    Finality::Any(vec![Finality::Unconfirmed(rule), Finality::Depth(2)])
}

fn good(tx: &str) -> Vetting {
    Vetting {
        tx_id: TxId::new(tx),
        has_parents: false,
        fee_rate: 2_000,
        fee_rate_next: Some(1_000),
    }
}

/// An invoice with a payment in the mempool, of which the node says this.
async fn waiting(house: &mut House, vetting: Vetting) -> (InvoiceId, Credit) {
    house.adopt(small());
    let (id, key) = house.invoice(100_000, 900).await;
    let paid = payment("a", &key, 100_000, "in:0");
    house.chain.node().pool.push(paid.clone());
    house.chain.node().vettings.push(vetting);
    house.poll().await;
    expect(house, id, "detected", &["created", "detected"]).await;
    (id, paid)
}

const ACCEPTED: [&str; 3] = ["created", "detected", "paid"];

/// A minute in which the node answers.
async fn minute(house: &mut House) {
    for _ in 0..6 {
        house.pass(10_000).await;
    }
}

async fn money_without_a_block_is_final_after_its_time_although_nothing_happens(mut house: House) {
    let (id, paid) = waiting(&mut house, good("a")).await;
    house.pass(9_000).await;
    expect(&house, id, "detected", &["created", "detected"]).await;
    house.pass(2_000).await;
    expect(&house, id, "paid", &ACCEPTED).await;
    assert_eq!(house.last_cause(id).await, "expiry");
    // Its block is no news, and neither is a rise of what blocks cost.
    house.chain.node().vettings[0].fee_rate_next = Some(9_000);
    house.poll().await;
    house.mine(vec![paid]).await;
    expect(&house, id, "paid", &ACCEPTED).await;
    house.mine(Vec::new()).await;
    expect(&house, id, "paid", &ACCEPTED).await;
}

async fn a_rule_that_is_not_kept_is_asked_about_again(mut house: House) {
    let poor = Vetting {
        has_parents: true,
        ..good("a")
    };
    let (id, _) = waiting(&mut house, poor).await;
    house.pass(11_000).await;
    expect(&house, id, "detected", &["created", "detected"]).await;
    house.chain.node().vettings[0].has_parents = false;
    house.poll().await;
    expect(&house, id, "paid", &ACCEPTED).await;
}

async fn money_that_replaced_another_payment_waits_for_a_block(mut house: House) {
    house.adopt(small());
    let (id, key) = house.invoice(100_000, 900).await;
    {
        let mut node = house.chain.node();
        node.pool.push(payment("a", &key, 100_000, "in:0"));
        node.vettings.push(good("a"));
        node.conflicts.push((TxId::new("other"), "in:0".into()));
    }
    house.poll().await;
    minute(&mut house).await;
    expect(&house, id, "detected", &["created", "detected"]).await;
}

async fn a_double_spend_after_acceptance_reverts_the_invoice(mut house: House) {
    let (id, paid) = waiting(&mut house, good("a")).await;
    house.pass(11_000).await;
    expect(&house, id, "paid", &ACCEPTED).await;
    let theft = payment("theft", b"elsewhere", 100_000, "in:0");
    house.chain.node().pool = vec![theft];
    house.poll().await;
    let said = [
        "created",
        "detected",
        "paid",
        "reverted",
        "exception.opened",
    ];
    expect(&house, id, "created", &said).await;
    // It comes back, and is not trusted again before it has its blocks.
    house.chain.node().pool = vec![paid.clone()];
    house.poll().await;
    minute(&mut house).await;
    assert_eq!(house.show(id).await.status, "detected");
}

async fn what_a_node_forgets_too_early_is_not_accepted(mut house: House) {
    let (id, _) = waiting(&mut house, good("a")).await;
    {
        let mut node = house.chain.node();
        node.pool.clear();
        node.vettings.clear();
        node.pool_age = std::time::Duration::from_secs(1);
    }
    house.poll().await;
    minute(&mut house).await;
    expect(&house, id, "detected", &["created", "detected"]).await;
}

async fn time_in_which_nobody_looked_does_not_count(mut house: House) {
    let (id, _) = waiting(&mut house, good("a")).await;
    house.chain.node().is_down = true;
    house.pass(300_000).await;
    house.pass(300_000).await;
    house.chain.node().is_down = false;
    until_read(&mut house).await;
    expect(&house, id, "detected", &["created", "detected"]).await;
    house.pass(9_000).await;
    expect(&house, id, "detected", &["created", "detected"]).await;
    house.pass(2_000).await;
    expect(&house, id, "paid", &ACCEPTED).await;
    // What was seen for long enough before is accepted whatever comes.
    house.chain.node().is_down = true;
    house.pass(60_000).await;
    house.chain.node().is_down = false;
    until_read(&mut house).await;
    house.restart().await;
    expect(&house, id, "paid", &ACCEPTED).await;
}

/// The first poll that the node answers.
async fn until_read(house: &mut House) {
    let covered = house.row().await.covered_until;
    for _ in 0..60 {
        house.poll().await;
        if covered < house.row().await.covered_until {
            return;
        }
    }
    panic!("the node was not read");
}

async fn a_clock_that_ran_ahead_has_seen_nothing(mut house: House) {
    for (ahead_ms, is_accepted) in [(14_000, true), (3_600_000, false)] {
        house.adopt(small());
        let (id, key) = house.invoice(100_000, 36_000).await;
        house.pass(ahead_ms).await;
        house.now = house.now.plus_ms(-ahead_ms);
        house.restart().await;
        let tx = format!("paid {ahead_ms}");
        let paid = payment(&tx, &key, 100_000, &format!("in:{ahead_ms}"));
        house.chain.node().pool.push(paid);
        house.chain.node().vettings.push(good(&tx));
        house.poll().await;
        expect(&house, id, "detected", &["created", "detected"]).await;
        house.pass(9_000).await;
        expect(&house, id, "detected", &["created", "detected"]).await;
        house.pass(2_000).await;
        // Nobody can tell a long jump from an hour in which nobody looked.
        if is_accepted {
            expect(&house, id, "paid", &ACCEPTED).await;
        } else {
            expect(&house, id, "detected", &["created", "detected"]).await;
        }
    }
}

/// An accepted payment whose block is replaced by two others.
async fn reorganised(house: &mut House, is_put_back: bool) -> InvoiceId {
    let (id, paid) = waiting(house, good("a")).await;
    house.pass(11_000).await;
    house.mine(vec![paid.clone()]).await;
    expect(house, id, "paid", &ACCEPTED).await;
    let now = house.now;
    {
        let mut node = house.chain.node();
        node.drop_blocks(1);
        node.mine(Vec::new(), now);
        node.mine(Vec::new(), now);
        node.pool.extend(is_put_back.then_some(paid));
    }
    house.poll().await;
    id
}

async fn an_accepted_payment_goes_back_to_the_mempool_with_its_block(mut house: House) {
    let id = reorganised(&mut house, true).await;
    expect(&house, id, "paid", &ACCEPTED).await;
    house.restart().await;
    expect(&house, id, "paid", &ACCEPTED).await;
    let theft = payment("theft", b"elsewhere", 100_000, "in:0");
    house.chain.node().pool = vec![theft];
    house.poll().await;
    assert_eq!(house.show(id).await.status, "created");
}

async fn an_accepted_payment_that_a_reorganisation_loses_is_reverted(mut house: House) {
    let id = reorganised(&mut house, false).await;
    let said = [
        "created",
        "detected",
        "paid",
        "reverted",
        "exception.opened",
    ];
    expect(&house, id, "created", &said).await;
}
