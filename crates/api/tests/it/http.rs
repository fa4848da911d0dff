//! What holds for every request: ids, bodies, routes, idempotency, health.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use axum::body::Body;
use futures_util::future::{join, join_all};
use http::{Method, Request};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::world::{FOLLOWED, World, run, run_on_both};

const INVOICE: &str = r#"{"options":[{"asset":"btc@bitcoin-regtest","amount":"0.001"}]}"#;

#[tokio::test]
async fn the_request_id_is_taken_over_or_made() {
    run(async |world| {
        let answer = world
            .post_with("/v1/invoices", "{", &[("x-request-id", "abc-123")])
            .await;
        let problem = answer.is_problem(400, "body_not_json");
        assert_eq!(problem["request_id"], "abc-123");
        for unusable in ["", "a b", &"x".repeat(129)] {
            let answer = world
                .post_with("/v1/invoices", "{", &[("x-request-id", unusable)])
                .await;
            let id = answer.header("x-request-id").expect("an id");
            assert!(id.starts_with("req_"), "{id}");
        }
        let first = world.get("/livez").await;
        let second = world.get("/livez").await;
        assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    })
    .await;
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    run(async |world| {
        for path in [
            "/",
            "/v1",
            "/v1/nothing",
            "/v2/invoices",
            "/v1/invoices/x/y/z",
        ] {
            world.get(path).await.is_problem(404, "route_unknown");
        }
        for path in [
            "/v1/invoices/nonsense",
            "/v1/invoices/wal_0",
            "/v1/invoices/%ff",
        ] {
            world.get(path).await.is_problem(404, "invoice_unknown");
        }
        let answer = world
            .send(world.request(Method::PUT, "/v1/invoices", ""))
            .await;
        answer.is_problem(405, "method_not_allowed");
        let allow = answer.header("allow").expect("an Allow header");
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    })
    .await;
}

#[tokio::test]
async fn health_needs_no_key() {
    run(async |world| {
        let bare = |path: &str| Request::get(path).body(Body::empty()).expect("a request");
        assert_eq!(world.send(bare("/livez")).await.text, "ok");
        let ready = world.send(bare("/readyz")).await.is(200);
        let accepting = |chain: &str| json!({"chain": chain, "accepting": true, "halted": false});
        let chains = [accepting("bitcoin"), accepting("bitcoin-regtest")];
        assert_eq!(
            ready,
            json!({"status": "ok", "database": "ok", "chains": chains})
        );
        assert_eq!(world.send(bare("/metrics")).await.text, "pw_build_info 1\n");
        world.store.close().await;
        assert_eq!(world.send(bare("/livez")).await.status, 200);
        assert_eq!(world.send(bare("/readyz")).await.status, 503);
        world
            .get("/v1/invoices")
            .await
            .is_problem(503, "database_unavailable");
    })
    .await;
}

#[tokio::test]
async fn a_process_is_not_ready_while_a_chain_that_it_follows_is_not_read() {
    run(async |world| {
        let ready = async |world: &World| world.get("/readyz").await;
        world.halt("bitcoin").await;
        let shown = ready(world).await.is(200);
        assert_eq!(
            shown["chains"][0],
            json!({"chain": "bitcoin", "accepting": false, "halted": true}),
            "another process follows it"
        );
        world.advance_ms(3_600_000);
        ready(world).await.is(200);
        world.advance_ms(1);
        let shown = ready(world).await.is(503);
        assert_eq!(
            (&shown["status"], &shown["database"]),
            (&json!("unavailable"), &json!("ok"))
        );
        world.advance_ms(-1);
        ready(world).await.is(200);
        world.halt(FOLLOWED).await;
        ready(world).await.is(503);
    })
    .await;
    run(async |world| {
        let never = "UPDATE chains SET covered_until = NULL WHERE chain = 'bitcoin-regtest'";
        assert_eq!(world.tamper(never).await, 1);
        world.get("/readyz").await.is(503);
    })
    .await;
}

#[tokio::test]
async fn a_panic_is_a_problem_and_not_the_end() {
    run(async |world| {
        world.metrics_panic.store(true, Ordering::SeqCst);
        let answer = world.get("/metrics").await;
        answer.is_problem(500, "internal");
        assert!(
            !answer.text.contains("boom"),
            "what went wrong is in the log alone"
        );
        world.metrics_panic.store(false, Ordering::SeqCst);
        assert_eq!(world.get("/metrics").await.status, 200);
    })
    .await;
}

/// Serves the router on a real socket while `client` talks to it.
async fn on_socket<T>(world: &World, client: impl AsyncFnOnce(TcpStream) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, world.router.clone()).with_graceful_shutdown(async move {
        let _ = stopped.await;
    });
    let talk = async move {
        let output = client(TcpStream::connect(address).await.expect("connected")).await;
        drop(stop);
        output
    };
    let (output, served) = join(talk, server.into_future()).await;
    served.expect("served");
    output
}

