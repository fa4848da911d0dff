//! What a pool makes of its endpoints. The clock stands still unless everybody waits.

use std::time::Duration;

use paywatch_chain::pool::{EndpointPool, PoolError, PoolRaw};
use paywatch_chain::{Condition, Holder, Retry, Source, SourceError, WatchTable};
use paywatch_domain::Mark;
use tokio::time::Instant;

use crate::endpoint::{Endpoint, Raw, block_at, chain, tip, unreachable};

const NAMES: [&str; 3] = ["one:1", "two:2", "three:3"];

/// A pool of endpoints with these chains, and handles on them.
fn pool(chains: &[&str], agree: usize) -> (EndpointPool<Endpoint>, Vec<Endpoint>) {
    let named = NAMES.iter().zip(chains);
    let endpoints: Vec<Endpoint> = named
        .map(|(name, blocks)| Endpoint::new(name, blocks))
        .collect();
    let members = endpoints.iter().map(|one| (one.name(), one.clone()));
    let pool = EndpointPool::new(members.collect(), agree).unwrap();
    (pool, endpoints)
}

fn nothing() -> WatchTable {
    WatchTable::new(1)
}

/// How many requests each endpoint got that begin like this, since it was last asked.
fn asked(endpoints: &[Endpoint], what: &str) -> Vec<usize> {
    let counts = endpoints.iter().map(|one| {
        let asked = one.take_asked();
        asked.iter().filter(|one| one.starts_with(what)).count()
    });
    counts.collect()
}

async fn fetch(pool: &EndpointPool<Endpoint>, blocks: &str) -> Result<PoolRaw<Raw>, SourceError> {
    pool.fetch(tip(blocks)).await
}

fn conditions(pool: &EndpointPool<Endpoint>) -> Vec<Condition> {
    pool.members().iter().map(|one| one.condition).collect()
}

#[test]
fn a_pool_that_cannot_work_is_refused() {
    let new = |count: usize, agree| {
        let endpoints = (0..count).map(|_| ("one:1".to_owned(), Endpoint::new("one", "a")));
        let pool = EndpointPool::new(endpoints.collect(), agree);
        pool.map(|pool| pool.members().into_iter().map(|one| one.name).collect())
    };
    assert_eq!(new(0, 1), Err(PoolError::Empty));
    for (members, agree) in [(1, 0), (1, 2), (3, 4)] {
        assert_eq!(
            new(members, agree),
            Err(PoolError::Agreement { agree, members })
        );
    }
    let names: Vec<String> = new(2, 2).unwrap();
    assert_eq!(names, ["one:1", "one:1#2"]);
}

/// A pool of one asks what it is asked, waits as long as it takes, and says what that one says.
#[tokio::test(start_paused = true)]
async fn a_pool_of_one_is_that_one() {
    let (pool, endpoints) = pool(&["aaa"], 1);
    let one = &endpoints[0];
    let at = tip("aaa");
    assert_eq!(pool.health().await, one.health().await);
    assert_eq!(one.take_asked(), ["health", "health"]);
    assert_eq!(pool.hash_at(1).await, one.hash_at(1).await);
    assert_eq!(pool.hashes(0, 9).await, one.hashes(0, 9).await);
    assert_eq!(pool.marks().await, one.marks().await);
    one.take_asked();
    let raw = pool.fetch(at.clone()).await.unwrap();
    assert_eq!(pool.scan(&at, raw, &nothing()).unwrap().at, at);
    let raw = pool.fetch_pool().await.unwrap().unwrap();
    assert_eq!(pool.scan_pool(raw, &nothing()).unwrap().tip, at);
    pool.wait_for_change(&tip("aa"), Duration::from_secs(9))
        .await;
    assert_eq!(one.take_asked(), ["fetch 2", "pool", "wait 1"]);
    for error in [unreachable(), wrong_network()] {
        one.mood().health_error = Some(error.clone());
        one.mood().error = Some(error.clone());
        assert_eq!(pool.health().await, Err(error.clone()));
        assert_eq!(pool.hash_at(1).await, Err(error.clone()));
        assert_eq!(pool.marks().await, Err(error.clone()));
        assert_eq!(fetch(&pool, "aaa").await.err(), Some(error));
    }
}

