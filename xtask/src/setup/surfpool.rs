//! surfpool, the Solana node of tests: a given one, or the one that its makers publish as a module for Node.

use super::{Part, node_tools};
use crate::paths;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The tests are written against this release.
const VERSION: &str = "1.5.0";

/// Finds or installs the module.
pub(crate) fn ensure(cache: &Path) -> Result<(Part, PathBuf)> {
    if let Some(given) = paths::set("PAYWATCH_SURFPOOL") {
        let place = format!("{} (from PAYWATCH_SURFPOOL)", given.display());
        return Ok((Part::new("surfpool", "unknown", place), given));
    }
    let package = package()?;
    let folder = cache.join("surfpool");
    let modules = folder.join("node_modules");
    if node_tools::version(&modules, package).as_deref() != Some(VERSION) {
        node_tools::install(&folder, &[(package, VERSION)])?;
    }
    let version = node_tools::version(&modules, package);
    let version = version.context("npm installed no surfpool")?;
    let module = modules.join(package);
    let place = format!("{} (from npm)", module.display());
    Ok((Part::new("surfpool", version, place), module))
}

/// Each kind of machine has a package of its own.
fn package() -> Result<&'static str> {
    Ok(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "@solana/surfpool-linux-x64-gnu",
        ("macos", "x86_64") => "@solana/surfpool-darwin-x64",
        ("macos", "aarch64") => "@solana/surfpool-darwin-arm64",
        (system, machine) => bail!(
            "surfpool is not published for {system} on {machine}; name its module with PAYWATCH_SURFPOOL"
        ),
    })
}
