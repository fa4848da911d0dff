//! Transfers and placements: opened, closed, never lost; the watch table never misses a key.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join;
use paywatch_domain::{
    Amount, BlockHash, BlockRef, ChainName, Family, InvoiceId, Mode, OptionId, Place, Position,
    Role, TransferId, TxId,
};
use tokio::sync::Notify;

use super::bed::{Bed, NOW, on_both, unit};
use super::scene::{Scene, dossier};
use crate::invoices::{By, Filter, NewInvoice, NewOption};
use crate::placements::LeftReason;
use crate::sql::statements;
use crate::transfers::{NewTransfer, Sighting, Strays};
use crate::watched::{self, WatchMark};
use crate::{
    Conn, Cursor, InvoiceKey, OptionKey, Store, StoreError, TransferKey, handed_out, invoices,
    placements, transfers, vettings,
};

statements! {
    WATCH = "INSERT INTO watched (family, key, option)
        SELECT 'bitcoin', value->>'key', $2 FROM json_each($1)";
}

fn chain() -> ChainName {
    "bitcoin-regtest".parse().unwrap()
}

fn block(height: u64) -> Place {
    Place::Block(BlockRef {
        height,
        hash: BlockHash::new(&format!("hash{height}")),
    })
}

async fn option_of(conn: &mut Conn, number: u8) -> OptionKey {
    let key = [0, 20, number];
    let owners = watched::owners(conn, Family::Bitcoin, &[&key])
        .await
        .unwrap();
    owners[0].option
}

fn transfer(number: u128, tx_id: &str, invoice: InvoiceKey, option: OptionKey) -> NewTransfer {
    NewTransfer {
        role: Role::Payment,
        maturity: 0,
        id: TransferId::from_bits(number),
        invoice,
        option,
        chain: chain(),
        asset: "btc@bitcoin-regtest".parse().unwrap(),
        amount: Amount::MAX,
        tx_id: TxId::new(tx_id),
        position: Position::new("vout:0"),
        origin: TxId::new(tx_id),
        sighted_at: NOW,
        created_at: NOW.plus_ms(1),
    }
}

/// An invoice with two transfers in the mempool.
async fn two_in_mempool(scene: &Scene) -> (InvoiceKey, OptionKey, [TransferKey; 2]) {
    let store = scene.store.clone();
    let invoice = scene.invoice(1).await;
    let option = option_of(&mut store.read().await.unwrap(), 1).await;
    let new = vec![
        transfer(1, "aa", invoice, option),
        transfer(2, "bb", invoice, option),
    ];
    let keys = unit!(store, [new], |tx| {
        let inserted = transfers::insert(tx, &new).await?;
        assert_eq!(inserted, 2);
        let again = transfers::insert(tx, &new).await?;
        assert_eq!(again, 0, "a fact is stored once");
        let spends = [("aa", "x:0"), ("aa", "y:1"), ("bb", "z:0")]
            .map(|(tx_id, outpoint)| (TxId::new(tx_id), outpoint.to_owned()));
        transfers::spends_insert(tx, &chain(), &spends).await?;
        transfers::spends_insert(tx, &chain(), &spends).await?;
        let position = Position::new("vout:0");
        let wanted = [("aa", option), ("bb", option), ("cc", option)]
            .map(|(tx_id, option)| (TxId::new(tx_id), position.clone(), option));
        let found = transfers::find(tx, &chain(), &wanted).await?;
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].tx_id.as_str(), found[0].amount),
            ("aa", Amount::MAX)
        );
        assert_eq!((found[0].invoice, found[0].option), (invoice, option));
        let keys = [found[0].transfer, found[1].transfer];
        let places = keys.map(|key| (key, Place::Mempool));
        placements::open(tx, &chain(), &places, NOW).await?;
        Ok(keys)
    });
    (invoice, option, keys.await.unwrap())
}

