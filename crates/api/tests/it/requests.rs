//! What is asked of the workers of chains: who may ask, what is refused, what is shown.
//!
//! No worker runs here, so everything waits.

use paywatch_api::Scope;
use paywatch_domain::Mode;
use serde_json::json;

use crate::world::{World, run, run_on_both};

const CHAIN: &str = "/v1/chains/bitcoin-regtest";

#[tokio::test]
async fn a_rescan_is_asked_for_and_shown() {
    run_on_both(async |world: &mut World| {
        let rescan = format!("{CHAIN}/rescan");
        let body = json!({ "from_height": 800, "to_height": 805 }).to_string();
        let asked = world.post(&rescan, &body).await.is(202);
        let id = asked["id"].as_str().expect("an id").to_owned();
        assert!(id.starts_with("req_"), "{id}");
        let expected = json!({
            "id": id, "object": "request", "kind": "rescan", "chain": "bitcoin-regtest",
            "state": "waiting", "wallet_id": null, "invoice_id": null, "tx_id": null, "from_height": 800, "to_height": 805,
            "blocks_done": 0, "blocks_total": null, "findings": null, "error": null,
            "created_at": "2026-12-01T09:30:00.000Z", "started_at": null, "finished_at": null,
        });
        assert_eq!(asked, expected);
        let path = format!("/v1/requests/{id}");
        assert_eq!(world.get(&path).await.is(200), expected);
        let again = world.post(&rescan, &body).await.is(202);
        assert_eq!(again["id"], asked["id"], "the same is not asked twice");
        let body = json!({ "from_height": 800 }).to_string();
        let other = world.post(&rescan, &body).await.is(202);
        assert_eq!(other["to_height"], 812, "up to what was read");
        assert_ne!(other["id"], asked["id"]);

        let admin = world.key.clone();
        world.key = world.new_key(Mode::Test, &Scope::MERCHANT).await;
        let hidden = world.get(&path).await;
        hidden.is_problem(404, "request_unknown");
        world.key = world.live_key.clone();
        let hidden = world.get(&path).await;
        hidden.is_problem(404, "request_unknown");
        world.key = admin;
        let unknown = world.get("/v1/requests/req_nobody").await;
        unknown.is_problem(404, "request_unknown");
    })
    .await;
}

#[tokio::test]
async fn a_request_that_cannot_be_carried_out_is_refused() {
    run(async |world| {
        let rescan = format!("{CHAIN}/rescan");
        for (body, code) in [
            (json!({}), "required"),
            (json!({ "from_height": "1" }), "type_invalid"),
            (json!({ "from_height": -1 }), "height_invalid"),
            (json!({ "from_height": 1.5 }), "height_invalid"),
            (json!({ "from_height": u64::MAX }), "height_invalid"),
            (json!({ "from_height": 813 }), "height_invalid"),
            (
                json!({ "from_height": 1, "to_height": 813 }),
                "height_invalid",
            ),
            (
                json!({ "from_height": 5, "to_height": 4 }),
                "height_invalid",
            ),
            (json!({ "from_height": 5, "speed": 4 }), "unknown_field"),
        ] {
            let answer = world.post(&rescan, &body.to_string()).await;
            answer.is_problem(422, code);
        }
        let body = json!({ "from_height": 1 }).to_string();
        for chain in ["bitcoin", "nothing", "%20"] {
            let answer = world
                .post(&format!("/v1/chains/{chain}/rescan"), &body)
                .await;
            answer.is_problem(404, "chain_unknown");
        }
        let answer = world.post(&format!("{CHAIN}/resume"), "").await;
        let problem = answer.is_problem(409, "chain_not_halted");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains("nothing to resume"), "{detail}");
    })
    .await;
}

#[tokio::test]
async fn a_halted_chain_is_resumed_once() {
    run_on_both(async |world: &mut World| {
        world.halt("bitcoin-regtest").await;
        let path = format!("{CHAIN}/resume");
        let asked = world.post(&path, "").await.is(202);
        assert_eq!(
            (&asked["kind"], &asked["state"]),
            (&json!("resume"), &json!("waiting"))
        );
        assert_eq!(asked["from_height"], json!(null));
        let again = world.post(&path, "").await.is(202);
        assert_eq!(again, asked);
    })
    .await;
}

