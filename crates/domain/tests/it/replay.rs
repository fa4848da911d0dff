//! Goal: what is said follows from the stored facts alone, so that a restored or replayed database says the
//! same. Method: random histories of connects, disconnects and sightings, folded step by step as the engine
//! does, then again from what is stored.

use std::collections::BTreeMap;

use paywatch_domain::{
    EventType, Exception, ExceptionId, ExceptionNews, Folded, Said, Transfer, TransferId,
    UnixMillis, fold,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::fold::{any_transfers, terms, views};

/// What is learned of one transfer at one time: its row as it is stored from then on.
#[derive(Clone, Debug)]
struct Fact {
    row: Transfer,
    at: i64,
}

/// What the store holds after some facts: one row a transfer, in the order in which they were first seen.
/// What is stored once stays.
fn stored(facts: &[Fact]) -> Vec<Transfer> {
    let mut rows: Vec<Transfer> = Vec::new();
    for fact in facts {
        match rows.iter_mut().find(|row| row.id == fact.row.id) {
            None => rows.push(fact.row.clone()),
            Some(row) => {
                row.place.clone_from(&fact.row.place);
                row.left = fact.row.left;
            }
        }
    }
    rows
}

fn at_end(rows: &[Transfer], now: i64) -> Folded {
    fold(&terms(), rows, &[], &views(120, now), UnixMillis(now)).unwrap()
}

/// What is said after each fact: the events, and at last what is stored of them.
#[derive(Debug, PartialEq)]
struct Telling {
    events: Vec<EventType>,
    said: Option<Said>,
    exceptions: Vec<Exception>,
    final_at: BTreeMap<TransferId, UnixMillis>,
}

/// Goes through a history as the engine does: store, fold, compare with what was said, record. From
/// `restart` on, each step begins with what was recorded last, as after a crash between commit and answer.
fn tell(facts: &[Fact], restart: usize) -> Telling {
    let mut telling = Telling {
        events: Vec::new(),
        said: None,
        exceptions: Vec::new(),
        final_at: BTreeMap::new(),
    };
    for count in 1..=facts.len() {
        let now = facts[count - 1].at;
        if restart <= count {
            let before = telling.events.len();
            say(
                &mut telling,
                &facts[..count - 1],
                facts[count.max(2) - 2].at,
            );
            if 1 < count {
                assert_eq!(telling.events.len(), before, "said twice");
            }
        }
        say(&mut telling, &facts[..count], now);
    }
    telling
}

fn say(telling: &mut Telling, facts: &[Fact], now: i64) {
    if facts.is_empty() {
        return;
    }
    let mut rows = stored(facts);
    for row in &mut rows {
        row.final_at = telling.final_at.get(&row.id).copied();
    }
    let folded = at_end(&rows, now);
    for view in &folded.transfers {
        let Some(at) = view.final_at else { continue };
        telling.final_at.insert(view.id, at);
    }
    let said = Said::of(&folded);
    let news = match &telling.said {
        None => Some(EventType::Created),
        Some(before) => before.news(&said),
    };
    telling.events.extend(news);
    telling.said = Some(said);
    let news = ExceptionNews::between(&telling.exceptions, &folded.exceptions);
    for exception in &mut telling.exceptions {
        if news.resolved.contains(&exception.id) {
            exception.resolved_at = Some(UnixMillis(now));
            telling.events.push(EventType::ExceptionResolved);
        }
        let mut amended = news.amended.iter();
        if let Some((_, amount)) = amended.find(|(id, _)| *id == exception.id) {
            exception.finding.amount = *amount;
        }
    }
    for finding in news.opened {
        telling.events.push(EventType::ExceptionOpened);
        telling.exceptions.push(Exception {
            id: ExceptionId::from_bits(u128::try_from(telling.exceptions.len()).unwrap()),
            finding,
            opened_at: UnixMillis(now),
            resolved_at: None,
        });
    }
}

/// A history: rows of up to twelve transfers, each several times with another place, time going on.
fn history() -> impl Strategy<Value = Vec<Fact>> {
    let step = (any::<Index>(), any::<Index>(), 0..900_i64);
    (any_transfers(), proptest::collection::vec(step, 1..25)).prop_map(|(rows, steps)| {
        let mut at = 0;
        let known = steps.into_iter().filter(|_| !rows.is_empty());
        known
            .map(|(which, place, later)| {
                at += later;
                let mut row = which.get(&rows).clone();
                row.place.clone_from(&place.get(&rows).place);
                Fact { row, at }
            })
            .collect()
    })
}

/// Everything of a fold that does not name the order of the rows.
fn state(folded: &Folded) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut transfers = folded.transfers.clone();
    transfers.sort_by_key(|view| view.id);
    Folded {
        transfers,
        ..folded.clone()
    }
}

proptest! {
    #[test]
    fn facts_that_arrive_in_any_order_fold_to_the_same(
        facts in history(), order in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(), now in 0..8_000_i64
    ) {
        let rows = stored(&facts);
        let other: Vec<&Transfer> = order.iter().filter_map(|place| rows.get(*place)).collect();
        // Each prefix in the one order is a set of rows; in the other order it folds to the same.
        for count in 0..=rows.len() {
            let prefix = &rows[..count];
            let other: Vec<Transfer> = other
                .iter()
                .filter(|row| prefix.contains(row))
                .map(|row| (*row).clone())
                .collect();
            prop_assert_eq!(state(&at_end(prefix, now)), state(&at_end(&other, now)));
        }
    }

    #[test]
    fn a_history_told_again_says_the_same_events(facts in history(), restart in 0..25_usize) {
        let told = tell(&facts, usize::MAX);
        prop_assert_eq!(&tell(&facts, usize::MAX), &told);
        prop_assert_eq!(&tell(&facts, restart), &told, "a restart says nothing twice and nothing else");
        // The stored rows alone say at the end what was said step by step.
        if let Some(last) = facts.last() {
            let mut rows = stored(&facts);
            for row in &mut rows {
                row.final_at = told.final_at.get(&row.id).copied();
            }
            let replayed = Said::of(&at_end(&rows, last.at));
            prop_assert_eq!(told.said, Some(replayed));
        }
    }
}
