//! For Python: the verifier of Standard Webhooks, the tester of APIs and what the example of a receiver is made
//! of, in an environment of their own.

use super::{Part, debian};
use crate::{paths, run};
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The releases that the tests are written against; the first one names the part.
const REQUIREMENTS: [&str; 5] = [
    "standardwebhooks==1.1.0",
    "schemathesis==4.32.5",
    "fastapi==0.165.0",
    "uvicorn==0.54.0",
    "httpx==0.28.1",
];
/// Imports what its arguments name, and says what of it is installed as the requirements do.
const ASK_INSTALLED: &str = "\
import importlib, importlib.metadata, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    print(name + '==' + importlib.metadata.version(name))";

/// Gives an interpreter that can import what the tests need.
pub(crate) fn ensure(cache: &Path) -> Result<(Part, PathBuf)> {
    let folder = cache.join("python");
    let interpreter = folder.join("bin/python");
    if !is_complete(&interpreter) {
        install(&folder, &interpreter)?;
        ensure!(
            is_complete(&interpreter),
            "what was installed for Python cannot be imported"
        );
    }
    let place = format!("{} ({})", interpreter.display(), REQUIREMENTS.join(", "));
    let version = REQUIREMENTS[0].rsplit('=').next().unwrap_or_default();
    Ok((Part::new("python", version, place), interpreter))
}

fn is_complete(interpreter: &Path) -> bool {
    let names = REQUIREMENTS
        .iter()
        .filter_map(|text| text.split("==").next());
    let mut command = Command::new(interpreter);
    let said = run::capture(command.args(["-c", ASK_INSTALLED]).args(names));
    said.is_ok_and(|said| said.lines().eq(REQUIREMENTS))
}

fn install(folder: &Path, interpreter: &Path) -> Result<()> {
    if paths::on_path("python3").is_none() {
        debian::install(
            &["python3", "python3-venv", "python3-pip"],
            "the Python tools",
        )?;
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    eprintln!("setup: installing {} for Python", REQUIREMENTS.join(", "));
    if run::capture(Command::new("python3").args(["-m", "venv"]).arg(folder)).is_ok() {
        run::capture(
            Command::new(interpreter)
                .args(["-m", "pip", "install", "-q"])
                .args(REQUIREMENTS),
        )?;
        return Ok(());
    }
    // Debian ships Python without venv. A wrapper that adds the folder looks the same from outside.
    let packages = folder.join("packages");
    run::capture(
        Command::new("python3")
            .args(["-m", "pip", "install", "-q", "--target"])
            .arg(&packages)
            .args(REQUIREMENTS),
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
