//! Everything bad that a merchant can send: a stable code each, and nothing half-created.

use serde_json::json;

use crate::world::{TPUB, World, ZPUB, run};

/// BIP32, test vector 1, chain m.
const XPRV: &str = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
const WIF: &str = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1";
const SEED: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

async fn nothing_exists(world: &World) {
    for list in [
        "/v1/wallets",
        "/v1/invoices",
        "/v1/webhook-endpoints",
        "/v1/events",
    ] {
        let page = world.get(list).await.is(200);
        assert_eq!(page["data"], json!([]), "{list}");
    }
}

fn wallet(key: &str) -> String {
    json!({"chain_family": "bitcoin", "key": key}).to_string()
}

#[tokio::test]
async fn private_keys_are_refused_and_never_repeated() {
    run(async |world| {
        let descriptor = format!("wpkh({XPRV}/0/*)");
        for secret in [XPRV, WIF, SEED, &descriptor] {
            for key in [world.key.clone(), world.live_key.clone()] {
                world.key = key;
                let answer = world.post("/v1/wallets", &wallet(secret)).await;
                let problem = answer.is_problem(422, "private_key_refused");
                assert_eq!(problem["errors"][0]["pointer"], "/key");
                for word in [XPRV, WIF, "abandon"] {
                    assert!(!answer.text.contains(word), "{}", answer.text);
                }
            }
        }
        nothing_exists(world).await;
    })
    .await;
}

#[tokio::test]
async fn keys_that_cannot_be_used_say_why() {
    run(async |world| {
        let test_key = world.key.clone();
        let cut = &TPUB[..TPUB.len() - 1];
        let wrong = format!("{}x", &TPUB[..TPUB.len() - 1]);
        let descriptor = format!("wpkh({TPUB}/0/*)#qqqqqqqq");
        let hardened = format!("wpkh({TPUB}/0h/*)");
        for (key, code) in [
            (ZPUB, "key_wrong_network"),
            (wrong.as_str(), "key_checksum"),
            (cut, "key_checksum"),
            (descriptor.as_str(), "key_checksum"),
            (hardened.as_str(), "key_hardened_step"),
            ("hello", "key_malformed"),
        ] {
            let answer = world.post("/v1/wallets", &wallet(key)).await;
            assert_eq!(answer.status, 422, "{key}: {}", answer.text);
            let problem = answer.is_problem(422, code);
            assert_eq!(problem["errors"][0]["pointer"], "/key");
        }
        world.key = world.live_key.clone();
        let answer = world.post("/v1/wallets", &wallet(TPUB)).await;
        answer.is_problem(422, "key_wrong_network");
        world.key = test_key;
        let unknown = json!({"chain_family": "bitcoin", "key": TPUB, "colour": "red"}).to_string();
        world
            .post("/v1/wallets", &unknown)
            .await
            .is_problem(422, "unknown_field");
        let family = json!({"chain_family": "solana", "key": TPUB}).to_string();
        world
            .post("/v1/wallets", &family)
            .await
            .is_problem(422, "family_not_served");
        nothing_exists(world).await;
    })
    .await;
}

#[tokio::test]
async fn bad_invoices_have_a_code_and_take_no_address() {
    run(async |world| {
        let id = world.wallet().await;
        let amount = |amount: serde_json::Value| {
            json!({"options": [{"asset": "btc@bitcoin-regtest", "amount": amount}]})
        };
        let with = |name: &str, value: serde_json::Value| {
            let mut body = amount(json!("0.001"));
            body[name] = value;
            body
        };
        let table = [
            (amount(json!("0.000000001")), "amount_too_many_decimals", "/options/0/amount"),
            (amount(json!("-0.001")), "amount_not_decimal", "/options/0/amount"),
            (amount(json!("1e8")), "amount_not_decimal", "/options/0/amount"),
            (amount(json!("NaN")), "amount_not_decimal", "/options/0/amount"),
            (amount(json!("9".repeat(80))), "amount_too_large", "/options/0/amount"),
            (amount(json!("0")), "amount_zero", "/options/0/amount"),
            (amount(json!("0.00000001")), "amount_below_dust", "/options/0/amount"),
            (amount(json!(0.001)), "type_invalid", "/options/0/amount"),
            (json!({"options": [{"asset": "doge@moon", "amount": "1"}]}), "chain_unknown", "/options/0/asset"),
            (json!({"options": [{"asset": "btc@bitcoin", "amount": "1"}]}), "asset_other_mode", "/options/0/asset"),
            (with("expires_in_s", json!(0)), "expires_in_invalid", "/expires_in_s"),
            (with("expire_in_s", json!(5)), "unknown_field", "/expire_in_s"),
            (with("metadata", json!([])), "type_invalid", "/metadata"),
            (with("policy", json!("fast")), "policy_unknown", "/policy"),
        ];
        for (body, code, pointer) in table {
            let problem = world.post("/v1/invoices", &body.to_string()).await.is_problem(422, code);
            assert_eq!(problem["errors"][0]["pointer"], pointer);
            assert_eq!(problem["errors"].as_array().map(Vec::len), Some(1));
        }
        let several = json!({"options": [], "expires_in_s": 0, "x": 1}).to_string();
        let problem = world.post("/v1/invoices", &several).await.is_problem(422, "fields_invalid");
        assert_eq!(problem["errors"].as_array().map(Vec::len), Some(2));
        for broken in ["", "{", "null", "[]", "\u{feff}{}"] {
            let status = world.post("/v1/invoices", broken).await.status.as_u16();
            assert!(status == 400 || status == 422, "{broken:?} {status}");
        }
        let page = world.get("/v1/invoices").await.is(200);
        assert_eq!(page["data"], json!([]));
        let wallet = world.get(&format!("/v1/wallets/{id}")).await.is(200);
        assert_eq!(wallet["next_index"], 0, "no address was taken");
    })
    .await;
}

