//! What people ask of a chain's worker, on both databases.
//!
//! Goal: a halted chain comes back with one result, blocks that are read again correct what is stored and
//! say nothing where it was right, and a used key hands out no used address. Method: as in `scenarios`;
//! facts are damaged from outside where a story needs it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use paywatch_engine::commands::CommandError;
use paywatch_engine::high_water::HighWater as _;
use paywatch_wire::ChainRequest;

use crate::chain::payment;
use crate::house::House;
use crate::scenarios::{expect, mine_many, stories, tamper};

stories!(
    a_resumed_chain_says_one_result,
    a_resumed_chain_can_halt_again,
    a_resumed_chain_whose_node_came_back_goes_on,
    only_a_halted_chain_is_resumed,
    a_rescan_of_what_is_right_changes_nothing,
    a_lost_transfer_is_found_again,
    a_transfer_that_was_misplaced_is_put_right,
    money_that_no_block_holds_is_taken_away,
    a_rescan_meets_a_reorganisation,
    a_rescan_survives_a_crash,
    a_block_on_its_way_is_not_asked_for_again,
    what_nothing_proves_changes_nothing,
    below_the_first_header_nothing_is_rescanned,
    a_scan_below_the_first_header_is_proven_by_its_links,
    a_scan_protects_what_it_has_found,
    what_cannot_be_read_of_a_request_ends_that_request,
    a_scan_that_goes_on_derives_no_more_than_a_gap,
    answers_for_another_request_are_not_taken,
    a_rescan_waits_until_its_blocks_are_followed_again,
    a_node_that_is_away_is_not_asked_for_blocks,
    a_rescan_waits_for_the_node_and_following_does_not,
    what_waits_for_ever_lets_others_pass,
    heights_that_were_not_read_are_refused,
    a_used_key_hands_out_no_used_address,
    a_scan_survives_a_crash,
    a_chain_that_catches_up_says_how_fast,
);

/// Reorganises the node: drops blocks, and mines empty ones.
fn fork(house: &House, undo: usize, mine: usize) {
    let now = house.now;
    let mut node = house.chain.node();
    node.drop_blocks(undo);
    for _ in 0..mine {
        node.mine(Vec::new(), now);
    }
}

fn findings(request: &ChainRequest) -> (Option<u64>, Option<u64>) {
    let findings = request.findings.as_ref().unwrap();
    (findings.placed, findings.removed)
}

/// Lets the worker finish a request.
pub(crate) async fn finish(house: &mut House, asked: &ChainRequest) -> ChainRequest {
    for _ in 0..20 {
        house.poll().await;
        let shown = house.request(asked).await;
        if shown.finished_at.is_some() {
            return shown;
        }
    }
    panic!("not done: {:?}", house.request(asked).await);
}

async fn a_resumed_chain_says_one_result(mut house: House) {
    let (paid, key) = house.invoice(100_000, 900).await;
    let (moved, moved_key) = house.invoice(100_000, 900).await;
    let (open, _) = house.invoice(100_000, 900).await;
    let keeps = payment("b", &moved_key, 100_000, "in:1");
    house
        .mine(vec![payment("a", &key, 100_000, "in:0"), keeps.clone()])
        .await;
    mine_many(&mut house, 90).await;
    let before = ["created", "confirming", "paid"];
    expect(&house, paid, "paid", &before).await;
    let height = house.row().await.cursor.unwrap().height;
    {
        let now = house.now;
        let mut node = house.chain.node();
        node.drop_blocks(91);
        node.mine(vec![keeps], now);
        for _ in 0..100 {
            node.mine(Vec::new(), now);
        }
    }
    house.poll().await;
    house.pass(2_000_000).await;
    let row = house.row().await;
    let why = row.halted.unwrap();
    assert!(why.contains("paywatch chains resume"), "{why}");
    assert_eq!(row.cursor.unwrap().height, height, "the cursor stays");
    expect(&house, paid, "paid", &before).await;
    expect(&house, open, "created", &["created"]).await;

    let asked = house.resume().await.unwrap();
    assert_eq!((&*asked.kind, &*asked.state), ("resume", "waiting"));
    let again = house.resume().await.unwrap();
    assert_eq!(again.id, asked.id, "asking twice is asking once");
    let done = finish(&mut house, &asked).await;
    assert_eq!(done.state, "done", "{done:?}");
    assert_eq!(done.blocks_total, Some(done.blocks_done));
    let row = house.row().await;
    assert_eq!(
        (row.halted, row.cursor.unwrap().height),
        (None, height + 10)
    );
    house.poll().await;
    let said = house.said(paid).await;
    assert_eq!(&said[..4], ["created", "confirming", "paid", "reverted"]);
    let said = house.said(moved).await;
    assert_eq!(
        &said[..3],
        before,
        "what stays says nothing of the reorganisation"
    );
    assert!(!said.contains(&"reverted".into()), "{said:?}");
    expect(&house, open, "expired", &["created", "expired"]).await;
}

