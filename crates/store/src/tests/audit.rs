//! The audit log: in order, without gaps, and nothing changes without being seen.

use futures_util::future::{join_all, try_join_all};
use paywatch_domain::MerchantId;

use super::bed::{Bed, NOW, on_both, unit};
use crate::audit::{self, Entry, Fault, INSTALLATION, log_name};
use crate::page::Cursor;
use crate::sql::statements;
use crate::{MasterKey, Sql, Store, StoreError};

statements! {
    CHANGE = "UPDATE audit SET after = '{}' WHERE log = $1 AND number = $2";
    FORGET_BEFORE = "UPDATE audit SET before = NULL WHERE log = $1 AND number = $2";
    BACKDATE = "UPDATE audit SET created_at = created_at - 1 WHERE log = $1 AND number = $2";
    DROP = "DELETE FROM audit WHERE log = $1 AND number = $2";
    DROP_FROM = "DELETE FROM audit WHERE log = $1 AND number >= $2";
    DROP_HEAD = "DELETE FROM audit_heads WHERE log = $1 AND $2 = $2";
    MOVE_HEAD = "UPDATE audit_heads SET number = $2 WHERE log = $1";
    CUT_HEAD = "UPDATE audit_heads SET number = $2, seal = (SELECT seal FROM audit AS a
        WHERE a.log = audit_heads.log AND a.number = $2) WHERE log = $1";
    /// Closes the gap that a dropped row leaves, as well as somebody without the key can.
    CLOSE_GAP = "UPDATE audit SET number = number - 1, previous = (SELECT b.seal FROM audit AS b
        WHERE b.log = audit.log AND b.number = audit.number - 2) WHERE log = $1 AND number = $2 + 1";
    STEAL = "UPDATE audit SET log = $1 WHERE log <> $1 AND number = $2";
}

fn master() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

/// An entry of the merchant with these bits, or of the installation.
fn entry(merchant: impl Into<Option<u128>>, subject: &str) -> Entry {
    Entry {
        merchant: merchant.into().map(MerchantId::from_bits),
        actor: "key_1".into(),
        request_id: "req_1".into(),
        action: "wallet.confirm",
        subject: subject.into(),
        before: Some("{\"state\":\"pending\"}".into()),
        after: Some("{\"state\":\"active\"}".into()),
        now: NOW,
    }
}

fn log_of(merchant: u128) -> String {
    log_name(Some(MerchantId::from_bits(merchant)))
}

async fn append(store: &Store, entry: Entry) -> Result<(), StoreError> {
    unit!(store, [entry], |tx| audit::append(tx, &master(), &entry)
        .await)
    .await
}

async fn fault(store: &Store, log: &str) -> Option<Fault> {
    let mut conn = store.snapshot().await.unwrap();
    let found = audit::verify(&mut conn, &master(), log).await.unwrap();
    found.fault
}

async fn a_log_is_listed_newest_first_and_holds(_: &Bed, store: Store) {
    for at in 1..=5 {
        append(&store, entry(1, &at.to_string())).await.unwrap();
        append(&store, entry(None, "chain")).await.unwrap();
    }
    let mut conn = store.snapshot().await.unwrap();
    let log = log_of(1);
    let page = audit::list(&mut conn, &log, &Cursor::After(4), 2)
        .await
        .unwrap();
    let named = page
        .rows
        .iter()
        .map(|row| (row.number, row.subject.as_str()));
    assert_eq!(named.collect::<Vec<_>>(), [(3, "3"), (2, "2")]);
    assert!(page.has_more);
    assert_eq!(
        audit::logs(&mut conn).await.unwrap(),
        [INSTALLATION, log.as_str()]
    );
    for log in [INSTALLATION, log.as_str()] {
        let found = audit::verify(&mut conn, &master(), log).await.unwrap();
        assert_eq!((found.rows, found.fault), (5, None), "{log}");
        let last = audit::seal_of(&mut conn, log, 5).await.unwrap();
        assert_eq!(last, Some(found.seal));
        assert_eq!(audit::seal_of(&mut conn, log, 6).await.unwrap(), None);
    }
    let other = MasterKey::from_bytes([8; 32]);
    let found = audit::verify(&mut conn, &other, &log).await.unwrap();
    assert_eq!(
        found.fault.map(|fault| fault.number),
        Some(1),
        "another key"
    );
}

