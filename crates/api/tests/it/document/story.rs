//! A story in which every operation is called once.

use axum::body::Body;
use http::{Method, Request};
use paywatch_api::Scope;
use paywatch_domain::Mode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::examples::Example;
use crate::bank::Bank;
use crate::world::{TPUB, World};

const CHAIN: &str = "/v1/chains/bitcoin-regtest";
const HOOKS: &str = "/v1/webhook-endpoints";

/// What was called so far.
struct Story<'a> {
    world: &'a World,
    told: Vec<Example>,
    /// Keys that must not get at anything here; each tries first what the owner is about to do.
    strangers: Vec<String>,
}

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

impl Story<'_> {
    async fn call(
        &mut self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Value {
        let text = body.as_ref().map(Value::to_string).unwrap_or_default();
        if has_id(path) {
            for stranger in &self.strangers {
                let mut request = self.world.request(method.clone(), path, &text);
                let bearer = format!("Bearer {stranger}").parse().expect("a header");
                request.headers_mut().insert("authorization", bearer);
                let answer = self.world.send(request).await;
                let told = format!("{operation} by a stranger: {}", answer.text);
                assert_eq!(answer.status, 404, "{told}");
                let code = answer.json()["code"].as_str().map(str::to_owned);
                let is_unknown = code.is_some_and(|code| code.ends_with("_unknown"));
                assert!(is_unknown, "{told}");
            }
        }
        let request = self.world.request(method, path, &text);
        self.send(operation, path, body, request).await
    }

    async fn send(
        &mut self,
        operation: &'static str,
        path: &str,
        body: Option<Value>,
        request: Request<Body>,
    ) -> Value {
        let answer = self.world.send(request).await;
        let status = answer.status.as_u16();
        assert!((200..300).contains(&status), "{operation}: {}", answer.text);
        let is_json = answer.header("content-type") == Some("application/json");
        let shown = if is_json {
            answer.json()
        } else {
            json!(answer.text)
        };
        let example = Example {
            operation,
            path: path.into(),
            body,
            status,
            headers: answer.headers,
            answer: shown.clone(),
        };
        self.told.push(example);
        shown
    }

    async fn get(&mut self, operation: &'static str, path: &str) -> Value {
        self.call(operation, Method::GET, path, None).await
    }

    async fn post(&mut self, operation: &'static str, path: &str, body: Value) -> Value {
        self.call(operation, Method::POST, path, Some(body)).await
    }

    /// A POST without fields.
    async fn ask(&mut self, operation: &'static str, path: &str) -> Value {
        self.call(operation, Method::POST, path, None).await
    }
}

/// A file of one address, as a wallet writes it.
fn pool(address: &str) -> String {
    let line = format!("{address}\n");
    let hash = hex::encode(Sha256::digest(line.as_bytes()));
    format!("{line}# sha256:{hash}\n")
}

/// Whether a part of a path is the id of a thing.
fn is_id(part: &str) -> bool {
    part.len() == 30 && part.as_bytes()[3] == b'_'
}

fn has_id(path: &str) -> bool {
    path.split(['/', '?']).any(is_id)
}

/// Calls everything.
pub(super) async fn tell(world: &mut World) -> Vec<Example> {
    tell_before(world, Vec::new()).await
}

/// The same while others with these keys try to get at each thing, and are told that there is no such thing.
pub(super) async fn tell_before(world: &mut World, strangers: Vec<String>) -> Vec<Example> {
    let key = world.new_key(Mode::Test, &Scope::ALL).await;
    world.key = key;
    let mut story = Story {
        world,
        told: Vec::new(),
        strangers,
    };
    let wallet = wallets(&mut story).await;
    let endpoint = endpoints(&mut story).await;
    let mut bank = Bank::new();
    let overpaid = invoices(&mut story, &mut bank).await;
    exceptions(&mut story, &mut bank, &overpaid).await;
    deliveries(&mut story, &endpoint).await;
    workers(&mut story, &wallet, &overpaid).await;
    administration(&mut story).await;
    installation(&mut story).await;
    story.told
}