fn wrong_network() -> SourceError {
    SourceError::WrongNetwork {
        chain: chain(),
        expected: "1".to_owned(),
        found: "5".to_owned(),
    }
}

/// The tip is the highest block that enough endpoints have, by its hash and not by its height.
#[tokio::test(start_paused = true)]
async fn the_tip_of_a_pool_is_what_enough_members_have() {
    for (chains, agree, expected) in [
        (&["aaa", "aaaa"][..], 1, "aaaa"),
        (&["aaa", "aaaa"], 2, "aaa"),
        (&["aaa", "aaaaa", "aaaa"], 2, "aaaa"),
        (&["aaa", "aaaaa", "aaaa"], 3, "aaa"),
        // Two heights alike and two blocks: the first stands, or what is below them.
        (&["aaab", "aaac"], 1, "aaab"),
        (&["aaab", "aaac"], 2, "aaa"),
        (&["aaab", "aaac", "aaacc"], 1, "aaacc"),
        (&["aaab", "aaac", "aaacc"], 2, "aaac"),
        (&["aaab", "aaac", "aaacc"], 3, "aaa"),
        // One endpoint alone cannot lead the others on, however long its chain.
        (&["aaa", "aaa", "abbbbbbbbbbbbbbbbbbb"], 2, "aaa"),
        // Eight competing blocks are daily life.
        (&["acccccccc", "abbbbbbbb"], 2, "a"),
    ] {
        let (pool, _) = pool(chains, agree);
        let health = pool.health().await.unwrap();
        assert_eq!(health.tip, tip(expected), "{chains:?} {agree}");
    }
}

/// Nothing is read while endpoints contradict each other, and people are told who says what.
#[tokio::test(start_paused = true)]
async fn a_pool_at_odds_says_so_until_it_agrees_again() {
    let (pool, endpoints) = pool(&["aaccccccccc", "aabbbbbbbbb"], 2);
    let error = pool.health().await.unwrap_err();
    assert_eq!(
        (error.code(), error.retry()),
        ("endpoints_disagree", Retry::Soon)
    );
    let text = error.to_string();
    for words in [
        "at height 2",
        "one:1 says aac",
        "two:2 says aab",
        "until 2 of them",
    ] {
        assert!(text.contains(words), "{text}");
    }
    endpoints[1].set_blocks("aacccccccccc");
    let health = pool.health().await.unwrap();
    assert_eq!(health.tip, tip("aaccccccccc"));
}

