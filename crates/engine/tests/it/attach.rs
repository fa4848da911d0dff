//! Transactions that people attach to invoices, and invoices that they check, on both databases.
//!
//! Goal: what is attached or checked is on record exactly as if it had been seen, and nothing else is.
//! Method: as in `requests`; what was seen is taken away from the database.

use paywatch_engine::commands::CommandError;
use paywatch_wire::{ChainRequest, Invoice};

use crate::chain::payment;
use crate::house::{House, REORG_DEPTH_MAX};
use crate::requests::finish;
use crate::scenarios::{expect, mine_many, stories, tamper};

stories!(
    a_lost_transaction_is_attached_as_if_it_had_been_seen,
    a_transaction_that_is_on_record_is_attached_without_a_word,
    what_does_not_pay_the_invoice_is_refused,
    a_transaction_that_the_node_cannot_find_is_found_in_its_block,
    a_transaction_waits_until_its_block_is_followed,
    a_transaction_that_changes_its_block_is_found_in_the_other,
    what_is_on_record_needs_no_node_that_finds_it,
    an_attachment_survives_a_crash,
    an_invoice_that_is_checked_gets_what_was_missed,
    a_check_reads_the_mempool_at_once,
    a_check_reads_only_where_the_node_finds_the_invoice,
    a_check_reads_up_to_what_proves_an_old_block,
    a_check_finds_what_stands_where_it_is_not,
    a_check_of_what_is_named_nowhere_reads_nothing,
    a_check_by_an_index_survives_a_crash_and_a_node_that_fails,
    what_is_withdrawn_is_let_go,
);

const LOSE_ALL: [&str; 3] = [
    "DELETE FROM placements",
    "DELETE FROM spends",
    "DELETE FROM transfers",
];

/// A paid invoice, and another one, whose transfers the database has lost.
async fn lost(house: &mut House) -> (paywatch_domain::InvoiceId, Invoice) {
    let (id, key) = house.invoice(100_000, 86_400).await;
    let (_, other) = house.invoice(100_000, 86_400).await;
    house
        .mine(vec![
            payment("a", &key, 100_000, "in:0"),
            payment("b", &other, 100_000, "in:1"),
        ])
        .await;
    mine_many(house, 30).await;
    let before = house.show(id).await;
    for statement in LOSE_ALL {
        tamper(&house.url, statement).await;
    }
    assert!(house.show(id).await.transfers.is_empty());
    (id, before)
}

/// An invoice without what a row that was written anew has anew.
fn plain(mut invoice: Invoice) -> Invoice {
    for transfer in &mut invoice.transfers {
        transfer.id = String::new();
        transfer.sighted_at = String::new();
        transfer.final_at = None;
    }
    invoice
}

fn rejection(request: &ChainRequest) -> (&str, Option<&str>) {
    let findings = request.findings.as_ref();
    let rejection = findings.and_then(|findings| findings.rejection.as_deref());
    (&request.state, rejection)
}

fn placed(request: &ChainRequest) -> Option<u64> {
    request.findings.as_ref().unwrap().placed
}

async fn a_lost_transaction_is_attached_as_if_it_had_been_seen(mut house: House) {
    let (id, before) = lost(&mut house).await;
    let asked = house.attach(id, "a", None).await;
    assert_eq!(
        (&*asked.kind, asked.tx_id.as_deref()),
        ("attach", Some("a"))
    );
    assert_eq!(asked.invoice_id, Some(id.to_string()));
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, placed(&done)), ("done", Some(1)), "{done:?}");
    assert_eq!((done.blocks_done, done.blocks_total), (1, Some(1)));
    assert_eq!(plain(house.show(id).await), plain(before));
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
}

async fn a_transaction_that_is_on_record_is_attached_without_a_word(mut house: House) {
    let (id, key) = house.invoice(100_000, 86_400).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    mine_many(&mut house, 10).await;
    let before = house.show(id).await;
    let asked = house.attach(id, "a", None).await;
    let again = house.attach(id, "a", None).await;
    assert_eq!(asked.id, again.id, "asking twice is asking once");
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, placed(&done)), ("done", Some(0)));
    assert_eq!(house.show(id).await, before);
}

async fn what_does_not_pay_the_invoice_is_refused(mut house: House) {
    let (id, before) = lost(&mut house).await;
    let key = before.options[0].address.clone();
    let waits = payment("c", key.as_bytes(), 5_000, "in:2");
    house.chain.node().pool = vec![waits];
    for (tx_id, block, code) in [
        ("a", Some(4), "transaction_not_in_chain"),
        ("a", Some(4_000), "transaction_not_in_chain"),
        ("b", None, "transaction_pays_nothing"),
        ("b", Some(3), "transaction_pays_nothing"),
        ("c", None, "transaction_in_mempool"),
        ("d", None, "transaction_not_in_chain"),
    ] {
        let asked = house.attach(id, tx_id, block).await;
        let done = finish(&mut house, &asked).await;
        assert_eq!(
            rejection(&done),
            ("failed", Some(code)),
            "{tx_id} {block:?}"
        );
        assert!(done.error.is_some());
    }
    let transfers = house.show(id).await.transfers;
    let seen: Vec<&str> = transfers.iter().map(|one| &*one.tx_id).collect();
    assert!(!seen.contains(&"b"), "{seen:?}");
}

