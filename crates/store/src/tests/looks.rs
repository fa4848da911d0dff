//! Looks at balances: whose turn it is, a page at a time, and up to when everything was looked at.

use paywatch_domain::{
    Account, Amount, AssetName, Await, BlockHash, BlockRef, ChainName, Family, Marks, UnixMillis,
};
use sqlx::AssertSqlSafe;

use super::bed::{Bed, NOW, on_both, unit};
use super::scene::{Scene, dossier};
use crate::blocks::Header;
use crate::dialect::Dialect;
use crate::looks::{Due, DuePage, Look};
use crate::{InvoiceKey, Store, awaited, blocks, chains, conn, looks, unseen, watched};

fn coin() -> AssetName {
    "btc@bitcoin-regtest".parse().unwrap()
}

fn chain() -> ChainName {
    coin().chain().clone()
}

/// The numbers of the invoices that are due, and of the one behind which the next page begins.
async fn due(store: &Store, behind: InvoiceKey, height: u64, page: i64) -> (Vec<u8>, DuePage) {
    let mut conn = store.read().await.unwrap();
    let found = looks::due(&mut conn, &coin(), behind, height, page).await;
    let found = found.unwrap();
    let numbers = found.due.iter().map(|one| one.key[2]);
    (numbers.collect(), found)
}

/// Lets invoices wait for nothing but this.
async fn wait_for(store: &Store, waits: Vec<(InvoiceKey, Vec<Await>)>) {
    let written = unit!(store, [waits], |tx| awaited::replace(tx, &waits).await);
    written.await.unwrap();
}

async fn look_at(store: &Store, height: u64, invoice: InvoiceKey, number: u8, is_last: bool) {
    let mut conn = store.read().await.unwrap();
    let key = [0, 20, number];
    let owners = watched::owners(&mut conn, Family::Bitcoin, &[&key]).await;
    let option = owners.unwrap()[0].option;
    let account = Account {
        balance: Amount::from_atomic(7),
        nonce: 3,
    };
    let found = vec![Look {
        option,
        invoice,
        account,
        is_last,
    }];
    let written = unit!(store, [found], |tx| {
        looks::record(tx, &chain(), height, &found).await
    });
    written.await.unwrap();
}

fn covered() -> Await {
    let until = NOW.plus_s(900);
    Await::Covered {
        chain: chain(),
        until,
    }
}

fn looked() -> Await {
    let until = NOW.plus_s(900);
    Await::Looked {
        chain: chain(),
        until,
    }
}

async fn addresses_are_due_page_by_page(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let mut keys = Vec::new();
    for number in 1..=7 {
        keys.push(scene.invoice(number).await);
    }
    // It takes another asset.
    let mut other = dossier(8);
    other.terms.options[0].asset = "usdt@bitcoin-regtest".parse().unwrap();
    keys.push(scene.store_invoice(other).await.unwrap());
    let later = Await::Covered {
        chain: chain(),
        until: NOW.plus_s(1_000),
    };
    let waits = vec![
        // However much an invoice waits for, it is one of its page.
        (keys[0], vec![covered(), looked(), later]),
        (keys[1], vec![looked()]),
        (keys[3], vec![covered()]),
        (keys[4], Vec::new()),
        (keys[6], vec![covered()]),
        (keys[7], vec![covered()]),
    ];
    wait_for(&store, waits).await;
    // Looked at and still watched; looked at for the last time; looked at after the block.
    look_at(&store, 50, keys[2], 3, false).await;
    look_at(&store, 50, keys[5], 6, true).await;
    look_at(&store, 60, keys[3], 4, false).await;
    let (all, found) = due(&store, InvoiceKey(0), 60, 100).await;
    assert_eq!((all, found.next), (vec![1, 2, 3, 7], None));
    let known = Account {
        balance: Amount::from_atomic(7),
        nonce: 3,
    };
    assert_eq!(found.due[2].known, Some((50, known)));
    assert_eq!(found.due[0].known, None);
    let (all, _) = due(&store, InvoiceKey(0), 61, 100).await;
    assert_eq!(all, [1, 2, 3, 4, 7]);
    // Pages of every size hold the same, each behind the one before.
    for page in 1..=7 {
        let (mut numbers, mut behind, mut pages) = (Vec::new(), Some(InvoiceKey(0)), 0);
        while let Some(last) = behind {
            let (more, found) = due(&store, last, 60, page).await;
            assert!(more.len() <= usize::try_from(page).unwrap());
            numbers.extend(more);
            (behind, pages) = (found.next, pages + 1);
        }
        assert_eq!(numbers, [1, 2, 3, 7], "{page}");
        assert_eq!(pages, 6 / page + 1, "{page}: six are open");
    }
}

