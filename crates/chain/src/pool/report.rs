//! What people see of a pool: the state of each endpoint, in the log, in metrics and in errors.

use super::EndpointPool;
use super::member::Member;
use super::vote::Vote;
use crate::error::{Retry, SourceError};
use crate::source::{Health, Source};
use crate::status::{Condition, MemberStatus};

impl<S: Source> EndpointPool<S> {
    /// What is known of each endpoint, in the order in which they are configured.
    pub fn members(&self) -> Vec<MemberStatus> {
        let known: Vec<_> = self.members.iter().map(Member::known).collect();
        let tips = known.iter().filter_map(|known| known.tip());
        let best = tips.map(|tip| tip.height).max().unwrap_or_default();
        let leader = self.state().leader;
        let members = self.members.iter().zip(known).enumerate();
        let members = members.map(|(number, (member, known))| {
            let condition = known.condition();
            let is_resting = known.is_resting();
            let (version, tip) = match known.health {
                Some(health) => (Some(health.version), Some(health.tip)),
                None => (None, None),
            };
            MemberStatus {
                name: member.name.clone(),
                condition,
                is_leading: number == leader,
                is_resting,
                offers: member.source.offers(),
                lag_blocks: tip.as_ref().map(|tip| best.saturating_sub(tip.height)),
                version,
                tip,
                errors: known.errors,
                last_error: known.last_error,
            }
        });
        members.collect()
    }

    /// Notes a failed request of an endpoint.
    pub(super) fn note_error(&self, member: &Member<S>, error: &SourceError) {
        if !member.note_error(error) {
            return;
        }
        metrics::counter!(
            "pw_endpoint_errors_total",
            "chain" => self.chain.to_string(),
            "endpoint" => member.name.clone(),
            "code" => error.code()
        )
        .increment(1);
        tracing::debug!(chain = %self.chain, endpoint = member.name, %error, "an endpoint failed");
    }

    /// Notes what an endpoint says of itself.
    pub(super) fn note_health(&self, member: &Member<S>, health: &Result<Health, SourceError>) {
        if let Err(error) = health {
            self.note_error(member, error);
        }
        member.note_health(health);
    }

    /// Shows how the endpoints are; in the log what has changed.
    pub(super) fn show(&self) {
        let members = self.members();
        let chain = self.chain.as_str();
        for member in &members {
            let labels = [
                ("chain", chain.to_owned()),
                ("endpoint", member.name.clone()),
            ];
            let is_up = matches!(member.condition, Condition::Well | Condition::Distrusted);
            let lag = u32::try_from(member.lag_blocks.unwrap_or_default()).unwrap_or(u32::MAX);
            metrics::gauge!("pw_endpoint_up", &labels).set(f64::from(u8::from(is_up)));
            metrics::gauge!("pw_endpoint_lag_blocks", &labels).set(f64::from(lag));
        }
        // Of an only endpoint the worker tells.
        if 1 < members.len() {
            let conditions = members.iter().map(|member| Some(member.condition));
            let told = std::mem::replace(&mut self.state().told, conditions.collect());
            let told = told.into_iter().chain(std::iter::repeat(None));
            for (member, told) in members.iter().zip(told) {
                self.tell(member, told);
            }
        }
    }

    fn tell(&self, member: &MemberStatus, told: Option<Condition>) {
        let (chain, endpoint, condition) = (&self.chain, &member.name, member.condition);
        match condition {
            _ if told == Some(condition) => {}
            Condition::Unasked => {}
            Condition::Well if told.is_none() => {
                tracing::debug!(%chain, endpoint, "an endpoint answers");
            }
            Condition::Well => tracing::info!(%chain, endpoint, "an endpoint is well again"),
            Condition::Lost | Condition::Distrusted | Condition::WrongNetwork => {
                let error = member.last_error.as_ref().map(ToString::to_string);
                tracing::warn!(%chain, endpoint, error, "an endpoint {condition}");
            }
        }
    }

    /// Tells in the log that the endpoints contradict each other, or that they agree again.
    pub(super) fn tell_split(&self, error: Option<&SourceError>) {
        let is_split = match error {
            None => false,
            Some(SourceError::Disagreement { .. }) => true,
            // Nobody knows as long as too few are asked.
            Some(_) => return,
        };
        let was_split = std::mem::replace(&mut self.state().is_split, is_split);
        match error {
            Some(error) if !was_split => {
                tracing::error!(chain = %self.chain, %error, "endpoints contradict each other");
            }
            None if was_split => tracing::info!(chain = %self.chain, "endpoints agree again"),
            _ => {}
        }
    }

    /// That so few endpoints answer, and what is wrong with the others. Where the same is wrong with all of
    /// them and somebody has to change it, that is what is wrong with the chain.
    pub(super) fn too_few(&self, answering: usize) -> SourceError {
        if let Some(error) = self.common_fault() {
            return error;
        }
        let failed = self.members.iter().filter_map(|member| {
            let known = member.known();
            let condition = known.condition();
            let is_failed = condition != Condition::Well || known.is_blamed();
            let detail = match &known.last_error {
                Some(error) => error.to_string(),
                None => condition.to_string(),
            };
            is_failed.then(|| format!("{}: {detail}", member.name))
        });
        let failed: Vec<String> = failed.collect();
        SourceError::TooFew {
            chain: self.chain.clone(),
            answering,
            members: self.members.len(),
            agree: self.agree,
            detail: failed.join("; "),
        }
    }

    /// What no endpoint answers for, before somebody changes the nodes or the configuration: that of the
    /// first.
    fn common_fault(&self) -> Option<SourceError> {
        let members = self.members.iter().map(Member::known);
        let faults = members.map(|known| match known.condition() {
            Condition::Lost | Condition::WrongNetwork => known.last_error,
            Condition::Unasked | Condition::Well | Condition::Distrusted => None,
        });
        let faults: Vec<SourceError> = faults.collect::<Option<_>>()?;
        let first = faults.first()?;
        let is_common = faults.iter().all(|fault| fault.code() == first.code());
        (is_common && first.retry() == Retry::AfterChange).then(|| first.clone())
    }

    /// That endpoints contradict each other, and how.
    pub(super) fn disagreement(&self, height: u64, votes: &[Vote]) -> SourceError {
        let said = votes.iter().filter_map(|vote| {
            let member = self.members.get(vote.member)?;
            let hash = vote.hash.as_ref().map_or("nothing", |hash| hash.as_str());
            Some(format!("{} says {hash}", member.name))
        });
        SourceError::Disagreement {
            chain: self.chain.clone(),
            height,
            agree: self.agree,
            detail: said.collect::<Vec<String>>().join(", "),
        }
    }
}