/// A client that writes all of it before it reads still learns why it was refused.
#[tokio::test]
async fn ten_megabytes_are_refused_with_a_reason() {
    const SIZE: usize = 10 * 1024 * 1024;
    run(async |world| {
        let key = world.key.clone();
        let answer = on_socket(world, async |mut stream: TcpStream| {
            let head = format!(
                "POST /v1/invoices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {SIZE}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.expect("written");
            stream.write_all(&vec![b'x'; SIZE]).await.expect("written");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("read");
            answer
        })
        .await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains(r#""code":"body_too_large""#), "{answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    })
    .await;
}

/// Without an announced length the reading stops at the limit.
#[tokio::test]
async fn a_body_that_grows_is_refused_at_the_limit() {
    run(async |world| {
        let body = "x".repeat(256 * 1024 + 1);
        world
            .post("/v1/invoices", &body)
            .await
            .is_problem(413, "body_too_large");
        let fits = format!("{INVOICE}{}", " ".repeat(256 * 1024 - INVOICE.len()));
        world.wallet().await;
        world.post("/v1/invoices", &fits).await.is(201);
    })
    .await;
}

#[tokio::test]
async fn one_key_does_one_thing_once() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        let key = [("idempotency-key", "order-1")];
        let quoted = [("idempotency-key", "\"order-1\"")];
        let first = world.post_with("/v1/invoices", INVOICE, &key).await;
        first.is(201);
        assert_eq!(first.header("idempotency-replayed"), None);
        let again = world.post_with("/v1/invoices", INVOICE, &quoted).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!((again.status, &again.text), (first.status, &first.text));

        let other = INVOICE.replace("0.001", "0.002");
        let reused = world.post_with("/v1/invoices", &other, &key).await;
        reused.is_problem(422, "idempotency_key_reused");
        let page = world.get("/v1/invoices").await.is(200);
        assert_eq!(page["data"].as_array().map(Vec::len), Some(1));

        // A refused request is not remembered: its key is free for the corrected one.
        let retry = [("idempotency-key", "order-2")];
        let refused = world
            .post_with("/v1/invoices", r#"{"options":[]}"#, &retry)
            .await;
        refused.is_problem(422, "options_required");
        world
            .post_with("/v1/invoices", INVOICE, &retry)
            .await
            .is(201);

        for wrong in ["", "\"\"", &"x".repeat(256)] {
            let answer = world
                .post_with("/v1/invoices", INVOICE, &[("idempotency-key", wrong)])
                .await;
            answer.is_problem(400, "idempotency_key_invalid");
        }
    })
    .await;
}

#[tokio::test]
async fn two_requests_at_the_same_moment_make_one_invoice() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        for round in 0..20 {
            let key = format!("round-{round}");
            let headers = [("idempotency-key", key.as_str())];
            let (one, two) = join(
                world.post_with("/v1/invoices", INVOICE, &headers),
                world.post_with("/v1/invoices", INVOICE, &headers),
            )
            .await;
            let created = [&one, &two]
                .into_iter()
                .filter(|answer| answer.status == 201);
            let fresh = created
                .clone()
                .filter(|answer| answer.header("idempotency-replayed").is_none());
            assert_eq!(fresh.count(), 1, "exactly one did it");
            for answer in [&one, &two] {
                if answer.status != 201 {
                    answer.is_problem(409, "idempotency_key_in_use");
                }
            }
            let ids: Vec<_> = created.map(|answer| answer.json()["id"].clone()).collect();
            assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
        }
        let page = world.get("/v1/invoices?limit=100").await.is(200);
        assert_eq!(page["data"].as_array().map(Vec::len), Some(20));
        let events = world.get("/v1/events?limit=100").await.is(200);
        assert_eq!(
            events["data"].as_array().map(Vec::len),
            Some(20),
            "one event each"
        );
    })
    .await;
}

/// Goal: invoices that are asked for at the same moment are as good as those that are made one after the other,
/// however many of them are made as one. Method: many at once, some of them with the key of another, some that
/// cannot be.
#[tokio::test]
async fn the_api_makes_invoices_that_are_asked_for_at_the_same_moment() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        let body = |order: usize| {
            let options = r#"[{"asset":"btc@bitcoin-regtest","amount":"0.001"}]"#;
            format!(r#"{{"order_id":"order-{order}","options":{options}}}"#)
        };
        let (bodies, keys): (Vec<_>, Vec<_>) = (0..40)
            .map(|number| (body(number % 30), format!("key-{}", number % 30)))
            .unzip();
        let headers: Vec<_> = keys
            .iter()
            .map(|key| [("idempotency-key", key.as_str())])
            .collect();
        let asked = bodies
            .iter()
            .zip(&headers)
            .map(|(body, header)| world.post_with("/v1/invoices", body, header));
        let answers = join_all(asked).await;
        let (mut addresses, mut made) = (BTreeSet::new(), BTreeMap::new());
        for (number, answer) in answers.iter().enumerate() {
            if answer.status == 409 {
                answer.is_problem(409, "idempotency_key_in_use");
                continue;
            }
            let invoice = answer.is(201);
            assert_eq!(invoice["order_id"], format!("order-{}", number % 30));
            let id = invoice["id"].as_str().expect("an id").to_owned();
            let before = made.insert(number % 30, id.clone());
            assert!(
                before.is_none_or(|before| before == id),
                "one key, one invoice"
            );
            addresses.insert(invoice["options"][0]["address"].to_string());
        }
        assert_eq!(made.len(), 30);
        assert_eq!(addresses.len(), 30);
        let listed = world.get("/v1/invoices?limit=100").await.is(200);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(30));
        let events = world.get("/v1/events?limit=100").await.is(200);
        let events = events["data"].as_array().expect("a list");
        let of: BTreeSet<&str> = events
            .iter()
            .map(|event| {
                assert_eq!(event["type"], "invoice.created");
                event["data"]["invoice"]["id"].as_str().expect("an id")
            })
            .collect();
        assert_eq!(events.len(), 30);
        assert_eq!(of, made.values().map(String::as_str).collect());
        for (number, id) in made {
            let header = [("idempotency-key", keys[number].as_str())];
            let again = world
                .post_with("/v1/invoices", &bodies[number], &header)
                .await;
            assert_eq!(again.is(201)["id"], id);
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
        }
    })
    .await;
}
