//! The JavaScript verifier of Standard Webhooks.

use super::{Part, debian};
use crate::{paths, run};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release that the tests verify against.
const PACKAGE: &str = "standardwebhooks";
const VERSION: &str = "1.1.1";

/// Gives the folder `node_modules` that holds `standardwebhooks`.
pub(crate) fn ensure(cache: &Path) -> Result<(Part, PathBuf)> {
    if paths::on_path("node").is_none() || paths::on_path("npm").is_none() {
        debian::install(&["nodejs", "npm"], "the JavaScript verifier")?;
    }
    let folder = cache.join("node");
    let modules = folder.join("node_modules");
    if version(&modules).is_none() {
        eprintln!("setup: installing {PACKAGE} {VERSION} for Node");
        std::fs::create_dir_all(&folder)?;
        run::capture(
            Command::new("npm")
                .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
                .arg(&folder)
                .arg(format!("{PACKAGE}@{VERSION}")),
        )?;
    }
    let version = version(&modules).context("npm installed no standardwebhooks")?;
    let place = format!("{} ({PACKAGE})", modules.display());
    Ok((Part::new("node", version, place), modules))
}

/// The version in the manifest of the installed package.
fn version(modules: &Path) -> Option<String> {
    let manifest = std::fs::read_to_string(modules.join(PACKAGE).join("package.json")).ok()?;
    let after = manifest.split_once("\"version\":")?.1;
    after.split('"').nth(1).map(str::to_owned)
}
