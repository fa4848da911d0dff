//! Webhook endpoints: changed, given another secret, deleted, and sent to by request.

use http::Method;
use serde_json::{Value, json};

use crate::world::{Answer, World, run_on_both};

const LIST: &str = "/v1/webhook-endpoints";

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

async fn send(world: &World, method: Method, path: &str, body: &Value) -> Answer {
    let request = world.request(method, path, &body.to_string());
    world.send(request).await
}

/// Registers an endpoint; its path, and what was answered without the secret.
async fn registered(world: &World, body: &Value) -> (String, Value) {
    let mut made = world.post(LIST, &body.to_string()).await.is(201);
    made.as_object_mut().expect("an object").remove("secret");
    (format!("{LIST}/{}", id(&made)), made)
}

async fn order(world: &World, order_id: &str) {
    let body = json!({
        "order_id": order_id,
        "options": [{"asset": "btc@bitcoin-regtest", "amount": "0.00100000"}],
    });
    world.post("/v1/invoices", &body.to_string()).await.is(201);
}

/// Endpoint, type of event and state of every delivery, newest first.
async fn deliveries(world: &World) -> Vec<(String, String, String)> {
    let page = world.get("/v1/deliveries").await.is(200);
    let rows = page["data"].as_array().expect("a list").iter();
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    rows.map(|row| {
        let [endpoint, kind, state] =
            ["endpoint_id", "event_type", "state"].map(|name| text(row, name));
        (endpoint, kind, state)
    })
    .collect()
}

#[tokio::test]
async fn an_endpoint_is_changed_field_by_field() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        let url = "https://shop.example/hook";
        let (path, made) = registered(world, &json!({"url": url})).await;
        let types = json!(["invoice.created"]);
        let changed = send(world, Method::PATCH, &path, &json!({"event_types": types})).await;
        let changed = changed.is(200);
        assert_eq!(
            (&changed["url"], &changed["event_types"]),
            (&json!(url), &types)
        );
        let moved = json!({"url": "https://shop.example/other"});
        let changed = send(world, Method::PATCH, &path, &moved).await.is(200);
        assert_eq!(
            (&changed["url"], &changed["event_types"]),
            (&moved["url"], &types)
        );
        assert_eq!(world.get(&path).await.is(200), changed);
        assert_eq!(changed["created_at"], made["created_at"]);

        order(world, "A-1").await;
        let off = send(world, Method::PATCH, &path, &json!({"enabled": false}))
            .await
            .is(200);
        assert_eq!(off["state"], "disabled");
        order(world, "A-2").await;
        let states: Vec<String> = deliveries(world)
            .await
            .into_iter()
            .map(|row| row.2)
            .collect();
        assert_eq!(states, ["dropped"], "what was due; nothing new");
        let on = send(world, Method::PATCH, &path, &json!({"enabled": true}))
            .await
            .is(200);
        assert_eq!(
            (&on["state"], &on["disabled_reason"]),
            (&json!("enabled"), &Value::Null)
        );
        order(world, "A-3").await;
        assert_eq!(deliveries(world).await.len(), 2);

        let private = json!({"url": "https://localhost/hook"});
        let refused = send(world, Method::PATCH, &path, &private).await;
        assert_eq!(
            refused.is_problem(422, "url_not_allowed")["errors"][0]["pointer"],
            "/url"
        );
        for (body, code) in [
            (json!({"enabled": "no"}), "type_invalid"),
            (json!({"secret": "whsec_x"}), "unknown_field"),
        ] {
            send(world, Method::PATCH, &path, &body)
                .await
                .is_problem(422, code);
        }
        assert_eq!(
            world.get(&path).await.is(200),
            on,
            "nothing of a refused change remains"
        );
    })
    .await;
}