/// An endpoint that hangs delays one poll, and the others as good as never.
#[tokio::test(start_paused = true)]
async fn a_pool_does_not_wait_for_a_member_that_hangs() {
    let (pool, endpoints) = pool(&["aaa", "aaa"], 1);
    endpoints[0].mood().hangs = true;
    let start = Instant::now();
    assert_eq!(pool.health().await.unwrap().tip, tip("aaa"));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(conditions(&pool), [Condition::Lost, Condition::Well]);
    let mut delay = Duration::ZERO;
    for _ in 0..100 {
        let start = Instant::now();
        pool.health().await.unwrap();
        delay = delay.max(start.elapsed());
        fetch(&pool, "aaa").await.unwrap();
        pool.hash_at(1).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(delay, Duration::from_secs(2));
    let polls = endpoints[0].take_asked();
    assert!((2..=10).contains(&polls.len()), "{polls:?}");
    assert!(polls.iter().all(|one| one == "health"), "{polls:?}");
    endpoints[0].mood().hangs = false;
    tokio::time::advance(Duration::from_secs(15)).await;
    pool.health().await.unwrap();
    assert_eq!(conditions(&pool), [Condition::Well, Condition::Well]);
}

/// While too few endpoints answer nothing is served; the error names those that do not, and why.
#[tokio::test(start_paused = true)]
async fn a_pool_with_too_few_members_says_why() {
    let (pool, endpoints) = pool(&["aaa", "aaa", "aaa"], 2);
    pool.health().await.unwrap();
    endpoints[0].mood().hangs = true;
    endpoints[2].mood().health_error = Some(wrong_network());
    let error = pool.health().await.unwrap_err();
    assert_eq!(
        (error.code(), error.retry()),
        ("too_few_endpoints", Retry::Soon)
    );
    let text = error.to_string();
    for words in [
        "1 of 3 endpoints",
        "2 have to agree",
        "one:1: node of chain is unreachable: no answer within 5 seconds",
        "three:3: node of chain is on another network: expected 1, found 5",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("two:2"), "{text}");
    endpoints[0].mood().hangs = false;
    assert_eq!(pool.health().await.unwrap().tip, tip("aaa"));
}

fn misconfigured() -> SourceError {
    SourceError::Misconfigured {
        chain: chain(),
        detail: "usdc has 6 decimals here and 18 there".to_owned(),
    }
}

/// What is wrong with one endpoint is shown as that endpoint's; what is wrong with all of them and will not
/// heal by itself is what is wrong with the chain.
#[tokio::test(start_paused = true)]
async fn a_pool_tells_the_faults_of_members_as_they_are() {
    for fault in [misconfigured(), wrong_network()] {
        let (both, endpoints) = pool(&["aaa", "aaa"], 1);
        endpoints[0].mood().health_error = Some(fault.clone());
        assert_eq!(both.health().await.unwrap().tip, tip("aaa"));
        let codes = |pool: &EndpointPool<Endpoint>| -> Vec<Option<&str>> {
            let members = pool.endpoints().into_iter();
            let errors = members.map(|member| member.last_error);
            errors
                .map(|error| error.map(|error| error.code()))
                .collect()
        };
        assert_eq!(codes(&both), [Some(fault.code()), None]);
        assert_ne!(conditions(&both)[0], Condition::Well);
        endpoints[1].mood().health_error = Some(fault.clone());
        tokio::time::advance(Duration::from_secs(15)).await;
        assert_eq!(both.health().await, Err(fault.clone()));
        // One that is merely away may come back, and is as it was configured.
        endpoints[1].mood().health_error = Some(unreachable());
        tokio::time::advance(Duration::from_secs(15)).await;
        let error = both.health().await.unwrap_err();
        assert_eq!(
            (error.code(), error.retry()),
            ("too_few_endpoints", Retry::Soon)
        );
        assert!(error.to_string().contains(&fault.to_string()), "{error}");
    }
    // As many as have to agree, and one of them is not what it must be.
    let (pool, endpoints) = pool(&["aaa", "aaa"], 2);
    endpoints[1].mood().health_error = Some(misconfigured());
    let error = pool.health().await.unwrap_err();
    assert_eq!(error.code(), "too_few_endpoints");
    assert!(
        error.to_string().contains("two:2: chain is not configured"),
        "{error}"
    );
    let shown = pool.endpoints();
    let flags = shown.iter().map(|one| (one.is_leading, one.is_resting));
    assert_eq!(flags.collect::<Vec<_>>(), [(true, false), (false, true)]);
}

/// What comes from another network is never used, not even when nothing else is left.
#[tokio::test(start_paused = true)]
async fn a_pool_never_uses_another_network() {
    let (pool, endpoints) = pool(&["aaaaaa", "aaa"], 1);
    endpoints[0].mood().health_error = Some(wrong_network());
    assert_eq!(pool.health().await.unwrap().tip, tip("aaa"));
    assert_eq!(
        conditions(&pool),
        [Condition::WrongNetwork, Condition::Well]
    );
    endpoints[1].mood().error = Some(unreachable());
    assert_eq!(fetch(&pool, "aaa").await.err(), Some(unreachable()));
    assert_eq!(pool.hash_at(0).await, Err(unreachable()));
    assert_eq!(pool.hashes(0, 2).await, Err(unreachable()));
    assert_eq!(pool.fetch_pool().await.err(), Some(unreachable()));
    assert_eq!(endpoints[0].take_asked(), ["health"]);
}

/// Whatever one endpoint cannot do, the next one is asked, each once; of several errors that is told which
/// says most, and one that time may heal before one that it does not.
#[tokio::test(start_paused = true)]
async fn a_pool_asks_the_next_member_when_one_fails() {
    let (chain, block) = (chain, tip("aaa"));
    let pruned = SourceError::Pruned {
        chain: chain(),
        pruned_height: 5,
        wanted: 2,
    };
    let missing = SourceError::Missing {
        chain: chain(),
        block: block.clone(),
    };
    let refused = SourceError::Refused {
        chain: chain(),
        detail: "HTTP 403".to_owned(),
    };
    let malformed = SourceError::Malformed {
        chain: chain(),
        detail: "no JSON".to_owned(),
    };
    let busy = SourceError::Busy {
        chain: chain(),
        detail: "HTTP 429".to_owned(),
        retry_after: None,
    };
    for (one, other, expected) in [
        (&pruned, &refused, &pruned),
        (&pruned, &unreachable(), &unreachable()),
        (&missing, &unreachable(), &missing),
        (&refused, &busy, &busy),
        (&malformed, &missing, &missing),
        (&busy, &malformed, &malformed),
    ] {
        for (one, other) in [(one, other), (other, one)] {
            let (pool, endpoints) = pool(&["aaa", "aaa"], 1);
            pool.health().await.unwrap();
            endpoints[0].mood().error = Some(one.clone());
            fetch(&pool, "aaa").await.unwrap();
            pool.fetch_pool().await.unwrap().unwrap();
            pool.hashes(0, 2).await.unwrap();
            endpoints[1].mood().error = Some(other.clone());
            asked(&endpoints, "");
            assert_eq!(fetch(&pool, "aaa").await.err().as_ref(), Some(expected));
            assert_eq!(asked(&endpoints, "fetch"), [1, 1]);
        }
    }
}

/// The endpoint that is asked stays the same until it fails, and is not asked again before time has healed
/// that; then the new one stays.
#[tokio::test(start_paused = true)]
async fn a_pool_stays_with_its_member_while_it_is_well() {
    let (pool, endpoints) = pool(&["aaa", "aaa", "aaa"], 1);
    for turn in 0..6 {
        // Others may be first to hear of a block, and of the next one too.
        let blocks = "a".repeat(turn + 4);
        for others in [&endpoints[1 + turn % 2..][..1], &endpoints[1..], &endpoints] {
            for endpoint in others {
                endpoint.set_blocks(&blocks);
            }
            pool.health().await.unwrap();
            pool.fetch_pool().await.unwrap().unwrap();
            assert_eq!(asked(&endpoints, "pool"), [1, 0, 0]);
        }
    }
    endpoints[0].mood().error = Some(unreachable());
    pool.fetch_pool().await.unwrap().unwrap();
    assert_eq!(asked(&endpoints, "pool"), [1, 1, 0]);
    endpoints[0].mood().error = None;
    for _ in 0..5 {
        pool.fetch_pool().await.unwrap().unwrap();
        tokio::time::advance(Duration::from_mins(1)).await;
    }
    assert_eq!(asked(&endpoints, "pool"), [0, 5, 0]);
    // Enough is enough: one that is far behind is left.
    for endpoint in [0, 2] {
        endpoints[endpoint].set_blocks(&"a".repeat(20));
    }
    pool.health().await.unwrap();
    pool.fetch_pool().await.unwrap().unwrap();
    assert_eq!(asked(&endpoints, "pool"), [1, 0, 0]);
}

/// Who is behind is not asked for what it cannot have.
#[tokio::test(start_paused = true)]
async fn a_pool_asks_for_a_block_where_it_is() {
    let (pool, endpoints) = pool(&["aaa", "aaaa"], 1);
    pool.health().await.unwrap();
    fetch(&pool, "aaaa").await.unwrap();
    assert_eq!(asked(&endpoints, "fetch"), [0, 1]);
    fetch(&pool, "aa").await.unwrap();
    assert_eq!(asked(&endpoints, "fetch"), [1, 0]);
    // What is told of heights belongs to the branch that is served.
    endpoints[0].set_blocks("aabb");
    endpoints[1].set_blocks("aaaaa");
    pool.health().await.unwrap();
    assert_eq!(pool.hash_at(2).await.unwrap(), Some(tip("aaa").hash));
    fetch(&pool, "aaa").await.unwrap();
    let errors = pool.members().iter().map(|one| one.errors).sum::<u64>();
    assert_eq!(errors, 1, "{:?}", pool.members());
}

/// An endpoint whose block fails its proof is asked again last of all, and has no say while enough others
/// are there.
#[tokio::test(start_paused = true)]
async fn a_pool_remembers_who_lied() {
    let (pool, endpoints) = pool(&["aaa", "aaa"], 1);
    pool.health().await.unwrap();
    endpoints[0].mood().lies = true;
    let at = tip("aaa");
    let raw = fetch(&pool, "aaa").await.unwrap();
    let error = pool.scan(&at, raw, &nothing()).unwrap_err();
    assert_eq!(error.code(), "block_unproven");
    assert_eq!(conditions(&pool), [Condition::Distrusted, Condition::Well]);
    let raw = fetch(&pool, "aaa").await.unwrap();
    assert_eq!(pool.scan(&at, raw, &nothing()).unwrap().at, at);
    endpoints[0].set_blocks("aaalllllllll");
    assert_eq!(pool.health().await.unwrap().tip, at);
    // Better a liar, whose answers are proven, than nobody.
    endpoints[1].mood().health_error = Some(unreachable());
    assert_eq!(pool.health().await.unwrap().tip, tip("aaalllllllll"));
    tokio::time::advance(Duration::from_mins(6)).await;
    assert_eq!(conditions(&pool), [Condition::Well, Condition::Lost]);
}

/// What was asked of one endpoint is scanned by it, whatever became of its standing meanwhile.
#[tokio::test(start_paused = true)]
async fn a_pool_scans_with_the_member_that_answered() {
    let (pool, endpoints) = pool(&["aaa", "aaa"], 1);
    pool.health().await.unwrap();
    let (block, mempool) = (fetch(&pool, "aaa").await, pool.fetch_pool().await);
    endpoints[0].mood().error = Some(unreachable());
    fetch(&pool, "aaa").await.unwrap();
    // The endpoint itself checks that it scans its own.
    pool.scan(&tip("aaa"), block.unwrap(), &nothing()).unwrap();
    pool.scan_pool(mempool.unwrap().unwrap(), &nothing())
        .unwrap();
}

/// Blocks that are read on the way to the tip are applied before the tip is: their hashes need as many
/// endpoints as the tip does.
#[tokio::test(start_paused = true)]
async fn hashes_of_a_pool_are_what_enough_members_say() {
    let blocks = "aaaaaa";
    let expected = |from: u64, to: u64| {
        let blocks = (from..=to).filter_map(|height| block_at(blocks, height));
        blocks.map(|block| block.hash).collect::<Vec<_>>()
    };
    for liar in 0..3 {
        let (pool, endpoints) = pool(&[blocks; 3], 2);
        pool.health().await.unwrap();
        endpoints[liar].mood().other_hashes = Some("aabbbb".to_owned());
        let hashes = pool.hashes(1, 5).await.unwrap();
        // As far as the first two agree, or all that any two do.
        assert!(
            hashes == expected(1, 5) || hashes == expected(1, 1),
            "{hashes:?}"
        );
        assert_eq!(pool.hashes(2, 4).await.unwrap(), expected(2, 4));
        assert_eq!(
            pool.hash_at(3).await.unwrap().as_ref(),
            expected(3, 3).first()
        );
        assert_eq!(pool.hash_at(6).await.unwrap(), None);
        assert_eq!(pool.hashes(6, 9).await.unwrap(), []);
    }
    let (pool, endpoints) = pool(&[blocks; 2], 2);
    pool.health().await.unwrap();
    endpoints[0].mood().other_hashes = Some("aabbbb".to_owned());
    for error in [
        pool.hash_at(3).await.unwrap_err(),
        pool.hashes(3, 5).await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.contains("one:1 says aabb, two:2 says aaaa"), "{text}");
    }
    endpoints[0].mood().error = Some(unreachable());
    let error = pool.hash_at(3).await.unwrap_err();
    assert_eq!(error.code(), "too_few_endpoints", "{error}");
    assert!(
        error
            .to_string()
            .contains("one:1: node of chain is unreachable"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn marks_of_a_pool_are_as_high_as_enough_members_say() {
    let blocks = "aaaaaaaaaa";
    for (agree, safe, finalized) in [
        (1, Some(9), Some(5)),
        (2, Some(7), None),
        (3, Some(6), None),
    ] {
        let (pool, endpoints) = pool(&[blocks; 3], agree);
        for (endpoint, height) in endpoints.iter().zip([7, 9, 6]) {
            endpoint.mood().marks.insert(Mark::Safe, height);
        }
        endpoints[2].mood().marks.insert(Mark::Finalized, 5);
        pool.health().await.unwrap();
        let marks = pool.marks().await.unwrap();
        let height = |mark| marks.get(&mark).map(|block| block.height);
        assert_eq!(height(Mark::Safe), safe, "{agree}");
        assert_eq!(height(Mark::Finalized), finalized, "{agree}");
        endpoints[1].mood().error = Some(unreachable());
        let left = pool.marks().await;
        assert_eq!(left.is_ok(), agree < 3, "{agree}: {left:?}");
    }
}

/// A wait ends with the first change that any endpoint reports, and with the time that was given.
#[tokio::test(start_paused = true)]
async fn waiting_at_a_pool_ends_with_a_change_anywhere() {
    let long = Duration::from_mins(1);
    for changing in 0..3 {
        let (pool, endpoints) = pool(&["aaa", "aaaa", "aaa"], 2);
        let served = pool.health().await.unwrap().tip;
        let start = Instant::now();
        pool.wait_for_change(&served, long).await;
        assert_eq!(start.elapsed(), long);
        let start = Instant::now();
        let change = async {
            tokio::time::sleep_until(start + Duration::from_secs(3)).await;
            endpoints[changing].set_blocks("aaaaaa");
        };
        tokio::join!(pool.wait_for_change(&served, long), change);
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }
    // Without anybody to ask, the time is waited out.
    let (pool, _) = pool(&["aaa", "aaa"], 1);
    let start = Instant::now();
    pool.wait_for_change(&tip("aaa"), long).await;
    assert_eq!(start.elapsed(), long);
}

/// What people are told of each endpoint.
#[tokio::test(start_paused = true)]
async fn members_of_a_pool_are_shown() {
    let (pool, endpoints) = pool(&["aaaaa", "aaa", "aaaa"], 1);
    let shown = |pool: &EndpointPool<Endpoint>| {
        let members = pool.members().into_iter().map(|one| {
            let error = one.last_error.map(|error| error.code());
            (
                one.condition,
                one.version,
                one.lag_blocks,
                one.errors,
                error,
            )
        });
        members.collect::<Vec<_>>()
    };
    let unasked = (Condition::Unasked, None, None, 0, None);
    assert_eq!(shown(&pool), [unasked.clone(), unasked.clone(), unasked]);
    endpoints[2].mood().health_error = Some(unreachable());
    pool.health().await.unwrap();
    let well = |name: &str, lag| (Condition::Well, Some(name.to_owned()), Some(lag), 0, None);
    let lost = (Condition::Lost, None, None, 1, Some("node_unreachable"));
    assert_eq!(shown(&pool), [well("one:1", 0), well("two:2", 2), lost]);
}

/// No proof leads from a balance to a hash, so as many as have to agree must say it. Those that see every
/// payment have no say.
#[tokio::test(start_paused = true)]
async fn what_keys_hold_is_what_enough_endpoints_say() {
    type Case = ([Option<u64>; 3], usize, Result<Option<u64>, ()>, [usize; 3]);
    let holders = [Holder {
        key: [1; 20].into(),
        expected: None,
    }];
    let cases: [Case; 6] = [
        ([Some(5), Some(6), None], 1, Ok(Some(5)), [1, 0, 0]),
        ([Some(5), None, Some(5)], 2, Ok(Some(5)), [1, 1, 1]),
        ([Some(5), Some(5), Some(6)], 2, Ok(Some(5)), [1, 1, 0]),
        ([Some(5), Some(6), Some(6)], 2, Err(()), [1, 1, 0]),
        ([None, None, Some(5)], 2, Ok(Some(5)), [1, 1, 1]),
        ([None, None, None], 2, Ok(None), [1, 1, 1]),
    ];
    for (held, agree, expected, times) in cases {
        let (pool, endpoints) = pool(&["aaa", "aaa", "aaa"], agree);
        pool.health().await.unwrap();
        for (endpoint, held) in endpoints.iter().zip(held) {
            endpoint.mood().held = held;
        }
        let at = tip("aaa");
        let said = pool.holdings(&at, &holders).await;
        let said = said.map(|said| said.map(|held| held[0].balance.to_string()));
        let expected = expected.map(|held| held.map(|held| held.to_string()));
        assert_eq!(said.map_err(drop), expected, "{held:?}");
        assert_eq!(asked(&endpoints, "holdings"), times, "{held:?}");
    }
    let (pool, endpoints) = pool(&["aaa", "aaa"], 2);
    pool.health().await.unwrap();
    endpoints[0].mood().held = Some(5);
    endpoints[1].mood().error = Some(unreachable());
    let said = pool.holdings(&tip("aaa"), &holders).await;
    assert_eq!(said, Err(unreachable()), "one is not enough");
}

/// What an index of one endpoint leaves out that of another may have; none of them has to agree.
#[tokio::test]
async fn what_indexes_say_is_joined() {
    type Said<'a> = (Option<&'a [u64]>, bool);
    type Case<'a> = ([Said<'a>; 3], Result<Option<&'a [u64]>, ()>);
    let cases: [Case<'_>; 6] = [
        (
            [
                (Some(&[1, 2]), false),
                (Some(&[2, 5]), false),
                (None, false),
            ],
            Ok(Some(&[1, 2, 5])),
        ),
        ([(None, false), (None, false), (None, false)], Ok(None)),
        (
            [(None, true), (Some(&[]), false), (None, false)],
            Ok(Some(&[])),
        ),
        ([(None, true), (None, false), (None, true)], Ok(None)),
        (
            [(None, true), (None, true), (Some(&[7]), false)],
            Ok(Some(&[7])),
        ),
        ([(None, true), (None, true), (None, true)], Err(())),
    ];
    for (said, expected) in cases {
        let (pool, endpoints) = pool(&["aaa", "aaa", "aaa"], 1);
        pool.health().await.unwrap();
        for (endpoint, (indexed, fails)) in endpoints.iter().zip(said) {
            let mut mood = endpoint.mood();
            mood.indexed = indexed.map(|heights| heights.iter().copied().collect());
            mood.error = fails.then(unreachable);
        }
        let joined = pool.mentions(vec![[1].into()], (0, 9)).await;
        let joined = joined.map(|joined| joined.map(|all| all.into_iter().collect::<Vec<_>>()));
        let expected = expected.map(|expected| expected.map(<[u64]>::to_vec));
        assert_eq!(joined.map_err(drop), expected, "{said:?}");
    }
}
