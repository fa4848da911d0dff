//! `cargo xtask bench [NAME]`: runs the crate `bench`, once there is one.

use crate::{paths, run};
use anyhow::Result;
use std::process::ExitCode;

/// Nothing was measured, which must not look like success.
const NO_BENCHMARKS: u8 = 2;

/// `bench [NAME]`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    if !paths::root().join("crates/bench/Cargo.toml").is_file() {
        eprintln!("xtask bench: this repository has no benchmarks yet");
        return Ok(ExitCode::from(NO_BENCHMARKS));
    }
    run::show(
        run::cargo()
            .args(["run", "--release", "--package", "paywatch-bench", "--"])
            .args(arguments)
            .current_dir(paths::root()),
    )?;
    Ok(ExitCode::SUCCESS)
}
