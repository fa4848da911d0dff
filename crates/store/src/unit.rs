//! Units: what is written in one transaction, as a named struct that can be run again.

use std::any::{Any, TypeId};
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, oneshot};

use crate::conn::{Conn, Failure};
use crate::error::StoreError;

/// A connection inside the transaction of a unit. Made by the [`Writer`](crate::Writer) only, so a
/// function that takes it cannot write outside of a unit.
#[derive(Debug)]
pub struct Tx(pub(crate) Conn);

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0
    }
}

/// What is written in one transaction: all of it or nothing.
///
/// Only SQL and computation: no waiting for anything but the database. A unit may run more than
/// once before it is committed, so it takes everything that must not differ between runs (ids,
/// times) from itself. A statement that fails, fails the unit: do not go on after an error.
pub trait Unit: Send + Sync + 'static {
    /// What the caller gets after the commit.
    type Output: Send + 'static;
    /// Why it is rolled back: refusals of the domain too.
    type Error: From<StoreError> + Send + 'static;
    /// The name in errors and traces.
    const NAME: &'static str;
    /// Whether the answer waits until the commit is on the disk. `false` only where a later unit
    /// that is flushed covers this one; the commit is atomic either way.
    const FLUSHED: bool = true;
    /// Whether units of this type that wait at the same time may be run as one. They come before units of
    /// other types then that waited longer.
    const TOGETHER: bool = false;

    /// Does the work.
    fn run(&self, tx: &mut Tx) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;

    /// Does the work of several at once: their outputs in their order, or `None` when that cannot be. What was
    /// written is undone then, and each is run on its own, so that one that fails fails alone.
    fn run_together(
        _units: &[&Self],
        _tx: &mut Tx,
    ) -> impl Future<Output = Option<Vec<Self::Output>>> + Send {
        std::future::ready(None)
    }
}

/// What a run of a unit asks of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Commit it.
    Keep,
    /// Roll it back and answer.
    Undo,
    /// Roll it back and run the unit again.
    Again,
}

/// A unit under way, whatever its types.
pub(crate) trait Job: Send {
    fn name(&self) -> &'static str;
    fn is_flushed(&self) -> bool;
    /// What kind of unit it is, if it may be run as one with others of its kind.
    fn kind(&self) -> Option<TypeId>;
    /// For others of its kind.
    fn as_any(&mut self) -> &mut dyn Any;
    /// Runs the unit as one with others of its kind and keeps their results; `false` when that cannot be.
    fn run_with<'a>(
        &'a mut self,
        others: &'a mut [Box<dyn Job>],
        tx: &'a mut Tx,
    ) -> BoxFuture<'a, bool>;
    /// Runs the unit and keeps its result.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Verdict>;
    /// Answers the caller with the result that was kept.
    fn answer(self: Box<Self>);
    /// Answers the caller with an error of the transaction instead.
    fn refuse(self: Box<Self>, error: StoreError);
}

/// What the caller gets: the result of the unit, or the panic to raise again.
pub(crate) type Answer<U> =
    Result<Result<<U as Unit>::Output, <U as Unit>::Error>, Box<dyn Any + Send>>;

pub(crate) struct Errand<U: Unit> {
    unit: U,
    result: Option<Answer<U>>,
    reply: oneshot::Sender<Answer<U>>,
    /// Whether the run stored deliveries, and who is told of them after the commit.
    has_deliveries: bool,
    delivery_stored: Arc<Notify>,
}

impl<U: Unit> Errand<U> {
    pub(crate) fn new(
        unit: U,
        delivery_stored: Arc<Notify>,
    ) -> (Self, oneshot::Receiver<Answer<U>>) {
        let (reply, answer) = oneshot::channel();
        let errand = Self {
            unit,
            result: None,
            reply,
            has_deliveries: false,
            delivery_stored,
        };
        (errand, answer)
    }

    async fn attempt(&mut self, tx: &mut Tx) -> Verdict {
        tx.0.failure = None;
        tx.0.has_deliveries = false;
        let result = AssertUnwindSafe(self.unit.run(tx)).catch_unwind().await;
        let (result, verdict) = match (result, tx.0.failure.take()) {
            (Ok(Ok(output)), None) => (Ok(Ok(output)), Verdict::Keep),
            (Ok(Ok(_)), Some(_)) => {
                let error = StoreError::FailureIgnored(U::NAME);
                (Ok(Err(error.into())), Verdict::Undo)
            }
            (Ok(Err(error)), Some(Failure::Retryable)) => (Ok(Err(error)), Verdict::Again),
            (Ok(Err(error)), None | Some(Failure::Final)) => (Ok(Err(error)), Verdict::Undo),
            (Err(panic), _) => (Err(panic), Verdict::Undo),
        };
        self.result = Some(result);
        self.has_deliveries = verdict == Verdict::Keep && tx.0.has_deliveries;
        verdict
    }

    async fn attempt_with(&mut self, others: &mut [Box<dyn Job>], tx: &mut Tx) -> bool {
        tx.0.failure = None;
        tx.0.has_deliveries = false;
        let mut errands = vec![self];
        errands.extend(
            others
                .iter_mut()
                .filter_map(|job| job.as_any().downcast_mut()),
        );
        let units: Vec<&U> = errands.iter().map(|errand| &errand.unit).collect();
        let outputs = AssertUnwindSafe(U::run_together(&units, tx))
            .catch_unwind()
            .await;
        let is_whole = tx.0.failure.take().is_none();
        match outputs {
            Ok(Some(outputs)) if is_whole && outputs.len() == errands.len() => {
                for (errand, output) in errands.into_iter().zip(outputs) {
                    errand.result = Some(Ok(Ok(output)));
                    errand.has_deliveries = tx.0.has_deliveries;
                }
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

impl<U: Unit> Job for Errand<U>
where
    U::Output: Send,
{
    fn name(&self) -> &'static str {
        U::NAME
    }

    fn is_flushed(&self) -> bool {
        U::FLUSHED
    }

    fn kind(&self) -> Option<TypeId> {
        U::TOGETHER.then(TypeId::of::<U>)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn run_with<'a>(
        &'a mut self,
        others: &'a mut [Box<dyn Job>],
        tx: &'a mut Tx,
    ) -> BoxFuture<'a, bool> {
        Box::pin(self.attempt_with(others, tx))
    }

    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Verdict> {
        Box::pin(self.attempt(tx))
    }

    // Whoever asked may have gone away; what was committed stays.
    fn answer(self: Box<Self>) {
        if self.has_deliveries {
            self.delivery_stored.notify_one();
        }
        let result = self.result.unwrap_or(Ok(Err(StoreError::Closed.into())));
        let _ = self.reply.send(result);
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Ok(Err(error.into())));
    }
}
