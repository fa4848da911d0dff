//! How the endpoints of a chain are, as people see it: written when it changes, not with every poll.

use std::sync::Arc;

use paywatch_chain::{MemberStatus, Source};
use paywatch_domain::UnixMillis;
use paywatch_wire::{ChainEndpoint, ChainProblem};

use super::Parts;
use super::following::Following;
use crate::units::ShowEndpoints;

/// Numbers, which change with every block, are written this often, in milliseconds.
const NUMBERS_MS: i64 = 10_000;

/// What was last written.
#[derive(Default)]
pub(super) struct Endpoints {
    shown: Vec<ChainEndpoint>,
    shown_at: Option<UnixMillis>,
}

impl Endpoints {
    /// Whether this is to be written: something else than numbers changed, or numbers did some time ago.
    fn is_news(&self, endpoints: &[ChainEndpoint], now: UnixMillis) -> bool {
        let age_ms = self.shown_at.map(|at| now.ms_since(at));
        let is_recent = age_ms.is_some_and(|ms| (0..NUMBERS_MS).contains(&ms));
        let states =
            |all: &[ChainEndpoint]| -> Vec<ChainEndpoint> { all.iter().map(state).collect() };
        endpoints != self.shown && (!is_recent || states(endpoints) != states(&self.shown))
    }
}

/// An endpoint without what changes all the time.
fn state(endpoint: &ChainEndpoint) -> ChainEndpoint {
    let last_error = endpoint.last_error.as_ref().map(|error| ChainProblem {
        code: error.code.clone(),
        detail: String::new(),
    });
    ChainEndpoint {
        tip_height: None,
        lag_blocks: None,
        errors: 0,
        last_error,
        ..endpoint.clone()
    }
}

fn form(member: MemberStatus) -> ChainEndpoint {
    ChainEndpoint {
        endpoint: member.name,
        condition: member.condition.as_str().into(),
        leading: member.is_leading,
        resting: member.is_resting,
        version: member.version,
        offers: member.offers,
        tip_height: member.tip.map(|tip| tip.height),
        lag_blocks: member.lag_blocks,
        errors: member.errors,
        last_error: member.last_error.map(|error| ChainProblem {
            code: error.code().into(),
            detail: error.to_string(),
        }),
    }
}

impl<S: Source> Following<S> {
    /// Shows people how the endpoints are. What cannot be shown now is shown with the next change.
    pub(super) async fn show_endpoints(&mut self, source: &Arc<S>, parts: &Parts, now: UnixMillis) {
        let endpoints: Vec<ChainEndpoint> = source.endpoints().into_iter().map(form).collect();
        if !self.endpoints.is_news(&endpoints, now) {
            return;
        }
        let unit = ShowEndpoints {
            chain: parts.spec.name.clone(),
            fence: self.lease.fence,
            endpoints: endpoints.clone(),
        };
        match parts.store.write(unit).await {
            Ok(()) => {
                self.endpoints.shown = endpoints;
                self.endpoints.shown_at = Some(now);
            }
            Err(error) => {
                tracing::warn!(%error, "the state of the endpoints could not be recorded");
            }
        }
    }
}
