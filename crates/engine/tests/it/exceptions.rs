//! What a person decides, from the exception to the status.
//!
//! Goal: each kind opens and closes with its reason, decisions fold into the status and are told, and
//! nothing is decided twice. Method: as in the other stories, on both databases.

use paywatch_domain::{InvoiceId, limits};
use paywatch_engine::commands::CommandError;
use paywatch_store::Cursor;
use paywatch_store::exceptions::Filter;
use paywatch_store::invoices::By;
use serde_json::{Value, json};

use crate::chain::payment;
use crate::house::House;
use crate::scenarios::{expect, stories};

stories!(
    too_little_is_accepted_in_part,
    too_much_is_sent_back,
    late_money_completes_and_is_accepted,
    late_money_beside_a_paid_invoice_is_let_be,
    money_after_the_late_window_does_not_count,
    money_at_a_canceled_invoice_is_accepted_or_sent_back,
    a_payment_that_stays_pending_is_stuck_until_it_is_final,
    an_acceptance_hides_no_reorganisation,
    everything_sent_back_is_refunded_for_good,
    the_dust_of_a_stranger_keeps_nothing_from_being_refunded,
    a_stranger_cannot_capture_an_invoice,
    what_cannot_be_decided_is_refused,
);

const OPENED: &str = "exception.opened";
const RESOLVED: &str = "exception.resolved";

/// The code of a refusal.
pub(crate) fn code(answer: Result<Value, CommandError>) -> String {
    match answer.unwrap_err() {
        CommandError::Refused { code, .. } => code.into(),
        CommandError::Fields(errors) => errors[0].code.clone(),
        other => panic!("{other}"),
    }
}

/// The kinds of an invoice's open exceptions, with what is at stake.
async fn open(house: &House, id: InvoiceId) -> Vec<(String, String)> {
    let shown = house.show(id).await.exceptions;
    let open = shown.into_iter().filter(|one| one.state == "open");
    open.map(|one| (one.kind, one.amount_atomic.unwrap()))
        .collect()
}

fn one(kind: &str, amount: u64) -> Vec<(String, String)> {
    vec![(kind.into(), amount.to_string())]
}

/// Decides about the last exception of an invoice.
async fn decide(house: &mut House, id: InvoiceId, body: Value) -> Result<Value, CommandError> {
    let last = house.show(id).await.exceptions.pop().unwrap();
    house.resolve(&last.id, &body).await
}

async fn paid_of(house: &mut House, sat: u64, paid: u64) -> (InvoiceId, Vec<u8>) {
    let (id, key) = house.invoice(sat, 10).await;
    house.mine(vec![payment("a", &key, paid, "in:0")]).await;
    house.mine(Vec::new()).await;
    (id, key)
}

async fn too_little_is_accepted_in_part(mut house: House) {
    let (id, _) = paid_of(&mut house, 100_000, 60_000).await;
    assert_eq!(open(&house, id).await, Vec::new(), "it can be topped up");
    house.pass(20_000).await;
    assert_eq!(open(&house, id).await, one("underpaid", 60_000));
    let body = json!({ "action": "accept_partial", "reason": "a known customer", "owner": "ann" });
    let decided = decide(&mut house, id, body).await.unwrap();
    assert_eq!(
        (
            &decided["state"],
            &decided["owner"],
            &decided["resolution"]["action"]
        ),
        (&json!("resolved"), &json!("ann"), &json!("accept_partial"))
    );
    let said = [
        "created",
        "confirming",
        "underpaid",
        "updated",
        OPENED,
        "paid",
        RESOLVED,
    ];
    expect(&house, id, "paid", &said).await;
    assert_eq!(house.last_cause(id).await, "operator");
    let again = decide(&mut house, id, json!({ "action": "accept" })).await;
    assert_eq!(code(again), "exception_resolved");
}

async fn too_much_is_sent_back(mut house: House) {
    let (id, _) = paid_of(&mut house, 100_000, 150_000).await;
    assert_eq!(open(&house, id).await, one("overpaid", 50_000));
    let filter = |is_open| Filter {
        kind: None,
        is_open,
    };
    let listed = house
        .commands
        .exceptions(&house.caller, filter(Some(true)), &Cursor::Newest, 10);
    assert_eq!(listed.await.unwrap().rows.len(), 1);
    let invoices = house.commands.invoices(
        &house.caller,
        By::HasException,
        &Cursor::Newest,
        10,
        house.now,
    );
    assert_eq!(invoices.await.unwrap().rows[0].id, id.to_string());
    let part = json!({ "action": "refund", "amount": "0.0002", "tx_id": "back" });
    let decided = decide(&mut house, id, part).await.unwrap();
    assert_eq!(
        (&decided["state"], &decided["amount_atomic"]),
        (&json!("open"), &json!("30000"))
    );
    house
        .refund(id, &json!({ "amount": "0.0003", "offset": true }))
        .await
        .unwrap();
    let said = [
        "created",
        "confirming",
        "overpaid",
        OPENED,
        "updated",
        RESOLVED,
    ];
    expect(&house, id, "overpaid", &said).await;
    let shown = house.show(id).await;
    let sent: Vec<_> = shown
        .refunds
        .iter()
        .map(|one| (&*one.amount_atomic, one.tx_id.as_deref()))
        .collect();
    assert_eq!(sent, [("20000", Some("back")), ("30000", None)]);
    let listed = house
        .commands
        .exceptions(&house.caller, filter(Some(true)), &Cursor::Newest, 10);
    assert!(listed.await.unwrap().rows.is_empty());
    let listed = house
        .commands
        .exceptions(&house.caller, filter(Some(false)), &Cursor::Newest, 10);
    assert_eq!(listed.await.unwrap().rows.len(), 1);
}

