//! Tools that cargo installs: the test runner and the check of licences and sources.

use super::Part;
use crate::run;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Installed into the cache when the machine has none of its own.
const TOOLS: &[&str] = &["cargo-nextest", "cargo-deny"];

/// Installs the tools that are missing.
pub(crate) fn ensure(cache: &Path) -> Result<Vec<Part>> {
    TOOLS.iter().map(|tool| ensure_one(cache, tool)).collect()
}

/// `PATH` with the folder of the installed tools at its end: a tool of the machine comes first.
pub(crate) fn path_with(cache: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([cache.join("tools/bin")]);
    std::env::join_paths(folders).context("put the tools on PATH")
}

fn ensure_one(cache: &Path, tool: &'static str) -> Result<Part> {
    let own = cache.join("tools/bin").join(tool);
    let found = crate::paths::on_path(tool).unwrap_or_else(|| own.clone());
    if let Ok(version) = version(&found) {
        return Ok(Part::new(tool, version, found.display().to_string()));
    }
    // Speed of the tool does not matter here, speed of its installation does: no optimisation.
    eprintln!("setup: installing {tool}, which takes some minutes");
    run::show(
        run::cargo()
            .args(["install", "--quiet", "--locked", "--debug", tool, "--root"])
            .arg(cache.join("tools"))
            // A target folder of its own would be built twice when two checkouts share the cache.
            .env("CARGO_TARGET_DIR", cache.join("target-tools")),
    )?;
    std::fs::remove_dir_all(cache.join("target-tools"))?;
    let version = version(&own)?;
    Ok(Part::new(tool, version, own.display().to_string()))
}

/// `cargo-nextest nextest --version` and `cargo-deny --version` both end in a version number.
fn version(program: &Path) -> Result<String> {
    let mut command = Command::new(program);
    if program.ends_with("cargo-nextest") {
        command.arg("nextest");
    }
    let text = run::capture(command.arg("--version"))?;
    let line = text.lines().next().unwrap_or_default();
    Ok(line.split(' ').nth(1).unwrap_or_default().to_owned())
}