async fn a_transaction_that_the_node_cannot_find_is_found_in_its_block(mut house: House) {
    let (id, before) = lost(&mut house).await;
    house.chain.node().is_forgetful = true;
    let asked = house.attach(id, "a", None).await;
    let done = finish(&mut house, &asked).await;
    assert_eq!(rejection(&done), ("failed", Some("transaction_not_found")));
    assert!(done.error.unwrap().contains("name the block"));
    let asked = house.attach(id, "a", Some(3)).await;
    let done = finish(&mut house, &asked).await;
    assert_eq!(placed(&done), Some(1));
    assert_eq!(plain(house.show(id).await), plain(before));
}

async fn a_transaction_waits_until_its_block_is_followed(mut house: House) {
    let (id, key) = house.invoice(100_000, 86_400).await;
    house.chain.hold_back(true);
    let now = house.now;
    let paid = payment("a", &key, 100_000, "in:0");
    house.chain.node().mine(vec![paid], now);
    house.poll().await;
    let asked = house.attach(id, "a", None).await;
    house.poll().await;
    house.poll().await;
    let waits = house.request(&asked).await;
    assert_eq!(waits.state, "running");
    assert!(waits.error.unwrap().contains("not followed now"));
    house.chain.hold_back(false);
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, placed(&done)), ("done", Some(0)));
    expect(&house, id, "confirming", &["created", "confirming"]).await;
}

async fn a_transaction_that_changes_its_block_is_found_in_the_other(mut house: House) {
    let (id, key) = house.invoice(100_000, 86_400).await;
    let paid = payment("a", &key, 100_000, "in:0");
    house.mine(vec![paid.clone()]).await;
    mine_many(&mut house, 5).await;
    // Its block is known and cannot be read before the branch with it is left.
    let height = house.chain.node().hide(3);
    let asked = house.attach(id, "a", None).await;
    house.poll().await;
    assert_eq!(house.request(&asked).await.state, "running");
    {
        let now = house.now;
        let mut node = house.chain.node();
        node.show(height);
        node.drop_blocks(6);
        node.mine(Vec::new(), now);
        node.mine(vec![paid], now);
        for _ in 0..6 {
            node.mine(Vec::new(), now);
        }
    }
    house.poll().await;
    assert_eq!(house.show(id).await.status, "paid");
    for statement in LOSE_ALL {
        tamper(&house.url, statement).await;
    }
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, placed(&done)), ("done", Some(1)), "{done:?}");
    assert_eq!(house.show(id).await.status, "paid");
}

async fn what_is_on_record_needs_no_node_that_finds_it(mut house: House) {
    let (id, key) = house.invoice(100_000, 86_400).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    house.chain.node().is_forgetful = true;
    for block in [None, Some(2)] {
        let asked = house.attach(id, "a", block).await;
        let done = finish(&mut house, &asked).await;
        assert_eq!((&*done.state, placed(&done)), ("done", Some(0)), "{done:?}");
    }
}

async fn an_attachment_survives_a_crash(mut house: House) {
    let (id, before) = lost(&mut house).await;
    house.chain.hold_back(true);
    let asked = house.attach(id, "a", None).await;
    house.poll().await;
    assert_eq!(house.request(&asked).await.state, "running");
    house.restart().await;
    house.chain.hold_back(false);
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, placed(&done)), ("done", Some(1)));
    assert_eq!(plain(house.show(id).await), plain(before));
}

async fn an_invoice_that_is_checked_gets_what_was_missed(mut house: House) {
    mine_many(&mut house, 90).await;
    let (id, before) = lost(&mut house).await;
    let asked = house.check(id).await;
    let height = house.row().await.cursor.unwrap().height;
    assert_eq!(asked.kind, "check");
    assert_eq!(
        (asked.from_height, asked.to_height),
        (Some(92 - REORG_DEPTH_MAX), Some(height)),
        "from where money for it counts"
    );
    let again = house.check(id).await;
    assert_eq!(again.id, asked.id, "asking twice is asking once");
    let done = finish(&mut house, &asked).await;
    assert_eq!(
        (&*done.state, placed(&done)),
        ("done", Some(1)),
        "of this invoice alone"
    );
    assert_eq!(Some(done.blocks_done), done.blocks_total);
    let after = house.show(id).await;
    assert_eq!(after.options[0].tally, before.options[0].tally);
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
}

async fn a_check_reads_the_mempool_at_once(mut house: House) {
    let (id, key) = house.invoice(100_000, 86_400).await;
    house.poll().await;
    house.chain.node().pool = vec![payment("a", &key, 100_000, "in:0")];
    let asked = house.check(id).await;
    let done = finish(&mut house, &asked).await;
    assert_eq!(done.state, "done");
    expect(&house, id, "detected", &["created", "detected"]).await;
}

