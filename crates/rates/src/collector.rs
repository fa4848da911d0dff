//! The worker that asks sources, again and again, and keeps what they said.
//!
//! It owns its requests. A step never waits for them: it records those that have finished in one transaction,
//! starts those that are due and returns. Only [`Collector::ready`] waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use metrics::counter;
use paywatch_domain::{Pair, RatePlan, UnixMillis};
use paywatch_store::{MasterKey, Store};

use crate::Source;
use crate::error::{AnswerProblem, RatesError};
use crate::fetch::Fetch;
use crate::units::{RecordWords, Word};

/// What is collected, and how often.
#[derive(Debug)]
pub struct Settings {
    /// When a rate is believed.
    pub plan: Arc<RatePlan>,
    /// Who is asked.
    pub sources: Vec<Source>,
    /// From one question to a source to the next, in milliseconds.
    pub refresh_ms: i64,
}

/// Asks sources of rates.
pub struct Collector<F> {
    store: Store,
    master: Arc<MasterKey>,
    fetch: F,
    plan: Arc<RatePlan>,
    refresh_ms: i64,
    sources: Vec<Asked>,
    under_way: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// Finished since the last step, so that the time of the next one is theirs.
    arrived: Vec<Finished>,
    /// Not yet recorded.
    words: Vec<Word>,
    /// What the log was last told about each pair.
    told: BTreeMap<Pair, &'static str>,
}

impl<F> std::fmt::Debug for Collector<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector")
            .field("sources", &self.sources.len())
            .field("under_way", &self.under_way.len())
            .finish_non_exhaustive()
    }
}

/// A source, and when it is asked next; `None` while it is being asked.
struct Asked {
    source: Arc<Source>,
    due: Option<UnixMillis>,
}

struct Finished {
    place: usize,
    answer: Result<Bytes, AnswerProblem>,
}

impl<F: Fetch> Collector<F> {
    /// A collector that asks every source in its first step. `master` seals what is kept.
    pub fn new(store: Store, master: Arc<MasterKey>, fetch: F, settings: Settings) -> Self {
        let sources = settings.sources.into_iter().map(|source| Asked {
            source: Arc::new(source),
            due: Some(UnixMillis(i64::MIN)),
        });
        Self {
            store,
            master,
            fetch,
            plan: settings.plan,
            refresh_ms: settings.refresh_ms,
            sources: sources.collect(),
            under_way: FuturesUnordered::new(),
            arrived: Vec::new(),
            words: Vec::new(),
            told: BTreeMap::new(),
        }
    }

    /// Records what has finished, asks who is due, and says when to step again at the latest.
    ///
    /// # Errors
    /// `Store` when the database does not answer. What has finished is kept with its time and recorded by a
    /// later step.
    pub async fn step(&mut self, now: UnixMillis) -> Result<UnixMillis, RatesError> {
        self.take(now);
        self.record(now).await?;
        for place in 0..self.sources.len() {
            self.ask(place, now);
        }
        let due = self.sources.iter().filter_map(|asked| asked.due).min();
        Ok(due.unwrap_or_else(|| now.plus_ms(self.refresh_ms)))
    }

    /// Waits until a source has answered. Dropping it loses nothing.
    pub async fn ready(&mut self) {
        match self.under_way.next().await {
            Some(finished) => self.arrived.push(finished),
            None => std::future::pending().await,
        }
    }

    /// Asks a source when its time has come. A time far ahead was set by a clock that has been put back.
    fn ask(&mut self, place: usize, now: UnixMillis) {
        let Some(asked) = self.sources.get_mut(place) else {
            return;
        };
        let is_due = asked
            .due
            .is_some_and(|due| !due.is_awaited(now, self.refresh_ms));
        if !is_due {
            return;
        }
        asked.due = None;
        let answer = self.fetch.fetch(Arc::clone(&asked.source));
        self.under_way.push(Box::pin(async move {
            let answer = answer.await;
            Finished { place, answer }
        }));
    }

    /// Reads what has arrived, without waiting.
    fn take(&mut self, now: UnixMillis) {
        while let Some(Some(finished)) = self.under_way.next().now_or_never() {
            self.arrived.push(finished);
        }
        for Finished { place, answer } in self.arrived.drain(..) {
            let Some(asked) = self.sources.get_mut(place) else {
                continue;
            };
            asked.due = Some(now.plus_ms(self.refresh_ms));
            let source = &asked.source;
            for (pair, pointer) in &source.pointers {
                let result = answer.as_ref().map_err(|problem| *problem);
                let result = result.and_then(|body| source.read(pair, pointer, body, now));
                note(source, pair, result.as_ref().err().copied());
                self.words.push(Word {
                    source: source.name.clone(),
                    pair: pair.clone(),
                    result,
                });
            }
        }
    }

    async fn record(&mut self, now: UnixMillis) -> Result<(), RatesError> {
        if self.words.is_empty() {
            return Ok(());
        }
        let unit = RecordWords {
            words: self.words.clone(),
            plan: Arc::clone(&self.plan),
            master: Arc::clone(&self.master),
            now,
        };
        let problems = self.store.write(unit).await?;
        self.words.clear();
        for (pair, problem) in problems {
            let word = problem.as_ref().map_or("", |problem| problem.as_str());
            if self.told.insert(pair.clone(), word) == Some(word) {
                continue;
            }
            if let Some(problem) = problem {
                tracing::warn!(%pair, %problem, "no rate; invoices that need it are refused");
            } else {
                tracing::info!(%pair, "the rate is known");
            }
        }
        Ok(())
    }
}

fn note(source: &Source, pair: &Pair, problem: Option<AnswerProblem>) {
    let result = problem.map_or("well", AnswerProblem::as_str);
    let name = source.name.to_string();
    counter!("pw_rate_answers_total", "source" => name, "result" => result).increment(1);
    if let Some(problem) = problem {
        tracing::warn!(source = &*source.name, %pair, %problem, "a source of rates says nothing");
    }
}