async fn places(store: &Store, invoice: InvoiceKey) -> Vec<Option<Place>> {
    let mut conn = store.read().await.unwrap();
    let loaded = invoices::load(&mut conn, &[invoice])
        .await
        .unwrap()
        .remove(0);
    let dossier = loaded.dossier.unwrap();
    assert_eq!(dossier.transfers.len(), loaded.transfer_keys.len());
    dossier.transfers.into_iter().map(|one| one.place).collect()
}

/// One line per step: the invoice that is paid (its number is its index), the highest paid index,
/// the longest gap from the wallet's first index, 5, up to it.
async fn a_wallet_knows_which_indexes_were_paid(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let mut conn = store.read().await.unwrap();
    for number in [5, 9, 11, 12, 20] {
        scene.invoice(number).await;
    }
    let none = handed_out::usage(&mut conn, scene.wallet, 5).await.unwrap();
    assert_eq!((none.highest, none.longest_gap), (None, 0));
    for (number, highest, gap) in [(9, 9, 4), (20, 20, 10), (11, 20, 8), (5, 20, 8), (9, 20, 8)] {
        let option = option_of(&mut conn, number).await;
        let key = watched::owners(&mut conn, Family::Bitcoin, &[&[0, 20, number]])
            .await
            .unwrap()[0]
            .invoice;
        let tx_id = format!("tx{number}");
        let new = vec![transfer(u128::from(number), &tx_id, key, option)];
        let inserted = unit!(store, [new], |tx| transfers::insert(tx, &new).await);
        inserted.await.unwrap();
        let usage = handed_out::usage(&mut conn, scene.wallet, 5).await.unwrap();
        assert_eq!((usage.highest, usage.longest_gap), (Some(highest), gap));
    }
    for (from, limit, expected) in [
        (0, 3, vec![5, 9, 11]),
        (12, 3, vec![12, 20]),
        (21, 3, vec![]),
    ] {
        let page = handed_out::page(&mut conn, scene.wallet, from, limit).await;
        let page = page.unwrap();
        let indexes: Vec<u32> = page.iter().map(|row| row.index).collect();
        assert_eq!(indexes, expected, "{from}");
        for row in page {
            let order_id = format!("A-{}", row.index);
            assert_eq!(row.order_id.as_deref(), Some(order_id.as_str()));
        }
    }
}

async fn a_transfer_moves_from_place_to_place(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let (invoice, option, keys) = two_in_mempool(&scene).await;
    assert_eq!(
        places(&store, invoice).await,
        [Some(Place::Mempool), Some(Place::Mempool)]
    );
    let mut conn = store.read().await.unwrap();
    let mempool = placements::open_in_mempool(&mut conn, &chain())
        .await
        .unwrap();
    assert_eq!(mempool.len(), 2);
    assert_eq!((mempool[0].transfer, mempool[0].option), (keys[0], option));
    assert_eq!(*mempool[0].spends, ["x:0", "y:1"]);
    // Mined at 101 and 102, and then the block at 102 goes away.
    unit!(store, [], |tx| {
        let mined = keys.map(|key| (key, LeftReason::Mined));
        assert_eq!(placements::close(tx, &mined, NOW).await?, 2);
        let places = [(keys[0], block(101)), (keys[1], block(102))];
        placements::open(tx, &chain(), &places, NOW).await
    })
    .await
    .unwrap();
    assert_eq!(
        places(&store, invoice).await,
        [Some(block(101)), Some(block(102))]
    );
    assert!(
        placements::open_in_mempool(&mut conn, &chain())
            .await
            .unwrap()
            .is_empty()
    );
    let above = placements::open_above(&mut conn, &chain(), 101)
        .await
        .unwrap();
    assert_eq!(above, [(keys[1], invoice)]);
    let closed = unit!(store, [], |tx| {
        placements::close_above(tx, &chain(), 101, NOW, LeftReason::Reorged).await
    });
    assert_eq!(closed.await.unwrap(), 1);
    assert_eq!(places(&store, invoice).await, [Some(block(101)), None]);
    let elsewhere: ChainName = "bitcoin".parse().unwrap();
    assert!(
        placements::open_above(&mut conn, &elsewhere, 0)
            .await
            .unwrap()
            .is_empty()
    );
    // It comes back in another block.
    unit!(store, [], |tx| {
        placements::open(tx, &chain(), &[(keys[1], block(103))], NOW).await
    })
    .await
    .unwrap();
    assert_eq!(
        places(&store, invoice).await,
        [Some(block(101)), Some(block(103))]
    );
    let twice = unit!(store, [], |tx| {
        placements::open(tx, &chain(), &[(keys[1], Place::Mempool)], NOW).await
    });
    let twice = twice.await;
    assert!(
        matches!(twice, Err(StoreError::Conflict("placement_open"))),
        "{twice:?}"
    );
}