async fn late_money_completes_and_is_accepted(mut house: House) {
    let (id, key) = paid_of(&mut house, 100_000, 60_000).await;
    house.pass(20_000).await;
    house.mine(vec![payment("b", &key, 40_000, "in:1")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(house.show(id).await.status, "late_paid");
    assert_eq!(
        open(&house, id).await,
        one("late", 40_000),
        "the shortfall is gone"
    );
    decide(&mut house, id, json!({ "action": "accept" }))
        .await
        .unwrap();
    assert_eq!(house.show(id).await.status, "paid");
    assert_eq!(open(&house, id).await, Vec::new());
}

async fn late_money_beside_a_paid_invoice_is_let_be(mut house: House) {
    let (id, key) = paid_of(&mut house, 100_000, 100_000).await;
    house.pass(20_000).await;
    house.mine(vec![payment("b", &key, 40_000, "in:1")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(open(&house, id).await, one("late", 40_000));
    decide(
        &mut house,
        id,
        json!({ "action": "ignore", "reason": "a tip" }),
    )
    .await
    .unwrap();
    assert_eq!(open(&house, id).await, Vec::new());
    house.mine(vec![payment("c", &key, 10_000, "in:2")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(
        open(&house, id).await,
        one("late", 10_000),
        "only what is new"
    );
    assert_eq!(house.show(id).await.status, "paid");
}

async fn money_after_the_late_window_does_not_count(mut house: House) {
    let (id, key) = house.invoice(100_000, 10).await;
    house.pass(8 * 24 * 3600 * 1000).await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    expect(&house, id, "expired", &["created", "expired", OPENED]).await;
    assert_eq!(open(&house, id).await, one("after_window", 100_000));
    let accepted = decide(&mut house, id, json!({ "action": "accept" })).await;
    assert_eq!(code(accepted), "action_not_possible");
    let back = json!({ "action": "refund", "tx_id": "back" });
    decide(&mut house, id, back).await.unwrap();
    expect(
        &house,
        id,
        "expired",
        &["created", "expired", OPENED, RESOLVED],
    )
    .await;
}

async fn money_at_a_canceled_invoice_is_accepted_or_sent_back(mut house: House) {
    let (first, key) = house.invoice(100_000, 900).await;
    let (second, other) = house.invoice(100_000, 900).await;
    house.cancel(first).await.unwrap();
    house.cancel(second).await.unwrap();
    let credits = vec![
        payment("a", &key, 100_000, "in:0"),
        payment("b", &other, 70_000, "in:1"),
    ];
    house.mine(credits).await;
    house.mine(Vec::new()).await;
    assert_eq!(open(&house, first).await, one("paid_after_cancel", 100_000));
    let partly = decide(&mut house, first, json!({ "action": "accept_partial" })).await;
    assert_eq!(code(partly), "action_not_possible", "nothing is missing");
    decide(&mut house, first, json!({ "action": "accept" }))
        .await
        .unwrap();
    let shown = house.show(first).await;
    assert_eq!(shown.status, "paid");
    house
        .refund(second, &json!({ "amount": "0.0007", "tx_id": "back" }))
        .await
        .unwrap();
    assert_eq!(house.show(second).await.status, "refunded");
    assert_eq!(open(&house, second).await, Vec::new());
}

async fn a_payment_that_stays_pending_is_stuck_until_it_is_final(mut house: House) {
    let (id, key) = house.invoice(100_000, 10).await;
    house.chain.node().pool = vec![payment("a", &key, 100_000, "in:0")];
    house.poll().await;
    house.pass(20_000).await;
    house.pass(limits::STUCK_AFTER_MS - 20_000).await;
    assert_eq!(open(&house, id).await, Vec::new());
    house.pass(20_000).await;
    assert_eq!(open(&house, id).await, one("stuck", 100_000));
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    let said = [
        "created",
        "detected",
        "updated",
        OPENED,
        "confirming",
        "paid",
        RESOLVED,
    ];
    expect(&house, id, "paid", &said).await;
}

async fn an_acceptance_hides_no_reorganisation(mut house: House) {
    let (id, _) = paid_of(&mut house, 100_000, 60_000).await;
    house.pass(20_000).await;
    decide(&mut house, id, json!({ "action": "accept" }))
        .await
        .unwrap();
    assert_eq!(house.show(id).await.status, "paid");
    let dropped = house.chain.node().drop_blocks(2);
    {
        let now = house.now;
        let mut node = house.chain.node();
        for _ in 0..3 {
            node.mine(Vec::new(), now);
        }
    }
    house.poll().await;
    assert_eq!(house.show(id).await.status, "expired");
    assert_eq!(open(&house, id).await, one("reverted", 60_000));
    let said = house.said(id).await;
    assert_eq!(said[said.len() - 2..], ["reverted", OPENED]);
    let credits = dropped
        .into_iter()
        .flat_map(|block| block.credits)
        .collect();
    house.mine(credits).await;
    house.mine(Vec::new()).await;
    assert_eq!(
        house.show(id).await.status,
        "paid",
        "what was accepted is there again"
    );
    assert_eq!(open(&house, id).await, Vec::new());
}

async fn everything_sent_back_is_refunded_for_good(mut house: House) {
    let (id, key) = paid_of(&mut house, 100_000, 100_000).await;
    let above = house
        .refund(id, &json!({ "amount": "0.00100001", "offset": true }))
        .await;
    assert_eq!(code(above), "refund_above_final");
    house
        .refund(id, &json!({ "amount": "0.0004", "offset": true }))
        .await
        .unwrap();
    assert_eq!(house.show(id).await.status, "paid", "a part of it");
    let above = house
        .refund(id, &json!({ "amount": "0.0007", "offset": true }))
        .await;
    assert_eq!(
        code(above),
        "refund_above_final",
        "with what was sent before"
    );
    house
        .refund(id, &json!({ "amount": "0.0006", "tx_id": "back" }))
        .await
        .unwrap();
    assert_eq!(house.show(id).await.status, "refunded");
    house.mine(vec![payment("b", &key, 100_000, "in:1")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(
        house.show(id).await.status,
        "refunded",
        "nothing is wanted any more"
    );
    assert_eq!(open(&house, id).await, one("overpaid", 100_000));
}

/// Dust is counted and told to nobody, so nobody can know that it must be sent back.
async fn the_dust_of_a_stranger_keeps_nothing_from_being_refunded(mut house: House) {
    let (id, key) = paid_of(&mut house, 100_000, 100_000).await;
    house
        .mine(vec![payment("stranger", &key, 100, "in:9")])
        .await;
    house.mine(Vec::new()).await;
    house
        .refund(id, &json!({ "amount": "0.001", "tx_id": "back" }))
        .await
        .unwrap();
    assert_eq!(house.show(id).await.status, "refunded");
}

async fn a_stranger_cannot_capture_an_invoice(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    house
        .mine(vec![payment("stranger", &key, 1_000, "in:9")])
        .await;
    house.mine(Vec::new()).await;
    assert_eq!(house.show(id).await.status, "underpaid");
    assert!(house.show(id).await.payable, "it can still be paid");
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(house.show(id).await.status, "overpaid");
    house.chain.node().pool = vec![payment("again", &key, 1_000, "in:8")];
    house.poll().await;
    assert_eq!(
        house.show(id).await.status,
        "overpaid",
        "nothing takes it back"
    );
    let (other, key) = house.invoice(100_000, 900).await;
    house.chain.node().pool = vec![payment("more", &key, 1_000, "in:7")];
    house.poll().await;
    let canceled = house.cancel(other).await.unwrap();
    assert_eq!(
        canceled["status"], "canceled",
        "nor keeps it from being canceled"
    );
}

async fn what_cannot_be_decided_is_refused(mut house: House) {
    let (id, _) = paid_of(&mut house, 100_000, 150_000).await;
    for (body, expected) in [
        (json!({ "action": "accept_partial" }), "action_not_possible"),
        (
            json!({ "action": "refund", "amount": "0.00050001" }),
            "refund_too_large",
        ),
        (json!({ "action": "refund", "amount": "0" }), "amount_zero"),
        (
            json!({ "action": "refund", "amount": "many" }),
            "amount_invalid",
        ),
    ] {
        let refused = decide(&mut house, id, body.clone()).await;
        assert_eq!(code(refused), expected, "{body}");
    }
    let unknown = house
        .resolve(
            "exc_00000000000000000000000000",
            &json!({ "action": "accept" }),
        )
        .await;
    assert_eq!(code(unknown), "exception_unknown");
    assert_eq!(
        open(&house, id).await,
        one("overpaid", 50_000),
        "nothing of it remains"
    );
}
