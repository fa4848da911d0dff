//! A poll of all endpoints, and the tip that enough of them have.

use std::time::Duration;

use futures_util::future::join_all;
use paywatch_domain::BlockRef;

use super::vote::{Count, Vote, count, height_of};
use super::{EndpointPool, Served};
use crate::error::SourceError;
use crate::source::{Health, Source};
use crate::status::Condition;

/// How long an endpoint may take to answer a poll.
const ANSWER: Duration = Duration::from_secs(5);
/// How long one that gave no answer the last time may: all others wait for it.
const ANSWER_AGAIN: Duration = Duration::from_secs(2);
/// Blocks below the highest common height at which endpoints may still be of several minds: competing
/// blocks of the last few heights are daily life.
const SPLIT_MAX: u64 = 8;

/// An endpoint that answered, with what it says of itself.
type Elector = (usize, Health);

impl<S: Source> EndpointPool<S> {
    /// Asks all endpoints how they are; the tip that enough of them have.
    pub(super) async fn agreed_health(&self) -> Result<Health, SourceError> {
        if let Some(only) = self.only() {
            let health = only.source.health().await;
            self.note_health(only, &health);
            self.show();
            return health;
        }
        let electors = self.electors().await;
        self.show();
        if electors.len() < self.agree {
            return Err(self.too_few(electors.len()));
        }
        let elected = self.elect(&electors).await;
        self.tell_split(elected.as_ref().err());
        let served = elected?;
        let tip = served.tip.clone();
        self.state().served = Some(served);
        let order = self.order(0);
        let speaker = order.iter().find_map(|number| {
            let of = |elector: &&Elector| elector.0 == *number;
            electors.iter().find(of).map(|(_, health)| health)
        });
        let version = speaker.map_or_else(String::new, |health| health.version.clone());
        Ok(Health {
            version,
            tip,
            lowest: electors
                .iter()
                .map(|(_, health)| health.lowest)
                .min()
                .unwrap_or_default(),
        })
    }

    /// Asks all endpoints; those that answer, the preferred first. While enough others do, those that lied
    /// have no say.
    async fn electors(&self) -> Vec<Elector> {
        let members = self.members.iter();
        let resting = members.filter(|member| member.known().is_resting());
        let is_rest_allowed = self.agree <= self.members.len().saturating_sub(resting.count());
        let polls = self.members.iter().map(async |member| {
            let known = member.known();
            if is_rest_allowed && known.is_resting() {
                return None;
            }
            let patience = match known.condition() {
                Condition::Lost => ANSWER_AGAIN,
                _ => ANSWER,
            };
            let health = self.within(patience, member.source.health()).await;
            self.note_health(member, &health);
            health.ok()
        });
        let healths = join_all(polls).await;
        let mut electors: Vec<Elector> = healths
            .into_iter()
            .enumerate()
            .filter_map(|(number, health)| Some((number, health?)))
            .collect();
        let leader = self.state().leader;
        electors.sort_by_key(|(number, _)| (*number != leader, *number));
        let is_trusted = |(number, _): &Elector| {
            let member = self.members.get(*number);
            member.is_some_and(|member| member.known().is_trusted())
        };
        let trusted = electors.iter().filter(|elector| is_trusted(elector));
        if self.agree <= trusted.count() {
            electors.retain(is_trusted);
        }
        electors
    }

    /// The highest block that enough endpoints have on their chains, not far below the highest height that
    /// enough of them have reached.
    async fn elect(&self, electors: &[Elector]) -> Result<Served, SourceError> {
        let tips = electors.iter().map(|(_, health)| health.tip.height);
        let Some(top) = height_of(tips, self.agree) else {
            return Err(self.too_few(electors.len()));
        };
        let lowest = top.saturating_sub(SPLIT_MAX);
        let mut split = Vec::new();
        for height in (lowest..=top).rev() {
            let votes = self.votes(electors, height).await;
            match count(&votes, self.agree) {
                Count::Agreed(hash, voters) => {
                    let apart = votes
                        .iter()
                        .filter(|vote| vote.hash.as_ref() != Some(&hash));
                    let apart = apart.map(|vote| vote.member).collect();
                    let tip = BlockRef { height, hash };
                    return Ok(Served { tip, voters, apart });
                }
                // Somebody who has reached this height does not tell its block there.
                Count::Absent => {
                    let told = votes.iter().filter(|vote| vote.hash.is_some());
                    return Err(self.too_few(told.count()));
                }
                Count::Split => split = votes,
            }
        }
        Err(self.disagreement(lowest, &split))
    }

    /// What the endpoints that have reached a height have there.
    async fn votes(&self, electors: &[Elector], height: u64) -> Vec<Vote> {
        let reached = electors
            .iter()
            .filter(|(_, health)| height <= health.tip.height);
        let above: Vec<usize> = reached
            .clone()
            .filter(|(_, health)| height < health.tip.height)
            .map(|(number, _)| *number)
            .collect();
        let told = self
            .each(&above, ANSWER, move |source| source.hash_at(height))
            .await;
        let votes = reached.filter_map(|(member, health)| {
            let hash = if health.tip.height == height {
                Some(health.tip.hash.clone())
            } else {
                let told = told.iter().find(|(number, _)| number == member);
                told?.1.clone()
            };
            let member = *member;
            Some(Vote { member, hash })
        });
        votes.collect()
    }
}
