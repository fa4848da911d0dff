//! Simulated time: the true time, the watcher's clock beside it, and answers that are on their way.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use paywatch_domain::UnixMillis;

/// When every simulation begins.
pub const START: UnixMillis = UnixMillis(1_800_000_000_000);

/// Who waits for an answer: a chain's worker by its number, or the deliverer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The worker of the chain of this number.
    Chain(usize),
    /// Whoever sends webhooks.
    Deliverer,
}

#[derive(Debug, Default)]
struct Hands {
    now_ms: i64,
    /// By how much the watcher's clock is ahead of the truth.
    ahead_ms: i64,
    count: u64,
    /// By when they are due, and in the order in which they were asked.
    waiting: BTreeMap<(i64, u64), (Who, Option<Waker>)>,
}

/// The clock that everything in one world shares.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Hands>>);

impl Clock {
    /// A clock at the beginning.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Hands {
            now_ms: START.0,
            ..Hands::default()
        })))
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The true time.
    pub fn now(&self) -> UnixMillis {
        UnixMillis(self.hands().now_ms)
    }

    /// What the watcher's clock shows.
    pub fn shown(&self) -> UnixMillis {
        let hands = self.hands();
        UnixMillis(hands.now_ms.saturating_add(hands.ahead_ms))
    }

    /// By how much the watcher's clock is ahead.
    pub fn ahead_ms(&self) -> i64 {
        self.hands().ahead_ms
    }

    /// Puts the watcher's clock ahead of the truth, or behind it.
    pub fn set_ahead(&self, ahead_ms: i64) {
        self.hands().ahead_ms = ahead_ms;
    }

    /// When the next answer arrives.
    pub fn next_answer(&self) -> Option<UnixMillis> {
        let hands = self.hands();
        let first = hands.waiting.first_key_value();
        first.map(|((at, _), _)| UnixMillis(*at))
    }

    /// Moves on to a time; answers whose answers have arrived.
    pub fn advance(&self, to: UnixMillis) -> Vec<Who> {
        let mut arrived = Vec::new();
        let mut wakers = Vec::new();
        {
            let mut hands = self.hands();
            hands.now_ms = hands.now_ms.max(to.0);
            let end = (hands.now_ms.saturating_add(1), 0);
            let later = hands.waiting.split_off(&end);
            for (_, (who, waker)) in std::mem::replace(&mut hands.waiting, later) {
                arrived.push(who);
                wakers.extend(waker);
            }
        }
        wakers.into_iter().for_each(Waker::wake);
        arrived
    }

    /// A wait of this length, in milliseconds.
    pub fn wait(&self, who: Who, wait_ms: i64) -> Wait {
        let mut hands = self.hands();
        hands.count = hands.count.saturating_add(1);
        let due = (hands.now_ms.saturating_add(wait_ms), hands.count);
        if 0 < wait_ms {
            hands.waiting.insert(due, (who, None));
        }
        Wait {
            clock: self.clone(),
            due,
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Ready when its time has come. Dropped, it is forgotten.
#[derive(Debug)]
pub struct Wait {
    clock: Clock,
    due: (i64, u64),
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut hands = self.clock.hands();
        if self.due.0 <= hands.now_ms {
            return Poll::Ready(());
        }
        if let Some((_, waker)) = hands.waiting.get_mut(&self.due) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.clock.hands().waiting.remove(&self.due);
    }
}