async fn what_was_never_looked_at_comes_with_the_block_before_it(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let key = scene.invoice(1).await;
    wait_for(&store, vec![(key, vec![covered()])]).await;
    let header = |height: u64, time: UnixMillis| Header {
        at: BlockRef {
            height,
            hash: BlockHash::new(&format!("hash{height}")),
        },
        parent: BlockHash::new("below"),
        time,
    };
    let headers = vec![
        header(7, NOW.plus_ms(-20_000)),
        // The invoice was made one millisecond more than 15 seconds later.
        header(8, NOW.plus_ms(-15_000)),
        header(9, NOW.plus_ms(-14_999)),
    ];
    let kept = headers.clone();
    unit!(store, [kept], |tx| {
        blocks::replace_above(tx, &chain(), 0, &kept, 0..0).await
    })
    .await
    .unwrap();
    let (_, found) = due(&store, InvoiceKey(0), 20, 10).await;
    let since: Vec<&Due> = found.due.iter().collect();
    assert_eq!(since[0].since, Some(headers[1].at.clone()));
}

/// A look is awaited while blocks do not show everything; afterwards coverage is enough.
async fn what_waits_for_a_look_is_due_when_it_is_over(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let key = scene.invoice(1).await;
    wait_for(&store, vec![(key, vec![looked()])]).await;
    let claimed = unit!(store, [], |tx| {
        chains::claim(tx, &chain(), "test", NOW, 1000).await
    });
    let fence = claimed.await.unwrap().unwrap().fence;
    let is_due = async |covered_s: u64| {
        let mut conn = store.read().await.unwrap();
        let covered = Some(NOW.plus_s(covered_s));
        let due = awaited::due(&mut conn, &chain(), None, covered, Marks::default()).await;
        due.unwrap() == [key]
    };
    assert!(!is_due(900).await, "not covered");
    assert!(is_due(901).await, "blocks show everything");
    let note = async || {
        unit!(store, [], |tx| unseen::note(tx, &chain(), fence, &coin())
            .await)
        .await
        .unwrap();
    };
    note().await;
    assert!(!is_due(901).await, "nobody has looked");
    for (until_s, expected) in [(900, false), (901, true)] {
        let until = NOW.plus_s(until_s);
        unit!(store, [], |tx| unseen::looked(tx, &chain(), fence, until)
            .await)
        .await
        .unwrap();
        note().await;
        assert_eq!(is_due(0).await, expected, "{until_s}");
    }
    let view = async || {
        let mut conn = store.read().await.unwrap();
        let views = chains::views(&mut conn).await.unwrap();
        let unseen = views[&chain()].unseen.clone();
        unseen.map(|unseen| (unseen.asset, unseen.looked_until))
    };
    assert_eq!(view().await, Some((coin(), NOW.plus_s(901))));
    // The block after which was looked leaves the chain.
    look_at(&store, 50, key, 1, false).await;
    for (height, expected) in [(50, NOW.plus_s(901)), (49, UnixMillis(0))] {
        unit!(store, [], |tx| looks::cut(tx, &chain(), height).await)
            .await
            .unwrap();
        assert_eq!(view().await, Some((coin(), expected)), "{height}");
    }
    // Another process follows the chain.
    unit!(store, [], |tx| unseen::forget(tx, &chain(), fence + 1)
        .await)
    .await
    .unwrap();
    assert!(view().await.is_some());
    unit!(store, [], |tx| unseen::forget(tx, &chain(), fence).await)
        .await
        .unwrap();
    assert_eq!(view().await, None);
    assert!(is_due(901).await);
}

on_both!(
    addresses_are_due_page_by_page,
    what_was_never_looked_at_comes_with_the_block_before_it,
    what_waits_for_a_look_is_due_when_it_is_over,
);

/// Goal: a page costs a page, however many invoices wait. Method: its plan goes on in either index behind
/// the page before.
#[tokio::test]
async fn a_page_of_addresses_is_read_from_where_it_begins() {
    let bed = Bed::lite();
    let (store, _writer) = bed.open().await;
    let mut link = store.read().await.unwrap();
    let conn::Either::Lite(lite) = &mut link.inner else {
        unreachable!("a SQLite bed");
    };
    let mut statements = crate::statements();
    let sql =
        statements.find(|sql| sql.name() == "DUE" && sql.text(Dialect::Lite).contains("looks"));
    let text = sql.unwrap().text(Dialect::Lite);
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
    let plan = sqlx::query_as::<_, (i64, i64, i64, String)>(explain);
    let steps = plan.fetch_all(&mut **lite).await.unwrap();
    let steps: Vec<&str> = steps.iter().map(|(_, _, _, step)| step.as_str()).collect();
    for index in ["awaited_to_look", "looks_again"] {
        let is_bounded =
            |step: &&str| step.contains(index) && step.ends_with("(chain=? AND invoice>?)");
        assert!(steps.iter().any(is_bounded), "{index}: {steps:#?}");
    }
}
