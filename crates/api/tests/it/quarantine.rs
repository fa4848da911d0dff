//! What a merchant is shown of an invoice that does not fit its seal, and how it comes back.

use serde_json::{Value, json};

use crate::bank::Bank;
use crate::world::{World, run};

fn ids(page: &Value) -> Vec<&str> {
    let rows = page["data"].as_array().expect("a list");
    rows.iter().filter_map(|row| row["id"].as_str()).collect()
}

/// Everything that would be a claim about the invoice is refused, and says why.
async fn nothing_is_claimed(world: &World, invoice: &str, exception: &str) {
    let paths = ["", "/explain", "/transfers"].map(|part| format!("/v1/invoices/{invoice}{part}"));
    for path in paths.iter().chain([&format!("/v1/exceptions/{exception}")]) {
        let problem = world.get(path).await.is_problem(409, "invoice_quarantined");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains("no claims are made"), "{path}: {detail}");
    }
    let ignore = json!({ "action": "accept" }).to_string();
    let decided = world
        .post(&format!("/v1/exceptions/{exception}/resolve"), &ignore)
        .await;
    decided.is_problem(409, "invoice_quarantined");
    let canceled = world
        .post(&format!("/v1/invoices/{invoice}/cancel"), "")
        .await;
    canceled.is_problem(409, "invoice_quarantined");
    for list in ["/v1/invoices", "/v1/invoices?has_exception=true"] {
        let page = world.get(list).await.is(200);
        assert!(!ids(&page).contains(&invoice), "{list}: {page}");
    }
}

/// Goal: an address that was changed in the database is shown nowhere, not even by an exception that was told
/// before; once the damage is found the merchant hears of it, and after the repair everything is there again.
#[tokio::test]
async fn a_quarantined_invoice_is_shown_as_such_and_comes_back() {
    run(async |world: &mut World| {
        world.wallet().await;
        let mut bank = Bank::new();
        let sound = bank.paid(world, 150_000).await;
        let invoice = bank.paid(world, 150_000).await;
        let id = invoice["id"].as_str().expect("an id");
        let overpaid = invoice["exceptions"][0]["id"].as_str().expect("an id");
        let own = invoice["options"][0]["address"].as_str().expect("text");
        let set = |from: &str, to: &str| {
            format!("UPDATE options SET address = '{to}' WHERE address = '{from}'")
        };
        assert_eq!(world.tamper(&set(own, "thief")).await, 1);
        nothing_is_claimed(world, id, overpaid).await;
        let sound_exception = sound["exceptions"][0]["id"].as_str().expect("an id");
        let page = world.get("/v1/exceptions").await.is(200);
        assert_eq!(ids(&page), [sound_exception], "the others are shown");

        // A block that pays it finds the damage.
        bank.mine(world, &[(&invoice, 1_000)]).await;
        nothing_is_claimed(world, id, overpaid).await;
        let page = world.get("/v1/exceptions").await.is(200);
        assert_eq!(page["data"].as_array().map(Vec::len), Some(2), "{page}");
        let told = &page["data"][0];
        let quarantine = told["id"].as_str().expect("an id");
        assert_eq!(
            (&told["kind"], &told["state"], &told["invoice_id"]),
            (&json!("quarantined"), &json!("open"), &json!(id))
        );
        let shown = world.get(&format!("/v1/exceptions/{quarantine}")).await;
        assert_eq!(shown.is(200), *told);
        let events = world.get(&format!("/v1/invoices/{id}/events")).await;
        let last = &events.is(200)["data"][0];
        assert_eq!(last["type"], "exception.opened");
        assert_eq!(last["data"]["exception"], *told);
        assert_eq!(last["data"]["invoice"]["options"][0]["address"], own);
        let text = page.to_string();
        assert!(!text.contains("thief"), "{text}");

        let resolve = format!("/v1/exceptions/{quarantine}/resolve");
        let ignore = json!({ "action": "ignore", "reason": "repaired" }).to_string();
        let early = world.post(&resolve, &ignore).await;
        early.is_problem(409, "invoice_quarantined");
        assert_eq!(world.tamper(&set("thief", own)).await, 1);
        assert_eq!(
            world.post(&resolve, &ignore).await.is(200)["state"],
            "resolved"
        );
        let back = world.get(&format!("/v1/invoices/{id}")).await.is(200);
        assert_eq!(back["status"], "overpaid", "{back}");
        assert_eq!(back["transfers"].as_array().map(Vec::len), Some(2));
        let one = world.get(&format!("/v1/exceptions/{overpaid}")).await;
        assert_eq!(one.is(200)["kind"], "overpaid");
        let page = world.get("/v1/invoices?has_exception=true").await.is(200);
        assert!(ids(&page).contains(&id), "{page}");
    })
    .await;
}
