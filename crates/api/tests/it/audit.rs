//! What the audit log keeps: every action once, with who did it, and no secret.

use paywatch_api::Scope;
use paywatch_domain::Mode;
use paywatch_store::{MasterKey, audit};
use serde_json::{Value, json};

use crate::world::{World, run_on_both};

/// The actions of a log, oldest first.
async fn actions(world: &World, log: &str) -> Vec<Value> {
    let path = format!("/v1/audit?limit=100&log={log}");
    let mut rows = world.get(&path).await.is(200)["data"]
        .as_array()
        .expect("rows")
        .clone();
    rows.reverse();
    rows
}

fn names(rows: &[Value]) -> Vec<&str> {
    let names = rows.iter().map(|row| row["action"].as_str());
    names.collect::<Option<_>>().expect("texts")
}

#[tokio::test]
async fn every_action_is_a_row_with_who_did_it_and_no_secret() {
    run_on_both(async |world: &mut World| {
        let wallet = world.wallet().await;
        let confirm = format!("/v1/wallets/{wallet}/confirm");
        world.post(&confirm, "").await.is(200);
        let endpoint = json!({ "url": "https://shop.example/hook" }).to_string();
        let headers = [("idempotency-key", "one"), ("x-request-id", "req-of-shop")];
        let path = "/v1/webhook-endpoints";
        let made = world.post_with(path, &endpoint, &headers).await.is(201);
        world.post_with(path, &endpoint, &headers).await.is(201);
        let order = json!({ "options": [{ "asset": "btc@bitcoin-regtest", "amount": "0.001" }] });
        let invoice = world.post("/v1/invoices", &order.to_string()).await.is(201);
        let id = invoice["id"].as_str().expect("an id");
        let cancel = format!("/v1/invoices/{id}/cancel");
        world.post(&cancel, "").await.is(200);
        world
            .post(&cancel, "")
            .await
            .is_problem(409, "invoice_not_cancelable");
        let scan = format!("/v1/wallets/{wallet}/scan");
        world.post(&scan, r#"{"from_height":1}"#).await.is(202);
        world.post(&scan, r#"{"from_height":1}"#).await.is(202);
        let rescan = "/v1/chains/bitcoin-regtest/rescan";
        world.post(rescan, r#"{"from_height":1}"#).await.is(202);
        world.halt("bitcoin-regtest").await;
        world
            .post("/v1/chains/bitcoin-regtest/resume", "")
            .await
            .is(202);

        let rows = actions(world, "merchant").await;
        let expected = [
            "wallet.create",
            "wallet.confirm",
            "endpoint.create",
            "invoice.cancel",
            "wallet.scan",
        ];
        assert_eq!(names(&rows), expected, "what changes nothing is not there");
        let own = actions(world, "installation").await;
        assert_eq!(names(&own), ["chain.rescan", "chain.resume"]);
        assert_eq!(own[0]["subject"], "bitcoin-regtest");
        assert_eq!(rows[2]["request_id"], "req-of-shop");
        assert_eq!(rows[3]["subject"], json!(id));
        assert_eq!(rows[3]["before"], json!({ "state": "created" }));
        assert_eq!(rows[3]["after"], json!({ "state": "canceled" }));
        let actor = rows[0]["actor"].as_str().expect("an actor");
        assert!(actor.starts_with("key_"), "{actor}");
        let text = json!([rows, own]).to_string();
        let secret = made["secret"].as_str().expect("shown once");
        assert!(!text.contains(secret) && !text.contains("whsec_"), "{text}");

        let page = world
            .get("/v1/audit?limit=2&starting_after=4")
            .await
            .is(200);
        let numbers: Vec<&Value> = page["data"].as_array().expect("rows").iter().collect();
        assert_eq!([&numbers[0]["number"], &numbers[1]["number"]], [3, 2]);
        assert_eq!(page["next_cursor"], "2");
        let mut conn = world.store.snapshot().await.expect("read");
        for log in audit::logs(&mut conn).await.expect("logs") {
            let master = MasterKey::from_bytes([7; 32]);
            let found = audit::verify(&mut conn, &master, &log).await.expect("read");
            assert_eq!(found.fault, None, "{log}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_auditors_and_operators_read_the_log() {
    crate::world::run(async |world: &mut World| {
        world
            .get("/v1/audit?log=nothing")
            .await
            .is_problem(400, "word_unknown");
        world
            .get("/v1/audit?starting_after=77")
            .await
            .is_problem(400, "cursor_unknown");
        world.key = world.new_key(Mode::Test, &Scope::MERCHANT).await;
        world
            .get("/v1/audit")
            .await
            .is_problem(403, "scope_missing");
        world.key = world.new_key(Mode::Test, &[Scope::ReportsRead]).await;
        world.get("/v1/audit").await.is(200);
        let refused = world.get("/v1/audit?log=installation").await;
        let problem = refused.is_problem(403, "scope_missing");
        assert!(problem["detail"].to_string().contains("admin"), "{problem}");
    })
    .await;
}
