//! Money that is not what an invoice asks for: another asset, another chain, from before the invoice.
//!
//! Goal: it is told and never credited, its life is followed until it is gone, and nobody can make a flood
//! of it. Method: as for all stories.

use paywatch_chain::Credit;
use paywatch_domain::{AssetName, InvoiceId, Position, limits};
use paywatch_wire::ExceptionForm;
use serde_json::json;

use crate::chain::{asset, payment, payment_of, second_asset, token};
use crate::exceptions::code;
use crate::house::{House, REORG_DEPTH_MAX};
use crate::scenarios::{expect, stories};

stories!(
    another_asset_is_told_until_it_is_gone,
    another_chain_is_told_until_the_money_is_gone,
    money_on_another_chain_is_sent_back_in_its_own_unit,
    a_replacement_of_a_stray_keeps_when_it_was_seen,
    a_trifle_astray_is_not_kept,
    a_flood_of_strays_is_kept_in_bounds,
    money_from_before_the_invoice_is_told_and_does_not_count,
);

const OPENED: &str = "exception.opened";
const RESOLVED: &str = "exception.resolved";

fn tether() -> AssetName {
    token(asset().chain())
}

async fn only(house: &House, id: InvoiceId) -> ExceptionForm {
    let mut shown = house.show(id).await.exceptions;
    assert_eq!(shown.len(), 1, "{shown:?}");
    shown.remove(0)
}

/// What is said of the last transfer: its role, how certain it is, and whether it counts.
async fn last(house: &House, id: InvoiceId) -> (String, String, bool) {
    let last = house.show(id).await.transfers.pop().unwrap();
    (last.role, last.certainty, last.counted)
}

fn is(role: &str, certainty: &str) -> (String, String, bool) {
    (role.into(), certainty.into(), false)
}

async fn another_asset_is_told_until_it_is_gone(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house
        .mine(vec![payment_of(tether(), "a", &key, 2_500_000, "in:0")])
        .await;
    assert_eq!(last(&house, id).await, is("wrong_asset", "confirming"));
    house
        .mine(vec![payment_of(tether(), "b", &key, 500_000, "in:1")])
        .await;
    expect(&house, id, "created", &["created", OPENED, "updated"]).await;
    let told = only(&house, id).await;
    assert_eq!(
        (&*told.kind, told.asset.as_deref()),
        ("wrong_asset", Some("usdt@bitcoin-regtest"))
    );
    assert_eq!(told.amount.as_deref(), Some("3.000000"));
    assert_eq!(told.tx_ids, ["a", "b"]);
    assert_eq!(
        told.sighted_at.as_deref(),
        Some(&*house.show(id).await.transfers[0].sighted_at)
    );
    {
        let mut node = house.chain.node();
        node.drop_blocks(2);
        for _ in 0..3 {
            node.mine(vec![], house.now);
        }
    }
    house.poll().await;
    let said = ["created", OPENED, "updated", RESOLVED];
    expect(&house, id, "created", &said).await;
    assert_eq!(last(&house, id).await, is("wrong_asset", "gone"));
    house.mine(vec![payment("c", &key, 100_000, "in:2")]).await;
    house.mine(Vec::new()).await;
    let said = [&said[..], &["confirming", "paid"]].concat();
    expect(&house, id, "paid", &said).await;
}

async fn another_chain_is_told_until_the_money_is_gone(mut house: House) {
    house.follow_second().await;
    let (id, key) = house.invoice(100_000, 900).await;
    let astray = payment_of(second_asset(), "a", &key, 100_000, "in:0");
    house.second_node().pool = vec![astray.clone()];
    house.poll().await;
    assert_eq!(last(&house, id).await, is("wrong_chain", "seen"));
    let now = house.now;
    house.second_node().mine(vec![astray], now);
    house.poll().await;
    assert_eq!(last(&house, id).await, is("wrong_chain", "confirming"));
    house.second_node().mine(Vec::new(), now);
    house.poll().await;
    assert_eq!(last(&house, id).await, is("wrong_chain", "final"));
    expect(&house, id, "created", &["created", OPENED]).await;
    let told = only(&house, id).await;
    assert_eq!((&*told.kind, &*told.state), ("wrong_chain", "open"));
    assert_eq!(told.asset, Some(second_asset().to_string()));
    assert_eq!(told.address.as_deref().map(str::as_bytes), Some(&*key));
    {
        let mut node = house.second_node();
        node.drop_blocks(2);
        for _ in 0..3 {
            node.mine(Vec::new(), now);
        }
    }
    house.poll().await;
    expect(&house, id, "created", &["created", OPENED, RESOLVED]).await;
    assert_eq!(only(&house, id).await.state, "resolved");
}

