//! What the collector writes, in one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use paywatch_domain::{Pair, RatePlan, RateProblem, RateValue, Rates, UnixMillis};
use paywatch_store::{MasterKey, StoreError, Tx, Unit, rates};

use crate::error::AnswerProblem;

/// What one source said about one pair, or why it said nothing.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) source: Box<str>,
    pub(crate) pair: Pair,
    /// The rate, and from when it is.
    pub(crate) result: Result<(RateValue, UnixMillis), AnswerProblem>,
}

/// Keeps what sources said, and per pair the rate that is believed since.
pub(crate) struct RecordWords {
    pub(crate) words: Vec<Word>,
    pub(crate) plan: Arc<RatePlan>,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) now: UnixMillis,
}

impl Unit for RecordWords {
    /// Each pair, and why there is no rate of it, if there is none.
    type Output = Vec<(Pair, Option<RateProblem>)>;
    type Error = StoreError;
    const NAME: &'static str = "record_rates";
    /// What a power cut takes back is asked again.
    const FLUSHED: bool = false;

    async fn run(&self, tx: &mut Tx) -> Result<Self::Output, StoreError> {
        for Word {
            source,
            pair,
            result,
        } in &self.words
        {
            match result {
                Ok(told) => {
                    rates::heard(tx, &self.master, pair, Some(source), *told).await?;
                }
                Err(problem) => rates::failed(tx, pair, source, problem.as_str()).await?,
            }
        }
        let pairs: BTreeSet<&Pair> = self.words.iter().map(|word| &word.pair).collect();
        let told = rates::told(tx, &self.master, pairs.iter().copied()).await?;
        let known = Rates::new(&self.plan, &told, self.now);
        let mut problems = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let problem = match known.of(pair) {
                Ok(rate) => {
                    let believed = (rate.value, self.now);
                    rates::heard(tx, &self.master, pair, None, believed).await?;
                    None
                }
                Err(problem) => Some(problem),
            };
            problems.push((pair.clone(), problem));
        }
        Ok(problems)
    }
}