/// The heights of blocks that were read since the node began to count.
fn read(house: &House) -> Vec<u64> {
    house.chain.node().fetched.keys().copied().collect()
}

async fn a_check_reads_only_where_the_node_finds_the_invoice(mut house: House) {
    mine_many(&mut house, 90).await;
    let (id, before) = lost(&mut house).await;
    let paid_at = before.transfers[0].block_height.unwrap();
    {
        let mut node = house.chain.node();
        node.indexed_from = Some(0);
        node.fetched.clear();
    }
    let asked = house.check(id).await;
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, placed(&done)), ("done", Some(1)), "{done:?}");
    assert_eq!(Some(done.blocks_done), done.blocks_total);
    assert_eq!(read(&house), [paid_at], "its own header proves it");
    assert_eq!(plain(house.show(id).await), plain(before));
}

async fn a_check_reads_up_to_what_proves_an_old_block(mut house: House) {
    let (id, before) = lost(&mut house).await;
    let paid_at = before.transfers[0].block_height.unwrap();
    mine_many(&mut house, 250).await;
    {
        let mut node = house.chain.node();
        node.indexed_from = Some(0);
        node.fetched.clear();
    }
    let asked = house.check(id).await;
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, placed(&done)), ("done", Some(1)), "{done:?}");
    assert_eq!(Some(done.blocks_done), done.blocks_total);
    let run: Vec<u64> = (paid_at..=100).collect();
    assert_eq!(read(&house), run, "every hundredth header is kept");
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
}

async fn a_check_finds_what_stands_where_it_is_not(mut house: House) {
    let (id, key) = house.invoice(100_000, 86_400).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    mine_many(&mut house, 10).await;
    let paid_at = house.show(id).await.transfers[0].block_height.unwrap();
    {
        // What it says now: the transaction was never there, and its index does not know it either.
        let mut node = house.chain.node();
        node.indexed_from = Some(0);
        node.blocks[usize::try_from(paid_at).unwrap()]
            .credits
            .clear();
    }
    let asked = house.check(id).await;
    let done = finish(&mut house, &asked).await;
    let findings = done.findings.as_ref().unwrap();
    assert_eq!((findings.placed, findings.removed), (Some(0), Some(1)));
    assert_eq!(house.show(id).await.status, "created");
}

async fn a_check_of_what_is_named_nowhere_reads_nothing(mut house: House) {
    let (id, _) = house.invoice(100_000, 86_400).await;
    mine_many(&mut house, 10).await;
    {
        let mut node = house.chain.node();
        node.indexed_from = Some(0);
        node.fetched.clear();
    }
    let asked = house.check(id).await;
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, placed(&done)), ("done", Some(0)), "{done:?}");
    assert_eq!(Some(done.blocks_done), done.blocks_total);
    assert_eq!(read(&house), [0_u64; 0]);
}

async fn a_check_by_an_index_survives_a_crash_and_a_node_that_fails(mut house: House) {
    let (id, key) = house.invoice(100_000, 86_400).await;
    for part in ["a", "b", "c"] {
        house.mine(vec![payment(part, &key, 30_000, part)]).await;
        mine_many(&mut house, 7).await;
    }
    for statement in LOSE_ALL {
        tamper(&house.url, statement).await;
    }
    house.chain.node().indexed_from = Some(0);
    house.chain.hold_back(true);
    let asked = house.check(id).await;
    house.poll().await;
    assert_eq!(house.request(&asked).await.state, "running");
    house.restart().await;
    house.chain.node().is_down = true;
    house.chain.hold_back(false);
    house.poll().await;
    house.chain.node().is_down = false;
    house.pass(60_000).await;
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, placed(&done)), ("done", Some(3)), "{done:?}");
    assert_eq!(Some(done.blocks_done), done.blocks_total);
    assert_eq!(house.show(id).await.transfers.len(), 3);
}

async fn what_is_withdrawn_is_let_go(mut house: House) {
    let (id, _) = lost(&mut house).await;
    house.chain.hold_back(true);
    let first = house.rescan(0, None).await.unwrap();
    let second = house.attach(id, "a", None).await;
    house.poll().await;
    assert_eq!(house.request(&first).await.state, "running");
    let shown = house.withdraw(&first).await.unwrap();
    assert_eq!(shown["state"], "canceled");
    let Err(CommandError::Refused { code, .. }) = house.withdraw(&first).await else {
        panic!("withdrawn twice");
    };
    assert_eq!(code, "request_over");
    house.chain.hold_back(false);
    let done = finish(&mut house, &second).await;
    assert_eq!(
        (&*done.state, placed(&done)),
        ("done", Some(1)),
        "the line goes on"
    );
    let first = house.request(&first).await;
    assert_eq!((&*first.state, first.blocks_done), ("canceled", 0));
}
