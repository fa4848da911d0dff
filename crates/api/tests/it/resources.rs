//! The resources as the contract shows them: created, read back, listed.

use std::collections::BTreeSet;

use http::StatusCode;
use paywatch_api::Scope;
use paywatch_domain::Mode;
use paywatch_testkit::WalletKey;
use paywatch_testkit::bitcoin::bip32::{ChildNumber, Xpub};
use paywatch_testkit::bitcoin::secp256k1::Secp256k1;
use serde_json::{Value, json};

use crate::world::{TPUB, World, run, run_on_both};

#[tokio::test]
async fn a_wallet_waits_until_its_addresses_are_compared() {
    run(async |world| {
        let body = json!({"chain_family": "bitcoin", "key": format!(" {TPUB} "), "label": "till"});
        let created = world.post("/v1/wallets", &body.to_string()).await.is(201);
        assert_eq!(created["object"], "wallet");
        assert_eq!(created["livemode"], false);
        assert_eq!(created["state"], "pending");
        assert_eq!(created["default"], false);
        assert_eq!(created["label"], "till");
        let addresses = created["first_addresses"].as_array().expect("a list");
        assert_eq!(addresses.len(), 3);
        for (index, address) in addresses.iter().enumerate() {
            assert_eq!(address["index"], index);
            assert!(
                address["address"]
                    .as_str()
                    .expect("text")
                    .starts_with("bcrt1q")
            );
        }
        let id = created["id"].as_str().expect("an id");
        let path = format!("/v1/wallets/{id}");
        assert_eq!(world.get(&path).await.is(200), created);

        let confirmed = world.post(&format!("{path}/confirm"), "").await.is(200);
        assert_eq!(confirmed["state"], "active");
        assert_eq!(confirmed["default"], true, "the first of its family");
        assert!(confirmed["confirmed_at"].is_string());
        assert_eq!(confirmed["first_addresses"], created["first_addresses"]);
        world
            .post("/v1/wallets", &body.to_string())
            .await
            .is_problem(409, "wallet_exists");
        let page = world.get("/v1/wallets").await.is(200);
        assert_eq!(
            page,
            json!({"data": [confirmed], "has_more": false, "next_cursor": null})
        );
    })
    .await;
}

/// Goal: the counter belongs to the key, whatever text and script it was registered in: no index is
/// handed out twice. Method: the same account in every form; forms with the same addresses are
/// refused, other scripts are wallets that take turns.
#[tokio::test]
async fn forms_of_one_key_share_one_counter() {
    run_on_both(async |world: &mut World| {
        let key = WalletKey::new(9).expect("a key");
        let (vpub, account) = (key.vpub(), key.tpub());
        let child: Xpub = account.parse().expect("a key");
        let step = ChildNumber::from_normal_idx(0).expect("a step");
        let child = child.ckd_pub(&Secp256k1::new(), step).expect("a child");
        let register = |key: &str| json!({"chain_family": "bitcoin", "key": key}).to_string();
        let first = world.post("/v1/wallets", &register(&vpub)).await.is(201);
        let path = format!("/v1/wallets/{}/confirm", id(&first));
        world.post(&path, "").await.is(200);
        for twin in [
            account.clone(),
            format!("wpkh({vpub}/0/*)"),
            format!("wpkh({account}/<0;1>/*)"),
            format!("wpkh([0f0f0f0f/84h/1h/0h]{account}/0/*)"),
            format!("wpkh({child}/*)"),
        ] {
            let body = register(&twin);
            world
                .post("/v1/wallets", &body)
                .await
                .is_problem(409, "wallet_exists");
        }
        let mut wallets = vec![id(&first).to_owned()];
        for other in [
            format!("tr({account}/0/*)"),
            format!("pkh({child}/*)"),
            format!("sh(wpkh({account}/<0;1>/*))"),
        ] {
            let created = world.post("/v1/wallets", &register(&other)).await.is(201);
            let path = format!("/v1/wallets/{}/confirm", id(&created));
            world.post(&path, "").await.is(200);
            wallets.push(id(&created).to_owned());
        }
        let mut addresses = BTreeSet::new();
        let mut indexes = Vec::new();
        for wallet in wallets.iter().cycle().take(12) {
            let body = json!({"options": [
                {"asset": "btc@bitcoin-regtest", "amount": "0.001", "wallet_id": wallet},
            ]});
            let invoice = world.post("/v1/invoices", &body.to_string()).await.is(201);
            let option = &invoice["options"][0];
            addresses.insert(option["address"].to_string());
            let path = option["derivation_path"].as_str().expect("text");
            let (_, index) = path.rsplit_once('/').expect("a path");
            indexes.push(index.parse::<u32>().expect("an index"));
        }
        assert!(indexes.into_iter().eq(0..12), "none twice, none left out");
        assert_eq!(addresses.len(), 12);
        for wallet in wallets {
            let wallet = world.get(&format!("/v1/wallets/{wallet}")).await.is(200);
            assert_eq!(wallet["next_index"], 12);
            assert_eq!(wallet["highest_used_index"], Value::Null);
            assert_eq!(
                wallet["unused_gap"], 12,
                "what the others took is a gap too"
            );
            assert_eq!(wallet["recommended_gap_limit"], 24);
        }
    })
    .await;
}