#[tokio::test]
async fn without_a_confirmed_wallet_there_is_no_invoice() {
    run(async |world| {
        let body = r#"{"options":[{"asset":"btc@bitcoin-regtest","amount":"0.001"}]}"#;
        world
            .post("/v1/invoices", body)
            .await
            .is_problem(422, "wallet_missing");
        let wallet = world.post("/v1/wallets", &wallet(TPUB)).await.is(201);
        world
            .post("/v1/invoices", body)
            .await
            .is_problem(422, "wallet_missing");
        let named = json!({"options": [
            {"asset": "btc@bitcoin-regtest", "amount": "0.001", "wallet_id": wallet["id"]}
        ]});
        world
            .post("/v1/invoices", &named.to_string())
            .await
            .is_problem(422, "wallet_not_active");
        let page = world.get("/v1/invoices").await.is(200);
        assert_eq!(page["data"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_chain_that_lags_takes_no_invoices() {
    run(async |world| {
        world.wallet().await;
        world.advance_ms(3_600_001);
        let body = r#"{"options":[{"asset":"btc@bitcoin-regtest","amount":"0.001"}]}"#;
        let refused = world.post("/v1/invoices", body).await;
        refused.is_problem(503, "chain_unavailable");
        assert_eq!(refused.header("retry-after"), Some("10"));
        let chains = world.get("/v1/chains").await.is(200);
        assert_eq!(chains["data"][0]["accepting"], false);
        // Nor does one that was covered by a clock which has been put back.
        world.advance_ms(-3_600_001 - 60_001);
        let refused = world.post("/v1/invoices", body).await;
        refused.is_problem(503, "chain_unavailable");
        let chains = world.get("/v1/chains").await.is(200);
        assert_eq!(chains["data"][0]["accepting"], false);
        world.advance_ms(1);
        world.post("/v1/invoices", body).await.is(201);
    })
    .await;
}

#[tokio::test]
async fn addresses_that_are_not_sent_to_are_refused() {
    run(async |world| {
        for (url, code) in [
            ("https://localhost/hook", "url_not_allowed"),
            ("ftp://shop.example/hook", "url_invalid"),
            ("shop.example", "url_invalid"),
        ] {
            let body = json!({"url": url}).to_string();
            let problem = world
                .post("/v1/webhook-endpoints", &body)
                .await
                .is_problem(422, code);
            assert_eq!(problem["errors"][0]["pointer"], "/url");
        }
        nothing_exists(world).await;
    })
    .await;
}

#[tokio::test]
async fn bad_parameters_of_lists_are_named() {
    run(async |world| {
        for (query, pointer, code) in [
            ("limit=0", "?limit", "limit_invalid"),
            ("limit=101", "?limit", "limit_invalid"),
            ("limit=x", "?limit", "limit_invalid"),
            ("colour=red", "?colour", "unknown_parameter"),
            ("status=payed", "?status", "word_unknown"),
            ("created_after=yesterday", "?created_after", "time_invalid"),
            ("starting_after=wal_1", "?starting_after", "id_invalid"),
            (
                "starting_after=inv_00000000000000000000000000",
                "?",
                "cursor_unknown",
            ),
            ("status=paid&order_id=A", "?status", "filters_combined"),
        ] {
            let problem = world
                .get(&format!("/v1/invoices?{query}"))
                .await
                .is_problem(400, code);
            assert_eq!(problem["errors"][0]["pointer"], pointer);
        }
        world
            .get("/v1/events?after=-1")
            .await
            .is_problem(400, "sequence_invalid");
        world
            .get("/v1/events?after=7")
            .await
            .is_problem(400, "cursor_unknown");
    })
    .await;
}