async fn a_replacement_finds_the_sighting_of_what_it_replaces(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let (_, option, _) = two_in_mempool(&scene).await;
    let mut conn = store.read().await.unwrap();
    let (cc, dd) = (TxId::new("cc"), TxId::new("dd"));
    let spends = [(&cc, "y:1"), (&dd, "unknown:0")];
    let sighted = transfers::sighted_by_spends(&mut conn, &chain(), &spends)
        .await
        .unwrap();
    let expected = Sighting {
        replacement: cc.clone(),
        option,
        role: Role::Payment,
        asset: "btc@bitcoin-regtest".parse().unwrap(),
        sighted_at: NOW,
        origin: TxId::new("aa"),
    };
    assert_eq!(sighted, [expected]);
    let other: ChainName = "bitcoin".parse().unwrap();
    let elsewhere = transfers::sighted_by_spends(&mut conn, &other, &spends).await;
    assert!(elsewhere.unwrap().is_empty());
}

/// Goal: money in another asset reads back as what it is, is counted apart, and shares no sighting with a
/// payment. Method: strays of both kinds beside a payment that spends the same.
async fn strays_are_counted_and_read_back(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let invoice = scene.invoice(1).await;
    let option = option_of(&mut store.read().await.unwrap(), 1).await;
    let stray = |number, asset: &str, decimals| NewTransfer {
        role: Role::Stray { decimals },
        asset: asset.parse().unwrap(),
        position: Position::new(&format!("log:{number}")),
        sighted_at: NOW.plus_ms(number),
        ..transfer(number.unsigned_abs().into(), "aa", invoice, option)
    };
    let new = vec![
        stray(1, "usdt@bitcoin-regtest", 6),
        stray(2, "unlisted:EPjFWdd5@bitcoin-regtest", 0),
        stray(3, "unlisted:Es9vMFrz@bitcoin-regtest", 0),
        transfer(4, "aa", invoice, option),
    ];
    unit!(store, [new], |tx| {
        transfers::insert(tx, &new).await?;
        transfers::spends_insert(tx, &chain(), &[(TxId::new("aa"), "x:0".into())]).await
    })
    .await
    .unwrap();
    let mut conn = store.read().await.unwrap();
    let strays = transfers::strays(&mut conn, &[invoice]).await.unwrap();
    let (listed, unlisted) = (1, 2);
    assert_eq!(strays, [(invoice, Strays { listed, unlisted })].into());
    assert!(transfers::strays(&mut conn, &[]).await.unwrap().is_empty());
    let loaded = invoices::load(&mut conn, &[invoice])
        .await
        .unwrap()
        .remove(0);
    let read = loaded.dossier.unwrap().transfers;
    let read: Vec<_> = read.into_iter().map(|one| (one.role, one.asset)).collect();
    let written: Vec<_> = new.into_iter().map(|one| (one.role, one.asset)).collect();
    assert_eq!(read, written);
    let bb = TxId::new("bb");
    let sighted = transfers::sighted_by_spends(&mut conn, &chain(), &[(&bb, "x:0")]).await;
    let mut paid: Vec<_> = sighted
        .unwrap()
        .into_iter()
        .map(|seen| (seen.role, seen.asset))
        .collect();
    let mut expected = written;
    paid.sort();
    expected.sort();
    assert_eq!(paid, expected, "one for each asset");
}

