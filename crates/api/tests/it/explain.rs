//! Transfers of an invoice with where they stood, and why an invoice says what it says.

use serde_json::{Value, json};

use crate::bank::Bank;
use crate::world::{World, run, run_on_both};

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

#[tokio::test]
async fn transfers_are_paged_both_ways_newest_first() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        let mut bank = Bank::new();
        let invoice = bank.invoice(world, &Value::Null).await;
        for sat in [10_000, 20_000, 30_000, 40_000, 50_000] {
            bank.mine(world, &[(&invoice, sat)]).await;
        }
        let path = format!("/v1/invoices/{}/transfers", id(&invoice));
        let whole = world.get(&path).await.is(200);
        let all = whole["data"].as_array().expect("a list").clone();
        let amounts: Vec<&str> = all
            .iter()
            .filter_map(|one| one["amount_atomic"].as_str())
            .collect();
        assert_eq!(amounts, ["50000", "40000", "30000", "20000", "10000"]);
        assert_eq!(
            (&whole["has_more"], &whole["next_cursor"]),
            (&json!(false), &Value::Null)
        );
        let last = &all[0];
        assert_eq!(last["reason"]["code"], "not_final");
        assert_eq!(
            last["finality"],
            json!({ "kind": "depth", "have": 1, "need": 2 })
        );
        let placement = json!({
            "place": "block", "block_height": 817, "block_hash": "0331",
            "entered_at": "2026-12-01T09:30:00.000Z", "left_at": null, "left_reason": null,
        });
        assert_eq!(last["placements"], json!([placement]));
        for (query, expected, edge) in [
            ("limit=2".to_owned(), 0..2, Some(1)),
            (
                format!("limit=2&starting_after={}", id(&all[1])),
                2..4,
                Some(3),
            ),
            (
                format!("limit=2&starting_after={}", id(&all[3])),
                4..5,
                None,
            ),
            (
                format!("limit=2&starting_after={}", id(&all[4])),
                5..5,
                None,
            ),
            (
                format!("limit=2&ending_before={}", id(&all[3])),
                1..3,
                Some(1),
            ),
            (format!("limit=2&ending_before={}", id(&all[1])), 0..1, None),
            (format!("limit=2&ending_before={}", id(&all[0])), 0..0, None),
        ] {
            let page = world.get(&format!("{path}?{query}")).await.is(200);
            assert_eq!(page["data"], json!(all[expected]), "{query}");
            let cursor = edge.map_or(Value::Null, |place: usize| all[place]["id"].clone());
            assert_eq!(
                (&page["has_more"], &page["next_cursor"]),
                (&json!(edge.is_some()), &cursor),
                "{query}"
            );
        }
        for query in ["limit=0", "limit=101", "starting_after=trf_x", "colour=red"] {
            let answer = world.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status.as_u16(), 400, "{query}: {}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn an_invoice_is_explained_from_its_facts() {
    run(async |world| {
        world.wallet().await;
        let mut bank = Bank::new();
        let tiers = json!([{ "finality": { "bitcoin-regtest": { "depth": 3 } } }]);
        let invoice = bank.invoice(world, &json!({ "policy": { "tiers": tiers } })).await;
        let path = format!("/v1/invoices/{}/explain", id(&invoice));
        let explained = world.get(&path).await.is(200);
        let option = &invoice["options"][0];
        let rule = json!({
            "option_id": option["id"], "asset": "btc@bitcoin-regtest", "policy": null, "tier": 1,
            "basis": "nothing", "up_to": null, "finality": { "depth": 3 },
            "text": "The only tier of the invoice's own policy holds: a payment is final with 3 blocks.",
        });
        let expected = json!({
            "invoice_id": invoice["id"], "object": "explanation", "status": "created",
            "next_action": { "code": "show", "text": "Show the payer how to pay." },
            "rules": [rule], "transfers": [], "awaited": explained["awaited"],
            "notes": [], "fulfilments": [],
        });
        assert_eq!(explained, expected);
        assert_eq!(explained["awaited"][0]["kind"], "covered");
        bank.mine(world, &[(&invoice, 100_000)]).await;
        let explained = world.get(&path).await.is(200);
        let transfer = &explained["transfers"][0];
        assert_eq!(transfer["reason"]["text"], "Counted, and not final: it has 1 of 3 blocks.");
        let awaited = json!({
            "chain": "bitcoin-regtest", "kind": "height", "height": 815, "until": null,
            "text": "Block 815 of bitcoin-regtest.",
        });
        let all = explained["awaited"].as_array().expect("a list");
        assert!(all.contains(&awaited), "{all:?}");
    })
    .await;
}

/// Goal: each kind of finality that a chain of this family can have is shown with how far it is.
#[tokio::test]
async fn progress_is_shown_by_its_kind() {
    run(async |world| {
        world.wallet().await;
        let mut bank = Bank::new();
        let small = json!({ "unconfirmed": { "max": { "amount": "20.00", "currency": "USD" } } });
        let depth = |have: u64| json!({ "kind": "depth", "have": have, "need": 4 });
        let unconfirmed = json!({
            "kind": "unconfirmed", "have": 0, "need": 30, "refused": ["not_vetted"],
        });
        for (finality, expected) in [
            (json!({ "depth": 4 }), depth(1)),
            (
                json!({ "any": [small, { "depth": 4 }] }),
                json!({ "kind": "any", "of": [unconfirmed, depth(1)] }),
            ),
        ] {
            let further = json!({
                "price": { "amount": "10.00", "currency": "USD" },
                "policy": { "tiers": [{ "finality": { "bitcoin-regtest": finality } }] },
            });
            let invoice = bank.invoice(world, &further).await;
            bank.mine(world, &[(&invoice, 100_000)]).await;
            let shown = world
                .get(&format!("/v1/invoices/{}", id(&invoice)))
                .await
                .is(200);
            assert_eq!(shown["transfers"][0]["finality"], expected, "{finality}");
        }
    })
    .await;
}
