//! Who may do what: keys, scopes, modes.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Method, Request};
use paywatch_api::{ApiKeyText, Scope};
use paywatch_domain::Mode;
use sha2::{Digest as _, Sha256};

use crate::world::{NOW, RATE, World, run};

struct Sevens;

impl paywatch_domain::Entropy for Sevens {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

async fn with_authorization(world: &World, value: Option<&str>) -> crate::world::Answer {
    let mut request = Request::builder().uri("/v1/invoices");
    if let Some(value) = value {
        request = request.header("authorization", value);
    }
    world
        .send(request.body(Body::empty()).expect("a request"))
        .await
}

#[tokio::test]
async fn without_a_valid_key_nothing_is_shown() {
    run(async |world| {
        for value in [None, Some("Basic dXNlcg=="), Some("Bearer")] {
            let answer = with_authorization(world, value).await;
            answer.is_problem(401, "key_missing");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        let good = world.key.clone();
        let mistyped = good.replace("pw_test_", "pw_live_");
        let unknown = {
            let other = world.new_key(Mode::Test, &[Scope::InvoicesRead]).await;
            let id = good.split('_').nth(2).expect("an id").to_owned();
            // A good key with the id of another one does not even have the right checksum.
            other.replace(other.split('_').nth(2).expect("an id"), &id)
        };
        let revoked = world.new_key(Mode::Test, &Scope::ALL).await;
        world.revoke(&revoked).await;
        for key in ["nonsense", &mistyped, &unknown, &revoked] {
            let answer = with_authorization(world, Some(&format!("Bearer {key}"))).await;
            answer.is_problem(401, "key_invalid");
            assert!(!answer.text.contains(key), "a key is never repeated");
        }
        with_authorization(world, Some(&format!("bearer {good}")))
            .await
            .is(200);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_was_never_stored_is_refused() {
    run(async |world| {
        let key = ApiKeyText::generate(Mode::Test, &mut Sevens);
        let answer = with_authorization(world, Some(&format!("Bearer {}", key.reveal()))).await;
        answer.is_problem(401, "key_invalid");
    })
    .await;
}

/// Goal: whoever can only write to the database gets no key that way and widens none. Method: the
/// rows are changed behind the store's back, and put right again.
#[tokio::test]
async fn a_key_that_was_changed_or_made_in_the_database_is_refused() {
    run(async |world| {
        world.key = world.new_key(Mode::Test, &[Scope::InvoicesRead]).await;
        world.get("/v1/invoices").await.is(200);
        let changes = [
            (
                "UPDATE api_keys SET scopes = '[\"invoices:read\",\"admin\"]' WHERE scopes = '[\"invoices:read\"]'",
                "UPDATE api_keys SET scopes = '[\"invoices:read\"]' WHERE scopes = '[\"invoices:read\",\"admin\"]'",
            ),
            (
                "UPDATE merchants SET public_id = 'mer_00000000000000000000000009'",
                "UPDATE merchants SET public_id = 'mer_00000000000000000000000001'",
            ),
        ];
        for (change, undo) in changes {
            assert_eq!(world.tamper(change).await, 1, "{change}");
            world
                .get("/v1/invoices")
                .await
                .is_problem(401, "key_invalid");
            assert_eq!(world.tamper(undo).await, 1, "{undo}");
            world.get("/v1/invoices").await.is(200);
        }
    })
    .await;
}

#[tokio::test]
async fn a_row_with_the_hash_of_a_known_key_is_no_key() {
    run(async |world| {
        let key = ApiKeyText::generate(Mode::Test, &mut Sevens);
        let digest = Sha256::digest(key.reveal().as_bytes());
        let merchant = "SELECT merchant FROM api_keys LIMIT 1";
        let insert = format!(
            "INSERT INTO api_keys (public_id, merchant, mode, hash, scopes, networks, label, created_at)
             VALUES ('{}', ({merchant}), 'test', x'{}', '[\"admin\",\"invoices:read\"]', '[]', '', 0)",
            key.id(),
            hex::encode(digest),
        );
        assert_eq!(world.tamper(&insert).await, 1);
        with_authorization(world, Some(&format!("Bearer {}", key.reveal())))
            .await
            .is_problem(401, "key_invalid");
    })
    .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn every_route_asks_for_its_scope() {
    let id = "00000000000000000000000000";
    let table = [
        (Method::GET, "/v1/wallets".to_owned(), Scope::WalletsRead),
        (
            Method::GET,
            format!("/v1/wallets/wal_{id}"),
            Scope::WalletsRead,
        ),
        (Method::POST, "/v1/wallets".to_owned(), Scope::WalletsWrite),
        (
            Method::GET,
            format!("/v1/wallets/wal_{id}/export"),
            Scope::WalletsRead,
        ),
        (
            Method::POST,
            format!("/v1/wallets/wal_{id}/confirm"),
            Scope::Admin,
        ),
        (Method::GET, "/v1/invoices".to_owned(), Scope::InvoicesRead),
        (
            Method::GET,
            format!("/v1/invoices/inv_{id}"),
            Scope::InvoicesRead,
        ),
        (
            Method::GET,
            format!("/v1/invoices/inv_{id}/events"),
            Scope::InvoicesRead,
        ),
        (
            Method::POST,
            "/v1/invoices".to_owned(),
            Scope::InvoicesWrite,
        ),
        (
            Method::POST,
            format!("/v1/invoices/inv_{id}/cancel"),
            Scope::InvoicesWrite,
        ),
        (
            Method::GET,
            "/v1/webhook-endpoints".to_owned(),
            Scope::WebhooksRead,
        ),
        (
            Method::GET,
            format!("/v1/webhook-endpoints/whe_{id}"),
            Scope::WebhooksRead,
        ),
        (
            Method::POST,
            "/v1/webhook-endpoints".to_owned(),
            Scope::WebhooksWrite,
        ),
        (
            Method::PATCH,
            format!("/v1/webhook-endpoints/whe_{id}"),
            Scope::WebhooksWrite,
        ),
        (
            Method::DELETE,
            format!("/v1/webhook-endpoints/whe_{id}"),
            Scope::WebhooksWrite,
        ),
        (
            Method::POST,
            format!("/v1/webhook-endpoints/whe_{id}/rotate-secret"),
            Scope::WebhooksWrite,
        ),
        (
            Method::POST,
            format!("/v1/webhook-endpoints/whe_{id}/test"),
            Scope::WebhooksWrite,
        ),
        (
            Method::POST,
            format!("/v1/webhook-endpoints/whe_{id}/replay"),
            Scope::WebhooksWrite,
        ),
        (
            Method::POST,
            format!("/v1/deliveries/dlv_{id}/redeliver"),
            Scope::WebhooksWrite,
        ),
        (
            Method::GET,
            "/v1/deliveries".to_owned(),
            Scope::WebhooksRead,
        ),
        (
            Method::GET,
            format!("/v1/deliveries/dlv_{id}"),
            Scope::WebhooksRead,
        ),
        (
            Method::POST,
            format!("/v1/wallets/wal_{id}/scan"),
            Scope::WalletsWrite,
        ),
        (
            Method::POST,
            "/v1/chains/bitcoin-regtest/resume".to_owned(),
            Scope::Admin,
        ),
        (
            Method::POST,
            "/v1/chains/bitcoin-regtest/rescan".to_owned(),
            Scope::Admin,
        ),
        (
            Method::GET,
            format!("/v1/invoices/inv_{id}/explain"),
            Scope::InvoicesRead,
        ),
        (
            Method::GET,
            format!("/v1/invoices/inv_{id}/transfers"),
            Scope::InvoicesRead,
        ),
        (
            Method::POST,
            format!("/v1/invoices/inv_{id}/transfers"),
            Scope::InvoicesWrite,
        ),
        (
            Method::POST,
            format!("/v1/invoices/inv_{id}/check"),
            Scope::InvoicesWrite,
        ),
        (
            Method::POST,
            format!("/v1/invoices/inv_{id}/refunds"),
            Scope::ExceptionsWrite,
        ),
        (
            Method::GET,
            "/v1/exceptions".to_owned(),
            Scope::ExceptionsRead,
        ),
        (
            Method::GET,
            format!("/v1/exceptions/exc_{id}"),
            Scope::ExceptionsRead,
        ),
        (
            Method::POST,
            format!("/v1/exceptions/exc_{id}/resolve"),
            Scope::ExceptionsWrite,
        ),
        (Method::GET, "/v1/events".to_owned(), Scope::EventsRead),
        (Method::GET, "/v1/chains".to_owned(), Scope::ChainsRead),
        (Method::GET, "/v1/assets".to_owned(), Scope::ChainsRead),
    ];
    run(async |world| {
        for scope in Scope::ALL {
            let others: Vec<Scope> = Scope::ALL
                .into_iter()
                .filter(|other| *other != scope)
                .collect();
            world.key = world.new_key(Mode::Test, &others).await;
            for (method, path, needed) in &table {
                let answer = world.send(world.request(method.clone(), path, "{}")).await;
                if *needed == scope {
                    let problem = answer.is_problem(403, "scope_missing");
                    let detail = problem["detail"].as_str().expect("a sentence");
                    assert!(detail.contains(scope.as_str()), "{detail}");
                } else {
                    assert_ne!(answer.status.as_u16(), 403, "{method} {path}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_sees_only_its_mode() {
    run(async |world| {
        world.wallet().await;
        let body = r#"{"options":[{"asset":"btc@bitcoin-regtest","amount":"0.001"}]}"#;
        let invoice = world.post("/v1/invoices", body).await.is(201);
        let path = format!("/v1/invoices/{}", invoice["id"].as_str().expect("an id"));
        world.get(&path).await.is(200);

        world.key = world.live_key.clone();
        world.get(&path).await.is_problem(404, "invoice_unknown");
        world
            .get(&format!("{path}/events"))
            .await
            .is_problem(404, "invoice_unknown");
        world
            .post(&format!("{path}/cancel"), "")
            .await
            .is_problem(404, "invoice_unknown");
        for list in ["/v1/invoices", "/v1/wallets", "/v1/events"] {
            let page = world.get(list).await.is(200);
            assert_eq!(page["data"], serde_json::json!([]), "{list}");
        }
        let chains = world.get("/v1/chains").await.is(200);
        assert_eq!(chains["data"][0]["chain"], "bitcoin");
        assert_eq!(chains["data"].as_array().map(Vec::len), Some(1));
    })
    .await;
}

/// Goal: a key that leaves the house is useless elsewhere. Method: the address of the connection, and what a
/// trusted proxy says of it.
#[tokio::test]
async fn a_key_is_bound_to_its_networks() {
    run(async |world| {
        let free = world.key.clone();
        let bound = world
            .bound_key(&["192.0.2.0/24", "2001:db8::/32"], None)
            .await;
        let from = |key: &str, peer: Option<&str>, forwarded: Option<&str>| {
            let mut request = world.request(Method::GET, "/v1/invoices", "");
            let bearer = format!("Bearer {key}").parse().expect("a value");
            request.headers_mut().insert("authorization", bearer);
            if let Some(forwarded) = forwarded {
                let forwarded = forwarded.parse().expect("a value");
                request.headers_mut().insert("x-forwarded-for", forwarded);
            }
            if let Some(peer) = peer {
                let peer: SocketAddr = peer.parse().expect("an address");
                request.extensions_mut().insert(ConnectInfo(peer));
            }
            world.send(request)
        };
        for (peer, forwarded, is_served) in [
            (Some("192.0.2.7:1"), None, true),
            (Some("[2001:db8::7]:1"), None, true),
            (Some("[::ffff:192.0.2.7]:1"), None, true),
            (Some("203.0.113.7:1"), None, false),
            (Some("203.0.113.7:1"), Some("192.0.2.7"), false),
            (Some("10.1.1.1:1"), Some("192.0.2.7"), true),
            (Some("10.1.1.1:1"), Some("192.0.2.7, 203.0.113.7"), false),
            (None, None, false),
        ] {
            let answer = from(&bound, peer, forwarded).await;
            if is_served {
                answer.is(200);
            } else {
                answer.is_problem(403, "network_not_allowed");
            }
            from(&free, peer, forwarded).await.is(200);
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_ends_when_it_was_said_to() {
    run(async |world| {
        let ends = world.now().plus_ms(60_000);
        let key = world.bound_key(&[], Some(ends)).await;
        world.key = key.clone();
        world.get("/v1/invoices").await.is(200);
        world.advance_ms(59_999);
        world.get("/v1/invoices").await.is(200);
        world.advance_ms(1);
        let answer = world.get("/v1/invoices").await;
        answer.is_problem(401, "key_invalid");
        let widened = "UPDATE api_keys SET expires_at = expires_at + 1000000";
        assert_ne!(world.tamper(widened).await, 0);
        let answer = world.get("/v1/invoices").await;
        answer.is_problem(401, "key_invalid");
    })
    .await;
}

#[tokio::test]
async fn a_key_that_asks_too_often_waits() {
    run(async |world| {
        for _ in 0..RATE.burst {
            world.get("/v1/assets").await.is(200);
        }
        let answer = world.get("/v1/assets").await;
        answer.is_problem(429, "rate_limited");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(world.get("/livez").await.status, 200, "it takes no key");
        world.advance_ms(100);
        world.get("/v1/assets").await.is(200);
        world
            .get("/v1/assets")
            .await
            .is_problem(429, "rate_limited");
        let (first, other) = (world.key.clone(), world.live_key.clone());
        world.key = other;
        world.get("/v1/assets").await.is(200);
        let used = world.stored_key(&first).await.last_used_at;
        assert_eq!(used, Some(NOW), "noted, and not with every request");
    })
    .await;
}