/// Goal: the public key is there for whoever asked for it, stays the same until the secret is rotated, and is
/// never the secret.
#[tokio::test]
async fn the_api_shows_the_public_key_of_asymmetric_signatures() {
    run_on_both(async |world: &mut World| {
        let url = "https://shop.example/hook";
        let (_, plain) = registered(world, &json!({ "url": url })).await;
        assert_eq!(plain["public_key"], Value::Null, "only who asks for it");
        let (path, made) = registered(world, &json!({ "url": url, "asymmetric": true })).await;
        let key = made["public_key"].as_str().expect("a key");
        assert!(key.starts_with("whpk_") && key.len() == 49, "{key}");
        assert_eq!(world.get(&path).await.is(200), made);
        let listed = world.get(LIST).await.is(200);
        assert_eq!(listed["data"], json!([made, plain]));

        let off = json!({ "asymmetric": false });
        let off = send(world, Method::PATCH, &path, &off).await.is(200);
        assert_eq!(off["public_key"], Value::Null);
        let untouched = json!({ "enabled": true });
        let still = send(world, Method::PATCH, &path, &untouched).await.is(200);
        assert_eq!(still["public_key"], Value::Null, "what is not named stays");
        let on = json!({ "asymmetric": true });
        let on = send(world, Method::PATCH, &path, &on).await.is(200);
        assert_eq!(on, made, "the same key as before");

        let rotated = world.post(&format!("{path}/rotate-secret"), "").await;
        let rotated = rotated.is(200);
        let new_key = rotated["public_key"].as_str().expect("a key");
        assert_ne!(new_key, key, "it is replaced with the secret");
        assert_eq!(world.get(&path).await.is(200)["public_key"], new_key);
        for body in [json!({ "asymmetric": "yes" }), json!({ "asymmetric": 1 })] {
            send(world, Method::PATCH, &path, &body)
                .await
                .is_problem(422, "type_invalid");
        }
    })
    .await;
}

