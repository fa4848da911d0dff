//! Invoices of which a rule does not hold.
//!
//! Goal: nothing is claimed about a damaged invoice, a person hears of it, the others go on, and after a
//! repair it comes back with everything that was paid. Method: rows changed behind the store's back, on both
//! databases.

use paywatch_domain::ExceptionKind;
use paywatch_engine::commands::CommandError;
use paywatch_store::Cursor;
use paywatch_store::exceptions::Filter;
use paywatch_wire::ExceptionForm;
use serde_json::{Value, json};

use crate::chain::payment;
use crate::house::House;
use crate::scenarios::{expect, stories, tamper};

stories!(
    a_changed_address_is_quarantined_and_comes_back,
    unreadable_terms_are_quarantined_and_come_back,
    an_invoice_whose_events_are_damaged_too_is_still_told,
);

const OPENED: &str = "exception.opened";
const RESOLVED: &str = "exception.resolved";

/// The quarantines that a merchant is shown.
async fn quarantines(house: &House) -> Vec<ExceptionForm> {
    let filter = Filter {
        kind: Some(ExceptionKind::Quarantined),
        is_open: None,
    };
    let (commands, caller) = (&house.commands, &house.caller);
    let listed = commands.exceptions(caller, filter, &Cursor::Newest, 10);
    listed.await.unwrap().rows
}

/// The code of a refusal.
fn code(answer: Result<Value, CommandError>) -> String {
    match answer.unwrap_err() {
        CommandError::Refused { code, .. } => code.into(),
        other => panic!("{other}"),
    }
}

/// Damages an invoice, lets it be paid, and repairs it.
async fn from_damage_to_repair(
    mut house: House,
    damage: &'static str,
    repair: &'static str,
    reason: &str,
) {
    let (id, key) = house.invoice(100_000, 900).await;
    assert_eq!(tamper(&house.url, damage).await, 1);
    let (other, other_key) = house.invoice(100_000, 900).await;
    let credits = vec![
        payment("a", &key, 100_000, "in:0"),
        payment("b", &other_key, 100_000, "in:1"),
    ];
    house.mine(credits).await;
    house.mine(Vec::new()).await;
    expect(&house, other, "paid", &["created", "confirming", "paid"]).await;
    assert_eq!(house.said(id).await, ["created", OPENED], "told once");

    let mut shown = quarantines(&house).await;
    let exception = shown.pop().unwrap();
    assert_eq!((shown.len(), &*exception.state), (0, "open"));
    assert_eq!(exception.invoice_id, id.to_string());
    assert!(exception.detail.contains(reason), "{}", exception.detail);
    assert_eq!((&exception.option_id, &exception.amount), (&None, &None));
    let told = house.last_told(id).await;
    assert_eq!(told["exception"], json!(exception));
    let (status, version) = (&told["invoice"]["status"], &told["invoice"]["version"]);
    assert_eq!(
        (status, version),
        (&json!("created"), &json!(2)),
        "as last said"
    );
    assert_eq!(told["invoice"]["transfers"], json!([]));

    let (assign, accept) = (
        json!({ "action": "assign", "owner": "Ada" }),
        json!({ "action": "accept" }),
    );
    let ignore = json!({ "action": "ignore", "reason": "repaired", "note": "by hand" });
    let assigned = house.resolve(&exception.id, &assign).await.unwrap();
    assert_eq!(assigned["owner"], "Ada");
    let accepted = house.resolve(&exception.id, &accept).await;
    assert_eq!(code(accepted), "action_not_possible");
    let too_early = house.resolve(&exception.id, &ignore).await;
    assert_eq!(code(too_early), "invoice_quarantined");

    assert_eq!(tamper(&house.url, repair).await, 1);
    house.mine(Vec::new()).await;
    assert_eq!(
        house.said(id).await,
        ["created", OPENED],
        "a person has to look"
    );
    let resolved = house.resolve(&exception.id, &ignore).await.unwrap();
    assert_eq!(resolved["state"], "resolved");
    assert_eq!(resolved["resolution"]["note"], "by hand");
    let said = ["created", OPENED, RESOLVED, "paid"];
    expect(&house, id, "paid", &said).await;
    assert_eq!(
        quarantines(&house).await,
        [serde_json::from_value(resolved).unwrap()]
    );
    let twice = house.resolve(&exception.id, &ignore).await;
    assert_eq!(code(twice), "exception_resolved");

    // It waits for its chain again.
    house.chain.node().drop_blocks(3);
    house.mine(Vec::new()).await;
    let fallen = house.said(id).await;
    assert!(fallen.contains(&"reverted".into()), "{fallen:?}");
}

async fn a_changed_address_is_quarantined_and_comes_back(house: House) {
    let damage = "UPDATE options SET address = 'thief'";
    let repair = "UPDATE options SET address = 'shop-0' WHERE address = 'thief'";
    Box::pin(from_damage_to_repair(
        house,
        damage,
        repair,
        "its seal does not fit",
    ))
    .await;
}

async fn unreadable_terms_are_quarantined_and_come_back(house: House) {
    let damage = "UPDATE invoices SET terms = 'x' || terms";
    let repair = "UPDATE invoices SET terms = substr(terms, 2) WHERE substr(terms, 1, 1) = 'x'";
    Box::pin(from_damage_to_repair(
        house,
        damage,
        repair,
        "invoices.terms",
    ))
    .await;
}

async fn an_invoice_whose_events_are_damaged_too_is_still_told(mut house: House) {
    let (id, key) = house.invoice(100_000, 900).await;
    tamper(&house.url, "UPDATE invoices SET terms = 'x', version = 0").await;
    tamper(&house.url, "UPDATE events SET body = 'x'").await;
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    tamper(&house.url, "UPDATE events SET body = '{}' WHERE body = 'x'").await;
    assert_eq!(house.said(id).await, ["created", OPENED]);
    let told = house.data_of(OPENED).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["invoice"], Value::Null, "nothing is made up");
    assert_eq!(told[0]["exception"]["invoice_id"], json!(id.to_string()));
}
