//! The list of all transfers of a merchant.

use serde_json::{Value, json};

use crate::bank::Bank;
use crate::world::{World, run, run_on_both};

fn ids(page: &Value) -> Vec<String> {
    let rows = page["data"].as_array().expect("a list").iter();
    let ids = rows.map(|row| row["id"].as_str().expect("an id").to_owned());
    ids.collect()
}

#[tokio::test]
async fn the_api_lists_transfers_by_what_is_asked() {
    run_on_both(async |world: &mut World| {
        world.wallet().await;
        let mut bank = Bank::new();
        let first = bank.invoice(world, &Value::Null).await;
        let second = bank.invoice(world, &Value::Null).await;
        bank.mine(world, &[(&first, 30_000), (&second, 100_000)])
            .await;
        bank.mine(world, &[]).await;
        bank.mine(world, &[(&first, 70_000)]).await;
        bank.mine_token(world, &second, 7_000).await;
        let all = world.get("/v1/transfers").await.is(200);
        let all_ids = ids(&all);
        assert_eq!(all_ids.len(), 4, "{all}");
        let [token, rest, whole, part] = [0, 1, 2, 3].map(|place| &all["data"][place]);
        assert_eq!(
            (&part["invoice_id"], &part["amount_atomic"]),
            (&first["id"], &json!("30000"))
        );
        assert_eq!(
            (&whole["invoice_id"], &whole["certainty"]),
            (&second["id"], &json!("final"))
        );
        assert_eq!(token["role"], "wrong_asset");
        assert_eq!(rest["placements"].as_array().expect("places").len(), 1);

        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let (invoice, address) = (text(&first["id"]), text(&first["options"][0]["address"]));
        let (tx_id, asset) = (text(&whole["tx_id"]), text(&token["asset"]));
        for (query, places) in [
            (format!("invoice={invoice}"), &[1, 3][..]),
            (format!("address={address}"), &[1, 3]),
            (format!("tx_id={tx_id}"), &[2]),
            ("asset=btc@bitcoin-regtest".into(), &[1, 2, 3]),
            ("chain=bitcoin-regtest".into(), &[0, 1, 2, 3]),
            ("chain=bitcoin".into(), &[]),
            (format!("asset={}", asset.replace(':', "%3A")), &[0]),
            (format!("invoice={invoice}&certainty=final"), &[1, 3]),
            ("certainty=gone".into(), &[]),
            ("limit=2".into(), &[0, 1]),
            (format!("limit=2&starting_after={}", all_ids[1]), &[2, 3]),
            (format!("limit=2&ending_before={}", all_ids[3]), &[1, 2]),
        ] {
            let page = world.get(&format!("/v1/transfers?{query}")).await.is(200);
            let expected: Vec<&String> = places
                .iter()
                .map(|place: &usize| &all_ids[*place])
                .collect();
            assert_eq!(ids(&page).iter().collect::<Vec<_>>(), expected, "{query}");
            let is_cut = query == "limit=2" || query.contains("ending_before");
            assert_eq!(page["has_more"], is_cut, "{query}");
        }
        for key in [world.foreign_key().await, world.live_key.clone()] {
            world.key = key;
            for query in [
                String::new(),
                format!("?invoice={invoice}"),
                format!("?tx_id={tx_id}"),
            ] {
                let page = world.get(&format!("/v1/transfers{query}")).await.is(200);
                assert_eq!(page["data"], json!([]), "{query}");
            }
            let path = format!("/v1/transfers?starting_after={}", all_ids[0]);
            world.get(&path).await.is_problem(400, "cursor_unknown");
        }
    })
    .await;
}

#[tokio::test]
async fn the_api_names_what_transfers_cannot_be_listed_by() {
    run(async |world| {
        for (query, code) in [
            ("invoice=inv_x", "id_invalid"),
            ("certainty=sure", "word_unknown"),
            ("asset=btc", "word_unknown"),
            ("chain=bitcoin&tx_id=ab", "filters_combined"),
        ] {
            let answer = world.get(&format!("/v1/transfers?{query}")).await;
            answer.is_problem(400, code);
        }
    })
    .await;
}
