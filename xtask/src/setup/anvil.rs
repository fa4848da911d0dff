//! anvil, the EVM node of tests: a given one, one on `PATH`, or the one that its makers publish.

use super::{Part, node_tools};
use crate::{paths, run};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tests are written against this release.
const VERSION: &str = "1.7.1";

/// Finds or installs anvil.
pub(crate) fn ensure(cache: &Path) -> Result<(Part, PathBuf)> {
    if let Some(given) = paths::set("ANVIL_EXE") {
        let version = version(&given).context("ANVIL_EXE names no working anvil")?;
        return Ok((part(&version, &given, "from ANVIL_EXE"), given));
    }
    if let Some(found) = paths::on_path("anvil")
        && let Ok(version) = version(&found)
    {
        return Ok((part(&version, &found, "from PATH"), found));
    }
    let package = package()?;
    let folder = cache.join("anvil");
    let program = folder.join("node_modules").join(&package).join("bin/anvil");
    if version(&program).ok().as_deref() != Some(VERSION) {
        node_tools::install(&folder, &[(&package, VERSION)])?;
    }
    let version = version(&program).context("the installed anvil does not answer")?;
    Ok((part(&version, &program, "from npm"), program))
}

/// Each kind of machine has a package of its own.
fn package() -> Result<String> {
    let system = match std::env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        other => bail!("anvil is not published for {other}; name one with ANVIL_EXE"),
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("anvil is not published for {other}; name one with ANVIL_EXE"),
    };
    Ok(format!("@foundry-rs/anvil-{system}-{machine}"))
}

fn part(version: &str, program: &Path, origin: &str) -> Part {
    Part::new(
        "anvil",
        version,
        format!("{} ({origin})", program.display()),
    )
}

/// What `anvil --version` says first: `anvil Version: 1.7.1`.
fn version(program: &Path) -> Result<String> {
    let text = run::capture(Command::new(program).arg("--version"))?;
    let line = text.lines().next().unwrap_or_default();
    let Some((_, version)) = line.split_once("Version: ") else {
        bail!("{} answers {line:?} to --version", program.display());
    };
    Ok(version.trim().to_owned())
}