async fn a_resumed_chain_can_halt_again(mut house: House) {
    mine_many(&mut house, 90).await;
    for round in 0..2 {
        fork(&house, 80, 85);
        house.poll().await;
        assert!(house.row().await.halted.is_some(), "{round}");
        let asked = house.resume().await.unwrap();
        assert_eq!(finish(&mut house, &asked).await.state, "done");
    }
    // A restart after the event needs no permission, and has none.
    house.restart().await;
    fork(&house, 80, 85);
    house.poll().await;
    assert!(house.row().await.halted.is_some());
    // A crash between the permission and the event keeps it.
    let asked = house.resume().await.unwrap();
    house.now = house.now.plus_ms(3_000);
    house.steps(2).await;
    assert_eq!(house.request(&asked).await.state, "running");
    house.restart().await;
    assert_eq!(finish(&mut house, &asked).await.state, "done");
}

async fn a_resumed_chain_whose_node_came_back_goes_on(mut house: House) {
    mine_many(&mut house, 90).await;
    let ours = house.chain.node().blocks.clone();
    fork(&house, 80, 85);
    house.poll().await;
    assert!(house.row().await.halted.is_some());
    house.chain.node().blocks = ours;
    let asked = house.resume().await.unwrap();
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, done.blocks_done), ("done", 0));
    mine_many(&mut house, 2).await;
    assert_eq!(house.row().await.cursor.unwrap().height, 94);
}

async fn only_a_halted_chain_is_resumed(mut house: House) {
    match house.resume().await {
        Err(CommandError::Refused { status, code, .. }) => {
            assert_eq!((status, code), (409, "chain_not_halted"));
        }
        other => panic!("resumed: {other:?}"),
    }
}

async fn a_rescan_of_what_is_right_changes_nothing(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    mine_many(&mut house, 150).await;
    let before = house.show(id).await;
    let asked = house.rescan(0, None).await.unwrap();
    assert_eq!((asked.from_height, asked.to_height), (Some(0), Some(153)));
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, done.blocks_done), ("done", 154));
    assert_eq!(findings(&done), (Some(0), Some(0)));
    assert_eq!(house.show(id).await, before);
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
}

async fn a_lost_transfer_is_found_again(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    mine_many(&mut house, 100).await;
    let mut before = house.show(id).await;
    tamper(&house.url, "DELETE FROM placements").await;
    tamper(&house.url, "DELETE FROM transfers").await;
    assert!(house.show(id).await.transfers.is_empty());
    let asked = house.rescan(0, Some(80)).await.unwrap();
    let done = finish(&mut house, &asked).await;
    assert_eq!(findings(&done), (Some(1), Some(0)));
    let after = house.show(id).await;
    before.transfers[0].id.clone_from(&after.transfers[0].id);
    before.transfers[0]
        .sighted_at
        .clone_from(&after.transfers[0].sighted_at);
    before.transfers[0]
        .final_at
        .clone_from(&after.transfers[0].final_at);
    assert_eq!(after, before, "the same as it was");
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
}

async fn a_transfer_that_was_misplaced_is_put_right(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    mine_many(&mut house, 20).await;
    let before = house.show(id).await;
    tamper(
        &house.url,
        "UPDATE placements SET height = 9, block_hash = 'elsewhere'",
    )
    .await;
    let asked = house.rescan(2, Some(12)).await.unwrap();
    let done = finish(&mut house, &asked).await;
    assert_eq!(findings(&done), (Some(1), Some(1)));
    let after = house.show(id).await;
    assert_eq!(after.transfers, before.transfers);
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
}