/// One transaction of sixty outputs, a third of them to another form; the later ones were seen earlier.
fn sixty_outputs(invoice: InvoiceKey, option: OptionKey) -> Vec<NewTransfer> {
    let outputs = (1..=60_u32).map(|number| {
        let sibling = Role::Sibling {
            form: "p2tr".into(),
            address: "other".into(),
        };
        NewTransfer {
            position: Position::new(&format!("vout:{number}")),
            sighted_at: NOW.plus_ms(i64::from(100 - number)),
            role: if number % 3 == 0 {
                sibling
            } else {
                Role::Payment
            },
            ..transfer(number.into(), "aa", invoice, option)
        }
    });
    outputs.collect()
}

/// Goal: inputs times outputs are never gone through. Method: what is answered for a replacement of many
/// inputs and outputs is one row for each thing that it pays, and its transfers share what they spend.
async fn a_replacement_of_many_inputs_and_outputs_is_one_sighting(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let invoice = scene.invoice(1).await;
    let option = option_of(&mut store.read().await.unwrap(), 1).await;
    let outpoints: Vec<String> = (0..40).map(|number| format!("in:{number}")).collect();
    let new = sixty_outputs(invoice, option);
    let spent = outpoints
        .iter()
        .map(|one| (TxId::new("aa"), one.clone()))
        .collect::<Vec<_>>();
    unit!(store, [new, spent], |tx| {
        transfers::insert(tx, &new).await?;
        transfers::spends_insert(tx, &chain(), &spent).await?;
        let wanted: Vec<_> = new
            .iter()
            .map(|one| (one.tx_id.clone(), one.position.clone(), one.option))
            .collect();
        let found = transfers::find(tx, &chain(), &wanted).await?;
        let places = found.iter().map(|one| (one.transfer, Place::Mempool));
        let places: Vec<_> = places.collect();
        placements::open(tx, &chain(), &places, NOW).await
    })
    .await
    .unwrap();
    let mut conn = store.read().await.unwrap();
    let (bb, cc) = (TxId::new("bb"), TxId::new("cc"));
    let by_bb = outpoints.iter().map(|one| (&bb, one.as_str()));
    let by_cc = outpoints.iter().take(1).map(|one| (&cc, one.as_str()));
    let spends: Vec<_> = by_bb.chain(by_cc).collect();
    let sighted = transfers::sighted_by_spends(&mut conn, &chain(), &spends)
        .await
        .unwrap();
    let told: BTreeSet<_> = sighted
        .iter()
        .map(|seen| {
            let is_payment = seen.role == Role::Payment;
            (seen.replacement.as_str(), is_payment, seen.sighted_at)
        })
        .collect();
    let expected = [("bb", 40, 41), ("cc", 40, 41)].map(|(tx_id, sibling, payment)| {
        [
            (tx_id, false, NOW.plus_ms(sibling)),
            (tx_id, true, NOW.plus_ms(payment)),
        ]
    });
    assert_eq!(told, expected.into_iter().flatten().collect());
    assert_eq!(sighted.len(), 4, "one for each transaction and role");
    let waiting = placements::open_in_mempool(&mut conn, &chain())
        .await
        .unwrap();
    assert_eq!(waiting.len(), 60);
    let is_shared = |one: &placements::OpenInMempool| Arc::ptr_eq(&one.spends, &waiting[0].spends);
    assert!(waiting.iter().all(is_shared));
}