/// An invoice's id and its option's, and a key of its merchant that may do nothing but with invoices; the
/// key of the operator.
async fn with_invoice(world: &mut World) -> (String, String, String) {
    world.wallet().await;
    let order = json!({ "options": [{ "asset": "btc@bitcoin-regtest", "amount": "0.001" }] });
    let invoice = world.post("/v1/invoices", &order.to_string()).await.is(201);
    let own = [Scope::InvoicesRead, Scope::InvoicesWrite];
    let key = world.new_key(Mode::Test, &own).await;
    let admin = std::mem::replace(&mut world.key, key);
    let [id, option] = [&invoice["id"], &invoice["options"][0]["id"]];
    let text = |id: &serde_json::Value| id.as_str().expect("an id").to_owned();
    (text(id), text(option), admin)
}

#[tokio::test]
async fn a_transaction_is_attached_to_an_invoice_of_the_merchant() {
    run_on_both(async |world: &mut World| {
        let (id, option, _) = with_invoice(world).await;
        let path = format!("/v1/invoices/{id}/transfers");
        let tx = "AB".repeat(32);
        for (body, code) in [
            (json!({}), "required"),
            (json!({ "tx_id": "abc" }), "tx_id_invalid"),
            (
                json!({ "tx_id": tx, "option_id": "opt_x" }),
                "option_unknown",
            ),
            (json!({ "tx_id": tx, "chain": "bitcoin" }), "chain_unknown"),
            (json!({ "tx_id": tx, "block_height": -1 }), "height_invalid"),
            (
                json!({ "tx_id": tx, "block_height": 1, "block_hash": "ab" }),
                "height_invalid",
            ),
            (json!({ "tx_id": tx, "speed": 1 }), "unknown_field"),
        ] {
            let answer = world.post(&path, &body.to_string()).await;
            answer.is_problem(422, code);
        }
        let body = json!({ "tx_id": tx, "option_id": option }).to_string();
        let asked = world.post(&path, &body).await.is(202);
        assert_eq!(asked["kind"], "attach");
        assert_eq!(asked["state"], "waiting");
        assert_eq!(asked["tx_id"], json!(tx.to_ascii_lowercase()));
        assert_eq!(asked["invoice_id"], json!(id));
        world.key = world.new_key(Mode::Test, &[Scope::InvoicesRead]).await;
        let refused = world.post(&path, &body).await;
        refused.is_problem(403, "scope_missing");
    })
    .await;
}

