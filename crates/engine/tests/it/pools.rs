//! Pools of addresses, as merchants of Solana upload them.
//!
//! Goal: each address is handed out once and in its order, whatever happens at the same time; an empty pool
//! refuses invoices and takes nothing; a file is taken whole or not at all. Method: as for all stories.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use paywatch_domain::Entropy;
use paywatch_engine::commands::{Answered, CommandError};
use paywatch_wire::request::decode;
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::chain::{asset, second_asset};
use crate::exceptions::code;
use crate::house::{House, on_sqlite};
use crate::scenarios::stories;

stories!(
    the_addresses_of_a_solana_pool_are_handed_out_once_and_in_order,
    a_file_for_a_solana_pool_is_taken_whole_or_not_at_all,
    many_invoices_at_once_empty_a_solana_pool_exactly,
);

const POOL: &str = "p-0\np-1\np-2";

async fn pool_of(house: &mut House, text: &str) -> String {
    let body = json!({ "chain_family": "bitcoin", "pool": text, "kind": "address_pool" });
    let wallet = house.register(&body).await.unwrap();
    wallet["id"].as_str().unwrap().to_owned()
}

fn body(wallet: &str, assets: &[String]) -> Value {
    let options = assets
        .iter()
        .map(|asset| json!({ "asset": asset, "amount": "0.001", "wallet_id": wallet }));
    json!({ "options": options.collect::<Vec<_>>(), "expires_in_s": 900 })
}

/// The address of the only option of a new invoice.
async fn address(house: &mut House, wallet: &str) -> Result<Value, CommandError> {
    let body = body(wallet, &[asset().to_string()]);
    let (invoice, _) = house.create(&body, None).await?;
    Ok(invoice["options"][0]["address"].clone())
}

async fn shown(house: &House, wallet: &str) -> Value {
    let id = wallet.parse().unwrap();
    let wallet = house.commands.wallet(&house.caller, id).await.unwrap();
    serde_json::to_value(wallet.unwrap()).unwrap()
}

async fn the_addresses_of_a_solana_pool_are_handed_out_once_and_in_order(mut house: House) {
    let wallet = pool_of(&mut house, POOL).await;
    let before = shown(&house, &wallet).await;
    assert_eq!(
        before["pool"],
        json!({"size": 3, "remaining": 3, "low": true})
    );
    let first = before["first_addresses"].as_array().unwrap();
    let first: Vec<&Value> = first.iter().map(|first| &first["address"]).collect();
    assert_eq!(first, ["p-0", "p-1", "p-2"]);
    assert_eq!(address(&mut house, &wallet).await.unwrap(), "p-0");
    assert_eq!(address(&mut house, &wallet).await.unwrap(), "p-1");
    // Two options need two addresses, and one is left: the one that goes without is named.
    house.follow_second().await;
    let two = body(&wallet, &[asset().to_string(), second_asset().to_string()]);
    let Err(CommandError::Fields(errors)) = house.create(&two, None).await else {
        panic!("one address is left")
    };
    let [error] = &errors[..] else {
        panic!("{errors:?}")
    };
    assert_eq!(error.code, "address_pool_empty");
    assert_eq!(error.pointer, "/options/1/wallet_id");
    assert!(
        error.detail.contains(&format!("top-up {wallet}")),
        "{}",
        error.detail
    );
    assert_eq!(
        shown(&house, &wallet).await["pool"]["remaining"],
        1,
        "nothing was taken"
    );
    assert_eq!(address(&mut house, &wallet).await.unwrap(), "p-2");
    for _ in 0..2 {
        assert_eq!(
            code(address(&mut house, &wallet).await),
            "address_pool_empty"
        );
    }
    let topped = house.top_up(&wallet, "p-3\np-4").await.unwrap();
    assert_eq!(
        topped["pool"],
        json!({"size": 5, "remaining": 2, "low": true})
    );
    let (invoice, _) = house.create(&two, None).await.unwrap();
    let options = invoice["options"].as_array().unwrap();
    let pairs = options
        .iter()
        .map(|option| (&option["address"], &option["derivation_path"]));
    let pairs: Vec<(&Value, &Value)> = pairs.collect();
    assert_eq!(
        pairs,
        [
            (&json!("p-3"), &json!("pool/3")),
            (&json!("p-4"), &json!("pool/4"))
        ]
    );
    assert_eq!(shown(&house, &wallet).await["pool"]["remaining"], 0);
}

