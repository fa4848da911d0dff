//! Budgets on a clock that stands still unless somebody waits.

use std::sync::Arc;

use super::*;

const LONG: Duration = Duration::from_hours(1);

fn budget(per_second: u32, burst: u32) -> Budget {
    let whole = |number| NonZeroU32::new(number).unwrap();
    Budget::per_second(whole(per_second), whole(burst))
}

/// Takes from a budget; milliseconds since the start.
async fn taken_at(budget: &Budget, count: u32, start: Instant) -> u128 {
    budget.take(count, LONG).await.unwrap();
    start.elapsed().as_millis()
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_free_and_what_follows_keeps_the_pace() {
    let budget = budget(10, 3);
    let start = Instant::now();
    let mut times = Vec::new();
    for _ in 0..6 {
        times.push(taken_at(&budget, 1, start).await);
    }
    assert_eq!(times, [0, 0, 0, 100, 200, 300]);
    // After a rest the bucket is full, and no fuller.
    tokio::time::advance(LONG).await;
    let start = Instant::now();
    let mut times = Vec::new();
    for _ in 0..4 {
        times.push(taken_at(&budget, 1, start).await);
    }
    assert_eq!(times, [0, 0, 0, 100]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_costs_as_much_as_its_calls() {
    let budget = budget(10, 5);
    let start = Instant::now();
    assert_eq!(taken_at(&budget, 4, start).await, 0);
    assert_eq!(taken_at(&budget, 4, start).await, 300);
    // More than the bucket holds is not refused for ever: it is waited for.
    assert_eq!(taken_at(&budget, 20, start).await, 2_300);
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_wait_takes_nothing() {
    let budget = budget(1, 1);
    let start = Instant::now();
    assert_eq!(taken_at(&budget, 1, start).await, 0);
    let error = budget.take(1, Duration::from_millis(900)).await;
    let expected = CallError::Busy {
        detail: "it is asked as often as it may be".to_owned(),
        retry_after: Some(Duration::from_secs(1)),
    };
    assert_eq!(error, Err(expected));
    assert_eq!(start.elapsed(), Duration::ZERO);
    // Neither does a request that is given up while it waits.
    let given_up = tokio::time::timeout(Duration::from_millis(500), budget.take(1, LONG));
    assert!(given_up.await.is_err());
    assert_eq!(taken_at(&budget, 1, start).await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_before_a_pause_is_over_and_the_pace_holds_after_it() {
    for limit in [None, Some((10, 2))] {
        let budget = limit.map_or_else(Budget::unlimited, |(pace, burst)| budget(pace, burst));
        let budget = Arc::new(budget);
        let start = Instant::now();
        // Three are under way and four wait when the node asks for a pause.
        for _ in 0..3 {
            budget.take(1, LONG).await.unwrap();
        }
        let began_ms = start.elapsed().as_millis();
        budget.pause(Duration::from_secs(5));
        let waiting = (0..4).map(|_| taken_at(&budget, 1, start));
        let mut times = futures_util::future::join_all(waiting).await;
        times.sort_unstable();
        let over = began_ms + 5_000;
        let expected = match limit {
            None => [over; 4],
            Some(_) => [over, over, over + 100, over + 200],
        };
        assert_eq!(times, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_when_a_pause_begins_wait_for_its_end() {
    let budget = budget(10, 2);
    let start = Instant::now();
    budget.take(2, LONG).await.unwrap();
    let pause = async {
        tokio::time::sleep_until(start + Duration::from_millis(50)).await;
        budget.pause(Duration::from_secs(1));
        // A shorter one does not end the longer one.
        budget.pause(Duration::ZERO);
        0
    };
    let impatient = async {
        let error = budget.take(1, Duration::from_millis(500)).await;
        assert!(matches!(error, Err(CallError::Busy { .. })), "{error:?}");
        start.elapsed().as_millis()
    };
    let waiting = async {
        let waiting = (0..3).map(|_| taken_at(&budget, 1, start));
        futures_util::future::join_all(waiting).await
    };
    let (_, given_up_at, times) = tokio::join!(pause, impatient, waiting);
    assert_eq!(given_up_at, 100);
    assert_eq!(times, [1_050, 1_050, 1_150]);
}
