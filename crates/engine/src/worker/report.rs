//! What people see of a worker: the node's state, and how fast it catches up.

use paywatch_chain::{Source, SourceError};
use paywatch_domain::{BlockRef, UnixMillis};
use paywatch_store::chains::{News, Problem};

use super::Parts;
use super::following::Following;
use crate::units::Report;

/// While catching up the speed is shown this often, in milliseconds.
const SHOWN_MS: i64 = 1_000;

/// A node that has been behind for so long is shown as a problem, in milliseconds.
const BEHIND_MS: i64 = 30_000;

/// Shows a number; one beyond 32 bits is shown as the largest.
fn set_gauge(name: &'static str, chain: &str, number: u64) {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    metrics::gauge!(name, "chain" => chain.to_owned()).set(f64::from(number));
}

/// What is wrong with a node, as people see it.
pub(super) fn shown(error: &SourceError) -> Problem {
    Problem {
        code: error.code().into(),
        text: error.to_string(),
    }
}

impl<S: Source> Following<S> {
    /// What to say of a node that answers: it is behind, or does not tell what accounts hold.
    pub(super) fn problem(
        &mut self,
        parts: &Parts,
        tip: &BlockRef,
        now: UnixMillis,
    ) -> Option<SourceError> {
        let lagging = self.lagging(parts, tip, now);
        lagging.or_else(|| self.balances.problem.clone())
    }

    /// Whether the node answers and is of its chain, as far as is known.
    pub(super) fn is_well(&self) -> bool {
        let of_looks = self.balances.problem.as_ref().map(SourceError::code);
        self.follower.tip().is_some() && (self.reported.is_none() || self.reported == of_looks)
    }

    /// What to say of a node that has been behind for long; endpoints that take turns are so for moments.
    fn lagging(&mut self, parts: &Parts, tip: &BlockRef, now: UnixMillis) -> Option<SourceError> {
        if !self.follower.is_behind() {
            self.behind_since = None;
            return None;
        }
        let since = *self.behind_since.get_or_insert(now);
        let read = self.follower.cursor()?.height;
        (BEHIND_MS <= now.ms_since(since)).then(|| SourceError::Behind {
            chain: parts.spec.name.clone(),
            found: tip.height,
            read,
        })
    }

    /// Shows that the cursor stands at a height now; answers how far that is from the node's tip.
    pub(super) async fn show_advance(
        &mut self,
        parts: &Parts,
        height: u64,
        now: UnixMillis,
    ) -> u64 {
        let tip = self.follower.tip().map_or(height, |tip| tip.height);
        let behind = tip.saturating_sub(height);
        self.speed.note(now, height);
        let per_minute = self.speed.blocks_per_minute().filter(|_| 0 < behind);
        let left_s = match per_minute {
            Some(per_minute) if 0 < per_minute => behind.saturating_mul(60) / per_minute,
            Some(_) | None => 0,
        };
        let label = parts.spec.name.as_str();
        set_gauge("pw_chain_tip_height", label, height);
        set_gauge("pw_chain_blocks_done", label, self.blocks_done(height));
        set_gauge("pw_chain_lag_blocks", label, behind);
        set_gauge(
            "pw_chain_catch_up_blocks_per_minute",
            label,
            per_minute.unwrap_or(0),
        );
        set_gauge("pw_chain_catch_up_seconds", label, left_s);
        if 0 < behind && SHOWN_MS <= now.ms_since(self.reported_at) {
            self.report(parts, None, now).await;
        }
        behind
    }

    /// How many blocks were read up to a height, without a gap.
    fn blocks_done(&self, height: u64) -> u64 {
        let first = self.first_height.filter(|first| *first <= height);
        first.map_or(0, |first| height.saturating_sub(first).saturating_add(1))
    }

    /// Shows the node's state to people. What cannot be shown now is shown with the next change.
    pub(super) async fn report(
        &mut self,
        parts: &Parts,
        problem: Option<&SourceError>,
        now: UnixMillis,
    ) {
        let code = problem.map(SourceError::code);
        let is_behind = !self.follower.is_at_tip();
        let report = Report {
            chain: parts.spec.name.clone(),
            fence: self.lease.fence,
            news: News {
                tip_height: self.follower.tip().map(|tip| tip.height),
                problem: problem.map(shown),
                blocks_per_minute: self.speed.blocks_per_minute().filter(|_| is_behind),
            },
            now,
        };
        match parts.store.write(report).await {
            Ok(()) => {
                self.reported = code;
                self.reported_at = now;
            }
            Err(error) => tracing::warn!(%error, "the node's state could not be recorded"),
        }
    }
}
