//! Merchants, API keys, wallets, counters, settings.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use paywatch_domain::{Family, KeyId, MerchantId, Mode, WalletId};
use tokio::sync::Notify;

use super::bed::{Bed, NOW, on_both, unit};
use super::scene::{Scene, merchant_id, new_wallet, wallet_id};
use crate::api_keys::NewApiKey;
use crate::counters::{INDEX_END, TakeIndexes};
use crate::pool_addresses::PoolAddress;
use crate::wallets::WalletState;
use crate::{Cursor, Store, StoreError, api_keys, merchants, pool_addresses, settings, wallets};

async fn a_merchant_is_registered_once(_: &Bed, store: Store) {
    let mut conn = store.read().await.unwrap();
    assert_eq!(merchants::default(&mut conn).await.unwrap(), None);
    let scene = Scene::new(store.clone()).await;
    let again = unit!(store, [], |tx| merchants::ensure(
        tx,
        merchant_id(),
        "other",
        NOW
    )
    .await);
    assert_eq!(again.await.unwrap(), scene.merchant);
    let other = MerchantId::from_bits(2);
    let other = unit!(store, [], |tx| merchants::ensure(tx, other, "b", NOW).await);
    let other = other.await.unwrap();
    let first = merchants::default(&mut conn).await.unwrap().unwrap();
    assert_eq!(
        (first.key, first.id, first.name.as_str()),
        (scene.merchant, merchant_id(), "shop")
    );
    let found = merchants::get(&mut conn, other).await.unwrap().unwrap();
    assert_eq!(found.id, MerchantId::from_bits(2));
    assert_eq!(
        merchants::find(&mut conn, found.id).await.unwrap(),
        Some(found)
    );
}

async fn an_api_key_is_found_until_it_is_revoked(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let new = NewApiKey {
        id: KeyId::from_bits(7),
        merchant: scene.merchant,
        mode: Mode::Live,
        seal: [9; 32],
        scopes: vec!["invoices:write".into(), "admin".into()],
        networks: vec!["10.0.0.0/8".into()],
        expires_at: Some(NOW.plus_ms(60_000)),
        label: "till".into(),
        now: NOW,
    };
    unit!(store, [new], |tx| api_keys::insert(tx, &new).await)
        .await
        .unwrap();
    let mut conn = store.read().await.unwrap();
    let key = api_keys::by_id(&mut conn, new.id).await.unwrap().unwrap();
    assert_eq!(
        (key.merchant_id, key.mode, key.seal),
        (merchant_id(), Mode::Live, [9; 32])
    );
    assert_eq!(key.scopes, new.scopes);
    assert_eq!(key.revoked_at, None);
    let unknown = api_keys::by_id(&mut conn, KeyId::from_bits(8))
        .await
        .unwrap();
    assert_eq!(unknown, None);
    for expected in [true, false] {
        let id = new.id;
        let revoked = unit!(store, [], |tx| api_keys::revoke(tx, id, NOW).await);
        assert_eq!(revoked.await.unwrap(), expected);
    }
    let all = api_keys::list(&mut conn).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].revoked_at, Some(NOW));
}

async fn the_first_confirmed_wallet_of_a_family_is_the_default(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let second = new_wallet(scene.merchant, 2);
    let key = unit!(store, [second], |tx| wallets::insert(tx, &second).await)
        .await
        .unwrap();
    let mut conn = store.read().await.unwrap();
    let get = async |conn: &mut _, id| {
        let found = wallets::get(conn, scene.merchant, Mode::Test, WalletId::from_bits(id)).await;
        found.unwrap()
    };
    let pending = get(&mut conn, 2).await.unwrap();
    assert_eq!(
        (pending.key, pending.state, pending.is_default),
        (key, WalletState::Pending, false)
    );
    assert_eq!(
        (pending.canonical.as_str(), pending.next_index),
        ("tpub2", 5)
    );
    assert_eq!(pending.seal, [1, 2, 3]);
    for expected in [true, false] {
        let confirmed = unit!(store, [], |tx| wallets::confirm(tx, key, &[4], NOW).await);
        assert_eq!(confirmed.await.unwrap(), expected, "once");
    }
    let second = get(&mut conn, 2).await.unwrap();
    assert_eq!(
        (second.state, second.is_default),
        (WalletState::Active, false)
    );
    assert_eq!((second.confirmed_at, second.seal), (Some(NOW), vec![4]));
    let default = wallets::default_of(&mut conn, scene.merchant, Mode::Test, Family::Bitcoin);
    assert_eq!(default.await.unwrap().unwrap().id, wallet_id());
    let live = wallets::default_of(&mut conn, scene.merchant, Mode::Live, Family::Bitcoin);
    assert_eq!(live.await.unwrap(), None);
    let elsewhere = wallets::get(&mut conn, scene.merchant, Mode::Live, wallet_id()).await;
    assert_eq!(
        elsewhere.unwrap(),
        None,
        "a wallet is seen in its mode only"
    );
}