async fn money_that_no_block_holds_is_taken_away(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    mine_many(&mut house, 20).await;
    // As if an earlier release had read too much.
    house.chain.node().blocks[3].credits.clear();
    let asked = house.rescan(3, Some(3)).await.unwrap();
    let done = finish(&mut house, &asked).await;
    assert_eq!(findings(&done), (Some(0), Some(1)));
    let said = [
        "created",
        "confirming",
        "paid",
        "reverted",
        "exception.opened",
    ];
    expect(&house, id, "created", &said).await;
    let cause = house.last_cause(id).await;
    assert_eq!(cause, "rescan");
}

async fn a_rescan_meets_a_reorganisation(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let paid = payment("a", &key, 100_000, "in:0");
    house.mine(vec![paid.clone()]).await;
    mine_many(&mut house, 10).await;
    for begun in 0..6 {
        let asked = house.rescan(0, None).await.unwrap();
        house.now = house.now.plus_ms(2_000);
        house.steps(begun).await;
        {
            let now = house.now;
            let mut node = house.chain.node();
            let length = node.blocks.len();
            node.drop_blocks(length - 3);
            node.mine(vec![paid.clone()], now);
            for _ in 0..length {
                node.mine(Vec::new(), now);
            }
        }
        let done = finish(&mut house, &asked).await;
        assert_eq!(done.state, "done", "{begun}: {done:?}");
        assert_eq!(findings(&done), (Some(0), Some(0)), "{begun}");
        let invoice = house.show(id).await;
        assert_eq!((&*invoice.status, invoice.transfers.len()), ("paid", 1));
        let hash = house.chain.node().blocks[3].at.hash.to_string();
        assert_eq!(invoice.transfers[0].block_hash.as_ref(), Some(&hash));
    }
    expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
}

async fn a_rescan_survives_a_crash(mut house: House) {
    let (first, key) = house.invoice(100_000, 9_000).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    mine_many(&mut house, 200).await;
    let (second, key) = house.invoice(100_000, 9_000).await;
    house.mine(vec![payment("b", &key, 100_000, "in:1")]).await;
    mine_many(&mut house, 5).await;
    tamper(&house.url, "DELETE FROM placements").await;
    tamper(&house.url, "DELETE FROM transfers").await;
    let asked = house.rescan(0, None).await.unwrap();
    house.now = house.now.plus_ms(2_000);
    let mut steps = 0;
    while house.request(&asked).await.blocks_done < 2 {
        house.steps(1).await;
        steps += 1;
        assert!(steps < 1_000, "it begins");
    }
    let half = house.request(&asked).await;
    assert_eq!((&*half.state, half.blocks_done), ("running", 101));
    house.restart().await;
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, done.blocks_done), ("done", 210));
    assert_eq!(findings(&done), (Some(2), Some(0)));
    for id in [first, second] {
        expect(&house, id, "paid", &["created", "confirming", "paid"]).await;
    }
}

async fn a_block_on_its_way_is_not_asked_for_again(mut house: House) {
    mine_many(&mut house, 20).await;
    house.chain.node().fetched.clear();
    house.chain.hold_back(true);
    let asked = house.rescan(2, None).await.unwrap();
    house.now = house.now.plus_ms(2_000);
    house.steps(50).await;
    let once: BTreeMap<u64, usize> = (2..=5).map(|height| (height, 1)).collect();
    assert_eq!(house.chain.node().fetched, once, "the first few, once");
    house.chain.hold_back(false);
    assert_eq!(finish(&mut house, &asked).await.state, "done");
    let once: BTreeMap<u64, usize> = (2..=22).map(|height| (height, 1)).collect();
    assert_eq!(house.chain.node().fetched, once, "every block, once");
}

async fn what_nothing_proves_changes_nothing(mut house: House) {
    let (id, key) = house.invoice(100_000, 9_000).await;
    mine_many(&mut house, 300).await;
    // Headers are kept of 100, 200 and all from 232 on. What is invented ends below, at, or above one.
    for lies in [110..=150, 110..=199, 110..=200, 110..=290] {
        let what = format!("{lies:?}");
        let stolen = payment("a", &key, 100_000, "in:0");
        let truth = house.chain.node().lie(lies, &[stolen]);
        // Up to a block below the next header that is kept.
        let asked = house.rescan(110, Some(140)).await.unwrap();
        for _ in 0..3 {
            house.poll().await;
        }
        assert!(house.show(id).await.transfers.is_empty(), "{what}");
        house.chain.node().blocks = truth;
        let done = finish(&mut house, &asked).await;
        assert_eq!((&*done.state, done.blocks_done), ("done", 31), "{what}");
        assert_eq!(findings(&done), (Some(0), Some(0)), "{what}");
    }
    let truth = house.chain.node().lie(110..=200, &[]);
    let asked = house.rescan(110, Some(140)).await.unwrap();
    for _ in 0..3 {
        house.poll().await;
    }
    let waits = house.request(&asked).await;
    assert_eq!((&*waits.state, waits.blocks_done), ("running", 0));
    let why = waits.error.unwrap();
    assert!(why.contains("lie-200"), "{why}");
    house.chain.node().blocks = truth;
    assert_eq!(finish(&mut house, &asked).await.error, None);
    assert!(house.show(id).await.transfers.is_empty());
}

