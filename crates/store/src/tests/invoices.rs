//! Invoices: stored whole, read back equal, listed by every filter.

use paywatch_domain::{
    Await, Dossier, InvoiceId, Marks, MerchantId, Mode, OperatorFact, OptionId, Status,
};

use super::bed::{Bed, NOW, on_both, unit};
use super::scene::{Scene, dossier, said};
use crate::invoices::{By, Filter, Spoken};
use crate::sql::statements;
use crate::{
    Cursor, InvoiceKey, Store, StoreError, awaited, decisions, invoices, quarantines, watched,
};

statements! {
    DAMAGE = "UPDATE invoices SET terms = '{}' WHERE id = $1";
    COUNTS = "SELECT (SELECT COUNT(*) FROM invoices), (SELECT COUNT(*) FROM options), (SELECT COUNT(*) FROM watched)";
}

async fn load_one(store: &Store, key: InvoiceKey) -> Dossier {
    let mut conn = store.read().await.unwrap();
    let mut loaded = invoices::load(&mut conn, &[key]).await.unwrap();
    assert_eq!(loaded.len(), 1);
    loaded.remove(0).dossier.unwrap()
}

async fn an_invoice_reads_back_as_it_was_stored(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let first = scene.invoice(1).await;
    let mut later = dossier(2);
    later.order_id = None;
    later.version = 1;
    later.said = Some(said(2, Status::Created, false));
    let second = scene.store_invoice(later.clone()).await.unwrap();
    let mut conn = store.read().await.unwrap();
    let loaded = invoices::load(&mut conn, &[second, first]).await.unwrap();
    assert_eq!(loaded[0].key, first, "in the order of keys");
    assert_eq!(loaded[0].merchant, scene.merchant);
    assert_eq!(loaded[0].dossier, Ok(dossier(1)));
    assert_eq!(loaded[1].dossier, Ok(later));
    assert_eq!(loaded[1].seal, b"seal");
    assert_eq!(loaded[1].option_seals, [b"option seal".to_vec()]);
    let found = invoices::find(
        &mut conn,
        scene.merchant,
        Mode::Test,
        InvoiceId::from_bits(2),
    );
    assert_eq!(found.await.unwrap(), Some(second));
    let other_mode = invoices::find(
        &mut conn,
        scene.merchant,
        Mode::Live,
        InvoiceId::from_bits(2),
    );
    assert_eq!(other_mode.await.unwrap(), None);
    let public = invoices::find_public(&mut conn, InvoiceId::from_bits(1)).await;
    assert_eq!(public.unwrap(), Some(first));
    assert!(
        invoices::load(&mut conn, &[InvoiceKey(99)])
            .await
            .unwrap()
            .is_empty()
    );
}

async fn an_address_belongs_to_one_option(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    scene.invoice(1).await;
    let mut same_address = dossier(2);
    same_address.places[0].address = "bcrt1q1".into();
    let mut same_key = dossier(3);
    same_key.places[0].key = vec![0, 20, 1].into();
    for stolen in [same_address, same_key] {
        let refused = scene.store_invoice(stolen).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict("address_used"))),
            "{refused:?}"
        );
    }
    let mut misfit = dossier(4);
    misfit.places.clear();
    let refused = scene.store_invoice(misfit).await;
    assert!(
        matches!(refused, Err(StoreError::Damaged(_))),
        "{refused:?}"
    );
    let mut conn = store.read().await.unwrap();
    let counts = conn
        .fetch_one::<(i64, i64, i64)>(COUNTS, &[])
        .await
        .unwrap();
    assert_eq!(counts, (1, 1, 1), "nothing is half-created");
    let mut keys = Vec::new();
    let (family, start) = (paywatch_domain::Family::Bitcoin, watched::WatchMark::START);
    watched::since(&mut conn, family, start, |key| keys.push(key.to_vec()))
        .await
        .unwrap();
    assert_eq!(keys, [vec![0, 20, 1]]);
}

async fn a_damaged_invoice_does_not_hide_the_others(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let keys = [scene.invoice(1).await, scene.invoice(2).await];
    unit!(store, [], |tx| tx.execute(DAMAGE, &[keys[0].into()]).await)
        .await
        .unwrap();
    let mut conn = store.read().await.unwrap();
    let loaded = invoices::load(&mut conn, &keys).await.unwrap();
    let reason = loaded[0].dossier.as_ref().unwrap_err();
    assert!(reason.contains("invoices.terms"), "{reason}");
    assert_eq!(loaded[1].dossier, Ok(dossier(2)));
}

