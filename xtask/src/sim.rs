//! `cargo xtask sim [--seeds N] [--seed S] [--jobs J] ...`: builds the program `sim` as released, and hands over
//! to it; with `--defects` it proves that the simulator finds bugs.

use crate::{defects, paths, run};
use anyhow::{Context, Result};
use std::process::{Command, ExitCode};

/// The cargo profile that it is built with, and the folder of what it builds.
const PROFILE: &str = "bench-run";

/// `sim [ARGUMENTS OF THE SIMULATOR]` or `sim --defects [NAME ...]`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    if let Some((first, rest)) = arguments.split_first()
        && first == "--defects"
    {
        return defects::command(rest);
    }
    eprintln!("build: the first time takes some minutes");
    run::show(
        run::cargo()
            .args(["build", "--quiet", "--profile", PROFILE])
            .args(["--package", "paywatch-sim"])
            .current_dir(paths::root()),
    )?;
    // xtask lies in the folder of another profile, beside that one.
    let own = std::env::current_exe().context("find xtask itself")?;
    let target = own.ancestors().nth(2).context("find the target folder")?;
    let status = Command::new(target.join(PROFILE).join("sim"))
        .args(arguments)
        .status()
        .context("start the simulator")?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