/// Goal: an export of more than one page has every address once, and says what is wrong before it
/// begins.
#[tokio::test]
async fn a_wallet_is_exported_page_by_page() {
    run(async |world| {
        let wallet = world.wallet().await;
        let path = format!("/v1/wallets/{wallet}/export");
        let empty = world.get(&format!("{path}?form=csv")).await;
        assert_eq!(empty.status, StatusCode::OK);
        let head = "index,path,address,invoice_id,order_id,status,created_at\r\n";
        assert_eq!(empty.text, head);
        let mut expected = Vec::new();
        for number in 0..201 {
            let invoice = new_invoice(world, &format!("A-{number}")).await;
            expected.push(invoice["options"][0]["address"].clone());
        }
        let csv = world.get(&format!("{path}?form=csv")).await;
        let kind = csv.header("content-type").expect("a type");
        assert!(kind.starts_with("text/csv"), "{kind}");
        let rows: Vec<String> = csv.text.lines().skip(1).map(str::to_owned).collect();
        let addresses = rows.iter().map(|row| row.split(',').nth(2));
        assert!(addresses.eq(expected.iter().map(Value::as_str)));
        let labels = world.get(&format!("{path}?form=bip329")).await.text;
        assert_eq!(labels.lines().count(), 201);
        let descriptor = world.get(&path).await.text;
        assert!(descriptor.contains("\"range\":[0,200]"), "{descriptor}");
        assert!(descriptor.ends_with("gap limit: 402\n"), "{descriptor}");

        let unknown = world.get(&format!("{path}?form=xlsx")).await;
        let problem = unknown.is_problem(400, "word_unknown");
        assert!(
            problem["detail"].to_string().contains("bip329"),
            "{problem}"
        );
        let nobody = world.get("/v1/wallets/wal_nobody/export").await;
        nobody.is_problem(404, "wallet_unknown");
    })
    .await;
}

async fn new_invoice(world: &World, order_id: &str) -> Value {
    let body = json!({
        "order_id": order_id,
        "options": [{"asset": "btc@bitcoin-regtest", "amount": "0.00100000"}],
        "metadata": {"cart": 7},
    });
    world.post("/v1/invoices", &body.to_string()).await.is(201)
}

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

