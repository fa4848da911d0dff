//! Putting the parts together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use paywatch_api::ApiState;
use paywatch_chain::Derivation;
use paywatch_chain_bitcoin::{BitcoinDerivation, BitcoinSource};
use paywatch_domain::{Catalogue, Entropy as _, Family};
use paywatch_engine::commands::{CommandParts, Commands};
use paywatch_engine::high_water::{HighWater, HighWaterFolder};
use paywatch_engine::housekeeping::Housekeeper;
use paywatch_engine::worker::{ChainWorker, Pace, Parts};
use paywatch_store::{MasterKey, Options, Store, Writer};
use paywatch_webhook::{Deliverer, EgressRules, Guard, Schedule, Sender};
use paywatch_wire::request::NamedPolicies;

use crate::config::{BitcoinEndpoint, Config, Settings};
use crate::sole::{self, SoleUse};
use crate::system::{SystemClock, SystemEntropy, compute, monotonic_clock};

/// How long a chain's lease is held without being renewed.
const LEASE_MS: i64 = 15_000;
/// The first wait after an error of a node.
const RETRY_MS: i64 = 500;

/// What every part of a running process shares.
pub(crate) struct House {
    pub(crate) settings: Settings,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) bitcoin: Vec<BitcoinEndpoint>,
    pub(crate) policies: NamedPolicies,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) store: Store,
    /// The lock of a database that only one process may serve.
    sole_use: Option<SoleUse>,
}

/// Opens the database.
pub(crate) async fn open_store(settings: &Settings) -> anyhow::Result<(Store, Writer)> {
    let options = Options {
        read_connections: settings.connections,
        write_connections: settings.connections,
        ..Options::default()
    };
    Store::open(&settings.database_url, options)
        .await
        .context("the database cannot be opened")
}

impl House {
    /// Opens what a running process needs; `sole_use` is the lock of a database that needs one.
    pub(crate) async fn open(
        config: Config,
        sole_use: Option<SoleUse>,
    ) -> anyhow::Result<(Self, Writer)> {
        let Config {
            mut settings,
            catalogue,
            bitcoin,
            policies,
        } = config;
        let master = settings.master_key.take().context(
            "there is no master key: `paywatch init` makes one, or set PAYWATCH_MASTER_KEY",
        )?;
        let (store, writer) = open_store(&settings).await?;
        let house = Self {
            settings,
            catalogue: Arc::new(catalogue),
            bitcoin,
            policies: NamedPolicies::new(policies.into_values()),
            master: Arc::new(master),
            store,
            sole_use,
        };
        Ok((house, writer))
    }

    fn egress(&self) -> EgressRules {
        EgressRules {
            networks_allowed: self.settings.webhooks.allow_networks.clone(),
            http_allowed: self.settings.webhooks.allow_http,
        }
    }

    fn bitcoin_derivation(&self) -> Arc<dyn Derivation> {
        let bitcoin = self
            .catalogue
            .chains()
            .filter(|chain| chain.family == Family::Bitcoin);
        let networks = bitcoin.filter_map(|chain| {
            let network = paywatch_chain_bitcoin::Network::from_caip2(&chain.caip2)?;
            Some((chain.name.clone(), network))
        });
        Arc::new(BitcoinDerivation::new(networks))
    }

    fn high_water(&self) -> anyhow::Result<Arc<dyn HighWater>> {
        let folder = &self.settings.state_folder;
        let marks = HighWaterFolder::open(folder)
            .with_context(|| format!("{} cannot be used", folder.display()))?;
        Ok(Arc::new(marks))
    }

    /// What merchants and operators ask for.
    pub(crate) fn commands(&self) -> anyhow::Result<Commands> {
        let derivation = self.bitcoin_derivation();
        let high_water = self.high_water()?;
        let guard = Guard::new(self.egress());
        Ok(Commands::new(CommandParts {
            store: self.store.clone(),
            catalogue: Arc::clone(&self.catalogue),
            derivations: BTreeMap::from([(Family::Bitcoin, derivation)]),
            policies: self.policies.clone(),
            master: Arc::clone(&self.master),
            high_water,
            url_check: Arc::new(move |url| {
                guard
                    .read_url(url)
                    .map(drop)
                    .map_err(|refused| refused.to_string())
            }),
        }))
    }

