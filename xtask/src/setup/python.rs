//! The Python verifier of Standard Webhooks, in an environment of its own.

use super::{Part, debian};
use crate::{paths, run};
use anyhow::{Context, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release that the tests verify against.
const REQUIREMENT: &str = "standardwebhooks==1.1.0";
const ASK_VERSION: &str = "import importlib.metadata, standardwebhooks; print(importlib.metadata.version('standardwebhooks'))";

/// Gives an interpreter that can import `standardwebhooks`.
pub(crate) fn ensure(cache: &Path) -> Result<(Part, PathBuf)> {
    let folder = cache.join("python");
    let interpreter = folder.join("bin/python");
    let version = if let Ok(version) = version(&interpreter) {
        version
    } else {
        install(&folder, &interpreter)?;
        self::version(&interpreter).context("the installed Python verifier cannot be imported")?
    };
    let place = interpreter.display().to_string();
    Ok((
        Part::new("python", version, format!("{place} (standardwebhooks)")),
        interpreter,
    ))
}

fn version(interpreter: &Path) -> Result<String> {
    run::capture(Command::new(interpreter).args(["-c", ASK_VERSION]))
}

fn install(folder: &Path, interpreter: &Path) -> Result<()> {
    if paths::on_path("python3").is_none() {
        debian::install(
            &["python3", "python3-venv", "python3-pip"],
            "the Python verifier",
        )?;
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    eprintln!("setup: installing {REQUIREMENT} for Python");
    if run::capture(Command::new("python3").args(["-m", "venv"]).arg(folder)).is_ok() {
        run::capture(Command::new(interpreter).args(["-m", "pip", "install", "-q", REQUIREMENT]))?;
        return Ok(());
    }
    // Debian ships Python without venv. A wrapper that adds the folder looks the same from outside.
    let packages = folder.join("packages");
    run::capture(
        Command::new("python3")
            .args(["-m", "pip", "install", "-q", REQUIREMENT, "--target"])
            .arg(&packages),
    )
    .context("neither venv nor pip works; type: sudo apt-get install python3-venv python3-pip")?;
    std::fs::create_dir_all(folder.join("bin"))?;
    let packages = packages.display();
    std::fs::write(
        interpreter,
        format!("#!/bin/sh\nPYTHONPATH='{packages}' exec python3 \"$@\"\n"),
    )?;
    std::fs::set_permissions(interpreter, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
