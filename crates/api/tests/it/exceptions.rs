//! What has to be decided, as it is listed, shown and decided, and the refunds of an invoice.

use paywatch_api::Scope;
use paywatch_domain::Mode;
use serde_json::{Value, json};

use crate::bank::Bank;
use crate::world::{World, run, run_on_both};

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

fn ids(page: &Value) -> Vec<String> {
    page["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(id)
        .collect()
}

/// A confirmed wallet and a chain that pays.
async fn open(world: &World) -> Bank {
    world.wallet().await;
    Bank::new()
}

/// An invoice of 100,000 satoshi that got 150,000, and the exception about the rest.
async fn overpaid(world: &World, bank: &mut Bank) -> (Value, Value) {
    let invoice = bank.paid(world, 150_000).await;
    let exception = invoice["exceptions"][0].clone();
    assert_eq!(exception["kind"], "overpaid", "{invoice}");
    (invoice, exception)
}

async fn one(world: &World, path: &str, id: &str) -> Value {
    world.get(&format!("/v1/{path}/{id}")).await.is(200)
}

#[tokio::test]
async fn an_exception_is_shown_as_the_contract_says() {
    run_on_both(async |world: &mut World| {
        let mut bank = open(world).await;
        let (invoice, exception) = overpaid(world, &mut bank).await;
        let option = &invoice["options"][0];
        let expected = json!({
            "id": exception["id"], "object": "exception", "kind": "overpaid", "state": "open",
            "invoice_id": invoice["id"], "option_id": option["id"], "address": option["address"],
            "address_form": null, "asset": "btc@bitcoin-regtest",
            "amount": "0.00050000", "amount_atomic": "50000",
            "detail": "0.00050000 btc came above what is wanted. Keep it, or send it back.",
            "tx_ids": [], "sighted_at": null,
            "opened_at": "2026-12-01T09:30:00.000Z", "actions": ["accept", "refund", "ignore"],
            "owner": null, "resolved_at": null, "resolution": null,
        });
        assert_eq!(one(world, "exceptions", &id(&exception)).await, expected);
        let page = world.get("/v1/exceptions").await.is(200);
        let whole = json!({ "data": [expected], "has_more": false, "next_cursor": null });
        assert_eq!(page, whole);
    })
    .await;
}

#[tokio::test]
async fn money_in_another_asset_is_listed_by_its_kind_and_let_be() {
    run_on_both(async |world: &mut World| {
        let mut bank = open(world).await;
        let invoice = bank.invoice(world, &Value::Null).await;
        bank.mine_token(world, &invoice, 7_000).await;
        let page = world.get("/v1/exceptions?kind=wrong_asset").await.is(200);
        let told = &page["data"][0];
        let address = invoice["options"][0]["address"].as_str().expect("text");
        let shown = one(world, "invoices", &id(&invoice)).await;
        let transfer = &shown["transfers"][0];
        let expected = json!({
            "id": told["id"], "object": "exception", "kind": "wrong_asset", "state": "open",
            "invoice_id": invoice["id"], "option_id": invoice["options"][0]["id"], "address": address,
            "address_form": null, "asset": "unlisted:EPjFWdd5@bitcoin-regtest",
            "amount": "7000", "amount_atomic": "7000",
            "detail": format!("7000 unlisted:EPjFWdd5 came to {address} on bitcoin-regtest, where \
                btc@bitcoin-regtest is asked for. It does not count for this invoice. Your wallet can \
                spend it: send it back, or keep it and say why."),
            "tx_ids": [transfer["tx_id"]], "sighted_at": transfer["sighted_at"],
            "opened_at": "2026-12-01T09:30:00.000Z", "actions": ["refund", "ignore"],
            "owner": null, "resolved_at": null, "resolution": null,
        });
        assert_eq!(*told, expected);
        assert_eq!(
            (&shown["status"], &transfer["role"], &transfer["counted"]),
            (&json!("created"), &json!("wrong_asset"), &json!(false))
        );
        for kind in ["wrong_chain", "unattributed"] {
            let path = format!("/v1/exceptions?kind={kind}");
            assert_eq!(world.get(&path).await.is(200)["data"], json!([]), "{kind}");
        }
        let path = format!("/v1/exceptions/{}/resolve", id(told));
        let accepted = world.post(&path, r#"{"action":"accept"}"#).await;
        accepted.is_problem(409, "action_not_possible");
        let let_be = json!({ "action": "ignore", "reason": "worthless", "owner": "ann" });
        let resolved = world.post(&path, &let_be.to_string()).await.is(200);
        let said = (&resolved["state"], &resolved["owner"]);
        assert_eq!(said, (&json!("resolved"), &json!("ann")));
        let explained = one(world, "invoices", &format!("{}/explain", id(&invoice))).await;
        assert_eq!(explained["transfers"][0]["reason"]["code"], "wrong_asset");
    })
    .await;
}

#[tokio::test]
async fn exceptions_are_paged_both_ways_and_filtered() {
    run_on_both(async |world: &mut World| {
        let mut bank = open(world).await;
        let mut made = Vec::new();
        for _ in 0..5 {
            world.advance_ms(1_000);
            made.push(overpaid(world, &mut bank).await);
        }
        let of = |places: &[usize]| -> Vec<String> {
            places.iter().map(|place| id(&made[*place].1)).collect()
        };
        let end = json!({ "action": "accept" }).to_string();
        let path = format!("/v1/exceptions/{}/resolve", of(&[1])[0]);
        world.post(&path, &end).await.is(200);
        let [second, fourth] = [1, 3].map(|place: usize| id(&made[place].1));
        for (query, places, more) in [
            ("limit=2".to_owned(), &[4, 3][..], Some(3)),
            (format!("limit=2&starting_after={fourth}"), &[2, 1], Some(1)),
            (format!("limit=2&starting_after={second}"), &[0], None),
            (format!("limit=2&ending_before={second}"), &[3, 2], Some(3)),
            (format!("limit=2&ending_before={fourth}"), &[4], None),
            ("state=open".to_owned(), &[4, 3, 2, 0], None),
            ("state=open&limit=3".to_owned(), &[4, 3, 2], Some(2)),
            ("state=resolved".to_owned(), &[1], None),
            ("kind=overpaid&limit=1".to_owned(), &[4], Some(4)),
            ("kind=late".to_owned(), &[], None),
            ("kind=overpaid&state=resolved".to_owned(), &[1], None),
        ] {
            let page = world.get(&format!("/v1/exceptions?{query}")).await.is(200);
            assert_eq!(ids(&page), of(places), "{query}");
            let cursor = more.map_or(Value::Null, |place: usize| made[place].1["id"].clone());
            assert_eq!(
                (&page["has_more"], &page["next_cursor"]),
                (&json!(more.is_some()), &cursor),
                "{query}"
            );
        }
        for query in ["kind=strange", "state=done"] {
            let answer = world.get(&format!("/v1/exceptions?{query}")).await;
            answer.is_problem(400, "word_unknown");
        }
        let invoices = |places: &[usize]| -> Vec<String> {
            places.iter().map(|place| id(&made[*place].0)).collect()
        };
        bank.paid(world, 100_000).await;
        let path = "/v1/invoices?has_exception=true&limit=2";
        let page = world.get(path).await.is(200);
        assert_eq!(ids(&page), invoices(&[4, 3]));
        let path = format!("{path}&starting_after={}", invoices(&[3])[0]);
        let page = world.get(&path).await.is(200);
        assert_eq!(
            ids(&page),
            invoices(&[2, 0]),
            "what is decided is not there"
        );
        let no = world.get("/v1/invoices?has_exception=no").await;
        no.is_problem(400, "word_unknown");
    })
    .await;
}

#[tokio::test]
async fn another_merchant_and_mode_see_and_decide_nothing() {
    run(async |world| {
        let mut bank = open(world).await;
        let (invoice, exception) = overpaid(world, &mut bank).await;
        let (invoice, exception) = (id(&invoice), id(&exception));
        let own = world.key.clone();
        for key in [world.foreign_key().await, world.live_key.clone()] {
            world.key = key;
            for list in ["/v1/exceptions", "/v1/invoices?has_exception=true"] {
                let page = world.get(list).await.is(200);
                assert_eq!(page["data"], json!([]), "{list}");
            }
            let path = format!("/v1/exceptions/{exception}");
            world.get(&path).await.is_problem(404, "exception_unknown");
            let end = json!({ "action": "accept" }).to_string();
            let answer = world.post(&format!("{path}/resolve"), &end).await;
            answer.is_problem(404, "exception_unknown");
            let refund = json!({ "amount": "0.0001", "offset": true }).to_string();
            let path = format!("/v1/invoices/{invoice}");
            for (what, body) in [
                ("refunds", &*refund),
                ("check", ""),
                ("transfers", r#"{"tx_id":"00"}"#),
            ] {
                let answer = world.post(&format!("{path}/{what}"), body).await;
                assert_eq!(answer.status.as_u16(), 404, "{what}: {}", answer.text);
            }
            for what in ["explain", "transfers"] {
                let answer = world.get(&format!("{path}/{what}")).await;
                answer.is_problem(404, "invoice_unknown");
            }
        }
        world.key = own;
        let shown = one(world, "exceptions", &exception).await;
        assert_eq!(shown["state"], "open");
        for path in ["exc_nobody", "inv_nobody", "%00"] {
            let answer = world.get(&format!("/v1/exceptions/{path}")).await;
            answer.is_problem(404, "exception_unknown");
        }
    })
    .await;
}

#[tokio::test]
async fn a_decision_is_taken_once() {
    run_on_both(async |world: &mut World| {
        let mut bank = open(world).await;
        let (invoice, exception) = overpaid(world, &mut bank).await;
        let path = format!("/v1/exceptions/{}/resolve", id(&exception));
        let body =
            json!({ "action": "ignore", "reason": "tip", "note": "thanks\nall", "owner": "ann" });
        let key = [("idempotency-key", "decide-1")];
        let first = world.post_with(&path, &body.to_string(), &key).await;
        let decided = first.is(200);
        assert_eq!(
            (&decided["state"], &decided["owner"]),
            (&json!("resolved"), &json!("ann"))
        );
        let resolution = &decided["resolution"];
        assert_eq!(resolution["action"], "ignore");
        assert_eq!(resolution["amount"], "0.00050000");
        assert_eq!(resolution["reason"], "tip");
        assert_eq!(resolution["note"], "thanks\nall");
        let actor = resolution["actor"].as_str().expect("an actor");
        assert!(actor.starts_with("key_"), "{actor}");

        let again = world.post_with(&path, &body.to_string(), &key).await;
        assert_eq!(again.text, first.text);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        let other = json!({ "action": "accept" }).to_string();
        let reused = world.post_with(&path, &other, &key).await;
        reused.is_problem(422, "idempotency_key_reused");
        let late = world.post(&path, &other).await;
        late.is_problem(409, "exception_resolved");

        let id = id(&invoice);
        let events = world
            .get(&format!("/v1/invoices/{id}/events"))
            .await
            .is(200);
        let last = &events["data"][0];
        assert_eq!(last["type"], "exception.resolved");
        assert_eq!(last["data"]["exception"], decided);
        assert_eq!(events["data"][1]["type"], "exception.opened", "told once");
        let rows = world.get("/v1/audit?log=merchant&limit=100").await.is(200);
        let rows = rows["data"].as_array().expect("rows").iter();
        let own = rows.filter(|row| row["action"] == "exception.resolve");
        let own: Vec<&Value> = own.collect();
        assert_eq!(own.len(), 1, "written once");
        assert_eq!(
            (&own[0]["subject"], &own[0]["actor"]),
            (&exception["id"], &json!(actor))
        );
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_decided_is_refused_and_changes_nothing() {
    run(async |world| {
        let mut bank = open(world).await;
        let (invoice, exception) = overpaid(world, &mut bank).await;
        let path = format!("/v1/exceptions/{}/resolve", id(&exception));
        let long = "x".repeat(10_000);
        for (body, status, code) in [
            (json!({}), 422, "required"),
            (json!([]), 422, "type_invalid"),
            (json!({ "action": 1 }), 422, "type_invalid"),
            (json!({ "action": "forget" }), 422, "word_unknown"),
            (json!({ "action": "ignore" }), 422, "required"),
            (json!({ "action": "assign" }), 422, "required"),
            (
                json!({ "action": "accept", "amount": "1" }),
                422,
                "word_unknown",
            ),
            (
                json!({ "action": "accept", "speed": 1 }),
                422,
                "unknown_field",
            ),
            (
                json!({ "action": "accept", "note": long }),
                422,
                "text_too_long",
            ),
            (
                json!({ "action": "refund", "amount": "0" }),
                422,
                "amount_zero",
            ),
            (
                json!({ "action": "refund", "amount": "0.000000001" }),
                422,
                "amount_invalid",
            ),
            (
                json!({ "action": "refund", "amount": "-1" }),
                422,
                "amount_invalid",
            ),
            (
                json!({ "action": "refund", "amount": "0.00050001" }),
                409,
                "refund_too_large",
            ),
            (
                json!({ "action": "accept_partial" }),
                409,
                "action_not_possible",
            ),
        ] {
            let answer = world.post(&path, &body.to_string()).await;
            assert_eq!(answer.json()["code"], code, "{body}: {}", answer.text);
            answer.is_problem(status, code);
        }
        let wrong = json!({ "action": "accept_partial" }).to_string();
        let problem = world.post(&path, &wrong).await.json();
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(
            detail.contains("overpaid") && detail.contains("accept, refund, ignore"),
            "{detail}"
        );
        assert_eq!(one(world, "invoices", &id(&invoice)).await, invoice);
    })
    .await;
}

#[tokio::test]
async fn deciding_needs_its_scope() {
    run(async |world| {
        let mut bank = open(world).await;
        let (invoice, exception) = overpaid(world, &mut bank).await;
        let path = format!("/v1/exceptions/{}/resolve", id(&exception));
        let refunds = format!("/v1/invoices/{}/refunds", id(&invoice));
        world.key = world.new_key(Mode::Test, &[Scope::ExceptionsRead]).await;
        let end = json!({ "action": "accept" }).to_string();
        let answer = world.post(&path, &end).await;
        let problem = answer.is_problem(403, "scope_missing");
        assert!(problem["detail"].to_string().contains("exceptions:write"));
        world
            .post(&refunds, &end)
            .await
            .is_problem(403, "scope_missing");
        let shown = format!("/v1/exceptions/{}", id(&exception));
        world.get(&shown).await.is(200);
        world.key = "nonsense".into();
        world
            .get("/v1/exceptions")
            .await
            .is_problem(401, "key_invalid");
        world.post(&path, &end).await.is_problem(401, "key_invalid");
        world
            .post(&refunds, &end)
            .await
            .is_problem(401, "key_invalid");
    })
    .await;
}

#[tokio::test]
async fn a_refund_is_recorded_once_and_settles_what_it_is_about() {
    run_on_both(async |world: &mut World| {
        let mut bank = open(world).await;
        let (invoice, exception) = overpaid(world, &mut bank).await;
        let path = format!("/v1/invoices/{}/refunds", id(&invoice));
        let option = &invoice["options"][0]["id"];
        for (body, status, code) in [
            (json!({}), 422, "required"),
            (json!({ "amount": "0.0001" }), 422, "required"),
            (
                json!({ "amount": "0.0001", "offset": true, "tx_id": "ab" }),
                422,
                "required",
            ),
            (
                json!({ "amount": "0.0001", "offset": "yes" }),
                422,
                "type_invalid",
            ),
            (json!({ "amount": "0", "offset": true }), 422, "amount_zero"),
            (
                json!({ "amount": "0.0001", "offset": true, "option_id": "opt_x" }),
                422,
                "id_invalid",
            ),
            (
                json!({ "amount": "0.0001", "offset": true, "option_id": "opt_00000000000000000000000009" }),
                422,
                "option_unknown",
            ),
            (
                json!({ "amount": "0.00150001", "offset": true }),
                409,
                "refund_above_final",
            ),
        ] {
            let answer = world.post(&path, &body.to_string()).await;
            assert_eq!(answer.json()["code"], code, "{body}: {}", answer.text);
            answer.is_problem(status, code);
        }
        let body = json!({ "amount": "0.0005", "tx_id": "ab", "option_id": option, "note": "sorry" });
        let key = [("idempotency-key", "refund-1")];
        let first = world.post_with(&path, &body.to_string(), &key).await;
        let shown = first.is(201);
        let again = world.post_with(&path, &body.to_string(), &key).await;
        assert_eq!(again.text, first.text);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        let other = json!({ "amount": "0.0006", "offset": true }).to_string();
        let reused = world.post_with(&path, &other, &key).await;
        reused.is_problem(422, "idempotency_key_reused");
        assert_eq!(one(world, "invoices", &id(&invoice)).await, shown);
        let refunds = shown["refunds"].as_array().expect("a list");
        assert_eq!(refunds.len(), 1, "recorded once");
        let expected = json!({
            "option_id": option, "amount": "0.00050000", "amount_atomic": "50000", "tx_id": "ab",
            "note": "sorry", "actor": refunds[0]["actor"], "at": "2026-12-01T09:30:00.000Z",
        });
        assert_eq!(refunds[0], expected);
        let settled = one(world, "exceptions", &id(&exception)).await;
        assert_eq!(settled["state"], "resolved");
        assert_eq!(settled["resolution"]["tx_id"], "ab");

        let rest = json!({ "amount": "0.001", "offset": true }).to_string();
        let shown = world.post(&path, &rest).await.is(201);
        assert_eq!(shown["status"], "refunded");
        let more = json!({ "amount": "0.00000001", "offset": true }).to_string();
        let answer = world.post(&path, &more).await;
        answer.is_problem(409, "refund_above_final");
    })
    .await;
}

/// Goal: too little money is decided about when nothing more can come in time.
#[tokio::test]
async fn too_little_is_accepted_after_the_window() {
    run_on_both(async |world: &mut World| {
        let mut bank = open(world).await;
        let invoice = bank.paid(world, 60_000).await;
        assert_eq!(
            (&invoice["status"], &invoice["exceptions"]),
            (&json!("underpaid"), &json!([]))
        );
        world.advance_ms(901_000);
        bank.poll(world).await;
        let page = world.get("/v1/exceptions?kind=underpaid").await.is(200);
        let exception = page["data"][0].clone();
        assert_eq!(exception["amount_atomic"], "60000");
        let path = format!("/v1/exceptions/{}/resolve", id(&exception));
        let body = json!({ "action": "assign", "owner": "bo" }).to_string();
        let assigned = world.post(&path, &body).await.is(200);
        assert_eq!(
            (&assigned["state"], &assigned["owner"]),
            (&json!("open"), &json!("bo"))
        );
        let body = json!({ "action": "accept_partial" }).to_string();
        let decided = world.post(&path, &body).await.is(200);
        assert_eq!(
            (&decided["state"], &decided["owner"]),
            (&json!("resolved"), &json!("bo"))
        );
        assert_eq!(
            one(world, "invoices", &id(&invoice)).await["status"],
            "paid"
        );
    })
    .await;
}