async fn a_key_is_registered_once_per_merchant_and_its_owners_are_known(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let mut again = new_wallet(scene.merchant, 2);
    again.node = "node1".into();
    again.canonical = "tpub1".into();
    let refused = unit!(store, [again], |tx| wallets::insert(tx, &again).await).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict("wallet_exists"))),
        "{refused:?}"
    );
    let other = MerchantId::from_bits(2);
    let other = unit!(store, [], |tx| merchants::ensure(tx, other, "b", NOW).await);
    again.merchant = other.await.unwrap();
    unit!(store, [again], |tx| wallets::insert(tx, &again).await)
        .await
        .unwrap();
    for (node, expected) in [
        ("node1", vec![scene.merchant, again.merchant]),
        ("node9", vec![]),
    ] {
        let owners = unit!(store, [], |tx| wallets::owners_of_node(tx, node).await);
        assert_eq!(owners.await.unwrap(), expected, "{node}");
    }
    let mut taproot = new_wallet(scene.merchant, 3);
    taproot.node = "node1".into();
    unit!(store, [taproot], |tx| wallets::insert(tx, &taproot).await)
        .await
        .unwrap();
    let mut conn = store.read().await.unwrap();
    let forms = wallets::keys_of_node(&mut conn, scene.merchant, Mode::Test, "node1").await;
    assert_eq!(forms.unwrap(), ["tpub1", "tpub3"]);
}

