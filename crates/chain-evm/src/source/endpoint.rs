//! Requests to one endpoint: in batches where it takes them, each alone where it does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paywatch_chain::rpc::{Call, CallError, Client, NodeError};
use serde_json::value::RawValue;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Calls in one request: hosted endpoints take few.
const BATCH_MAX: usize = 20;

/// The answer to one call of several.
pub(super) type CallAnswer = Result<Box<RawValue>, NodeError>;

/// One endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: Client,
    refuses_batches: AtomicBool,
}

impl Endpoint {
    pub(super) fn new(client: Client) -> Self {
        let refuses_batches = AtomicBool::new(false);
        Self {
            client,
            refuses_batches,
        }
    }

    /// Calls that one request can hold.
    pub(super) fn batch_max(&self) -> usize {
        if self.takes_batches() { BATCH_MAX } else { 1 }
    }

    /// Whether a batch was never refused.
    pub(super) fn takes_batches(&self) -> bool {
        !self.refuses_batches.load(Ordering::Relaxed)
    }

    /// Tries batches again: another server may answer now.
    pub(super) fn reconnected(&self) {
        self.refuses_batches.store(false, Ordering::Relaxed);
    }

    /// Asks one thing.
    pub(super) async fn ask_one(
        &self,
        (method, params): Call<'_>,
    ) -> Result<Box<RawValue>, CallError> {
        self.client.call_raw(method, &params, ANSWER).await
    }

    /// Asks several things; an answer for each, in the same order.
    pub(super) async fn ask(&self, calls: &[Call<'_>]) -> Result<Vec<CallAnswer>, CallError> {
        let mut answers = Vec::with_capacity(calls.len());
        for some in calls.chunks(BATCH_MAX) {
            answers.extend(self.ask_some(some).await?);
        }
        Ok(answers)
    }

    async fn ask_some(&self, calls: &[Call<'_>]) -> Result<Vec<CallAnswer>, CallError> {
        let together = 1 < calls.len() && self.takes_batches();
        if together {
            match self.client.batch(calls).await {
                // Of the whole, or of one call in it: asked alone, they tell.
                Err(CallError::Refused(_) | CallError::Node(_)) => {}
                done => return done,
            }
        }
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            answers.push(match self.ask_one(call.clone()).await {
                Ok(answer) => Ok(answer),
                Err(CallError::Node(error)) => Err(error),
                Err(other) => return Err(other),
            });
        }
        if together {
            self.refuses_batches.store(true, Ordering::Relaxed);
        }
        Ok(answers)
    }
}
