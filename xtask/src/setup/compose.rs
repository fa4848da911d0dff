//! Docker Compose, to check the compose files. No Docker daemon is needed for that.

use super::{Part, debian};
use crate::run;
use anyhow::{Context, Result};
use std::process::Command;

/// Finds the plug-in of the Docker client or the stand-alone program; else installs the latter.
pub(crate) fn ensure() -> Result<Part> {
    if find().is_none() {
        debian::install(&["docker-compose"], "Docker Compose")?;
    }
    let (name, version) = find().context("the package docker-compose brought no program")?;
    Ok(Part::new("compose", version, name))
}

/// The start of a Compose command line.
pub(crate) fn program() -> Result<Command> {
    let (name, _) = find().context("Docker Compose is missing; type: cargo xtask setup")?;
    let mut words = name.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    Ok(command)
}

fn find() -> Option<(&'static str, String)> {
    ["docker compose", "docker-compose"]
        .into_iter()
        .find_map(|name| {
            let mut words = name.split(' ');
            let version = run::capture(
                Command::new(words.next()?)
                    .args(words)
                    .args(["version", "--short"]),
            );
            Some((name, version.ok()?))
        })
}