async fn what_is_said_is_recorded_once_per_version(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let keys = [scene.invoice(1).await, scene.invoice(2).await];
    let news = [said(1, Status::Paid, false), said(2, Status::Expired, true)];
    let record = |version: u64| {
        unit!(store, [news], |tx| {
            invoices::lock(tx, &keys).await?;
            let spoken: Vec<Spoken<'_>> = keys
                .iter()
                .zip(&news)
                .map(|(invoice, said)| Spoken {
                    invoice: *invoice,
                    said,
                    version,
                })
                .collect();
            invoices::record(tx, &spoken).await
        })
    };
    record(1).await.unwrap();
    let twice = record(1).await;
    assert!(
        matches!(twice, Err(StoreError::Conflict("invoice_version"))),
        "{twice:?}"
    );
    let reason = "a sum is too large".to_owned();
    unit!(store, [reason], |tx| {
        let violations = [(keys[1], reason.clone())];
        assert_eq!(quarantines::begin(tx, &violations).await?, [keys[1]]);
        assert_eq!(quarantines::begin(tx, &violations).await?, [], "only once");
        let fact = OperatorFact::Canceled { at: NOW };
        decisions::insert(tx, keys[0], &fact, "key_1").await
    })
    .await
    .unwrap();
    let first = load_one(&store, keys[0]).await;
    assert_eq!((first.version, first.said), (1, Some(news[0].clone())));
    assert_eq!(first.decisions, [OperatorFact::Canceled { at: NOW }]);
    let second = load_one(&store, keys[1]).await;
    assert_eq!(second.said, Some(news[1].clone()));
    assert_eq!(second.quarantined.as_deref(), Some("a sum is too large"));
}

async fn numbers(scene: &Scene, by: By, cursor: Cursor<InvoiceId>, limit: u32) -> (Vec<i64>, bool) {
    let filter = Filter {
        merchant: scene.merchant,
        mode: Mode::Test,
        by,
    };
    let mut conn = scene.store.read().await.unwrap();
    let page = invoices::page(&mut conn, &filter, &cursor, limit)
        .await
        .unwrap();
    (
        page.rows.into_iter().map(|key| key.0).collect(),
        page.has_more,
    )
}

async fn lists_of_invoices_follow_their_filter_and_cursor(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let mut keys = Vec::new();
    for number in 1..=4 {
        let mut dossier = dossier(number);
        dossier.order_id = Some(if number == 2 { "B" } else { "A" }.into());
        if number == 3 {
            dossier.said = Some(said(3, Status::Paid, false));
            dossier.version = 1;
        }
        keys.push(scene.store_invoice(dossier).await.unwrap().0);
    }
    let [one, two, three, four] = keys[..] else {
        panic!("four invoices");
    };
    let asset = |text: &str| By::Asset(text.parse().unwrap());
    let cases = [
        (By::All, vec![four, three, two, one]),
        (By::Status(Status::Paid), vec![three]),
        (By::Status(Status::Created), vec![four, two, one]),
        (By::OrderId("A".into()), vec![four, three, one]),
        (By::OrderId("C".into()), vec![]),
        (By::Address("bcrt1q2".into()), vec![two]),
        (asset("btc@bitcoin-regtest"), vec![four, three, two, one]),
        (asset("btc@bitcoin"), vec![]),
        (By::TxId("none".into()), vec![]),
        (
            By::CreatedBetween(NOW.plus_ms(2), NOW.plus_ms(4)),
            vec![three, two],
        ),
    ];
    for (by, expected) in cases {
        let all = numbers(&scene, by.clone(), Cursor::Newest, 10).await;
        assert_eq!(all, (expected.clone(), false), "{by:?}");
        let Some(middle) = expected.get(1) else {
            continue;
        };
        let id = InvoiceId::from_bits(u128::try_from(*middle - one + 1).unwrap());
        let first = numbers(&scene, by.clone(), Cursor::Newest, 1).await;
        assert_eq!(first, (vec![expected[0]], true), "{by:?}");
        let older = numbers(&scene, by.clone(), Cursor::After(id), 10).await;
        assert_eq!(older, (expected[2..].to_vec(), false), "{by:?}");
        let newer = numbers(&scene, by.clone(), Cursor::Before(id), 10).await;
        assert_eq!(newer, (vec![expected[0]], false), "{by:?}");
    }
    let other = unit!(store, [], |tx| {
        crate::merchants::ensure(tx, MerchantId::from_bits(2), "b", NOW).await
    });
    let filter = Filter {
        merchant: other.await.unwrap(),
        mode: Mode::Test,
        by: By::All,
    };
    let mut conn = store.read().await.unwrap();
    let page = invoices::page(&mut conn, &filter, &Cursor::Newest, 10)
        .await
        .unwrap();
    assert!(page.rows.is_empty(), "a merchant sees its own");
}

