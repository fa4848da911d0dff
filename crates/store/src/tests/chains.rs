//! Leases, fences, cursors, and the window of headers.

use std::ops::Range;

use paywatch_domain::{
    BlockHash, BlockRef, ChainName, ChainView, Findings, Marks, MerchantId, Rejection, RequestId,
    Task, UnixMillis, WalletId,
};

use super::bed::{Bed, NOW, on_both, unit};
use crate::blocks::Header;
use crate::chains::{Lease, News, Problem};
use crate::requests::{NewRequest, Progress, Request, RequestState};
use crate::{Store, StoreError, blocks, chains, requests};

fn chain() -> ChainName {
    "bitcoin-regtest".parse().unwrap()
}

fn at(height: u64) -> BlockRef {
    BlockRef {
        height,
        hash: BlockHash::new(&format!("hash{height}")),
    }
}

async fn claim(store: &Store, holder: &'static str, now: UnixMillis) -> Option<Lease> {
    unit!(store, [], |tx| chains::claim(
        tx,
        &chain(),
        holder,
        now,
        1000
    )
    .await)
    .await
    .unwrap()
}

async fn advance(store: &Store, fence: i64, from: Option<u64>, to: u64) -> Result<(), StoreError> {
    unit!(store, [], |tx| {
        chains::advance(tx, &chain(), fence, from.map(at).as_ref(), &at(to), NOW).await
    })
    .await
}

async fn one_process_at_a_time_moves_the_cursor(_: &Bed, store: Store) {
    let first = claim(&store, "a", NOW).await.unwrap();
    assert_eq!(
        (first.fence, &first.cursor, first.covered_until),
        (1, &None, None)
    );
    assert_eq!(
        claim(&store, "b", NOW.plus_ms(999)).await,
        None,
        "it is taken"
    );
    advance(&store, first.fence, None, 100).await.unwrap();
    advance(&store, first.fence, Some(100), 101).await.unwrap();
    let wrong = advance(&store, first.fence, Some(100), 102).await;
    assert!(
        matches!(wrong, Err(StoreError::LeaseLost)),
        "the cursor is elsewhere"
    );
    let own = claim(&store, "a", NOW).await.unwrap();
    assert_eq!(
        (own.fence, own.cursor.clone()),
        (2, Some(at(101))),
        "its own it may take again"
    );
    let old = advance(&store, first.fence, Some(101), 102).await;
    assert!(
        matches!(old, Err(StoreError::LeaseLost)),
        "but the old fence is over"
    );
    let renewed = unit!(store, [own], |tx| chains::renew(tx, &own, NOW, 5000).await);
    assert!(renewed.await.unwrap());
    assert_eq!(claim(&store, "b", NOW.plus_ms(4999)).await, None);
    let taken = claim(&store, "b", NOW.plus_ms(5000)).await.unwrap();
    assert_eq!((taken.fence, taken.cursor.clone()), (3, Some(at(101))));
    let renewed = unit!(store, [own], |tx| chains::renew(tx, &own, NOW, 5000).await);
    assert!(!renewed.await.unwrap(), "it has passed on");
    unit!(store, [own], |tx| chains::release(tx, &own).await)
        .await
        .unwrap();
    assert_eq!(
        claim(&store, "a", NOW.plus_ms(5001)).await,
        None,
        "an old lease frees nothing"
    );
    unit!(store, [taken], |tx| chains::release(tx, &taken).await)
        .await
        .unwrap();
    assert!(claim(&store, "a", NOW).await.is_some());
}

async fn coverage_is_what_the_last_poll_found_and_ends_problems(_: &Bed, store: Store) {
    let lease = claim(&store, "a", NOW).await.unwrap();
    let fence = lease.fence;
    let problem = Problem {
        code: "node_unreachable".into(),
        text: "connection refused".into(),
    };
    let news = News {
        problem: Some(problem.clone()),
        ..News::default()
    };
    unit!(store, [news], |tx| {
        chains::report(tx, &chain(), fence, &news, NOW).await
    })
    .await
    .unwrap();
    let mut conn = store.read().await.unwrap();
    let row = chains::all(&mut conn).await.unwrap().remove(0);
    assert_eq!(
        (row.problem, row.tip_height, row.covered_until),
        (Some(problem), None, None)
    );
    advance(&store, fence, None, 7).await.unwrap();
    for (until, expected) in [(50, 50), (40, 40), (60, 60)] {
        let until = NOW.plus_ms(until);
        unit!(store, [], |tx| chains::cover(tx, &chain(), fence, until, 9)
            .await)
        .await
        .unwrap();
        let views = chains::views(&mut conn).await.unwrap();
        let view = ChainView {
            marks: Marks::default(),
            tip: Some(7),
            covered_until: Some(NOW.plus_ms(expected)),
            gaps: Vec::new(),
            unseen: None,
        };
        assert_eq!(
            views.get(&chain()),
            Some(&view),
            "also when the clock was put back"
        );
    }
    let row = chains::all(&mut conn).await.unwrap().remove(0);
    assert_eq!((row.problem, row.tip_height), (None, Some(9)));
}

