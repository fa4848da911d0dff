//! What every handler gets.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use paywatch_domain::{Catalogue, ChainName, Clock, Entropy, UnixMillis};
use paywatch_engine::commands::Commands;
use paywatch_store::{MasterKey, Store};

use crate::entropy::RequestEntropy;
use crate::meter::Meter;

/// Renders all metrics as Prometheus text.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What every handler gets. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// What changes things.
    pub commands: Commands,
    /// What is read.
    pub store: Store,
    /// Chains and assets of this installation.
    pub catalogue: Arc<Catalogue>,
    /// Chains that this process itself follows: it is not ready while one of them cannot be read.
    pub followed: Arc<[ChainName]>,
    /// Checks the seals of API keys.
    pub master: Arc<MasterKey>,
    /// The time of each request.
    pub clock: Arc<dyn Clock>,
    /// Randomness of ids and secrets.
    pub entropy: Arc<Mutex<dyn Entropy>>,
    /// How often each key may ask.
    pub meter: Arc<Meter>,
    /// Proxies in front of the API, whose word is taken for where a request comes from.
    pub proxies: Arc<[IpNet]>,
    /// What `/metrics` answers.
    pub render_metrics: RenderMetrics,
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState").finish_non_exhaustive()
    }
}

impl ApiState {
    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Uses the source of randomness; a panic elsewhere does not make it less random.
    pub(crate) fn with_entropy<T>(&self, make: impl FnOnce(&mut dyn Entropy) -> T) -> T {
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        make(&mut *entropy)
    }

    /// Randomness for one request.
    pub(crate) fn request_entropy(&self) -> RequestEntropy {
        self.with_entropy(|entropy| RequestEntropy::drawn(entropy))
    }
}