/// Goal: a key belongs to one merchant, and a family has one default, whatever comes at once. Method:
/// the first unit is held open after its writes; the second one has to wait for it.
#[tokio::test]
async fn two_units_at_once_do_not_pass_each_other_on_postgres() {
    super::bed::run(Bed::pg().await, async |_: &Bed, store: Store| {
        let merchant = MerchantId::from_bits(1);
        let merchant = unit!(store, [], |tx| merchants::ensure(tx, merchant, "a", NOW)
            .await)
        .await
        .unwrap();
        let (written, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut keys = Vec::new();
        for number in [1, 2] {
            let new = new_wallet(merchant, number);
            let key = unit!(store, [new], |tx| wallets::insert(tx, &new).await);
            keys.push(key.await.unwrap());
        }
        let new = new_wallet(merchant, 3);
        let first = unit!(store, [new, keys, written, go_on], |tx| {
            let owners = wallets::owners_of_node(tx, &new.node).await?;
            wallets::insert(tx, &new).await?;
            assert!(wallets::confirm(tx, keys[0], &[4], NOW).await?);
            written.notify_one();
            go_on.notified().await;
            Ok(owners)
        });
        let second = async {
            written.notified().await;
            let owners = unit!(store, [], |tx| wallets::owners_of_node(tx, "node3").await);
            let confirm = unit!(store, [keys], |tx| {
                wallets::confirm(tx, keys[1], &[4], NOW).await
            });
            let mut both = pin!(join(owners, confirm));
            let soon = tokio::time::timeout(Duration::from_millis(300), both.as_mut());
            assert!(soon.await.is_err(), "both wait");
            go_on.notify_one();
            both.await
        };
        let (owners, (seen, refused)) = join(first, second).await;
        assert!(owners.unwrap().is_empty());
        assert_eq!(seen.unwrap(), [merchant]);
        assert!(
            matches!(refused, Err(StoreError::Conflict("wallets_default"))),
            "{refused:?}"
        );
        let again = unit!(store, [keys], |tx| {
            wallets::confirm(tx, keys[1], &[4], NOW).await
        });
        assert!(again.await.unwrap(), "active, and not the default");
    })
    .await;
}

async fn pages_of_wallets_go_both_ways(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    for number in 2..=5 {
        let new = new_wallet(scene.merchant, number);
        unit!(store, [new], |tx| wallets::insert(tx, &new).await)
            .await
            .unwrap();
    }
    let id = WalletId::from_bits;
    let cases = [
        (Cursor::Newest, 3, vec![5, 4, 3], true),
        (Cursor::Newest, 5, vec![5, 4, 3, 2, 1], false),
        (Cursor::After(id(3)), 3, vec![2, 1], false),
        (Cursor::After(id(4)), 2, vec![3, 2], true),
        (Cursor::Before(id(2)), 2, vec![4, 3], true),
        (Cursor::Before(id(3)), 2, vec![5, 4], false),
        (Cursor::Before(id(5)), 2, vec![], false),
    ];
    let mut conn = store.read().await.unwrap();
    for (cursor, limit, expected, has_more) in cases {
        let page = wallets::list(&mut conn, scene.merchant, Mode::Test, &cursor, limit).await;
        let page = page.unwrap();
        let expected: Vec<WalletId> = expected.into_iter().map(id).collect();
        let found: Vec<WalletId> = page.rows.iter().map(|wallet| wallet.id).collect();
        assert_eq!((found, page.has_more), (expected, has_more), "{cursor:?}");
    }
    let unknown = Cursor::After(id(9));
    let page = wallets::list(&mut conn, scene.merchant, Mode::Test, &unknown, 2).await;
    assert!(matches!(page, Err(StoreError::NoSuchCursor)));
    let other_mode = Cursor::After(id(3));
    let page = wallets::list(&mut conn, scene.merchant, Mode::Live, &other_mode, 2).await;
    assert!(matches!(page, Err(StoreError::NoSuchCursor)));
}

async fn an_index_is_never_taken_twice(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let take_some = |node: &str, at_least, count| {
        store.write(TakeIndexes {
            node: node.into(),
            at_least,
            count,
            end: INDEX_END,
        })
    };
    let take = |node: &str, at_least| take_some(node, at_least, 1);
    assert_eq!(take("node1", 5).await.unwrap(), 5);
    let mut taken: Vec<u32> = join_all((0..50).map(|_| take("node1", 5)))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    taken.sort_unstable();
    assert_eq!(taken, (6..56).collect::<Vec<u32>>());
    assert_eq!(take("node1", 1000).await.unwrap(), 1000, "raised");
    assert_eq!(take("node1", 7).await.unwrap(), 1001, "never back");
    assert_eq!(take("node2", 0).await.unwrap(), 0, "each node has its own");
    let mut conn = store.read().await.unwrap();
    let wallet = wallets::get(&mut conn, scene.merchant, Mode::Test, wallet_id()).await;
    assert_eq!(wallet.unwrap().unwrap().next_index, 1002);
    assert_eq!(
        take_some("node4", 3, 4).await.unwrap(),
        3,
        "the first of four"
    );
    assert_eq!(take("node4", 3).await.unwrap(), 7, "behind all four");
    assert_eq!(take_some("node4", 100, 2).await.unwrap(), 100, "raised");
    let starts = join_all((0..20).map(|number| take_some("node5", 0, number % 3 + 1))).await;
    let starts: BTreeSet<u32> = starts.into_iter().map(Result::unwrap).collect();
    assert_eq!(starts.len(), 20);
    assert_eq!(
        take("node5", 0).await.unwrap(),
        39,
        "every count was added once"
    );
    let too_many = take_some("node3", 0x7fff_fffe, 3).await;
    let exhausted = StoreError::Conflict("node_exhausted").to_string();
    assert_eq!(too_many.unwrap_err().to_string(), exhausted);
    assert_eq!(take("node3", 0x7fff_ffff).await.unwrap(), 0x7fff_ffff);
    assert_eq!(take("node3", 0).await.unwrap_err().to_string(), exhausted);
    let take_below = |count, end| {
        let node = "node6".into();
        store.write(TakeIndexes {
            node,
            at_least: 0,
            count,
            end,
        })
    };
    assert_eq!(take_below(2, 3).await.unwrap(), 0);
    let too_many = take_below(2, 3).await.unwrap_err();
    assert_eq!(too_many.to_string(), exhausted);
    assert_eq!(take_below(1, 3).await.unwrap(), 2, "nothing was taken");
    assert!(take_below(1, 3).await.is_err());
    assert_eq!(take_below(1, 4).await.unwrap(), 3, "until there are more");
}

async fn a_solana_pool_grows_and_knows_its_addresses(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let rows = |from: u32, names: &[&str]| -> Vec<PoolAddress> {
        let rows = (from..).zip(names);
        let row = |(position, name): (u32, &&str)| PoolAddress {
            position,
            address: (*name).to_owned(),
            seal: vec![7; 32],
        };
        rows.map(row).collect()
    };
    let insert = |new: Vec<PoolAddress>| {
        let wallet = scene.wallet;
        unit!(store, [new], |tx| {
            pool_addresses::insert(tx, wallet, Family::Solana, &new).await
        })
    };
    let mut conn = store.read().await.unwrap();
    assert_eq!(
        pool_addresses::size(&mut conn, scene.wallet).await.unwrap(),
        0
    );
    let three = rows(0, &["one", "two", "three"]);
    insert(three.clone()).await.unwrap();
    insert(rows(3, &["four"])).await.unwrap();
    assert_eq!(
        pool_addresses::size(&mut conn, scene.wallet).await.unwrap(),
        4
    );
    for (position, expected) in [(0, Some(&three[0])), (2, Some(&three[2])), (4, None)] {
        let found = pool_addresses::get(&mut conn, scene.wallet, position).await;
        assert_eq!(found.unwrap().as_ref(), expected);
    }
    // A place that is taken, and an address that is in the pool: nothing of either is stored.
    for new in [rows(3, &["five"]), rows(4, &["five", "two"])] {
        let error = insert(new).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Conflict("pool_changed")),
            "{error}"
        );
    }
    assert_eq!(
        pool_addresses::size(&mut conn, scene.wallet).await.unwrap(),
        4
    );
    let mut pays = new_wallet(scene.merchant, 9);
    pays.family = Family::Solana;
    pays.kind = "solana_pay".into();
    pays.canonical = "payee?salt=abc".into();
    unit!(store, [pays], |tx| wallets::insert(tx, &pays).await)
        .await
        .unwrap();
    for (names, family, expected) in [
        (&["five", "six"][..], Family::Solana, None),
        (&["five", "two"], Family::Solana, Some("two")),
        (&["five", "two"], Family::Evm, None),
        (&["pay", "payee"], Family::Solana, Some("payee")),
        (&["pay", "payee?salt=abc"], Family::Solana, None),
    ] {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let found = pool_addresses::known(&mut conn, family, &names).await;
        assert_eq!(found.unwrap().as_deref(), expected, "{names:?}");
    }
}

async fn a_setting_is_replaced(_: &Bed, store: Store) {
    for value in ["one", "two"] {
        unit!(store, [], |tx| settings::set(tx, "name", value).await)
            .await
            .unwrap();
    }
    let mut conn = store.read().await.unwrap();
    assert_eq!(
        settings::get(&mut conn, "name").await.unwrap().as_deref(),
        Some("two")
    );
    assert_eq!(settings::get(&mut conn, "none").await.unwrap(), None);
}

on_both!(
    a_merchant_is_registered_once,
    an_api_key_is_found_until_it_is_revoked,
    the_first_confirmed_wallet_of_a_family_is_the_default,
    a_key_is_registered_once_per_merchant_and_its_owners_are_known,
    pages_of_wallets_go_both_ways,
    an_index_is_never_taken_twice,
    a_solana_pool_grows_and_knows_its_addresses,
    a_setting_is_replaced,
);