async fn lists_by_time_are_in_the_order_of_times(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let mut keys = Vec::new();
    // Keys do not always grow with time, and times can be the same.
    for (number, ms) in [(1, 30), (2, 10), (3, 20), (4, 20), (5, 20), (6, 40)] {
        let mut dossier = dossier(number);
        dossier.terms.created_at = NOW.plus_ms(ms);
        keys.push(scene.store_invoice(dossier).await.unwrap().0);
    }
    let by = By::CreatedBetween(NOW.plus_ms(10), NOW.plus_ms(40));
    let expected = [1, 5, 4, 3, 2];
    let key = |number: &u8| keys[usize::from(*number) - 1];
    let listed = |numbers: &[u8]| numbers.iter().map(key).collect::<Vec<i64>>();
    for (at, number) in expected.iter().enumerate() {
        let id = InvoiceId::from_bits(u128::from(*number));
        let older = numbers(&scene, by.clone(), Cursor::After(id), 10).await;
        assert_eq!(older, (listed(&expected[at + 1..]), false), "after {id}");
        let newer = numbers(&scene, by.clone(), Cursor::Before(id), 10).await;
        assert_eq!(newer, (listed(&expected[..at]), false), "before {id}");
    }
    let first = numbers(&scene, by.clone(), Cursor::Newest, 3).await;
    assert_eq!(first, (listed(&[1, 5, 4]), true));
    let outside = Cursor::After(InvoiceId::from_bits(6));
    let all = numbers(&scene, by, outside, 10).await;
    assert_eq!(
        all,
        (listed(&expected), false),
        "a cursor outside of the times"
    );
}

async fn what_is_awaited_is_due_when_it_is_passed(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let keys = [scene.invoice(1).await, scene.invoice(2).await];
    let chain: paywatch_domain::ChainName = "bitcoin-regtest".parse().unwrap();
    let height = |height| Await::Height {
        chain: "bitcoin-regtest".parse().unwrap(),
        height,
    };
    let covered = |ms| Await::Covered {
        chain: "bitcoin-regtest".parse().unwrap(),
        until: NOW.plus_ms(ms),
    };
    let list = vec![
        (keys[0], vec![height(100), covered(5)]),
        (keys[1], vec![height(101), covered(3), height(101)]),
    ];
    unit!(store, [list], |tx| awaited::replace(tx, &list).await)
        .await
        .unwrap();
    let mut conn = store.read().await.unwrap();
    let cases = [
        (Some(99), None, vec![]),
        (Some(100), None, vec![keys[0]]),
        (Some(101), None, vec![keys[0], keys[1]]),
        (None, Some(3), vec![]),
        (None, Some(4), vec![keys[1]]),
        (Some(100), Some(4), vec![keys[0], keys[1]]),
        (Some(200), Some(200), vec![keys[0], keys[1]]),
        (None, None, vec![]),
    ];
    for (height, covered, expected) in cases {
        let covered = covered.map(|ms| NOW.plus_ms(ms));
        let due = awaited::due(&mut conn, &chain, height, covered, Marks::default())
            .await
            .unwrap();
        assert_eq!(due, expected, "{height:?} {covered:?}");
    }
    let elsewhere = "bitcoin".parse().unwrap();
    assert!(
        awaited::due(&mut conn, &elsewhere, Some(500), None, Marks::default())
            .await
            .unwrap()
            .is_empty()
    );
    let next = awaited::next_covered(&mut conn, &chain).await.unwrap();
    assert_eq!(next, Some(NOW.plus_ms(3)));
    let list = vec![(keys[1], vec![]), (keys[0], vec![height(300)])];
    unit!(store, [list], |tx| awaited::replace(tx, &list).await)
        .await
        .unwrap();
    let due = awaited::due(
        &mut conn,
        &chain,
        Some(300),
        Some(NOW.plus_s(1)),
        Marks::default(),
    )
    .await;
    assert_eq!(due.unwrap(), [keys[0]]);
    assert_eq!(
        awaited::next_covered(&mut conn, &chain).await.unwrap(),
        None
    );
}

async fn the_owners_of_watched_keys_are_known(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let invoice = scene.invoice(1).await;
    scene.invoice(2).await;
    let mut conn = store.read().await.unwrap();
    let keys: [&[u8]; 2] = [&[0, 20, 1], &[0, 20, 77]];
    let family = paywatch_domain::Family::Bitcoin;
    let owners = watched::owners(&mut conn, family, &keys).await.unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!(
        (owners[0].key.as_slice(), owners[0].invoice),
        (keys[0], invoice)
    );
    assert_eq!(owners[0].option_id, OptionId::from_bits(1));
    assert_eq!(owners[0].asset.to_string(), "btc@bitcoin-regtest");
    let family = paywatch_domain::Family::Evm;
    assert!(
        watched::owners(&mut conn, family, &keys)
            .await
            .unwrap()
            .is_empty()
    );
}

on_both!(
    an_invoice_reads_back_as_it_was_stored,
    an_address_belongs_to_one_option,
    a_damaged_invoice_does_not_hide_the_others,
    what_is_said_is_recorded_once_per_version,
    lists_of_invoices_follow_their_filter_and_cursor,
    lists_by_time_are_in_the_order_of_times,
    what_is_awaited_is_due_when_it_is_passed,
    the_owners_of_watched_keys_are_known,
);
