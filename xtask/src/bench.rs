//! `cargo xtask bench [--quick] [NAME ...]`: sets up, builds the program `bench` as released, and hands over to it.

use crate::setup::{self, Purpose};
use crate::{paths, run};
use anyhow::{Context, Result};
use std::process::{Command, ExitCode};

/// The cargo profile whose speed is measured, and the folder of what it builds.
const PROFILE: &str = "bench-run";
/// The rows as JSON, in the target folder.
const RESULTS: &str = "bench.json";

/// `bench [NAME ...] [ARGUMENTS OF THE BENCHMARKS]`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let environment = setup::ensure(Purpose::Test)?;
    eprintln!("build: the first time takes some minutes");
    run::show(
        run::cargo()
            .args(["build", "--profile", PROFILE])
            .args(["--package", "paywatch-bench"])
            .envs(environment.clone())
            .current_dir(paths::root()),
    )?;
    // xtask lies in the folder of another profile, beside that one.
    let own = paths::built("xtask")?;
    let target = own.ancestors().nth(2).context("find the target folder")?;
    let status = Command::new(target.join(PROFILE).join("bench"))
        .args(arguments)
        .arg("--json")
        .arg(target.join(RESULTS))
        .envs(environment)
        .status()
        .context("start the benchmarks")?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