/// One line per answer of the node: what it says of each transaction, and whether that is news of the
/// invoice.
async fn a_vetting_that_says_the_same_is_no_news(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let (invoice, _, _) = two_in_mempool(&scene).await;
    let (aa, bb) = (TxId::new("aa"), TxId::new("bb"));
    let stranger = TxId::new("cc");
    for (said, is_news) in [
        ([(&aa, true, 5, None), (&bb, false, 9, Some(9))], true),
        ([(&aa, true, 5, None), (&bb, false, 9, Some(9))], false),
        ([(&aa, true, 5, None), (&bb, false, 7, Some(9))], false),
        ([(&aa, true, 5, Some(6)), (&bb, false, 9, Some(9))], true),
        ([(&aa, true, 5, Some(6)), (&stranger, true, 1, None)], false),
        ([(&aa, true, u64::MAX, None), (&bb, true, 9, None)], true),
        (
            [(&aa, false, u64::MAX, Some(1)), (&bb, true, 9, None)],
            true,
        ),
        ([(&aa, false, 0, Some(1)), (&bb, true, 9, None)], false),
    ] {
        let said = said.map(|(tx_id, has_parents, fee_rate, fee_rate_next)| {
            (tx_id.clone(), has_parents, fee_rate, fee_rate_next)
        });
        let told = format!("{said:?}");
        let touched = unit!(store, [said], |tx| {
            let new =
                said.iter().map(
                    |(tx_id, has_parents, fee_rate, next)| vettings::NewVetting {
                        tx_id,
                        has_parents: *has_parents,
                        fee_rate: *fee_rate,
                        fee_rate_next: *next,
                    },
                );
            let new: Vec<_> = new.collect();
            vettings::record(tx, &chain(), &new, NOW).await
        });
        let expected = if is_news { vec![invoice] } else { Vec::new() };
        assert_eq!(touched.await.unwrap(), expected, "{told}");
    }
}

async fn invoices_are_found_by_transaction(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let (invoice, _, _) = two_in_mempool(&scene).await;
    let mut conn = store.read().await.unwrap();
    let filter = Filter {
        merchant: scene.merchant,
        mode: Mode::Test,
        by: By::TxId("bb".into()),
    };
    let page = invoices::page(&mut conn, &filter, &Cursor::Newest, 10)
        .await
        .unwrap();
    assert_eq!(page.rows, [invoice]);
    let loaded = invoices::load(&mut conn, &[invoice])
        .await
        .unwrap()
        .remove(0);
    let first = &loaded.dossier.unwrap().transfers[0];
    assert_eq!(
        (first.id, first.option),
        (TransferId::from_bits(1), OptionId::from_bits(1))
    );
    assert_eq!((first.amount, first.sighted_at), (Amount::MAX, NOW));
}

/// What a load brings, and the mark for the next.
async fn watched_since(
    conn: &mut Conn,
    family: Family,
    mark: WatchMark,
) -> (Vec<Vec<u8>>, WatchMark) {
    let mut keys = Vec::new();
    let insert = |key: &[u8]| keys.push(key.to_vec());
    let mark = watched::since(conn, family, mark, insert).await.unwrap();
    (keys, mark)
}

async fn the_watch_table_grows_by_what_is_new(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    let mut conn = store.read().await.unwrap();
    let (keys, mark) = watched_since(&mut conn, Family::Bitcoin, WatchMark::START).await;
    assert!(keys.is_empty());
    scene.invoice(1).await;
    let (keys, mark) = watched_since(&mut conn, Family::Bitcoin, mark).await;
    assert_eq!(keys, [vec![0, 20, 1]]);
    scene.invoice(2).await;
    let (keys, mark) = watched_since(&mut conn, Family::Bitcoin, mark).await;
    assert_eq!(keys, [vec![0, 20, 2]]);
    let (keys, _) = watched_since(&mut conn, Family::Bitcoin, mark).await;
    assert!(keys.is_empty());
    let (keys, _) = watched_since(&mut conn, Family::Evm, WatchMark::START).await;
    assert!(keys.is_empty(), "each family has its own");
}

