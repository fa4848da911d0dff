//! `cargo xtask setup`: installs what is missing, once, and says what is there.

mod anvil;
mod bitcoind;
mod cargo_tools;
mod compose;
mod debian;
mod node_tools;
mod postgres;
mod python;
mod surfpool;

use crate::paths;
use crate::progress::short;
use crate::run::Environment;
use anyhow::Result;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

pub(crate) use compose::program as compose_program;

/// What the installed parts are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The Bitcoin node alone.
    Nodes,
    /// The nodes and the webhook verifiers.
    Demo,
    /// Also Postgres and the tools that check code and compose files.
    Test,
}

/// A part that is in place: its name, its version, where it lies.
pub(crate) struct Part {
    name: &'static str,
    version: String,
    place: String,
}

impl Part {
    fn new(name: &'static str, version: impl Into<String>, place: impl Into<String>) -> Self {
        Self {
            name,
            version: version.into(),
            place: place.into(),
        }
    }
}

/// `setup [--for nodes|demo|test|all]`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let purpose = match words[..] {
        [] | ["--for", "test" | "all"] | ["--for=test" | "--for=all"] => Purpose::Test,
        ["--for", "demo"] | ["--for=demo"] => Purpose::Demo,
        ["--for", "nodes"] | ["--for=nodes"] => Purpose::Nodes,
        _ => return crate::usage("expected: setup [--for nodes|demo|test|all]"),
    };
    ensure(purpose)?;
    Ok(ExitCode::SUCCESS)
}

/// Installs what is missing and gives the environment that the other commands pass on.
pub(crate) fn ensure(purpose: Purpose) -> Result<Environment> {
    let started = Instant::now();
    let cache = paths::cache()?;
    let _lock = lock(&cache)?;
    let mut parts = Vec::new();
    let mut environment: Environment = vec![("PAYWATCH_CACHE", cache.clone().into())];

    let (part, program) = bitcoind::ensure(&cache)?;
    report(&mut parts, part);
    environment.push(("BITCOIND_EXE", program.into()));

    if purpose != Purpose::Nodes {
        let (part, program) = anvil::ensure(&cache)?;
        report(&mut parts, part);
        environment.push(("ANVIL_EXE", program.into()));

        let (part, module) = surfpool::ensure(&cache)?;
        report(&mut parts, part);
        environment.push(("PAYWATCH_SURFPOOL", module.into()));

        let (part, interpreter) = python::ensure(&cache)?;
        report(&mut parts, part);
        environment.push(("PAYWATCH_PYTHON", interpreter.into()));

        let (part, modules) = node_tools::ensure(&cache)?;
        report(&mut parts, part);
        environment.push(("PAYWATCH_NODE_MODULES", modules.into()));
    }
    if purpose == Purpose::Test {
        let (part, folder) = postgres::ensure()?;
        report(&mut parts, part);
        environment.push(("POSTGRES_BIN", folder.into()));

        for part in cargo_tools::ensure(&cache)? {
            report(&mut parts, part);
        }
        environment.push(("PATH", cargo_tools::path_with(&cache)?));
        report(&mut parts, compose::ensure()?);
    }
    record(&cache, &parts)?;
    eprintln!(
        "setup: everything is in place ({})",
        short(started.elapsed())
    );
    Ok(environment)
}

/// Only one set-up at a time may change the cache; the second waits and finds the work done.
fn lock(cache: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(cache.join("setup.lock"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!(
                "setup: waiting for another setup that uses {}",
                cache.display()
            );
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    Ok(file)
}

fn report(parts: &mut Vec<Part>, part: Part) {
    eprintln!(
        "setup: {:<14} {:<10} {}",
        part.name, part.version, part.place
    );
    parts.push(part);
}

/// Keeps what was used, so that a failing run can be told apart by its versions.
fn record(cache: &Path, parts: &[Part]) -> Result<()> {
    let lines: Vec<String> = parts
        .iter()
        .map(|part| format!("{}\t{}\t{}\n", part.name, part.version, part.place))
        .collect();
    std::fs::write(cache.join("versions.tsv"), lines.concat())?;
    Ok(())
}