#[tokio::test]
async fn a_rotated_secret_is_shown_once() {
    run_on_both(async |world: &mut World| {
        let made = world
            .post(LIST, r#"{"url":"https://shop.example/hook"}"#)
            .await
            .is(201);
        let path = format!("{LIST}/{}", id(&made));
        let rotate = format!("{path}/rotate-secret");
        let key = [("idempotency-key", "rotate-1")];
        let first = world.post_with(&rotate, r#"{"overlap_s":60}"#, &key).await;
        let rotated = first.is(200);
        let secret = rotated["secret"].as_str().expect("a secret");
        assert!(secret.starts_with("whsec_") && rotated["secret"] != made["secret"]);
        let again = world.post_with(&rotate, r#"{"overlap_s":60}"#, &key).await;
        assert_eq!(
            again.text, first.text,
            "a lost answer is not another rotation"
        );
        assert!(!world.get(&path).await.text.contains("whsec_"));
        let next = world.post(&rotate, "").await.is(200);
        assert_ne!(next["secret"], rotated["secret"]);
        for (overlap, code) in [
            ("-1", "overlap_invalid"),
            ("1.5", "overlap_invalid"),
            ("2592001", "overlap_invalid"),
            ("\"60\"", "type_invalid"),
        ] {
            let body = format!(r#"{{"overlap_s":{overlap}}}"#);
            let problem = world.post(&rotate, &body).await;
            let problem = problem.is_problem(422, code);
            assert_eq!(problem["errors"][0]["pointer"], "/overlap_s");
        }
    })
    .await;
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone_and_what_it_got_stays() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        let (path, made) = registered(world, &json!({"url": "https://shop.example/hook"})).await;
        let (other, _) = registered(world, &json!({"url": "https://shop.example/b"})).await;
        order(world, "A-1").await;
        let live = std::mem::replace(&mut world.key, world.live_key.clone());
        send(world, Method::DELETE, &path, &json!({}))
            .await
            .is_problem(404, "endpoint_unknown");
        world.key = live;
        let gone = send(world, Method::DELETE, &path, &json!({})).await.is(200);
        let expected = json!({"id": made["id"], "object": "webhook_endpoint", "deleted": true});
        assert_eq!(gone, expected);
        world.get(&path).await.is_problem(404, "endpoint_unknown");
        let page = world.get(LIST).await.is(200);
        assert_eq!(page["data"].as_array().expect("a list").len(), 1);
        for (method, path) in [
            (Method::DELETE, path.clone()),
            (Method::PATCH, path.clone()),
            (Method::POST, format!("{path}/rotate-secret")),
            (Method::POST, format!("{path}/test")),
        ] {
            send(world, method, &path, &json!({}))
                .await
                .is_problem(404, "endpoint_unknown");
        }
        order(world, "A-2").await;
        let rows = deliveries(world).await;
        let of = |endpoint: &str| {
            let rows = rows.iter().filter(|row| row.0 == endpoint);
            rows.map(|row| row.2.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of(id(&made)), ["dropped"]);
        assert_eq!(of(other.rsplit('/').next().expect("an id")), ["due", "due"]);
    })
    .await;
}

#[tokio::test]
async fn a_test_goes_to_one_endpoint_alone() {
    run_on_both(async |world: &mut World| {
        let types = json!(["invoice.paid"]);
        let body = json!({"url": "https://shop.example/hook", "event_types": types});
        let (path, made) = registered(world, &body).await;
        registered(world, &json!({"url": "https://shop.example/b"})).await;
        let sent = world.post(&format!("{path}/test"), "").await.is(202);
        assert_eq!(
            (&sent["endpoint_id"], &sent["state"]),
            (&made["id"], &json!("due"))
        );
        let rows = deliveries(world).await;
        assert_eq!(rows.len(), 1, "no other endpoint: {rows:?}");
        assert_eq!(rows[0].1, "endpoint.test");
        let events = world.get("/v1/events").await.is(200);
        assert_eq!(events["data"][0]["data"]["endpoint"], made);
        send(world, Method::PATCH, &path, &json!({"enabled": false}))
            .await
            .is(200);
        for (call, body) in [("test", "{}"), ("replay", r#"{"after":0}"#)] {
            let answer = world.post(&format!("{path}/{call}"), body).await;
            answer.is_problem(409, "endpoint_disabled");
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_said_is_sent_again() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        let (path, made) = registered(world, &json!({"url": "https://shop.example/hook"})).await;
        for number in 1..=3 {
            order(world, &format!("A-{number}")).await;
        }
        world.post(&format!("{path}/test"), "").await.is(202);
        let page = world.get("/v1/deliveries").await.is(200);
        let first = page["data"][3].clone();
        let again = format!("/v1/deliveries/{}/redeliver", id(&first));
        let key = [("idempotency-key", "again-1")];
        let sent = world.post_with(&again, "", &key).await.is(202);
        assert_ne!(sent["id"], first["id"]);
        assert_eq!(sent["event_id"], first["event_id"]);
        assert_eq!(world.post_with(&again, "", &key).await.is(202), sent);
        assert_eq!(deliveries(world).await.len(), 5);

        let seq = async |count: u32| {
            let page = world
                .get(&format!("/v1/events?limit={count}"))
                .await
                .is(200);
            let seq = page["next_cursor"].as_str().expect("a place").to_owned();
            seq.parse::<u64>().expect("a number")
        };
        let body = json!({"after": seq(1).await, "until": seq(2).await}).to_string();
        let replay = format!("{path}/replay");
        let replayed = world.post(&replay, &body).await.is(202);
        let expected = json!({
            "object": "replay", "endpoint_id": made["id"], "deliveries": 1, "next_after": null
        });
        assert_eq!(replayed, expected, "the second alone");
        let replayed = world.post(&replay, r#"{"after":0}"#).await.is(202);
        assert_eq!(replayed["deliveries"], 3, "tests are not sent again");
        assert_eq!(deliveries(world).await.len(), 9);
        for (body, code) in [
            ("{}", "required"),
            (r#"{"after":-1}"#, "range_invalid"),
            (r#"{"after":5,"until":5}"#, "range_invalid"),
        ] {
            world.post(&replay, body).await.is_problem(422, code);
        }
        let unknown = "/v1/deliveries/dlv_00000000000000000000000000/redeliver";
        world
            .post(unknown, "")
            .await
            .is_problem(404, "delivery_unknown");
        world.key = world.foreign_key().await;
        world
            .post(&again, "")
            .await
            .is_problem(404, "delivery_unknown");
        world
            .post(&replay, r#"{"after":0}"#)
            .await
            .is_problem(404, "endpoint_unknown");
    })
    .await;
}