async fn a_halt_stays_until_somebody_has_looked(_: &Bed, store: Store) {
    let fence = claim(&store, "a", NOW).await.unwrap().fence;
    let mut conn = store.read().await.unwrap();
    unit!(store, [], |tx| chains::halt(
        tx,
        &chain(),
        fence,
        "reorg too deep"
    )
    .await)
    .await
    .unwrap();
    let row = chains::all(&mut conn).await.unwrap().remove(0);
    assert_eq!(row.halted.as_deref(), Some("reorg too deep"));
    assert_eq!(row.holder.as_deref(), Some("a"));
    let lease = claim(&store, "a", NOW).await.unwrap();
    assert_eq!(lease.halted.as_deref(), Some("reorg too deep"));
    let fences = [(fence, false), (lease.fence, true), (lease.fence, false)];
    for (place, (given, expected)) in fences.into_iter().enumerate() {
        let resumed = unit!(store, [], |tx| chains::resume(tx, &chain(), given, NOW)
            .await);
        assert_eq!(resumed.await.unwrap(), expected, "{place}");
    }
    let lease = claim(&store, "a", NOW).await.unwrap();
    assert!(lease.halted.is_none() && lease.is_resumed);
    advance(&store, lease.fence, None, 7).await.unwrap();
    let lease = claim(&store, "a", NOW).await.unwrap();
    assert!(!lease.is_resumed, "the permission is for one event");
    let held = unit!(store, [], |tx| chains::hold(tx, &chain(), lease.fence, NOW)
        .await);
    assert_eq!(held.await.unwrap(), Some(at(7)));
    let lost = [
        unit!(store, [], |tx| chains::cover(tx, &chain(), fence, NOW, 9)
            .await)
        .await,
        unit!(store, [], |tx| chains::halt(tx, &chain(), fence, "x").await).await,
        unit!(store, [], |tx| chains::report(
            tx,
            &chain(),
            fence,
            &News::default(),
            NOW
        )
        .await)
        .await,
        unit!(store, [], |tx| chains::hold(tx, &chain(), fence, NOW)
            .await
            .map(drop))
        .await,
    ];
    assert!(
        lost.iter()
            .all(|result| matches!(result, Err(StoreError::LeaseLost)))
    );
}

async fn the_window_of_headers_follows_the_chain(_: &Bed, store: Store) {
    let header = |height: u64, branch: &str| Header {
        at: BlockRef {
            height,
            hash: BlockHash::new(&format!("{branch}{height}")),
        },
        parent: BlockHash::new(&format!("{branch}{}", height - 1)),
        time: NOW,
    };
    let replace = |fork: u64, headers: Vec<Header>, thinned: Range<u64>| {
        unit!(store, [headers, thinned], |tx| {
            blocks::replace_above(tx, &chain(), fork, &headers, thinned).await
        })
    };
    replace(0, (1..=5).map(|height| header(height, "a")).collect(), 0..0)
        .await
        .unwrap();
    replace(3, (4..=6).map(|height| header(height, "b")).collect(), 0..3)
        .await
        .unwrap();
    let mut conn = store.read().await.unwrap();
    let kept = blocks::from_height(&mut conn, &chain(), 0).await.unwrap();
    assert_eq!(
        kept,
        [
            header(1, "a"),
            header(3, "a"),
            header(4, "b"),
            header(5, "b"),
            header(6, "b"),
        ],
        "below the window the first stays"
    );
    let newest = blocks::from_height(&mut conn, &chain(), 6).await.unwrap();
    assert_eq!(newest, [header(6, "b")]);
    let between = blocks::between(&mut conn, &chain(), 2, 4).await.unwrap();
    assert_eq!(between, [header(3, "a").at, header(4, "b").at]);
    replace(4, Vec::new(), 3..3).await.unwrap();
    let kept = blocks::from_height(&mut conn, &chain(), 2).await.unwrap();
    assert_eq!(
        kept,
        [header(3, "a"), header(4, "b")],
        "no blocks above the fork"
    );
    for low in (4..=294).step_by(10) {
        let run = (low + 1..=low + 10).map(|height| header(height, "c"));
        replace(low, run.collect(), low.saturating_sub(10)..low)
            .await
            .unwrap();
    }
    let kept = blocks::from_height(&mut conn, &chain(), 0).await.unwrap();
    let heights: Vec<u64> = kept.iter().map(|header| header.at.height).collect();
    let window: Vec<u64> = (294..=304).collect();
    assert_eq!(
        heights,
        [vec![1, 100, 200], window].concat(),
        "and every hundredth"
    );
}