/// Goal: a merchant checks its own invoices and withdraws that, and sees nobody else's requests.
#[tokio::test]
async fn an_invoice_is_checked_and_the_check_withdrawn() {
    run_on_both(async |world: &mut World| {
        let (id, _, admin) = with_invoice(world).await;
        let path = format!("/v1/invoices/{id}/check");
        let check = world.post(&path, "").await.is(202);
        assert_eq!(check["kind"], "check");
        assert_eq!(check["to_height"], 812);
        assert_eq!(world.post(&path, "").await.is(202), check);
        let unknown = world.post("/v1/invoices/inv_nobody/check", "").await;
        unknown.is_problem(404, "invoice_unknown");

        let request = format!("/v1/requests/{}", check["id"].as_str().expect("an id"));
        assert_eq!(world.get(&request).await.is(200), check);
        let cancel = format!("{request}/cancel");
        let canceled = world.post(&cancel, "").await.is(200);
        assert_eq!(canceled["state"], "canceled");
        assert!(canceled["finished_at"].is_string());
        world
            .post(&cancel, "")
            .await
            .is_problem(409, "request_over");

        let merchant = std::mem::replace(&mut world.key, admin);
        let rescan = format!("{CHAIN}/rescan");
        let rescan = world.post(&rescan, r#"{"from_height":1}"#).await.is(202);
        let rescan = format!("/v1/requests/{}", rescan["id"].as_str().expect("an id"));
        world.key = merchant;
        world.get(&rescan).await.is_problem(404, "request_unknown");
        let cancel = world.post(&format!("{rescan}/cancel"), "").await;
        cancel.is_problem(404, "request_unknown");
    })
    .await;
}

#[tokio::test]
async fn a_wallet_is_scanned_for_its_merchant() {
    run_on_both(async |world: &mut World| {
        let wallet = world.wallet().await;
        let path = format!("/v1/wallets/{wallet}/scan");
        let admin = world.key.clone();
        world.key = world.new_key(Mode::Test, &Scope::MERCHANT).await;
        let body = json!({ "from_height": 0 }).to_string();
        let asked = world.post(&path, &body).await.is(202);
        assert_eq!(asked["kind"], "wallet_scan");
        assert_eq!(asked["wallet_id"], json!(wallet));
        assert_eq!(
            asked["chain"], "bitcoin-regtest",
            "the only one that is followed"
        );
        assert_eq!(asked["to_height"], 812);
        let id = asked["id"].as_str().expect("an id");
        let shown = format!("/v1/requests/{id}");
        assert_eq!(world.get(&shown).await.is(200), asked);
        for (body, status, code) in [
            (json!({}), 422, "required"),
            (json!({ "from_height": 813 }), 422, "height_invalid"),
            (
                json!({ "from_height": 0, "chain": "bitcoin" }),
                422,
                "chain_unknown",
            ),
            (
                json!({ "from_height": 0, "chain": "No Name" }),
                422,
                "chain_unknown",
            ),
        ] {
            let answer = world.post(&path, &body.to_string()).await;
            answer.is_problem(status, code);
        }
        let named = json!({ "from_height": 0, "chain": "bitcoin-regtest" }).to_string();
        let same = world.post(&path, &named).await.is(202);
        assert_eq!(same["id"], asked["id"]);
        world.key = world.live_key.clone();
        let answer = world.post(&path, &body).await;
        answer.is_problem(404, "wallet_unknown");
        world.key = admin;
    })
    .await;
}

#[tokio::test]
async fn nobody_fills_the_line_of_a_chain() {
    run_on_both(async |world: &mut World| {
        let wallet = world.wallet().await;
        let scan = format!("/v1/wallets/{wallet}/scan");
        let body = json!({ "from_height": 800 }).to_string();
        world.post(&scan, &body).await.is(202);
        let body = json!({ "from_height": 801 }).to_string();
        let problem = world.post(&scan, &body).await;
        let problem = problem.is_problem(409, "scan_open");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains("req_"), "{detail}");
        let rescan = format!("{CHAIN}/rescan");
        for to_height in 801..809 {
            let body = json!({ "from_height": 800, "to_height": to_height }).to_string();
            world.post(&rescan, &body).await.is(202);
        }
        let body = json!({ "from_height": 800, "to_height": 801 }).to_string();
        world.post(&rescan, &body).await.is(202);
        let body = json!({ "from_height": 800, "to_height": 809 }).to_string();
        let refused = world.post(&rescan, &body).await;
        refused.is_problem(409, "requests_open");
        world.halt("bitcoin-regtest").await;
        world.post(&format!("{CHAIN}/resume"), "").await.is(202);
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_told_to_operators() {
    run(async |world| {
        let wallet = world.wallet().await;
        let scan = format!("/v1/wallets/{wallet}/scan");
        let body = json!({ "from_height": 800 }).to_string();
        let asked = world.post(&scan, &body).await.is(202);
        let id = asked["id"].as_str().expect("an id");
        let shown = format!("/v1/requests/{id}");
        let admin = world.key.clone();
        let merchant = world.new_key(Mode::Test, &Scope::MERCHANT).await;
        for (state, discreet) in [
            (
                "running",
                "waits for the node; ask the operator if it stays so",
            ),
            ("failed", "failed; ask the operator"),
        ] {
            let sql = format!("UPDATE requests SET state = '{state}', error = 'at 10.0.0.7'");
            world.tamper(&sql).await;
            world.key.clone_from(&admin);
            assert_eq!(world.get(&shown).await.is(200)["error"], "at 10.0.0.7");
            world.key.clone_from(&merchant);
            assert_eq!(world.get(&shown).await.is(200)["error"], discreet);
        }
    })
    .await;
}
