//! `paywatch serve` on a node: configured in a temporary folder, started, killed, started again.

use crate::{
    Api, Bitcoind, FollowedChain, Paywatch, Process, SmallDisk, eventually, free_port, leaks,
    locate,
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::time::Duration;
use tempfile::TempDir;

/// A start migrates the database; a busy machine needs a while.
const READY_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Another program can take a free port before the watcher does.
const START_ATTEMPTS: u32 = 3;

/// What a configuration of the watcher says; the defaults make waits short.
#[derive(Clone, Debug)]
pub struct WatcherOptions {
    /// The database; a SQLite file in the watcher's folder when there is none.
    pub database_url: Option<String>,
    /// The node's address; the node's own when there is none, else that of a relay before it.
    pub node_url: Option<String>,
    /// The node is asked at least this often, in milliseconds.
    pub poll_ms: u32,
    /// Blocks that make a payment final.
    pub depth: u32,
    /// The deepest reorganisation that is followed, in blocks.
    pub reorg_depth_max: u32,
    /// No invoices are made when the chain was last read longer ago than this, in milliseconds.
    pub lag_ms_max: u32,
    /// Waits before each attempt of a webhook, in seconds.
    pub schedule_s: Vec<u32>,
    /// How long a receiver of webhooks may take, in milliseconds.
    pub webhook_timeout_ms: u32,
    /// Chains beside the one of the node.
    pub further_chains: Vec<FollowedChain>,
    /// Further sections of `paywatch.toml`, as they are written.
    pub further_settings: String,
    /// Bytes of a disk of its own at the folder `disk`; none when there is no number.
    pub disk_bytes: Option<u64>,
}

impl Default for WatcherOptions {
    fn default() -> Self {
        Self {
            database_url: None,
            node_url: None,
            poll_ms: 100,
            depth: 2,
            reorg_depth_max: 100,
            lag_ms_max: 600_000,
            schedule_s: vec![0, 1, 1, 1, 1, 2, 2, 2, 5, 5, 10, 10],
            webhook_timeout_ms: 5_000,
            further_chains: Vec::new(),
            further_settings: String::new(),
            disk_bytes: None,
        }
    }
}

/// A watcher with its folder and its port, which stay the same when it starts again.
#[derive(Debug)]
pub struct Watcher {
    binary: Paywatch,
    folder: TempDir,
    port: u16,
    client: reqwest::Client,
    process: Option<Process>,
    disk: Option<SmallDisk>,
}

impl Watcher {
    /// Writes a configuration for a node and starts `paywatch serve`; waits until it answers.
    pub async fn start(node: &Bitcoind, options: &WatcherOptions) -> Result<Self> {
        Self::start_on(&[bitcoin(node, options)], options).await
    }

    /// The same for chains of any family.
    pub async fn start_on(chains: &[FollowedChain], options: &WatcherOptions) -> Result<Self> {
        let mut attempt = 1;
        loop {
            let mut watcher = Self::prepare_on(chains, options).await?;
            match watcher.launch().await {
                Ok(()) => return Ok(watcher),
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Writes a configuration without starting anything.
    pub async fn prepare(node: &Bitcoind, options: &WatcherOptions) -> Result<Self> {
        Self::prepare_on(&[bitcoin(node, options)], options).await
    }

    /// The same for chains of any family.
    pub async fn prepare_on(chains: &[FollowedChain], options: &WatcherOptions) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("paywatch-watcher-")
            .tempdir()?;
        let port = free_port()?;
        fs::write(
            folder.path().join("paywatch.toml"),
            settings(port, options)?,
        )?;
        let mut sections = String::new();
        for chain in chains.iter().chain(&options.further_chains) {
            if let Some(password) = chain.password() {
                leaks::note_secret(password)?;
                fs::write(folder.path().join(chain.password_file()), password)?;
            }
            sections.push_str(&chain.section(options));
        }
        fs::write(folder.path().join("chains.toml"), sections)?;
        let mut binary = Paywatch::find()?;
        let mut disk = None;
        if let Some(bytes) = options.disk_bytes {
            let place = folder.path().join("disk");
            fs::create_dir(&place)?;
            let mounted = disk.insert(SmallDisk::mount(&place, bytes).await?);
            binary = binary.on(mounted);
        }
        let watcher = Self {
            binary,
            folder,
            port,
            client: locate::http_client()?,
            process: None,
            disk,
        };
        // It keeps the files above and adds a master key.
        let made = watcher.run(&["init", "."]).await?;
        ensure!(made.status.success(), "paywatch init: {}", said(&made));
        leaks::note_secret(&fs::read_to_string(watcher.folder().join("master.key"))?)?;
        Ok(watcher)
    }

    /// The address of its API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The folder with configuration, database and log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its small disk, when it has one.
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder().join("paywatch.toml")
    }

    /// Runs a command of the binary in the watcher's folder, to its end.
    pub async fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.binary.run(self.folder(), arguments, &[]).await
    }

    /// Makes an API key that may do everything, in mode `test` or `live`.
    pub async fn create_key(&self, mode: &str) -> Result<String> {
        let arguments = ["--json", "keys", "create", "--mode", mode];
        let output = self.run(&arguments).await?;
        ensure!(output.status.success(), "keys create: {}", said(&output));
        let made: Value = serde_json::from_slice(&output.stdout).context("keys create --json")?;
        let key = made["key"].as_str().context("a key is printed")?;
        Ok(key.to_owned())
    }

    /// A client that uses a key.
    pub fn api(&self, key: &str) -> Result<Api> {
        Api::new(&self.url(), key)
    }

    /// Starts `paywatch serve` and waits until it answers; its node may be away, so that it need not be
    /// ready. Nothing happens when it runs.
    pub async fn launch(&mut self) -> Result<()> {
        if let Some(process) = &mut self.process
            && process.status()?.is_none()
        {
            return Ok(());
        }
        let log = self.folder().join("output.log");
        let started = self.binary.spawn(self.folder(), &["serve"], &[], &log)?;
        let process = self.process.insert(started);
        let live = format!("http://127.0.0.1:{}/livez", self.port);
        let answered = eventually("paywatch to answer", READY_LIMIT, async || {
            if process.status()?.is_some() {
                return Ok(Some(false));
            }
            let answer = self.client.get(&live).send().await?;
            Ok(answer.status().is_success().then_some(true))
        });
        if !answered.await? {
            process.expect_running()?;
        }
        Ok(())
    }

    /// Kills it with no warning (SIGKILL), as a power cut or the kernel does.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill().map(drop),
            None => bail!("paywatch does not run"),
        }
    }

    /// Asks it to end (SIGTERM) and waits for it.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().context("paywatch does not run")?;
        process.terminate()?;
        let status = process.wait(STOP_LIMIT).await?;
        self.expect_no_leak()?;
        Ok(status)
    }

    /// An error when a secret of this test stands in what the watcher logged.
    pub fn expect_no_leak(&self) -> Result<()> {
        leaks::expect_no_secret("the watcher's log", &self.log())
    }

    /// An error with the end of the log, if it has ended although it should run.
    pub fn expect_running(&mut self) -> Result<()> {
        match &mut self.process {
            Some(process) => process.expect_running(),
            None => bail!("paywatch does not run"),
        }
    }

    /// Everything that it wrote so far, of all its runs.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder().join("output.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// No test passes whose watcher logged a secret.
impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.process.take());
        if let Err(error) = self.expect_no_leak()
            && !std::thread::panicking()
        {
            panic!("{error}");
        }
    }
}

/// What a command printed, both outputs.
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    format!(
        "{}: {} {}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn settings(port: u16, options: &WatcherOptions) -> Result<String> {
    let database = match &options.database_url {
        Some(url) => url.as_str(),
        None => "sqlite:paywatch.sqlite",
    };
    let schedule = serde_json::to_string(&options.schedule_s)?;
    Ok(format!(
        r#"[server]
listen = "127.0.0.1:{port}"

[database]
url = "{database}"

[webhooks]
# The merchants' backends run on this machine and have no certificates.
allow_http = true
allow_networks = ["127.0.0.0/8"]
schedule_s = {schedule}
timeout_ms = {}

{}
"#,
        options.webhook_timeout_ms, options.further_settings
    ))
}

/// The chain of a node, through a relay where there is one.
fn bitcoin(node: &Bitcoind, options: &WatcherOptions) -> FollowedChain {
    let chain = FollowedChain::bitcoin("bitcoin-regtest", node);
    match &options.node_url {
        Some(url) => chain.through(url),
        None => chain,
    }
}
