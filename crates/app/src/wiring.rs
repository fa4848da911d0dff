//! Putting the parts together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use paywatch_api::ApiState;
use paywatch_chain::{BoxFuture, Derivation, EndpointPool, Source, rpc};
use paywatch_chain_bitcoin::{BitcoinDerivation, BitcoinSource, Network};
use paywatch_chain_evm::{EvmDerivation, EvmSource};
use paywatch_chain_solana::{SolanaDerivation, SolanaSource};
use paywatch_domain::{Catalogue, ChainName, Entropy as _, Family};
use paywatch_engine::commands::{CommandParts, Commands};
use paywatch_engine::high_water::{HighWater, HighWaterFolder};
use paywatch_engine::housekeeping::Housekeeper;
use paywatch_engine::worker::{ChainWorker, Pace, Parts};
use paywatch_rates::{Collector, HttpFetch};
use paywatch_store::{MasterKey, Options, Store, Writer};
use paywatch_webhook::{Deliverer, EgressRules, Guard, Schedule, Sender};
use paywatch_wire::request::NamedPolicies;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Endpoints, Followed, RateSettings, Settings};
use crate::drive::drive;
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
    pub(crate) followed: Vec<Followed>,
    derivations: BTreeMap<Family, Arc<dyn Derivation>>,
    pub(crate) policies: NamedPolicies,
    rates: RateSettings,
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
            networks,
            chain_ids,
            followed,
            policies,
            rates,
        } = config;
        let master = settings.master_key.take().context(
            "there is no master key: `paywatch init` makes one, or set PAYWATCH_MASTER_KEY",
        )?;
        let (store, writer) = open_store(&settings).await?;
        let derivations = derivations(networks, chain_ids, &catalogue);
        let house = Self {
            settings,
            catalogue: Arc::new(catalogue),
            followed,
            derivations,
            policies: NamedPolicies::new(policies.into_values()),
            rates,
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

    fn high_water(&self) -> anyhow::Result<Arc<dyn HighWater>> {
        let folder = &self.settings.state_folder;
        let marks = HighWaterFolder::open(folder)
            .with_context(|| format!("{} cannot be used", folder.display()))?;
        Ok(Arc::new(marks))
    }

    /// What merchants and operators ask for.
    pub(crate) fn commands(&self) -> anyhow::Result<Commands> {
        let high_water = self.high_water()?;
        let guard = Guard::new(self.egress());
        Ok(Commands::new(CommandParts {
            store: self.store.clone(),
            catalogue: Arc::clone(&self.catalogue),
            derivations: self.derivations.clone(),
            policies: self.policies.clone(),
            rates: Arc::clone(&self.rates.plan),
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
        let followed = self.followed.iter().map(|followed| followed.chain.clone());
        Ok(paywatch_api::router(ApiState {
            commands: self.commands()?,
            store: self.store.clone(),
            catalogue: Arc::clone(&self.catalogue),
            followed: followed.filter(|name| follows(name.as_str())).collect(),
            master: Arc::clone(&self.master),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(Mutex::new(SystemEntropy)),
            meter: Arc::new(paywatch_api::Meter::new(self.settings.server.rate())),
            proxies: self
                .settings
                .server
                .trusted_proxies
                .iter()
                .copied()
                .collect(),
            render_metrics,
        }))
    }

    /// Follows each chain that has endpoints and is wanted here, until `stop`.
    pub(crate) fn chain_tasks(
        &self,
        stop: &CancellationToken,
        wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Vec<BoxFuture<'static, ()>>> {
        let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
        for followed in &self.followed {
            if !wanted(followed.chain.as_str()) {
                continue;
            }
            tasks.push(match &followed.endpoints {
                Endpoints::Bitcoin(configs) => {
                    let named = |config: &paywatch_chain_bitcoin::Config| {
                        Ok((rpc::place(&config.url), bitcoin_source(config)?))
                    };
                    let worker =
                        self.chain_worker(followed, configs.iter().map(named).collect())?;
                    Box::pin(drive(worker, stop.clone()))
                }
                Endpoints::Evm(configs) => {
                    let named = |config: &paywatch_chain_evm::Config| {
                        Ok((rpc::place(&config.url), evm_source(config)?))
                    };
                    let worker =
                        self.chain_worker(followed, configs.iter().map(named).collect())?;
                    Box::pin(drive(worker, stop.clone()))
                }
                Endpoints::Solana(configs) => {
                    let named = |config: &paywatch_chain_solana::Config| {
                        Ok((rpc::place(&config.url), solana_source(config)?))
                    };
                    let worker =
                        self.chain_worker(followed, configs.iter().map(named).collect())?;
                    Box::pin(drive(worker, stop.clone()))
                }
            });
        }
        Ok(tasks)
    }

    fn chain_worker<S: Source>(
        &self,
        followed: &Followed,
        endpoints: anyhow::Result<Vec<(String, S)>>,
    ) -> anyhow::Result<ChainWorker<EndpointPool<S>>> {
        let name = &followed.chain;
        let spec = self
            .catalogue
            .chain(name)
            .context("a followed chain is in the catalogue")?;
        let endpoints = endpoints.with_context(|| format!("chain {name}"))?;
        let pool = EndpointPool::new(endpoints, followed.agree)
            .with_context(|| format!("chain {name}"))?;
        let derivation = self
            .derivations
            .get(&spec.family)
            .context("a followed chain's family has addresses")?;
        let parts = Parts {
            store: self.store.clone(),
            spec: Arc::new(spec.clone()),
            pace: Pace {
                poll_ms: followed.poll_ms,
                lease_ms: LEASE_MS,
                retry_ms: RETRY_MS,
            },
            master: Arc::clone(&self.master),
            entropy: Box::new(SystemEntropy),
            holder: self.holder(),
            derivation: Arc::clone(derivation),
            high_water: self.high_water()?,
        };
        Ok(ChainWorker::new(Arc::new(pool), parts))
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

    /// Asks the sources of rates, once for each house; `None` when there is nobody to ask.
    pub(crate) fn collector(&mut self) -> anyhow::Result<Option<Collector<HttpFetch>>> {
        let rates = &mut self.rates;
        if rates.sources.is_empty() {
            return Ok(None);
        }
        let fetch = HttpFetch::new(rates.egress.clone(), rates.timeout)?;
        let settings = paywatch_rates::Settings {
            plan: Arc::clone(&rates.plan),
            sources: std::mem::take(&mut rates.sources),
            refresh_ms: rates.refresh_ms,
        };
        let (store, master) = (self.store.clone(), Arc::clone(&self.master));
        Ok(Some(Collector::new(store, master, fetch, settings)))
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

/// Addresses of every family.
fn derivations(
    networks: BTreeMap<ChainName, Network>,
    chain_ids: BTreeMap<ChainName, u64>,
    catalogue: &Catalogue,
) -> BTreeMap<Family, Arc<dyn Derivation>> {
    let bitcoin: Arc<dyn Derivation> = Arc::new(BitcoinDerivation::new(networks));
    let evm: Arc<dyn Derivation> = Arc::new(EvmDerivation::new(chain_ids));
    let clusters = catalogue
        .chains()
        .filter(|chain| chain.family == Family::Solana);
    let clusters = clusters.map(|chain| chain.name.clone());
    let solana: Arc<dyn Derivation> = Arc::new(SolanaDerivation::new(clusters));
    BTreeMap::from([
        (Family::Bitcoin, bitcoin),
        (Family::Evm, evm),
        (Family::Solana, solana),
    ])
}

/// One endpoint of a Bitcoin chain.
pub(crate) fn bitcoin_source(
    config: &paywatch_chain_bitcoin::Config,
) -> anyhow::Result<BitcoinSource> {
    Ok(BitcoinSource::new(config.clone())?.with_compute(compute()))
}

/// One endpoint of an EVM chain.
pub(crate) fn evm_source(config: &paywatch_chain_evm::Config) -> anyhow::Result<EvmSource> {
    Ok(EvmSource::new(config.clone())?.with_compute(compute()))
}

/// One endpoint of a Solana cluster.
pub(crate) fn solana_source(
    config: &paywatch_chain_solana::Config,
) -> anyhow::Result<SolanaSource> {
    Ok(SolanaSource::new(config.clone())?.with_compute(compute()))
}