async fn money_on_another_chain_is_sent_back_in_its_own_unit(mut house: House) {
    house.follow_second().await;
    let (id, key) = house.invoice(100_000, 900).await;
    let now = house.now;
    let astray = payment_of(token(second_asset().chain()), "a", &key, 2_500_000, "in:0");
    house.second_node().mine(vec![astray], now);
    house.poll().await;
    let told = only(&house, id).await.id;
    let accepted = house.resolve(&told, &json!({ "action": "accept" })).await;
    assert_eq!(code(accepted), "action_not_possible");
    let too_much = json!({ "action": "refund", "amount": "2.500001" });
    assert_eq!(
        code(house.resolve(&told, &too_much).await),
        "refund_too_large"
    );
    let part = json!({ "action": "refund", "amount": "2.000000", "tx_id": "back", "owner": "ann" });
    let decided = house.resolve(&told, &part).await.unwrap();
    assert_eq!(
        (
            &decided["state"],
            &decided["amount"],
            &decided["resolution"]["amount"],
            &decided["owner"]
        ),
        (
            &json!("open"),
            &json!("0.500000"),
            &json!("2.000000"),
            &json!("ann")
        )
    );
    let rest = json!({ "action": "ignore", "reason": "kept as a tip" });
    let decided = house.resolve(&told, &rest).await.unwrap();
    assert_eq!(decided["state"], "resolved");
    expect(
        &house,
        id,
        "created",
        &["created", OPENED, "updated", RESOLVED],
    )
    .await;
    assert!(
        house.show(id).await.refunds.is_empty(),
        "it was never the invoice's"
    );
    house.mine(vec![payment("b", &key, 100_000, "in:1")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(house.show(id).await.status, "paid");
}

async fn a_replacement_of_a_stray_keeps_when_it_was_seen(mut house: House) {
    house.follow_second().await;
    let (id, key) = house.invoice(100_000, 900).await;
    let astray = |tx| payment_of(second_asset(), tx, &key, 100_000, "in:0");
    house.second_node().pool = vec![astray("a")];
    house.poll().await;
    house.pass(60_000).await;
    house.second_node().pool = vec![astray("b")];
    house.poll().await;
    let shown = house.show(id).await.transfers;
    assert_eq!(
        (&*shown[0].certainty, &*shown[1].certainty),
        ("gone", "seen")
    );
    assert_eq!(shown[0].sighted_at, shown[1].sighted_at);
    expect(&house, id, "created", &["created", OPENED]).await;
}

async fn a_trifle_astray_is_not_kept(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house
        .mine(vec![payment_of(tether(), "a", &key, 999, "in:0")])
        .await;
    let unknown: AssetName = "gold@bitcoin-regtest".parse().unwrap();
    house
        .mine(vec![payment_of(unknown, "b", &key, 1_000_000, "in:1")])
        .await;
    let sibling = [b"sibling-".as_slice(), &key].concat();
    house
        .mine(vec![payment_of(tether(), "c", &sibling, 1_000_000, "in:2")])
        .await;
    expect(&house, id, "created", &["created"]).await;
    assert!(house.show(id).await.transfers.is_empty());
}

async fn a_flood_of_strays_is_kept_in_bounds(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    let many = limits::INVOICE_STRAYS_MAX + 50;
    let outputs = |tx: &'static str, asset: &dyn Fn(usize) -> AssetName| -> Vec<Credit> {
        let outputs = (0..many).map(|number| Credit {
            position: Position::new(&format!("vout:{number}")),
            ..payment_of(asset(number), tx, &key, 2_000, "in:0")
        });
        outputs.collect()
    };
    let chain = || asset().chain().clone();
    // Tokens that anybody can make for nothing, each another one.
    let made = |number| AssetName::unlisted(&format!("mint{number}"), chain()).unwrap();
    house.mine(outputs("a", &made)).await;
    house.mine(outputs("b", &made)).await;
    let shown = house.show(id).await;
    assert_eq!(shown.transfers.len(), limits::INVOICE_UNLISTED_MAX);
    assert_eq!(shown.exceptions.len(), limits::INVOICE_UNLISTED_MAX);
    assert_eq!(
        shown.exceptions[0].amount.as_deref(),
        Some("2000"),
        "in atomic units"
    );
    // What is configured has room of its own, and is one exception.
    house.mine(outputs("c", &|_| tether())).await;
    let shown = house.show(id).await;
    let most = limits::INVOICE_UNLISTED_MAX + limits::INVOICE_STRAYS_MAX;
    assert_eq!(shown.transfers.len(), most);
    let told = shown.exceptions.last().unwrap();
    assert_eq!((&*told.kind, told.tx_ids.len()), ("wrong_asset", 1));
    assert_eq!(told.amount.as_deref(), Some("0.400000"));
    // A payment counts as ever.
    house.mine(vec![payment("d", &key, 100_000, "in:9")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(house.show(id).await.status, "paid");
}

async fn money_from_before_the_invoice_is_told_and_does_not_count(mut house: House) {
    let key = b"shop-0";
    house.mine(vec![payment("a", key, 100_000, "in:0")]).await;
    let height = house.row().await.cursor.unwrap().height;
    for _ in 0..=REORG_DEPTH_MAX {
        house.mine(Vec::new()).await;
    }
    let (id, own) = house.invoice(100_000, 900).await;
    assert_eq!(own, key);
    house.rescan(height, Some(height)).await.unwrap();
    house.poll().await;
    expect(&house, id, "created", &["created", OPENED]).await;
    let told = only(&house, id).await;
    assert_eq!(
        (&*told.kind, told.amount.as_deref()),
        ("unattributed", Some("0.00100000"))
    );
    assert_eq!(
        (&*told.tx_ids, &*told.actions),
        (&["a".into()][..], &["refund".into(), "ignore".into()][..])
    );
    house.mine(vec![payment("b", key, 100_000, "in:1")]).await;
    house.mine(Vec::new()).await;
    let reason = json!({ "action": "ignore", "reason": "the owner's own", "owner": "ann" });
    let decided = house.resolve(&told.id, &reason).await.unwrap();
    assert_eq!(
        (&decided["state"], &decided["tx_ids"]),
        (&json!("resolved"), &json!(["a"]))
    );
    let said = ["created", OPENED, "confirming", "paid", RESOLVED];
    expect(&house, id, "paid", &said).await;
}