#[tokio::test]
async fn an_invoice_is_made_read_and_canceled() {
    run_on_both(async |world: &mut World| {
        let wallet = world.wallet().await;
        let invoice = new_invoice(world, "A-1").await;
        assert_eq!(invoice["status"], "created");
        assert_eq!(invoice["customer_status"], "waiting");
        assert_eq!(invoice["version"], 1);
        assert_eq!(invoice["payable"], true);
        assert_eq!(invoice["created_at"], "2026-12-01T09:30:00.000Z");
        assert_eq!(invoice["expires_at"], "2026-12-01T09:45:00.000Z");
        assert_eq!(invoice["metadata"], json!({"cart": 7}));
        let option = &invoice["options"][0];
        assert_eq!(option["wallet_id"], wallet);
        assert_eq!(option["amount_atomic"], "100000");
        assert_eq!(option["finality"], json!({"depth": 2}), "of the chain");
        assert_eq!(option["tally"]["remaining"], "0.00100000");
        let address = option["address"].as_str().expect("text");
        let uri = option["payment_uri"].as_str().expect("text");
        assert!(
            uri.to_lowercase().contains(address) && uri.ends_with("amount=0.00100000"),
            "{uri}"
        );
        let other = new_invoice(world, "A-2").await;
        assert_ne!(other["options"][0]["address"], option["address"]);

        let path = format!("/v1/invoices/{}", id(&invoice));
        assert_eq!(world.get(&path).await.is(200), invoice);
        let canceled = world.post(&format!("{path}/cancel"), "{}").await.is(200);
        assert_eq!(canceled["status"], "canceled");
        assert_eq!(canceled["version"], 2);
        let again = world.post(&format!("{path}/cancel"), "").await;
        let problem = again.is_problem(409, "invoice_not_cancelable");
        assert!(
            problem["detail"]
                .as_str()
                .expect("text")
                .contains("canceled")
        );

        let history = world.get(&format!("{path}/events")).await.is(200);
        let events = history["data"].as_array().expect("a list");
        let types: Vec<_> = events.iter().map(|event| event["type"].clone()).collect();
        assert_eq!(
            types,
            ["invoice.canceled", "invoice.created"],
            "newest first"
        );
        assert_eq!(events[0]["data"]["invoice"], canceled);
        assert_eq!(events[0]["data"]["previous_status"], "created");
        assert_eq!(events[1]["data"]["invoice"], invoice);
        assert_eq!(events[1]["data"]["previous_status"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn lists_are_paged_newest_first_and_filtered() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        let mut made = Vec::new();
        for number in 0..5 {
            world.advance_ms(1_000);
            made.push(id(&new_invoice(world, &format!("A-{number}")).await).to_owned());
        }
        let ids = |page: &Value| -> Vec<String> {
            let rows = page["data"].as_array().expect("a list");
            rows.iter().map(|row| id(row).to_owned()).collect()
        };
        let newest = world.get("/v1/invoices?limit=2").await.is(200);
        assert_eq!(ids(&newest), [made[4].clone(), made[3].clone()]);
        assert_eq!(
            (&newest["has_more"], &newest["next_cursor"]),
            (&json!(true), &json!(made[3]))
        );
        let path = format!("/v1/invoices?limit=3&starting_after={}", made[3]);
        let rest = world.get(&path).await.is(200);
        assert_eq!(
            ids(&rest),
            [made[2].clone(), made[1].clone(), made[0].clone()]
        );
        assert_eq!(
            (&rest["has_more"], &rest["next_cursor"]),
            (&json!(false), &Value::Null)
        );
        let path = format!("/v1/invoices?limit=2&ending_before={}", made[1]);
        let newer = world.get(&path).await.is(200);
        assert_eq!(ids(&newer), [made[3].clone(), made[2].clone()]);
        assert_eq!(
            (&newer["has_more"], &newer["next_cursor"]),
            (&json!(true), &json!(made[3]))
        );

        let one = world
            .get(&format!("/v1/invoices/{}", made[0]))
            .await
            .is(200);
        let address = one["options"][0]["address"].as_str().expect("text");
        for (filter, expected) in [
            ("order_id=A-3".to_owned(), vec![made[3].clone()]),
            ("order_id=B".to_owned(), vec![]),
            ("status=paid".to_owned(), vec![]),
            ("status=created&limit=1".to_owned(), vec![made[4].clone()]),
            (format!("address={address}"), vec![made[0].clone()]),
            (
                "asset=btc@bitcoin-regtest&limit=1".to_owned(),
                vec![made[4].clone()],
            ),
            (
                "created_after=2026-12-01T09:30:05.000Z".to_owned(),
                vec![made[4].clone()],
            ),
            (
                "created_before=2026-12-01T09:30:02.000Z".to_owned(),
                vec![made[0].clone()],
            ),
        ] {
            let page = world.get(&format!("/v1/invoices?{filter}")).await.is(200);
            assert_eq!(ids(&page), expected, "{filter}");
        }
    })
    .await;
}

#[tokio::test]
async fn events_can_be_pulled_without_missing_one() {
    run_on_both(async |world: &mut World| {
        let empty = world.get("/v1/events").await.is(200);
        assert_eq!(
            empty,
            json!({"data": [], "has_more": false, "next_cursor": null})
        );
        world.wallet().await;
        let mut expected = Vec::new();
        for number in 0..5 {
            expected.push(id(&new_invoice(world, &format!("A-{number}")).await).to_owned());
        }
        let (mut after, mut pulled, mut pages) = ("0".to_owned(), Vec::new(), 0);
        loop {
            let page = world
                .get(&format!("/v1/events?after={after}&limit=2"))
                .await
                .is(200);
            for event in page["data"].as_array().expect("a list") {
                assert_eq!(event["type"], "invoice.created");
                pulled.push(id(&event["data"]["invoice"]).to_owned());
            }
            after = page["next_cursor"].as_str().expect("a cursor").to_owned();
            pages += 1;
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!((pulled, pages), (expected, 3), "in the order of commits");
        let later = world
            .get(&format!("/v1/events?after={after}"))
            .await
            .is(200);
        assert_eq!(
            later,
            json!({"data": [], "has_more": false, "next_cursor": after})
        );
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_shows_its_secret_once_and_gets_deliveries() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        let body = json!({"url": "https://shop.example/hook", "event_types": ["invoice.created"]});
        let key = [("idempotency-key", "hook-1")];
        let first = world
            .post_with("/v1/webhook-endpoints", &body.to_string(), &key)
            .await;
        let mut created = first.is(201);
        let secret = created["secret"].as_str().expect("a secret").to_owned();
        assert!(secret.starts_with("whsec_"));
        let again = world
            .post_with("/v1/webhook-endpoints", &body.to_string(), &key)
            .await;
        assert_eq!(
            again.text, first.text,
            "the same request gets the same answer"
        );

        created.as_object_mut().expect("an object").remove("secret");
        let path = format!("/v1/webhook-endpoints/{}", id(&created));
        let shown = world.get(&path).await;
        assert_eq!(shown.is(200), created);
        assert!(!shown.text.contains(&secret));
        let page = world.get("/v1/webhook-endpoints").await.is(200);
        assert_eq!(
            page,
            json!({"data": [created], "has_more": false, "next_cursor": null})
        );

        let invoice = new_invoice(world, "A-1").await;
        world
            .post(&format!("/v1/invoices/{}/cancel", id(&invoice)), "")
            .await
            .is(200);
        let deliveries = world.get("/v1/deliveries").await.is(200);
        let rows = deliveries["data"].as_array().expect("a list");
        assert_eq!(rows.len(), 1, "only the type that was asked for");
        assert_eq!(rows[0]["event_type"], "invoice.created");
        assert_eq!(rows[0]["endpoint_id"], created["id"]);
        assert_eq!(rows[0]["state"], "due");
        assert_eq!(rows[0]["attempts"], json!([]));
        let one = world
            .get(&format!("/v1/deliveries/{}", id(&rows[0])))
            .await
            .is(200);
        assert_eq!(one, rows[0]);
    })
    .await;
}

#[tokio::test]
async fn chains_and_assets_say_what_can_be_paid() {
    run(async |world| {
        let chains = world.get("/v1/chains").await.is(200);
        let chain = &chains["data"][0];
        assert_eq!(chain["chain"], "bitcoin-regtest");
        assert_eq!(chain["cursor"], json!({"height": 812, "hash": "00aa"}));
        assert_eq!(
            (&chain["lag_blocks"], &chain["accepting"]),
            (&json!(0), &json!(true))
        );
        assert_eq!(chain["covered_until"], "2026-12-01T09:30:00.000Z");
        assert_eq!(
            chain["first_height"],
            serde_json::Value::Null,
            "no header is kept here"
        );
        assert_eq!(
            (&chain["halted"], &chain["problem"]),
            (&Value::Null, &Value::Null)
        );
        let assets = world.get("/v1/assets").await.is(200);
        assert_eq!(assets["data"][0]["asset"], "btc@bitcoin-regtest");
        assert_eq!(assets["data"][0]["decimals"], 8);
        assert_eq!(assets["data"][0]["dust"], "0.00000546");
        assert_eq!(
            world.get("/v1/assets?x=1").await.status,
            StatusCode::BAD_REQUEST
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_inside_is_shown_to_operators_alone() {
    run(async |world| {
        world.halt("bitcoin-regtest").await;
        let chain = async |world: &World| world.get("/v1/chains").await.is(200)["data"][0].clone();
        let shown = chain(world).await;
        assert_eq!(shown["problem"]["code"], "node_unreachable");
        assert_eq!(shown["problem"]["detail"], "node.internal refused");
        assert_eq!(shown["halted"], "/var/cookie is gone");
        let endpoint = &shown["endpoints"][0];
        assert_eq!(endpoint["endpoint"], "node.internal:8332");
        assert_eq!(endpoint["condition"], "lost");
        assert_eq!(endpoint["last_error"]["code"], "node_unreachable");
        world.key = world.new_key(Mode::Test, &[Scope::ChainsRead]).await;
        let shown = chain(world).await;
        assert_eq!(shown["problem"]["code"], "node_unreachable");
        assert_eq!(shown["halted"], "halted; ask the operator");
        assert_eq!(shown["endpoints"], json!([]));
        let text = shown.to_string();
        assert!(
            !text.contains("node.internal") && !text.contains("cookie"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test]
async fn control_characters_in_filters_are_refused() {
    run_on_both(async |world: &mut World| {
        for path in [
            "/v1/invoices?order_id=%00",
            "/v1/invoices?order_id=a%0Ab",
            "/v1/invoices?status=%00",
        ] {
            world.get(path).await.is_problem(400, "text_invalid");
        }
    })
    .await;
}

/// Goal: only the API confirms a wallet. Method: a pending one is made active in the database, and a
/// confirmed one gets another first index.
#[tokio::test]
async fn a_wallet_that_was_confirmed_in_the_database_is_refused() {
    const INVOICE: &str = r#"{"options":[{"asset":"btc@bitcoin-regtest","amount":"0.001"}]}"#;
    run(async |world| {
        let body = format!(r#"{{"chain_family":"bitcoin","key":"{TPUB}"}}"#);
        let id = world.post("/v1/wallets", &body).await.is(201)["id"].clone();
        let active = "UPDATE wallets SET state = 'active', is_default = 1, confirmed_at = 1";
        assert_eq!(world.tamper(active).await, 1);
        let invoice = async |world: &World| world.post("/v1/invoices", INVOICE).await;
        let confirm = format!("/v1/wallets/{}/confirm", id.as_str().expect("an id"));
        invoice(world).await.is_problem(409, "wallet_seal_broken");
        world
            .post(&confirm, "")
            .await
            .is_problem(409, "wallet_seal_broken");

        let pending = "UPDATE wallets SET state = 'pending', is_default = 0, confirmed_at = NULL";
        assert_eq!(world.tamper(pending).await, 1);
        world.post(&confirm, "").await.is(200);
        invoice(world).await.is(201);

        let moved = "UPDATE wallets SET start_index = 900";
        assert_eq!(world.tamper(moved).await, 1);
        invoice(world).await.is_problem(409, "wallet_seal_broken");
        let page = world.get("/v1/invoices").await.is(200);
        assert_eq!(page["data"].as_array().map(Vec::len), Some(1));
    })
    .await;
}
