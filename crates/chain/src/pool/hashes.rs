//! Hashes and marks that enough endpoints agree on.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use paywatch_domain::{BlockHash, BlockRef, Mark};

use super::EndpointPool;
use super::vote::{Count, Vote, count};
use crate::error::SourceError;
use crate::source::{BoxFuture, Source};

/// How long an endpoint may take to tell hashes.
const ANSWER: Duration = Duration::from_secs(10);

impl<S: Source> EndpointPool<S> {
    pub(super) async fn agreed_hash(&self, height: u64) -> Result<Option<BlockHash>, SourceError> {
        if self.agree == 1 {
            let order = self.order_of_voters(height);
            let hash = self.first_of(&order, |source| source.hash_at(height));
            return Ok(hash.await?.1);
        }
        let hashes = self.common(height, |source| list(source.hash_at(height)));
        Ok(hashes.await?.into_iter().next())
    }

    /// The hashes from one height on, as far as enough endpoints agree.
    pub(super) async fn agreed_hashes(
        &self,
        from: u64,
        to: u64,
    ) -> Result<Vec<BlockHash>, SourceError> {
        if self.agree == 1 {
            let order = self.order_of_voters(from);
            let hashes = self.first_of(&order, |source| source.hashes(from, to));
            return Ok(hashes.await?.1);
        }
        self.common(from, move |source| source.hashes(from, to))
            .await
    }

    /// What enough of the endpoints that have the tip say of the heights from one on. No more of them are
    /// asked than have to agree, unless they do not.
    async fn common<'a>(
        &'a self,
        from: u64,
        ask: impl Fn(&'a S) -> BoxFuture<'a, Result<Vec<BlockHash>, SourceError>>,
    ) -> Result<Vec<BlockHash>, SourceError> {
        let order = self.order_of_voters(from);
        let (first, others) = order.split_at(self.agree.min(order.len()));
        let mut said = self.each(first, ANSWER, &ask).await;
        let is_enough = |said: &Vec<(usize, Vec<BlockHash>)>| {
            self.agree <= said.len() && said.iter().all(|(_, hashes)| hashes.is_empty())
        };
        let mut hashes = prefix(&said, self.agree);
        if hashes.is_empty() && !is_enough(&said) {
            said.extend(self.each(others, ANSWER, &ask).await);
            hashes = prefix(&said, self.agree);
        }
        if !hashes.is_empty() {
            return Ok(hashes);
        }
        if said.len() < self.agree {
            return Err(self.too_few(said.len()));
        }
        let votes = votes_at(&said, 0);
        match count(&votes, self.agree) {
            Count::Split => Err(self.disagreement(from, &votes)),
            Count::Absent | Count::Agreed(..) => Ok(Vec::new()),
        }
    }

    /// Asks these endpoints at once, each within a time; the answers of those that gave one.
    pub(super) async fn each<'a, T>(
        &'a self,
        members: &[usize],
        patience: Duration,
        ask: impl Fn(&'a S) -> BoxFuture<'a, Result<T, SourceError>>,
    ) -> Vec<(usize, T)> {
        let asked = members.iter().filter_map(|number| {
            let member = self.members.get(*number)?;
            Some((*number, member, ask(&member.source)))
        });
        let asked: Vec<_> = asked.collect();
        let answers = asked.into_iter().map(async |(number, member, answer)| {
            let answer = self.within(patience, answer).await;
            let noted = answer.inspect_err(|error| self.note_error(member, error));
            Some((number, noted.ok()?))
        });
        join_all(answers).await.into_iter().flatten().collect()
    }

    /// An answer, or that it did not come in time.
    pub(super) async fn within<T>(
        &self,
        patience: Duration,
        answer: BoxFuture<'_, Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let late = |_| SourceError::Unreachable {
            chain: self.chain.clone(),
            detail: format!("no answer within {} seconds", patience.as_secs()),
        };
        tokio::time::timeout(patience, answer)
            .await
            .unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    /// The marks of the endpoints that have the tip: each as high as enough of them say.
    pub(super) async fn agreed_marks(&self) -> Result<BTreeMap<Mark, BlockRef>, SourceError> {
        if let Some(only) = self.only() {
            let marks = only.source.marks().await;
            return marks.inspect_err(|error| self.note_error(only, error));
        }
        let order = self.order_of_voters(0);
        let said = self.each(&order, ANSWER, S::marks).await;
        if said.len() < self.agree {
            return Err(self.too_few(said.len()));
        }
        let mut blocks: BTreeMap<Mark, Vec<BlockRef>> = BTreeMap::new();
        for (mark, block) in said.into_iter().flat_map(|(_, marks)| marks) {
            blocks.entry(mark).or_default().push(block);
        }
        let nth = self.agree.saturating_sub(1);
        let agreed = blocks.into_iter().filter_map(|(mark, mut blocks)| {
            blocks.sort_by_key(|block| Reverse(block.height));
            Some((mark, blocks.into_iter().nth(nth)?))
        });
        Ok(agreed.collect())
    }
}

/// One hash as a list of at most one.
fn list(
    hash: BoxFuture<'_, Result<Option<BlockHash>, SourceError>>,
) -> BoxFuture<'_, Result<Vec<BlockHash>, SourceError>> {
    Box::pin(async move { Ok(hash.await?.into_iter().collect()) })
}

/// What was said of the height at a place in the lists.
fn votes_at(said: &[(usize, Vec<BlockHash>)], place: usize) -> Vec<Vote> {
    let votes = said.iter().map(|(member, hashes)| Vote {
        member: *member,
        hash: hashes.get(place).cloned(),
    });
    votes.collect()
}

/// The hashes that enough of the lists begin with.
fn prefix(said: &[(usize, Vec<BlockHash>)], agree: usize) -> Vec<BlockHash> {
    let agreed = (0..).map_while(|place| match count(&votes_at(said, place), agree) {
        Count::Agreed(hash, _) => Some(hash),
        Count::Absent | Count::Split => None,
    });
    agreed.collect()
}
