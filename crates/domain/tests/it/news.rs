//! Goal: from what was last said and what is true now follows exactly one event, or none. Method: every
//! pair of statuses is listed in a text matrix.

use paywatch_domain::{
    Amount, ChainName, EventType, OptionId, PoolNews, Said, Status, Sums, UnixMillis, limits,
};

fn said(status: Status) -> Said {
    let option = OptionId::from_bits(1);
    Said {
        status,
        closed: false,
        waiting_for: Vec::new(),
        options: vec![(option, Sums::default())],
        pool: None,
    }
}

/// Rows: what was said; columns: what is true now. `=` no event, `n` the event named after the new
/// status, `u` updated, `r` reverted.
const MATRIX: &str = "
           ref can ove pai lat con det und exp cre
refunded    =   n   n   n   n   n   n   n   n   n
canceled    n   =   n   n   n   n   n   n   n   n
overpaid    n   n   =   r   r   r   r   r   r   r
paid        n   n   n   =   r   r   r   r   r   r
late_paid   n   n   n   n   =   r   r   r   r   r
confirming  n   n   n   n   n   =   u   n   n   u
detected    n   n   n   n   n   n   =   n   n   u
underpaid   n   n   n   n   n   n   n   =   n   u
expired     n   n   n   n   n   n   n   n   =   u
created     n   n   n   n   n   n   n   n   n   =
";

#[test]
fn every_pair_of_statuses_has_its_event() {
    let mut pairs = 0;
    for line in MATRIX.lines().filter(|line| !line.is_empty()).skip(1) {
        let mut cells = line.split_whitespace();
        let before = Status::parse(cells.next().unwrap()).unwrap();
        for (now, cell) in Status::ALL.into_iter().zip(cells) {
            let named = format!("invoice.{}", now.as_str());
            let expected = match cell {
                "=" => None,
                "u" => Some("invoice.updated"),
                "r" => Some("invoice.reverted"),
                "n" => Some(named.as_str()),
                other => panic!("{other} is not a cell"),
            };
            let event = said(before).news(&said(now)).map(EventType::as_str);
            assert_eq!(event, expected, "{before:?} -> {now:?}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 100);
}

#[test]
fn changed_sums_a_closed_window_and_a_silent_chain_are_news() {
    let before = said(Status::Underpaid);
    let mut sums = before.clone();
    sums.options[0].1.finalized = Amount::from_atomic(1);
    let closed = Said {
        closed: true,
        ..before.clone()
    };
    let chain: ChainName = "bitcoin".parse().unwrap();
    let waiting = Said {
        waiting_for: vec![chain],
        ..before.clone()
    };
    for now in [sums, closed, waiting] {
        assert_eq!(
            before.news(&now).map(EventType::as_str),
            Some("invoice.updated")
        );
    }
}

#[test]
fn the_mempool_alone_makes_news_a_few_times() {
    let at = |ms| UnixMillis(limits::POOL_NEWS_MS * 3 + ms);
    let mut told = None;
    for number in 0..limits::POOL_NEWS_MAX {
        told = Some(PoolNews::one_more(told, at(i64::from(number))).unwrap());
    }
    let end = at(limits::POOL_NEWS_MS);
    assert_eq!(PoolNews::one_more(told, at(50)), Err(end));
    assert_eq!(PoolNews::one_more(told, end), Err(end));
    let (since, count) = (end.plus_ms(1), 1);
    assert_eq!(
        PoolNews::one_more(told, since),
        Ok(PoolNews { since, count })
    );
    // A clock that was put back counts anew.
    let since = at(-1);
    assert_eq!(
        PoolNews::one_more(told, since),
        Ok(PoolNews { since, count })
    );
    // What was counted is no news itself.
    let before = said(Status::Detected);
    let after = Said {
        pool: told,
        ..before.clone()
    };
    assert_eq!(before.news(&after), None);
}