    /// The HTTP API; `follows` says which chains this process reads by itself.
    pub(crate) fn api(
        &self,
        render_metrics: Arc<dyn Fn() -> String + Send + Sync>,
        follows: impl Fn(&str) -> bool,
    ) -> anyhow::Result<axum::Router> {
        let followed = self
            .bitcoin
            .iter()
            .map(|endpoint| endpoint.config.chain.clone());
        Ok(paywatch_api::router(ApiState {
            commands: self.commands()?,
            store: self.store.clone(),
            catalogue: Arc::clone(&self.catalogue),
            followed: followed.filter(|name| follows(name.as_str())).collect(),
            master: Arc::clone(&self.master),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(Mutex::new(SystemEntropy)),
            render_metrics,
        }))
    }

    /// One worker for each Bitcoin chain that has a node and is wanted here.
    pub(crate) fn bitcoin_workers(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Vec<ChainWorker<BitcoinSource>>> {
        let mut workers = Vec::new();
        let derivation = self.bitcoin_derivation();
        let high_water = self.high_water()?;
        for endpoint in &self.bitcoin {
            let name = &endpoint.config.chain;
            if !wanted(name.as_str()) {
                continue;
            }
            let spec = self
                .catalogue
                .chain(name)
                .context("a followed chain is in the catalogue")?;
            let source = BitcoinSource::new(endpoint.config.clone())
                .with_context(|| format!("chain {name}"))?
                .with_compute(compute());
            let parts = Parts {
                store: self.store.clone(),
                spec: Arc::new(spec.clone()),
                pace: Pace {
                    poll_ms: endpoint.poll_ms,
                    lease_ms: LEASE_MS,
                    retry_ms: RETRY_MS,
                },
                master: Arc::clone(&self.master),
                entropy: Box::new(SystemEntropy),
                holder: self.holder(),
                derivation: Arc::clone(&derivation),
                high_water: Arc::clone(&high_water),
            };
            workers.push(ChainWorker::new(Arc::new(source), parts));
        }
        Ok(workers)
    }

    /// Sends webhooks. Where no other process does, what the last one had begun is due again.
    pub(crate) async fn deliverer(&self) -> anyhow::Result<Deliverer<Sender>> {
        let webhooks = &self.settings.webhooks;
        let waits = webhooks
            .schedule_s
            .iter()
            .map(|wait_s| wait_s.saturating_mul(1000));
        let schedule = Schedule::new(waits.collect()).context("webhooks.schedule_s")?;
        let sender = Sender::new(self.egress(), monotonic_clock())?;
        let settings = paywatch_webhook::Settings {
            schedule,
            timeout: Duration::from_millis(webhooks.timeout_ms),
            disable_after_ms: webhooks.disable_after_s.saturating_mul(1000),
        };
        let entropy = Box::new(SystemEntropy);
        let (store, master) = (self.store.clone(), Arc::clone(&self.master));
        let mut deliverer = Deliverer::new(store, master, sender, settings, entropy);
        if self.sole_use.is_some() {
            deliverer.release_claims().await?;
        }
        Ok(deliverer)
    }

    /// What time alone brings about.
    pub(crate) fn housekeeper(&self) -> Housekeeper {
        let (store, master) = (self.store.clone(), Arc::clone(&self.master));
        Housekeeper::new(store, master, Box::new(SystemEntropy))
    }

    /// Who this process is to others: distinct for each start where there can be others.
    fn holder(&self) -> String {
        match self.sole_use {
            Some(_) => sole::HOLDER.to_owned(),
            None => format!("{}-{:x}", std::process::id(), SystemEntropy.bits()),
        }
    }
}