async fn more_keys_than_a_statement_reads_are_all_loaded(_: &Bed, store: Store) {
    let scene = Scene::new(store.clone()).await;
    scene.invoice(1).await;
    let mut conn = store.read().await.unwrap();
    let option = option_of(&mut conn, 1).await;
    // One transaction, so that on Postgres all of them have the same mark.
    let keys: Vec<[u8; 4]> = (0..9_000_u32).map(u32::to_be_bytes).collect();
    let rows = keys
        .iter()
        .map(|key| serde_json::json!({ "key": hex::encode(key) }));
    let rows = rows.collect::<serde_json::Value>().to_string();
    unit!(store, [rows], |tx| tx
        .execute(WATCH, &[(&rows).into(), option.into()])
        .await)
    .await
    .unwrap();
    let (mut found, mark) = watched_since(&mut conn, Family::Bitcoin, WatchMark::START).await;
    found.sort();
    let expected = keys.iter().map(|key| key.to_vec());
    let mut expected: Vec<Vec<u8>> = expected.chain([vec![0, 20, 1]]).collect();
    expected.sort();
    assert!(found == expected, "{} keys, each once", found.len());
    let (again, _) = watched_since(&mut conn, Family::Bitcoin, mark).await;
    assert!(again.is_empty());
}

/// Goal: a key that is committed after a later one is loaded all the same. Method: a unit inserts its
/// invoice, waits until another one has committed and was loaded, and commits then.
#[tokio::test]
async fn a_key_that_is_committed_late_is_not_missed_on_postgres() {
    super::bed::run(Bed::pg().await, async |_: &Bed, store: Store| {
        let scene = Scene::new(store.clone()).await;
        let (inserted, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let late = unit!(store, [scene, inserted, go_on], |tx| {
            let dossier = dossier(1);
            let new = NewInvoice {
                dossier: &dossier,
                merchant: scene.merchant,
                seal: b"seal",
                options: vec![NewOption {
                    family: Family::Bitcoin,
                    wallet: scene.wallet,
                    seal: Vec::new(),
                    siblings: Vec::new(),
                }],
            };
            invoices::insert(tx, &new).await?;
            inserted.notify_one();
            go_on.notified().await;
            Ok(())
        });
        let body = async {
            inserted.notified().await;
            scene.invoice(2).await;
            let mut conn = store.read().await.unwrap();
            let family = Family::Bitcoin;
            let (keys, mark) = watched_since(&mut conn, family, WatchMark::START).await;
            assert_eq!(keys, [vec![0, 20, 2]], "the first is not committed yet");
            (conn, mark)
        };
        let release = async {
            let found = body.await;
            go_on.notify_one();
            found
        };
        let (late, (mut conn, mark)) = join(late, release).await;
        late.unwrap();
        let (mut keys, mark) = watched_since(&mut conn, Family::Bitcoin, mark).await;
        keys.sort();
        assert_eq!(
            keys,
            [vec![0, 20, 1], vec![0, 20, 2]],
            "late, and the other once more"
        );
        let (keys, _) = watched_since(&mut conn, Family::Bitcoin, mark).await;
        assert!(keys.is_empty());
        let found = invoices::find_public(&mut conn, InvoiceId::from_bits(1)).await;
        assert!(found.unwrap().is_some());
    })
    .await;
}

on_both!(
    a_wallet_knows_which_indexes_were_paid,
    a_transfer_moves_from_place_to_place,
    a_replacement_finds_the_sighting_of_what_it_replaces,
    a_replacement_of_many_inputs_and_outputs_is_one_sighting,
    strays_are_counted_and_read_back,
    a_vetting_that_says_the_same_is_no_news,
    invoices_are_found_by_transaction,
    the_watch_table_grows_by_what_is_new,
    more_keys_than_a_statement_reads_are_all_loaded,
);
