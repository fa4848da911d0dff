//! `cargo xtask`: everything a developer does with this repository, in one program.
//!
//! It sets up what the project needs, then runs other programs; it has almost no code of its own.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask talks to a person"
)]

mod bench;
mod defects;
mod demo;
mod nodes;
mod openapi;
mod paths;
mod progress;
mod run;
mod setup;
mod sim;
mod test;
mod tidy;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  setup [--for nodes|demo|test] install what is missing: bitcoind (built once), Postgres, test tools
  nodes up|down                 start or stop a local regtest bitcoind to play with
  demo [--keep]                 a real node pays real invoices; the backend verifies the webhooks
  test [FILTER] [--full]        every check and every test; with FILTER only the tests whose name holds it
  bench [--quick] [NAME ...]    benchmarks
  sim [--seeds N] [--seed S] [--jobs J] ...
                                simulated worlds with faults and crashes, looked at by an auditor
  sim --defects [NAME ...] [--jobs J]
                                proves that it finds bugs: puts known mistakes into a copy of the code
  openapi                       write docs/openapi.json from the code
  tidy                          the rules of this repository that no other tool checks

What setup installs lives outside the checkout: $PAYWATCH_CACHE, else $XDG_CACHE_HOME/paywatch,
else ~/.cache/paywatch.
";

/// Exit status of a command line that could not be understood.
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else {
        eprint!("{USAGE}");
        return ExitCode::from(USAGE_ERROR);
    };
    match dispatch(command, rest) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::from(if error.is::<Usage>() { USAGE_ERROR } else { 1 })
        }
    }
}

fn dispatch(command: &str, rest: &[String]) -> Result<ExitCode> {
    match command {
        "setup" => setup::command(rest),
        "nodes" => nodes::command(rest),
        "demo" => demo::command(rest),
        "test" => test::command(rest),
        "bench" => bench::command(rest),
        "sim" => sim::command(rest),
        "openapi" => openapi::command(rest),
        "tidy" => tidy::command(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => usage(format!(
            "there is no command {command:?}; see cargo xtask help"
        )),
    }
}

/// A command line that could not be understood, told apart from work that failed.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn usage<T>(message: impl Into<String>) -> Result<T> {
    bail!(Usage(message.into()))
}