async fn below_the_first_header_nothing_is_rescanned(mut house: House) {
    mine_many(&mut house, 200).await;
    tamper(&house.url, "DELETE FROM blocks WHERE height < 150").await;
    match house.rescan(149, None).await {
        Err(CommandError::Fields(errors)) => {
            assert_eq!(errors[0].pointer, "/from_height");
            assert!(errors[0].detail.contains("150"), "{errors:?}");
        }
        other => panic!("{other:?}"),
    }
    let asked = house.rescan(150, None).await.unwrap();
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, done.blocks_done), ("done", 53));
}

async fn a_scan_below_the_first_header_is_proven_by_its_links(mut house: House) {
    mine_many(&mut house, 90).await;
    house
        .mine(vec![payment("a", b"shop-7", 1_000, "in:0")])
        .await;
    mine_many(&mut house, 110).await;
    tamper(&house.url, "DELETE FROM blocks WHERE height < 150").await;
    // Links upwards, hides the payment, and is recorded as far as block 99.
    let truth = house.chain.node().lie(90..=99, &[]);
    let asked = house.scan_wallet(0).await;
    for _ in 0..3 {
        house.poll().await;
    }
    let waits = house.request(&asked).await;
    assert_eq!(waits.state, "running", "{waits:?}");
    assert!(waits.error.unwrap().contains("block-100"));
    house.chain.node().blocks = truth;
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, done.blocks_done), ("done", 204));
    assert_eq!(done.findings.unwrap().highest_index, Some(7));
}

async fn a_scan_protects_what_it_has_found(mut house: House) {
    house
        .mine(vec![payment("a", b"shop-5", 1_000, "in:0")])
        .await;
    mine_many(&mut house, 150).await;
    house.chain.node().hide(140);
    let asked = house.scan_wallet(0).await;
    for _ in 0..3 {
        house.poll().await;
    }
    let waits = house.request(&asked).await;
    assert_eq!(waits.state, "running", "{waits:?}");
    assert_eq!(house.marks.read("4").unwrap(), 6, "the mark outside");
    let (_, key) = house.invoice(1_000, 900).await;
    assert_eq!(key, b"shop-6", "and the counter");
}

async fn what_cannot_be_read_of_a_request_ends_that_request(mut house: House) {
    mine_many(&mut house, 90).await;
    let scan = house.scan_wallet(0).await;
    tamper(&house.url, "UPDATE requests SET body = '{'").await;
    let rescan = house.rescan(0, None).await.unwrap();
    assert_eq!(finish(&mut house, &rescan).await.state, "done");
    let failed =
        "UPDATE requests SET body = '' WHERE state = 'failed' AND error LIKE '%requests.body%'";
    assert_eq!(tamper(&house.url, failed).await, 1, "{scan:?}");
    // A wallet that cannot be read ends its scan.
    let scan = house.scan_wallet(0).await;
    tamper(&house.url, "UPDATE wallets SET start_index = -1").await;
    let failed = finish(&mut house, &scan).await;
    assert_eq!(failed.state, "failed");
    assert!(failed.error.unwrap().contains("start_index"));
    assert_eq!(house.row().await.halted, None);
    // Nor does such a row keep a chain from being halted and resumed.
    house.rescan(0, None).await.unwrap();
    tamper(&house.url, "UPDATE requests SET body = '{'").await;
    fork(&house, 80, 85);
    house.poll().await;
    assert!(house.row().await.halted.is_some());
    let resume = house.resume().await.unwrap();
    assert_eq!(finish(&mut house, &resume).await.state, "done");
}