async fn wallets(story: &mut Story<'_>) -> String {
    let body = json!({ "chain_family": "bitcoin", "key": TPUB, "label": "Shop" });
    let wallet = story.post("create_wallet", "/v1/wallets", body).await;
    let path = format!("/v1/wallets/{}", id(&wallet));
    story
        .ask("confirm_wallet", &format!("{path}/confirm"))
        .await;
    story.get("get_wallet", &path).await;
    let file = pool("mvines9iiHiQTysrwkJjGf2gb9Ex9jXJX8ns3qwf2kN");
    let body = json!({ "chain_family": "solana", "pool": file });
    let made = story
        .world
        .post("/v1/wallets", &body.to_string())
        .await
        .is(201);
    let further = pool("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v");
    let addresses = format!("/v1/wallets/{}/addresses", id(&made));
    story
        .post("extend_pool", &addresses, json!({ "pool": further }))
        .await;
    story
        .ask("make_wallet_default", &format!("{path}/default"))
        .await;
    story.get("list_wallets", "/v1/wallets?limit=2").await;
    let pool = format!("/v1/wallets/{}/archive", id(&made));
    story.ask("archive_wallet", &pool).await;
    id(&wallet).to_owned()
}

async fn endpoints(story: &mut Story<'_>) -> String {
    let body = json!({
        "url": "https://shop.example/hooks", "event_types": ["invoice.paid", "invoice.created"],
    });
    let endpoint = story.post("create_webhook_endpoint", HOOKS, body).await;
    let path = format!("{HOOKS}/{}", id(&endpoint));
    let body = json!({ "event_types": ["invoice.paid", "invoice.created", "invoice.overpaid"] });
    story
        .call("update_webhook_endpoint", Method::PATCH, &path, Some(body))
        .await;
    story
        .post(
            "rotate_webhook_secret",
            &format!("{path}/rotate-secret"),
            json!({ "overlap_s": 3600 }),
        )
        .await;
    story.get("get_webhook_endpoint", &path).await;
    story.get("list_webhook_endpoints", HOOKS).await;
    id(&endpoint).to_owned()
}

/// Makes invoices, one of which gets too much.
async fn invoices(story: &mut Story<'_>, bank: &mut Bank) -> Value {
    let body = json!({
        "order_id": "A-1001",
        "options": [{ "asset": "btc@bitcoin-regtest", "amount": "0.00100000" }],
        "expires_in_s": 900,
        "late_window_s": 604_800,
        "tolerance": { "under_percent": "0.5", "over_percent": "1" },
        "policy": { "tiers": [{ "finality": { "bitcoin-regtest": { "depth": 2 } } }] },
        "success_url": "https://shop.example/thanks",
        "metadata": { "basket": 7 },
    });
    let invoice = story.post("create_invoice", "/v1/invoices", body).await;
    bank.mine(story.world, &[(&invoice, 150_000)]).await;
    bank.mine(story.world, &[]).await;
    let path = format!("/v1/invoices/{}", id(&invoice));
    let shown = story.get("get_invoice", &path).await;
    story
        .get("list_invoices", "/v1/invoices?order_id=A-1001")
        .await;
    story
        .get("explain_invoice", &format!("{path}/explain"))
        .await;
    story
        .get("list_invoice_transfers", &format!("{path}/transfers"))
        .await;
    story
        .get("list_invoice_events", &format!("{path}/events?limit=1"))
        .await;
    story
        .get("list_transfers", "/v1/transfers?certainty=final&limit=1")
        .await;
    story.get("list_events", "/v1/events?after=0&limit=1").await;
    let other = bank.invoice(story.world, &Value::Null).await;
    story
        .ask(
            "cancel_invoice",
            &format!("/v1/invoices/{}/cancel", id(&other)),
        )
        .await;
    shown
}

