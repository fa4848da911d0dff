//! The `paywatch` binary: configuration, wiring, the drive loop, lifecycle, telemetry, subcommands.

mod client;
mod commands;
mod config;
mod drive;
mod output;
mod progress;
mod sole;
mod system;
mod telemetry;
mod wiring;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::Output;

/// A self-hosted, non-custodial payment watcher.
#[derive(Parser)]
#[command(name = "paywatch", version, propagate_version = true)]
struct Arguments {
    /// Configuration file; `paywatch.toml` in this folder when there is one.
    #[arg(
        long,
        short,
        env = "PAYWATCH_CONFIG",
        global = true,
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
    /// Print JSON instead of tables and sentences.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Follow the chains, answer the API, send webhooks (default).
    Serve(commands::serve::Arguments),
    /// Write a commented configuration and a master key into a folder.
    Init(commands::init::Arguments),
    /// Read the configuration and say everything that is wrong with it.
    Check,
    /// Look at nodes, database and keys, and say what is wrong.
    Doctor,
    /// Bring the database to this version's schema.
    Migrate,
    /// API keys.
    Keys(commands::keys::Arguments),
    /// Seal and encrypt everything again after the master key was replaced.
    Reseal,
    /// The audit log: who did what, and whether nobody has changed it.
    Audit(commands::audit::Arguments),
    /// Wallets: public keys that addresses are derived from.
    Wallet(commands::wallet::Arguments),
    /// Chains: how far they were read; resume a halted one, read blocks again.
    Chains(commands::chains::Arguments),
    /// What a person has to decide.
    Exceptions(commands::exceptions::Arguments),
    /// Webhook endpoints, what was sent to them, and events for a backend on this machine.
    Webhook(commands::webhook::Arguments),
    /// What was said, in order.
    Events(commands::events::Arguments),
    /// Invoices.
    Invoice(commands::invoice::Arguments),
    /// What was asked of chains and takes time: how far it is; withdraw it.
    Request(commands::request::Arguments),
}

fn main() -> ExitCode {
    // alloy, sqlx and others enable two providers between them; TLS needs one to be chosen.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return fail(&anyhow::anyhow!("a TLS provider was installed already"));
    }
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("no runtime")),
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let output = Output {
        json: arguments.json,
    };
    let file = arguments.config.as_deref();
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let load = || config::load(file, &environment);
    match arguments
        .command
        .unwrap_or(Command::Serve(commands::serve::Arguments::default()))
    {
        Command::Serve(arguments) => commands::serve::run(load()?, arguments).await,
        Command::Init(arguments) => commands::init::run(output, &arguments),
        Command::Check => commands::check::run(output, load()),
        Command::Doctor => commands::doctor::run(output, load()?).await,
        Command::Migrate => commands::migrate::run(output, &load()?).await,
        Command::Keys(arguments) => commands::keys::run(output, &load()?, arguments).await,
        Command::Reseal => commands::reseal::run(output, &load()?).await,
        Command::Audit(arguments) => commands::audit::run(output, load, arguments).await,
        Command::Wallet(arguments) => commands::wallet::run(output, arguments).await,
        Command::Chains(arguments) => commands::chains::run(output, arguments).await,
        Command::Exceptions(arguments) => commands::exceptions::run(output, arguments).await,
        Command::Webhook(arguments) => commands::webhook::run(output, arguments).await,
        Command::Events(arguments) => commands::events::run(output, arguments).await,
        Command::Invoice(arguments) => commands::invoice::run(output, arguments).await,
        Command::Request(arguments) => commands::request::run(output, arguments).await,
    }
}

#[expect(
    clippy::print_stderr,
    reason = "errors of the command line go to standard error"
)]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