/// Goal: a request survives the worker that carries it out. Method: ask, record, read.
async fn a_request_keeps_how_far_it_is(_: &Bed, store: Store) {
    let ask = |number: u128, task: Task| NewRequest {
        id: RequestId::from_bits(number),
        merchant: None,
        chain: chain(),
        task,
        actor: "key_1".into(),
        now: NOW,
    };
    let wallet_scan = Task::WalletScan {
        merchant: MerchantId::from_bits(1),
        wallet: WalletId::from_bits(2),
        from_height: 3,
        to_height: 4,
    };
    let rescan = Task::Rescan {
        from_height: 5,
        to_height: 6,
    };
    let tasks = [rescan, wallet_scan, Task::Resume];
    for (number, task) in (1..).zip(tasks.clone()) {
        let request = ask(number, task);
        unit!(store, [request], |tx| requests::insert(tx, &request).await)
            .await
            .unwrap();
    }
    let mut conn = store.read().await.unwrap();
    let open = requests::open(&mut conn, &chain()).await.unwrap();
    let open: Vec<Request> = open.into_iter().map(Result::unwrap).collect();
    let found: Vec<&Task> = open.iter().map(|request| &request.task).collect();
    let [rescan, wallet_scan, resume] = &tasks;
    assert_eq!(found, [resume, rescan, wallet_scan], "then the oldest");
    let first = open[1].clone();
    assert_eq!(first.progress, Progress::default());
    for (state, later) in [(RequestState::Running, 5), (RequestState::Done, 9)] {
        let progress = Progress {
            state,
            blocks_done: 2,
            blocks_total: Some(2),
            findings: Some(Findings {
                placed: 1,
                removed: 0,
                highest_index: Some(7),
                rejection: Some(Rejection::PaysNothing),
            }),
            error: None,
        };
        let (key, now) = (first.key, NOW.plus_ms(later));
        unit!(store, [progress], |tx| {
            requests::record(tx, key, &progress, now).await
        })
        .await
        .unwrap();
        let shown = requests::get(&mut conn, first.id).await.unwrap().unwrap();
        assert_eq!(shown.progress, progress);
        assert_eq!(shown.started_at, Some(NOW.plus_ms(5)), "it began once");
        let over = state == RequestState::Done;
        assert_eq!(shown.finished_at, over.then_some(NOW.plus_ms(9)));
    }
    let open = requests::open(&mut conn, &chain()).await.unwrap();
    assert_eq!(open.len(), 2, "what is done is not open");
}

/// What is withdrawn is open no more, and nothing is recorded of it.
async fn what_is_withdrawn_is_over(_: &Bed, store: Store) {
    let request = NewRequest {
        id: RequestId::from_bits(1),
        merchant: None,
        chain: chain(),
        task: Task::Resume,
        actor: "key_1".into(),
        now: NOW,
    };
    let id = request.id;
    unit!(store, [request], |tx| requests::insert(tx, &request).await)
        .await
        .unwrap();
    let mut conn = store.read().await.unwrap();
    let key = requests::get(&mut conn, id).await.unwrap().unwrap().key;
    for expected in [true, false] {
        let canceled = unit!(store, [], |tx| requests::cancel(tx, key, NOW).await);
        assert_eq!(canceled.await.unwrap(), expected);
    }
    let done = Progress {
        state: RequestState::Done,
        ..Progress::default()
    };
    let late = unit!(store, [done], |tx| requests::record(tx, key, &done, NOW)
        .await);
    assert!(!late.await.unwrap());
    let shown = requests::get(&mut conn, id).await.unwrap().unwrap();
    assert_eq!(shown.progress.state, RequestState::Canceled);
    assert_eq!(shown.finished_at, Some(NOW));
}

/// Goal: a halt ends every request to resume that was made before it, and no other. Method: some that wait
/// and one that runs, beside a scan.
async fn a_halt_ends_what_was_to_resume(_: &Bed, store: Store) {
    let rescan = Task::Rescan {
        from_height: 5,
        to_height: 6,
    };
    for (number, task) in (1..).zip([Task::Resume, rescan, Task::Resume]) {
        let request = NewRequest {
            id: RequestId::from_bits(number),
            merchant: None,
            chain: chain(),
            task,
            actor: "key_1".into(),
            now: NOW,
        };
        unit!(store, [request], |tx| requests::insert(tx, &request).await)
            .await
            .unwrap();
        let begun = unit!(store, [], |tx| requests::begin_resumes(tx, &chain(), NOW)
            .await);
        assert!(number == 3 || begun.await.unwrap());
    }
    unit!(store, [], |tx| requests::fail_resumes(
        tx,
        &chain(),
        "why",
        NOW
    )
    .await)
    .await
    .unwrap();
    let mut conn = store.read().await.unwrap();
    let mut shown = Vec::new();
    for number in 1..4 {
        let id = RequestId::from_bits(number);
        let request = requests::get(&mut conn, id).await.unwrap().unwrap();
        shown.push((request.progress.state, request.progress.error));
    }
    let failed = (RequestState::Failed, Some("why".to_owned()));
    let waits = (RequestState::Waiting, None);
    assert_eq!(shown, [failed.clone(), waits, failed]);
}

on_both!(
    one_process_at_a_time_moves_the_cursor,
    coverage_is_what_the_last_poll_found_and_ends_problems,
    a_halt_stays_until_somebody_has_looked,
    the_window_of_headers_follows_the_chain,
    a_request_keeps_how_far_it_is,
    a_halt_ends_what_was_to_resume,
    what_is_withdrawn_is_over,
);
