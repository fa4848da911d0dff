//! The master key is replaced while invoices are open.
//!
//! Goal: while the key before is known nothing stops, and once everything is sealed again nothing needs it any
//! more; what was changed in the database is not made true by a new seal. Method: the keys of a house are
//! changed one after the other, as an operator restarts the program with another configuration.

use std::sync::Arc;

use paywatch_domain::{EndpointId, InvoiceId};
use paywatch_engine::commands::CommandError;
use paywatch_engine::master_check::{self, CheckMasterKey};
use paywatch_engine::reseal::{Kind, Place, Reseal};
use paywatch_store::{EndpointSecret, MasterKey, endpoints};
use paywatch_wire::request::decode;
use serde_json::{Value, json};

use crate::chain::{asset, payment};
use crate::exceptions::code;
use crate::house::{House, answer_json, on_sqlite};
use crate::scenarios::stories;
use crate::seals::change_terms;

stories!(
    after_resealing_the_old_master_key_is_not_needed,
    without_the_old_master_key_nothing_starts,
);

fn new_key() -> MasterKey {
    MasterKey::from_bytes([9; 32])
}

fn both_keys() -> MasterKey {
    new_key().with_retired([MasterKey::from_bytes([7; 32])])
}

async fn is_accepted(house: &House, master: &MasterKey) -> bool {
    let check = CheckMasterKey {
        master: Arc::new(master.clone()),
        now: house.now,
    };
    house.store.write(check).await.unwrap()
}

/// How many rows of each kind were sealed again, and which were not as they should be.
async fn reseal_all(house: &House) -> (Vec<usize>, Vec<String>) {
    let (mut counts, mut broken) = (Vec::new(), Vec::new());
    for (number, kind) in (1..).zip(Kind::ALL) {
        let (mut after, mut count) = (Some(Place::default()), 0);
        while let Some(place) = after {
            let portion = Reseal {
                master: Arc::new(both_keys()),
                kind,
                after: place,
                seed: [number; 32],
            };
            let portion = house.store.write(portion).await.unwrap();
            count += portion.sealed;
            broken.extend(portion.broken);
            after = portion.end;
        }
        counts.push(count);
    }
    (counts, broken)
}

async fn shown(house: &House, id: InvoiceId) -> Result<Value, CommandError> {
    let shown = house.commands.invoice(&house.caller, id, house.now).await;
    shown.map(|shown| serde_json::to_value(shown).unwrap())
}

/// What receivers check the endpoint's webhooks with, and what it is encrypted as.
async fn keys_of(house: &House, hook: EndpointId, master: &MasterKey) -> ([String; 2], Vec<u8>) {
    let (merchant, mode) = (house.caller.merchant, house.caller.mode);
    let mut conn = house.store.read().await.unwrap();
    let row = endpoints::get(&mut conn, merchant, mode, hook).await;
    let sealed = row.unwrap().unwrap().secret;
    let secret = EndpointSecret::open(master, hook, &sealed).unwrap();
    let keys = [secret.reveal_shared(), secret.public_key().unwrap()];
    (keys, sealed)
}

async fn endpoint(house: &mut House) -> EndpointId {
    let body = json!({ "url": "https://shop.example/hook" }).to_string();
    let request = decode(body.as_bytes()).unwrap();
    let answer = house.create_endpoint(request).await.unwrap();
    answer_json(answer)["id"].as_str().unwrap().parse().unwrap()
}

async fn after_resealing_the_old_master_key_is_not_needed(mut house: House) {
    assert!(is_accepted(&house, &MasterKey::from_bytes([7; 32])).await);
    let (open, key) = house.invoice(100_000, 900).await;
    let body = json!({ "chain_family": "bitcoin", "pool": "p-0\np-1", "kind": "address_pool" });
    let pool = house.register(&body).await.unwrap()["id"].clone();
    let hook = endpoint(&mut house).await;
    let before = keys_of(&house, hook, &MasterKey::from_bytes([7; 32])).await;

    assert!(is_accepted(&house, &both_keys()).await);
    let mut conn = house.store.read().await.unwrap();
    let replaced_at = master_check::replaced_at(&mut conn).await.unwrap();
    drop(conn);
    assert_eq!(replaced_at, Some(house.now));
    house.replace_master(both_keys());
    shown(&house, open).await.unwrap();
    // One that the new key sealed already.
    let (young, _) = house.invoice(200_000, 900).await;
    let (counts, broken) = reseal_all(&house).await;
    assert_eq!((counts, broken), (vec![2, 2, 2, 1], Vec::new()));
    let (counts, _) = reseal_all(&house).await;
    assert_eq!(counts, [2, 2, 2, 1], "it can be done again");

    house.replace_master(new_key());
    for id in [open, young] {
        shown(&house, id).await.unwrap();
    }
    house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
    house.mine(Vec::new()).await;
    assert_eq!(house.said(open).await.last().unwrap(), "paid");
    let of_pool = json!({
        "options": [{ "asset": asset().to_string(), "amount": "0.001", "wallet_id": pool }],
        "expires_in_s": 900,
    });
    house.create(&of_pool, None).await.unwrap();
    let (keys, sealed) = keys_of(&house, hook, &new_key()).await;
    assert_ne!(sealed, before.1, "it is encrypted anew");
    assert_eq!(keys, before.0, "receivers notice nothing");

    // Whoever has the old key alone gets nowhere with it.
    house.replace_master(MasterKey::from_bytes([7; 32]));
    assert_eq!(code(shown(&house, young).await), "invoice_quarantined");
}

async fn without_the_old_master_key_nothing_starts(house: House) {
    let old = MasterKey::from_bytes([7; 32]);
    assert!(is_accepted(&house, &old).await);
    assert!(!is_accepted(&house, &new_key()).await);
    assert!(is_accepted(&house, &both_keys()).await);
    assert!(is_accepted(&house, &new_key()).await, "from now on alone");
    assert!(!is_accepted(&house, &old).await, "it is the retired one");
}

#[tokio::test]
async fn a_new_seal_makes_no_changed_promise_true() {
    on_sqlite(async |mut house: House| {
        let (changed, _) = house.invoice(100_000, 900).await;
        let (sound, _) = house.invoice(300_000, 900).await;
        let (from, to) = (r#""due":"100000""#, r#""due":"1000""#);
        assert_eq!(change_terms(&house, from, to).await, 1);
        let (counts, broken) = reseal_all(&house).await;
        assert_eq!(counts, [1, 0, 1, 0]);
        assert_eq!(broken, [changed.to_string()]);
        house.replace_master(both_keys());
        shown(&house, sound).await.unwrap();
        assert_eq!(code(shown(&house, changed).await), "invoice_quarantined");
    })
    .await;
}
