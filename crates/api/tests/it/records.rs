//! Goal: what a merchant keeps with an invoice stays with it, once for each idempotency key, and changes nothing of
//! what is said. Method: requests on the router, and what the invoice, its explanation and the audit log show then.

use paywatch_api::Scope;
use paywatch_domain::{Mode, limits};
use serde_json::{Value, json};

use crate::world::{World, run, run_on_both};

async fn invoice(world: &World) -> String {
    let wallet = world.wallet().await;
    let confirm = format!("/v1/wallets/{wallet}/confirm");
    world.post(&confirm, "").await.is(200);
    let order = json!({ "options": [{ "asset": "btc@bitcoin-regtest", "amount": "0.001" }] });
    let made = world.post("/v1/invoices", &order.to_string()).await.is(201);
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn notes_and_fulfilments_are_kept_once_and_change_nothing() {
    run_on_both(async |world: &mut World| {
        let id = invoice(world).await;
        let path = format!("/v1/invoices/{id}");
        let before = world.get(&path).await.is(200);
        let note = json!({ "text": "the customer called\ntwice" }).to_string();
        let noted = world.post(&format!("{path}/notes"), &note).await.is(201);
        assert_eq!(
            (&noted["object"], &noted["text"]),
            (&json!("note"), &json!("the customer called\ntwice"))
        );
        let shipped = json!({ "description": "two books", "reference": "1Z999" }).to_string();
        let fulfilments = format!("{path}/fulfilments");
        let headers = [("idempotency-key", "ship")];
        let first = world
            .post_with(&fulfilments, &shipped, &headers)
            .await
            .is(201);
        world.advance_ms(1_000);
        let again = world.post_with(&fulfilments, &shipped, &headers).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.is(201), first);
        let other = json!({ "description": "three books" }).to_string();
        world
            .post_with(&fulfilments, &other, &headers)
            .await
            .is_problem(422, "idempotency_key_reused");

        let after = world.get(&path).await.is(200);
        assert_eq!(after["fulfilments"], json!([first]));
        assert_eq!(first["reference"], "1Z999");
        assert!(
            first["actor"]
                .as_str()
                .is_some_and(|actor| actor.starts_with("key_"))
        );
        for same in ["status", "version", "options", "exceptions"] {
            assert_eq!(after[same], before[same], "{same}");
        }
        let events = world.get(&format!("{path}/events")).await.is(200);
        assert_eq!(
            events["data"].as_array().map(Vec::len),
            Some(1),
            "nobody is told"
        );
        let explained = world.get(&format!("{path}/explain")).await.is(200);
        assert_eq!(explained["notes"], json!([noted]));
        assert_eq!(explained["fulfilments"], json!([first]));
        let rows = world.get("/v1/audit?limit=2&log=merchant").await.is(200);
        let shown = |row: &Value| {
            (
                row["action"].clone(),
                row["subject"].clone(),
                row["after"].clone(),
            )
        };
        assert_eq!(
            shown(&rows["data"][0]),
            (json!("invoice.fulfil"), json!(id), first)
        );
        assert_eq!(
            shown(&rows["data"][1]),
            (json!("invoice.note"), json!(id), noted)
        );
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_by_field_and_code() {
    run(async |world: &mut World| {
        let id = invoice(world).await;
        let (notes, fulfilments) = (
            format!("/v1/invoices/{id}/notes"),
            format!("/v1/invoices/{id}/fulfilments"),
        );
        let long = "x".repeat(limits::NOTE_CHARS_MAX + 1);
        let longer = "x".repeat(limits::TEXT_CHARS_MAX + 1);
        let table = [
            (&notes, json!({}), "required"),
            (&notes, json!({ "text": "" }), "text_invalid"),
            (&notes, json!({ "text": "a\u{0}b" }), "text_invalid"),
            (&notes, json!({ "text": 5 }), "type_invalid"),
            (&notes, json!({ "text": long }), "text_too_long"),
            (
                &notes,
                json!({ "text": "a", "reference": "b" }),
                "unknown_field",
            ),
            (&fulfilments, json!({ "reference": "1Z" }), "required"),
            (
                &fulfilments,
                json!({ "description": long }),
                "text_too_long",
            ),
            (
                &fulfilments,
                json!({ "description": "a", "reference": longer }),
                "text_too_long",
            ),
            (
                &fulfilments,
                json!({ "description": "a", "reference": "b\nc" }),
                "text_invalid",
            ),
        ];
        for (path, body, code) in table {
            world
                .post(path, &body.to_string())
                .await
                .is_problem(422, code);
        }
        let body = json!({ "text": "a" }).to_string();
        let unknown = "/v1/invoices/inv_00000000000000000000000001/notes";
        world
            .post(unknown, &body)
            .await
            .is_problem(404, "invoice_unknown");
        for _ in 0..limits::RECORDS_MAX {
            world.post(&notes, &body).await.is(201);
        }
        world
            .post(&notes, &body)
            .await
            .is_problem(409, "records_too_many");
        let own = world.key.clone();
        world.key = world.foreign_key().await;
        world
            .post(&notes, &body)
            .await
            .is_problem(404, "invoice_unknown");
        world.key = own;
        world.key = world.new_key(Mode::Test, &[Scope::InvoicesRead]).await;
        world
            .post(&notes, &body)
            .await
            .is_problem(403, "scope_missing");
    })
    .await;
}
