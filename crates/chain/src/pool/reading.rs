//! Which endpoint is asked, and which next when it fails.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::select_all;
use paywatch_domain::{BlockHint, BlockRef, TxId};

use super::EndpointPool;
use super::member::Member;
use crate::error::{Retry, SourceError};
use crate::source::{BoxFuture, Located, Source};
use crate::status::Condition;

impl<S: Source> EndpointPool<S> {
    pub(super) fn member(&self, member: usize) -> Result<&Member<S>, SourceError> {
        self.members
            .get(member)
            .ok_or_else(|| SourceError::Malformed {
                chain: self.chain.clone(),
                detail: "an answer of another pool's endpoint".to_owned(),
            })
    }

    /// The endpoints to ask for something at a height, the best first: all that answered when they were
    /// last polled, else all that may. One of another network never.
    pub(super) fn order(&self, height: u64) -> Vec<usize> {
        if self.only().is_some() {
            return vec![0];
        }
        let leader = self.leader();
        let served = self.state().served.clone();
        let mut ranked = Vec::new();
        let mut resort = Vec::new();
        for (number, member) in self.members.iter().enumerate() {
            let known = member.known();
            let is_leader = number == leader;
            let rank = known.rank(height, served.as_ref(), number, is_leader);
            let rank = (rank, number);
            match known.condition() {
                Condition::WrongNetwork => {}
                Condition::Lost => resort.push(rank),
                Condition::Unasked | Condition::Well | Condition::Distrusted => ranked.push(rank),
            }
        }
        if ranked.is_empty() {
            ranked = resort;
        }
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, number)| number).collect()
    }

    /// The endpoints to ask for hashes of the chain that is served: those that have its tip.
    pub(super) fn order_of_voters(&self, height: u64) -> Vec<usize> {
        let order = self.order(height);
        match &self.state().served {
            Some(served) => order
                .into_iter()
                .filter(|member| served.voters.contains(member))
                .collect(),
            None => order,
        }
    }

    /// The endpoint that was asked last, while it is well; else the best one. An adapter remembers what
    /// it has read of a mempool, so that a change costs something.
    fn leader(&self) -> usize {
        let mut state = self.state();
        let served = state.served.clone();
        let served = served.as_ref();
        let leader = self.members.get(state.leader).map(Member::known);
        if !leader.is_some_and(|known| known.is_well(served, state.leader)) {
            let known = self.members.iter().map(Member::known).enumerate();
            let best = known
                .filter(|(_, known)| known.condition() == Condition::Well)
                .min_by_key(|(number, known)| (known.rank(0, served, *number, false), *number));
            if let Some((number, _)) = best {
                state.leader = number;
            }
        }
        state.leader
    }

    /// Asks one endpoint after the other, until one answers: which, and its answer.
    pub(super) async fn first_of<'a, T>(
        &'a self,
        order: &[usize],
        ask: impl Fn(&'a S) -> BoxFuture<'a, Result<T, SourceError>> + Send,
    ) -> Result<(usize, T), SourceError> {
        let mut failed = Vec::new();
        for number in order {
            let member = self.member(*number)?;
            match ask(&member.source).await {
                Ok(answer) => return Ok((*number, answer)),
                Err(error) => {
                    self.note_error(member, &error);
                    failed.push(error);
                }
            }
        }
        Err(most_telling(failed).unwrap_or_else(|| self.too_few(0)))
    }

    /// Looks for a transaction at every endpoint until one can tell.
    pub(super) async fn locate_anywhere(
        &self,
        transaction: TxId,
        hint: Option<BlockHint>,
    ) -> Result<Located, SourceError> {
        let mut order = self.order_of_voters(0);
        let mut said = Err(self.too_few(0));
        while !order.is_empty() {
            let located = self.first_of(&order, |source| {
                source.locate(transaction.clone(), hint.clone())
            });
            match located.await {
                Ok((member, Located::Unknown)) => {
                    said = Ok(Located::Unknown);
                    // Those before it have failed.
                    let place = order.iter().position(|number| *number == member);
                    order.drain(..=place.unwrap_or_default());
                }
                Ok((_, located)) => return Ok(located),
                Err(error) => return said.or(Err(error)),
            }
        }
        said
    }

    /// What the indexes of all endpoints say together: one that leaves something out is no harm then.
    pub(super) async fn mentioned_anywhere(
        &self,
        keys: Vec<Box<[u8]>>,
        heights: (u64, u64),
    ) -> Result<Option<BTreeSet<u64>>, SourceError> {
        let mut mentioned: Option<BTreeSet<u64>> = None;
        let mut has_answered = false;
        let mut failed = Vec::new();
        for number in self.order_of_voters(heights.1) {
            let member = self.member(number)?;
            match member.source.mentions(keys.clone(), heights).await {
                Ok(Some(found)) => mentioned.get_or_insert_default().extend(found),
                Ok(None) => has_answered = true,
                Err(error) => {
                    self.note_error(member, &error);
                    failed.push(error);
                }
            }
        }
        if mentioned.is_none() && !has_answered {
            return Err(most_telling(failed).unwrap_or_else(|| self.too_few(0)));
        }
        Ok(mentioned)
    }

    /// Waits until the tip of any endpoint is not what it was at the last poll.
    pub(super) async fn wait_for_any_change(&self, tip: &BlockRef, timeout: Duration) {
        if let Some(only) = self.only() {
            return only.source.wait_for_change(tip, timeout).await;
        }
        // Each is asked about its own tip: one that is ahead or behind would have changed already.
        let members = self.members.iter().map(|member| (member, member.known()));
        let answering = members.filter_map(|(member, known)| {
            let is_up = matches!(known.condition(), Condition::Well | Condition::Distrusted);
            Some((member, known.tip().filter(|_| is_up)?.clone()))
        });
        let changes = answering.map(|(member, tip)| -> BoxFuture<'_, ()> {
            Box::pin(async move { member.source.wait_for_change(&tip, timeout).await })
        });
        let changes: Vec<_> = changes.collect();
        let any = async {
            if changes.is_empty() {
                std::future::pending::<()>().await;
            } else {
                select_all(changes).await;
            }
        };
        let _elapsed = tokio::time::timeout(timeout, any).await;
    }
}

/// Of several failures the one that says most, of those first that time may heal.
fn most_telling(failed: Vec<SourceError>) -> Option<SourceError> {
    failed.into_iter().max_by_key(|error| {
        let telling = match error {
            SourceError::Stale { .. } => 7,
            SourceError::Unproven { .. } => 6,
            SourceError::Pruned { .. } => 5,
            SourceError::Missing { .. } => 4,
            SourceError::Malformed { .. } => 3,
            SourceError::Synchronising { .. } | SourceError::Busy { .. } => 2,
            SourceError::Refused { .. } => 1,
            _ => 0,
        };
        (error.retry() == Retry::Soon, telling)
    })
}