/// Goal: writers at the same moment make one chain. Method: units that run side by side on Postgres, into
/// two logs; some are rolled back.
async fn writers_at_the_same_moment_make_one_chain(_: &Bed, store: Store) {
    let writes = (0..60u128).map(|at| append(&store, entry(at % 2, &at.to_string())));
    let refused = (0..20).map(|_| {
        let entry = entry(0, "refused");
        let store = store.clone();
        async move {
            unit!(store, [entry], |tx| {
                audit::append(tx, &master(), &entry).await?;
                Err::<(), _>(StoreError::Damaged("refused".into()))
            })
            .await
        }
    });
    let (written, refused) = tokio::join!(try_join_all(writes), join_all(refused));
    written.unwrap();
    assert!(refused.iter().all(Result::is_err));
    let mut conn = store.snapshot().await.unwrap();
    for log in [log_of(0), log_of(1)] {
        let found = audit::verify(&mut conn, &master(), &log).await.unwrap();
        assert_eq!((found.rows, found.fault), (30, None), "{log}");
    }
}

/// Goal: whoever can only write to the database is found out. Method: every change one could make, each on a
/// log of its own, and the row that is named.
async fn every_change_is_found_at_its_row(_: &Bed, store: Store) {
    let table: [(&[Sql], i64, Option<i64>); 10] = [
        (&[CHANGE], 2, Some(2)),
        (&[FORGET_BEFORE], 3, Some(3)),
        (&[BACKDATE], 1, Some(1)),
        (&[DROP], 1, Some(1)),
        (&[DROP], 3, Some(3)),
        (&[DROP, CLOSE_GAP], 3, Some(3)),
        (&[DROP_FROM], 3, Some(3)),
        (&[DROP_HEAD], 1, Some(5)),
        (&[MOVE_HEAD], 9, Some(5)),
        // Whoever cuts off the end and the note of it is found only by a seal that was noted elsewhere.
        (&[DROP_FROM, CUT_HEAD], 3, None),
    ];
    for (case, (changes, number, expected)) in table.into_iter().enumerate() {
        let owner = u128::try_from(case).unwrap();
        for at in 1..=4 {
            append(&store, entry(owner, &at.to_string())).await.unwrap();
        }
        let log = log_of(owner);
        assert_eq!(fault(&store, &log).await, None);
        let mut conn = store.read().await.unwrap();
        let noted = audit::seal_of(&mut conn, &log, 4).await.unwrap();
        for change in changes {
            let (change, log) = (*change, log.clone());
            let number = if change.name() == "CUT_HEAD" {
                number - 1
            } else {
                number
            };
            let run = unit!(store, [log], |tx| tx
                .execute(change, &[(&log).into(), number.into()])
                .await);
            run.await.unwrap();
        }
        let found = fault(&store, &log).await.map(|fault| fault.number);
        assert_eq!(found, expected, "case {case}");
        if expected.is_none() {
            let left = audit::seal_of(&mut conn, &log, 4).await.unwrap();
            assert_ne!(left, noted, "the noted row is not there");
        }
    }
}

/// A row of one merchant's log cannot stand in another's.
async fn a_row_cannot_be_moved_to_another_log(_: &Bed, store: Store) {
    append(&store, entry(1, "1")).await.unwrap();
    let log = log_of(2);
    let run = unit!(store, [log], |tx| tx
        .execute(STEAL, &[(&log).into(), 1.into()])
        .await);
    assert_eq!(run.await.unwrap(), 1);
    assert_eq!(fault(&store, &log).await.map(|fault| fault.number), Some(1));
}

on_both!(
    a_log_is_listed_newest_first_and_holds,
    writers_at_the_same_moment_make_one_chain,
    every_change_is_found_at_its_row,
    a_row_cannot_be_moved_to_another_log,
);
