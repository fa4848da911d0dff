//! Whose turn it is among the requests of a chain: one that makes no headway lets the others pass.

use std::collections::{BTreeMap, BTreeSet};

use paywatch_chain::Source;
use paywatch_domain::UnixMillis;
use paywatch_store::RequestKey;
use paywatch_store::requests::Request;

use super::attach::Locating;
use super::following::Following;
use super::reading::Reading;

/// Attempts without headway after which a request gives up its turn.
const ATTEMPTS_MAX: u32 = 3;
/// How long it then lets others pass, in milliseconds; doubled with each time up to [`AWAY_MS_MAX`].
const AWAY_MS: i64 = 5_000;
/// The longest that a request lets others pass, in milliseconds: 5 minutes.
const AWAY_MS_MAX: i64 = 300_000;

/// A request that gave up its turn.
struct Away {
    times: u32,
    until: UnixMillis,
}

/// The requests that gave up their turns. It is not kept over a restart: everyone begins anew.
#[derive(Default)]
pub(super) struct Line(BTreeMap<RequestKey, Away>);

impl Line {
    /// Whether a request that has tried so often without headway gives up its turn; it comes back later.
    pub(super) fn gives_way(&mut self, key: RequestKey, attempts: u32, now: UnixMillis) -> bool {
        if attempts < ATTEMPTS_MAX {
            return false;
        }
        let away = self.0.entry(key).or_insert(Away {
            times: 0,
            until: now,
        });
        let doubled = AWAY_MS.saturating_mul(1_i64 << away.times.min(10));
        away.times = away.times.saturating_add(1);
        away.until = now.plus_ms(doubled.min(AWAY_MS_MAX));
        true
    }

    /// A request made headway.
    pub(super) fn goes_on(&mut self, key: RequestKey) {
        self.0.remove(&key);
    }

    /// The request whose turn it is, of those that are open, oldest first. One that is alone need not
    /// let anybody pass.
    pub(super) fn next(&mut self, mut open: Vec<Request>, now: UnixMillis) -> Option<Request> {
        let keys: BTreeSet<RequestKey> = open.iter().map(|request| request.key).collect();
        self.0.retain(|key, _| keys.contains(key));
        if open.len() == 1 {
            return open.pop();
        }
        open.into_iter().find(|request| {
            let away = self.0.get(&request.key);
            !away.is_some_and(|away| away.until.is_awaited(now, AWAY_MS_MAX))
        })
    }
}

impl<S: Source> Following<S> {
    /// Goes on with a request, unless it made no headway for long and lets the others pass. It stays open
    /// then, with what it waits for.
    pub(super) fn put_back(&mut self, reading: Reading<S>, now: UnixMillis) {
        let (key, attempts) = (reading.asked.key, reading.attempts);
        if self.line.gives_way(key, attempts, now) {
            self.looks = true;
        } else if reading.is_to_be_located() {
            self.locating = Locating::again(&reading);
        } else {
            self.reading = Some(reading);
        }
    }
}