async fn a_scan_that_goes_on_derives_no_more_than_a_gap(mut house: House) {
    for index in [900, 1_800, 2_700] {
        let key = format!("shop-{index}");
        let paid = payment(&key, key.as_bytes(), 1_000, &key);
        house.mine(vec![paid]).await;
    }
    mine_many(&mut house, 150).await;
    let hidden = house.chain.node().hide(140);
    let asked = house.scan_wallet(0).await;
    for _ in 0..3 {
        house.poll().await;
    }
    house.derived.store(0, Ordering::Relaxed);
    house.restart().await;
    house.poll().await;
    assert_eq!(house.derived.load(Ordering::Relaxed), 1_000);
    house.chain.node().show(hidden);
    let done = finish(&mut house, &asked).await;
    assert_eq!(done.findings.unwrap().highest_index, Some(2_700));
}

async fn answers_for_another_request_are_not_taken(mut house: House) {
    mine_many(&mut house, 20).await;
    let hidden = house.chain.node().hide(6);
    house.chain.node().pruned.insert(5);
    house.chain.hold_back(true);
    let first = house.rescan(5, None).await.unwrap();
    let failed = finish(&mut house, &first).await;
    assert_eq!(failed.state, "failed");
    // Its answer about block 6, that it is missing, is still on its way.
    house.chain.node().show(hidden);
    house.chain.node().fetched.clear();
    let second = house.rescan(6, None).await.unwrap();
    house.poll().await;
    house.chain.hold_back(false);
    assert_eq!(finish(&mut house, &second).await.state, "done");
    let once: BTreeMap<u64, usize> = (6..=22).map(|height| (height, 1)).collect();
    assert_eq!(house.chain.node().fetched, once);
}

async fn a_rescan_waits_until_its_blocks_are_followed_again(mut house: House) {
    mine_many(&mut house, 30).await;
    let hidden = house.chain.node().hide(7);
    let asked = house.rescan(0, None).await.unwrap();
    house.poll().await;
    fork(&house, 10, 5);
    house.chain.node().show(hidden);
    for _ in 0..5 {
        house.poll().await;
    }
    let waits = house.request(&asked).await;
    assert_eq!((&*waits.state, waits.blocks_done), ("running", 28));
    let why = waits.error.unwrap();
    assert!(why.contains("block 28 is not followed now"), "{why}");
    mine_many(&mut house, 10).await;
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, done.blocks_done), ("done", 33));
}

async fn a_node_that_is_away_is_not_asked_for_blocks(mut house: House) {
    mine_many(&mut house, 30).await;
    let asked = house.rescan(0, None).await.unwrap();
    house.chain.hold_back(true);
    house.poll().await;
    house.chain.node().is_down = true;
    house.poll().await;
    assert!(house.row().await.problem.is_some());
    // What was asked for before arrives, and nothing is asked after it.
    house.chain.hold_back(false);
    house.settle().await;
    house.pass(100).await;
    assert_eq!(house.request(&asked).await.error, None, "it was not asked");
    house.chain.node().is_down = false;
    assert_eq!(finish(&mut house, &asked).await.state, "done");
}

async fn a_rescan_waits_for_the_node_and_following_does_not(mut house: House) {
    mine_many(&mut house, 30).await;
    let hidden = house.chain.node().hide(7);
    let asked = house.rescan(0, None).await.unwrap();
    for _ in 0..3 {
        house.poll().await;
    }
    let waits = house.request(&asked).await;
    assert_eq!(waits.state, "running", "{waits:?}");
    assert!(waits.error.unwrap().contains("does not have block"));
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    expect(&house, id, "confirming", &["created", "confirming"]).await;
    let row = house.row().await;
    assert_eq!((row.problem, row.halted), (None, None));
    house.chain.node().show(hidden);
    let done = finish(&mut house, &asked).await;
    assert_eq!((&*done.state, done.error), ("done", None));
}

async fn what_waits_for_ever_lets_others_pass(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    mine_many(&mut house, 30).await;
    let hidden = [7, 27].map(|height| house.chain.node().hide(height));
    let first = house.rescan(0, Some(20)).await.unwrap();
    let second = house.rescan(25, None).await.unwrap();
    let attach = house.attach(id, "a", None).await;
    let scan = house.scan_wallet(30).await;
    for possible in [&attach, &scan] {
        let done = finish(&mut house, possible).await;
        assert_eq!(done.state, "done", "{done:?}");
    }
    for stuck in [&first, &second] {
        let open = house.request(stuck).await;
        assert_eq!(open.state, "running", "it is not given up");
        let why = open.error.unwrap();
        assert!(why.contains("does not have block"), "{why}");
    }
    // Each has its turn again, however long they have let each other pass.
    for _ in 0..10 {
        house.pass(60_000).await;
    }
    for height in hidden {
        house.chain.node().show(height);
    }
    for _ in 0..2 {
        house.pass(300_000).await;
    }
    for (stuck, count) in [(&first, 21), (&second, 9)] {
        let done = finish(&mut house, stuck).await;
        assert_eq!(
            (&*done.state, done.blocks_done),
            ("done", count),
            "{done:?}"
        );
    }
}

