//! `cargo xtask demo`: sets up, builds, and hands over to the program `demo`.

use crate::run::Environment;
use crate::setup::{self, Purpose};
use crate::{paths, run};
use anyhow::{Context, Result};
use std::process::{Command, ExitCode};

/// `demo [ARGUMENTS OF THE DEMO]`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let environment = setup::ensure(Purpose::Demo)?;
    build(&environment)?;
    let status = Command::new(paths::built("demo")?)
        .args(arguments)
        .envs(environment)
        .env("PAYWATCH_EXE", paths::built("paywatch")?)
        .status()
        .context("start the demo")?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Builds every program of the workspace. The demo and the tests ask for the same set, so that one
/// finds built what the other needs.
pub(crate) fn build(environment: &Environment) -> Result<()> {
    eprintln!("build: the first time takes some minutes");
    run::show(
        run::cargo()
            .args(["build", "--workspace", "--bins"])
            .envs(environment.clone())
            .current_dir(paths::root()),
    )
}
