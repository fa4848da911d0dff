//! Sources of rates: asked in the background, read exactly, and kept.
//!
//! [`mod@pointer`] is pure, [`fetch`] is everything that touches the network, [`collector`] is the worker that
//! connects them with the store. When a rate is believed stands in `paywatch_domain::rate`.

pub mod collector;
pub mod error;
pub mod fetch;
pub mod pointer;
mod units;

use std::collections::BTreeMap;
use std::fmt;

use http::HeaderMap;
use paywatch_domain::{Pair, RateValue, UnixMillis};
use url::Url;

pub use collector::{Collector, Settings};
pub use error::{AnswerProblem, RatesError};
pub use fetch::{Fetch, HttpFetch};
pub use pointer::Pointer;

/// One source: what is asked, and where in its answer each rate stands.
pub struct Source {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// What is asked. It may hold a secret.
    pub url: Url,
    /// Headers of the request. They may hold secrets.
    pub headers: HeaderMap,
    /// Where the rate of each pair stands.
    pub pointers: BTreeMap<Pair, Pointer>,
    /// Where the time at which a pair's rate held stands, for pairs whose source says that.
    pub times: BTreeMap<Pair, Pointer>,
}

impl Source {
    /// What an answer that arrived `now` says of a pair, and from when that is: by the source's own word where
    /// it gives one.
    ///
    /// # Errors
    /// As [`Pointer::rate`] and [`Pointer::time`]; `Ahead` when the source's clock is too far ahead of ours.
    pub fn read(
        &self,
        pair: &Pair,
        pointer: &Pointer,
        answer: &[u8],
        now: UnixMillis,
    ) -> Result<(RateValue, UnixMillis), AnswerProblem> {
        let value = pointer.rate(answer)?;
        let Some(time) = self.times.get(pair) else {
            return Ok((value, now));
        };
        let at = time.time(answer)?;
        if !at.can_have_been(now) {
            return Err(AnswerProblem::Ahead);
        }
        // A clock that is a little ahead makes nothing younger than it is.
        Ok((value, at.min(now)))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("pointers", &self.pointers)
            .finish_non_exhaustive()
    }
}