async fn heights_that_were_not_read_are_refused(mut house: House) {
    for (from, to, pointer) in [(3, None, "/from_height"), (1, Some(3), "/to_height")] {
        match house.rescan(from, to).await {
            Err(CommandError::Fields(errors)) => {
                assert_eq!(errors[0].pointer, pointer);
                assert_eq!(errors[0].code, "height_invalid");
            }
            other => panic!("{from} to {to:?}: {other:?}"),
        }
    }
}

async fn a_used_key_hands_out_no_used_address(mut house: House) {
    let pay = |index: u32| {
        let key = format!("shop-{index}");
        payment(&key, key.as_bytes(), 1_000, &key)
    };
    house.mine(vec![pay(0), pay(3)]).await;
    house.mine(vec![pay(37), pay(25)]).await;
    mine_many(&mut house, 100).await;
    let asked = house.scan_wallet(0).await;
    assert_eq!(asked.kind, "wallet_scan");
    let done = finish(&mut house, &asked).await;
    assert_eq!(done.state, "done", "{done:?}");
    assert_eq!(done.findings.unwrap().highest_index, Some(37));
    let wallet = house.commands.wallet(&house.caller, house.wallet).await;
    let wallet = wallet.unwrap().unwrap();
    assert_eq!(
        (wallet.highest_used_index, wallet.unused_gap),
        (Some(37), 0)
    );
    let (_, key) = house.invoice(1_000, 900).await;
    assert_eq!(key, b"shop-38");
    // Never lowered, and as far as a thousand beyond the highest one that was found.
    house.mine(vec![pay(1_037)]).await;
    house.mine(vec![pay(2_038)]).await;
    let asked = house.scan_wallet(80).await;
    let done = finish(&mut house, &asked).await;
    assert_eq!(
        done.findings.unwrap().highest_index,
        None,
        "out of reach from here"
    );
    let asked = house.scan_wallet(0).await;
    let done = finish(&mut house, &asked).await;
    assert_eq!(done.findings.unwrap().highest_index, Some(1_037));
    let (_, key) = house.invoice(1_000, 900).await;
    assert_eq!(key, b"shop-1038");
    assert_eq!(
        house.marks.read("4").unwrap(),
        1_039,
        "outside the database too"
    );
}

async fn a_chain_that_catches_up_says_how_fast(mut house: House) {
    let row = house.row().await;
    assert_eq!((row.first_height, row.cursor.unwrap().height), (Some(0), 2));
    let now = house.now;
    for _ in 0..2_000 {
        house.chain.node().mine(Vec::new(), now);
    }
    house.now = house.now.plus_ms(1_001);
    let mut shown = None;
    for _ in 0..1_000 {
        house.now = house.now.plus_ms(200);
        house.steps(5).await;
        let row = house.row().await;
        shown = shown.max(row.blocks_per_minute);
        if row.cursor.unwrap().height == 2_002 {
            break;
        }
    }
    assert!(shown.is_some_and(|per_minute| 0 < per_minute), "{shown:?}");
    house.poll().await;
    house.pass(6_000).await;
    let row = house.row().await;
    assert_eq!(
        (row.cursor.unwrap().height, row.blocks_per_minute),
        (2_002, None)
    );
}

async fn a_scan_survives_a_crash(mut house: House) {
    house
        .mine(vec![payment("a", b"shop-900", 1_000, "in:0")])
        .await;
    mine_many(&mut house, 100).await;
    house
        .mine(vec![payment("b", b"shop-1800", 1_000, "in:1")])
        .await;
    let asked = house.scan_wallet(0).await;
    house.now = house.now.plus_ms(2_000);
    let mut steps = 0;
    while house.request(&asked).await.blocks_done == 0 {
        house.steps(1).await;
        steps += 1;
        assert!(steps < 1_000, "it begins");
    }
    house.restart().await;
    let done = finish(&mut house, &asked).await;
    assert_eq!(done.findings.unwrap().highest_index, Some(1_800));
}