async fn exceptions(story: &mut Story<'_>, bank: &mut Bank, overpaid: &Value) {
    let path = format!("/v1/exceptions/{}", id(&overpaid["exceptions"][0]));
    story
        .get("list_exceptions", "/v1/exceptions?state=open")
        .await;
    story.get("get_exception", &path).await;
    let body = json!({ "action": "accept", "note": "The payer wants no change." });
    story
        .post("resolve_exception", &format!("{path}/resolve"), body)
        .await;
    let paid = bank.paid(story.world, 100_000).await;
    let body = json!({ "amount": "0.00040000", "tx_id": "cd".repeat(32), "note": "Half of it came back." });
    story
        .post(
            "record_refund",
            &format!("/v1/invoices/{}/refunds", id(&paid)),
            body,
        )
        .await;
    let path = format!("/v1/invoices/{}", id(&paid));
    let body = json!({ "text": "The buyer called and moved the delivery to Friday." });
    story.post("add_note", &format!("{path}/notes"), body).await;
    let body = json!({ "description": "1 coffee grinder", "reference": "parcel 00340434161094" });
    story
        .post("add_fulfilment", &format!("{path}/fulfilments"), body)
        .await;
}

async fn deliveries(story: &mut Story<'_>, endpoint: &str) {
    let page = story.get("list_deliveries", "/v1/deliveries?limit=1").await;
    let path = format!("/v1/deliveries/{}", id(&page["data"][0]));
    story.get("get_delivery", &path).await;
    story.ask("redeliver", &format!("{path}/redeliver")).await;
    let path = format!("{HOOKS}/{endpoint}");
    story
        .ask("test_webhook_endpoint", &format!("{path}/test"))
        .await;
    story
        .post(
            "replay_events",
            &format!("{path}/replay"),
            json!({ "after": 0 }),
        )
        .await;
    story
        .call("delete_webhook_endpoint", Method::DELETE, &path, None)
        .await;
}

async fn workers(story: &mut Story<'_>, wallet: &str, invoice: &Value) {
    let path = format!("/v1/invoices/{}", id(invoice));
    let body = json!({ "tx_id": "ab".repeat(32) });
    story
        .post("attach_transaction", &format!("{path}/transfers"), body)
        .await;
    let asked = story.ask("check_invoice", &format!("{path}/check")).await;
    story
        .post(
            "scan_wallet",
            &format!("/v1/wallets/{wallet}/scan"),
            json!({ "from_height": 800 }),
        )
        .await;
    let body = json!({ "from_height": 813, "to_height": 814 });
    story
        .post("rescan_chain", &format!("{CHAIN}/rescan"), body)
        .await;
    let path = format!("/v1/requests/{}", id(&asked));
    story.get("get_request", &path).await;
    story.ask("cancel_request", &format!("{path}/cancel")).await;
    story
        .get(
            "export_wallet",
            &format!("/v1/wallets/{wallet}/export?form=csv"),
        )
        .await;
}

async fn administration(story: &mut Story<'_>) {
    let body = json!({ "name": "Second shop" });
    let merchant = story.post("create_merchant", "/v1/merchants", body).await;
    story.get("list_merchants", "/v1/merchants").await;
    let body = json!({
        "scopes": ["invoices:read", "invoices:write"],
        "label": "backend",
        "networks": ["192.0.2.0/24"],
        "expires_at": "2027-12-01T00:00:00.000Z",
        "merchant_id": merchant["id"],
    });
    story.post("create_api_key", "/v1/api-keys", body).await;
    let body = json!({ "scopes": ["events:read"] }).to_string();
    let own = story.world.post("/v1/api-keys", &body).await.is(201);
    let path = format!("/v1/api-keys/{}", id(&own));
    story.get("get_api_key", &path).await;
    let body = json!({ "overlap_s": 3600 });
    story
        .post("rotate_api_key", &format!("{path}/rotate"), body)
        .await;
    story.ask("revoke_api_key", &format!("{path}/revoke")).await;
    story.get("list_api_keys", "/v1/api-keys?limit=1").await;
}

async fn installation(story: &mut Story<'_>) {
    for (operation, path) in [
        ("list_chains", "/v1/chains"),
        ("list_assets", "/v1/assets"),
        ("list_rates", "/v1/rates"),
        ("list_audit_entries", "/v1/audit?limit=1"),
    ] {
        story.get(operation, path).await;
    }
    for (operation, path) in [
        ("live", "/livez"),
        ("ready", "/readyz"),
        ("metrics", "/metrics"),
    ] {
        let bare = Request::get(path).body(Body::empty()).expect("a request");
        story.send(operation, path, None, bare).await;
    }
    story.world.halt("bitcoin-regtest").await;
    story.ask("resume_chain", &format!("{CHAIN}/resume")).await;
}
