//! `paywatch serve`: everything, or the parts that are named.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use clap::Args;
use paywatch_domain::Clock as _;
use paywatch_engine::master_check::CheckMasterKey;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::keys::OTHER_MASTER_KEY;
use crate::config::Config;
use crate::drive::drive;
use crate::sole::SoleUse;
use crate::system::SystemClock;
use crate::telemetry;
use crate::wiring::House;

#[derive(Args, Default)]
pub(crate) struct Arguments {
    /// Only these parts: api, webhook, jobs, chain:NAME, separated by commas. Everything when it is missing.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Which parts run in this process.
struct Selection(BTreeSet<String>);

impl Selection {
    fn read(arguments: Arguments, config: &Config) -> anyhow::Result<Self> {
        for part in &arguments.only {
            let chain = part.strip_prefix("chain:");
            let followed = |name: &str| {
                let mut followed = config.followed.iter();
                followed.any(|followed| followed.chain.as_str() == name)
            };
            let known =
                matches!(part.as_str(), "api" | "webhook" | "jobs") || chain.is_some_and(followed);
            if !known {
                bail!(
                    "--only {part}: must be api, webhook, jobs, or chain:NAME of a chain with a url"
                );
            }
        }
        Ok(Self(arguments.only.into_iter().collect()))
    }

    fn has(&self, part: &str) -> bool {
        self.0.is_empty() || self.0.contains(part)
    }
}

pub(crate) async fn run(config: Config, arguments: Arguments) -> anyhow::Result<()> {
    telemetry::start(&config.settings.filter, config.settings.format)?;
    let metrics = telemetry::metrics()?;
    let selection = Selection::read(arguments, &config)?;
    // Before anything is changed: another version may be serving this file.
    let sole_use = SoleUse::take(&config.settings.database_url)?;
    let applied = paywatch_store::migrate(&config.settings.database_url, SystemClock.now())
        .await
        .context("the database's schema cannot be brought up to date")?;
    for migration in applied {
        tracing::info!(migration = migration.name, "schema changed");
    }
    let (mut house, writer) = House::open(config, sole_use).await?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let writer_stop = CancellationToken::new();
    let writer = tokio::spawn(writer.run(writer_stop.clone().cancelled_owned()));
    let check = CheckMasterKey {
        master: house.master.clone(),
        now: SystemClock.now(),
    };
    if !house.store.write(check).await? {
        bail!(OTHER_MASTER_KEY);
    }

    let is_wanted = |chain: &str| selection.has(&format!("chain:{chain}"));
    for task in house.chain_tasks(&stop, is_wanted)? {
        start(&tasks, &stop, task);
    }
    if selection.has("jobs") {
        start(&tasks, &stop, drive(house.housekeeper(), stop.clone()));
        if let Some(collector) = house.collector()? {
            start(&tasks, &stop, drive(collector, stop.clone()));
        }
    }
    if selection.has("webhook") {
        start(&tasks, &stop, drive(house.deliverer().await?, stop.clone()));
    }
    if selection.has("api") {
        let listen = house.settings.server.listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("server.listen: {listen} cannot be used"))?;
        tracing::info!(address = %listener.local_addr()?, "the API listens");
        let follows = |chain: &str| selection.has(&format!("chain:{chain}"));
        let router = house.api(std::sync::Arc::new(move || metrics.render()), follows)?;
        let stopped = stop.clone().cancelled_owned();
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        let service = axum::serve(listener, router).with_graceful_shutdown(stopped);
        start(&tasks, &stop, async move {
            if let Err(error) = service.await {
                tracing::error!(%error, "the API stopped");
            }
        });
    }
    tasks.close();
    let asked = wait_for_end(&stop).await;
    tasks.wait().await;
    writer_stop.cancel();
    writer.await.context("the database writer failed")?;
    house.store.close().await;
    if asked {
        tracing::info!("stopped");
        Ok(())
    } else {
        bail!("a part of the process ended by itself; see the log")
    }
}

/// Starts a task; when it ends by itself, everything stops.
fn start(
    tasks: &TaskTracker,
    stop: &CancellationToken,
    task: impl Future<Output = ()> + Send + 'static,
) {
    let guard = stop.clone().drop_guard();
    tasks.spawn(async move {
        let _guard = guard;
        task.await;
    });
}

/// Waits for a signal or for a task that ended; `true` when somebody asked for the end. A second
/// signal ends the process at once: everything that was answered is on the disk.
async fn wait_for_end(stop: &CancellationToken) -> bool {
    let asked = tokio::select! {
        () = signal() => true,
        () = stop.cancelled() => false,
    };
    stop.cancel();
    tracing::info!("stopping; once more to stop at once");
    tokio::spawn(async {
        signal().await;
        std::process::exit(130);
    });
    asked
}

/// Waits for Ctrl-C or the signal by which services are stopped.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
