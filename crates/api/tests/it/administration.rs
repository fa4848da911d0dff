//! API keys and merchants through the API, and which wallet is used.

use axum::body::Body;
use http::{Method, Request};
use paywatch_api::Scope;
use paywatch_domain::Mode;
use serde_json::{Value, json};

use crate::world::{World, run, run_on_both};

const KEYS: &str = "/v1/api-keys";

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

async fn make(world: &World, body: &Value) -> Value {
    world.post(KEYS, &body.to_string()).await.is(201)
}

/// The status of a request with a key.
async fn status(world: &World, key: &Value, path: &str) -> u16 {
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(
            "authorization",
            format!("Bearer {}", key["key"].as_str().expect("a key")),
        )
        .body(Body::empty())
        .expect("a request");
    world.send(request).await.status.as_u16()
}

#[tokio::test]
async fn an_api_key_made_by_the_api_does_what_it_may_until_it_is_revoked() {
    run_on_both(async |world: &mut World| {
        let made = make(
            world,
            &json!({ "scopes": ["chains:read", "chains:read"], "label": "shop" }),
        )
        .await;
        assert_eq!(made["scopes"], json!(["chains:read"]));
        assert_eq!(
            (&made["mode"], &made["state"]),
            (&json!("test"), &json!("active"))
        );
        assert_eq!(status(world, &made, "/v1/chains").await, 200);
        assert_eq!(status(world, &made, "/v1/invoices").await, 403);
        let path = format!("{KEYS}/{}", id(&made));
        let shown = world.get(&path).await.is(200);
        assert_eq!(shown["key"], Value::Null, "it is shown once");
        assert_eq!(world.get(KEYS).await.is(200)["data"][0], shown);

        let rotated = world
            .post(&format!("{path}/rotate"), r#"{"overlap_s":60}"#)
            .await
            .is(201);
        assert_eq!(rotated["scopes"], made["scopes"]);
        for key in [&made, &rotated] {
            assert_eq!(status(world, key, "/v1/chains").await, 200);
        }
        world.advance_ms(60_000);
        assert_eq!(status(world, &made, "/v1/chains").await, 401);
        assert_eq!(status(world, &rotated, "/v1/chains").await, 200);
        let over = world.post(&format!("{path}/rotate"), "").await;
        over.is_problem(409, "key_over");
        let path = format!("{KEYS}/{}", id(&rotated));
        let revoked = world.post(&format!("{path}/revoke"), "").await.is(200);
        assert_eq!(revoked["state"], "revoked");
        assert_eq!(status(world, &rotated, "/v1/chains").await, 401);
        world.post(&format!("{path}/revoke"), "").await.is(200);

        let log = world.get("/v1/audit?limit=3").await.is(200);
        let actions = log["data"].as_array().expect("rows").iter();
        let actions: Vec<&Value> = actions.map(|row| &row["action"]).collect();
        assert_eq!(actions, ["key.revoke", "key.rotate", "key.create"]);
        assert!(
            !log.to_string()
                .contains(made["key"].as_str().expect("a key"))
        );
    })
    .await;
}

#[tokio::test]
async fn api_keys_of_another_merchant_and_mode_are_not_there() {
    run(async |world| {
        let made = make(world, &json!({ "scopes": ["chains:read"] })).await;
        for key in [world.foreign_key().await, world.live_key.clone()] {
            world.key = key;
            let path = format!("{KEYS}/{}", id(&made));
            world.get(&path).await.is_problem(404, "key_unknown");
            for deed in ["rotate", "revoke"] {
                let answer = world.post(&format!("{path}/{deed}"), "").await;
                answer.is_problem(404, "key_unknown");
            }
            let page = world.get(KEYS).await.is(200);
            assert!(!page.to_string().contains(id(&made)));
            let behind = world
                .get(&format!("{KEYS}?starting_after={}", id(&made)))
                .await;
            behind.is_problem(400, "cursor_unknown");
        }
        assert_eq!(status(world, &made, "/v1/chains").await, 200);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_stand_in_an_api_key_is_named() {
    run(async |world| {
        for (body, pointer, code) in [
            (json!({}), "/scopes", "required"),
            (json!({ "scopes": [] }), "/scopes", "required"),
            (json!({ "scopes": ["all"] }), "/scopes/0", "scope_unknown"),
            (json!({ "scopes": "admin" }), "/scopes", "type_invalid"),
            (
                json!({ "scopes": ["admin"], "networks": ["shop.example"] }),
                "/networks/0",
                "network_invalid",
            ),
            (
                json!({ "scopes": ["admin"], "expires_at": "tomorrow" }),
                "/expires_at",
                "time_invalid",
            ),
            (
                json!({ "scopes": ["admin"], "merchant_id": "mer_nobody" }),
                "/merchant_id",
                "id_invalid",
            ),
        ] {
            let answer = world.post(KEYS, &body.to_string()).await;
            let problem = answer.is_problem(422, code);
            assert_eq!(problem["errors"][0]["pointer"], pointer);
        }
        let nobody = paywatch_domain::MerchantId::from_bits(99).to_string();
        let body = json!({ "scopes": ["admin"], "merchant_id": nobody });
        let answer = world.post(KEYS, &body.to_string()).await;
        answer.is_problem(422, "merchant_unknown");
    })
    .await;
}

#[tokio::test]
async fn a_merchant_made_by_the_api_gets_a_key_and_sees_nothing_of_others() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        let name = json!({ "name": "Second shop" }).to_string();
        let merchant = world.post("/v1/merchants", &name).await.is(201);
        let listed = world.get("/v1/merchants").await.is(200);
        assert_eq!(listed["data"][0], merchant);
        assert_eq!(listed["data"].as_array().expect("rows").len(), 2);
        let body = json!({ "scopes": ["wallets:read", "admin"], "merchant_id": merchant["id"] });
        let key = make(world, &body).await;
        assert_eq!(key["merchant_id"], merchant["id"]);
        world.key = key["key"].as_str().expect("a key").to_owned();
        assert_eq!(world.get("/v1/wallets").await.is(200)["data"], json!([]));
        let own = world.get(KEYS).await.is(200);
        assert_eq!(own["data"][0]["id"], key["id"]);
        world.key = world.new_key(Mode::Test, &Scope::MERCHANT).await;
        world
            .get("/v1/merchants")
            .await
            .is_problem(403, "scope_missing");
    })
    .await;
}

/// `m/84h/1h/0h` of the phrase `abandon … about`.
const VPUB: &str = "vpub5Y6cjg78GGuNLsaPhmYsiw4gYX3HoQiRBiSwDaBXKUafCt9bNwWQiitDk5VZ5BVxYnQdwoTyXSs2JHRPAgjAvtbBrf8ZhDYe2jWAqvZVnsc";

#[tokio::test]
async fn the_api_says_which_wallet_is_used() {
    run_on_both(async |world: &mut World| {
        let first = world.wallet().await;
        let body = json!({ "chain_family": "bitcoin", "key": VPUB }).to_string();
        let second = world.post("/v1/wallets", &body).await.is(201);
        let second = format!("/v1/wallets/{}", id(&second));
        let early = world.post(&format!("{second}/default"), "").await;
        early.is_problem(409, "wallet_not_active");
        world.post(&format!("{second}/confirm"), "").await.is(200);
        for _ in 0..2 {
            let made = world.post(&format!("{second}/default"), "").await.is(200);
            assert_eq!(made["default"], true);
        }
        let first = format!("/v1/wallets/{first}");
        assert_eq!(world.get(&first).await.is(200)["default"], false);
        let order = json!({ "options": [{ "asset": "btc@bitcoin-regtest", "amount": "0.001" }] });
        let order = order.to_string();
        let invoice = world.post("/v1/invoices", &order).await.is(201);
        let used = invoice["options"][0]["wallet_id"]
            .as_str()
            .expect("an id")
            .to_owned();
        assert!(second.ends_with(&used));

        for _ in 0..2 {
            let archived = world.post(&format!("{second}/archive"), "").await.is(200);
            assert_eq!(
                (&archived["state"], &archived["default"]),
                (&json!("archived"), &json!(false))
            );
        }
        let path = format!("/v1/invoices/{}", id(&invoice));
        assert_eq!(world.get(&path).await.is(200), invoice, "it goes on");
        let none = world.post("/v1/invoices", &order).await;
        none.is_problem(422, "wallet_missing");
        let back = world.post(&format!("{second}/default"), "").await;
        back.is_problem(409, "wallet_not_active");
        world.post(&format!("{first}/default"), "").await.is(200);
        world.post("/v1/invoices", &order).await.is(201);

        let own = world.key.clone();
        for key in [world.foreign_key().await, world.live_key.clone()] {
            world.key = key;
            for deed in ["default", "archive"] {
                let answer = world.post(&format!("{first}/{deed}"), "").await;
                answer.is_problem(404, "wallet_unknown");
            }
        }
        world.key = own;
        let log = world.get("/v1/audit?limit=2").await.is(200);
        assert_eq!(log["data"][0]["action"], "wallet.default");
        assert_eq!(log["data"][1]["action"], "wallet.archive");
    })
    .await;
}