async fn a_file_for_a_solana_pool_is_taken_whole_or_not_at_all(mut house: House) {
    let derived = house.create(&json!({
        "options": [{ "asset": asset().to_string(), "amount": "0.001" }], "expires_in_s": 900,
    }), None).await.unwrap().0;
    let derived = derived["options"][0]["address"]
        .as_str()
        .unwrap()
        .to_owned();
    let wallet = pool_of(&mut house, POOL).await;
    // Each has one address that is in use: in the pool, and at an invoice of another wallet.
    for bad in ["new-1\np-1", &format!("new-1\n{derived}")] {
        assert_eq!(code(house.top_up(&wallet, bad).await), "address_known");
        let body = json!({ "chain_family": "bitcoin", "pool": bad });
        assert_eq!(code(house.register(&body).await), "address_known");
    }
    assert_eq!(shown(&house, &wallet).await["pool"]["size"], 3);
    let again = json!({ "chain_family": "bitcoin", "pool": POOL });
    let said = code(house.register(&again).await);
    assert!(
        ["wallet_exists", "address_known"].contains(&said.as_str()),
        "{said}"
    );
    let not_a_pool = house.wallet.to_string();
    assert_eq!(
        code(house.top_up(&not_a_pool, "new-1").await),
        "wallet_not_pool"
    );
    // What was refused is still new.
    let topped = house.top_up(&wallet, "new-1").await.unwrap();
    assert_eq!(topped["pool"]["size"], 4);
}

/// Draws what no other one of the test draws.
struct Draws(u128);

impl Entropy for Draws {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(16) {
            self.0 += 1;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

async fn many_invoices_at_once_empty_a_solana_pool_exactly(mut house: House) {
    let lines: Vec<String> = (0..12).map(|number| format!("p-{number}")).collect();
    let wallet = pool_of(&mut house, &lines.join("\n")).await;
    let text = body(&wallet, &[asset().to_string()]).to_string();
    let creations = (1..=20_u128).map(|number| {
        let (commands, caller, now) = (house.commands.clone(), &house.caller, house.now);
        let request = decode(text.as_bytes()).unwrap();
        let mut entropy = Draws(number << 64);
        async move {
            let created = commands.create_invoice(caller, request, None, now, &mut entropy);
            created.await
        }
    });
    let mut given = BTreeSet::new();
    for created in join_all(creations).await {
        match created {
            Ok(Answered::Fresh(answer)) => {
                let invoice: Value = serde_json::from_str(&answer.body).unwrap();
                let address = invoice["options"][0]["address"].as_str().unwrap();
                assert!(given.insert(address.to_owned()), "{address} twice");
            }
            Ok(Answered::Replayed(_)) => panic!("nothing is repeated"),
            Err(error) => assert_eq!(code(Err(error)), "address_pool_empty"),
        }
    }
    assert_eq!(
        given,
        lines.into_iter().collect(),
        "all of them, and none is lost"
    );
}

#[tokio::test]
async fn an_address_of_a_solana_pool_that_was_changed_in_the_database_is_not_given() {
    let changes = [
        (
            "SET address = 'thief' WHERE position = 1",
            "wallet_seal_broken",
        ),
        (
            "SET position = position + 7 WHERE position = 1",
            "address_pool_empty",
        ),
        (
            "SET wallet = wallet - 1 WHERE position = 1",
            "address_pool_empty",
        ),
    ];
    for (change, expected) in changes {
        on_sqlite(async |mut house: House| {
            let wallet = pool_of(&mut house, POOL).await;
            assert_eq!(address(&mut house, &wallet).await.unwrap(), "p-0");
            let file = house.url.strip_prefix("sqlite:").unwrap();
            let options = SqliteConnectOptions::new().filename(file);
            let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
            let change = format!("UPDATE pool_addresses {change}");
            let change = sqlx::query(sqlx::AssertSqlSafe(change));
            change.execute(&mut conn).await.unwrap();
            assert_eq!(code(address(&mut house, &wallet).await), expected);
        })
        .await;
    }
}
