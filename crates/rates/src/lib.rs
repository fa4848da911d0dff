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
use paywatch_domain::Pair;
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
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("pointers", &self.pointers)
            .finish_non_exhaustive()
    }
}
